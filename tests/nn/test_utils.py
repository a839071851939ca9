"""nn.utils against Paddle 3.3.1 (tests/golden/nn_utils.npz), and what it refuses."""
import copy
import math
from pathlib import Path

import numpy as np
import pytest

import gpuflow
from gpuflow import nn, optimizer
from gpuflow.nn import utils
from gpuflow.ops.rows import SparseRows
from gpuflow.regularizer import L2Decay
from tests.golden import nn_utils_cases

GOLDEN = dict(np.load(Path(nn_utils_cases.__file__).with_name("nn_utils.npz")))


def test_follows_paddle():
    got = nn_utils_cases.results(gpuflow)
    assert got.keys() == GOLDEN.keys()
    for name, array in got.items():   # float32: a few roundings of values up to 30
        assert array.shape == GOLDEN[name].shape, name
        np.testing.assert_allclose(array, GOLDEN[name], rtol=3e-6, atol=1e-6, err_msg=name)


def parameters(*grads):
    params = [gpuflow.create_parameter(list(np.shape(g)), "float32") for g in grads]
    for p, g in zip(params, grads):
        (p * gpuflow.to_tensor(np.asarray(g, np.float32))).sum().backward()
    return params


@pytest.mark.parametrize("p", [0, 0.5, 1, 2, 3, 4.5, math.inf])
def test_any_p(p):
    grads = np.random.default_rng(1).normal(size=(2, 5)) * [[1], [100]]
    grads[0, 0] = 0
    params = parameters(*grads)
    norm = utils.clip_grad_norm_((x for x in params), 3.0, norm_type=p)   # a generator is read once
    flat = np.abs(grads.astype(np.float32).astype(np.float64).ravel())
    expected = (flat != 0).sum() if p == 0 else flat.max() if p == math.inf else (flat ** p).sum() ** (1 / p)
    assert norm.item() == pytest.approx(expected, rel=1e-6)
    for x, g in zip(params, grads):
        np.testing.assert_allclose(x.grad.numpy(), g * min(1, 3 / (expected + 1e-6)), rtol=1e-6)


def test_large_powers_and_float16_do_not_overflow():
    assert utils.clip_grad_norm_(parameters([1e30, 1e30]), 1.0, norm_type=20).item() == pytest.approx(
        1e30 * 2 ** 0.05, rel=1e-6)
    p = gpuflow.create_parameter([1000], "float16")
    p.grad = gpuflow.to_tensor(np.full(1000, 300.0), dtype="float16")
    assert utils.clip_grad_norm_(p, 1.0).item() == pytest.approx(300 * 1000 ** 0.5, rel=1e-6)
    assert np.linalg.norm(p.grad.numpy().astype(np.float64)) == pytest.approx(1, rel=2e-3)


def test_error_if_nonfinite_changes_nothing():
    params = parameters([1.0, np.inf], [2.0])
    with pytest.raises(RuntimeError, match="a finite norm"):
        utils.clip_grad_norm_(params, 1.0, error_if_nonfinite=True)
    assert params[1].grad.numpy() == [2.0]
    assert utils.clip_grad_norm_(params, 1.0).item() == math.inf


def test_sparse_and_missing_gradients():
    sparse, dense = gpuflow.create_parameter([4, 1], "float32"), gpuflow.create_parameter([4, 1], "float32")
    rows = SparseRows(np.array([2, 0, 2]), np.array([[1.0], [-4.0], [2.0]], np.float32), (4, 1))
    sparse._grad, dense.grad = rows, rows.dense()
    without = gpuflow.create_parameter([1], "float32")
    assert utils.clip_grad_norm_([sparse, without], 1.0).item() == utils.clip_grad_norm_(dense, 1.0).item() == 5
    np.testing.assert_array_equal(sparse.grad.numpy(), dense.grad.numpy())
    utils.clip_grad_value_([sparse, dense, without], 0.5)
    np.testing.assert_array_equal(sparse.grad.numpy(), dense.grad.numpy())
    assert without.grad is None and utils.clip_grad_norm_([without], 1.0).item() == 0


def test_refused():
    for bad in (lambda: utils.clip_grad_norm_([], float("nan")), lambda: utils.clip_grad_norm_([], 1.0, -1),
                lambda: utils.clip_grad_value_([], -1.0), lambda: utils.parameters_to_vector([]),
                lambda: utils.vector_to_parameters(gpuflow.zeros([3]), [gpuflow.zeros([2])]),
                lambda: utils.weight_norm(nn.Linear(2, 2), dim=2), lambda: utils.weight_norm(nn.Linear(2, 2), "w"),
                lambda: utils.remove_weight_norm(nn.Linear(2, 2)),
                lambda: utils.spectral_norm(nn.Linear(2, 2), n_power_iterations=0)):
        with pytest.raises(ValueError):
            bad()
    layer = utils.weight_norm(nn.Linear(2, 2))
    for again in (utils.weight_norm, utils.spectral_norm):
        with pytest.raises((RuntimeError, ValueError), match="weight"):
            again(layer)


def test_vector_and_back():
    a, b = nn.Linear(3, 4), nn.Linear(3, 4)
    vector = utils.parameters_to_vector(a.parameters())
    assert vector.shape == [16] and not vector.stop_gradient
    utils.vector_to_parameters(vector, iter(b.parameters()))
    np.testing.assert_array_equal(a.weight.numpy(), b.weight.numpy())
    np.testing.assert_array_equal(a.bias.numpy(), b.bias.numpy())


def test_weight_norm_trains_saves_and_comes_off():
    attr = gpuflow.ParamAttr(learning_rate=0.5, regularizer=L2Decay(0.1), need_clip=False)
    layer = utils.weight_norm(nn.Linear(3, 4, weight_attr=attr), dim=1)
    assert sorted(layer.state_dict()) == ["bias", "weight_g", "weight_v"]
    assert layer.weight_v.optimize_attr["learning_rate"] == 0.5 and layer.weight_g.regularizer == L2Decay(0.1)
    before = layer.weight.numpy()
    opt = optimizer.SGD(0.1, parameters=layer.parameters())
    x = gpuflow.ones([2, 3])
    for _ in range(2):
        layer(x).square().sum().backward()
        opt.step()
        opt.clear_grad()
    twin = copy.deepcopy(layer)
    y = layer(x).numpy()
    assert not np.allclose(layer.weight.numpy(), before)
    np.testing.assert_array_equal(twin(x).numpy(), y)
    fresh = utils.weight_norm(nn.Linear(3, 4), dim=1)
    fresh.set_state_dict(layer.state_dict())
    np.testing.assert_array_equal(fresh(x).numpy(), y)
    utils.remove_weight_norm(layer)
    assert sorted(layer.state_dict()) == ["bias", "weight"] and layer.weight.regularizer == L2Decay(0.1)
    np.testing.assert_array_equal(layer(x).numpy(), y)


def test_spectral_norm_finds_the_largest_singular_value():
    layer = utils.spectral_norm(nn.Conv2D(3, 4, 2), n_power_iterations=200)
    largest = np.linalg.svd(layer.weight_orig.numpy().reshape(4, -1), compute_uv=False)[0]
    np.testing.assert_allclose(layer.weight.numpy(), layer.weight_orig.numpy() / largest, rtol=1e-5)
    assert sorted(layer.state_dict()) == ["bias", "weight_orig", "weight_u", "weight_v"]
    u = layer.weight_u.numpy()
    layer.eval()
    layer(gpuflow.ones([1, 3, 4, 4]))
    np.testing.assert_array_equal(layer.weight_u.numpy(), u)
