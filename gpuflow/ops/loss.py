"""Losses that are one op: cross entropy with labels fused with its softmax, and the elementwise formulas.

Cross entropy saves the probabilities of the forward pass; its gradient is an op of its own (`..._slope`) with
a gradient of its own, so that second derivatives come from the logits and not from that cache.
"""
import math

import numpy as np

from gpuflow import dtypes
from gpuflow.errors import explain
from gpuflow.ops.registry import Spec, broadcast, broadcast_shapes, normal_axis, op
from gpuflow.ops.softmax import exponentials, softmax

REDUCTIONS = ("mean", "sum", "none")


def _label_spec(name, x, label, weight, axis, reduction):
    """The result's Spec for logits x [..., C, ...] (C at `axis`) with labels of x's other axes."""
    axis = normal_axis(name, axis, len(x.shape))
    rest = (*x.shape[:axis], *x.shape[axis + 1:])
    if len(label.shape) != len(rest) or any(a != b and None not in (a, b) for a, b in zip(rest, label.shape)):
        raise ValueError(explain(name, f"labels of shape {list(rest)} for input {list(x.shape)} with classes on axis "
                                 f"{axis}", str(list(label.shape))))
    if label.dtype.is_differentiable or label.dtype is dtypes.bool_:
        raise TypeError(explain(name, "integer labels", label.dtype.name, "soft_label=True for probabilities, "
                                "label.astype('int64') for class numbers"))
    if weight is not None and tuple(weight.shape) != (x.shape[axis],):
        raise ValueError(explain(name, f"weight [{x.shape[axis]}], one number per class", str(list(weight.shape))))
    return Spec(rest if reduction == "none" else (), x.dtype)


def _by_rows(xp, x, axis):
    """x with the classes of `axis` last and all other axes as rows: [M, C]."""
    axis %= x.ndim
    if axis != x.ndim - 1:
        x = x.transpose((*range(axis), *range(axis + 1, x.ndim), axis))
    return x.reshape((-1, x.shape[-1])) if x.ndim != 2 else x


def _like_input(rows, shape, axis):
    """Rows [M, C] back in the layout of an input of `shape` with its classes at `axis`."""
    axis %= len(shape)
    order = (*range(axis), len(shape) - 1, *range(axis, len(shape) - 1))
    rest = (*shape[:axis], *shape[axis + 1:])
    return rows if len(shape) == 2 and axis == 1 else rows.reshape((*rest, shape[axis])).transpose(order)


def _expect_fitting(rows, label, weight):
    """A short look before the numbers; the shape rule finds the words."""
    if label.size != len(rows) or label.dtype.kind not in "iu" or (weight is not None and weight.size != rows.shape[1]):
        raise ValueError("shapes or dtypes do not fit")


def _classes(xp, name, label, count, ignore_index):
    """(class per row with 0 where ignored, True per row that counts). A class out of range: ValueError, on the CPU."""
    flat = label.reshape(-1).astype(xp.int64, copy=False)
    valid = flat != ignore_index
    safe = xp.where(valid, flat, 0)
    if xp is np and safe.size and safe.view(np.uint64).max() >= count:   # negatives are huge as unsigned numbers
        bad = safe[(safe < 0) | (safe >= count)][0]
        raise ValueError(explain(name, f"labels in [0, {count}) or {ignore_index}, which is ignored", str(int(bad))))
    return safe, valid


def _row_factors(xp, dtype, safe, valid, weight, smoothing, ignore_index, reduction, count_all):
    """What each row's loss counts for: its class weight, over the total for a mean.

    count_all: a mean without weights and with a negative ignore_index divides by all rows, ignored ones too, as Paddle
    does in cross_entropy.
    """
    factors = valid.astype(dtype)
    if weight is not None:
        own = weight.astype(dtype, copy=False)
        factors = factors * ((1 - smoothing) * own[safe] + smoothing * own.mean() if smoothing else own[safe])
    if reduction != "mean":
        return factors
    if count_all and weight is None and ignore_index < 0:
        return factors / safe.size if safe.size else factors
    total = factors.sum()
    return factors / (xp.where(total == 0, 1, total) if count_all else total)


