"""Reductions over axes.

Attributes are normal by the time they arrive: axis is None or a tuple or int, keepdim a bool.
"""
import math

from gpuflow import dtypes
from gpuflow.errors import explain
from gpuflow.ops.registry import Spec, normal_axes, normal_axis, op, reduced


def spread(xp, g, shape, axis, keepdim):
    """A reduction's gradient laid over the reduced axes: shaped so that it broadcasts to `shape`."""
    axes = normal_axes("reduction", axis, len(shape))
    return g if keepdim else g.reshape(tuple(1 if i in axes else s for i, s in enumerate(shape)))


def _axis(axis):
    return tuple(axis) if isinstance(axis, list) else axis


def _sum_dtype(kind):
    return kind if kind.is_differentiable else dtypes.int64


@op("sum", infer=reduced("sum", _sum_dtype), saves=("x_shape",), quiet=True)
def sum(xp, x, *, axis=None, keepdim=False):
    """The sum over `axis` (all by default). Integers and bools add up in int64; float16 and bfloat16 in float32."""
    if x.dtype.kind in "bui":
        return xp.sum(x, axis=_axis(axis), keepdims=keepdim, dtype=xp.int64)
    if x.dtype.itemsize == 2:
        return xp.sum(x.astype(xp.float32), axis=_axis(axis), keepdims=keepdim).astype(x.dtype)
    return xp.sum(x, axis=_axis(axis), keepdims=keepdim)


@sum.grad
def sum_grad(xp, g, saved, *, axis=None, keepdim=False):
    return (xp.broadcast_to(spread(xp, g, saved.x_shape, axis, keepdim), saved.x_shape),)


@op("mean", infer=reduced("mean"), saves=("x_shape",), quiet=True)
def mean(xp, x, *, axis=None, keepdim=False):
    """The mean over `axis` (all by default), in x's dtype; float16 and bfloat16 are summed in float32."""
    wide = xp.float32 if x.dtype.itemsize == 2 else None
    if not x.size:   # xp.mean gives a warning of its own for it
        return xp.full(xp.sum(x, axis=_axis(axis), keepdims=keepdim).shape, xp.nan).astype(x.dtype)
    return xp.asarray(xp.mean(x, axis=_axis(axis), keepdims=keepdim, dtype=wide)).astype(x.dtype)


@mean.grad
def mean_grad(xp, g, saved, *, axis=None, keepdim=False):
    shape = saved.x_shape
    count = 1
    for a in normal_axes("mean", axis, len(shape)):
        count *= shape[a]
    return (xp.broadcast_to(spread(xp, g, shape, axis, keepdim) / max(count, 1), shape),)


def _empty_axis(where, x, axis):
    """ValueError where a maximum would be taken over nothing."""
    for a in normal_axes(where, axis, len(x.shape)):
        if x.shape[a] == 0:
            raise ValueError(explain(where, "at least one element along each reduced axis", str(list(x.shape))))


def _extreme(name, text, pick):
    """Registers a maximum or minimum. Elements that tie share the gradient evenly, as in Paddle."""

    def infer(x, *, axis=None, keepdim=False):
        _empty_axis(name, x, axis)
        return reduced(name)(x, axis=axis, keepdim=keepdim)

    def forward(xp, x, *, axis=None, keepdim=False):
        return pick(x, _axis(axis), keepdim)

    def gradient(xp, g, saved, *, axis=None, keepdim=False):
        shape = saved.x.shape
        chosen = (saved.x == spread(xp, saved.out, shape, axis, keepdim)).astype(saved.x.dtype)
        count = xp.sum(chosen, axis=normal_axes(name, axis, len(shape)), keepdims=True)
        return (spread(xp, g, shape, axis, keepdim) / count * chosen,)

    forward.__doc__ = text
    op(name, infer=infer, saves=("x", "out"))(forward).grad(gradient)


for _names, _pick, _word in [(("max", "amax"), lambda x, a, k: x.max(axis=a, keepdims=k), "largest"),
                             (("min", "amin"), lambda x, a, k: x.min(axis=a, keepdims=k), "smallest")]:
    for _name in _names:
        _extreme(_name, f"The {_word} element over `axis` (all by default). Equal ones share the gradient evenly.",
                 _pick)


