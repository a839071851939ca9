"""How good predictions are: ops that count. They have no gradients."""
from gpuflow import dtypes
from gpuflow.errors import explain
from gpuflow.ops.registry import Spec, op


def _accuracy_spec(indices, label, **rest):
    if len(indices.shape) != 2:
        raise ValueError(explain("accuracy", "the indices of the best classes as [N, k]", str(list(indices.shape))))
    return Spec((), dtypes.float32), Spec((), dtypes.int32), Spec((), dtypes.int32)


@op("accuracy", infer=_accuracy_spec, outputs=("accuracy", "correct", "total"))
def accuracy(xp, indices, label):
    """(share, count of the rows of indices [N, k] that have their label [N] or [N, 1] in them, N)."""
    hits = (indices == label.reshape(-1, 1)).any(axis=1).sum()
    total = indices.shape[0]
    return xp.asarray(hits / max(total, 1), xp.float32), xp.asarray(hits, xp.int32), xp.asarray(total, xp.int32)


def _auc_spec(predict, label, positive, negative, *, num_thresholds=4095, slide_steps=0):
    if len(predict.shape) != 2:
        raise ValueError(explain("auc", "predictions [N, 1] or [N, 2]", str(list(predict.shape))))
    return Spec((), dtypes.float64), Spec(positive.shape, dtypes.int64), Spec(negative.shape, dtypes.int64)


@op("auc", infer=_auc_spec, outputs=("auc", "positive_out", "negative_out"))
def auc(xp, predict, label, positive, negative, *, num_thresholds=4095, slide_steps=0):
    """(area under the ROC curve, the counts with this batch in them).

    predict: the probability of class 1 in its last column. positive, negative: counts of the labels 1 and 0 by
    probability, num_thresholds + 1 of them since the start; for slide_steps > 0, those of as many batches, their sum,
    and the number of batches so far.
    """
    size = num_thresholds + 1
    place = (predict[:, -1] * num_thresholds).astype(xp.int64)
    ones = label.reshape(-1) != 0
    sums, outs = [], []
    for old, chosen in ((positive, ones), (negative, ~ones)):
        counts = xp.bincount(place[chosen], minlength=size)[:size].astype(xp.int64)
        if slide_steps == 0:
            sums.append(old.reshape(-1) + counts)
            outs.append(sums[-1].reshape(old.shape))
            continue
        kept, seen = old[:-1].reshape(slide_steps + 1, size).copy(), old[-1:]
        kept[seen % slide_steps] = counts
        kept[-1] = kept[:-1].sum(axis=0)
        sums.append(kept[-1])
        outs.append(xp.concatenate([kept.reshape(-1), seen + 1]))
    return area_under_curve(xp, *sums), *outs


def area_under_curve(xp, positive, negative):
    """The area under the ROC curve from counts of the labels 1 and 0 by probability; 0 where one label is missing."""
    above = [xp.cumsum(s[::-1]).astype(xp.float64) for s in (positive, negative)]  # at or above each threshold
    before = [xp.concatenate([xp.zeros(1), a[:-1]]) for a in above]
    area = ((above[1] - before[1]) * (above[0] + before[0]) / 2).sum()
    whole = above[0][-1] * above[1][-1]
    return xp.where(whole > 0, area / xp.where(whole > 0, whole, 1), 0.0)
