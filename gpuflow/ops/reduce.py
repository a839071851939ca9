"""Reductions over axes. Attributes are normal by the time they arrive: axis is None or a tuple or int, keepdim a bool."""
from gpuflow import dtypes
from gpuflow.ops.registry import normal_axes, op, reduced


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
    return xp.asarray(xp.mean(x, axis=_axis(axis), keepdims=keepdim, dtype=wide)).astype(x.dtype)


@mean.grad
def mean_grad(xp, g, saved, *, axis=None, keepdim=False):
    shape = saved.x_shape
    count = 1
    for a in normal_axes("mean", axis, len(shape)):
        count *= shape[a]
    return (xp.broadcast_to(spread(xp, g, shape, axis, keepdim) / max(count, 1), shape),)
