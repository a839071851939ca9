"""Dropout: which elements fall, scale, modes, axes, seeds; alpha dropout; samples of gumbel_softmax and rrelu."""
import numpy as np
import pytest

import gpuflow
from gpuflow import nn
from gpuflow.nn import functional as F

N = 40_000


def ones(*shape, grad=False):
    return gpuflow.to_tensor(np.ones(shape, np.float32), stop_gradient=not grad)


def test_share_and_scale(device):
    x = ones(N, grad=True)
    out = F.dropout(x, 0.3)
    values = out.numpy()
    kept = values != 0
    # 5 standard deviations of a mean of N draws with probability 0.7
    assert abs(kept.mean() - 0.7) < 5 * np.sqrt(0.21 / N)
    assert np.allclose(values[kept], 1 / 0.7, rtol=1e-6)
    out.sum().backward()
    assert np.array_equal(x.grad.numpy(), values)   # the same mask and scale


def test_downscale_in_infer():
    out = F.dropout(ones(N), 0.3, mode="downscale_in_infer").numpy()
    assert set(np.unique(out)) == {0, 1}
    assert F.dropout(ones(2), 0.3, training=False, mode="downscale_in_infer").numpy() == pytest.approx(0.7)


def test_ends():
    x = ones(8, grad=True)
    assert F.dropout(x, 0) is x
    out = F.dropout(x, 1.0)
    out.sum().backward()
    assert not out.numpy().any() and not x.grad.numpy().any()
    for p in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"dropout: expected p in \[0, 1\]"):
            F.dropout(x, p)
    with pytest.raises(ValueError, match="mode"):
        F.dropout(x, 0.5, mode="upscale")


def test_axes_fall_together():
    out = F.dropout(ones(50, 20, 4), 0.5, axis=[0, 1]).numpy()
    assert (out.min(axis=2) == out.max(axis=2)).all() and 0 < (out == 0).mean() < 1
    first = F.dropout(ones(50, 20), 0.5, axis=0).numpy()
    assert (first == first[:, :1]).all()
    with pytest.raises(ValueError, match="axis"):
        F.dropout(ones(2), 0.5, axis=1)


@pytest.mark.parametrize(("function", "shape", "kwargs", "channel"), [
    (F.dropout2d, (30, 10, 4, 2), {}, 1),
    (F.dropout2d, (30, 4, 2, 10), {"data_format": "NHWC"}, 3), (F.dropout3d, (30, 10, 2, 2, 3), {}, 1),
    (F.dropout3d, (30, 2, 2, 3, 10), {"data_format": "NDHWC"}, 4)])
def test_channels_fall_whole(function, shape, kwargs, channel):
    out = function(ones(*shape), 0.5, **kwargs).numpy()
    inside = tuple(i for i in range(1, len(shape)) if i != channel)
    assert (out.min(axis=inside) == out.max(axis=inside)).all() and 0.2 < (out == 0).mean() < 0.8
    with pytest.raises(ValueError, match="axes"):
        function(ones(3), 0.5)
    with pytest.raises(ValueError, match="data_format"):
        function(ones(*shape), 0.5, data_format="NX")


def test_dropout1d_takes_a_batch_or_one_sample():
    for shape in ((30, 10, 4), (300, 4)):
        out = F.dropout1d(ones(*shape), 0.5).numpy()
        assert (out.min(axis=-1) == out.max(axis=-1)).all() and 0.2 < (out == 0).mean() < 0.8
    x = ones(30, 4)
    assert F.dropout1d(x, 0.5, inplace=True) is x and (x.numpy() == 0).any()
    with pytest.raises(ValueError, match="2 or 3 axes"):
        F.dropout1d(ones(3))


def test_layers_drop_while_training_only():
    for layer in (nn.Dropout(0.5), nn.AlphaDropout(0.5), nn.FeatureAlphaDropout(0.5)):
        x = ones(40, 5)
        assert not np.array_equal(layer(x).numpy(), x.numpy())
        layer.eval()
        assert layer(x) is x
    assert nn.Dropout2D(0.5).eval()(ones(1, 2, 1, 1)).numpy().all()
    x = ones(100)
    assert nn.Dropout(0.5, inplace=True)(x) is x and (x.numpy() == 0).any()


def test_seed_repeats_and_moves_on():
    gpuflow.seed(3)
    first, second = F.dropout(ones(100)).numpy(), F.dropout(ones(100)).numpy()
    gpuflow.seed(3)
    assert np.array_equal(first, F.dropout(ones(100)).numpy()) and not np.array_equal(first, second)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_dtypes(dtype):
    assert F.dropout(ones(10).astype(dtype)).dtype == dtype
    assert F.alpha_dropout(ones(10).astype(dtype)).dtype == dtype


def test_alpha_dropout_keeps_mean_and_variance():
    x = gpuflow.to_tensor(np.random.default_rng(0).standard_normal((N, 2)).astype(np.float32))
    for function in (F.alpha_dropout, F.feature_alpha_dropout):
        out = function(x, 0.4).numpy()
        assert abs(out.mean()) < 0.03 and abs(out.std() - 1) < 0.03   # about 5 deviations of the estimates
    assert not F.alpha_dropout(x, 1).numpy().any()
    channels = F.feature_alpha_dropout(ones(30, 10, 4), 0.5).numpy()
    assert (channels.min(axis=2) == channels.max(axis=2)).all()


def test_gumbel_softmax_draws_from_the_softmax():
    logits = gpuflow.to_tensor(np.tile(np.log([0.2, 0.5, 0.3]).astype(np.float32), (N, 1)), stop_gradient=False)
    hard = F.gumbel_softmax(logits, hard=True)
    np.testing.assert_allclose(hard.numpy().mean(axis=0), [0.2, 0.5, 0.3], atol=5 * 0.5 / np.sqrt(N))
    assert np.allclose(np.sort(hard.numpy()), [0, 0, 1], atol=1e-6)
    hard[:, 0].sum().backward()
    assert np.abs(logits.grad.numpy()).max() > 0   # the soft sample's gradient
    soft = F.gumbel_softmax(logits, temperature=0.7).numpy()
    assert np.allclose(soft.sum(axis=1), 1, atol=1e-5) and soft.max() < 1.0001
    with pytest.raises(ValueError, match="temperature"):
        F.gumbel_softmax(logits, 0)


def test_rrelu_draws_its_slopes():
    x = gpuflow.to_tensor(np.full(N, -1, np.float32), stop_gradient=False)
    out = F.rrelu(x, 0.1, 0.3)
    out.sum().backward()
    slopes = -out.numpy()
    assert slopes.min() >= 0.1 and slopes.max() < 0.3 + 1e-6 and abs(slopes.mean() - 0.2) < 5 * 0.06 / np.sqrt(N)
    assert np.allclose(x.grad.numpy(), slopes)
    layer = nn.RReLU(0.1, 0.3)
    assert layer.eval()(x).numpy() == pytest.approx(-0.2)
