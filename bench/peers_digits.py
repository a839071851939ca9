"""One training step of the demo's network (examples/digits) beside torch's.

    python -m bench.peers_digits [--torch-python P] [--threads 2] [--rounds 15]

The same layers, batch, optimizer and clip; forward, loss, backward, clip and update. torch runs its fused AdamW, the
faster of its two forms here.
"""
import sys
from pathlib import Path

from bench.harness import beside_torch, torch_training

CASES = {"training step of the digits network, batch 64": (64,)}


def batch(size):
    import numpy as np

    rng = np.random.default_rng(0)
    return rng.random((size, 1, 8, 8), dtype=np.float32), rng.integers(0, 10, size)


def gpuflow_step(size):
    import gpuflow as paddle
    from gpuflow import nn

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples" / "digits"))
    from model import DigitNet

    model = DigitNet()
    optimizer = paddle.optimizer.AdamW(1e-3, parameters=model.parameters(), weight_decay=0.05,
                                       grad_clip=nn.ClipGradByGlobalNorm(1.0))
    images, labels = map(paddle.to_tensor, batch(size))
    lose = nn.CrossEntropyLoss()

    def step():
        loss = lose(model(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()

    return step


def torch_step(size):
    import torch
    from torch import nn

    def block(channels_in, channels_out):
        return [nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False), nn.BatchNorm2d(channels_out), nn.ReLU()]

    model = nn.Sequential(*block(1, 16), *block(16, 32), nn.MaxPool2d(2), *block(32, 64), nn.MaxPool2d(2),
                          nn.Flatten(), nn.Dropout(0.4), nn.Linear(256, 10))
    images, labels = map(torch.from_numpy, batch(size))
    return torch_training(model, lambda: nn.functional.cross_entropy(model(images), labels), 0.05)


if __name__ == "__main__":
    beside_torch("peers_digits", __doc__, CASES, gpuflow_step, torch_step, rounds=15, calls=10)
