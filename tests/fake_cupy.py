"""A CuPy that computes with NumPy: what catches code that only works on NumPy arrays, on machines without a GPU.

Arrays of this module are no NumPy arrays and, as with CuPy, do not turn into them by themselves: NumPy functions refuse
them, and functions here refuse NumPy arrays. A name, a method or an argument that the real CuPy does not have is an
error here too (the real package is imported to ask; it needs no GPU for that). Results are arrays, never scalars.

Raw kernels run as well: their CUDA text is built by g++ under the host header of tests/kernels/host. A stream's capture
refuses what CUDA or CuPy refuses (waiting, copies from the host, calls of CUDA's libraries, memory of no pool of its
own) and does nothing before its graph is launched. What it cannot tell is anything about speed, asynchrony or several
streams, and what a race between blocks does.
"""
import contextlib
import ctypes
import functools
import inspect
import sys
import time
import types

import cupy as real
import cupyx as real_x
import numpy as np
from cupy.random import Generator as RealGenerator

WAITS = "waits for the device, which a stream that is captured must not"
UNSUPPORTED = (np.ndarray,)   # NumPy scalars are taken by CuPy, arrays are not
TAKES_NUMPY = {"asarray", "array", "ascontiguousarray", "asnumpy", "dtype", "result_type", "can_cast", "isscalar",
               "broadcast_shapes", "shape", "ndim", "size", "require"}


# What CuPy refuses while a stream is captured: calls of cuBLAS, cuSOLVER and cuRAND, and results whose size waits.
NOT_CAPTURED = {"matmul", "dot", "vdot", "inner", "outer", "tensordot", "einsum", "kron", "nonzero", "flatnonzero",
                "argwhere", "unique", "compress", "extract", "bincount"}


class _Capture:
    """A stream's capture under way: what the calls are, to do them again. Nothing of it has been done at its end."""

    now: "_Capture | None" = None
    allocator = None        # what `using_allocator` put in place

    def __init__(self):
        self.calls, self.made, self.kept = [], [], []

    @classmethod
    def refuse(cls, what, reason=WAITS):
        if cls.now is not None:
            raise RuntimeError(f"{what}: {reason}")

    def changes(self, array):
        """Before an array is written: what is not of this capture gets its numbers back at the end."""
        if not any(np.shares_memory(array, m) for m in self.made):
            self.kept.append((array, array.copy()))

    def add(self, compute, given):
        """compute() now, to know the shapes, and again in each launch. given: what may come back as it is."""
        result = compute()
        held = [w._a for w in (result if isinstance(result, tuple | list) else [result]) if isinstance(w, ndarray)]
        fresh = [a for a in held if a.flags.owndata and not any(isinstance(x, ndarray) and a is x._a for x in given)]
        if fresh and _Capture.allocator is None:
            raise RuntimeError("an allocation in a capture outside of a pool of its own")
        self.made += fresh

        def again():
            found = compute()
            found = found if isinstance(found, tuple | list) else [found]
            for a, w in zip(held, [w for w in found if isinstance(w, ndarray)]):
                if not np.may_share_memory(a, w._a):
                    a[...] = w._a

        self.calls.append(again)
        return result

    def end(self):
        for array, numbers in reversed(self.kept):
            array[...] = numbers
        for a in self.made:
            a[...] = 77
        return Graph(self.calls, self.made)


class Graph:
    """What was captured; `launch` does it. memory: of the pool, which CUDA leaves where it is."""

    launches = 0

    def __init__(self, calls, memory):
        self.calls, self.memory = calls, memory

    def launch(self, stream=None):
        Graph.launches += 1
        for call in self.calls:
            call()


class Stream:
    """A stream; what is captured in a non-blocking one is kept for later."""

    ptr = 0

    def __init__(self, null=False, non_blocking=False, ptds=False, priority=None):
        self.non_blocking = non_blocking

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return False

    def synchronize(self):
        _Capture.refuse("Stream.synchronize")

    def begin_capture(self, mode=None):
        if not self.non_blocking or _Capture.now is not None:
            raise RuntimeError("a capture needs a non-blocking stream, and one at a time")
        _Capture.now = _Capture()

    def end_capture(self):
        capture, _Capture.now = _Capture.now, None
        return capture.end()


class MemoryPool:
    """A pool of device memory; whose memory it is, is all that counts here."""

    def malloc(self, size):
        raise NotImplementedError("the stand-in's memory is NumPy's")


