"""Trains a small network on real handwritten digits, on the GPU if there is one: `make demo`.

Shows what gpuflow is about: each kind of parameter has a strategy of its own (model.py), all of them are applied in one
fused pass together with a global-norm clip, and a checkpoint gives back the very same network.
"""
import argparse
import time
from pathlib import Path

import numpy as np
from dataset import Digits, load
from model import DigitNet
from pictures import curves, misread
from tqdm import tqdm

import gpuflow as paddle
from gpuflow import nn
from gpuflow.io import DataLoader
from gpuflow.optimizer import AdamW
from gpuflow.optimizer.lr import CosineAnnealingDecay, LinearWarmup


def accuracy(model, images, labels, batch=512):
    """(share of images read rightly, what was read) with the network in evaluation mode."""
    model.eval()
    with paddle.no_grad():
        read = np.concatenate([model(paddle.to_tensor(images[i : i + batch])).argmax(axis=1).numpy()
                               for i in range(0, len(images), batch)])
    model.train()
    return float(np.mean(read == labels)), read


def train(model, optimizer, rate, loader, check, epochs):
    """Trains and returns the history that pictures.curves draws. check() gives (training, test) accuracy."""
    history = {key: [] for key in ("loss", "norm", "rate", "epoch_step", "train", "test")}
    lose = nn.CrossEntropyLoss(label_smoothing=0.1)
    steps = epochs * len(loader)
    with tqdm(total=steps, unit="step", desc="training", disable=None) as bar:
        for epoch in range(epochs):
            for images, labels in loader:
                loss = lose(model(images), labels)
                loss.backward()
                optimizer.step()
                optimizer.clear_grad()
                history["loss"].append(loss.item())
                history["norm"].append(float(optimizer.last_grad_norm))
                history["rate"].append(optimizer.get_lr())
                rate.step()
                bar.update()
            for key, value in zip(("train", "test"), check(), strict=True):
                history[key].append(value)
            history["epoch_step"].append((epoch + 1) * len(loader))
            bar.set_postfix(loss=f"{loss.item():.3f}", accuracy=f"{history['test'][-1]:.4f}",
                            norm=f"{history['norm'][-1]:.2f}", rate=f"{history['rate'][-1]:.1e}")
    return history


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1e-2, help="the schedule's highest learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", help="cpu, gpu:0, ... (default: the GPU if there is one)")
    parser.add_argument("--out", type=Path, default=Path("out/digits"), help="where checkpoint and pictures go")
    args = parser.parse_args()
    if args.device:
        paddle.set_device(args.device)
    paddle.seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    print(f"device: {paddle.get_device()}")

    (images, labels), (test_images, test_labels) = load()
    loader = DataLoader(Digits(images, labels, share=0.3, seed=args.seed), batch_size=args.batch, shuffle=True,
                        drop_last=True)
    model = DigitNet()
    steps = args.epochs * len(loader)
    warm_up = max(1, steps // 12)
    rate = LinearWarmup(CosineAnnealingDecay(args.rate, T_max=steps - warm_up), warm_up, start_lr=0.0, end_lr=args.rate)
    optimizer = AdamW(rate, parameters=model.parameters(), weight_decay=0.05, grad_clip=nn.ClipGradByGlobalNorm(1.0))
    print(optimizer.explain())

    started = time.perf_counter()
    history = train(model, optimizer, rate, loader,
                    lambda: (accuracy(model, images, labels)[0], accuracy(model, test_images, test_labels)[0]),
                    args.epochs)
    seconds = time.perf_counter() - started
    reached, read = accuracy(model, test_images, test_labels)

    checkpoint = args.out / "model.pdparams"
    paddle.save(model.state_dict(), str(checkpoint))
    again = DigitNet()
    again.set_state_dict(paddle.load(str(checkpoint)))
    restored, _ = accuracy(again, test_images, test_labels)
    if restored != reached:
        raise SystemExit(f"the checkpoint reads {restored:.4f} of the test digits, the trained network {reached:.4f}")

    curves(history, args.out / "curves.png")
    misread(test_images, test_labels, read, args.out / "misread.png")
    print(f"test accuracy: {reached:.4f} ({int(np.sum(read != test_labels))} of {len(read)} digits misread), "
          f"{len(images)} training images, {steps} steps in {seconds:.1f} s on {paddle.get_device()}")
    print(f"the checkpoint, loaded into a fresh network, reads {restored:.4f}")
    for file in ("model.pdparams", "curves.png", "misread.png"):
        print(f"  {args.out / file}")


if __name__ == "__main__":
    main()
