"""Losses over alignments, over very many classes, and over pairs in a batch."""

import numpy as np

from gpuflow import dtypes
from gpuflow.dispatch import call, in_dynamic_mode
from gpuflow.errors import explain
from gpuflow.functional.search import index_select
from gpuflow.nn.functional.loss import check_reduction
from gpuflow.ops.registry import OPS
from gpuflow.random import host_rng
from gpuflow.tensor import to_tensor

__all__ = ["adaptive_log_softmax_with_loss", "class_center_sample", "ctc_loss", "hsigmoid_loss",
           "margin_cross_entropy", "multi_label_margin_loss", "npair_loss", "rnnt_loss"]


def _do(name, *inputs, **attrs):
    return call(OPS[name], inputs, attrs)


def _total(x, axis=None, keepdim=False):
    return _do("sum", x, axis=axis, keepdim=keepdim)


def _reduced(where, values, reduction):
    check_reduction(where, reduction)
    return values if reduction == "none" else _do(reduction, values, axis=None, keepdim=False)


def ctc_loss(log_probs, labels, input_lengths, label_lengths, blank=0, reduction="mean", norm_by_times=False,
             zero_infinity=False):
    """Minus the log probability of the labels over all alignments (Graves et al., 2006).

    log_probs: [T, N, classes] logits (softmax is part of the loss). labels: [N, L] class numbers; input_lengths,
    label_lengths: [N]. reduction "mean": each loss over its number of labels, then the mean. norm_by_times: gradients
    over the number of moments. zero_infinity: impossible labels count 0.
    """
    check_reduction("ctc_loss", reduction)
    loss = _do("ctc_loss", log_probs, labels, input_lengths, label_lengths, blank=blank)
    if zero_infinity:
        loss = _do("where", loss < 1e29, loss, 0.0)
    if norm_by_times:     # the value stays, the gradient is divided
        times = _do("cast", input_lengths, dtype=loss.dtype)
        loss = loss / times + (loss - loss / times).detach()
    if reduction == "mean":
        lengths = _do("clip", _do("cast", label_lengths, dtype=loss.dtype), min=1.0)
        return _do("mean", loss / lengths, axis=None, keepdim=False)
    return _reduced("ctc_loss", loss, reduction)


def rnnt_loss(input, label, input_lengths, label_lengths, blank=0, fastemit_lambda=0.001, reduction="mean",
              name=None):
    """Minus the log probability of the labels over all paths of a transducer (Graves, 2012).

    input: [B, T, U + 1, classes] logits. label: [B, U]; input_lengths, label_lengths: [B]. fastemit_lambda: emitting
    early counts that much more in the gradient (Yu et al., 2021).
    """
    loss = _do("rnnt_loss", input, label, input_lengths, label_lengths, blank=blank, fastemit=float(fastemit_lambda))
    return _reduced("rnnt_loss", loss, reduction)


def multi_label_margin_loss(input, label, reduction="mean", name=None):
    """Per row the sum of max(0, 1 - (input[j] - input[i])) over labels j and all others i, over the number of classes.

    input: [N, C] or [C]. label: of its shape, class numbers first and then -1.
    """
    check_reduction("multi_label_margin_loss", reduction)
    if list(input.shape) != list(label.shape) or len(input.shape) not in (1, 2):
        raise ValueError(explain("multi_label_margin_loss", "input and label [N, C], or both [C]",
                                 f"{list(input.shape)} and {list(label.shape)}"))
    alone = len(input.shape) == 1
    if alone:
        input, label = _do("unsqueeze", input, axis=0), _do("unsqueeze", label, axis=0)
    classes = input.shape[1]
    # whatever follows the first -1 counts for nothing
    valid = _do("cumsum", _do("cast", label < 0, dtype=dtypes.int64), axis=1) < 1
    safe = _do("where", valid, label, _do("full", shape=(), value=0, dtype=label.dtype))
    hot = _do("one_hot", safe, num_classes=classes) * _do("cast", _do("unsqueeze", valid, axis=2), dtype=input.dtype)
    target = _do("max", hot, axis=1, keepdim=False)
    picked = _do("take_along_axis", input, safe, axis=1)
    gaps = _do("clip", 1.0 - _do("unsqueeze", picked, axis=2) + _do("unsqueeze", input, axis=1), min=0.0)
    counts = _do("unsqueeze", _do("cast", valid, dtype=input.dtype), axis=2) * _do("unsqueeze", 1.0 - target, axis=1)
    loss = _total(gaps * counts, axis=(1, 2)) / classes
    return _reduced("multi_label_margin_loss", _do("squeeze", loss, axis=0) if alone else loss, reduction)


