"""erf against the C library's, which is right to one unit in the last place."""
import math

import numpy as np
import pytest

import gpuflow


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_erf_within_three_units_in_the_last_place(dtype, device):
    x = np.concatenate([np.linspace(-7, 7, 40_001), np.logspace(-30, 0, 500), [0.0, math.inf, -math.inf]]).astype(dtype)
    expected = np.array([math.erf(v) for v in x.astype("float64")])
    got = gpuflow.erf(gpuflow.to_tensor(x)).numpy()
    assert got.dtype == dtype
    np.testing.assert_allclose(got, expected, rtol=3 * np.finfo(dtype).eps, atol=0)


def test_erf_of_nan_and_of_shapes(device):
    assert math.isnan(gpuflow.erf(gpuflow.to_tensor(math.nan)).item())
    assert gpuflow.erf(gpuflow.zeros([0, 3])).shape == [0, 3]
    strided = gpuflow.to_tensor(np.linspace(-1, 1, 6).reshape(2, 3)).T
    np.testing.assert_array_equal(gpuflow.erf(strided).numpy(), gpuflow.erf(strided.clone()).numpy())
