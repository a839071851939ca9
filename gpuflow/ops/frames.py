"""Frames of signals: windows along the last axis that may overlap, and the sum that lays them back."""
from gpuflow.errors import explain
from gpuflow.ops.registry import Spec, op


def _frame_spec(x, *, length, hop):
    size = x.shape[-1]
    if size is not None and size < length:
        raise ValueError(explain("frame", f"a signal of {length} or more", str(size)))
    return Spec((*x.shape[:-1], length, None if size is None else (size - length) // hop + 1), x.dtype)


@op("frame", infer=_frame_spec, saves=("x_shape",))
def frame(xp, x, *, length, hop):
    """[..., length, frames]: column f is x[..., f * hop : f * hop + length]; what no whole frame covers is left out."""
    count = (x.shape[-1] - length) // hop + 1
    if count < 1:
        raise ValueError("the signal is shorter than a frame")
    return x[..., xp.arange(length)[:, None] + hop * xp.arange(count)]


@frame.grad
def frame_grad(xp, g, saved, *, length, hop):
    return (overlap_add(xp, g, hop=hop, total=saved.x_shape[-1]),)


def _added_spec(x, *, hop, total=None):
    if len(x.shape) < 2:
        raise ValueError(explain("overlap_add", "frames [..., length, count]", str(list(x.shape))))
    length, count = x.shape[-2:]
    known = length is not None and count is not None
    return Spec((*x.shape[:-2], total if total is not None or not known else (count - 1) * hop + length), x.dtype)


@op("overlap_add", infer=_added_spec, saves=("x_shape",))
def overlap_add(xp, x, *, hop, total=None):
    """[..., total]: the sum of the columns of x [..., length, frames], column f from f * hop on; total: default, what
    they cover."""
    length, count = x.shape[-2:]
    covered = (count - 1) * hop + length
    out = xp.zeros((*x.shape[:-2], covered if total is None else total), x.dtype)
    if count < length:
        for f in range(count):
            out[..., f * hop:f * hop + length] += x[..., f]
    else:
        for k in range(length):
            out[..., k:k + (count - 1) * hop + 1:hop] += x[..., k, :]
    return out


@overlap_add.grad
def overlap_add_grad(xp, g, saved, *, hop, total=None):
    length, count = saved.x_shape[-2:]
    return (frame(xp, g[..., :(count - 1) * hop + length], length=length, hop=hop),)
