"""How gradients are limited before the update: records that an optimizer reads; they also work on (param, grad) pairs.

A parameter whose ParamAttr says need_clip=False keeps its gradient and stays out of the norm. The optimizer's kernels
read only the bounds of ClipGradByValue, ByNorm and ByGlobalNorm; what the methods below compute is for calls by hand,
and for clips that run in Python before the kernels: norms other than the 2-norm, ClipGradByAdaptiveNorm, a user's own.
"""
import math
from fnmatch import fnmatchcase
from numbers import Real

import numpy as np

from gpuflow import device
from gpuflow.autograd.tape import no_grad
from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.ops.registry import OPS
from gpuflow.ops.rows import SparseRows
from gpuflow.tensor import Tensor

__all__ = ["ClipGradBase", "ClipGradByAdaptiveNorm", "ClipGradByGlobalNorm", "ClipGradByNorm", "ClipGradByValue"]


def _bound(where, name, value, positive) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(explain(where, f"{name} to be a number", repr(value)))
    if not math.isfinite(value) or (positive and value <= 0):
        raise ValueError(explain(where, f"{name} to be a finite number{' > 0' if positive else ''}", repr(value)))
    return float(value)


def _order(where, value) -> float:
    """The p of a p-norm: a number > 0, inf included."""
    return math.inf if value == math.inf else _bound(where, "norm_type", value, positive=True)


def norm_of(arrays, p: float):
    """The p-norm (p >= 0; 0 counts what is not zero) of all arrays as one vector: 0-d float64, where the first lies.

    Powers are taken of numbers scaled by the largest, so that none overflows.
    """
    place = device.place_of(arrays[0])
    xp = device.module_for(place)
    wide = [abs(device.move(a, place).astype(np.float64)) for a in arrays if a.size]
    if not wide:
        return xp.zeros((), np.float64)
    if p == 0:
        return sum((a != 0).sum() for a in wide).astype(np.float64)
    if p in (1, 2):
        return sum((a ** p).sum() for a in wide) ** (1 / p)
    largest = xp.stack([a.max() for a in wide]).max()
    if p == math.inf:
        return largest
    unit = _unit(xp, largest)
    return unit * sum(((a / unit) ** p).sum() for a in wide) ** (1 / p)


def _norms(array, p: float, axes):
    """The p-norms (p > 0) of an array along the axes, which stay with size 1; None: of all of it, 0-d."""
    a, keep = abs(array.astype(np.float32) if array.dtype.itemsize == 2 else array), axes is not None
    if not a.size:
        return a.sum(axes, keepdims=keep)
    largest = a.max(axes, keepdims=keep)
    if p == math.inf:
        return largest
    unit = _unit(device.module_of(array), largest)
    return unit * ((a / unit) ** p).sum(axes, keepdims=keep) ** (1 / p)


def _unit(xp, largest):
    """What numbers are divided by before their powers are taken."""
    return xp.where((largest > 0) & (largest < math.inf), largest, largest.dtype.type(1))


def _applied(g, function):
    """function on a gradient's tensor, or on the merged rows of a sparse one."""
    if isinstance(g, SparseRows):
        rows, values = g.merged()
        return SparseRows(rows, function(Tensor(values))._array, g.shape)
    return function(g)


def _squares(g):
    """The sum of squares of a gradient, in float32 or wider; a 0-d tensor."""
    def total(x):
        x = x.astype("float32") if x.itemsize == 2 else x
        return call(OPS["sum"], (x * x,), {"axis": None, "keepdim": False})

    if isinstance(g, SparseRows):
        return total(Tensor(g.merged()[1]))
    return total(g)


def _norm(grads, p):
    """The p-norm of all gradients together, a 0-d Tensor. grads: at least one."""
    if p != 2:
        arrays = [g.merged()[1] if isinstance(g, SparseRows) else g._array for g in grads]
        return Tensor(device.module_of(arrays[0]).asarray(norm_of(arrays, p)))
    total = _squares(grads[0])
    for g in grads[1:]:
        total = total + _squares(g)
    return call(OPS["sqrt"], (total,))


