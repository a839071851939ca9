"""Tensor: an array with a place in the graph. What it holds and how it converts; arithmetic is installed by methods.py.

A Tensor's array is NumPy's or CuPy's and decides where its ops run. Fields that the autograd keeps here:

_node, _index   the node that computed it and which of its outputs it is; None for a leaf
_version        [count of in-place changes], shared by all tensors over one memory; made when somebody first looks
_grad           the accumulated gradient, a Tensor (or SparseRows), for leaves
_grad_slot      where an optimizer wants that gradient written (a range of its arena), or None
_pending        True for a parameter whose first numbers a startup program will bring
"""
import numbers
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuflow import device, dtypes
from gpuflow.errors import explain
from gpuflow.ops.rows import SparseRows
from gpuflow.unique_name import generate as unique_name


class Size(list):
    """A tensor's shape: a list of ints."""

    def numel(self) -> int:
        """The number of elements."""
        return int(np.prod(self, dtype=np.int64))

    def __repr__(self):
        return f"gpuflow.Size({list(self)})"


class Tensor:
    """A multi-dimensional array on a device, with Paddle's attributes and methods.

    Made by `to_tensor` and by ops. `stop_gradient` is True for data (Paddle's default) and False for parameters; a
    result needs a gradient when one of its inputs does.
    """

    _array: Any
    _node = None
    _index = 0
    _version = None
    _grad: Any = None
    _grad_slot = None
    _hooks = None
    _name = None
    _is_view = False
    _pending = False
    persistable = False
    __array_priority__ = 100  # numpy_array + tensor is the tensor's business

    if TYPE_CHECKING:  # methods.py installs operators and methods from the ops when gpuflow is imported
        def _operator(self, other: Any) -> "Tensor": ...
        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index: Any) -> "Tensor": ...
        def __setitem__(self, index: Any, value: Any) -> None: ...
        def __iter__(self) -> "Iterator[Tensor]": ...
        def __neg__(self) -> "Tensor": ...
        def __abs__(self) -> "Tensor": ...
        def __invert__(self) -> "Tensor": ...
        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _operator
        __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = _operator
        __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __lt__ = __le__ = __gt__ = __ge__ = _operator
        __eq__ = __ne__ = _operator  # type: ignore[assignment]

    def __init__(self, array, stop_gradient: bool = True, name: str | None = None):
        """array: a NumPy or CuPy array, held and not copied. Users call `to_tensor`."""
        if not device.is_array(array):
            array = to_tensor(array)._array
        self._array = array
        self.stop_gradient = stop_gradient
        if name is not None:
            self._name = name

    # ---- what it is ------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        return Size(self._array.shape)

    @property
    def dtype(self) -> dtypes.DType:
        return dtypes.of(self._array)

    @property
    def place(self) -> device.Place:
        return device.place_of(self._array)

    @property
    def ndim(self) -> int:
        return self._array.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._array.size

    @property
    def strides(self) -> list:
        """Steps per axis, counted in elements."""
        return [s // self._array.itemsize for s in self._array.strides]

    @property
    def itemsize(self) -> int:
        return self._array.itemsize

    @property
    def nbytes(self) -> int:
        return self._array.nbytes

    @property
    def name(self) -> str:
        if self._name is None:
            self._name = unique_name("generated_tensor")
        return self._name

    @name.setter
    def name(self, value: str):
        self._name = value

    @property
    def is_leaf(self) -> bool:
        """True when no recorded op computed it: a parameter, data, or the result of ops that need no gradient."""
        return self._node is None

    @property
    def requires_grad(self) -> bool:
        return not self.stop_gradient

    @requires_grad.setter
    def requires_grad(self, value: bool):
        self.stop_gradient = not value

    @property
    def grad_fn(self):
        return self._node

    @property
    def inplace_version(self) -> int:
        """How many in-place changes its memory has seen since somebody began to count."""
        return self._counted()[0]

    # ---- its gradient ----------------------------------------------------------------------------------------------

    @property
    def grad(self):
        """The gradient accumulated since the last `clear_grad`, or None. Shaped like the tensor."""
        return self._grad

    @grad.setter
    def grad(self, value):
        if value is not None:
            value = value if isinstance(value, Tensor) else to_tensor(value, dtype=self.dtype, place=self.place)
            if tuple(value._array.shape) != tuple(self._array.shape):
                raise ValueError(explain(f"{self.name}.grad", f"shape {list(self._array.shape)}",
                                         str(list(value.shape))))
        self._grad = value

    def clear_gradient(self, set_to_zero: bool = True) -> None:
        """Forgets the gradient: it becomes zero where set_to_zero and there is one, else None."""
        if set_to_zero and isinstance(self._grad, Tensor):
            self._grad._array[...] = 0
        else:
            self._grad = None

    def clear_grad(self) -> None:
        """Forgets the gradient; `grad` is None until the next backward."""
        self._grad = None

    def gradient(self):
        """The gradient as a NumPy array, or None."""
        return None if self._grad is None else self._grad.numpy()

    # ---- its numbers -----------------------------------------------------------------------------------------------

    def numpy(self) -> np.ndarray:
        """The numbers as a NumPy array; a copy, so that a later in-place change is not seen. Waits for the GPU."""
        array = device.to_numpy(self._array)
        return array.copy() if array is self._array else array

    def item(self, *args):
        """One number as a Python scalar. args: a flat index or one index per axis when there are several elements."""
        if not args and self._array.size != 1:
            raise ValueError(explain("Tensor.item", "a tensor with one element", f"shape {list(self.shape)}",
                                     "an index, e.g. x.item(0)"))
        return device.to_numpy(self._array).item(*args)

    def tolist(self):
        """The numbers as nested Python lists (a scalar for a 0-d tensor)."""
        return device.to_numpy(self._array).tolist()

    def __array__(self, dtype=None, copy=None):
        if self.place.is_gpu_place():
            raise TypeError(explain("numpy.asarray(tensor)", "a tensor on the CPU", f"one on {self.place}",
                                    "tensor.numpy(), which copies it to the host"))
        if copy is False and dtype is not None and np.dtype(dtype) != self._array.dtype:
            raise ValueError(explain("Tensor.__array__", f"dtype {self._array.dtype} when copy=False", str(dtype)))
        array = self._array if dtype is None else self._array.astype(dtype, copy=False)
        return array.copy() if copy and array is self._array else array

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()

    @property
    def __cuda_array_interface__(self):
        """CuPy's interface of the memory; AttributeError on the CPU, so that hasattr tells which tensors have one."""
        if isinstance(self._array, np.ndarray):
            raise AttributeError("__cuda_array_interface__: the tensor is on the CPU")
        return self._array.__cuda_array_interface__

    def data_ptr(self) -> int:
        """The address of the first element."""
        return self._array.ctypes.data if isinstance(self._array, np.ndarray) else self._array.data.ptr

    def set_value(self, value) -> None:
        """Replaces the numbers in place, keeping dtype and device. value: array, tensor or nested list of this shape.

        ValueError for another shape. Not recorded: it is for loading weights.
        """
        array = value._array if isinstance(value, Tensor) else value if device.is_array(value) else np.asarray(value)
        if tuple(array.shape) != tuple(self._array.shape):
            raise ValueError(explain(f"{self.name}.set_value", f"shape {list(self._array.shape)}",
                                     str(list(array.shape))))
        self._write(device.move(array, self.place))

    def _write(self, array, where=...) -> None:
        """Writes into the memory and tells whoever saved it."""
        self._array[where] = array
        if self._version is not None:
            self._version[0] += 1

    def _counted(self) -> list:
        """The version count of this memory, made now if nobody looked before."""
        if self._version is None:
            self._version = [0]
        return self._version

    def detach(self) -> "Tensor":
        """The same memory outside the graph: stop_gradient is True, in-place changes are seen by both."""
        out = Tensor(self._array)
        out._version = self._counted()
        return out

    def detach_(self) -> "Tensor":
        """Leaves the graph: from now on a leaf that needs no gradient."""
        self._node = None
        self.stop_gradient = True
        return self

    @property
    def data(self) -> "Tensor":
        return self.detach()

    @data.setter
    def data(self, value):
        self.set_value(value)

    def get_tensor(self) -> "Tensor":
        return self.detach()

    def value(self) -> "Tensor":
        return self

    def dim(self) -> int:
        return self._array.ndim

    ndimension = dim

    def numel(self) -> "Tensor":
        """The number of elements as a 0-d int64 tensor."""
        return to_tensor(np.int64(self._array.size))

    def element_size(self) -> int:
        return self._array.itemsize

    def is_contiguous(self) -> bool:
        return bool(self._array.flags.c_contiguous)

    def is_floating_point(self) -> bool:
        return self.dtype.is_floating

    def is_complex(self) -> bool:
        return self.dtype.is_complex

    def is_integer(self) -> bool:
        return not self.dtype.is_differentiable and self.dtype is not dtypes.bool_

    def is_dense(self) -> bool:
        return True

    def is_selected_rows(self) -> bool:
        return False

    def _is_initialized(self) -> bool:
        return True

    # ---- as a Python value -----------------------------------------------------------------------------------------

    def __len__(self):
        if not self._array.ndim:
            raise TypeError(explain("len(tensor)", "at least one axis", "a 0-d tensor"))
        return self._array.shape[0]

    def __bool__(self):
        if self._array.size != 1:
            raise ValueError(explain("bool(tensor)", "a tensor with one element", f"shape {list(self.shape)}",
                                     "x.any() or x.all()"))
        return bool(self._array)

    def __int__(self):
        return int(self.item())

    def __float__(self):
        return float(self.item())

    def __complex__(self):
        return complex(self.item())

    def __index__(self):
        if self.dtype.is_differentiable:
            raise TypeError(explain("index", "an integer tensor with one element",
                                    f"{self.dtype.name} {list(self.shape)}"))
        return int(self.item())

    def __format__(self, spec):
        """A 0-d tensor formats as its number, as in Paddle; with a spec any tensor of one element does."""
        number = not self._array.ndim or (spec and self._array.size == 1)
        return format(self.item() if number else str(self), spec)

    def __hash__(self):
        return id(self)

    def __deepcopy__(self, memo):
        if not self.is_leaf:
            raise RuntimeError(explain("copy.deepcopy(tensor)", "a leaf", f"the result of {self._node}",
                                       "x.detach().clone()"))
        other = type(self).__new__(type(self))
        memo[id(self)] = other
        other._array = self._array.copy()
        other.stop_gradient = self.stop_gradient
        other.persistable = self.persistable
        other._name = unique_name(self._name + "_deepcopy") if self._name else None
        if isinstance(self._grad, Tensor):
            other._grad = Tensor(self._grad._array.copy())
        self._copy_extras(other)
        return other

    def _copy_extras(self, other) -> None:
        """What a subclass carries into a deep copy."""

    def __reduce__(self):
        return (_rebuild, (device.to_numpy(self._array), self.stop_gradient, self._name))

    def __repr__(self):
        array = device.to_numpy(self._array)
        if array.itemsize == 2 and self.dtype.is_floating:   # bfloat16 has no text of its own in NumPy
            array = array.astype(np.float32)
        with np.printoptions(**_print_options):
            numbers_text = np.array2string(array, separator=", ", prefix="       ", formatter=_formatter(array))
        return (f"Tensor(shape={list(self._array.shape)}, dtype={self.dtype.name}, place={self.place!r}, "
                f"stop_gradient={self.stop_gradient},\n       {numbers_text})")


def _formatter(array):
    """How Paddle prints complex numbers; None for others, which print as NumPy's."""
    if array.dtype.kind != "c":
        return None
    parts = np.abs([array.real, array.imag])
    parts = parts[np.isfinite(parts) & (parts > 0)]
    wide = not _print_options["suppress"] and parts.size and (parts.min() < 1e-4 or parts.max() >= 1e8)
    style = f".{_print_options['precision']}{'e' if wide else 'f'}"
    return {"complexfloat": lambda z: f"({z.real:{style}}{z.imag:+{style}}j)"}


Tensor.__module__ = "gpuflow"   # where users have it from, and what its class prints as
_print_options: dict = {"precision": 8, "threshold": 1000, "edgeitems": 3, "linewidth": 80, "suppress": False}


def set_printoptions(precision=None, threshold=None, edgeitems=None, sci_mode=None, linewidth=None) -> None:
    """How tensors print: digits, elements before the middle is cut, items kept at each end, line width.

    sci_mode True forces scientific notation off-switching: False suppresses it, None lets NumPy decide.
    """
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth,
             "suppress": None if sci_mode is None else not sci_mode}
    _print_options.update({key: value for key, value in given.items() if value is not None})


