"""Counting, ordering and sampling: histograms, quantiles, modes, and draws from distributions."""
import numpy as np

from gpuflow import device, dtypes
from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.functional.arguments import known
from gpuflow.functional.manipulation import moveaxis, reshape
from gpuflow.functional.random import rand, randn
from gpuflow.functional.search import sort, where
from gpuflow.ops.registry import OPS, normal_axis
from gpuflow.ops.rows import sums_at
from gpuflow.tensor import Tensor, to_tensor

__all__ = ["bincount", "binomial", "histogram", "histogram_bin_edges", "histogramdd", "isin", "mode", "nanmedian",
           "nanquantile", "poisson", "quantile", "rand_like", "randn_like", "standard_gamma"]


def _do(name, *inputs, **attrs):
    return call(OPS[name], inputs, attrs)


def bincount(x, weights=None, minlength=0, name=None):
    """How often each number from 0 on occurs in a vector of integers, or the sum of its weights: at least minlength."""
    if x.ndim != 1 or x.dtype.is_differentiable:
        raise TypeError(explain("bincount", "a vector of integers", f"{x.dtype.name} {list(x.shape)}"))
    array = x._array
    if array.size and int(array.min()) < 0:
        raise ValueError(explain("bincount", "numbers >= 0", str(int(array.min()))))
    xp = device.module_of(array)
    if weights is None:
        return Tensor(xp.bincount(array, None, minlength))
    return Tensor(sums_at(xp, array, weights._array, minlength).astype(weights._array.dtype))


def _limits(array, low, high):
    """The range of a histogram: that of the numbers where low and high are equal and 0."""
    if low > high:
        raise ValueError(explain("histogram", "min <= max", f"{low} and {high}"))
    if low == high == 0 and array.size:
        low, high = float(array.min()), float(array.max())
    return (low - 0.5, high + 0.5) if low == high else (low, high)


def histogram(input, bins=100, min=0, max=0, weight=None, density=False, name=None):
    """How many elements fall into each of `bins` equal parts of [min, max] (0, 0: from the smallest to the largest).

    weight: of input's shape, summed in place of counting. density: so that the area is one. int64, or float32.
    """
    xp = device.module_of(input._array)
    array = input._array.reshape(-1)
    counts, edges = xp.histogram(array, bins, _limits(array, min, max),
                                 weights=None if weight is None else weight._array.reshape(-1))
    if density:
        total = counts.sum()
        return Tensor((counts / (edges[1:] - edges[:-1]) / xp.where(total == 0, 1, total)).astype(xp.float32))
    return Tensor(counts.astype(xp.int64) if weight is None else counts.astype(weight._array.dtype))


def histogram_bin_edges(input, bins=100, min=0, max=0, name=None):
    """The bins + 1 edges of `histogram`."""
    low, high = _limits(input._array, min, max)
    return to_tensor(np.linspace(low, high, bins + 1), "float32", input.place)


def histogramdd(x, bins=10, ranges=None, density=False, weights=None, name=None):
    """(counts, list of edges) of points x [n, d] in a grid. bins: a number, one per axis, or the edges per axis.

    ranges: low, high, low, high ... weights: [n]. Counts are in x's dtype.
    """
    points = x.numpy().reshape(-1, x.shape[-1])
    bins = [b.numpy() if isinstance(b, Tensor) else b for b in bins] if isinstance(bins, list | tuple) else bins
    pairs = None if ranges is None else list(zip(ranges[::2], ranges[1::2]))
    counts, edges = np.histogramdd(points, bins, pairs, density,
                                   None if weights is None else weights.numpy().reshape(-1))
    return to_tensor(counts, x.dtype, x.place), [to_tensor(e, x.dtype, x.place) for e in edges]


def isin(x, test_x, assume_unique=False, invert=False, name=None):
    """True where an element of x is among those of test_x (invert: where it is not)."""
    flat, place = reshape(test_x, [1, -1]), reshape(x, [-1, 1])
    found = reshape(_do("any", place == flat, axis=1, keepdim=False), x.shape)
    return _do("logical_not", found) if invert else found


def mode(x, axis=-1, keepdim=False, name=None):
    """(the most frequent element along `axis`, its last place); the smallest of equally frequent ones."""
    axis = normal_axis("mode", axis, x.ndim)
    places = _do("most_frequent", x, axis=axis)
    values = _do("take_along_axis", x, places, axis=axis)
    if keepdim:
        return values, places
    return _do("squeeze", values, axis=axis), _do("squeeze", places, axis=axis)


def _flat(where_, x, axis):
    """(x with what is reduced on its last axis, the shape with keepdim)."""
    if axis is None:
        return reshape(x, [-1]), [1] * x.ndim
    axes = [axis] if isinstance(axis, int) else list(axis)
    axes = [normal_axis(where_, a, x.ndim) for a in axes]
    if len(set(axes)) != len(axes):
        raise ValueError(explain(where_, "each axis once", str(axes)))
    kept = [s for i, s in enumerate(x.shape) if i not in axes]
    shape = [1 if i in axes else s for i, s in enumerate(x.shape)]
    return reshape(moveaxis(x, axes, list(range(x.ndim - len(axes), x.ndim))), [*kept, -1]), shape