def npair_loss(anchor, positive, labels, l2_reg=0.002):
    """Cross entropy of anchor @ positive.T, where pairs of one label belong together, and a penalty on lengths
    (Sohn, 2016). anchor, positive: [N, D]; labels: [N]."""
    labels = _do("reshape", labels, shape=(-1, 1))
    same = _do("cast", _do("equal", labels, _do("transpose", labels, perm=(1, 0))), dtype=anchor.dtype)
    same = same / _total(same, 1, True)
    lengths = _do("mean", _total(anchor * anchor, 1), axis=None, keepdim=False) \
        + _do("mean", _total(positive * positive, 1), axis=None, keepdim=False)
    scores = _do("log_softmax", _do("matmul", anchor, positive, transpose_y=True), axis=-1)
    cross = _do("mean", -_total(same * scores, 1), axis=None, keepdim=False)
    return lengths * (0.25 * l2_reg) + cross


def hsigmoid_loss(input, label, num_classes, weight, bias=None, path_table=None, path_code=None, is_sparse=False,
                  name=None):
    """Hierarchical softmax (Morin and Bengio, 2005): a class is a path through a binary tree, a decision per node.

    input: [N, D]. label: [N] or [N, 1]. weight: [num_classes - 1, D]; bias: [num_classes - 1] or [num_classes - 1, 1].
    path_table, path_code: [N, L] nodes and decisions of each row's own path, -1 after its end; default the complete
    tree. Returns [N, 1]. is_sparse changes nothing here.
    """
    if (path_table is None) != (path_code is None):
        raise ValueError(explain("hsigmoid_loss", "path_table and path_code together", "one of them"))
    if path_table is None:
        if num_classes < 2:
            raise ValueError(explain("hsigmoid_loss", "num_classes of at least 2", str(num_classes)))
        nodes, codes = (to_tensor(a, place=input.place) for a in _complete_tree(num_classes))
        rows = _do("reshape", label, shape=(-1,))
        path_table, path_code = index_select(nodes, rows), index_select(codes, rows)
    on_path = _do("cast", path_table >= 0, dtype=input.dtype)
    safe = _do("where", path_table >= 0, path_table, _do("full", shape=(), value=0, dtype=path_table.dtype))
    scores = _total(_do("embedding", safe, weight) * _do("unsqueeze", input, axis=1), 2)
    if bias is not None:
        scores = scores + _do("squeeze", _do("embedding", safe, _do("reshape", bias, shape=(-1, 1))), axis=2)
    # beyond a path's end the score is 0 and adds log 2, without a gradient: so does Paddle
    scores = _do("clip", scores, min=-40.0, max=40.0) * on_path
    decided = _do("cast", path_code > 0, dtype=input.dtype)
    return _total(_do("softplus", scores) - decided * scores, 1, True)


def _complete_tree(classes: int):
    """(nodes, codes), both [classes, depth]: the path of each class in a complete binary tree, -1 after its end."""
    depth = (2 * classes - 1).bit_length() - 1
    nodes, codes = np.full((classes, depth), -1, np.int64), np.zeros((classes, depth), np.int64)
    for c in range(classes):
        number = c + classes
        for bit in range(number.bit_length() - 1):
            nodes[c, bit], codes[c, bit] = (number >> (bit + 1)) - 1, number >> bit & 1
    return nodes, codes