def _scaled(g, norm, clip_norm):
    """g * clip_norm / max(norm, clip_norm)."""
    factor = clip_norm / call(OPS["clip"], (norm,), {"min": clip_norm})
    with np.errstate(invalid="ignore"):   # inf · 0, after a norm that is inf
        return _applied(g, lambda x: x * factor.astype(x.dtype))


def _wants_clip(p) -> bool:
    return getattr(p, "need_clip", True) is not False


class ClipGradBase:
    """The base of clips. A user's own defines `_dygraph_clip(params_grads)`, which returns such a list.

    An optimizer calls it before the update with the parameters of one group that have gradients and want clipping, and
    takes what it returns, outside the graph; a pair that it leaves out keeps its gradient. A gradient may be a
    SparseRows (an embedding with sparse=True).
    """

    def _dygraph_clip(self, params_grads):
        raise NotImplementedError(explain(type(self).__name__, "a method _dygraph_clip", "none"))

    def __call__(self, params_grads):
        """The list of (param, clipped gradient). Entries without a gradient are left out."""
        with no_grad():
            return self._dygraph_clip(params_grads)

    def _each(self, params_grads, function):
        """function(gradient) where it is wanted."""
        return [(p, function(g) if _wants_clip(p) else g) for p, g in params_grads if g is not None]

    def __repr__(self):
        return str(self)


GradientClipBase = ClipGradBase   # Paddle's other name


class ClipGradByValue(ClipGradBase):
    """Every element of a gradient is held in [min, max]. min: -max by default, and then max must be positive."""

    def __init__(self, max, min=None):
        self.max = _bound("ClipGradByValue", "max", max, positive=min is None)
        self.min = -self.max if min is None else _bound("ClipGradByValue", "min", min, positive=False)
        if self.min > self.max:
            raise ValueError(explain("ClipGradByValue", "min <= max", f"min={min}, max={max}"))

    def _dygraph_clip(self, params_grads):
        def clip(x):
            return call(OPS["clip"], (x,), {"min": self.min, "max": self.max})

        return self._each(params_grads, lambda g: _applied(g, clip))

    def __str__(self):
        return f"Clip Gradient By Value, min = {self.min:f}, max={self.max:f}"


class ClipGradByNorm(ClipGradBase):
    """Each gradient whose p-norm is above clip_norm is scaled down to it.

    norm_type: p > 0, inf included; not in Paddle. Any other than 2 runs in Python, a few launches per parameter.
    """

    norm_type = 2.0   # for subclasses that do not call __init__

    def __init__(self, clip_norm, norm_type=2.0):
        self.clip_norm = _bound("ClipGradByNorm", "clip_norm", clip_norm, positive=True)
        self.norm_type = _order("ClipGradByNorm", norm_type)

    def _dygraph_clip(self, params_grads):
        return self._each(params_grads, lambda g: _scaled(g, _norm([g], self.norm_type), self.clip_norm))

    def __str__(self):
        return f"Gradient Clip By Norm, clip_norm={self.clip_norm:f}{_other_norm(self.norm_type)}"


