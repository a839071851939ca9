"""Normalisation: batch, layer, group and instance norm are one op that differs in which axes share a mean.

x is looked at in a `view` (a shape of the same elements in the same order); statistics are over `axes` of it, and
weight and bias are laid out as `affine`, a shape that broadcasts to the view:

    batch norm      view [N, C, L]          axes (0, 2)    affine [1, C, 1]
    layer norm      view [A, M]             axes (1,)      affine [1, M]
    group norm      view [N, G, C / G, L]   axes (2, 3)    affine [1, G, C / G, 1]
    instance norm   view [N, C, L]          axes (2,)      affine [1, C, 1]

In static mode sizes of a view may be unknown and -1; `_viewed` knows them when the program runs.
"""
import math

import numpy as np

from gpuflow import dtypes
from gpuflow.errors import explain
from gpuflow.ops.registry import Spec, normal_axis, op
from gpuflow_kernels import nn


def _wide(xp, *arrays):
    """The arrays, 16-bit floats as float32: statistics of them need the range and the digits."""
    return [a.astype(xp.float32) if a is not None and a.dtype.itemsize == 2 else a for a in arrays]


def _wide_dtype(x):
    """The dtype that a Spec's statistics have."""
    return x.dtype if x.dtype.itemsize > 2 else dtypes.float32


def _viewed(x, view):
    """x in a view whose unknown sizes are -1: two of them are N, the size of x's first axis, and one more."""
    return x.reshape((x.shape[0], *view[1:]) if view.count(-1) > 1 else view)


def _kept(view, axes):
    """The view's shape with 1 at the axes that are summed."""
    return tuple(1 if i in axes else s for i, s in enumerate(view))


def _checked_affine(where, x, affine, weight, bias):
    count = math.prod(affine)
    for name, given in (("weight", weight), ("bias", bias)):
        if given is not None and -1 not in affine and math.prod(given.shape) != count:
            raise ValueError(explain(where, f"{name} of {count} elements for x {list(x.shape)}", str(list(given.shape)),
                                     "the number of features that x has, or another data_format"))


def _normalize_spec(x, weight=None, bias=None, *, view, axes, affine, epsilon=1e-5, where="norm"):
    _checked_affine(where, x, affine, weight, bias)
    kept = _kept(view, axes)
    size = None if -1 in kept else math.prod(kept)
    return Spec(x.shape, x.dtype), Spec((size,), _wide_dtype(x)), Spec((size,), _wide_dtype(x))


def _layout(xp, x, view, axes):
    """(period, transposed, shape): how the CPU kernels (kernels/nn) see x, or None where they do not compute this.

    transposed: x is [N, C, L] in shape and [C, L, N] in memory, as convolutions leave it.
    NumPy goes over the array some eight times, a kernel twice: 0.1 ms instead of 1.1 ms for [64, 32, 8, 8].
    """
    if xp is not np or not nn.takes(x.dtype) or 0 in view:
        return None
    if axes == (0, 2) and len(view) == 3:
        if not x.flags.c_contiguous and nn.first_last(x).flags.c_contiguous:
            return 0, True, (1, view[1], -1)
        return (0, False, view) if view[2] > 1 else None
    if axes == (1,) and len(view) == 2:
        return 0, False, view
    if axes == tuple(range(2, len(view))) and view[-1] > 1:
        return view[1], False, (view[0] * view[1], view[2] if len(view) == 4 else 1, view[-1])
    return None


def _laid(x, layout):
    _, transposed, shape = layout
    return np.ascontiguousarray(nn.first_last(x) if transposed else x).reshape(shape)


def _unlaid(x, layout, view):
    return nn.last_first(x.reshape(*view[1:], view[0])) if layout[1] else x.reshape(view)


@op("normalize_axes", infer=_normalize_spec, saves=("x", "weight", "bias_shape", "mean", "variance"),
    outputs=("out", "mean", "variance"), no_grad_outputs=(1, 2))