def _rebuild(array, stop_gradient, name):
    return Tensor(array, stop_gradient, name)


def is_tensor(x) -> bool:
    """True for a Tensor."""
    return isinstance(x, Tensor)


def to_tensor(data, dtype=None, place=None, stop_gradient: bool = True) -> Tensor:
    """A new Tensor from Python numbers, nested lists, NumPy or CuPy arrays, DLPack objects or another tensor.

    dtype: default keeps an array's dtype; Python floats get the default float, ints int64, bools bool.
    place: default is the current device. The data is always copied.
    """
    place = device.current_place() if place is None else device.parse(place)
    kind: Any = None if dtype is None else dtypes.convert(dtype).dtype
    if isinstance(data, Tensor):
        array = data._array
    elif device.is_array(data):
        array = data
    else:
        array = _array_of(data)
        if kind is None and _has_only_python_numbers(data) and array.dtype.kind in "fc":
            wide = dtypes.default_float()
            kind = wide.dtype if array.dtype.kind == "f" else (
                np.complex128 if wide is dtypes.float64 else np.complex64)
    moved = device.move(array, place)
    if kind is not None and moved.dtype != kind:
        moved = moved.astype(kind)
    elif moved is array and not isinstance(data, list | tuple | numbers.Number):
        moved = array.copy()
    dtypes.of(moved)  # refuses objects, strings and the like
    return Tensor(moved, stop_gradient)