def adaptive_log_softmax_with_loss(input, label, head_weight, tail_weights, cutoffs, head_bias=None, name=None):
    """Softmax over very many classes, the rare ones in clusters with smaller projections (Grave et al., 2016).

    input: [N, D] or [D]; label: [N] or []. head_weight: [D, cutoffs[0] + clusters]; tail_weights: pairs ([D, d],
    [d, size of the cluster]). cutoffs: rising class numbers where clusters begin, then the number of classes.
    Returns (log probability of each label, minus their mean).
    """
    alone = len(label.shape) == 0
    if alone:
        input, label = _do("unsqueeze", input, axis=0), _do("unsqueeze", label, axis=0)
    bounds = [int(c) for c in cutoffs]
    if bounds != sorted(set(bounds)) or len(tail_weights) != len(bounds) - 1:
        raise ValueError(explain("adaptive_log_softmax_with_loss", "rising cutoffs and a pair of weights for each but "
                                 "the first", f"{bounds} and {len(tail_weights)} pairs"))
    head = _do("matmul", input, head_weight)
    head = _do("log_softmax", head if head_bias is None else head + head_bias, axis=1)
    zero = _do("full", shape=(), value=0, dtype=label.dtype)

    def column(table, numbers, wanted):
        return _do("squeeze", _do("take_along_axis", table, _do("unsqueeze", _do("where", wanted, numbers, zero),
                                                                axis=1), axis=1), axis=1)

    common = label < bounds[0]
    out = _do("where", common, column(head, label, common), 0.0)
    for k, ((first, second), low, high) in enumerate(zip(tail_weights, bounds, bounds[1:])):
        mine = _do("logical_and", label >= low, label < high)
        cluster = _do("log_softmax", _do("matmul", _do("matmul", input, first), second), axis=1)
        inside = _do("getitem", head, index=(slice(None), bounds[0] + k)) + column(cluster, label - low, mine)
        out = out + _do("where", mine, inside, 0.0)
    loss = -_do("mean", out, axis=None, keepdim=False)
    return (_do("squeeze", out, axis=0) if alone else out), loss


def margin_cross_entropy(logits, label, margin1=1.0, margin2=0.5, margin3=0.0, scale=64.0, group=None,
                         return_softmax=False, reduction="mean"):
    """Cross entropy of cosines whose own class is made harder: cos(margin1 * angle + margin2) - margin3, times `scale`
    (Deng et al., 2019). logits: [N, C] cosines; label: [N] or [N, 1]. group: None or False, one device.

    Returns the loss ([N, 1] for reduction "none" or None), with return_softmax also the softmax [N, C].
    """
    if group not in (None, False):
        raise ValueError(explain("margin_cross_entropy", "group None or False", repr(group)))
    rows = _do("reshape", label, shape=(-1, 1))
    own = _do("take_along_axis", logits, rows, axis=1)
    angle = _do("acos", _do("clip", own, min=-1.0, max=1.0))
    harder = _do("cos", angle * margin1 + margin2) - margin3
    hot = _do("one_hot", _do("squeeze", rows, axis=1), num_classes=logits.shape[1])
    scores = _do("log_softmax", (logits + _do("cast", hot, dtype=logits.dtype) * (harder - own)) * scale, axis=-1)
    loss = -_do("take_along_axis", scores, rows, axis=1)
    loss = _reduced("margin_cross_entropy", loss, "none" if reduction is None else reduction)
    return (loss, _do("exp", scores)) if return_softmax else loss


def class_center_sample(label, num_classes, num_samples, group=None):
    """Classes to keep for a step of a softmax over very many (An et al., 2022): (labels among them, the classes kept).

    Kept are the classes of `label` [N], sorted, then others drawn without replacement until there are num_samples; all
    classes of `label` where they are more. Eager mode only: how many is known from the numbers, which the host looks
    at. group: None or False, one device.
    """
    if not in_dynamic_mode():
        raise RuntimeError(explain("class_center_sample", "eager mode", "a Program", "it on the labels that are fed"))
    if group not in (None, False):
        raise ValueError(explain("class_center_sample", "group None or False", repr(group)))
    if num_samples > num_classes:
        raise ValueError(explain("class_center_sample", f"at most {num_classes} samples", str(num_samples)))
    if label.ndim != 1 or label.dtype.is_differentiable:
        raise ValueError(explain("class_center_sample", "integer labels [N]",
                                 f"{label.dtype.name} {list(label.shape)}"))
    kept, places = np.unique(label.numpy(), return_inverse=True)
    if kept.size and not 0 <= kept[0] <= kept[-1] < num_classes:
        raise ValueError(explain("class_center_sample", f"labels in [0, {num_classes})", f"{kept[0]} to {kept[-1]}"))
    if kept.size < num_samples:
        others = np.setdiff1d(np.arange(num_classes), kept, assume_unique=True)
        kept = np.concatenate([kept, host_rng().choice(others, num_samples - kept.size, replace=False)])
    return to_tensor(places, label.dtype, label.place), to_tensor(kept, label.dtype, label.place)
