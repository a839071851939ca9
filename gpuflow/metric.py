"""How good predictions are, over many batches: Accuracy, Precision, Recall, Auc, and the base of one's own.

Per batch ``m.update(*m.compute(pred, label))``, at the end ``m.accumulate()``; `Model` does so by itself.
`compute` runs on tensors, in a Program as well; `update` adds arrays up on the host.
"""
import abc

import numpy as np

from gpuflow.errors import explain
from gpuflow.functional.manipulation import reshape
from gpuflow.functional.search import argmax, topk
from gpuflow.ops.measure import area_under_curve
from gpuflow.static.nn.measures import accuracy as _accuracy

__all__ = ["Accuracy", "Auc", "Metric", "Precision", "Recall", "accuracy"]


class Metric(abc.ABC):
    """The base of a metric: `reset`, `update`, `accumulate` and `name` are to be written, `compute` may be."""

    @abc.abstractmethod
    def reset(self):
        """Forgets all batches."""

    @abc.abstractmethod
    def update(self, *args):
        """Takes in what `compute` returned for one batch, as arrays."""

    @abc.abstractmethod
    def accumulate(self):
        """The value over all batches since `reset`."""

    @abc.abstractmethod
    def name(self):
        """The metric's name, or a list of names where there are several values."""

    def compute(self, *args):
        """What `update` needs of (outputs..., labels...), worked out where the tensors are; here all of them."""
        return args


def _array(what, value) -> np.ndarray:
    if hasattr(value, "numpy"):
        return value.numpy()
    if not isinstance(value, np.ndarray | np.generic):
        raise ValueError(explain(f"update({what})", "a tensor or a NumPy array", type(value).__name__))
    return np.asarray(value)


class Accuracy(Metric):
    """The share of samples whose label is among the k best classes, for each k in `topk`."""

    def __init__(self, topk=(1,), name=None, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.topk, self.maxk = topk, max(topk)
        name = name or "acc"
        self._name = [name] if self.maxk == 1 else [f"{name}_top{k}" for k in topk]
        self.reset()

    def compute(self, pred, label, *args):
        """float32 [..., max(topk)]: 1 where the class of that rank is the label's.

        pred: scores [..., classes]. label: the classes' numbers, [N] or [..., 1], or one-hot [..., classes].
        """
        _, best = topk(pred, self.maxk)
        rank = len(label.shape)
        if rank == 1 or (rank == 2 and label.shape[-1] == 1):
            label = reshape(label, [-1, 1])
        elif label.shape[-1] != 1:
            label = argmax(label, axis=-1, keepdim=True)
        return (best == label.astype(best.dtype)).astype("float32")

    def update(self, correct, *args):
        """Adds what `compute` gave; returns the batch's share, a list of them for several k."""
        correct = _array("correct", correct)
        samples = int(np.prod(correct.shape[:-1]))
        shares = []
        for i, k in enumerate(self.topk):
            hits = correct[..., :k].sum()
            shares.append(float(hits) / samples)
            self.total[i] += hits
            self.count[i] += samples
        return shares[0] if len(shares) == 1 else shares

    def reset(self):
        self.total, self.count = [0.0] * len(self.topk), [0] * len(self.topk)

    def accumulate(self):
        shares = [float(t) / c if c > 0 else 0.0 for t, c in zip(self.total, self.count)]
        return shares[0] if len(shares) == 1 else shares

    def name(self):
        return self._name


class _OfTwoClasses(Metric):
    """Counts the samples that are called 1: rightly (tp), or wrongly in the sense of the subclass."""

    def __init__(self, name, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._name = name
        self.reset()

    def _counted(self, preds, labels, rounded):
        preds, labels = rounded(_array("preds", preds)).reshape(-1) == 1, _array("labels", labels).reshape(-1)
        return preds[:len(labels)], labels

    def name(self):
        return self._name


class Precision(_OfTwoClasses):
    """Of the samples called 1 (probability 0.5 or more), the share that is 1."""

    def __init__(self, name="precision", *args, **kwargs):
        super().__init__(name, *args, **kwargs)

    def update(self, preds, labels):
        """preds: probabilities of 1, [N] or [N, 1]. labels: 0 and 1, of as many elements."""
        called, labels = self._counted(preds, labels, lambda p: np.floor(p + 0.5))
        self.tp += int((called & (labels == 1)).sum())
        self.fp += int((called & (labels != 1)).sum())

    def reset(self):
        self.tp = self.fp = 0

    def accumulate(self):
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else 0.0


class Recall(_OfTwoClasses):
    """Of the samples that are 1, the share called 1 (probability above 0.5)."""

    def __init__(self, name="recall", *args, **kwargs):
        super().__init__(name, *args, **kwargs)

    def update(self, preds, labels):
        """preds: probabilities of 1, [N] or [N, 1]. labels: 0 and 1, of as many elements."""
        called, labels = self._counted(preds, labels, np.rint)
        self.tp += int((called & (labels == 1)).sum())
        self.fn += int((~called & (labels == 1)).sum())

    def reset(self):
        self.tp = self.fn = 0

    def accumulate(self):
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else 0.0


class Auc(Metric):
    """The area under the ROC curve of probabilities, counted in num_thresholds + 1 bins.

    curve: "ROC"; "PR" is taken and gives the same, as in Paddle.
    """

    def __init__(self, curve="ROC", num_thresholds=4095, name="auc", *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._curve, self._num_thresholds, self._name = curve, num_thresholds, name
        self.reset()

    def update(self, preds, labels):
        """preds: [N, 2], the probability of 1 in the second column. labels: 0 and 1, [N] or [N, 1]."""
        preds, ones = _array("preds", preds), _array("labels", labels).reshape(-1) != 0
        places = (preds[:len(ones), 1] * self._num_thresholds).astype(np.int64)
        if len(places) and not 0 <= places.min() <= places.max() <= self._num_thresholds:
            raise ValueError(explain("Auc.update", "probabilities in [0, 1]",
                                     f"numbers from {preds[:, 1].min()} to {preds[:, 1].max()}"))
        for counts, chosen in ((self._stat_pos, ones), (self._stat_neg, ~ones)):
            counts += np.bincount(places[chosen], minlength=len(counts))

    def reset(self):
        self._stat_pos, self._stat_neg = np.zeros((2, self._num_thresholds + 1))

    def accumulate(self):
        return float(area_under_curve(np, self._stat_pos, self._stat_neg))

    def name(self):
        return self._name


def accuracy(input, label, k=1, correct=None, total=None, name=None):
    """The share of rows whose label is among the k largest, float32.

    input: scores [N, C]. label: int [N, 1] or [N]. correct, total: int32 tensors that get the two counts.
    """
    return _accuracy(input, label, k, correct, total)