def _array_of(data):
    """A NumPy or CuPy array of what is no array yet."""
    if isinstance(data, list | tuple):
        if any(isinstance(x, Tensor) for x in data):
            data = [x.numpy() if isinstance(x, Tensor) else x for x in data]
        try:
            array = np.asarray(data)
        except ValueError as error:
            raise ValueError(explain("to_tensor", "nested lists of equal lengths", str(error))) from error
        return array.astype(np.float32) if array.size == 0 and array.dtype == np.float64 else array
    if hasattr(data, "__cuda_array_interface__"):
        return device.cupy().asarray(data)
    if hasattr(data, "__array__") or isinstance(data, numbers.Number | bool | np.generic):
        return np.asarray(data)
    if hasattr(data, "__dlpack__"):
        return _from_dlpack_array(data)
    raise TypeError(explain("to_tensor", "numbers, nested lists of numbers, an array or a tensor",
                            type(data).__name__))


def _has_only_python_numbers(data) -> bool:
    """True when nothing in the nested lists carries a dtype of its own."""
    if isinstance(data, list | tuple):
        return all(_has_only_python_numbers(x) for x in data)
    return isinstance(data, bool | int | float | complex) and not isinstance(data, np.generic)


def _from_dlpack_array(data):
    kind, _ = data.__dlpack_device__()
    return np.from_dlpack(data) if int(kind) == 1 else device.cupy().from_dlpack(data)


