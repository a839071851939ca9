"""Functions that reduce axes, and running sums. axis: None for all, an int, or a list of ints; keepdim keeps size 1."""
import math

from gpuflow import dtypes
from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.functional.arguments import axes, integer
from gpuflow.ops.registry import OPS

__all__ = ["all", "amax", "amin", "any", "count_nonzero", "cumprod", "cumsum", "logsumexp", "max", "mean",
           "min", "nanmean", "nansum", "norm", "prod", "std", "sum", "var"]


def _reduce(name, x, axis, keepdim, **attrs):
    return call(OPS[name], (x,), {"axis": axes(name, axis), "keepdim": bool(keepdim), **attrs})


def _cast(x, dtype):
    return x if dtype is None or x.dtype == dtype else call(OPS["cast"], (x,), {"dtype": dtypes.convert(dtype)})


def sum(x, axis=None, dtype=None, keepdim=False, name=None):
    """The sum over `axis`. dtype: x is converted to it first; integers and bools add up in int64 otherwise."""
    return _reduce("sum", _cast(x, dtype), axis, keepdim)


def nansum(x, axis=None, dtype=None, keepdim=False, name=None):
    """The sum over `axis` with nan counted as zero."""
    return sum(call(OPS["where"], (call(OPS["isnan"], (x,)), 0, x)), axis, dtype, keepdim)


def mean(x, axis=None, keepdim=False, name=None, *, dtype=None):
    """The mean over `axis`, in x's dtype (for integers too, as in Paddle) or in `dtype`, to which x is converted
    first."""
    return _reduce("mean", _cast(x, dtype), axis, keepdim)


def nanmean(x, axis=None, keepdim=False, name=None):
    """The mean over `axis` of what is not nan; nan where nothing is left."""
    x = x if x.dtype.is_floating else _cast(x, dtypes.default_float())
    counted = call(OPS["logical_not"], (call(OPS["isnan"], (x,)),))
    return nansum(x, axis, keepdim=keepdim) / _cast(sum(counted, axis, keepdim=keepdim), x.dtype)


def max(x, axis=None, keepdim=False, name=None):
    """The largest element over `axis`; equal ones share the gradient evenly."""
    return _reduce("max", x, axis, keepdim)


def min(x, axis=None, keepdim=False, name=None):
    """The smallest element over `axis`; equal ones share the gradient evenly."""
    return _reduce("min", x, axis, keepdim)


def amax(x, axis=None, keepdim=False, name=None):
    """The largest element over `axis`; equal ones share the gradient evenly."""
    return _reduce("amax", x, axis, keepdim)


def amin(x, axis=None, keepdim=False, name=None):
    """The smallest element over `axis`; equal ones share the gradient evenly."""
    return _reduce("amin", x, axis, keepdim)


def prod(x, axis=None, keepdim=False, dtype=None, name=None):
    """The product over `axis`, in x's dtype or in `dtype`, to which x is converted first."""
    return _reduce("prod", _cast(x, dtype), axis, keepdim)


def all(x, axis=None, keepdim=False, name=None):
    """True where every element over `axis` is true (not zero)."""
    return _reduce("all", x, axis, keepdim)


def any(x, axis=None, keepdim=False, name=None):
    """True where some element over `axis` is true (not zero)."""
    return _reduce("any", x, axis, keepdim)


def count_nonzero(x, axis=None, keepdim=False, name=None):
    """How many elements over `axis` are not zero, in int64."""
    return _reduce("count_nonzero", x, axis, keepdim)


def logsumexp(x, axis=None, keepdim=False, name=None):
    """log(sum(exp(x))) over `axis`, without overflow."""
    return _reduce("logsumexp", x, axis, keepdim)


def var(x, axis=None, unbiased=None, keepdim=False, name=None, *, correction=1):
    """The variance over `axis`: the squared distances from the mean divided by n - correction.

    unbiased: True stands for correction=1, False for correction=0.
    """
    return _reduce("var", x, axis, keepdim, correction=correction if unbiased is None else int(bool(unbiased)))


def std(x, axis=None, unbiased=True, keepdim=False, name=None):
    """The square root of `var`."""
    return call(OPS["sqrt"], (var(x, axis, unbiased, keepdim),))


def norm(x, p=None, axis=None, keepdim=False, dtype=None, name=None):
    """A norm over `axis`. dtype: x is converted to it first.

    Over all elements or one axis: (sum |x|^p)^(1/p), the largest |x| for p = inf, the smallest for -inf; None and "fro"
    mean 2. Over a pair of axes, as matrices: None and "fro": the root of the sum of squares; 1 and -1: the largest and
    smallest sum of |x| down a column; inf and -inf: along a row.
    """
    x, axis = _cast(x, dtype), axes("norm", axis)
    if p in (None, "fro"):
        return _reduce("norm", x, axis, keepdim, p=2.0)
    if isinstance(p, str):
        raise ValueError(explain("norm", "p as a number, inf, -inf or 'fro'", repr(p)))
    if not isinstance(axis, tuple) or len(axis) == 1:
        return _reduce("norm", x, axis, keepdim, p=float(p))
    if len(axis) != 2 or abs(p) not in (1, math.inf):
        raise ValueError(explain("norm", "one axis, or two and p 'fro', 1, -1, inf or -inf",
                                 f"axis={list(axis)}, p={p}"))
    rows, columns = (a % x.ndim for a in axis)
    summed, left = (rows, columns) if abs(p) == 1 else (columns, rows)
    sums = _reduce("norm", x, summed, True, p=1.0)
    largest = _reduce("max" if p > 0 else "min", sums, left, True)
    return largest if keepdim else call(OPS["squeeze"], (largest,), {"axis": (rows, columns)})


def cumsum(x, axis=None, dtype=None, name=None):
    """The running sum along `axis`; of the flattened x for None. Integers and bools add up in int64."""
    x = _cast(x, dtype)
    if axis is None:
        x, axis = call(OPS["reshape"], (x,), {"shape": (-1,)}), 0
    return call(OPS["cumsum"], (x,), {"axis": integer("cumsum", axis)})


def cumprod(x, dim=None, *, dtype=None, name=None):
    """The running product along `dim`; of the flattened x for None."""
    x = _cast(x, dtype)
    if dim is None:
        x, dim = call(OPS["reshape"], (x,), {"shape": (-1,)}), 0
    return call(OPS["cumprod"], (x,), {"axis": integer("cumprod", dim)})
