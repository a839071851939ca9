"""What a function of the registry does with one element: its own text, run on Cells in place of arrays.

A Cell stands for one element of an array. A forward or gradient function that is given Cells and an `Elements` as its
`xp` leaves behind the lines of a `Chain`, from which the fused kernels are generated. A function that looks at more
than one element (a sum, a shape, an index) meets a NotElementwise instead. So an op's formula is said once, in its row.
"""
import numpy as np

from gpuflow_kernels.elementwise import Chain, Line
from gpuflow_kernels.elementwise.chain import DTYPES, FUNCTIONS, OF_FLOATS, ON_GPU


class NotElementwise(AttributeError):
    """The function does what no chain of elementwise functions does."""


class Elements:
    """Stands for an array module. array_module: NumPy or CuPy, for which the chain is."""

    def __init__(self, array_module):
        self.array_module = array_module
        self._values: list[Line] = []
        self._known: dict[Line, int] = {}     # a line that comes again is the value that is there
        self._inputs: dict[int, int] = {}     # {value: which input it is}

    # ---- what the functions of ops call ----------------------------------------------------------------------------

    def __getattr__(self, name):
        if name in FUNCTIONS or name in OF_FLOATS or (name in ON_GPU and self.array_module is not np):
            return lambda *args, out=None: self._into(out, self.apply(name, *args))
        if name in DTYPES:
            return getattr(np, name)
        raise NotElementwise(name)

    def abs(self, x):
        return self.apply("absolute", x)

    def where(self, condition, x, y):
        kind = np.result_type(*[a.dtype if type(a) is Cell else a for a in (x, y)])
        return self._line("where", (condition, x, y), ("bool", kind.name, kind.name), kind)

    def clip(self, x, low, high):
        return self.minimum(self.maximum(x, low), high)

    def power(self, x, y):
        if type(y) in (int, float) and y in (1, 2):
            return self.apply("square", x) if y == 2 else x.copy()
        if self.array_module is np:
            raise NotElementwise("power")
        return self.apply("power", x, y)

    def erf(self, x):
        if self.array_module is np:
            raise NotElementwise("erf")
        return self._line("erf", (x,), (x.dtype.name,), x.dtype)

    def asarray(self, number, dtype):
        return self._line("number", (number,), (np.dtype(dtype).name,), np.dtype(dtype))

    def zeros(self, shape, dtype):
        return self._filled(shape, 0, dtype)

    def full(self, shape, number, dtype):
        return self._filled(shape, number, dtype)

    def zeros_like(self, x):
        return self._filled(x.shape, 0, x.dtype)

    def ones_like(self, x):
        return self._filled(x.shape, 1, x.dtype)

    # ---- building --------------------------------------------------------------------------------------------------

    def input(self, dtype) -> "Cell":
        """A new input of the chain."""
        value = len(self._values)
        self._values.append(Line("input", (), (), _known(np.dtype(dtype)).name))
        self._inputs[value] = len(self._inputs)
        return Cell(self, np.dtype(dtype), value)

    def apply(self, name: str, *args) -> "Cell":
        """NumPy's ufunc `name`, with its own choice of the types to compute in."""
        kinds = [a.dtype if hasattr(a, "dtype") else type(a) for a in args]
        *loops, kind = getattr(np, name).resolve_dtypes((*[np.dtype(bool) if k is bool else k for k in kinds], None))
        if name in OF_FLOATS and loops[0].kind != "f":
            raise NotElementwise(f"{name} of {loops[0]}")
        return self._line(name, args, tuple(_known(k).name for k in loops), kind)

    def cast(self, x: "Cell", dtype) -> "Cell":
        if x.dtype == dtype:
            return x
        if not np.can_cast(x.dtype, dtype, "same_kind"):
            raise NotElementwise(f"{x.dtype} to {dtype}")    # a float out of an integer's range
        return self._line("cast", (x,), (x.dtype.name,), dtype)

    def chain(self, outputs, sums=()) -> tuple[Chain, list[int]]:
        """(the chain that computes some Cells and the sums of others, the numbers of the inputs that it has)."""
        seen, todo = set(), [c.value for c in (*outputs, *sums)]
        while todo:
            value = todo.pop()
            if value not in seen:
                seen.add(value)
                todo += [a for a in self._values[value].args if type(a) is int]
        used = sorted(seen, key=lambda value: (value not in self._inputs, value))
        number = {value: k for k, value in enumerate(used)}
        count = sum(value in self._inputs for value in used)
        lines = [self._values[v]._replace(args=tuple(number.get(a, a) for a in self._values[v].args))
                 for v in used[count:]]
        chain = Chain(tuple(self._values[v].dtype for v in used[:count]), tuple(lines),
                      tuple(number[c.value] for c in outputs), tuple(number[c.value] for c in sums))
        return chain, [self._inputs[v] for v in used[:count]]

    def _line(self, name, args, loops, dtype) -> "Cell":
        line = Line(name, tuple(a.value if type(a) is Cell else _text(a) for a in args), loops, _known(dtype).name)
        if line not in self._known:
            self._known[line] = len(self._values)
            self._values.append(line)
        return Cell(self, dtype, self._known[line])

    def _filled(self, shape, number, dtype):
        kind = np.dtype(dtype)
        if shape == ():
            return self.asarray(number, kind)
        if type(shape) is not _Shape:
            raise NotElementwise("an array of a shape of its own")
        return self._line("fill", (shape.cell, number), (shape.cell.dtype.name, kind.name), kind)

    def _into(self, out, cell):
        if out is None:
            return cell
        return out._become(cell)


