"""Rows brought together by numbers: sums, means and extremes of those that share one."""
import numpy as np

from gpuflow.errors import explain
from gpuflow.ops.index import Slot, getitem
from gpuflow.ops.registry import Spec, op
from gpuflow.ops.rows import add_at


def _spec(x, ids, *, how, count=None):
    if len(ids.shape) != 1 or not x.shape or ids.dtype.is_differentiable:
        raise ValueError(explain(f"segment_{how}", "x [n, ...] and integer ids [n]",
                                 f"{list(x.shape)} and {ids.dtype.name} {list(ids.shape)}"))
    return Spec((count, *x.shape[1:]), x.dtype), Spec((count, *[1] * (len(x.shape) - 1)), x.dtype)


def _bring_extremes(xp, out, ids, x, how):
    if xp is np:
        {"max": np.maximum, "min": np.minimum}[how].at(out, ids, x)
    else:
        import cupyx

        {"max": cupyx.scatter_max, "min": cupyx.scatter_min}[how](out, ids, x)


@op("segment", infer=_spec, saves=("x", "ids", "out", "sizes"), outputs=("out", "sizes"), no_grad_outputs=(1,))
def segment(xp, x, ids, *, how, count=None):
    """[count, ...]: row k is the "sum", "mean", "max" or "min" of the rows of x [n, ...] whose number in ids is k, 0
    where there is none; and [count, 1, ...] how many those are, at least 1.

    count: default, up to the highest number, which waits for the device.
    """
    count = (int(ids.max()) + 1 if ids.size else 0) if count is None else count
    found = xp.bincount(ids, minlength=count).reshape((-1, *[1] * (x.ndim - 1)))
    sizes = xp.maximum(found, 1).astype(x.dtype)
    if how in ("sum", "mean"):
        out = xp.zeros((count, *x.shape[1:]), x.dtype)
        add_at(xp, out, ids, x)
        return out if how == "sum" else (out / sizes).astype(x.dtype), sizes
    wide = x.astype(xp.float32) if x.dtype.itemsize == 2 and x.dtype.kind not in "iu" else x
    limits = (np.iinfo if wide.dtype.kind in "iu" else np.finfo)(wide.dtype)
    out = xp.full((count, *x.shape[1:]), limits.min if how == "max" else limits.max, wide.dtype)
    _bring_extremes(xp, out, ids, wide, how)
    return xp.where(found == 0, 0, out).astype(x.dtype), sizes


@segment.grad
def segment_grad(xp, g, saved, *, how, count=None):
    """Of equal extremes each gets the whole gradient, as in Paddle."""
    own = (Slot(0),)
    back = getitem(xp, g[0] / saved.sizes if how == "mean" else g[0], saved.ids, index=own)
    if how in ("max", "min"):
        back = xp.where(saved.x == getitem(xp, saved.out, saved.ids, index=own), back, 0)
    return back, None
