"""Sample inputs for the ops of losses, embedding and dropout."""
import numpy as np

from tests.ops.cases import between, bools, ints, normal

_LABELS = np.array([2, 0, -100, 1])   # one ignored row
_MAP = np.array([[[1, 0, 2], [2, -100, 0]], [[0, 1, 1], [2, 2, 0]]])   # [2, 2, 3] beside logits [2, 3, 2, 3]
_WEIGHT = np.array([0.5, 2.0, 1.5])


def _label_cases():
    return [
        ((normal(4, 3), _LABELS, None), {}),
        ((normal(4, 3), _LABELS, _WEIGHT), {"reduction": "sum"}, (2,)),
        ((normal(2, 3, 2, 3), _MAP, _WEIGHT), {"axis": 1}, (2,)),
        ((normal(4, 3), np.array([2, 0, 1, 1]), None), {"reduction": "none", "ignore_index": 1}),
    ]


CASES = {
    "cross_entropy": [
        *_label_cases(),
        ((normal(4, 3), np.array([2, 0, 1, 1]), _WEIGHT), {"smoothing": 0.1}, (2,)),
        ((normal(3, 4), np.array([2, 0, 1, 1]), None), {"axis": 0, "ignore_index": 0, "reduction": "mean"}),
    ],
    "cross_entropy_slope": [
        ((np.asarray(0.7), normal(4, 3), _LABELS, _WEIGHT, None), {}, (3,)),
        ((normal(4), normal(4, 3), _LABELS, None, None), {"reduction": "none"}),
        ((normal(2, 2, 3), normal(2, 3, 2, 3), _MAP, None, None), {"reduction": "none", "axis": 1, "smoothing": 0.2}),
    ],
    "row_constants": [
        ((normal(4, 3), _LABELS, _WEIGHT), {"axis": 1, "ignore_index": -100, "reduction": "mean", "smoothing": 0.1}),
    ],
    "nll_loss": [
        (inputs, {k: v for k, v in attrs.items() if k != "axis"}, *rest) for inputs, attrs, *rest in _label_cases()
    ],
    "nll_loss_slope": [
        ((np.asarray(0.7), _LABELS, _WEIGHT), {"shape": (4, 3)}, (2,)),
        ((normal(2, 2, 3), _MAP, None), {"shape": (2, 3, 2, 3), "reduction": "none"}),
    ],
    "huber_loss": [((normal(3, 4), 0.3 * normal(3, 4)), {"delta": 0.77}), ((normal(3, 4), normal(4)),)],
    "bce_loss": [((between(0.05, 0.95, 3, 4), between(0.0, 1.0, 3, 4)),)],
    "bce_with_logits": [
        ((normal(3, 4), between(0.0, 1.0, 3, 4), None),),
        ((normal(3, 4), between(0.0, 1.0, 3, 4), between(0.5, 3.0, 4)), {}, (2,)),
    ],
    "kl_div": [
        ((normal(3, 4), between(0.1, 1.0, 3, 4)),),
        ((normal(3, 4), 0.2 * normal(3, 4)), {"log_target": True}),
    ],
    "embedding": [
        ((ints(5, 2, 3), normal(5, 4)),),
        ((np.array([1, 3, 1, 0]), normal(5, 2)), {"padding_idx": 3}),
        ((np.array([1, 3, 1, 1]), normal(5, 2)), {"scale_by_count": True}, (1,)),   # its gradient is scaled on purpose
    ],
    "embedding_backward": [
        ((normal(2, 3, 4), ints(5, 2, 3)), {"rows": 5, "padding_idx": 1}),
        ((normal(4, 2), np.array([1, 3, 1, 1])), {"rows": 5, "scale_by_count": True}),
    ],
    "embedding_shares": [((np.array([1, 3, 1, 0]),), {"rows": 5})],
    "keep_mask": [((normal(4, 3),), {"p": 0.4}), ((normal(2, 3, 4),), {"p": 0.4, "axes": (0, 1)})],
    "uniform_like": [((normal(4, 3),), {"low": -1.0, "high": 2.0})],
    "dropout": [((normal(4, 3), bools(4, 3)), {"scale": 2.0}), ((normal(2, 3, 4), bools(2, 3, 1)),)],
}