def _reduced(xp, values, label, reduction, dtype):
    out = values.reshape(label.shape) if reduction == "none" else values.sum()
    return xp.asarray(out).astype(dtype, copy=False)


def _cross_entropy_spec(x, label, weight=None, *, axis=-1, ignore_index=-100, reduction="mean", smoothing=0.0):
    out = _label_spec("cross_entropy", x, label, weight, axis, reduction)
    others = [s for i, s in enumerate(x.shape) if i != axis % len(x.shape)]
    rows = None if None in others else math.prod(others)
    wide = dtypes.float64 if x.dtype is dtypes.float64 else dtypes.float32
    return out, Spec((rows, x.shape[axis]), wide)


@op("cross_entropy", infer=_cross_entropy_spec, saves=("x", "label", "weight", "probabilities"),
    outputs=("out", "probabilities"), no_grad_outputs=(1,), quiet=True)
def cross_entropy(xp, x, label, weight=None, *, axis=-1, ignore_index=-100, reduction="mean", smoothing=0.0):
    """-log(softmax(x)[label]) over the classes on `axis`, with class weights, ignored labels and a reduction.

    x: logits; label: integers shaped like x without `axis`; weight: [C], receives no gradient. smoothing: the label's
    class gets 1 - smoothing, and all classes share the rest. Also returns the softmax as rows [M, C], float32 or wider.
    """
    rows = _by_rows(xp, x, axis)
    if rows.dtype.itemsize == 2:
        rows = rows.astype(xp.float32)
    _expect_fitting(rows, label, weight)
    safe, valid = _classes(xp, "cross_entropy", label, rows.shape[1], ignore_index)
    probabilities, peak, total = exponentials(xp, rows)
    picked = rows[xp.arange(len(safe)), safe]
    if smoothing:
        picked = (1 - smoothing) * picked + smoothing * rows.mean(axis=1)
    # an ignored row counts for nothing, also where its logits are inf
    losses = xp.where(valid, xp.log(total[:, 0]) + peak[:, 0] - picked, 0)
    losses *= _row_factors(xp, rows.dtype, safe, valid, weight, smoothing, ignore_index, reduction, True)
    return _reduced(xp, losses, label, reduction, x.dtype), probabilities


@cross_entropy.grad
def cross_entropy_grad(xp, g, saved, **attrs):
    return cross_entropy_slope(xp, g[0], saved.x, saved.label, saved.weight, saved.probabilities, **attrs), None, None


def _off_target(xp, safe, shape, smoothing, factors):
    """factors * (what softmax should have been): rows [M, C]."""
    target = xp.zeros(shape, factors.dtype)
    target[xp.arange(len(safe)), safe] = factors * (1 - smoothing)
    if smoothing:
        target += (factors * (smoothing / shape[1]))[:, None]
    return target


@op("cross_entropy_slope", infer=lambda g, x, label, weight=None, probabilities=None, **attrs: x,
    saves=("g", "x", "label", "weight"), quiet=True)
def cross_entropy_slope(xp, g, x, label, weight=None, probabilities=None, *, axis=-1, ignore_index=-100,
                        reduction="mean", smoothing=0.0):
    """cross_entropy's gradient: g * (softmax(x) - target) per row. probabilities: softmax(x) as rows, if at hand."""
    if probabilities is None:
        probabilities = softmax(xp, _by_rows(xp, x, axis))
    dtype = probabilities.dtype
    safe, valid = _classes(xp, "cross_entropy", label, probabilities.shape[1], ignore_index)
    factors = _row_factors(xp, dtype, safe, valid, weight, smoothing, ignore_index, reduction, True)
    factors = factors * g.astype(dtype, copy=False).reshape(-1)
    out = probabilities * factors[:, None]
    if smoothing:
        out -= _off_target(xp, safe, out.shape, smoothing, factors)
    else:
        out[xp.arange(len(safe)), safe] -= factors
    return _like_input(out, x.shape, axis).astype(x.dtype, copy=False)


