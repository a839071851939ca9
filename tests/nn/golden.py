"""Comparison with what Paddle answered, shared by the tests of layers."""
from pathlib import Path

import numpy as np
import pytest

import gpuflow
from tests.golden.nn_conv_pool_norm_cases import CASES, run

# float32 sums of up to a few hundred products in another order
TOLERANCE = {"rtol": 2e-5, "atol": 5e-6}
_FILES = Path(__file__).parents[1] / "golden"


def recorded(file, case):
    """What Paddle answered to a case: {key: array} of the entries "case/key" in a file of tests/golden."""
    with np.load(_FILES / file) as answers:
        return {key.partition("/")[2]: answers[key] for key in answers.files if key.startswith(f"{case}/")}


def cases(*functions):
    """Parametrisation over the cases of these families of functions (by part of the name)."""
    return pytest.mark.parametrize("name", [n for n, case in CASES.items() if any(f in case[0] for f in functions)])


def compare(name, without=(), file="nn_conv_pool_norm.npz", run=run):
    """Runs a case and asserts Paddle's numbers, shapes and dtypes. without: parts of the answer not looked at."""
    expected, found = recorded(file, name), run(gpuflow, name)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        if key in without:
            continue
        assert (found[key].shape, found[key].dtype) == (value.shape, value.dtype), key
        np.testing.assert_allclose(found[key], value, **TOLERANCE, err_msg=key)


def compare_layers(found, expected, **tolerance):
    """The same for what attention_cases.run found: numbers within the tolerance, and the names of the state."""
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        if key == "state":
            assert list(found[key]) == list(value)
        else:
            np.testing.assert_allclose(found[key], value, **tolerance, err_msg=key)
