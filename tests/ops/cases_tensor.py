"""Sample inputs for complex numbers, bits and reductions along an axis; see cases.py."""
import numpy as np

from tests.ops.cases import ints, normal

_TWICE = np.array([[1, 1], [2, 0]])
_HALF = ("float16", "bfloat16")

CASES = {
    # order 0: the checker knows real numbers only; tests/ops/test_functions.py has their gradients beside Paddle's
    "complex": [((normal(2, 3), normal(3)), {}, (), 0, _HALF)],
    "real": [((normal(2, 3),), {}, (), 0)], "imag": [((normal(2, 3),), {}, (), 0)], "conj": [((normal(2, 3),),)],
    "angle": [((normal(2, 3),),)],
    "bitwise_left_shift": [((ints(9, 2, 3), ints(3, 3)),)],
    "bitwise_right_shift": [((ints(9, 2, 3) - 4, ints(3, 3)),),
                            ((ints(9, 2, 3) - 4, ints(3, 3)), {"arithmetic": False})],
    "gcd": [((ints(9, 2, 3), ints(9, 3)),)],
    "nextafter": [((normal(2, 3), normal(3)), {}, (), 0, ("bfloat16",))],
    "signbit": [((normal(2, 3),),), ((ints(9, 3) - 4,),)],
    "cumulative_place": [((normal(2, 3),), {"axis": 1, "largest": True}),
                         ((ints(3, 4, 2),), {"axis": 0, "largest": False})],
    "most_frequent": [((ints(3, 2, 5),), {"axis": 1})],
    "poisson": [((np.abs(normal(2, 3)),),)], "standard_gamma": [((np.abs(normal(2, 3)) + 0.1,),)],
    "binomial": [((ints(9, 2, 3), np.full(3, 0.25)),)],
    "reduce_along_axis": [((normal(2, 3), _TWICE, normal(2, 2)), {"axis": 1, "how": how, "include_self": itself}, (), 1)
                          for how in ("multiply", "mean", "amax", "amin") for itself in (True, False)],
    "reduce_along_axis_back": [((normal(2, 3), normal(2, 3), _TWICE, normal(2, 2), normal(2, 3)),
                                {"axis": 1, "how": "mean"}, (), 0)],
}
