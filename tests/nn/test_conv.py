"""Convolutions: Paddle's numbers, layers, errors, and the same result for every cut of the work and memory order."""
import tracemalloc

import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import nn
from gpuflow.nn.functional.conv import conv2d, conv2d_transpose
from gpuflow.ops import conv, patches
from tests.nn.golden import cases, compare


@cases("conv")
def test_as_paddle(name):
    compare(name)


def _random(*shape, **options):
    return paddle.to_tensor(np.random.default_rng(3).standard_normal(shape).astype(np.float32), **options)


def _gradients(x, weight, **arguments):
    x, weight = (paddle.to_tensor(t.numpy(), stop_gradient=False) for t in (x, weight))
    y = conv2d(x, weight, **arguments)
    (y * y).sum().backward()
    return y.numpy(), x.grad.numpy(), weight.grad.numpy()


@pytest.mark.parametrize("arguments", [{}, {"padding": 2, "stride": 2}, {"padding": [3, 0, 1, 2], "dilation": 2}])
def test_blocks_of_rows_give_the_same_numbers(monkeypatch, arguments):
    x, weight = _random(3, 2, 9, 8), _random(4, 2, 3, 3)
    whole = _gradients(x, weight, **arguments)
    monkeypatch.setattr(conv, "CPU_BLOCK", 1)  # one row of windows at a time
    for a, b in zip(whole, _gradients(x, weight, **arguments), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)  # float32 sums in another order


def test_memory_order_of_the_input_does_not_matter():
    x, weight = np.random.default_rng(0).standard_normal((3, 4, 6, 5)).astype(np.float32), _random(2, 4, 3, 3)
    expected = conv2d(paddle.to_tensor(x), weight).numpy()
    for axis in (0, 1):
        other = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, axis, -1)), -1, axis)
        assert not other.flags.c_contiguous
        np.testing.assert_array_equal(conv2d(paddle.Tensor(other), weight).numpy(), expected)


@pytest.mark.parametrize(("low", "stride", "dilation", "counts"), [
    ((1, 1), (1, 1), (1, 1), (5, 4)), ((2, 0), (2, 3), (1, 1), (4, 1)), ((0, 3), (1, 2), (2, 2), (1, 3)),
    ((-2, 1), (2, 1), (1, 1), (1, 4)), ((9, 9), (1, 1), (1, 1), (2, 2))])
def test_kernels_equal_their_reference(monkeypatch, low, stride, dilation, counts):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 5, 4, 3)).astype(np.float32)
    arguments = (low, counts, (3, 3), stride, dilation)
    columns = patches.gather(np, x, *arguments)
    target = np.zeros_like(x)
    patches.scatter(np, columns, target, *arguments)
    monkeypatch.setattr(patches.nn, "takes", lambda dtype: False)
    np.testing.assert_array_equal(patches.gather(np, x, *arguments), columns)
    again = np.zeros_like(x)
    patches.scatter(np, columns, again, *arguments)
    np.testing.assert_allclose(again, target, rtol=1e-6)


@pytest.mark.parametrize(("sizes", "kernel", "arguments"), [
    ((9, 8), (3, 3), {}), ((9, 8), (3, 3), {"padding": 1, "stride": 2}),
    ((9, 8), (2, 3), {"padding": [3, 0, 1, 4], "dilation": 2}),
    ((7,), (3,), {"padding": 5, "stride": 3}), ((4, 5, 6), (2, 3, 1), {"stride": [1, 2, 3], "padding": 1})])
@pytest.mark.parametrize("kinds", [1, 3])
def test_a_kernel_for_each_channel_equals_columns(monkeypatch, sizes, kernel, arguments, kinds):
    function = getattr(nn.functional, f"conv{len(sizes)}d")
    x, weight = _random(3, 4, *sizes), _random(4 * kinds, 1, *kernel)
    bias = _random(4 * kinds)

    def gradients():
        given = [paddle.to_tensor(t.numpy().astype(np.float64), stop_gradient=False) for t in (x, weight, bias)]
        y = function(*given, groups=4, **arguments)
        (y * y).sum().backward()
        return [y.numpy(), *(t.grad.numpy() for t in given)]

    found = gradients()
    monkeypatch.setattr(conv._Geometry, "by_channel", lambda *_: False)
    for a, b in zip(found, gradients(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_low_precision_is_computed_in_float32(dtype):
    x = paddle.to_tensor(np.ones((1, 32, 5, 5)), dtype=dtype)
    weight = paddle.to_tensor(np.full((1, 32, 3, 3), 1 / 288), dtype=dtype)
    out = conv2d(x, weight)
    assert out.dtype == dtype
    np.testing.assert_allclose(out.numpy().astype(np.float32), 1.0, rtol=8e-3)  # bfloat16 keeps 8 bits of 1 / 288


def test_layers_start_as_paddles():
    layer = paddle.nn.Conv2D(64, 100, [3, 5], padding=[1, 2])
    assert layer.weight.shape == [100, 64, 3, 5] and layer.bias.shape == [100]
    assert abs(float(layer.weight.numpy().std()) / (2 / (64 * 15)) ** 0.5 - 1) < 0.02  # 96,000 draws: sigma is 0.2 %
    assert not layer.bias.numpy().any()
    assert repr(layer) == "Conv2D(64, 100, kernel_size=[3, 5], padding=[1, 2], data_format=NCHW)"
    assert paddle.nn.Conv2DTranspose(4, 6, 3, groups=2).weight.shape == [4, 3, 3, 3]
    assert paddle.nn.Conv2D(4, 6, 3, bias_attr=False).bias is None
    assert paddle.nn.Conv1D(4, 6, 3, bias=False).bias is None


@pytest.mark.parametrize(("mode", "name"), [("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")])
@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_padding_modes(mode, name, data_format):
    layer = paddle.nn.Conv2D(2, 3, 3, padding=2, padding_mode=mode, data_format=data_format)
    x = np.random.default_rng(0).standard_normal((2, 2, 5, 4)).astype(np.float32)
    around = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)), mode=name)
    expected = conv2d(paddle.to_tensor(around), layer.weight, layer.bias).numpy()
    given = x if data_format == "NCHW" else x.transpose(0, 2, 3, 1).copy()
    found = layer(paddle.to_tensor(given)).numpy()
    np.testing.assert_array_equal(found if data_format == "NCHW" else found.transpose(0, 3, 1, 2), expected)