class ClipGradByGlobalNorm(ClipGradBase):
    """All gradients are scaled by clip_norm / max(norm, clip_norm), the norm being that of all of them together.

    group_name: clips of one name share the norm. auto_skip_clip: kept for code written for Paddle; nothing waits for
    the device here, so there is nothing to skip. norm_type: as in ClipGradByNorm.
    """

    norm_type = 2.0

    def __init__(self, clip_norm, group_name="default_group", auto_skip_clip=False, norm_type=2.0):
        self.clip_norm = _bound("ClipGradByGlobalNorm", "clip_norm", clip_norm, positive=True)
        if not isinstance(group_name, str) or not isinstance(auto_skip_clip, bool):
            raise TypeError(explain("ClipGradByGlobalNorm", "group_name a str, auto_skip_clip a bool",
                                    f"{group_name!r} and {auto_skip_clip!r}"))
        self.group_name, self.auto_skip_clip = group_name, auto_skip_clip
        self.norm_type = _order("ClipGradByGlobalNorm", norm_type)

    def _dygraph_clip(self, params_grads):
        wanted = [g for p, g in params_grads if g is not None and _wants_clip(p)]
        norm = _norm(wanted, self.norm_type) if wanted else None
        return self._each(params_grads, lambda g: _scaled(g, norm, self.clip_norm))

    def __str__(self):
        return f"Gradient Clip By GlobalNorm, global_norm={self.clip_norm:f}{_other_norm(self.norm_type)}"


def _other_norm(p) -> str:
    return "" if p == 2 else f", norm_type={p:g}"


class ClipGradByAdaptiveNorm(ClipGradBase):
    """Adaptive gradient clipping: each unit's gradient is held to clip_factor times the norm of the unit's weights.

        g = g · min(1, clip_factor · max(|w|, eps) / |g|)      norms over the weights that feed one output unit

    Not in Paddle. It runs in Python, a few launches per parameter.

    clip_factor: > 0; 0.01 for large batches. eps: the smallest |w| that counts, so that weights near zero can grow.
    exclude: pattern or patterns of parameter names ("linear_3.*"), or a function of the parameter that returns True;
        the paper leaves out the last linear layer. ParamAttr(need_clip=False) does so as well.
    unit_axis: the axis that numbers the units, or a function of the parameter that returns it. None: the last axis of
        [in, out] matrices (Linear), the first of more axes (Conv2D: [out, in, h, w]); vectors are one unit.
    norm_type: p of the p-norms, > 0, inf included; 2 in the paper.

    Brock, De, Smith and Simonyan, 2021 (https://arxiv.org/abs/2102.06171).
    """

    def __init__(self, clip_factor=0.01, eps=1e-3, exclude=(), unit_axis=None, norm_type=2.0):
        where = "ClipGradByAdaptiveNorm"
        self.clip_factor = _bound(where, "clip_factor", clip_factor, positive=True)
        self.eps = _bound(where, "eps", eps, positive=True)
        self.exclude = (exclude,) if isinstance(exclude, str) else exclude
        self.unit_axis, self.norm_type = unit_axis, _order(where, norm_type)

    def _dygraph_clip(self, params_grads):
        return [(p, self._one(p, g) if self._wanted(p) else g) for p, g in params_grads if g is not None]

    def _wanted(self, p) -> bool:
        if not _wants_clip(p):
            return False
        if callable(self.exclude):
            return not self.exclude(p)
        return not any(fnmatchcase(p.name, pattern) for pattern in self.exclude)

    def _one(self, p, g):
        g = Tensor(g.dense()) if isinstance(g, SparseRows) else g
        axis = self.unit_axis(p) if callable(self.unit_axis) else self.unit_axis
        if axis is None:
            axis = g.ndim - 1 if g.ndim == 2 else 0
        over = None if g.ndim < 2 else tuple(k for k in range(g.ndim) if k != axis % g.ndim)
        weights, gradients = (_norms(t._array, self.norm_type, over) for t in (p, g))
        xp = device.module_of(g._array)
        most = xp.maximum(weights, self.eps) * self.clip_factor
        with np.errstate(invalid="ignore"):   # inf · 0, after a norm that is inf
            return Tensor(g._array * (most / xp.maximum(gradients, most)).astype(g._array.dtype))

    def __str__(self):
        return (f"Clip Gradient By Adaptive Norm, clip_factor={self.clip_factor:f}, eps={self.eps:f}"
                f"{_other_norm(self.norm_type)}")
