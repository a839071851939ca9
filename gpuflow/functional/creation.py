"""Tensors from nothing or from other tensors' shapes. dtype None is the default float unless said otherwise."""
import math

import numpy as np

from gpuflow import dtypes
from gpuflow.dispatch import call, call_inplace, in_dynamic_mode
from gpuflow.errors import explain
from gpuflow.functional.arguments import dtype_or, integer, integers
from gpuflow.ops.registry import OPS
from gpuflow.tensor import Tensor, to_tensor

__all__ = ["arange", "as_tensor", "asarray", "assign", "check_shape", "clone", "empty", "empty_like", "eye",
           "from_numpy", "full", "full_like", "linspace", "meshgrid", "ones", "ones_like", "range", "tril_indices",
           "triu_indices", "zeros", "zeros_like"]

_range = range


def check_shape(shape, op_name):
    """TypeError, naming op_name, for what is no shape."""
    integers(op_name, shape)


def as_tensor(data, dtype=None, device=None, requires_grad=False):
    """`to_tensor` that is told whether a gradient is wanted. The data is copied."""
    return to_tensor(data, dtype, device, not requires_grad)


def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False):
    """`as_tensor`. copy: not False; `from_dlpack` makes a tensor over memory that is there."""
    if copy is False:
        raise ValueError(explain("asarray", "copy=None or True", "copy=False", "gpuflow.from_dlpack(obj)"))
    return as_tensor(obj, dtype, device, requires_grad)


def from_numpy(ndarray):
    """A copy of a NumPy array as a tensor."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(explain("from_numpy", "a NumPy array", type(ndarray).__name__, "gpuflow.to_tensor(data)"))
    return to_tensor(ndarray)


def _number(value):
    return value.item() if isinstance(value, Tensor | np.generic | np.ndarray) else value


def full(shape, fill_value, dtype=None, name=None):
    """A tensor of `shape` filled with one number. dtype None: bool for True and False, else the default float."""
    fill_value = _number(fill_value)
    kind = dtype_or(dtype, dtypes.bool_ if isinstance(fill_value, bool) else dtypes.default_float())
    value = fill_value if not isinstance(fill_value, str) else float(fill_value)
    return call(OPS["full"], (), {"shape": integers("shape", shape), "value": value, "dtype": kind})


def zeros(shape, dtype=None, name=None):
    """A tensor of `shape` filled with 0."""
    return full(shape, 0.0, dtype_or(dtype, dtypes.default_float()))


def ones(shape, dtype=None, name=None):
    """A tensor of `shape` filled with 1."""
    return full(shape, 1.0, dtype_or(dtype, dtypes.default_float()))


def empty(shape, dtype=None, name=None):
    """A tensor of `shape` with whatever the memory holds."""
    kind = dtype_or(dtype, dtypes.default_float())
    return call(OPS["empty"], (), {"shape": integers("shape", shape), "dtype": kind})


def full_like(x, fill_value, dtype=None, name=None):
    """A tensor of x's shape and dtype (or `dtype`), on x's device, filled with one number."""
    return _like(x, dtype, _number(fill_value))


def zeros_like(x, dtype=None, name=None):
    """A tensor of x's shape and dtype (or `dtype`), on x's device, filled with 0."""
    return full_like(x, 0, dtype)


def ones_like(x, dtype=None, name=None):
    """A tensor of x's shape and dtype (or `dtype`), on x's device, filled with 1."""
    return full_like(x, 1, dtype)


def empty_like(x, dtype=None, name=None):
    """A tensor of x's shape and dtype (or `dtype`), on x's device, with whatever the memory holds."""
    return _like(x, dtype, None)


def _like(x, dtype, value):
    return call(OPS["full_like"], (x if isinstance(x, Tensor) else to_tensor(x),),
                {"value": value, "dtype": dtype_or(dtype, x.dtype)})


def arange(start=0, end=None, step=1, dtype=None, name=None):
    """start, start + step, ... up to but without `end`; arange(n) counts from 0 to n - 1.

    dtype None: int64 when all numbers are integers, else the default float.
    """
    start, end, step = _number(start), _number(end), _number(step)
    if end is None:
        start, end = 0, start
    whole = all(isinstance(n, int) for n in (start, end, step))
    kind = dtype_or(dtype, dtypes.int64 if whole else dtypes.default_float())
    return call(OPS["arange"], (), {"start": start, "end": end, "step": step, "dtype": kind})


def range(start=0, end=None, step=1, dtype=None, name=None):
    """`arange` with `end` among the numbers where the steps meet it; dtype None is the default float always."""
    start, end, step = _number(start), _number(end), _number(step)
    if end is None:
        start, end = 0, start
    count = math.floor((end - start) / step) + 1
    return arange(start, start + (count - 0.5) * step, step, dtype_or(dtype, dtypes.default_float()))


def linspace(start, stop, num, dtype=None, name=None):
    """`num` numbers at equal distances from `start` to `stop`, both included."""
    num = integer("linspace", num)
    if num < 1:
        raise ValueError(explain("linspace", "num >= 1", str(num)))
    return call(OPS["linspace"], (), {"start": _number(start), "stop": _number(stop), "num": num,
                                      "dtype": dtype_or(dtype, dtypes.default_float())})


def eye(num_rows, num_columns=None, dtype=None, name=None):
    """A matrix with ones on the diagonal and zeros elsewhere; square when num_columns is None."""
    rows = integer("eye", num_rows)
    columns = rows if num_columns is None else integer("eye", num_columns)
    return call(OPS["eye"], (), {"rows": rows, "columns": columns, "dtype": dtype_or(dtype, dtypes.default_float())})


def tril_indices(row, col, offset=0, dtype="int64"):
    """[2, n]: rows and columns of the places on and below the diagonal `offset` of a row x col matrix, row by row."""
    return to_tensor(np.stack(np.tril_indices(row, offset, col)), dtype)


def triu_indices(row, col=None, offset=0, dtype="int64"):
    """[2, n]: rows and columns of the places on and above the diagonal `offset` of a row x col matrix, row by row."""
    return to_tensor(np.stack(np.triu_indices(row, offset, row if col is None else col)), dtype)


def assign(x, output=None):
    """A copy of x (tensor, array, number or nested list), through which gradients pass; written into `output` if
    given."""
    x = x if hasattr(x, "stop_gradient") else to_tensor(x)
    if output is not None and not in_dynamic_mode():    # the old numbers are not looked at
        return call_inplace(OPS["assign"], output, (x,))
    copy = call(OPS["assign"], (x,))
    return copy if output is None else output.copy_(copy)


def clone(x, name=None):
    """A copy of x through which gradients pass."""
    return call(OPS["assign"], (x,))


def meshgrid(*args, name=None):
    """For vectors of sizes n1, n2, ... a list of tensors [n1, n2, ...]: the i-th varies along axis i only."""
    vectors = list(args[0]) if len(args) == 1 and isinstance(args[0], list | tuple) else list(args)
    if any(v.ndim > 1 for v in vectors):
        raise ValueError(explain("meshgrid", "vectors", str([list(v.shape) for v in vectors])))
    columns = [call(OPS["reshape"], (v,), {"shape": tuple(-1 if i == j else 1 for j in _range(len(vectors)))})
               for i, v in enumerate(vectors)]
    return [call(OPS["expand_beside"], (v, *columns[:i], *columns[i + 1:])) for i, v in enumerate(columns)]
