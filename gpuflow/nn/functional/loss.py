"""Losses. `reduction` is "mean", "sum" or "none" everywhere; "none" keeps one loss per row or element."""
import math

from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.nn.functional.activation import log_sigmoid, sigmoid
from gpuflow.nn.functional.common import label_smooth, pairwise_distance
from gpuflow.nn.functional.input import one_hot
from gpuflow.ops.loss import REDUCTIONS
from gpuflow.ops.registry import OPS, normal_axis

__all__ = ["binary_cross_entropy", "binary_cross_entropy_with_logits", "cosine_embedding_loss", "cross_entropy",
           "dice_loss", "gaussian_nll_loss", "hinge_embedding_loss", "kl_div", "l1_loss", "log_loss",
           "margin_ranking_loss", "mse_loss", "multi_label_soft_margin_loss", "multi_margin_loss", "nll_loss",
           "poisson_nll_loss", "sigmoid_focal_loss", "smooth_l1_loss", "soft_margin_loss",
           "softmax_with_cross_entropy", "square_error_cost", "triplet_margin_loss",
           "triplet_margin_with_distance_loss"]

_CROSS_ENTROPY, _NLL = OPS["cross_entropy"], OPS["nll_loss"]
_ALL = {"axis": None, "keepdim": False}


def _do(name, *inputs, **attrs):
    return call(OPS[name], inputs, attrs)


def check_reduction(where, reduction, known=REDUCTIONS) -> None:
    """ValueError for a reduction that `where` does not know."""
    if reduction not in known:
        raise ValueError(explain(where, f"reduction among {list(known)}", repr(reduction)))


def _reduced(where, values, reduction):
    check_reduction(where, reduction)
    return values if reduction == "none" else call(OPS[reduction], (values,), _ALL)


def _weighted(values, weight):
    return values if weight is None else values * weight


def _above(x, floor):
    """x where it is above the number `floor`, else that."""
    return _do("clip", x, min=floor)


# ---- classes -----------------------------------------------------------------------------------------------------


def cross_entropy(input, label, weight=None, ignore_index=-100, reduction="mean", soft_label=False, axis=-1,
                  use_softmax=True, label_smoothing=0.0, name=None):
    """-sum(target * log(softmax(input))) over the classes on `axis`.

    input: logits, with classes on `axis` (probabilities if not use_softmax). label: class numbers shaped like input
    without that axis, or with size 1 there; with soft_label probabilities of input's shape. weight: [classes].
    ignore_index: a class number that counts for nothing. label_smoothing: mixes the target with the even distribution.
    reduction "mean": over the sum of weights if there are any, over the labels not ignored if ignore_index >= 0, else
    over all labels, those ignored included (as Paddle counts). Raises ValueError for a label out of range, on the CPU.
    """
    check_reduction("cross_entropy", reduction)
    rank, label_rank = len(input.shape), len(label.shape)
    if rank == 0 or label_rank not in (rank, rank - 1):
        raise ValueError(explain("cross_entropy",
                                 f"labels with {rank - 1} or {rank} axes for input {list(input.shape)}",
                                 str(list(label.shape))))
    if not 0 <= label_smoothing <= 1:
        raise ValueError(explain("cross_entropy", "label_smoothing in [0, 1]", repr(label_smoothing)))
    if soft_label or (label_smoothing > 0 and label.dtype.is_floating):
        return _soft_cross_entropy(input, label, weight, ignore_index, reduction, axis, use_softmax, label_smoothing)
    where = normal_axis("cross_entropy", axis, rank)
    if label_rank == rank:
        if label.shape[where] != 1:
            raise ValueError(explain("cross_entropy", f"one class number per row: size 1 on axis {where}",
                                     str(list(label.shape)), "soft_label=True for probabilities"))
        label = _do("squeeze", label, axis=where)
    if not use_softmax:
        if label_smoothing > 0:
            label = one_hot(label, input.shape[where])
            return _soft_cross_entropy(input, label, weight, ignore_index, reduction, axis, False, label_smoothing)
        out = _hard_from_probabilities(input, label, weight, ignore_index, reduction, where)
    else:
        out, _ = call(_CROSS_ENTROPY, (input, label, weight), {
            "axis": where, "ignore_index": ignore_index, "reduction": reduction, "smoothing": float(label_smoothing)})
    # Paddle gives the class axis back where the labels had it, and with smoothing, which makes it soft labels there
    return _do("unsqueeze", out, axis=where) if reduction == "none" and (
        label_rank == rank or label_smoothing > 0) else out


