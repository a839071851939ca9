"""Numerical functions made of others: differences, areas, distances, products of vectors, bits and signs."""
import math

import numpy as np

from gpuflow import dtypes
from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.functional import activation
from gpuflow.functional.arguments import integer, known
from gpuflow.functional.joining import combinations
from gpuflow.functional.manipulation import broadcast_to, concat, flip, moveaxis, reshape, unsqueeze
from gpuflow.functional.search import index_select, where
from gpuflow.ops.registry import OPS, normal_axis
from gpuflow.tensor import Tensor, to_tensor

__all__ = ["baddbmm", "bitwise_left_shift", "bitwise_right_shift", "cdist", "copysign", "cross", "cummax", "cummin",
           "cumulative_trapezoid", "diff", "dist", "frexp", "gcd", "hypot", "isneginf", "isposinf", "kron", "lcm",
           "ldexp", "logaddexp", "logcumsumexp", "logspace", "nextafter", "pdist", "positive", "reduce_as", "renorm",
           "signbit", "sinc", "softmax", "trapezoid", "vander"]


def _do(name, *inputs, **attrs):
    return call(OPS[name], inputs, attrs)


def _total(x, axis, keepdim=False):
    return _do("sum", x, axis=axis, keepdim=keepdim)


def _entry(x, axis, part):
    return _do("getitem", x, index=(*[slice(None)] * axis, part))


def baddbmm(input, x, y, beta=1.0, alpha=1.0, name=None):
    """beta * input + alpha * (x @ y) for batches of matrices x [b, n, k] and y [b, k, m]."""
    if x.ndim != 3 or y.ndim != 3:
        raise ValueError(explain("baddbmm", "x [b, n, k] and y [b, k, m]", f"{list(x.shape)} and {list(y.shape)}"))
    return input * beta + _do("matmul", x, y) * alpha


def bitwise_left_shift(x, y, is_arithmetic=True, out=None, name=None):
    """x with its bits moved y places up: integers. is_arithmetic False: bits only, the sign is none."""
    return _do("bitwise_left_shift", x, y)


def bitwise_right_shift(x, y, is_arithmetic=True, out=None, name=None):
    """x with its bits moved y places down: integers. is_arithmetic: the sign stays, else zeros come in."""
    return _do("bitwise_right_shift", x, y, arithmetic=bool(is_arithmetic))


def cross(x, y, axis=9, name=None):
    """The cross product of vectors of three along `axis` (default: the first axis of size 3)."""
    if axis == 9:
        axis = next((i for i, s in enumerate(x.shape) if s == 3), None)
        if axis is None:
            raise ValueError(explain("cross", "an axis of size 3", str(list(x.shape))))
    axis = normal_axis("cross", axis, x.ndim)
    if x.shape[axis] != 3 or y.shape[axis] != 3:
        raise ValueError(explain("cross", f"size 3 on axis {axis}", f"{x.shape[axis]} and {y.shape[axis]}"))
    a, b = ([_entry(t, axis, slice(i, i + 1)) for i in range(3)] for t in (x, y))
    return concat([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]], axis=axis)


def cummax(x, axis=None, dtype="int64", name=None):
    """(the largest element so far along `axis`, its place); of the flattened x for None. The last of equal ones."""
    return _running("cummax", x, axis, dtype)


def cummin(x, axis=None, dtype="int64", name=None):
    """(the smallest element so far along `axis`, its place); of the flattened x for None. The last of equal ones."""
    return _running("cummin", x, axis, dtype)


def _running(name, x, axis, dtype):
    if axis is None:
        x, axis = reshape(x, [-1]), 0
    axis = normal_axis(name, integer(name, axis), x.ndim)
    places = _do("cumulative_place", x, axis=axis, largest=name == "cummax")
    return _do("take_along_axis", x, places, axis=axis), _do("cast", places, dtype=dtypes.convert(dtype))


def diff(x, n=1, axis=-1, prepend=None, append=None, name=None):
    """The differences of neighbours along `axis`, n times; prepend, append: what stands before and after x."""
    if n < 0:
        raise ValueError(explain("diff", "n >= 0", str(n)))
    axis = normal_axis("diff", axis, x.ndim)
    parts = [t for t in (prepend, x, append) if t is not None]
    x = concat(parts, axis=axis) if len(parts) > 1 else x
    for _ in range(n):
        upper, lower = _entry(x, axis, slice(1, None)), _entry(x, axis, slice(None, -1))
        x = _do("logical_xor", upper, lower) if x.dtype is dtypes.bool_ else upper - lower
    return x


