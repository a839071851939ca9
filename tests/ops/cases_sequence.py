"""Sample inputs for attention and recurrences; see cases.py."""
import numpy as np

from tests.ops.cases import between, bools, ints, normal

_LENGTHS = np.array([1, 3])


def _weights(gates, inputs=2, hidden=2, states=None):
    return tuple(between(-1, 1, *shape) for shape in ((gates * hidden, inputs), (gates * hidden, states or hidden),
                                                      (gates * hidden,), (gates * hidden,)))


def _x():
    return between(-1, 1, 3, 2, 2)


def _h(size=2):
    return between(-1, 1, 2, size)


CASES = {
    "simple_rnn": [
        ((_x(), *_weights(1), None, None),),
        ((_x(), *_weights(1), _h(), _LENGTHS), {"reverse": True}),
        ((_x(), *_weights(1), _h(), _LENGTHS), {"activation": "relu"}),
    ],
    "lstm": [
        ((_x(), *_weights(4), None, None, None, None),),
        ((_x(), *_weights(4), _h(), _h(), None, _LENGTHS), {"reverse": True}),
        ((_x()[:1], *_weights(4, hidden=3, states=2), _h(), _h(3), between(-1, 1, 3, 2), None),),
        ((_x(), *_weights(4, hidden=3, states=1), _h(1), _h(3), between(-1, 1, 3, 1), _LENGTHS),),
    ],
    "gru": [
        ((_x(), *_weights(3), None, None),),
        ((_x(), *_weights(3), _h(), _LENGTHS), {"reverse": True}),
        ((_x(), *_weights(3), _h(), _LENGTHS),),
    ],
    "attention_weights": [
        ((normal(2, 2, 3, 4), normal(2, 2, 5, 4), None), {"scale": 0.3}),
        ((normal(2, 2, 3, 2), normal(2, 2, 3, 2), normal(2, 1, 3, 3)), {"scale": 0.5, "causal": True}),
        ((normal(2, 3, 2), normal(2, 4, 2), bools(3, 4) | (ints(1, 4) == 0)), {"scale": 0.5}),
        ((normal(3, 2), normal(1, 4, 2), None), {"scale": -0.5}),
    ],
    "sequence_mask": [((ints(4, 2, 3),), {"maxlen": 5, "dtype": "float64"}),
                      ((ints(4, 3),), {"dtype": "int64"}, (), 0, (), True)],
    "gather_tree": [((ints(9, 3, 2, 4), ints(4, 3, 2, 4)),)],
    "viterbi_decode": [((normal(2, 3, 4), normal(4, 4), _LENGTHS),),
                       ((normal(2, 3, 4), normal(4, 4), _LENGTHS), {"include_bos_eos_tag": False})],
    "visible_spans": [((normal(2, 3, 4), normal(2, 3, 4), ints(4, 2, 1, 3, n)), {"causal": causal, "window": (1, 2)})
                      for n, causal in ((1, True), (2, True), (2, False), (4, False))]
    + [((normal(3, 4), normal(5, 4), None), {"causal": True})],
    "visible_in_pack": [((normal(6, 2), normal(7, 2), np.array([0, 2, 5]), np.array([0, 3, 7])), {"causal": True}),
                        ((normal(6, 2), normal(8, 2), np.array([0, 2, 5]), np.array([0, 4, 5])),
                         {"causal": False, "strides": (3, 4)})],
    "full_by_batch": [((normal(2, 3),), {"shape": (4, 1, 0), "value": 0.5, "dtype": "float64", "axis": 1, "at": 1})],
}