def normalize_axes(xp, x, weight=None, bias=None, *, view, axes, affine, epsilon=1e-5, where="norm"):
    """(x - mean) / sqrt(variance + epsilon) * weight + bias, the mean and the (biased) variance, each flat.

    view, axes, affine: see the head of this file. 16-bit x is computed in float32. where: who is named in errors.
    """
    _checked_affine(where, x, affine, weight, bias)  # at once: the kernels do not look
    wide, weight, bias = _wide(xp, _viewed(x, view), weight, bias)
    view = wide.shape
    layout = _layout(xp, wide, view, axes)
    if layout is not None:
        out, mean, variance = nn.forward(_laid(wide, layout), layout[0], weight, bias, epsilon)
        return _unlaid(out, layout, view).reshape(x.shape).astype(x.dtype, copy=False), mean, variance
    mean = wide.mean(axis=axes, keepdims=True)
    centred = wide - mean
    variance = xp.square(centred).mean(axis=axes, keepdims=True)
    out = xp.multiply(centred, 1 / xp.sqrt(variance + epsilon), out=centred)
    if weight is not None:
        out *= weight.reshape(affine)
    if bias is not None:
        out += bias.reshape(affine)
    return out.reshape(x.shape).astype(x.dtype, copy=False), mean.reshape(-1), variance.reshape(-1)


@normalize_axes.grad
def normalize_axes_grad(xp, g, saved, *, view, axes, affine, epsilon=1e-5, where="norm"):
    to_x, to_weight, to_bias = normalize_axes_backward(
        xp, g[0], saved.x, saved.weight, saved.mean, saved.variance, view=view, axes=axes, affine=affine,
        epsilon=epsilon)
    return (to_x, to_weight.reshape(saved.weight.shape) if saved.needs[1] else None,
            to_bias.reshape(saved.bias_shape) if saved.needs[2] else None)


def _backward_spec(g, x, weight=None, mean=None, variance=None, *, view, axes, affine, epsilon=1e-5):
    count = math.prod(affine)
    return Spec(x.shape, x.dtype), Spec((count,), _wide_dtype(x)), Spec((count,), _wide_dtype(x))


def _score(xp, x, axes, epsilon):
    """((x - mean) / deviation, 1 / deviation) with deviation = sqrt(variance + epsilon)."""
    centred = x - xp.mean(x, axis=axes, keepdims=True)
    inverse = 1 / xp.sqrt(xp.mean(xp.square(centred), axis=axes, keepdims=True) + epsilon)
    return centred * inverse, inverse


@op("normalize_axes_backward", infer=_backward_spec, saves=("g", "x", "weight"),
    outputs=("to_x", "to_weight", "to_bias"))
def normalize_axes_backward(xp, g, x, weight=None, mean=None, variance=None, *, view, axes, affine, epsilon=1e-5):
    """The gradients of normalize_axes: of x, and of weight and bias (flat), for the gradient g of its result.

    mean, variance: those of x, as normalize_axes returns them, to spare finding them again.
    """
    shape, kind = x.shape, x.dtype
    g, x, weight = _wide(xp, _viewed(g, view), _viewed(x, view), weight)
    view = x.shape
    layout = _layout(xp, x, view, axes) if mean is not None else None
    if layout is not None:
        to_x, to_weight, to_bias = nn.backward(_laid(g, layout), _laid(x, layout), layout[0], weight, mean, variance,
                                               epsilon)
        return _unlaid(to_x, layout, view).reshape(shape).astype(kind, copy=False), to_weight, to_bias
    score, inverse = _score(xp, x, axes, epsilon)
    summed = tuple(i for i, s in enumerate(affine) if s == 1)
    to_weight = (g * score).sum(axis=summed)
    to_bias = g.sum(axis=summed)
    if weight is not None:
        g = g * weight.reshape(affine)
    to_x = inverse * (g - g.mean(axis=axes, keepdims=True) - score * (g * score).mean(axis=axes, keepdims=True))
    return to_x.reshape(shape).astype(kind, copy=False), to_weight.reshape(-1), to_bias.reshape(-1)


