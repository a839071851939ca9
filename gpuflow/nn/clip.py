"""How gradients are limited before the update: records that an optimizer reads; they also work on (param, grad) pairs.

A parameter whose ParamAttr says need_clip=False keeps its gradient and stays out of the norm. The optimizer's kernels
read only the bounds; what the methods below compute is for calls by hand.
"""
import math
from numbers import Real

from gpuflow.autograd.tape import no_grad
from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.ops.registry import OPS
from gpuflow.ops.rows import SparseRows
from gpuflow.tensor import Tensor

__all__ = ["ClipGradBase", "ClipGradByGlobalNorm", "ClipGradByNorm", "ClipGradByValue"]


def _bound(where, name, value, positive) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(explain(where, f"{name} to be a number", repr(value)))
    if not math.isfinite(value) or (positive and value <= 0):
        raise ValueError(explain(where, f"{name} to be a finite number{' > 0' if positive else ''}", repr(value)))
    return float(value)


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


def _scaled(g, squares, clip_norm):
    """g * clip_norm / max(norm, clip_norm)."""
    norm = call(OPS["sqrt"], (squares,))
    factor = clip_norm / call(OPS["clip"], (norm,), {"min": clip_norm})
    return _applied(g, lambda x: x * factor.astype(x.dtype))


class ClipGradBase:
    """The base of clips. A user's own defines `_dygraph_clip(params_grads)`, which returns such a list."""

    def _dygraph_clip(self, params_grads):
        raise NotImplementedError(explain(type(self).__name__, "a method _dygraph_clip", "none"))

    def __call__(self, params_grads):
        """The list of (param, clipped gradient). Entries without a gradient are left out."""
        with no_grad():
            return self._dygraph_clip(params_grads)

    def _each(self, params_grads, function):
        """function(gradient) where it is wanted."""
        return [(p, g if getattr(p, "need_clip", True) is False else function(g))
                for p, g in params_grads if g is not None]

    def __repr__(self):
        return str(self)


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
    """Each gradient whose 2-norm is above clip_norm is scaled down to it."""

    def __init__(self, clip_norm):
        self.clip_norm = _bound("ClipGradByNorm", "clip_norm", clip_norm, positive=True)

    def _dygraph_clip(self, params_grads):
        return self._each(params_grads, lambda g: _scaled(g, _squares(g), self.clip_norm))

    def __str__(self):
        return f"Gradient Clip By Norm, clip_norm={self.clip_norm:f}"


class ClipGradByGlobalNorm(ClipGradBase):
    """All gradients are scaled by clip_norm / max(norm, clip_norm), the norm being that of all of them together.

    group_name: clips of one name share the norm. auto_skip_clip: kept for code written for Paddle; nothing waits for
    the device here, so there is nothing to skip.
    """

    def __init__(self, clip_norm, group_name="default_group", auto_skip_clip=False):
        self.clip_norm = _bound("ClipGradByGlobalNorm", "clip_norm", clip_norm, positive=True)
        if not isinstance(group_name, str) or not isinstance(auto_skip_clip, bool):
            raise TypeError(explain("ClipGradByGlobalNorm", "group_name a str, auto_skip_clip a bool",
                                    f"{group_name!r} and {auto_skip_clip!r}"))
        self.group_name, self.auto_skip_clip = group_name, auto_skip_clip

    def _dygraph_clip(self, params_grads):
        total = None
        for p, g in params_grads:
            if g is not None and getattr(p, "need_clip", True) is not False:
                part = _squares(g)
                total = part if total is None else total + part
        return self._each(params_grads, lambda g: _scaled(g, total, self.clip_norm))

    def __str__(self):
        return f"Gradient Clip By GlobalNorm, global_norm={self.clip_norm:f}"
