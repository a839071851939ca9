"""Reads the pickles in Paddle's checkpoints without running anything.

A pickle is a small program for a stack machine, and Python's own unpickler calls whatever the program names. This
machine has no call: the few globals that Paddle's files use are answered by name in `_apply`, the rest are refused.
It works on a buffer, so a length in the file is compared with what is there before anything is reserved for it, and
arrays are views of that buffer until `finish` copies them.

What may come out: dict, OrderedDict, list, tuple, set, frozenset, str, bytes, numbers, bool, None, NumPy arrays and
NumPy scalars of numeric types. Protocols 2 to 5.
"""
import math
import struct
from collections import OrderedDict

import numpy as np

DEEPEST = 200            # levels of nesting; a checkpoint has three or four
_NUMERIC = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"}


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or written as asked: damaged, hostile, or not expressible in the format."""


class Global:
    """A name that the file asks for, e.g. builtins.tuple. Only a name: nothing is imported."""

    __slots__ = ("name",)

    def __init__(self, module, name):
        if not (isinstance(module, str) and isinstance(name, str)):
            raise CheckpointError("damaged pickle: a global is named by something that is no text")
        module = {"__builtin__": "builtins", "numpy.core.multiarray": "numpy._core.multiarray",
                  "numpy.core.numeric": "numpy._core.numeric"}.get(module, module)
        self.name = f"{module}.{name}"


class DType:
    """numpy.dtype while its state is being read."""

    __slots__ = ("code", "order")

    def __init__(self, code):
        self.code, self.order = code, "="

    def numpy(self) -> np.dtype:
        return np.dtype((">" if self.order == ">" else "<") + self.code)


class Array:
    """An ndarray while it is being read: shape, dtype and a view of its bytes."""

    __slots__ = ("data", "dtype", "fortran", "shape")

    def __init__(self):
        self.data = None

    def fill(self, shape, dtype, fortran, data):
        if isinstance(data, str):       # written by Python 2, where text and bytes were one
            data = _latin1(data)
        if not isinstance(dtype, DType) or not isinstance(data, bytes | memoryview):
            raise CheckpointError("an array's state is not (shape, dtype, order, bytes); arrays of objects are refused")
        if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape) or len(shape) > 32:
            raise CheckpointError(f"an array's shape is {_short(shape)}; expected up to 32 sizes >= 0")
        wanted = math.prod(shape) * dtype.numpy().itemsize
        if wanted != len(data):
            raise CheckpointError(f"an array of shape {list(shape)} and type {dtype.code} needs {wanted} bytes, "
                                  f"the file has {len(data)}")
        self.shape, self.dtype, self.fortran, self.data = shape, dtype, bool(fortran), data

    def numpy(self) -> np.ndarray:
        """An array of its own memory, native byte order, C order. uint16 is how Paddle stores bfloat16's bits."""
        if self.data is None:
            raise CheckpointError("an array without contents")
        dtype = self.dtype.numpy()
        flat = np.frombuffer(self.data, dtype)
        shaped = flat.reshape(self.shape, order="F" if self.fortran else "C")
        if dtype.kind == "b" and flat.size and flat.view(np.uint8).max() > 1:
            raise CheckpointError("an array of bool holds bytes other than 0 and 1")
        array = np.array(shaped, dtype=dtype.newbyteorder("="), order="C")
        if self.dtype.code == "u2":
            import ml_dtypes

            array = array.view(ml_dtypes.bfloat16)
        return array


def read(data):
    """The object in the pickle at the beginning of a bytes-like object, and the position after it.

    Raises CheckpointError for everything that is not a whole, harmless pickle.
    """
    try:
        machine = _Machine(memoryview(data))
        return finish(machine.run()), machine.at
    except CheckpointError:
        raise
    except (IndexError, KeyError, TypeError, ValueError, struct.error, OverflowError, MemoryError,
            RecursionError) as error:
        raise CheckpointError(f"damaged pickle: {type(error).__name__}: {_short(error)}") from error


