"""Normalisation: Paddle's numbers, running statistics, freezing, kernels against their reference, precision, errors."""
import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import nn
from gpuflow.nn import functional as F
from gpuflow.ops import norm
from tests.nn.golden import cases, compare

# Paddle's backward takes the running statistics here although its forward took the batch's; ours is the true gradient
# (tests/ops/test_gradients.py).
PADDLE_IS_WRONG = {"batch statistics in eval": ("grad x", "grad weight")}


@cases("norm")
def test_as_paddle(name):
    compare(name, PADDLE_IS_WRONG.get(name, ()))


def _numbers(*shape, shift=0.0):
    return (np.random.default_rng(3).standard_normal(shape) + shift).astype(np.float32)


def _results(function, x, *weights):
    x, *weights = (paddle.Tensor(a, stop_gradient=False) for a in (x, *weights))
    out = function(x, *weights)
    (out * out * out).sum().backward()
    return [out.numpy(), x.grad.numpy(), *(w.grad.numpy() for w in weights)]


def _batch(x, weight, bias):
    return F.batch_norm(x, None, None, weight, bias, training=True)


@pytest.mark.parametrize(("function", "shape", "features"), [
    (_batch, (3, 4, 5, 6), 4), (_batch, (2, 3, 40, 30), 3), (_batch, (6, 4), 4),
    (lambda x, w, b: F.layer_norm(x, [12], w, b), (300, 2, 12), 12),
    (lambda x, w, b: F.group_norm(x, 2, 1e-5, w, b), (3, 6, 5, 4), 6),
    (lambda x, w, b: F.instance_norm(x, None, None, w, b), (3, 4, 5, 6), 4)])
def test_kernels_equal_their_reference(monkeypatch, function, shape, features):
    weights = _numbers(features), _numbers(features)
    found = _results(function, _numbers(*shape), *weights)
    monkeypatch.setattr(norm.nn, "takes", lambda dtype: False)
    for a, b in zip(found, _results(function, _numbers(*shape), *weights), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(b).max())  # float32 sums in another order


