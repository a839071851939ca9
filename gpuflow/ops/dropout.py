"""Random masks and numbers shaped like a tensor, and dropping by a mask. Drawn from the generator of the device."""
import math

import numpy as np

from gpuflow import device, dtypes, random
from gpuflow.ops.activation import masked
from gpuflow.ops.registry import Spec, floating, op
from gpuflow_kernels import passes


def mask_shape(shape, axes):
    """`shape` with 1 at every axis that is not in `axes` (None: all are)."""
    return tuple(s if axes is None or i in axes else 1 for i, s in enumerate(shape))


@op("keep_mask", infer=lambda x, *, p, axes=None: Spec(mask_shape(x.shape, axes), dtypes.bool_))
def keep_mask(xp, x, *, p, axes=None):
    """True with probability 1 - p, one draw per element along `axes` of x (default: all), same along the others."""
    shape = mask_shape(x.shape, axes)
    if xp is np and math.prod(shape) >= passes.SMALL:
        return passes.kept(shape, p, random.key(device.place_of(x)))
    return random.uniform(shape, "float32", place=device.place_of(x)) >= p


@op("uniform_like", infer=floating())
def uniform_like(xp, x, *, low=0.0, high=1.0):
    """Uniform numbers in [low, high), shaped like x and of its dtype."""
    kind = x.dtype if x.dtype.kind not in "biu" else dtypes.default_float().dtype
    return random.uniform(x.shape, kind, low, high, device.place_of(x))


def _same(x, mask):
    """True where one pass of the kernel serves."""
    return x.shape == mask.shape and mask.flags.c_contiguous and passes.takes(x)


@op("dropout", infer=lambda x, mask, *, scale=1.0: x, saves=("mask",), quiet=True)
def dropout(xp, x, mask, *, scale=1.0):
    """x * scale where `mask` (bool, broadcast to x), else 0."""
    if xp is np and _same(x, mask):
        return passes.dropped(x, mask, scale)
    out = x * mask
    if scale != 1.0:
        out *= x.dtype.type(scale)
    return out


@dropout.grad
def dropout_grad(xp, g, saved, *, scale=1.0):
    if xp is np and _same(g, saved.mask):
        return passes.dropped(g, saved.mask, scale), None
    return masked(xp, g * scale if scale != 1.0 else g, saved.mask), None