class _Machine:
    """The stack machine. `at` is the position in `view`; `marks` are the heights of the stack that MARK remembered."""

    def __init__(self, view: memoryview):
        self.view, self.at = view, 0
        self.stack: list = []
        self.marks: list[int] = []
        self.memo: dict = {}

    def take(self, size: int) -> memoryview:
        end = self.at + size
        if end > len(self.view):
            raise CheckpointError(f"the file ends early: {size} bytes announced at position {self.at}, "
                                  f"{len(self.view) - self.at} are there")
        part, self.at = self.view[self.at:end], end
        return part

    def number(self, kind: str) -> int:
        return struct.unpack(kind, self.take(struct.calcsize(kind)))[0]

    def line(self) -> str:
        end = bytes(self.view[self.at:self.at + 1000]).find(b"\n")
        if end < 0:
            raise CheckpointError("damaged pickle: a name without an end")
        return str(self.take(end + 1)[:-1], "utf-8")

    def text(self, size: int, encoding: str = "utf-8") -> str:
        errors = "surrogatepass" if encoding == "utf-8" else "strict"
        return str(self.take(size), encoding, errors)

    def blob(self, size: int):
        """Bytes: a view where they are many (array contents), else a copy."""
        part = self.take(size)
        return part if size > 4096 else bytes(part)

    def since_mark(self) -> list:
        height = self.marks.pop()
        items = self.stack[height:]
        del self.stack[height:]
        return items

    def pop(self):
        if self.marks and len(self.stack) <= self.marks[-1]:
            raise CheckpointError("damaged pickle: the stack is empty")
        return self.stack.pop()

    def run(self):
        while True:
            code = self.take(1)[0]
            if code == 0x2E:   # STOP
                if len(self.stack) != 1 or self.marks:
                    raise CheckpointError("damaged pickle: it ends with other than one object")
                return self.stack.pop()
            operation = _OPERATIONS.get(code)
            if operation is None:
                raise CheckpointError(f"pickle instruction {bytes([code])!r} at position {self.at - 1} is none that "
                                      "Paddle's checkpoints use; the file is damaged or of another kind")
            operation(self)


def _proto(m):
    if not 2 <= (version := m.number("<B")) <= 5:
        raise CheckpointError(f"pickle protocol {version}; expected 2 to 5")


def _push(value_of):
    def operation(m):
        m.stack.append(value_of(m))
    return operation


def _long(m, size):
    if size < 0:
        raise CheckpointError("damaged pickle: a negative length")
    return int.from_bytes(m.take(size), "little", signed=True)


def _memoize(m):
    m.memo[len(m.memo)] = m.stack[-1]


def _put(kind):
    def operation(m):
        m.memo[m.number(kind)] = m.stack[-1]
    return operation


def _get(kind):
    def operation(m):
        m.stack.append(m.memo[m.number(kind)])
    return operation


def _extend(m, kind, method):
    items = m.since_mark()
    target = m.stack[-1]
    if type(target) is not kind:
        raise CheckpointError(f"damaged pickle: items for a {kind.__name__} given to a {type(target).__name__}")
    getattr(target, method)(items)


def _append(m):
    item = m.pop()
    if type(m.stack[-1]) is not list:
        raise CheckpointError("damaged pickle: an item for a list given to something else")
    m.stack[-1].append(item)


def _set_items(m, items):
    target = m.stack[-1]
    if not isinstance(target, dict) or len(items) % 2:
        raise CheckpointError("damaged pickle: keys and values given to something other than a dict")
    for key, value in zip(items[::2], items[1::2]):
        target[_hashable(key)] = value


