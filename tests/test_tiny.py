"""The whole path in a second, on each device present: data, model, strategies, training, checkpoint, evaluation."""
import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import nn
from gpuflow.io import DataLoader, TensorDataset
from gpuflow.regularizer import L2Decay


class Net(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(1, 4, 3, padding=1, weight_attr=paddle.ParamAttr(learning_rate=2.0), bias_attr=False)
        self.norm = nn.BatchNorm2D(4, weight_attr=paddle.ParamAttr(regularizer=L2Decay(0.0)))
        self.head = nn.Linear(4 * 2 * 2, 3, bias_attr=paddle.ParamAttr(need_clip=False))

    def forward(self, x):
        x = nn.functional.relu(self.norm(self.conv(x)))
        return self.head(paddle.flatten(nn.functional.max_pool2d(x, 2, 2), 1))


def three_patterns(n=96):
    """4 x 4 images with a bright row, column or diagonal, and noise."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, n)
    images = rng.normal(0, 0.3, (n, 1, 4, 4)).astype(np.float32)
    for image, label in zip(images, labels, strict=True):
        k = rng.integers(0, 4)
        where = [(k, slice(None)), (slice(None), k), (np.arange(4), np.arange(4))][label]
        image[0][where] += 2.0
    return images, labels


def trained(seed=0, epochs=12):
    paddle.seed(seed)
    images, labels = three_patterns()
    net = Net()
    rate = paddle.optimizer.lr.LinearWarmup(0.02, 6, 0.0, 0.02)
    optimizer = paddle.optimizer.AdamW(rate, parameters=net.parameters(), weight_decay=0.01,
                                       grad_clip=nn.ClipGradByGlobalNorm(1.0))
    losses = []
    for _ in range(epochs):
        for x, y in DataLoader(TensorDataset([images, labels]), batch_size=32, shuffle=True):
            loss = nn.functional.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            optimizer.clear_grad()
            rate.step()
            losses.append(loss.item())
    return net, optimizer, losses


def read(net):
    images, labels = three_patterns()
    net.eval()
    with paddle.no_grad():
        return net(paddle.to_tensor(images)).argmax(axis=1).numpy(), labels


def test_a_small_network_learns(device):
    net, optimizer, losses = trained()
    got, labels = read(net)
    assert losses[0] > 0.9 and np.mean(losses[-3:]) < 0.2
    assert np.mean(got == labels) > 0.97
    assert 0 < float(optimizer.last_grad_norm) < 10


def test_the_same_seed_gives_the_same_bits(device):
    first, _, losses = trained(seed=3, epochs=2)
    second, _, again = trained(seed=3, epochs=2)
    other, _, _ = trained(seed=4, epochs=2)
    assert losses == again
    for (name, a), b, c in zip(first.named_parameters(), second.parameters(), other.parameters(), strict=True):
        assert a.numpy().tobytes() == b.numpy().tobytes(), name
        assert a.numpy().tobytes() != c.numpy().tobytes(), name


@pytest.mark.parametrize("suffix", [".pdparams", ".safetensors"])
def test_a_checkpoint_gives_back_the_network(device, tmp_path, suffix):
    net, _, _ = trained(epochs=3)
    paddle.save(net.state_dict(), str(tmp_path / f"net{suffix}"))
    again = Net()
    missing, unexpected = again.set_state_dict(paddle.load(str(tmp_path / f"net{suffix}")))
    assert not missing and not unexpected
    np.testing.assert_array_equal(read(net)[0], read(again)[0])
    for a, b in zip(net.state_dict().values(), again.state_dict().values(), strict=True):
        assert a.numpy().tobytes() == b.numpy().tobytes()