@normalize_axes_backward.grad
def normalize_axes_backward_grad(xp, h, saved, *, view, axes, affine, epsilon=1e-5):
    # With s the score, r = 1 / deviation, u = g * weight and m elements sharing a mean:
    #   to_x = r (u - mean u - s mean(u s)),  to_weight = sum(g s),  to_bias = sum g.
    # to_x is linear and symmetric in u. Through s comes g hw - r (h mean(u s) + u mean(h s)), and dr/dx = -r r s / m.
    g, x, weight, *h = _wide(xp, saved.g, saved.x, saved.weight, *h)
    g, x, hx = (_viewed(a, view) for a in (g, x, h[0]))
    hw, hb = (a.reshape(affine) for a in h[1:])

    def mean(a):
        return xp.mean(a, axis=axes, keepdims=True)

    score, inverse = _score(xp, x, axes, epsilon)
    scale = None if weight is None else weight.reshape(affine)
    u = g if scale is None else g * scale

    def project(a):
        return inverse * (a - mean(a) - score * mean(a * score))

    to_u = project(hx)
    to_g = (to_u if scale is None else to_u * scale) + hw * score + hb
    to_weight = None
    if scale is not None and saved.needs[2]:
        to_weight = xp.sum(g * to_u, axis=tuple(i for i, s in enumerate(affine) if s == 1), keepdims=True)
        to_weight = to_weight.reshape(weight.shape)
    through_score = hw * g - inverse * (hx * mean(u * score) + u * mean(hx * score))
    to_x = project(through_score) - score * inverse * mean(hx * (u - mean(u) - score * mean(u * score))) * inverse
    return to_g.reshape(saved.g.shape), to_x.reshape(saved.x.shape), to_weight, None, None


def _fixed_spec(x, mean, variance, weight=None, bias=None, *, view, affine, epsilon=1e-5, where="norm"):
    _checked_affine(where, x, affine, weight, bias)
    _checked_affine(where, x, affine, mean, variance)
    return Spec(x.shape, x.dtype)


@op("normalize_by", infer=_fixed_spec, saves=("x", "mean", "variance", "weight", "bias"))
def normalize_by(xp, x, mean, variance, weight=None, bias=None, *, view, affine, epsilon=1e-5, where="norm"):
    """(x - mean) / sqrt(variance + epsilon) * weight + bias for given statistics, each with `affine`'s elements."""
    wide, mean, variance, weight, bias = _wide(xp, _viewed(x, view), mean, variance, weight, bias)
    scale = 1 / xp.sqrt(variance + epsilon)
    scale = scale if weight is None else scale * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    out = wide * scale.reshape(affine)
    out += shift.reshape(affine)
    return out.reshape(x.shape).astype(x.dtype, copy=False)


@normalize_by.grad
def normalize_by_grad(xp, g, saved, *, view, affine, epsilon=1e-5, where="norm"):
    needs = saved.needs
    g, x, mean, variance, weight = _wide(xp, g, saved.x, saved.mean, saved.variance, saved.weight)
    g = _viewed(g, view)
    inverse = 1 / xp.sqrt(variance + epsilon)
    scale = inverse if weight is None else inverse * weight
    to_x = (g * scale.reshape(affine)).reshape(x.shape) if needs[0] else None
    if not any(needs[1:]):
        return to_x, None, None, None, None
    summed = tuple(i for i, s in enumerate(affine) if s == 1)
    total = xp.sum(g, axis=summed, keepdims=True).reshape(mean.shape)  # dL/d(shift)
    to_weight = to_mean = to_variance = None
    if needs[3] or needs[2]:
        with_score = xp.sum(g * (_viewed(x, view) - mean.reshape(affine)), axis=summed, keepdims=True)
        with_score = with_score.reshape(mean.shape) * inverse
        to_weight = with_score if needs[3] else None
        if needs[2]:
            to_variance = -0.5 * with_score * scale * inverse
    if needs[1]:
        to_mean = -total * scale
    return to_x, to_mean, to_variance, to_weight, (total if needs[4] else None)


