"""Pooling: Paddle's numbers, every memory order, nan, places and errors."""
import numpy as np
import pytest

import gpuflow as paddle
from gpuflow.nn import functional as F
from gpuflow.ops import pool
from tests.nn.golden import cases, compare


@cases("pool")
def test_as_paddle(name):
    compare(name)


def _numbers(*shape):
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


def _max_and_gradient(x):
    x = paddle.Tensor(x, stop_gradient=False)
    out, mask = F.max_pool2d(x, 3, 2, 1, return_mask=True)
    (out * out).sum().backward()
    return out.numpy(), mask.numpy(), x.grad.numpy()


def test_memory_order_and_reference_agree(monkeypatch):
    x = _numbers(3, 4, 7, 6)
    expected = _max_and_gradient(x)
    for axis in (0, 1):
        other = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, axis, -1)), -1, axis)
        for a, b in zip(_max_and_gradient(other), expected, strict=True):
            np.testing.assert_array_equal(a, b)
    monkeypatch.setattr(pool.nn, "takes", lambda dtype: False)
    for a, b in zip(_max_and_gradient(x), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_nan_is_not_lost(monkeypatch):
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    x[0, 0, 0, 0] = np.nan
    for kernels in (True, False):
        monkeypatch.setattr(pool.nn, "takes", lambda dtype, kernels=kernels: kernels)
        out = F.max_pool2d(paddle.to_tensor(x), 2).numpy()
        assert np.isnan(out[0, 0, 0, 0]) and out[0, 0, 1, 1] == 15


def test_the_first_of_equal_elements_gets_the_gradient():
    x = paddle.to_tensor(np.zeros((1, 1, 2, 2), np.float32), stop_gradient=False)
    F.max_pool2d(x, 2).sum().backward()
    assert x.grad.tolist() == [[[[1, 0], [0, 0]]]]


def test_fractional_windows_are_drawn_and_repeat():
    x = paddle.to_tensor(_numbers(2, 3, 12, 9))
    layer = paddle.nn.FractionalMaxPool2D([5, 4])
    draws = []
    for seed in (1, 1, 2, 3, 4):
        paddle.seed(seed)
        draws.append(layer(x).tolist())
    assert draws[0] == draws[1] and len({str(d) for d in draws}) > 1
    assert str(layer) == "FractionalMaxPool2D(output_size=[5, 4], return_mask=False)"


@pytest.mark.parametrize(("arguments", "message"), [
    ({"output_size": 3, "random_u": 1.0}, "random_u in"), ({"output_size": 9}, "within x's sizes"),
    ({"output_size": 6, "kernel_size": 4}, "within x's sizes")])
def test_fractional_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        F.fractional_max_pool2d(paddle.zeros([1, 1, 8, 8]), **arguments)


def test_unpool_puts_back():
    x = paddle.to_tensor(_numbers(2, 3, 4, 6))
    out, mask = F.max_pool2d(x, 2, return_mask=True)
    back = paddle.nn.MaxUnPool2D(2)(out, mask)
    kept = back.numpy() != 0
    assert kept.sum() == out.size and (back.numpy()[kept] == x.numpy()[kept]).all()
    assert F.max_unpool2d(out, mask, 2, output_size=[5, 6]).shape == [2, 3, 5, 6]
    with pytest.raises(ValueError, match=r"put_places.*to 6\d in channels of 24"):
        F.max_unpool2d(out, mask + 40, 2)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_means_of_low_precision(dtype):
    x = paddle.to_tensor(np.full((1, 1, 64, 64), 60000.0 if dtype == "float16" else 1.0), dtype=dtype)
    for out in (F.avg_pool2d(x, 64), F.adaptive_avg_pool2d(x, 1)):
        assert out.dtype == dtype and out.item() == x.numpy()[0, 0, 0, 0]


@pytest.mark.parametrize(("call", "parts"), [
    (lambda x: F.max_pool2d(x, 2, padding=2), ["padding smaller than the kernel"]),
    (lambda x: F.max_pool2d(x, 9), ["max_pool", "at least 9"]),
    (lambda x: F.max_pool2d(x[0], 2), ["max_pool2d", "4 axes", "unsqueeze"]),
    (lambda x: F.max_pool2d(x, 2, padding="VALID", ceil_mode=True), ["ceil_mode=False"]),
    (lambda x: F.max_pool2d(x, 1, 6, ceil_mode=True), ["every window", "ceil_mode=False"]),
    (lambda x: F.avg_pool2d(x, [2, 2, 2]), ["kernel_size"]),
    (lambda x: F.avg_pool2d(x, 2, divisor_override=0), ["divisor_override"]),
    (lambda x: F.adaptive_avg_pool2d(x, [1, 2, 3]), ["output_size"]),
    (lambda x: F.lp_pool2d(x, -1.0, 2), ["norm_type"]),
])
def test_errors_say_what_would_fit(call, parts):
    with pytest.raises(ValueError) as error:
        call(paddle.to_tensor(_numbers(1, 2, 5, 5)))
    for part in parts:
        assert part in str(error.value)


def test_layers_show_their_arguments():
    assert repr(paddle.nn.MaxPool2D(2, 1)) == "MaxPool2D(kernel_size=2, stride=1, padding=0)"
    assert repr(paddle.nn.AdaptiveMaxPool2D(3)) == "AdaptiveMaxPool2D(output_size=3, return_mask=False)"


def test_arguments_lie_where_code_for_paddle_looks_for_them():
    pool2d, adaptive = paddle.nn.MaxPool2D(3, stride=2), paddle.nn.AdaptiveAvgPool2D(2)
    assert (pool2d.ksize, pool2d.stride, pool2d.padding, pool2d.data_format) == (3, 2, 0, "NCHW")
    assert (adaptive._output_size, adaptive._data_format) == (2, "NCHW")
    assert paddle.nn.AvgPool1D(2, name="a").name == "a" and paddle.nn.AdaptiveMaxPool2D(1, name="b")._name == "b"
    assert paddle.nn.L1Loss(name="c").name == "c" and paddle.nn.Softmax(name="d")._name == "d"
    adaptive._output_size = 1
    assert adaptive(paddle.ones([1, 1, 4, 4])).shape == [1, 1, 1, 1]