@contextlib.contextmanager
def using_allocator(allocator=None):
    before, _Capture.allocator = _Capture.allocator, allocator
    try:
        yield
    finally:
        _Capture.allocator = before


def _done(compute, given=()):
    """compute(), which a capture under way takes down."""
    return compute() if _Capture.now is None else _Capture.now.add(compute, given)


class ndarray:
    """Stands for cupy.ndarray over a NumPy array `_a`."""

    __array_priority__ = 100

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        """CuPy runs its own ufunc of that name, and refuses NumPy arrays beside its own."""
        for x in inputs:
            _refuse_numpy(x, ufunc.__name__)
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`.")

    def __init__(self, array):
        self._a = array

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`.")

    def get(self, stream=None, order="C", out=None, blocking=True):
        _Capture.refuse("ndarray.get")
        if out is None:
            return self._a.copy()
        out[...] = self._a
        return out

    def item(self, *args):
        _Capture.refuse("ndarray.item")
        return self._a.item(*args)

    def tolist(self):
        _Capture.refuse("ndarray.tolist")
        return self._a.tolist()

    @property
    def device(self):
        return Device(0)

    @property
    def data(self):
        return MemoryPointer(self._a.ctypes.data)

    @property
    def base(self):
        return None if self._a.base is None else ndarray(self._a.base)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        if not hasattr(real.ndarray, name):
            raise AttributeError(f"cupy.ndarray has no attribute {name!r}")
        found = getattr(self._a, name)
        return _checked_call(found, f"ndarray.{name}", owner=self) if callable(found) else _wrapped(found)

    def __getitem__(self, index):
        for part in index if isinstance(index, tuple) else (index,):
            if getattr(part, "dtype", None) == np.bool_:
                _Capture.refuse("x[mask]")
        return _done(lambda: _wrapped(self._a[_index(index)]))

    def __setitem__(self, index, value):
        if isinstance(value, np.ndarray) and value.ndim:
            raise TypeError("Unsupported type <class 'numpy.ndarray'>")
        if _Capture.now is not None:
            _Capture.now.changes(self._a)
        _done(lambda: self._a.__setitem__(_index(index), _plain(value)))

    def __len__(self):
        return len(self._a)

    def __iter__(self):
        return (_wrapped(x) for x in self._a)

    def __bool__(self):
        _Capture.refuse("bool(ndarray)")
        return bool(self._a)

    def __int__(self):
        _Capture.refuse("int(ndarray)")
        return int(self._a)

    def __float__(self):
        _Capture.refuse("float(ndarray)")
        return float(self._a)

    def __complex__(self):
        _Capture.refuse("complex(ndarray)")
        return complex(self._a)

    def __index__(self):
        _Capture.refuse("ndarray as an index")
        return self._a.__index__()

    def __hash__(self):
        raise TypeError("unhashable type: 'cupy.ndarray'")

    def __repr__(self):
        return f"fake cupy {self._a!r}"

    def __reduce__(self):
        return (ndarray, (self._a,))

    def __deepcopy__(self, memo):
        return ndarray(self._a.copy())


def _install_operators():
    both = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor", "lshift", "rshift")
    for name in both:
        for form in (f"__{name}__", f"__r{name}__"):
            setattr(ndarray, form, lambda self, other, form=form: _operate(self, other, form))
        setattr(ndarray, f"__i{name}__", lambda self, other, name=name: _in_place(self, other, name))
    for name in ("lt", "le", "gt", "ge", "eq", "ne"):
        setattr(ndarray, f"__{name}__", lambda self, other, form=f"__{name}__": _operate(self, other, form))
    for name in ("neg", "pos", "abs", "invert"):
        setattr(ndarray, f"__{name}__", lambda self, form=f"__{name}__": _done(
            lambda: _wrapped(getattr(self._a, form)())))


def _operate(self, other, form):
    _refuse_numpy(other, form)
    if "matmul" in form:
        _Capture.refuse("@", "no call of cuBLAS is captured")
    return _done(lambda: _wrapped(getattr(self._a, form)(_plain(other))))


def _in_place(self, other, name):
    _refuse_numpy(other, name)
    if _Capture.now is not None:
        _Capture.now.changes(self._a)
    _done(lambda: getattr(self._a, f"__i{name}__")(_plain(other)))
    return self


def _refuse_numpy(value, where):
    if isinstance(value, UNSUPPORTED):
        raise TypeError(f"{where}: Unsupported type {type(value)}")


