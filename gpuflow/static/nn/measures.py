"""accuracy, auc and the counts of click-through models, computed in a Program."""
import numpy as np

from gpuflow.dispatch import call, in_dynamic_mode
from gpuflow.errors import explain
from gpuflow.functional.creation import assign, zeros
from gpuflow.functional.search import topk
from gpuflow.ops.registry import OPS
from gpuflow.static.build import global_variable

__all__ = ["accuracy", "auc", "ctr_metric_bundle"]


def accuracy(input, label, k=1, correct=None, total=None):
    """The share of rows whose label is among the k largest, float32.

    input: scores [N, C]. label: int [N, 1] or [N]. correct, total: int32 tensors that get the two counts.
    """
    _, indices = topk(input, int(k))
    share, hits, rows = call(OPS["accuracy"], (indices, label))
    for given, found in ((correct, hits), (total, rows)):
        if given is not None:
            assign(found.cast(given.dtype).reshape(given.shape), given)
    return share


def auc(input, label, curve="ROC", num_thresholds=4095, topk=1, slide_steps=1, ins_tag_weight=None):
    """(area under the ROC curve since the start, that of the last `slide_steps` batches, [the four counts]).

    input: probabilities [N, 2], or [N, 1] of class 1. label: int [N, 1] of 0 and 1. The counts are global variables of
    the program: batch positive, batch negative, positive, negative; in eager mode they start at 0 with every call.
    """
    if curve != "ROC" or ins_tag_weight is not None:
        raise ValueError(explain("auc", "curve='ROC' and ins_tag_weight=None", f"{curve!r}, {ins_tag_weight!r}"))
    size = num_thresholds + 1

    def counted(shape, steps):
        made = [zeros(shape, "int64") if in_dynamic_mode() else global_variable(shape, 0, np.int64, persistable=True)
                for _ in range(2)]
        area, *after = call(OPS["auc"], (input, label, *made), {"num_thresholds": num_thresholds, "slide_steps": steps})
        for state, new in zip(made, after):
            assign(new, state)
        return area, made

    batch, of_batch = counted([(1 + slide_steps) * size + 1 if slide_steps else size], slide_steps)
    whole, of_all = counted([1, size], 0)
    return whole, batch, [*of_batch, *of_all]


def ctr_metric_bundle(input, label, ins_tag_weight=None):
    """Sums since the start, global variables [1] of the program: of squared errors, absolute errors, predictions,
    sigmoid(predictions) and labels, and the count of rows. input, label: [N, 1]. ins_tag_weight: a tensor; 0 leaves the
    batch out of the last three."""
    weight = 1.0 if ins_tag_weight is None else ins_tag_weight.reshape([-1])[:1]
    label = label.cast(input.dtype)
    error = input - label
    rows = call(OPS["full_like"], (label,), {"value": 1.0, "dtype": label.dtype}).sum()
    found = [(error * error).sum(), error.abs().sum(), input.sum(), call(OPS["sigmoid"], (input,)).sum() * weight,
             label.sum() * weight, rows * weight]
    sums = []
    for value in found:
        total = zeros([1]) if in_dynamic_mode() else global_variable([1], 0.0, np.float32, persistable=True)
        assign(total + value, total)
        sums.append(total)
    return tuple(sums)
