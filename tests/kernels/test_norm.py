"""Norms: accuracy at the ends of the range, p-norms, and what is refused."""

import numpy as np
import pytest

from gpuflow_kernels.norm import global_norm, row_norms
from gpuflow_kernels.norm.global_norm import reference
from gpuflow_kernels.registry import KERNELS
from tests.kernels.host import device


@pytest.mark.parametrize(
    ("kernel", "case"), [(k, c) for k in KERNELS for c in k.cases], ids=lambda x: getattr(x, "name", x)
)
def test_every_row_of_the_kernel_table(kernel, case, engine):
    kernel.cases[case](engine=engine)
    for order in device.ORDERS[1:] if isinstance(engine, device.HostDevice) else ():
        engine.order = order
        kernel.cases[case](engine=engine)


def test_a_hundred_million_small_values():
    """1e8 elements of 1e-4: a float32 sum would stall near 0.17; the truth is 1 (of float32's own 1e-4)."""
    x = np.full(10**8, 1e-4, np.float32)
    expected = np.sqrt(1e8) * np.float64(np.float32(1e-4))
    assert abs(float(global_norm([x])) / expected - 1) < 1e-9


@pytest.mark.parametrize(
    ("dtype", "value"), [("float32", 1e30), ("float32", 1e-30), ("float16", 300), ("float32", 1e38), ("float16", 6e-8)]
)
def test_ends_of_the_range(dtype, value, engine):
    x = np.full(100_003, value, dtype)
    assert abs(float(global_norm([x], engine=engine)) / (np.sqrt(100_003) * np.float64(x[0])) - 1) < 1e-9


@pytest.mark.parametrize("ord", [1, 2, 3, np.inf])
def test_p_norms(ord, engine):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in ((3, 4), (1,), (0,), (9000,))]
    np.testing.assert_allclose(float(global_norm(arrays, ord, engine=engine)), reference(arrays, ord), rtol=1e-12)
    np.testing.assert_allclose(
        np.asarray(row_norms(arrays, ord, engine=engine)), [reference([a], ord) for a in arrays], rtol=1e-12
    )


def test_nothing_has_norm_zero():
    assert float(global_norm([])) == float(global_norm([], np.inf)) == 0.0


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_nonfinite_values_show(value, engine):
    x = np.ones(10_000, np.float32)
    x[7777] = value
    assert not np.isfinite(float(global_norm([x], engine=engine)))


def test_refusals():
    with pytest.raises(TypeError, match="int64"):
        global_norm([np.arange(3)])
    with pytest.raises(ValueError, match="contiguous"):
        global_norm([np.zeros((4, 4), np.float32).T[:, :2]])
    with pytest.raises(ValueError, match="ord"):
        global_norm([np.zeros(3, np.float32)], 0)