@op("moving_average", infer=lambda old, new, *, momentum: old)
def moving_average(xp, old, new, *, momentum):
    """momentum * old + (1 - momentum) * new: how running statistics follow a batch's."""
    return (old * momentum + new * (1 - momentum)).astype(old.dtype, copy=False)


def _rms_spec(x, weight=None, *, rank, epsilon):
    rows = None if None in x.shape else math.prod(x.shape[:-rank])
    return Spec(x.shape, x.dtype), Spec((rows,), _wide_dtype(x))


@op("rms_norm", infer=_rms_spec, saves=("x", "weight"), outputs=("out", "inverse"), no_grad_outputs=(1,))
def rms_norm(xp, x, weight=None, *, rank, epsilon):
    """x * inverse * weight and inverse = 1 / sqrt(mean(x * x) + epsilon), flat; the mean over the last `rank` axes."""
    wide, weight = _wide(xp, x, weight)
    axes = tuple(range(x.ndim - rank, x.ndim))
    inverse = 1 / xp.sqrt(xp.square(wide).mean(axis=axes, keepdims=True) + epsilon)
    out = wide * inverse
    return (out if weight is None else out * weight).astype(x.dtype, copy=False), inverse.reshape(-1)


@rms_norm.grad
def rms_norm_grad(xp, g, saved, *, rank, epsilon):
    g, x, weight = _wide(xp, g[0], saved.x, saved.weight)
    axes = tuple(range(x.ndim - rank, x.ndim))
    inverse = 1 / xp.sqrt(xp.mean(xp.square(x), axis=axes, keepdims=True) + epsilon)
    score = x * inverse
    u = g if weight is None else g * weight
    to_x = inverse * (u - score * xp.mean(u * score, axis=axes, keepdims=True))
    return to_x, (g * score if weight is not None and saved.needs[1] else None)


def _length(xp, x, p, axis):
    """The p-norm along axis, kept as size 1."""
    if p == 2:
        return xp.sqrt(xp.sum(xp.square(x), axis=axis, keepdims=True))
    if math.isinf(p):
        return xp.max(xp.abs(x), axis=axis, keepdims=True)
    return xp.power(xp.sum(xp.power(xp.abs(x), p), axis=axis, keepdims=True), 1 / p)


def _length_spec(x, *, p, axis, epsilon):
    if p <= 0:
        raise ValueError(explain("normalize", "p above 0", str(p)))
    normal_axis("normalize", axis, len(x.shape))
    return x


@op("normalize_length", infer=_length_spec, saves=("x",), quiet=True)
def normalize_length(xp, x, *, p, axis, epsilon):
    """x / max(p-norm along axis, epsilon)."""
    if p <= 0:
        raise ValueError("p")
    wide, = _wide(xp, x)
    return (wide / xp.maximum(_length(xp, wide, p, axis), epsilon)).astype(x.dtype, copy=False)


@normalize_length.grad
def normalize_length_grad(xp, g, saved, *, p, axis, epsilon):
    g, x = _wide(xp, g, saved.x)
    length = _length(xp, x, p, axis)
    long = length > epsilon
    divisor = xp.where(long, length, epsilon)
    total = xp.sum(g * x, axis=axis, keepdims=True)
    # d(length)/dx is x |x|**(p-2) / length**(p-1); for p = inf it falls on the largest elements
    if math.isinf(p):
        largest = xp.where(xp.abs(x) == length, 1.0, 0.0)
        slope = xp.sign(x) * largest / xp.sum(largest, axis=axis, keepdims=True)
    elif p == 2:
        slope = x / divisor
    else:
        slope = xp.sign(x) * xp.power(xp.abs(x) / divisor, p - 1)
    return (g / divisor - xp.where(long, total / (divisor * divisor), 0.0) * slope,)
