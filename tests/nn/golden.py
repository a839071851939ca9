"""Comparison with what Paddle answered, shared by test_conv.py, test_pooling.py and test_norm.py."""
from pathlib import Path

import numpy as np
import pytest

import gpuflow
from tests.golden.nn_conv_pool_norm_cases import CASES, run

# float32 sums of up to a few hundred products in another order
TOLERANCE = {"rtol": 2e-5, "atol": 5e-6}
_FILE = Path(__file__).parents[1] / "golden" / "nn_conv_pool_norm.npz"


def cases(*functions):
    """Parametrisation over the cases of these families of functions (by part of the name)."""
    return pytest.mark.parametrize("name", [n for n, case in CASES.items() if any(f in case[0] for f in functions)])


def compare(name, without=()):
    """Runs a case and asserts Paddle's numbers, shapes and dtypes. without: parts of the answer not looked at."""
    with np.load(_FILE) as recorded:
        expected = {key.partition("/")[2]: recorded[key] for key in recorded.files if key.startswith(name + "/")}
    found = run(gpuflow, name)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        if key in without:
            continue
        assert (found[key].shape, found[key].dtype) == (value.shape, value.dtype), key
        np.testing.assert_allclose(found[key], value, **TOLERANCE, err_msg=key)
