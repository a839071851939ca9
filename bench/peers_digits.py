"""One training step of the demo's network (examples/digits) beside torch's: `make bench-peers`.

The same layers, batch, optimizer and clip; forward, loss, backward, clip and update. torch runs its fused AdamW, the
faster of its two forms here.
"""
import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn as tnn

from bench.harness import alternate, record, table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples" / "digits"))

import gpuflow as paddle
from gpuflow import nn

BATCH = 64


def ours(images, labels):
    from model import DigitNet

    model = DigitNet()
    optimizer = paddle.optimizer.AdamW(1e-3, parameters=model.parameters(), weight_decay=0.05,
                                       grad_clip=nn.ClipGradByGlobalNorm(1.0))
    images, labels = paddle.to_tensor(images), paddle.to_tensor(labels)
    lose = nn.CrossEntropyLoss()

    def step():
        loss = lose(model(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()

    return step


def theirs(images, labels):
    def block(channels_in, channels_out):
        return [tnn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False), tnn.BatchNorm2d(channels_out),
                tnn.ReLU()]

    model = tnn.Sequential(*block(1, 16), *block(16, 32), tnn.MaxPool2d(2), *block(32, 64), tnn.MaxPool2d(2),
                           tnn.Flatten(), tnn.Dropout(0.4), tnn.Linear(256, 10))
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.05, fused=True)
    images, labels = torch.from_numpy(images), torch.from_numpy(labels)

    def step():
        loss = tnn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        tnn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    args = parser.parse_args()
    paddle.set_device("cpu")
    rng = np.random.default_rng(0)
    images = rng.random((BATCH, 1, 8, 8), dtype=np.float32)
    labels = rng.integers(0, 10, BATCH)
    times = alternate({"torch": theirs(images, labels), "gpuflow": ours(images, labels)}, args.rounds)
    print(table(f"training step of the digits network, batch {BATCH}, {torch.get_num_threads()} threads", times))
    record("peers_digits", times)


if __name__ == "__main__":
    main()