def _strips(where_, y, x, dx, axis):
    """The areas of the trapezoids between neighbours along `axis`."""
    if x is not None and dx is not None:
        raise ValueError(explain(where_, "x or dx", "both"))
    axis = normal_axis(where_, axis, y.ndim)
    means = (_entry(y, axis, slice(1, None)) + _entry(y, axis, slice(None, -1))) * 0.5
    if x is None:
        return means * (1.0 if dx is None else dx), axis
    if x.ndim == 1 and y.ndim > 1:
        x = reshape(x, [-1 if i == axis else 1 for i in range(y.ndim)])
    return means * diff(x, axis=axis), axis


def trapezoid(y, x=None, dx=None, axis=-1, name=None):
    """The area below y along `axis` by the trapezoidal rule. x: the places, or dx: their distance (default 1)."""
    strips, axis = _strips("trapezoid", y, x, dx, axis)
    return _total(strips, axis)


def cumulative_trapezoid(y, x=None, dx=None, axis=-1, name=None):
    """`trapezoid` up to each place but the first."""
    strips, axis = _strips("cumulative_trapezoid", y, x, dx, axis)
    return _do("cumsum", strips, axis=axis)


def _p_norm(x, p, axis=-1):
    """The p-norm along an axis."""
    if p == 0:
        return _total(_do("cast", x != 0, dtype=x.dtype), axis)
    return _do("norm", x, p=float(p), axis=axis, keepdim=False)


def dist(x, y, p=2, name=None):
    """The p-norm of x - y over all elements; the two broadcast. p: a number, 0 counts, inf is the largest."""
    return _p_norm(reshape(x - y, [-1]), p)


def cdist(x, y, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary", name=None):
    """[..., n, m]: the p-norm distances of each of n vectors of x [..., n, d] to each of m of y [..., m, d]."""
    modes = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
    if compute_mode not in modes:
        raise ValueError(explain("cdist", f"compute_mode among {modes}", repr(compute_mode)))
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-1] or p < 0:
        raise ValueError(explain("cdist", "x [..., n, d], y [..., m, d] and p >= 0",
                                 f"{list(x.shape)}, {list(y.shape)} and {p}"))
    return _p_norm(unsqueeze(x, -2) - unsqueeze(y, -3), p)