def _hard_from_probabilities(input, label, weight, ignore_index, reduction, axis):
    logs = _do("log", input)
    if axis != 1 or len(input.shape) == 1:
        order = [i for i in range(len(input.shape)) if i != axis]
        logs = _do("transpose", logs, perm=(*order[:1], axis, *order[1:]))
    all_count = reduction == "mean" and weight is None and ignore_index < 0
    out = call(_NLL, (logs, label, weight), {"ignore_index": ignore_index,
                                             "reduction": "none" if all_count else reduction})
    return _do("mean", out, **_ALL) if all_count else out


def _soft_cross_entropy(input, label, weight, ignore_index, reduction, axis, use_softmax, smoothing):
    if ignore_index > 0:
        raise ValueError(explain("cross_entropy(soft_label=True)", "ignore_index=-100", str(ignore_index)))
    if smoothing > 0:
        label = label_smooth(label, epsilon=smoothing)
    if label.dtype is not input.dtype:
        label = _do("cast", label, dtype=input.dtype)
    logs = _do("log_softmax", input, axis=axis) if use_softmax else _do("log", input)
    if label.shape != logs.shape:
        raise ValueError(explain("cross_entropy(soft_label=True)", f"labels of input's shape {list(input.shape)}",
                                 str(list(label.shape))))
    losses = -_do("sum", label * logs, axis=axis, keepdim=True)
    if weight is None:
        return _reduced("cross_entropy", losses, reduction)
    if tuple(weight.shape) != (input.shape[axis],):
        raise ValueError(explain("cross_entropy", f"weight [{input.shape[axis]}], one number per class",
                                 str(list(weight.shape))))
    beside = [1] * len(input.shape)
    beside[axis] = -1
    factors = _do("sum", label * _do("reshape", weight, shape=tuple(beside)), axis=axis, keepdim=True)
    losses = losses * factors
    if reduction != "mean":
        return _reduced("cross_entropy", losses, reduction)
    total = _do("sum", factors, **_ALL)
    return _do("sum", losses, **_ALL) / (total + (total == 0).astype(total.dtype))


def softmax_with_cross_entropy(logits, label, soft_label=False, ignore_index=-100, numeric_stable_mode=True,
                               return_softmax=False, axis=-1):
    """`cross_entropy` per row, with size 1 on the class axis; with return_softmax also softmax(logits)."""
    loss = cross_entropy(logits, label, None, ignore_index, "none", soft_label, axis)
    if len(loss.shape) < len(logits.shape):
        loss = _do("unsqueeze", loss, axis=normal_axis("softmax_with_cross_entropy", axis, len(logits.shape)))
    return (loss, _do("softmax", logits, axis=axis)) if return_softmax else loss


def nll_loss(input, label, weight=None, ignore_index=-100, reduction="mean", name=None):
    """-weight[label] * input[label], for log-probabilities [N, C] or [N, C, ...] and class numbers [N] or [N, ...].

    reduction "mean" divides by the sum of the weights of the labels that are not ignored.
    """
    check_reduction("nll_loss", reduction)
    if len(input.shape) < 2:
        raise ValueError(explain("nll_loss", "input [N, C, ...]", str(list(input.shape))))
    if len(label.shape) == len(input.shape) and label.shape[1] == 1:
        label = _do("squeeze", label, axis=1)
    return call(_NLL, (input, label, weight), {"ignore_index": ignore_index, "reduction": reduction})