def _plain(value):
    if isinstance(value, ndarray):
        return value._a
    if isinstance(value, tuple | list):
        return type(value)(_plain(v) for v in value)
    return value


def _index(index):
    return tuple(_plain(i) for i in index) if isinstance(index, tuple) else _plain(index)


def _wrapped(value):
    if isinstance(value, np.ndarray | np.generic) and not isinstance(value, np.dtype):
        return ndarray(np.asarray(value))
    if isinstance(value, tuple) and any(isinstance(v, np.ndarray | np.generic) for v in value):
        return tuple(_wrapped(v) for v in value)
    if isinstance(value, list) and any(isinstance(v, np.ndarray) for v in value):
        return [_wrapped(v) for v in value]
    return value


def _anywhere(value, kinds):
    if isinstance(value, tuple | list):
        return any(_anywhere(v, kinds) for v in value)
    return isinstance(value, kinds)


def _checked_call(function, name, signature=None, owner=None):
    @functools.wraps(function, assigned=())
    def call(*args, **kwargs):
        if name.rpartition(".")[2] not in TAKES_NUMPY and any(
                _anywhere(v, UNSUPPORTED) for v in (*args, *kwargs.values())):
            raise TypeError(f"cupy.{name}: Unsupported type <class 'numpy.ndarray'>")
        if signature is not None:
            signature.bind(*args, **kwargs)   # an argument CuPy does not have is a TypeError here too
        last, out = name.rpartition(".")[2], kwargs.get("out")
        if last in NOT_CAPTURED or name.startswith(("random.", "linalg.")):
            _Capture.refuse(f"cupy.{name}", "no call of CUDA's libraries, and no size that waits, is captured")
        if _Capture.now is not None and out is not None:
            _Capture.now.changes(out._a)

        def compute():
            result = function(*_plain(args), **{key: _plain(value) for key, value in kwargs.items()})
            return out if out is not None else _wrapped(result)

        return _done(compute, (*args, *kwargs.values(), out, owner))

    return call


class MemoryPointer:
    """An address, and the copies to it: from pinned memory, which the optimizer's tables travel by, and on the GPU."""

    def __init__(self, ptr):
        self.ptr = ptr

    def copy_from_host_async(self, host, size, stream):
        _Capture.refuse("a copy from the host", "its memory may hold something else when the graph is launched")
        ctypes.memmove(self.ptr, host, size)

    def copy_from_device_async(self, other, size, stream):
        if _Capture.now is None:
            ctypes.memmove(self.ptr, other.ptr, size)
        else:
            _Capture.now.calls.append(lambda: ctypes.memmove(self.ptr, other.ptr, size))


class PinnedMemory(bytearray):
    """Host memory with an address; it lives as long as the object."""

    @property
    def ptr(self):
        return ctypes.addressof(ctypes.c_char.from_buffer(self))


class Event:
    """Reached as soon as it is recorded."""

    done = True

    def __init__(self, block=False, disable_timing=False):
        """Nothing to set up."""

    def record(self, stream=None):
        self.at = time.perf_counter()

    def synchronize(self):
        """Nothing is ever under way."""


class CUDARuntimeError(Exception):
    """What the runtime raises."""


class RawModule:
    """CUDA text: compiled by g++ under the host header of tests/kernels/host, and run there."""

    def __init__(self, *, code, options=(), backend="nvrtc"):
        self.code = code

    def get_function(self, name):
        from tests.kernels.host.device import launch

        def call(grid, block, arguments):
            if _Capture.now is None:
                launch(self.code, name, grid[0], block[0], arguments)
            else:
                _Capture.now.calls.append(lambda: launch(self.code, name, grid[0], block[0], arguments))

        return call


class Device:
    """GPU 0, the only one."""

    def __init__(self, id=0):
        self.id = id

    def use(self):
        return self

    def synchronize(self):
        """Nothing is ever under way."""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return False

    def __eq__(self, other):
        return isinstance(other, Device) and self.id == other.id

    __hash__ = None


class _Random:
    """cupy.random as far as gpuflow uses it: Generator over Philox4x3210."""

    class Philox4x3210:
        def __init__(self, seed=None, *, size=-1):
            self.seed = seed

    class Generator:
        def __init__(self, bit_generator):
            self._rng = np.random.Generator(np.random.Philox(bit_generator.seed))

        def __getattr__(self, name):
            if not hasattr(RealGenerator, name):
                raise AttributeError(f"cupy.random.Generator has no attribute {name!r}")
            return _checked_call(getattr(self._rng, name), f"random.{name}")