class Cell:
    """One element. value: its number among the values of `elements`; an op in place gives it another."""

    __slots__ = ("dtype", "elements", "value")
    __array_ufunc__ = None     # NumPy's numbers leave the operators to it
    __hash__ = None            # type: ignore[assignment]

    def __init__(self, elements: Elements, dtype, value: int):
        self.elements, self.dtype, self.value = elements, dtype, value

    @property
    def shape(self):
        return _Shape(self)

    def astype(self, dtype, copy=True):
        return self.elements.cast(self, np.dtype(dtype)).copy()

    def copy(self):
        return Cell(self.elements, self.dtype, self.value)

    def _become(self, other):
        self.value = self.elements.cast(other, self.dtype).value
        return self

    def __getattr__(self, name):
        raise NotElementwise(name)

    def __bool__(self):
        raise NotElementwise("a decision on numbers")

    def __pow__(self, other):
        return self.elements.power(self, other)

    def __abs__(self):
        return self.elements.apply("absolute", self)

    def __neg__(self):
        return self.elements.apply("negative", self)

    def __invert__(self):
        if self.dtype != bool:
            raise NotElementwise("invert")
        return self.elements.apply("logical_not", self)


class _Shape:
    """The shape of a Cell's array, which a chain does not know."""

    __hash__ = None    # type: ignore[assignment]

    def __init__(self, cell):
        self.cell = cell

    def __eq__(self, other):
        if other == ():
            return False
        raise NotElementwise("a decision on shapes")


def _install():
    def both(name):
        return (lambda self, other: self.elements.apply(name, self, other),
                lambda self, other: self.elements.apply(name, other, self),
                lambda self, other: self._become(self.elements.apply(name, self, other)))

    for form, name in {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide",
                       "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor"}.items():
        for prefix, function in zip(("", "r", "i"), both(name)):
            setattr(Cell, f"__{prefix}{form}__", function)
    for form, name in {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal",
                       "ne": "not_equal"}.items():
        setattr(Cell, f"__{form}__", both(name)[0])


_install()


def _known(dtype):
    if dtype.name not in DTYPES:
        raise NotElementwise(f"elements of {dtype}")
    return dtype


def _text(number) -> str:
    """A Python or NumPy number, or a text of one, as it is written in a chain."""
    if isinstance(number, str):
        return number
    if type(number) is bool or isinstance(number, np.bool_):
        return str(int(number))
    if isinstance(number, int | float | np.integer | np.floating):
        return repr(number.item() if isinstance(number, np.generic) else number)
    raise NotElementwise(f"a {type(number).__name__}")