def multi_margin_loss(input, label, p=1, margin=1.0, weight=None, reduction="mean", name=None):
    """mean over the classes j != label of max(0, margin - input[label] + input[j]) ** p. input: [N, C]; label: [N]."""
    check_reduction("multi_margin_loss", reduction)
    target = one_hot(label, input.shape[1]).astype(input.dtype)
    own = _do("sum", input * target, axis=1, keepdim=True)
    terms = _above(margin - own + input, 0.0) ** p * (1 - target)
    if weight is not None:
        terms = terms * _do("sum", target * weight, axis=1, keepdim=True)
    return _reduced("multi_margin_loss", _do("mean", terms, axis=1, keepdim=False), reduction)


# ---- numbers -----------------------------------------------------------------------------------------------------


def _difference(where, input, label):
    """input - label; what is wrong with the two is said in the name of `where`."""
    try:
        return _do("subtract", input, label)
    except (TypeError, ValueError, RuntimeError) as error:
        raise type(error)(f"{where}(input, label): {error}") from error


def square_error_cost(input, label):
    """(input - label) ** 2, elementwise."""
    return _squared("square_error_cost", input, label)


def _squared(where, input, label):
    d = _difference(where, input, label)
    return d * d


def mse_loss(input, label, reduction="mean", name=None):
    """(input - label) ** 2."""
    return _reduced("mse_loss", _squared("mse_loss", input, label), reduction)


def l1_loss(input, label, reduction="mean", name=None):
    """|input - label|."""
    return _reduced("l1_loss", _do("abs", _difference("l1_loss", input, label)), reduction)


def smooth_l1_loss(input, label, reduction="mean", delta=1.0, is_huber=True, name=None):
    """0.5 d^2 where |d| = |input - label| <= delta, else delta (|d| - 0.5 delta) (Huber 1964).

    is_huber=False: divided by delta, so that the slope far out is 1.
    """
    if not delta > 0:
        raise ValueError(explain("smooth_l1_loss", "delta > 0", repr(delta)))
    out = _do("huber_loss", input, label, delta=float(delta))
    return _reduced("smooth_l1_loss", out if is_huber else out / delta, reduction)


def log_loss(input, label, epsilon=1e-4, name=None):
    """-label log(input + epsilon) - (1 - label) log(1 - input + epsilon), elementwise; input: probabilities [N, 1]."""
    return -(label * _do("log", input + epsilon)) - (1 - label) * _do("log", 1 - input + epsilon)


def poisson_nll_loss(input, label, log_input=True, full=False, epsilon=1e-8, reduction="mean", name=None):
    """exp(input) - label * input, or input - label * log(input + epsilon) if not log_input.

    full: adds Stirling's approximation of log(label!) where label > 1.
    """
    if epsilon <= 0:
        raise ValueError(explain("poisson_nll_loss", "epsilon > 0", repr(epsilon)))
    _same_shape("poisson_nll_loss", input, label)
    out = _do("exp", input) - label * input if log_input else input - label * _do("log", input + epsilon)
    if full:
        stirling = label * _do("log", label) - label + 0.5 * _do("log", 2 * math.pi * label)
        out = out + _do("where", label > 1, stirling, 0.0)
    return _reduced("poisson_nll_loss", out, reduction)


def gaussian_nll_loss(input, label, variance, full=False, epsilon=1e-6, reduction="mean", name=None):
    """0.5 (log(v) + (input - label)^2 / v), v = max(variance, epsilon). full: plus 0.5 log(2 pi).

    variance: input's shape, or that without (or with 1 on) the last axis.
    """
    if tuple(variance.shape) == tuple(input.shape[:-1]) and len(input.shape) > 0:
        variance = _do("unsqueeze", variance, axis=-1)
    elif variance.shape != input.shape and list(variance.shape) != [*input.shape[:-1], 1]:
        raise ValueError(explain("gaussian_nll_loss", f"variance for input {list(input.shape)}",
                                 str(list(variance.shape))))
    # the floor moves the value, not the gradient
    variance = variance + (_above(variance.detach(), epsilon) - variance.detach())
    out = 0.5 * (_do("log", variance) + square_error_cost(input, label) / variance)
    return _reduced("gaussian_nll_loss", out + 0.5 * math.log(2 * math.pi) if full else out, reduction)


