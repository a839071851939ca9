"""What public functions make of their arguments before an op sees them: plain ints, tuples and dtypes."""
import operator

from gpuflow import dtypes
from gpuflow.errors import explain
from gpuflow.tensor import Tensor


def integer(where: str, value) -> int:
    """A Python int for an int, a NumPy integer or a tensor with one integer; TypeError for others, bool included."""
    if isinstance(value, bool):
        raise TypeError(explain(where, "an integer", repr(value)))
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(explain(where, "an integer", repr(value))) from None


def integers(where: str, values) -> tuple:
    """A tuple of ints for a sequence of ints and one-element tensors, for a 1-d integer tensor, or for one int."""
    if isinstance(values, Tensor):
        return tuple(int(v) for v in values.numpy().reshape(-1))
    if isinstance(values, list | tuple):
        return tuple([v if type(v) is int else integer(where, v) for v in values])
    if hasattr(values, "__iter__") and getattr(values, "ndim", 1) != 0:
        return tuple(integer(where, v) for v in values)
    return (integer(where, values),)


def known(where: str, x, axis: int) -> int:
    """x's size along the axis; ValueError for a Variable whose size only a run tells."""
    size = x.shape[axis]
    if size == -1:
        raise ValueError(explain(where, f"a known size of axis {axis}", str(list(x.shape))))
    return size


def axes(where: str, axis):
    """None (all axes) for None and an empty list; an int, or a tuple of ints."""
    if axis is None or type(axis) is int:
        return axis
    if isinstance(axis, list | tuple) or getattr(axis, "ndim", 0) != 0:
        return integers(where, axis) or None
    return integer(where, axis)


def dtype_or(dtype, default: dtypes.DType) -> dtypes.DType:
    """The DType that is meant, `default` for None."""
    return default if dtype is None else dtypes.convert(dtype)
