"""Sample inputs for Fourier transforms; see cases.py. 16-bit floats are not offered: NumPy has no routines for them."""
from tests.ops.cases import normal

_HALF = ("float16", "bfloat16")
_Z = normal(3, 4) + 1j * normal(3, 4)

CASES = {
    # order 0: the checker looks at real inputs; tests/test_fft.py has the gradients
    "fft": [((_Z,), {}, (), 0), ((_Z,), {"n": 5, "axis": 0, "norm": "ortho", "inverse": True}, (), 0)],
    "irfft": [((_Z,), {}, (), 0), ((_Z,), {"n": 5, "axis": 0, "norm": "forward"}, (), 0)],
    "rfft": [((normal(3, 4),), {}, (), 0, _HALF),
             ((normal(3, 4),), {"n": 5, "axis": 0, "norm": "ortho"}, (), 0, _HALF)],
}