# ---- yes or no ---------------------------------------------------------------------------------------------------


def binary_cross_entropy(input, label, weight=None, reduction="mean", name=None):
    """-(label log(input) + (1 - label) log(1 - input)) for probabilities; logarithms stop at -100."""
    _same_shape("binary_cross_entropy", input, label)
    return _reduced("binary_cross_entropy", _weighted(_do("bce_loss", input, label), weight), reduction)


def binary_cross_entropy_with_logits(logit, label, weight=None, reduction="mean", pos_weight=None, name=None):
    """`binary_cross_entropy` of sigmoid(logit), worked out without overflow. pos_weight: what positives count."""
    _same_shape("binary_cross_entropy_with_logits", logit, label)
    out = _do("bce_with_logits", logit, label, pos_weight)
    return _reduced("binary_cross_entropy_with_logits", _weighted(out, weight), reduction)


def sigmoid_focal_loss(logit, label, normalizer=None, alpha=0.25, gamma=2.0, reduction="sum", name=None):
    """Binary cross entropy that counts easy examples less: alpha_t (1 - p_t)^gamma times it (Lin et al. 2017).

    normalizer: a tensor with one element that the loss is divided by.
    """
    if normalizer is not None and len(normalizer.shape) > 1:
        raise ValueError(explain("sigmoid_focal_loss", "a normalizer with one element", str(list(normalizer.shape))))
    p = sigmoid(logit)
    p_t = p * label + (1 - p) * (1 - label)
    alpha_t = alpha * label + (1 - alpha) * (1 - label)
    out = alpha_t * (1 - p_t) ** gamma * _do("bce_with_logits", logit, label, None)
    return _reduced("sigmoid_focal_loss", out if normalizer is None else out / normalizer, reduction)


def multi_label_soft_margin_loss(input, label, weight=None, reduction="mean", name=None):
    """Mean over the last axis of -(label log sigmoid(input) + (1 - label) log sigmoid(-input))."""
    _same_shape("multi_label_soft_margin_loss", input, label)
    out = _weighted(-(label * log_sigmoid(input) + (1 - label) * log_sigmoid(-input)), weight)
    return _reduced("multi_label_soft_margin_loss", _do("mean", out, axis=-1, keepdim=False), reduction)


def soft_margin_loss(input, label, reduction="mean", name=None):
    """log(1 + exp(-label * input)) for labels of -1 and 1."""
    _same_shape("soft_margin_loss", input, label)
    label = label.astype(input.dtype)
    return _reduced("soft_margin_loss", _do("log1p", _do("exp", -(label * input))), reduction)


def dice_loss(input, label, epsilon=1e-5, name=None):
    """1 - 2 |input and label| / (|input| + |label| + epsilon), mean over the batch.

    input: probabilities [N, ..., C]; label: class numbers [N, ..., 1].
    """
    if len(input.shape) < 2 or list(label.shape) != [*input.shape[:-1], 1]:
        raise ValueError(explain("dice_loss", "input [N, ..., C] and label [N, ..., 1]",
                                 f"{list(input.shape)} and {list(label.shape)}"))
    target = one_hot(_do("squeeze", label, axis=-1), input.shape[-1]).astype(input.dtype)
    axes = list(range(1, len(input.shape)))
    both = _do("sum", input * target, axis=axes, keepdim=False)
    each = _do("sum", input, axis=axes, keepdim=False) + _do("sum", target, axis=axes, keepdim=False)
    return _do("mean", 1 - both * 2 / (each + epsilon), **_ALL)


