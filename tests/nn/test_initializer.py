"""Initializers: Paddle's numbers where there is no chance, its statistics where there is; seeds, shapes, memory."""
import json
import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import gpuflow
from gpuflow import nn
from gpuflow.nn import initializer as I
from gpuflow.param import PIECE
from tests.golden.initializers_cases import DRAWN, FIXED, GAINS

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "initializers.json").read_text())


def filled(initializer, shape, dtype="float32"):
    return gpuflow.create_parameter(shape, dtype, attr=gpuflow.ParamAttr(initializer=initializer)).numpy()


def test_every_initializer_of_paddle_is_here_and_checked():
    assert len(I.__all__) == 14
    used = " ".join([repr(make(I)) for make, _ in (*FIXED.values(), *DRAWN.values())])
    for name in I.__all__:
        assert name in used or name in ("set_global_initializer", "calculate_gain")


@pytest.mark.parametrize("name", FIXED)
def test_fixed_numbers(name):
    make, shape = FIXED[name]
    got = filled(make(I), shape)
    assert got.dtype == np.float32
    # Paddle works Bilinear out in float64 and rounds once, as we do
    np.testing.assert_allclose(got, np.array(GOLDEN["fixed"][name]), rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", DRAWN)
def test_drawn_statistics(name):
    make, shape = DRAWN[name]
    got = filled(make(I), shape)
    mean, std, low, high = GOLDEN["drawn"][name]
    n = got.size
    # two samples of n numbers: means differ by std * sqrt(2/n), deviations by about that; 5 of them: one in a million
    slack = 5 * std * math.sqrt(2 / n)
    assert abs(got.mean() - mean) < slack and abs(got.std() - std) < slack
    if "niform" in name or "truncated" in name or "leaky" in name:   # the ends are sharp
        assert abs(got.min() - low) < 2e-3 * (high - low) and abs(got.max() - high) < 2e-3 * (high - low)


def test_truncated_normal_has_the_right_shape():
    x = np.sort(filled(I.TruncatedNormal(0.0, 1.0, -1.5, 2.5), [200_000]).astype(np.float64))
    below = np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x[::1000]])
    a, b = (0.5 * math.erfc(-v / math.sqrt(2)) for v in (-1.5, 2.5))
    # Kolmogorov-Smirnov distance of 200,000 draws: above 0.005 once in 10,000 runs
    assert np.abs((below - a) / (b - a) - np.arange(0, 200_000, 1000) / 200_000).max() < 0.005


@pytest.mark.parametrize("z", [-6.0, -2.5, -1.0, 0.0, 0.3, 1.9, 2.4, 5.0])
def test_quantile_inverts_the_distribution_function(z):
    from gpuflow.nn.initializer.random import _below, _quantile

    assert _quantile(np, np.array([_below(z)]))[0] == pytest.approx(z, rel=1e-8, abs=1e-8)   # Acklam's bound is 1.2e-9


def test_seed_repeats():
    for make, shape in DRAWN.values():
        gpuflow.seed(7)
        first = filled(make(I), shape)
        gpuflow.seed(7)
        assert np.array_equal(first, filled(make(I), shape))
        assert not np.array_equal(first, filled(make(I), shape))


@pytest.mark.parametrize("shape", [[50, 80], [80, 50], [20, 3, 5]])
def test_orthogonal_is_orthogonal(shape):
    q = filled(I.Orthogonal(gain=2.0), shape).reshape(shape[0], -1).astype(np.float64) / 2
    small = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
    assert np.abs(small - np.eye(len(small))).max() < 1e-5   # float32 QR


def test_gains():
    assert [I.calculate_gain(*args) for args in GAINS] == pytest.approx(GOLDEN["gains"], rel=1e-12)
    with pytest.raises(ValueError, match="calculate_gain"):
        I.calculate_gain("gelu")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_dtypes(dtype):
    for make, shape in (*FIXED.values(), *DRAWN.values()):
        p = gpuflow.create_parameter(shape, dtype, attr=gpuflow.ParamAttr(initializer=make(I)))
        assert p.dtype == dtype and list(p.shape) == shape