def _quantile(where_, x, q, axis, keepdim, interpolation, skip_nan):
    ways = ("linear", "higher", "lower", "midpoint", "nearest")
    if interpolation not in ways:
        raise ValueError(explain(where_, f"interpolation among {ways}", repr(interpolation)))
    numbers = q.tolist() if isinstance(q, Tensor) else q
    numbers = list(numbers) if isinstance(numbers, list | tuple) else [numbers]
    if not numbers or any(not 0 <= n <= 1 for n in numbers):
        raise ValueError(explain(where_, "q in [0, 1]", str(numbers)))
    x = x if x.dtype.is_floating else _do("cast", x, dtype=dtypes.default_float())
    rows, kept = _flat(where_, x, axis)
    missing = _do("isnan", rows)
    ordered = sort(where(missing, _do("full_like", rows, value=np.inf, dtype=rows.dtype), rows), -1)
    holes = _do("sum", _do("cast", missing, dtype=dtypes.int64), axis=-1, keepdim=True)
    last = known(where_, rows, -1) - 1 - (holes if skip_nan else 0 * holes)
    nothing = last < 0 if skip_nan else holes > 0
    last = _do("clip", last, min=0)
    results = []
    for number in numbers:
        place = _do("cast", last, dtype=dtypes.float64) * number
        low = _do("floor", place)
        part = _do("cast", place - low, dtype=rows.dtype)
        part = {"linear": lambda p: p, "lower": lambda p: p * 0, "higher": lambda p: _do("ceil", p),
                "midpoint": lambda p: _do("ceil", p) * 0.5, "nearest": lambda p: _do("round", p)}[interpolation](part)
        first = _do("cast", low, dtype=dtypes.int64)
        second = _do("minimum", first + 1, last)
        a, b = (_do("take_along_axis", ordered, i, axis=-1) for i in (first, second))
        value = where(part == 0, a, a + (b - a) * part)
        value = where(nothing, _do("full_like", value, value=np.nan, dtype=value.dtype), value)
        results.append(reshape(value, kept if keepdim else value.shape[:-1]))
    return results[0] if not isinstance(q, list | tuple | Tensor) or getattr(q, "ndim", 1) == 0 else \
        _do("stack", *results, axis=0)


def quantile(x, q, axis=None, keepdim=False, interpolation="linear"):
    """The numbers below which the part q of the elements over `axis` lies; several, stacked in front, for a list q.

    interpolation between neighbours: linear, lower, higher, midpoint or nearest. nan where there is a nan.
    """
    return _quantile("quantile", x, q, axis, keepdim, interpolation, False)


def nanquantile(x, q, axis=None, keepdim=False, interpolation="linear"):
    """`quantile` of what is not nan; nan where nothing is left."""
    return _quantile("nanquantile", x, q, axis, keepdim, interpolation, True)


def nanmedian(x, axis=None, keepdim=False, mode="avg", name=None):
    """The median over `axis` of what is not nan. mode "avg": the mean of the middle two, "min": the lower of them, and
    with an axis also its place."""
    if mode not in ("avg", "min"):
        raise ValueError(explain("nanmedian", "mode 'avg' or 'min'", repr(mode)))
    value = _quantile("nanmedian", x, 0.5, axis, keepdim, "midpoint" if mode == "avg" else "lower", True)
    if mode == "avg" or axis is None or not isinstance(axis, int):
        return value
    whole = _quantile("nanmedian", x, 0.5, axis, True, "lower", True)
    places = _do("argmax", _do("cast", x == whole, dtype=dtypes.int32), axis=axis, keepdim=keepdim)
    return value, places


# ---- draws -----------------------------------------------------------------------------------------------------------


def rand_like(input, name=None, *, dtype=None, device=None, requires_grad=False):
    """Numbers evenly distributed in [0, 1), in the tensor's shape and dtype."""
    return _like(rand, input, dtype, device, requires_grad)


def randn_like(x, dtype=None, name=None, *, device=None, requires_grad=False):
    """Numbers from the standard normal distribution, in x's shape and dtype."""
    return _like(randn, x, dtype, device, requires_grad)


def _like(draw, x, dtype, place, requires_grad):
    out = draw(x.shape, x.dtype if dtype is None else dtype).to(x.place if place is None else place)
    out.stop_gradient = not requires_grad
    return out


def poisson(x, name=None):
    """Whole numbers from Poisson distributions with the means x, in x's dtype. No gradient."""
    return _do("poisson", x)


def binomial(count, prob, name=None):
    """How many of `count` draws with the chance `prob` succeed: int64, of their broadcast shape. No gradient."""
    return _do("binomial", count, prob)


def standard_gamma(x, name=None):
    """Numbers from gamma distributions with the shapes x and rate 1, in x's dtype. No gradient."""
    return _do("standard_gamma", x)