def _moved_last(xp, x, axis):
    """x with the axes of `axis` brought to the end and joined into one, and the way back (a function)."""
    axes = normal_axes("reduction", axis, x.ndim)
    order = tuple(i for i in range(x.ndim) if i not in axes) + axes
    moved = x.transpose(order)
    shape = moved.shape
    back = tuple(order.index(i) for i in range(x.ndim))
    return moved.reshape((*shape[:x.ndim - len(axes)], -1)), lambda y: y.reshape(shape).transpose(back)


@op("prod", infer=reduced("prod"), saves=("x",), quiet=True)
def prod(xp, x, *, axis=None, keepdim=False):
    """The product over `axis` (all by default), in x's dtype. The gradient is right at zeros as well."""
    if x.dtype.itemsize == 2 and x.dtype.kind not in "iu":
        return xp.prod(x.astype(xp.float32), axis=_axis(axis), keepdims=keepdim).astype(x.dtype)
    return xp.prod(x, axis=_axis(axis), keepdims=keepdim, dtype=x.dtype)


@prod.grad
def prod_grad(xp, g, saved, *, axis=None, keepdim=False):
    g = xp.broadcast_to(spread(xp, g, saved.x.shape, axis, keepdim), saved.x.shape)
    rows, back = _moved_last(xp, saved.x, axis)
    ones = xp.ones((*rows.shape[:-1], 1), rows.dtype)
    left = cumprod(xp, xp.concatenate((ones, rows[..., :-1]), axis=-1), axis=-1)  # the product of those before
    right = xp.flip(cumprod(xp, xp.flip(xp.concatenate((rows[..., 1:], ones), axis=-1), -1), axis=-1), -1)
    return (g * back(left * right),)


@op("var", infer=reduced("var", lambda kind: kind if kind.is_differentiable else dtypes.default_float()), saves=("x",),
    quiet=True, as_float=True)
def var(xp, x, *, axis=None, correction=1, keepdim=False):
    """The mean squared distance from the mean over `axis`, with n - correction in place of n."""
    return xp.asarray(xp.var(x, axis=_axis(axis), ddof=correction, keepdims=keepdim))


@var.grad
def var_grad(xp, g, saved, *, axis=None, correction=1, keepdim=False):
    x = saved.x
    count = 1
    for a in normal_axes("var", axis, x.ndim):
        count *= x.shape[a]
    distance = x - xp.mean(x, axis=_axis(axis), keepdims=True)
    scale = 2 / (count - correction) if count > correction else math.nan
    return (spread(xp, g, x.shape, axis, keepdim) * distance * scale,)


@op("logsumexp", infer=reduced("logsumexp", lambda kind: kind if kind.is_differentiable else dtypes.default_float()),
    saves=("x", "out"), quiet=True, as_float=True)
def logsumexp(xp, x, *, axis=None, keepdim=False):
    """log(sum(exp(x))) over `axis` (all by default), shifted by the maximum so that nothing overflows."""
    top = x.max(axis=_axis(axis), keepdims=True)
    top = xp.where(xp.isfinite(top), top, x.dtype.type(0))
    out = xp.log(xp.sum(xp.exp(x - top), axis=_axis(axis), keepdims=True)) + top
    return out if keepdim else out.reshape(xp.max(x, axis=_axis(axis)).shape)


@logsumexp.grad
def logsumexp_grad(xp, g, saved, *, axis=None, keepdim=False):
    shape = saved.x.shape
    share = xp.exp(saved.x - spread(xp, saved.out, shape, axis, keepdim))
    return (spread(xp, g, shape, axis, keepdim) * share,)


@op("norm", infer=reduced("norm"), saves=("x", "out"), quiet=True, as_float=True)
def norm(xp, x, *, p=2.0, axis=None, keepdim=False):
    """The p-norm over `axis`, taken as one vector: (sum |x|^p)^(1/p); largest and smallest |x| for p = inf and -inf; p
    = 0 counts what is not zero. The gradient is 0 where the norm is."""
    axis = _axis(axis)
    if p == 2:
        return xp.sqrt(xp.sum(x * x, axis=axis, keepdims=keepdim))
    size = xp.abs(x)
    if p in (math.inf, -math.inf):
        return (size.max if p > 0 else size.min)(axis=axis, keepdims=keepdim)
    if p == 0:
        return xp.sum(x != 0, axis=axis, keepdims=keepdim).astype(x.dtype)
    if p == 1:
        return xp.sum(size, axis=axis, keepdims=keepdim)
    return xp.sum(size ** p, axis=axis, keepdims=keepdim) ** (1 / p)