def pdist(x, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary", name=None):
    """The p-norm distances of all pairs of the rows of x [n, d]: [n (n - 1) / 2]."""
    if x.ndim != 2:
        raise ValueError(explain("pdist", "x [n, d]", str(list(x.shape))))
    pairs = combinations(to_tensor(np.arange(known("pdist", x, 0)), place=x.place))
    return _p_norm(index_select(x, pairs[:, 0]) - index_select(x, pairs[:, 1]), p)


def hypot(x, y, name=None):
    """sqrt(x * x + y * y): the long side of a right triangle."""
    return _do("sqrt", x * x + y * y)


def copysign(x, y, name=None):
    """|x| with the sign of y, -0.0 counting as negative."""
    y = y if isinstance(y, Tensor) else to_tensor(float(y), place=x.place)
    x = x if x.dtype.is_floating else _do("cast", x, dtype=dtypes.default_float())
    return where(signbit(y), -_do("abs", x), _do("abs", x))


def signbit(x, name=None):
    """True where x is negative, -0.0 included."""
    return _do("signbit", x)


def positive(x):
    """x itself; TypeError for bool."""
    if x.dtype is dtypes.bool_:
        raise TypeError(explain("positive", "numbers", "bool"))
    return x


def isposinf(x, name=None):
    """True where x is inf."""
    return _do("logical_and", _do("isinf", x), x > 0)


def isneginf(x, name=None):
    """True where x is -inf."""
    return _do("logical_and", _do("isinf", x), x < 0)


def logaddexp(x, y, name=None):
    """log(exp(x) + exp(y)), without overflow."""
    high = _do("maximum", x, y)
    return high + _do("log1p", _do("exp", -_do("abs", x - y)))


def logcumsumexp(x, axis=None, dtype=None, name=None):
    """log of the running sum of exp(x) along `axis`; of the flattened x for None."""
    x = x if dtype is None else _do("cast", x, dtype=dtypes.convert(dtype))
    if axis is None:
        x, axis = reshape(x, [-1]), 0
    axis = normal_axis("logcumsumexp", axis, x.ndim)
    shift = _do("max", x, axis=axis, keepdim=True).detach()
    return _do("log", _do("cumsum", _do("exp", x - shift), axis=axis)) + shift


def logspace(start, stop, num, base=10.0, dtype=None, name=None):
    """base ** start to base ** stop in `num` steps of one factor."""
    from gpuflow.functional.creation import linspace

    kind = dtypes.default_float() if dtype is None else dtypes.convert(dtype)
    exponents = linspace(start, stop, num, "float64")
    base = float(base.item() if isinstance(base, Tensor) else base)
    return _do("cast", _do("exp", exponents * math.log(base)), dtype=kind)


def kron(x, y, name=None):
    """Every element of x times the whole of y: the Kronecker product; the shorter shape is filled up with ones."""
    rank = max(x.ndim, y.ndim)
    a, b = [1] * (rank - x.ndim) + list(x.shape), [1] * (rank - y.ndim) + list(y.shape)
    x = reshape(x, [s for pair in zip(a, [1] * rank) for s in pair])
    y = reshape(y, [s for pair in zip([1] * rank, b) for s in pair])
    return reshape(x * y, [s * t for s, t in zip(a, b)])


def gcd(x, y, name=None):
    """The greatest common divisor of integers, elementwise."""
    return _do("gcd", x, y)


def lcm(x, y, name=None):
    """The least common multiple of integers, elementwise; 0 beside 0."""
    divisor = _do("gcd", x, y)
    safe = where(divisor == 0, _do("full_like", divisor, value=1, dtype=divisor.dtype), divisor)
    return _do("abs", x // safe * y)


def ldexp(x, y, name=None):
    """x times two to the power y."""
    x = x if x.dtype.is_floating else _do("cast", x, dtype=dtypes.default_float())
    return x * _do("pow", 2.0, _do("cast", y, dtype=x.dtype))


def frexp(x, name=None):
    """(mantissa, exponent) with x = mantissa * 2 ** exponent, the mantissa in [0.5, 1) or 0; both in x's dtype."""
    exponent = where(x == 0, _do("full_like", x, value=0.0, dtype=x.dtype),
                     _do("floor", _do("log2", where(x == 0, _do("full_like", x, value=1.0, dtype=x.dtype),
                                                    _do("abs", x)))) + 1.0)
    return x / _do("pow", 2.0, exponent), exponent


def nextafter(x, y, name=None):
    """The number next to x towards y. No gradient."""
    return _do("nextafter", x, y)


def sinc(x, name=None):
    """sin(pi x) / (pi x), 1 at 0."""
    x = x if x.dtype.is_floating else _do("cast", x, dtype=dtypes.default_float())
    one = _do("full_like", x, value=1.0, dtype=x.dtype)
    angle = where(x == 0, one, x) * math.pi
    return where(x == 0, one, _do("sin", angle) / angle)


def reduce_as(x, target, name=None):
    """x summed down to the shape that broadcasts to it."""
    more = x.ndim - target.ndim
    axes = [i for i in range(x.ndim) if i < more or (target.shape[i - more] == 1 and x.shape[i] != 1)]
    return reshape(_total(x, axes, True) if axes else x, target.shape)


def renorm(x, p, axis, max_norm):
    """x with each entry along `axis` scaled down to a p-norm of at most max_norm."""
    axis = normal_axis("renorm", axis, x.ndim)
    rows = reshape(moveaxis(x, axis, 0), [x.shape[axis], -1])
    lengths = _do("norm", rows, p=float(p), axis=1, keepdim=True)
    factor = where(lengths > max_norm, max_norm / (lengths + 1e-7), _do("full_like", lengths, value=1.0,
                                                                        dtype=lengths.dtype))
    shape = [x.shape[axis] if i == axis else 1 for i in range(x.ndim)]
    return x * reshape(factor, shape)


def softmax(input, dim=None, dtype=None):
    """exp(input) / its sum along `dim`, computed in `dtype`. None: the first axis of no, one and three axes, else the
    second. (`nn.functional.softmax` takes the last axis.)"""
    return activation.softmax(input, (0 if input.ndim in (0, 1, 3) else 1) if dim is None else dim, dtype)


def vander(x, n=None, increasing=False, name=None):
    """[size, n]: the powers n - 1 to 0 of the elements of a vector, or 0 to n - 1."""
    if x.ndim != 1:
        raise ValueError(explain("vander", "a vector", str(list(x.shape))))
    n = x.shape[0] if n is None else n
    if n < 0:
        raise ValueError(explain("vander", "n >= 0", str(n)))
    ones = _do("full_like", unsqueeze(x, 1), value=1, dtype=x.dtype)
    if n < 2:
        return ones[:, :n]
    powers = _do("cumprod", broadcast_to(unsqueeze(x, 1), [x.shape[0], n - 1]), axis=1)
    out = concat([ones, powers], axis=1)
    return out if increasing else flip(out, [1])
