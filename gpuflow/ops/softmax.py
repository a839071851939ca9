"""softmax and log_softmax: one op each, computed in float32 at least, shifted by the maximum so that exp cannot
overflow."""
import numpy as np

from gpuflow.ops.registry import floating, normal_axis, op
from gpuflow_kernels import passes


def _spec(x, *, axis=-1):
    normal_axis("softmax", axis, len(x.shape))
    return floating()(x)


def _compiled(xp, x, axis, *more):
    return xp is np and axis in (-1, x.ndim - 1) and passes.takes(x, *more)


def exponentials(xp, x, axis=-1, out=None):
    """(exp(x - peak) / total, peak, total) along `axis`, of which the latter two keep it as size 1.

    out: where the first may go, an array like x or x itself.
    """
    if _compiled(xp, x, axis):
        out, rows = np.empty_like(x) if out is None else out, (-1, x.shape[-1])
        peak, total = passes.softmax(x.reshape(rows), out.reshape(rows))
        kept = (*x.shape[:-1], 1)
        return out, peak.reshape(kept), total.reshape(kept)
    peak = x.max(axis=axis, keepdims=True)
    out = xp.subtract(x, peak, out=out)
    xp.exp(out, out=out)
    total = out.sum(axis=axis, keepdims=True)
    out /= total
    return out, peak, total


@op("softmax", infer=_spec, saves=("out",), quiet=True, as_float=True)
def softmax(xp, x, *, axis=-1):
    """exp(x) / sum(exp(x)) along `axis`: positive numbers that add up to 1."""
    return exponentials(xp, x, axis)[0] if x.ndim else xp.ones_like(x)


@softmax.grad
def softmax_grad(xp, g, saved, *, axis=-1):
    return (through_softmax(xp, g, saved.out, axis) if saved.out.ndim else g * 0,)


def through_softmax(xp, g, out, axis=-1):
    """What softmax, whose result was `out`, passes back of g."""
    if _compiled(xp, g, axis, out):
        rows = (-1, g.shape[-1])
        return passes.softmax_slope(g.reshape(rows), out.reshape(rows)).reshape(g.shape)
    weighted = g * out
    return weighted - out * weighted.sum(axis=axis, keepdims=True)


@op("log_softmax", infer=_spec, saves=("out",), quiet=True, as_float=True)
def log_softmax(xp, x, *, axis=-1):
    """log(softmax(x)) along `axis`, exact also where softmax underflows."""
    if not x.ndim:
        return xp.zeros_like(x)
    out = x - x.max(axis=axis, keepdims=True)
    out -= xp.log(xp.exp(out).sum(axis=axis, keepdims=True))
    return out


@log_softmax.grad
def log_softmax_grad(xp, g, saved, *, axis=-1):
    if not saved.out.ndim:
        return (g * 0,)
    return (g - xp.exp(saved.out) * g.sum(axis=axis, keepdims=True),)
