"""Special functions against 17 digits of each (tests/golden/make_special.py), and at the ends of their domains."""
import json
import math
from pathlib import Path

import numpy as np
import pytest

import gpuflow

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "special.json").read_text())
INF = math.inf


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", GOLDEN)
def test_digits(name, dtype):
    *inputs, expected = np.array(GOLDEN[name]).T
    if dtype == "float32":  # only where rounding the input changes nothing
        same = np.all([i.astype(dtype) == i for i in inputs], axis=0)
        inputs, expected = [i[same] for i in inputs], expected[same]
    function, *number = name.split()
    got = getattr(gpuflow, function)(*[gpuflow.to_tensor(i.astype(dtype)) for i in inputs], *map(int, number))
    assert got.dtype.name == dtype
    with np.errstate(over="ignore"):
        expected = expected.astype(dtype)
    # lgamma has roots, where digits cancel; incomplete gamma of 5000 multiplies logarithms of e-4000
    np.testing.assert_allclose(got.numpy(), expected, rtol=2e-11 if dtype == "float64" else 3e-7, atol=2e-14)


@pytest.mark.parametrize(("name", "places", "expected"), [
    ("lgamma", [0, -1, -INF, INF, math.nan], [INF, INF, INF, INF, math.nan]),
    ("digamma", [0.0, -0.0, -3, INF, math.nan], [-INF, INF, math.nan, INF, math.nan]),
    ("erfinv", [1, -1, 2, math.nan], [INF, -INF, math.nan, math.nan]),
    ("i0", [0, INF, -INF, math.nan], [1, INF, INF, math.nan]),
    ("i0e", [0, INF, -INF, math.nan], [1, 0, 0, math.nan]),
    ("i1", [0, INF, -INF, math.nan], [0, INF, -INF, math.nan]),
    ("i1e", [0, INF, -INF, math.nan], [0, 0, 0, math.nan]),
])
def test_ends(name, places, expected):
    got = getattr(gpuflow, name)(gpuflow.to_tensor(np.array(places, "float64")))
    np.testing.assert_array_equal(got.numpy(), expected)


def test_incomplete_gamma_at_the_ends():
    a, y = gpuflow.to_tensor([0.0, 2.0, 2.0, -1.0, 2.0]), gpuflow.to_tensor([1.0, 0.0, INF, 1.0, -1.0])
    np.testing.assert_array_equal(gpuflow.gammainc(a, y).numpy(), [1, 0, 1, math.nan, math.nan])
    np.testing.assert_array_equal(gpuflow.gammaincc(a, y).numpy(), [0, 1, 0, math.nan, math.nan])


def test_methods_and_in_place():
    x = gpuflow.to_tensor([0.5, 2.5])
    np.testing.assert_array_equal(x.gammaln().numpy(), gpuflow.lgamma(x).numpy())
    expected = gpuflow.polygamma(x, 2).numpy()
    assert x.polygamma_(2) is x
    np.testing.assert_array_equal(x.numpy(), expected)


def test_what_is_refused():
    for call in (lambda x: x.polygamma(-1), lambda x: x.multigammaln(0)):
        with pytest.raises(ValueError, match=">= "):
            call(gpuflow.to_tensor([2.0]))