def _hashable(key):
    """The key, when it is a plain value or a tuple of such. Deeper tuples are refused: hashing them takes time that
    doubles with each level when a file refers twice to the same one."""
    for part in key if isinstance(key, tuple | frozenset) else (key,):
        if not isinstance(part, str | bytes | int | float | complex | None):
            raise CheckpointError(f"a {type(part).__name__} stands in a dict's key or a set's member; expected plain "
                                  "numbers, text, or a tuple of such")
    return key


def _members(items):
    return [_hashable(item) for item in items]


def _add_items(m):
    items = _members(m.since_mark())
    if type(m.stack[-1]) is not set:
        raise CheckpointError("damaged pickle: members for a set given to something else")
    m.stack[-1].update(items)


def _tuple_of(count):
    def operation(m):
        items = [m.pop() for _ in range(count)]
        m.stack.append(tuple(reversed(items)))
    return operation


def _global(m):
    module = m.line()
    m.stack.append(Global(module, m.line()))


def _stack_global(m):
    name = m.pop()
    m.stack.append(Global(m.pop(), name))


def _reduce(m):
    arguments = m.pop()
    function = m.pop()
    if not isinstance(function, Global) or not isinstance(arguments, tuple):
        raise CheckpointError("damaged pickle: a call of something that is no name")
    m.stack.append(_apply(function.name, arguments))


def _new_object(m):
    arguments = m.pop()
    kind = m.pop()
    if not isinstance(kind, Global) or arguments != () or kind.name != "collections.OrderedDict":
        _refuse(getattr(kind, "name", type(kind).__name__))
    m.stack.append(OrderedDict())


def _refuse(name: str):
    raise CheckpointError(f"refused: the file asks for {name!r}, which is no NumPy array and no plain container. "
                          "Nothing was run and nothing loaded. Try: save tensors, arrays, numbers, text, lists and "
                          "dicts only (a Layer's state_dict() instead of the Layer)")


def _apply(name: str, arguments: tuple):
    """What a call of `name` would give, for the names that Paddle's files hold. Refuses all others."""
    match name, arguments:
        case ("numpy._core.multiarray._reconstruct", (Global(name="numpy.ndarray"), tuple(), _)):
            return Array()
        case ("numpy.dtype", (str() as code, *_)) if code.lstrip("<>|=") in _NUMERIC:
            return DType(code.lstrip("<>|="))
        case ("numpy.dtype", (str() as code, *_)):
            raise CheckpointError(f"an array of dtype {_short(code)!r}; checkpoints hold numeric types only")
        case ("numpy._core.multiarray.scalar", (DType() as dtype, (bytes() | str()) as data)):
            array = Array()
            array.fill((), dtype, False, data)
            return array.numpy()[()]
        case ("numpy._core.numeric._frombuffer", (data, DType() as dtype, tuple() as shape, order)):
            array = Array()
            array.fill(shape, dtype, order == "F", data)
            return array
        case ("_codecs.encode", (str() as text, "latin1")):
            return _latin1(text)
        case ("builtins.bytes", ()):
            return b""
        case ("builtins.tuple", (list() | tuple() as items,)):
            return tuple(items)
        case ("builtins.set" | "builtins.frozenset", (list() | tuple() as items,)):
            return (set if name == "builtins.set" else frozenset)(_members(items))
        case ("builtins.complex", (float() as real, float() as imaginary)):
            return complex(real, imaginary)
        case ("collections.OrderedDict", ()):
            return OrderedDict()
        case ("collections.OrderedDict", (list() as pairs,)):
            return OrderedDict((_hashable(key), value) for key, value in pairs)
        case ("builtins.eval", ("data", {"data": Array() as array})):
            return array   # how Paddle stores a static graph's tensor; read as the array it stands for
    _refuse(name)


def _build(m):
    state = m.pop()
    target = m.stack[-1]
    match target, state:
        case Array(data=None), (int(), shape, dtype, fortran, data):
            target.fill(shape, dtype, fortran, data)
        case DType(), (int(), str() as order, None, None, None, *_) if order in ("<", ">", "|", "="):
            target.order = order
        case DType(), _:
            raise CheckpointError("an array of a structured type; checkpoints hold numeric types only")
        case _:
            raise CheckpointError(f"refused: the file sets attributes of a {type(target).__name__}")