@cross_entropy_slope.grad
def cross_entropy_slope_grad(xp, h, saved, *, axis=-1, ignore_index=-100, reduction="mean", smoothing=0.0):
    g, x, label, weight = saved.g, saved.x, saved.label, saved.weight
    factors, target = row_constants(xp, x, label, weight, axis=axis, ignore_index=ignore_index, reduction=reduction,
                                    smoothing=smoothing)
    h = _by_rows(xp, h, axis)
    p = softmax(xp, _by_rows(xp, x, axis))
    rows = g.reshape((-1, 1))
    factors = factors.reshape((-1, 1))
    to_g = ((h * (p * factors - target)).sum(axis=1)).reshape((-1,))
    to_g = to_g.reshape(g.shape) if reduction == "none" else to_g.sum().reshape(g.shape)
    pulled = h * factors * rows * p
    return to_g, _like_input(pulled - p * pulled.sum(axis=1, keepdims=True), x.shape, axis), None, None, None


@op("row_constants", infer=lambda x, label, weight=None, *, axis, **attrs: _row_constants_spec(x, axis),
    outputs=("factors", "target"))
def row_constants(xp, x, label, weight=None, *, axis, ignore_index, reduction, smoothing):
    """What cross_entropy's rows count for [M], and that times the target distribution [M, C]. No gradient."""
    count = x.shape[axis]
    safe, valid = _classes(xp, "cross_entropy", label, count, ignore_index)
    factors = _row_factors(xp, x.dtype, safe, valid, weight, smoothing, ignore_index, reduction, True)
    return factors.astype(x.dtype), _off_target(xp, safe, (len(safe), count), smoothing, factors).astype(x.dtype)


def _row_constants_spec(x, axis):
    axis = normal_axis("cross_entropy", axis, len(x.shape))
    rest = [s for i, s in enumerate(x.shape) if i != axis]
    rows = None if None in rest else int(np.prod(rest))
    return Spec((rows,), x.dtype), Spec((rows, x.shape[axis]), x.dtype)


@op("nll_loss", infer=lambda x, label, weight=None, *, ignore_index=-100, reduction="mean":
    _label_spec("nll_loss", x, label, weight, 1, reduction), saves=("x_shape", "label", "weight"), quiet=True)
def nll_loss(xp, x, label, weight=None, *, ignore_index=-100, reduction="mean"):
    """-x[label] over the classes on axis 1, where x holds log-probabilities; a mean divides by the sum of weights.

    label: integers shaped like x without axis 1; weight: [C], receives no gradient.
    """
    rows = _by_rows(xp, x, 1)
    _expect_fitting(rows, label, weight)
    if rows.dtype.itemsize == 2:
        rows = rows.astype(xp.float32)
    safe, valid = _classes(xp, "nll_loss", label, rows.shape[1], ignore_index)
    factors = _row_factors(xp, rows.dtype, safe, valid, weight, 0.0, ignore_index, reduction, False)
    losses = -xp.where(valid, rows[xp.arange(len(safe)), safe], 0) * factors
    return _reduced(xp, losses, label, reduction, x.dtype)


@nll_loss.grad
def nll_loss_grad(xp, g, saved, **attrs):
    return nll_loss_slope(xp, g, saved.label, saved.weight, shape=saved.x_shape, **attrs), None, None


@op("nll_loss_slope", infer=lambda g, label, weight=None, *, shape, **attrs: Spec(tuple(shape), g.dtype),
    saves=("label", "weight"), quiet=True)
def nll_loss_slope(xp, g, label, weight=None, *, shape, ignore_index=-100, reduction="mean"):
    """nll_loss's gradient, which does not depend on x: -weight / total at each label, zero elsewhere."""
    wide = xp.float32 if g.dtype.itemsize == 2 else g.dtype
    safe, valid = _classes(xp, "nll_loss", label, shape[1], ignore_index)
    factors = _row_factors(xp, wide, safe, valid, weight, 0.0, ignore_index, reduction, False)
    out = xp.zeros((len(safe), shape[1]), g.dtype)
    out[xp.arange(len(safe)), safe] = -factors * g.reshape(-1)
    return xp.ascontiguousarray(_like_input(out, shape, 1))


@nll_loss_slope.grad
def nll_loss_slope_grad(xp, h, saved, *, shape, ignore_index=-100, reduction="mean"):
    return nll_loss(xp, h, saved.label, saved.weight, ignore_index=ignore_index, reduction=reduction), None, None