def _signature(function):
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


class _Space(types.ModuleType):
    """A module of NumPy functions under CuPy's names."""

    def __init__(self, name, ours, theirs):
        super().__init__(name)
        self._ours, self._theirs = ours, theirs

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        theirs = getattr(self._theirs, name)   # AttributeError where CuPy has no such name
        found = getattr(self._ours, name)
        if isinstance(found, types.ModuleType):
            return _Space(f"{self.__name__}.{name}", found, theirs)
        if isinstance(found, type) or not callable(found):
            return found
        return _checked_call(found, name, None if isinstance(theirs, real.ufunc) else _signature(theirs))


class _Special(types.ModuleType):
    """SciPy's special functions under the names that cupyx has."""

    def __getattr__(self, name):
        import scipy.special

        if name.startswith("__") or name not in _SPECIAL:
            raise AttributeError(name)
        return _checked_call(getattr(scipy.special, name), name)


_SPECIAL = ("digamma", "erf", "erfinv", "gammainc", "gammaincc", "gammaln", "i0", "i0e", "i1", "i1e", "polygamma",
            "zeta")


def _new(a, dtype):
    """A new array of what is on the device, or comes from the host."""
    if not isinstance(a, ndarray):
        _Capture.refuse("cupy.array", "numbers from the host may be others when the graph is launched")
    return _done(lambda: ndarray(np.array(_plain(a), dtype)))


def make():
    """(cupy, cupyx): fresh stand-ins for the two modules."""
    cupy = _Space("cupy", np, real)
    cupy.ndarray, cupy.__version__ = ndarray, real.__version__
    cupy.random = _Random
    cupy.asnumpy = lambda a, **_: a.get() if isinstance(a, ndarray) else np.asarray(a)
    cupy.asarray = lambda a, dtype=None, **_: (
        a if isinstance(a, ndarray) and (dtype is None or dtype == a._a.dtype) else _new(a, dtype))   # None == float64
    cupy.array = lambda a, dtype=None, copy=True, **_: _new(a, dtype)
    runtime = types.SimpleNamespace(getDeviceCount=lambda: 1, CUDARuntimeError=CUDARuntimeError, getDeviceProperties=(
        lambda k: {"name": b"Stand-in", "major": 9, "minor": 0, "totalGlobalMem": 80 << 30}))
    stream = Stream(null=True)
    cupy.RawModule = RawModule
    cupy.cuda = types.SimpleNamespace(is_available=lambda: True, Device=Device, runtime=runtime, Event=Event,
                                      alloc_pinned_memory=PinnedMemory, get_current_stream=lambda *_: stream,
                                      get_elapsed_time=lambda start, end: 1e3 * (end.at - start.at), Stream=Stream,
                                      MemoryPool=MemoryPool, using_allocator=using_allocator)
    cupyx = types.ModuleType("cupyx")

    def scatter(name, bring):
        def function(target, index, values):
            _refuse_numpy(target, f"cupyx.{name}")
            if _Capture.now is not None:
                _Capture.now.changes(target._a)
            _done(lambda: bring.at(target._a, _index(index), _plain(values)))
        return function

    for name, bring in {"scatter_add": np.add, "scatter_max": np.maximum, "scatter_min": np.minimum}.items():
        setattr(cupyx, name, scatter(name, bring))
    cupyx.scipy = types.SimpleNamespace(special=_Special("cupyx.scipy.special"))
    return cupy, cupyx


@contextlib.contextmanager
def installed():
    """gpuflow with this module in CuPy's place and "gpu:0" as its device; everything is put back at the end."""
    from gpuflow import device

    cupy, cupyx = make()
    kept = {name: sys.modules.get(name) for name in ("cupy", "cupyx", "cupyx.scipy", "cupyx.scipy.special")}
    before_module, before_place = device._cupy, device._current
    sys.modules.update({"cupy": cupy, "cupyx": cupyx, "cupyx.scipy": cupyx.scipy,
                        "cupyx.scipy.special": cupyx.scipy.special})
    device._cupy = cupy
    try:
        device.set_device("gpu:0")
        yield cupy
    finally:
        device._cupy, device._current = before_module, before_place
        for name, module in kept.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module


_install_operators()
assert real_x.scatter_add
