"""Sample inputs for decompositions; see cases.py. 16-bit floats are not offered: NumPy has no routines for them."""
import numpy as np

from tests.ops.cases import normal

_HALF = ("float16", "bfloat16")
_A = normal(2, 3, 3) + 2 * np.eye(3)
_S = _A @ _A.swapaxes(-1, -2)
_SPREAD = np.diag([1.0, 3.0, 6.0]) + 0.1 * (normal(3, 3) + 1)    # eigenvalues apart

CASES = {
    "inv": [((_A,), {}, (), 2, _HALF)], "det": [((_A,), {}, (), 2, _HALF)], "slogdet": [((_A,), {}, (), 2, _HALF)],
    "solve": [((_A, normal(2, 3, 2)), {}, (), 2, _HALF), ((_A, normal(3, 1)), {}, (), 2, _HALF)],
    # order 0: a step on one triangle of x leaves the symmetric matrices; tests/test_linalg.py has the gradients
    "cholesky": [((_S,), {}, (), 0, _HALF)], "eigh": [((_S,), {}, (), 0, _HALF)],
    # order 1: second derivatives lose more digits than the checker grants
    "svd": [((_SPREAD[:, :2],), {}, (), 1, _HALF), ((_SPREAD[:2],), {}, (), 1, _HALF)],
    "qr": [((_A,), {}, (), 1, _HALF), ((normal(4, 2),), {}, (), 1, _HALF)],
    "eig": [((_A,), {}, (), 0, _HALF)], "matrix_exp": [((_A,), {}, (), 2, _HALF)],
    "lu": [((_A,), {}, (), 0, _HALF), ((normal(4, 2),), {}, (), 0, _HALF)],
}