@norm.grad
def norm_grad(xp, g, saved, *, p=2.0, axis=None, keepdim=False):
    x = saved.x
    g = spread(xp, g, x.shape, axis, keepdim)
    out = spread(xp, saved.out, x.shape, axis, keepdim)
    if p == 0:
        return (xp.zeros_like(x),)
    if p == 1:
        return (g * xp.sign(x),)
    if p in (math.inf, -math.inf):
        return (xp.where(xp.abs(x) == out, g * xp.sign(x), 0.0),)
    over = xp.where(out == 0, 1.0, out)
    if p == 2:
        return (g * x / over,)
    size = xp.abs(x)
    slope = xp.sign(x) * xp.power(xp.where(size == 0, 1.0, size), p - 1) * xp.power(over, 1 - p)
    return (xp.where(out == 0, 0.0, g * slope),)


@op("all", infer=reduced("all", dtypes.bool_))
def all(xp, x, *, axis=None, keepdim=False):
    """True where every element over `axis` is true (not zero)."""
    return xp.all(x, axis=_axis(axis), keepdims=keepdim)


@op("any", infer=reduced("any", dtypes.bool_))
def any(xp, x, *, axis=None, keepdim=False):
    """True where some element over `axis` is true (not zero)."""
    return xp.any(x, axis=_axis(axis), keepdims=keepdim)


@op("count_nonzero", infer=reduced("count_nonzero", dtypes.int64))
def count_nonzero(xp, x, *, axis=None, keepdim=False):
    """How many elements over `axis` are not zero, in int64."""
    return xp.sum(x != 0, axis=_axis(axis), keepdims=keepdim, dtype=xp.int64)


# ---- running sums and products -------------------------------------------------------------------------------------


def _along(where):
    def rule(x, *, axis):
        normal_axis(where, axis, len(x.shape))
        return Spec(x.shape, _sum_dtype(x.dtype) if where == "cumsum" else x.dtype)

    return rule


@op("cumsum", infer=_along("cumsum"), quiet=True)
def cumsum(xp, x, *, axis):
    """Each element plus all before it along `axis`. Integers and bools add up in int64, 16-bit floats in float32."""
    if not x.ndim:
        return x.astype(xp.int64) if x.dtype.kind in "bui" else x.copy()
    if x.dtype.itemsize == 2 and x.dtype.kind not in "iu":
        return xp.cumsum(x, axis=axis, dtype=xp.float32).astype(x.dtype)
    return xp.cumsum(x, axis=axis, dtype=xp.int64 if x.dtype.kind in "bui" else None)


@cumsum.grad
def cumsum_grad(xp, g, saved, *, axis):
    return (_from_the_end(xp, g, axis),)


def _from_the_end(xp, g, axis):
    """Each element plus all after it."""
    return xp.flip(cumsum(xp, xp.flip(g, axis), axis=axis), axis) if g.ndim else g


@op("cumprod", infer=_along("cumprod"), saves=("x", "out"), quiet=True)
def cumprod(xp, x, *, axis):
    """Each element times all before it along `axis`, in x's dtype.

    The gradient is right at zeros as well; its own gradient is not (the factor that is zero cancels out of it).
    """
    if not x.ndim:
        return x.copy()
    wide = xp.float32 if x.dtype.itemsize == 2 and x.dtype.kind not in "iu" else x.dtype
    return xp.cumprod(x, axis=axis, dtype=wide).astype(x.dtype, copy=False)


@cumprod.grad
def cumprod_grad(xp, g, saved, *, axis):
    x = saved.x
    if not x.ndim:
        return (g,)
    zero = x == 0
    ones = xp.ones_like(x)
    first = zero & (cumsum(xp, xp.where(zero, ones, 0.0), axis=axis) == 1)
    without = cumprod(xp, xp.where(first, ones, x), axis=axis)  # as if the first zero were not there
    plain = _from_the_end(xp, g * saved.out, axis) / xp.where(zero, ones, x)
    return (xp.where(first, _from_the_end(xp, g * without, axis), plain),)