class _Capsule:
    """A DLPack capsule as the object with ``__dlpack__`` that array libraries ask for."""

    def __init__(self, capsule):
        self._capsule = capsule

    def __dlpack__(self, **options):
        return self._capsule

    def __dlpack_device__(self):
        import ctypes

        pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
        pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        # a DLTensor begins with its data pointer; device type and number follow
        return tuple((ctypes.c_int32 * 2).from_address(pointer_of(self._capsule, b"dltensor") + 8))


def to_dlpack(x: Tensor):
    """A DLPack capsule of x's memory, to be taken once; a library with `from_dlpack` can take x itself."""
    return x.__dlpack__()


def from_dlpack(data) -> Tensor:
    """A Tensor over the memory of an object with ``__dlpack__`` (no copy where the device allows), or of a capsule (a
    copy on the CPU: NumPy takes its memory for read-only)."""
    if type(data).__name__ == "PyCapsule":
        data = _Capsule(data)
    if not hasattr(data, "__dlpack__"):
        raise TypeError(explain("from_dlpack", "an object with __dlpack__", type(data).__name__))
    array = _from_dlpack_array(data)
    return Tensor(array if getattr(array.flags, "writeable", True) else array.copy())


def as_operand(value, dtype=None, like: Tensor | None = None) -> Tensor:
    """A Tensor for a Python number or array that stands beside a tensor in an op."""
    return to_tensor(value, dtype, like.place if like is not None else None)


SparseRows.to_dense = lambda self: Tensor(self.dense())