# ---- distributions and distances ---------------------------------------------------------------------------------


def kl_div(input, label, reduction="mean", log_target=False, name=None):
    """label (log(label) - input) for log-probabilities input; with log_target exp(label) (label - input).

    reduction "batchmean": the sum over the size of the first axis, which is the divergence itself.
    """
    check_reduction("kl_div", reduction, (*REDUCTIONS, "batchmean"))
    out = _do("kl_div", input, label, log_target=log_target)
    if reduction == "batchmean":
        rows = _do("sum", out, axis=tuple(range(1, out.ndim)), keepdim=False) if out.ndim > 1 else out
        return _do("mean", rows, **_ALL)          # not over input.shape[0], which a Program may not know
    return _reduced("kl_div", out, reduction)


def margin_ranking_loss(input, other, label, margin=0.0, reduction="mean", name=None):
    """max(0, label * (other - input) + margin) for labels of 1 (input is to be the larger) and -1."""
    return _reduced("margin_ranking_loss", _do("relu", (other - input) * label + margin), reduction)


def hinge_embedding_loss(input, label, margin=1.0, reduction="mean", name=None):
    """input where label is 1, max(0, margin - input) where it is -1."""
    check_reduction("hinge_embedding_loss", reduction)
    out = _do("where", label == 1, input, 0.0) + _do("where", label == -1, _do("relu", margin - input), 0.0)
    return _reduced("hinge_embedding_loss", out, reduction)


def cosine_embedding_loss(input1, input2, label, margin=0, reduction="mean", name=None):
    """1 - cos where label is 1, max(0, cos - margin) where it is -1. inputs: [N, M] or [M]; label: [N] or [1]."""
    check_reduction("cosine_embedding_loss", reduction)
    _same_shape("cosine_embedding_loss", input1, input2)
    if len(label.shape) != 1 or len(input1.shape) > 2:
        raise ValueError(explain("cosine_embedding_loss", "inputs [N, M] or [M] and label [N]",
                                 f"{list(input1.shape)} and {list(label.shape)}"))

    def total(x):
        return _do("sum", x, axis=-1, keepdim=False)

    cos = total(input1 * input2) / _do("sqrt", (total(input1 * input1) + 1e-11) * (total(input2 * input2) + 1e-11))
    out = _do("where", label == 1, 1 - cos, 0.0) + _do("where", label == -1, _above(cos - margin, 0.0), 0.0)
    return _reduced("cosine_embedding_loss", out, reduction)


def triplet_margin_loss(input, positive, negative, margin=1.0, p=2.0, epsilon=1e-6, swap=False, reduction="mean",
                        name=None):
    """max(0, d(input, positive) - d(input, negative) + margin), d the p-norm of the difference plus epsilon.

    swap: the distance from positive to negative counts where it is the smaller one (Balntas et al. 2016).
    """
    def distance(a, b):
        return pairwise_distance(a, b, p, epsilon)

    return triplet_margin_with_distance_loss(input, positive, negative, distance, margin, swap, reduction)


def triplet_margin_with_distance_loss(input, positive, negative, distance_function=None, margin=1.0, swap=False,
                                      reduction="mean", name=None):
    """`triplet_margin_loss` with a distance of one's own; default the Euclidean one."""
    if margin < 0:
        raise ValueError(explain("triplet margin loss", "margin >= 0", repr(margin)))
    distance = pairwise_distance if distance_function is None else distance_function
    far = distance(input, negative)
    if swap:
        far = _do("minimum", far, distance(positive, negative))
    return _reduced("triplet margin loss", _above(distance(input, positive) - far + margin, 0.0), reduction)


def _same_shape(where, a, b) -> None:
    if a.shape != b.shape:
        raise ValueError(explain(where, "tensors of one shape", f"{list(a.shape)} and {list(b.shape)}"))
