"""Sample inputs for CTC and the transducer; see cases.py. Their gradients are written by hand: first order only."""
import numpy as np

from tests.ops.cases import normal

_CTC = (normal(4, 2, 3), np.array([[1, 1], [2, 0]]), np.array([4, 3]), np.array([2, 1]))
_RNNT = (normal(2, 3, 3, 4), np.array([[1, 2], [3, 0]]), np.array([3, 2]), np.array([2, 1]))

CASES = {
    "ctc_loss": [(_CTC, {}, (), 1), ((_CTC[0], np.array([[1, 0], [0, 2]]), *_CTC[2:]), {"blank": 2}, (), 1)],
    "ctc_loss_back": [((normal(2), *_CTC), {}, (), 0)],
    "rnnt_loss": [(_RNNT, {}, (), 1)],
    "rnnt_loss_back": [((normal(2), *_RNNT), {}, (), 0)],
}