# ---- elementwise formulas; the reduction is an op after them ---------------------------------------------------------


@op("huber_loss", infer=broadcast("smooth_l1_loss"), saves=("x", "y"), promotes=("x", "y"))
def huber_loss(xp, x, y, *, delta=1.0):
    """0.5 (x - y)^2 where |x - y| <= delta, else delta (|x - y| - 0.5 delta)."""
    d = x - y
    far = xp.abs(d)
    near = xp.minimum(far, d.dtype.type(delta))
    return near * (far - near / 2)


@huber_loss.grad
def huber_loss_grad(xp, g, saved, *, delta=1.0):
    slope = g * xp.minimum(xp.maximum(saved.x - saved.y, -delta), delta)
    return slope, -slope


@op("bce_loss", infer=broadcast("binary_cross_entropy"), saves=("x", "label"), promotes=("x", "label"), quiet=True)
def bce_loss(xp, x, label):
    """-(label log(x) + (1 - label) log(1 - x)) for probabilities x; logarithms do not go below -100."""
    return -(label * xp.maximum(xp.log(x), -100) + (1 - label) * xp.maximum(xp.log1p(-x), -100))


@bce_loss.grad
def bce_loss_grad(xp, g, saved):
    x, label = saved.x, saved.label
    to_label = None
    if saved.needs[1]:
        to_label = g * (xp.maximum(xp.log1p(-x), -100.0) - xp.maximum(xp.log(x), -100.0))
    return g * (x - label) / xp.maximum(x * (1 - x), 1e-12), to_label


def _logits_spec(x, label, pos_weight=None):
    out = broadcast("binary_cross_entropy_with_logits")(x, label)
    if pos_weight is not None:
        return out._replace(shape=broadcast_shapes("binary_cross_entropy_with_logits", out.shape, pos_weight.shape))
    return out


@op("bce_with_logits", infer=_logits_spec, saves=("x", "label", "pos_weight"), promotes=("x", "label"), quiet=True)
def bce_with_logits(xp, x, label, pos_weight=None):
    """Binary cross entropy of sigmoid(x), without forming it: max(x, 0) - x label + log(1 + exp(-|x|)).

    pos_weight: what positive labels count, broadcast; receives no gradient.
    """
    tail = xp.log1p(xp.exp(-xp.abs(x)))
    if pos_weight is None:
        return xp.maximum(x, 0) - x * label + tail
    positive = label * (pos_weight - 1).astype(x.dtype, copy=False) + 1
    return (1 - label) * x + positive * (tail + xp.maximum(-x, 0))


@bce_with_logits.grad
def bce_with_logits_grad(xp, g, saved):
    x, label = saved.x, saved.label
    e = xp.exp(-xp.abs(x))
    above = xp.where(x >= 0, 1 / (1 + e), e / (1 + e))   # sigmoid(x)
    if saved.pos_weight is None:
        return g * (above - label), (-g * x if saved.needs[1] else None), None
    extra = saved.pos_weight - 1
    to_label = None
    if saved.needs[1]:
        to_label = g * (extra * (xp.log1p(e) + xp.maximum(-x, 0.0)) - x)
    return g * ((1 - label) - (label * extra + 1) * (1 - above)), to_label, None


@op("kl_div", infer=broadcast("kl_div"), saves=("x", "y"), promotes=("x", "y"), quiet=True)
def kl_div(xp, x, y, *, log_target=False):
    """y (log(y) - x), zero where y <= 0, for log-probabilities x; with log_target exp(y) (y - x)."""
    if log_target:
        return xp.exp(y) * (y - x)
    return xp.where(y > 0, y * (xp.log(y) - x), x.dtype.type(0))


@kl_div.grad
def kl_div_grad(xp, g, saved, *, log_target=False):
    x, y = saved.x, saved.y
    if log_target:
        target = xp.exp(y)
        return -g * target, (g * target * (y - x + 1) if saved.needs[1] else None)
    positive = y > 0
    to_y = None
    if saved.needs[1]:
        to_y = xp.where(positive, g * (xp.log(xp.where(positive, y, 1.0)) - x + 1), 0.0)
    return -g * xp.where(positive, y, 0.0), to_y