def test_assign_refuses_another_shape_naming_both():
    with pytest.raises(ValueError, match=r"\[2, 3\].*\[3, 2\]"):
        nn.Linear(2, 3, weight_attr=I.Assign(np.ones((3, 2))))
    with pytest.raises(TypeError, match="Assign"):
        I.Assign("text")


def test_assign_copies_and_takes_tensors():
    table = np.ones((2, 2), np.float32)
    p = gpuflow.create_parameter([2, 2], "float32", attr=gpuflow.ParamAttr(initializer=I.Assign(table)))
    table[:] = 5
    assert (p.numpy() == 1).all()
    t = gpuflow.to_tensor([[1.0, 2.0]])
    assert filled(I.Assign(t), [1, 2]).tolist() == [[1, 2]]


@pytest.mark.parametrize("name", [None, "assigned.once"])     # a name is remembered with a digest of the table
@pytest.mark.parametrize("order", ["C", "F"])
def test_assign_needs_the_table_once_more_and_nothing_on_top(name, order):
    table = np.ones((40000, 100), np.float32, order)   # 16 MB
    nn.Embedding(1, 1, weight_attr=gpuflow.ParamAttr(name="assigned.first", initializer=I.Assign(np.ones((1, 1)))))
    tracemalloc.start()
    nn.Embedding(40000, 100, weight_attr=gpuflow.ParamAttr(name=name, initializer=I.Assign(table)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < table.nbytes + 1.5 * PIECE   # with the table itself: twice, and a piece of it


def test_tables_with_the_same_numbers_share_a_name_in_whatever_order_they_lie():
    table = np.random.default_rng(0).normal(size=(3000, 200)).astype(np.float32)

    def embedding(table):
        return nn.Embedding(3000, 200, weight_attr=gpuflow.ParamAttr("assigned.order", I.Assign(table)))

    first, second = embedding(table), embedding(np.asfortranarray(table))
    assert first.weight is second.weight
    table[2999, 199] += 1
    with pytest.raises(ValueError, match="sharing"):
        embedding(table)


def test_global_initializer():
    I.set_global_initializer(I.Constant(2.0), I.Constant(3.0))
    try:
        a, b = nn.Linear(2, 2), nn.Linear(2, 2, weight_attr=I.Constant(7.0))
        assert (a.weight.numpy() == 2).all() and (a.bias.numpy() == 3).all() and (b.weight.numpy() == 7).all()
    finally:
        I.set_global_initializer(None)
    assert not (nn.Linear(2, 2).weight.numpy() == 2).all()
    with pytest.raises(TypeError, match="Initializer"):
        I.set_global_initializer(3)


def test_called_on_a_parameter_it_fills_in_place():
    layer = nn.Linear(2, 2)
    array = layer.weight._array
    I.Constant(4.0)(layer.weight)
    assert layer.weight._array is array and (array == 4).all()


def test_a_users_own_initializer_in_paddles_way():
    class Ramp(I.Initializer):
        def forward(self, param, block=None):
            param.set_value(np.arange(param.size, dtype=np.float32).reshape(param.shape))

    assert nn.Linear(2, 2, weight_attr=Ramp()).weight.numpy().tolist() == [[0, 1], [2, 3]]


@pytest.mark.parametrize("bad", [
    lambda: I.Uniform(1.0, 0.0), lambda: I.TruncatedNormal(a=2, b=1), lambda: I.Dirac(0), lambda: I.Constant(None),
    lambda: I.KaimingNormal(mode="fan"), lambda: I.KaimingNormal(fan_in=3, mode="fan_out"),
    lambda: filled(I.Orthogonal(), [3]), lambda: filled(I.Bilinear(), [2, 2, 3, 4]),
    lambda: filled(I.Dirac(2), [3, 3, 3]),
])
def test_bad_settings(bad):
    with pytest.raises(ValueError, match=r"expected .* got"):
        bad()