def test_the_gradient_goes_where_an_optimizer_wants_it():
    weight, slot = _random(4, 2, 3, 3, stop_gradient=False), np.full((4, 2, 3, 3), 9, np.float32)
    weight._grad_slot = slot
    conv2d(_random(2, 2, 5, 5), weight).sum().backward()
    assert weight.grad._array is slot and not (slot == 9).any()


@pytest.mark.parametrize(("call", "parts"), [
    (lambda: conv2d(_random(2, 3, 5, 5), _random(4, 2, 3, 3)), ["conv2d", "2 channels", "3 in [2, 3, 5, 5]"]),
    (lambda: conv2d(_random(2, 5, 5, 3), _random(4, 3, 3, 3)), ["data_format='NHWC'"]),
    (lambda: conv2d(_random(3, 5, 5), _random(4, 3, 3, 3)), ["4 axes NCHW", "x.unsqueeze(0)"]),
    (lambda: conv2d(_random(1, 4, 5, 5), _random(3, 2, 3, 3), groups=2), ["divisible by groups 2", "3"]),
    (lambda: conv2d(_random(1, 1, 2, 5), _random(1, 1, 3, 3)), ["at least 3", "spatial axis 0"]),
    (lambda: conv2d(_random(1, 1, 5, 5), _random(1, 1, 3, 3), _random(2)), ["bias [1]", "[2]"]),
    (lambda: conv2d(_random(1, 1, 5, 5), _random(1, 1, 3, 3), padding="FULL"), ["'SAME' or 'VALID'", "FULL"]),
    (lambda: conv2d(_random(1, 1, 5, 5), _random(1, 1, 3, 3), padding=[1, 2, 3]), ["padding", "[1, 2, 3]"]),
    (lambda: conv2d(_random(1, 1, 5, 5), _random(1, 1, 3, 3), stride=0), ["stride", "0"]),
    (lambda: conv2d(_random(1, 1, 5, 5), _random(1, 1, 3, 3), data_format="CHW"), ["data_format", "CHW"]),
    (lambda: conv2d_transpose(_random(1, 2, 3, 3), _random(2, 1, 3, 3), stride=2, output_padding=2),
     ["output_padding"]),
    (lambda: conv2d_transpose(_random(1, 2, 3, 3), _random(2, 1, 3, 3), stride=2, output_size=9), ["output_size", "9"]),
    (lambda: conv2d_transpose(_random(1, 3, 3, 3), _random(2, 1, 3, 3)), ["2 channels", "3 in"]),
    (lambda: paddle.nn.Conv2D(3, 4, 3, groups=2), ["Conv2D(in_channels=3", "groups=2"]),
    (lambda: paddle.nn.Conv2D(3, 4, 3, weight_attr=False), ["weight_attr=False"]),
    (lambda: paddle.nn.Conv2D(3, 4, 3, padding_mode="mirror"), ["padding_mode", "mirror"]),
])
def test_errors_say_what_would_fit(call, parts):
    with pytest.raises(ValueError) as error:
        call()
    for part in parts:
        assert part in str(error.value)


@pytest.mark.parametrize("layer", [
    paddle.nn.Conv2D(3, 4, 3), paddle.nn.Conv2D(3, 4, 1), paddle.nn.Conv2DTranspose(3, 4, 3), paddle.nn.MaxPool2D(2),
    paddle.nn.AvgPool2D(2), paddle.nn.AdaptiveAvgPool2D(1), paddle.nn.LayerNorm(8)], ids=repr)
def test_an_empty_batch_passes(layer):
    x = paddle.to_tensor(np.zeros((0, 3, 8, 8), np.float32), stop_gradient=False)
    y = layer(x)
    y.sum().backward()
    assert y.shape[0] == 0 and x.grad.shape == x.shape
    assert not any(p.grad.numpy().any() for p in layer.parameters())


@pytest.mark.parametrize("case", [
    {"in_channels": 16, "out_channels": 32, "kernel_size": 3, "padding": 1},
    {"in_channels": 16, "out_channels": 16, "kernel_size": 3, "padding": 1, "groups": 16},
    {"in_channels": 16, "out_channels": 32, "kernel_size": 1},
    {"in_channels": 8, "out_channels": 16, "kernel_size": 9, "padding": 4, "stride": 2},
    {"in_channels": 16, "out_channels": 4, "kernel_size": 11, "padding": 5},
], ids=str)
def test_forward_and_backward_take_less_than_four_times_the_memory_of_input_and_result(case):
    layer = nn.Conv2D(**case)
    x = paddle.ones([16, case["in_channels"], 64, 64])
    x.stop_gradient = False

    def step():
        out = layer(x)
        out.backward(paddle.ones_like(out))
        return out.size + x.size

    step()   # kernels are loaded, gradients of the weights have their memory
    x.clear_grad()
    tracemalloc.start()
    try:
        elements = step()
        assert tracemalloc.get_traced_memory()[1] < 4 * 4 * elements
    finally:
        tracemalloc.stop()