def _latin1(text: str) -> bytes:
    return text.encode("latin1")


_OPERATIONS = {ord(code): operation for code, operation in {
    b"\x80": _proto, b"\x95": lambda m: m.number("<Q"), b"(": lambda m: m.marks.append(len(m.stack)),
    b"0": _Machine.pop, b"N": _push(lambda m: None), b"\x88": _push(lambda m: True), b"\x89": _push(lambda m: False),
    b"J": _push(lambda m: m.number("<i")), b"K": _push(lambda m: m.number("<B")),
    b"M": _push(lambda m: m.number("<H")), b"\x8a": _push(lambda m: _long(m, m.number("<B"))),
    b"\x8b": _push(lambda m: _long(m, m.number("<i"))), b"G": _push(lambda m: m.number(">d")),
    b"X": _push(lambda m: m.text(m.number("<I"))), b"\x8c": _push(lambda m: m.text(m.number("<B"))),
    b"\x8d": _push(lambda m: m.text(m.number("<Q"))),
    b"U": _push(lambda m: m.text(m.number("<B"), "latin1")), b"T": _push(lambda m: m.text(m.number("<I"), "latin1")),
    b"C": _push(lambda m: m.blob(m.number("<B"))), b"B": _push(lambda m: m.blob(m.number("<I"))),
    b"\x8e": _push(lambda m: m.blob(m.number("<Q"))), b"\x96": _push(lambda m: m.blob(m.number("<Q"))),
    b"}": _push(lambda m: {}), b"]": _push(lambda m: []), b")": _push(lambda m: ()), b"\x8f": _push(lambda m: set()),
    b"\x85": _tuple_of(1), b"\x86": _tuple_of(2), b"\x87": _tuple_of(3),
    b"t": lambda m: m.stack.append(tuple(m.since_mark())), b"\x91": lambda m: m.stack.append(
        frozenset(_members(m.since_mark()))),
    b"a": _append, b"e": lambda m: _extend(m, list, "extend"), b"\x90": _add_items,
    b"s": lambda m: _set_items(m, [m.pop(), m.pop()][::-1]), b"u": lambda m: _set_items(m, m.since_mark()),
    b"\x94": _memoize, b"q": _put("<B"), b"r": _put("<I"), b"h": _get("<B"), b"j": _get("<I"),
    b"c": _global, b"\x93": _stack_global, b"R": _reduce, b"\x81": _new_object, b"b": _build,
}.items()}


def finish(value):
    """The object with every Array replaced by an ndarray; what was shared in the file stays shared.

    Raises CheckpointError for containers inside themselves, for too deep nesting, and for bare globals.
    """
    done: dict[int, object] = {}
    open_: set[int] = set()
    kept: list = []   # results are looked up by id, so what the ids belong to must stay alive

    def walk(item, depth):
        if isinstance(item, memoryview):
            return bytes(item)
        if isinstance(item, Global | DType):
            _refuse(item.name if isinstance(item, Global) else "numpy.dtype")
        if not isinstance(item, Array | dict | list | tuple):
            return item
        if id(item) in done:
            return done[id(item)]
        if id(item) in open_ or depth > DEEPEST:
            raise CheckpointError(f"containers nested more than {DEEPEST} deep, or one inside itself")
        open_.add(id(item))
        if isinstance(item, Array):
            result = item.numpy()
        elif isinstance(item, dict):
            result = type(item)((key, walk(part, depth + 1)) for key, part in item.items())
        else:
            result = type(item)(walk(part, depth + 1) for part in item)
        open_.discard(id(item))
        kept.append(item)
        done[id(item)] = result
        return result

    return walk(value, 0)


def _short(value) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