def test_memory_order_does_not_matter():
    x, weights = _numbers(3, 4, 5, 6), (_numbers(4), _numbers(4))
    other = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 0, -1)), -1, 0)
    for a, b in zip(_results(_batch, x, *weights), _results(_batch, other, *weights), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kernels", [True, False])
def test_a_large_mean_does_not_eat_the_variance(monkeypatch, kernels):
    """E[x^2] - E[x]^2 in float32 would give nonsense here: 1e8 has no digits left for a variance of 1."""
    monkeypatch.setattr(norm.nn, "takes", lambda dtype: kernels)
    x = _numbers(8, 2, 16, 16, shift=1e4)
    out = _batch(paddle.to_tensor(x), None, None).numpy()
    wide = x.astype(np.float64)
    exact = (wide - wide.mean((0, 2, 3), keepdims=True)) / wide.std((0, 2, 3), keepdims=True)
    np.testing.assert_allclose(out, exact, atol=5e-3)  # x itself has steps of 1e-3


def test_running_statistics_follow_in_training_and_rest_in_eval():
    layer, x = paddle.nn.BatchNorm2D(3, momentum=0.8), _numbers(4, 3, 5, 5, shift=2.0)
    layer(paddle.to_tensor(x))
    np.testing.assert_allclose(layer._mean.numpy(), 0.2 * x.mean((0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(layer._variance.numpy(), 0.8 + 0.2 * x.var((0, 2, 3)), rtol=1e-5)
    before = layer._mean.numpy(), layer._variance.numpy()
    layer.eval()
    out = layer(paddle.to_tensor(x)).numpy()
    np.testing.assert_array_equal(layer._mean.numpy(), before[0])
    expected = (x - before[0][:, None, None]) / np.sqrt(before[1] + 1e-5)[:, None, None]
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(("use_global_stats", "moves"), [(True, False), (False, True), (None, None)])
def test_who_moves_the_running_statistics(use_global_stats, moves, train):
    layer = paddle.nn.BatchNorm2D(3, use_global_stats=use_global_stats)
    layer.training = train
    layer(paddle.to_tensor(_numbers(4, 3, 5, 5, shift=2.0)))
    assert bool(layer._mean.numpy().any()) == (train if moves is None else moves)


def test_freezing_weights_does_not_freeze_statistics():
    layer = paddle.nn.BatchNorm2D(3)
    layer.weight.stop_gradient = layer.bias.stop_gradient = True
    x = paddle.to_tensor(_numbers(4, 3, 5, 5, shift=2.0), stop_gradient=False)
    layer(x).sum().backward()
    assert layer._mean.numpy().all() and layer.weight.grad is None and x.grad is not None


def test_batch_norms_parameters_and_buffers():
    layer = paddle.nn.BatchNorm2D(3, weight_attr=False, bias_attr=paddle.ParamAttr(name="beta"), name="here")
    assert layer.weight is None and layer.bias.name == "beta"
    assert list(layer.state_dict()) == ["bias", "_mean", "_variance"]
    assert layer._mean.name == "here_mean" and layer._variance.name == "here_variance"
    assert layer._mean.stop_gradient and [n for n, _ in layer.named_buffers()] == ["_mean", "_variance"]
    old = paddle.nn.BatchNorm(3, act="relu", moving_mean_name="m")
    assert old._mean.name == "m" and (old(paddle.to_tensor(_numbers(4, 3, 5, 5))).numpy() >= 0).all()
    assert list(paddle.nn.InstanceNorm2D(3).state_dict()) == ["scale", "bias"]
    assert repr(paddle.nn.BatchNorm1D(2, data_format="NLC")) == (
        "BatchNorm1D(num_features=2, momentum=0.9, epsilon=1e-05, data_format=NLC)")


@pytest.mark.parametrize(("act", "expected"), [   # Paddle 3.3.1 on these numbers, epsilon 0
    ("swish", [-0.23841, -0.23227, 0.17233, 6.99362]), ("hard_swish", [-0.33333, -0.26833, 0.165, 7.0]),
    ("hard_sigmoid", [0.1, 0.36, 0.56, 1.0]), ("logsigmoid", [-2.12693, -1.10319, -0.55436, -0.00091]),
    ("tanh_shrink", [-1.03597, -0.09563, 0.00869, 6.0]), ("hard_shrink", [-2.0, -0.7, 0.0, 7.0])])
def test_batch_norm_takes_activations_by_their_older_names(act, expected):
    layer = paddle.nn.BatchNorm(1, act=act, epsilon=0.0)
    layer.eval()
    x = paddle.to_tensor([[-2.0], [-0.7], [0.3], [7.0]])
    np.testing.assert_allclose(layer(x).numpy()[:, 0], expected, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_low_precision_is_computed_in_float32(dtype):
    layer = paddle.nn.BatchNorm2D(2)
    x = paddle.to_tensor(_numbers(8, 2, 16, 16) * 100, dtype=dtype, stop_gradient=False)  # squares overflow float16
    out = layer(x)
    out.sum().backward()
    assert out.dtype == dtype and x.grad.dtype == dtype and layer.weight.grad.dtype == "float32"
    assert abs(float(out.numpy().astype(np.float32).std()) - 1) < 0.01 and np.isfinite(layer._variance.numpy()).all()


def test_rms_norm():
    x, weight = _numbers(4, 6), _numbers(6)
    out, inverse = F.rms_norm(paddle.to_tensor(x), [6], paddle.to_tensor(weight))
    expected = 1 / np.sqrt((x.astype(np.float64) ** 2).mean(-1) + 1e-5)
    np.testing.assert_allclose(inverse.numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(out.numpy(), x * expected[:, None] * weight, rtol=1e-5)


@pytest.mark.parametrize(("call", "parts"), [
    (lambda x: paddle.nn.BatchNorm2D(5)(x), ["batch_norm", "weight of 3 elements", "[5]"]),
    (lambda x: paddle.nn.BatchNorm1D(3)(x), ["2 or 3 axes", "4 axes"]),
    (lambda x: paddle.nn.BatchNorm2D(3, data_format="CHW"), ["data_format"]),
    (lambda x: F.layer_norm(x, 7), ["normalized_shape [7]", "[4, 3, 5, 5]"]),
    (lambda x: F.group_norm(x, 2), ["divisible by num_groups 2", "3"]),
    (lambda x: paddle.nn.GroupNorm(4, 6), ["num_groups=4"]),
    (lambda x: paddle.nn.InstanceNorm2D(3, weight_attr=False), ["both False"]),
    (lambda x: F.normalize(x, p=-1), ["p above 0"]),
    (lambda x: F.instance_norm(x, use_input_stats=False), ["use_input_stats"]),
])
def test_errors_say_what_would_fit(call, parts):
    with pytest.raises(ValueError) as error:
        call(paddle.to_tensor(_numbers(4, 3, 5, 5)))
    for part in parts:
        assert part in str(error.value)


def test_spectral_norm_makes_the_largest_singular_value_one():
    layer = nn.SpectralNorm([4, 3, 2], dim=1, power_iters=60)
    w = paddle.randn([4, 3, 2])
    w.stop_gradient = False
    out = layer(w)
    matrix = np.moveaxis(w.numpy(), 1, 0).reshape(3, -1)
    np.testing.assert_allclose(out.numpy(), w.numpy() / np.linalg.norm(matrix, 2), rtol=1e-5)
    assert list(layer.state_dict()) == ["weight_u", "weight_v"]
    (out * w.detach()).sum().backward()
    # u and v count as constants: d(w / s) with s = u' W v
    assert np.isfinite(w.grad.numpy()).all() and w.grad.numpy().any()
    with pytest.raises(ValueError, match=r"\[4, 3, 2\]"):
        layer(paddle.ones([3, 4]))


def test_sync_batch_norm_takes_over_parameters_and_statistics():
    net = nn.Sequential(nn.Conv2D(2, 3, 1), nn.BatchNorm2D(3), nn.Sequential(nn.BatchNorm2D(3)))
    x = paddle.randn([4, 2, 3, 3])
    net(x)
    net.eval()
    expected, keys = net(x).numpy(), list(net.state_dict())
    net = nn.SyncBatchNorm.convert_sync_batchnorm(net)
    assert isinstance(net[1], nn.SyncBatchNorm) and isinstance(net[2][0], nn.SyncBatchNorm)
    assert list(net.state_dict()) == keys
    np.testing.assert_array_equal(net(x).numpy(), expected)
