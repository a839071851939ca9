"""Pictures resized, sampled, shuffled and cut: Paddle's numbers, unknown sizes, errors."""
import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import nn, static
from gpuflow.nn import functional as F
from gpuflow.vision.ops import DeformConv2D, deform_conv2d
from tests.golden.nn_vision_cases import CASES, run
from tests.nn.golden import compare


@pytest.mark.parametrize("name", CASES)
def test_as_paddle(name):
    compare(name, file="nn_vision.npz", run=run)


@pytest.mark.parametrize("layer", [
    nn.Upsample(scale_factor=2), nn.UpsamplingBilinear2D(size=[6, 8]), nn.UpsamplingNearest2D(scale_factor=1.5),
    nn.PixelShuffle(2), nn.PixelUnshuffle(2), nn.ChannelShuffle(2), nn.Unfold(2, strides=2)], ids=str)
def test_layers_take_a_batch_of_unknown_size(layer):
    x = np.random.default_rng(0).standard_normal((3, 4, 4, 4)).astype("float32")
    expected = layer(paddle.to_tensor(x)).numpy()
    paddle.enable_static()
    out = layer(static.data("x", [None, 4, None, None]))
    assert out.shape[0] == -1 and len(out.shape) == expected.ndim
    (found,) = static.Executor().run(feed={"x": x}, fetch_list=[out])
    np.testing.assert_array_equal(found, expected)


def test_fold_undoes_unfold_up_to_the_overlaps():
    x = paddle.to_tensor(np.random.default_rng(0).standard_normal((2, 3, 5, 5)).astype("float32"))
    columns, ones = nn.Unfold(3, paddings=1)(x), nn.Unfold(3, paddings=1)(paddle.ones_like(x))
    fold = nn.Fold([5, 5], 3, paddings=1)
    np.testing.assert_allclose((fold(columns) / fold(ones)).numpy(), x.numpy(), rtol=1e-6)


def test_a_tap_that_stays_in_its_place_makes_a_plain_convolution():
    x, layer = paddle.randn([2, 4, 5, 6]), DeformConv2D(4, 6, 3, stride=2, padding=1, deformable_groups=2, groups=2)
    offset = paddle.zeros([2, 36, 3, 3])
    offset.stop_gradient = False
    out = layer(x, offset, paddle.ones([2, 18, 3, 3]))
    plain = F.conv2d(x, layer.weight, layer.bias, stride=2, padding=1, groups=2)
    np.testing.assert_array_equal(out.numpy(), plain.numpy())
    out.sum().backward()
    seen = offset.grad.numpy().reshape(2, 2, 9, 2, 3, 3)
    assert not seen[:, :, :3, :, 0].any() and seen[:, :, 3:, :, 0, 1].any()    # what reads outside does not pull


@pytest.mark.parametrize(("call", "words"), [
    (lambda x: deform_conv2d(x, x, paddle.ones([1, 4, 2, 2])), r"offset \[2, 8, 3, 3\], got \[2, 4, 4, 4\]"),
    (lambda x: deform_conv2d(x, x, paddle.ones([1, 4, 2, 2]), deformable_groups=3), "deformable_groups=3 divides"),
    (lambda x: F.interpolate(x), "size or scale_factor, got neither"),
    (lambda x: F.interpolate(x, size=[2]), "2 integers"),
    (lambda x: F.interpolate(x, size=[2, 2], mode="linear"), "'linear' and 4 axes"),
    (lambda x: F.interpolate(x, size=[2, 2], align_corners=True), "align_corners=False"),
    (lambda x: F.interpolate(x, scale_factor=-1.0), "above 0"),
    (lambda x: F.pixel_shuffle(x, 3), "divisible by 9, got 4"),
    (lambda x: F.pixel_unshuffle(x, 3), "height and width divisible by 3"),
    (lambda x: F.channel_shuffle(x, 3), "channels divisible by 3"),
    (lambda x: F.temporal_shift(x, 3), "divisible by 3"),
    (lambda x: F.temporal_shift(x, 2, 0.7), r"\(0, 0\.5\]"),
    (lambda x: F.unfold(x, 9), "at least 9 elements"),
    (lambda x: F.fold(x, [4, 4], 2), "columns"),
    (lambda x: F.grid_sample(x, x), r"\[N, h, w, 2\]"),
    (lambda x: F.grid_sample(x, x[:, :, :, :2], padding_mode="wrap"), "'wrap'"),
    (lambda x: F.affine_grid(x, [1, 1, 2, 2]), "theta"),
])
def test_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call(paddle.ones([2, 4, 4, 4]))
