"""What is asked of the metrics of Paddle and of gpuflow alike."""
import numpy as np


def batches(seed=3, count=3):
    """(scores [8, 5], labels [8], probabilities [8], labels 0 and 1 [8]), float32 and int64, of batch after batch."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield (rng.standard_normal((8, 5)).astype("float32"), rng.integers(0, 5, 8),
               np.round(rng.random(8), 2).astype("float32"), rng.integers(0, 2, 8))


def run(paddle) -> dict:
    """Names to lists of numbers: what updates returned and what came of them."""
    metric, to = paddle.metric, paddle.to_tensor
    top, tops = metric.Accuracy(), metric.Accuracy(topk=(1, 3), name="my")
    precision, recall = metric.Precision(), metric.Recall()
    aucs = [metric.Auc(), metric.Auc(num_thresholds=10, name="coarse")]
    found = {"names": [top.name(), tops.name(), precision.name(), recall.name(), aucs[1].name()],
             "empty": [m.accumulate() for m in (top, tops, precision, recall, *aucs)], "batches": []}
    for scores, labels, chance, ones in batches():
        hot = np.eye(5, dtype="float32")[labels]
        shares = [top.update(top.compute(to(scores), to(labels[:, None]))),
                  tops.update(tops.compute(to(scores), to(hot))),
                  top.update(top.compute(to(scores), to(labels)).numpy())]
        precision.update(to(chance), to(ones))
        recall.update(chance[:, None], ones[:, None])
        for auc in aucs:
            auc.update(to(np.stack([1 - chance, chance], 1)), to(ones[:, None]))
        correct, total = to(np.zeros(1, "int32")), to(np.zeros(1, "int32"))
        shares += [metric.accuracy(to(scores), to(labels[:, None]), k=k, correct=correct, total=total).item()
                   for k in (1, 2)]
        found["batches"].append([shares, [m.accumulate() for m in (top, tops, precision, recall, *aucs)]])
    for m in (top, precision, recall, *aucs):
        m.reset()
    found["reset"] = [m.accumulate() for m in (top, precision, recall, *aucs)]
    return found
