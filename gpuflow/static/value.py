"""Value and Variable: a quantity of a Program before it has numbers.

A Value is the quantity: name, shape, dtype; operators refer to Values, each of which is computed once. A Variable is
what user code holds and calls functions on. An op in place gives the Variable another Value, and leaves operators that
read the old one alone.
"""
import math

from gpuflow import device, dtypes
from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.ops.registry import OPS
from gpuflow.tensor import Size, Tensor


class Value:
    """One quantity of a Program.

    shape: sizes, None where one is known only when the program runs. home: the eager Tensor it stands for (parameters,
    buffers, constants), else None. is_data: it comes by feed. written: the program changes its home's numbers. source:
    the Value that it is the gradient of.
    """

    __slots__ = ("_stop", "dtype", "home", "is_data", "name", "persistable", "shape", "source", "written")

    def __init__(self, name: str, shape: tuple, dtype: dtypes.DType, stop_gradient=True, *, home=None, is_data=False,
                 persistable=False):
        self.name, self.shape, self.dtype, self._stop = name, shape, dtype, stop_gradient
        self.home, self.is_data, self.persistable, self.written = home, is_data, persistable, False
        self.source: Value | None = None

    @property
    def stop_gradient(self) -> bool:
        return self._stop if self.home is None else self.home.stop_gradient

    @stop_gradient.setter
    def stop_gradient(self, stop: bool):
        if self.home is None:
            self._stop = stop
        else:
            self.home.stop_gradient = stop

    def __str__(self):
        return f"{self.name}: {self.dtype.name} {[-1 if s is None else s for s in self.shape]}"

    __repr__ = __str__


class Variable(Tensor):
    """A quantity of the Program that is being built: it has a shape and a dtype, and no numbers.

    Unknown sizes show as -1. All functions and methods of tensors append an operator; what needs numbers at once
    (`numpy()`, `if x:`, `int(x)`) is an error. `stop_gradient = True` cuts the way back, also afterwards.
    """

    def __init__(self, value: Value, block):
        self._value, self.block = value, block

    @property
    def _array(self):
        raise RuntimeError(explain(self.name, "a tensor with numbers", "a Variable, which has them in a run",
                                   f"exe.run(..., fetch_list=[{self.name!r}]), or functions of tensors only"))

    @property
    def name(self) -> str:
        return self._value.name

    @name.setter
    def name(self, name: str):
        self.block.program.rename(self._value, name)

    @property
    def shape(self) -> Size:
        return Size(-1 if s is None else s for s in self._value.shape)

    @property
    def dtype(self) -> dtypes.DType:
        return self._value.dtype

    @property
    def ndim(self) -> int:
        return len(self._value.shape)

    @property
    def size(self) -> int:
        """The number of elements, -1 where it is unknown."""
        return -1 if None in self._value.shape else math.prod(self._value.shape)

    @property
    def place(self) -> device.Place:
        return device.current_place()

    @property
    def stop_gradient(self) -> bool:
        return self._value.stop_gradient

    @stop_gradient.setter
    def stop_gradient(self, stop: bool):
        self._value.stop_gradient = bool(stop)

    @property
    def persistable(self) -> bool:
        return self._value.persistable

    @persistable.setter
    def persistable(self, value: bool):
        self._value.persistable = bool(value)

    @property
    def is_leaf(self) -> bool:
        return self._value.is_data

    @property
    def grad_name(self) -> str:
        """What `append_backward` calls its gradient."""
        return f"{self.name}@GRAD"

    @property
    def type(self) -> str:
        return "DENSE_TENSOR"

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    def element_size(self) -> int:
        return self.dtype.itemsize

    def numel(self) -> Tensor:
        return call(OPS["numel"], (self,))

    def detach(self) -> "Variable":
        """The same quantity with stop_gradient=True."""
        out = call(OPS["assign"], (self,))
        out.stop_gradient = True
        return out

    def dim(self) -> int:
        return self.ndim

    ndimension = dim

    def is_contiguous(self) -> bool:
        return True

    def __len__(self):
        if not self._value.shape or self._value.shape[0] is None:
            raise TypeError(explain("len(variable)", "a first axis of known size", str(self._value)))
        return self._value.shape[0]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __bool__(self):
        raise TypeError(explain("a Python decision", "a value that is known now", f"the Variable {self._value}",
                                "static.nn.cond, static.nn.while_loop, or paddle.where"))

    def __index__(self):
        raise TypeError(explain("an index or size", "an int", f"the Variable {self._value}"))

    def __repr__(self):
        return f"Variable({self._value}, stop_gradient={self.stop_gradient})"

    __str__ = __repr__
    __hash__ = Tensor.__hash__

    def __format__(self, spec):
        return repr(self)

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        raise TypeError(explain("copying or pickling", "a tensor with numbers", f"the Variable {self._value}"))

