"""Trains a small GPT on Python's language reference, then lets it write: `python examples/char_gpt/main.py`.

The default, 4 layers of 256 features over 128 characters, takes some ten minutes on two cores of a CPU.
"""
import argparse
import math
import time
from pathlib import Path

import numpy as np
from dataset import Windows, load
from model import CharGPT
from pictures import curves, surprise
from tqdm import tqdm

import gpuflow as paddle
from gpuflow import nn
from gpuflow.io import BatchSampler, DataLoader, RandomSampler
from gpuflow.optimizer import AdamW
from gpuflow.optimizer.lr import CosineAnnealingDecay, LinearWarmup

BIT = math.log(2)
lose = nn.CrossEntropyLoss()


@paddle.no_grad()
def test(model, ids, pieces=40, batch=20):
    """Bits per character over `pieces` windows spread over the ids."""
    windows = Windows(ids, model.context)
    chosen = [windows[int(i)] for i in np.linspace(0, len(windows) - 1, pieces)]
    model.eval()
    losses = [lose(model(paddle.to_tensor(np.stack(x))), paddle.to_tensor(np.stack(y))).item()
              for x, y in (zip(*chosen[i : i + batch]) for i in range(0, pieces, batch))]
    model.train()
    return float(np.mean(losses)) / BIT


@paddle.no_grad()
def costs(model, ids):
    """Bits for each of the ids but the first, each told from up to a context of those before it."""
    model.eval()
    found = []
    for start in range(0, len(ids) - 1, model.context):
        x, y = ids[start : start + model.context], ids[start + 1 : start + model.context + 1]
        logits = model(paddle.to_tensor(x[None, : len(y)]))
        found.append(nn.functional.cross_entropy(logits[0], paddle.to_tensor(y), reduction="none").numpy())
    model.train()
    return np.concatenate(found) / BIT


def train(model, optimizer, rate, loader, check, every):
    """Trains and returns the history that pictures.curves draws. check() gives the bits on the test text."""
    history = {key: [] for key in ("loss", "norm", "rate", "step", "test")}
    with tqdm(loader, unit="step", desc="training", disable=None) as bar:
        for step, (ids, following) in enumerate(bar, 1):
            loss = lose(model(ids), following)
            loss.backward()
            optimizer.step()
            optimizer.clear_grad()
            history["loss"].append(loss.item() / BIT)
            history["norm"].append(float(optimizer.last_grad_norm))
            history["rate"].append(optimizer.get_lr())
            rate.step()
            if step % every == 0 or step == len(loader):
                history["step"].append(step)
                history["test"].append(check())
                bar.set_postfix(loss=f"{history['loss'][-1]:.2f}", test=f"{history['test'][-1]:.2f}")
    return history


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--context", type=int, default=128, help="how many characters it sees")
    parser.add_argument("--width", type=int, default=256, help="features per character")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--rate", type=float, default=1e-3, help="the schedule's highest learning rate")
    parser.add_argument("--prompt", default='The "while" statement')
    parser.add_argument("--write", type=int, default=600, help="how many characters to write at the end")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", help="cpu, gpu:0, ... (default: the GPU if there is one)")
    parser.add_argument("--out", type=Path, default=Path("out/char_gpt"), help="where checkpoint and pictures go")
    args = parser.parse_args()
    if args.device:
        paddle.set_device(args.device)
    paddle.seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)

    ids, test_ids, characters, digest = load()
    print(f"device: {paddle.get_device()}; text: {len(ids) + len(test_ids)} characters, sha256 {digest}...")
    windows = Windows(ids, args.context)
    sampler = RandomSampler(windows, replacement=True, num_samples=args.steps * args.batch)
    loader = DataLoader(windows, batch_sampler=BatchSampler(sampler=sampler, batch_size=args.batch))
    model = CharGPT(len(characters), args.context, args.width, args.layers, args.heads)
    warm_up = max(1, args.steps // 15)
    rate = LinearWarmup(CosineAnnealingDecay(args.rate, T_max=args.steps - warm_up), warm_up, 0.0, args.rate)
    optimizer = AdamW(rate, parameters=model.parameters(), beta2=0.99, weight_decay=0.1,
                      grad_clip=nn.ClipGradByGlobalNorm(1.0),
                      apply_decay_param_fun=lambda name: not name.startswith("layer_norm"))
    print(f"{sum(p.size for p in model.parameters()):,} parameters in {len(model.parameters())} tensors")

    started = time.perf_counter()
    history = train(model, optimizer, rate, loader, lambda: test(model, test_ids), max(args.steps // 15, 1))
    seconds = time.perf_counter() - started

    paddle.save(model.state_dict(), str(args.out / "model.pdparams"))
    curves(history, args.out / "curves.png")
    unseen = test_ids[len(test_ids) // 2 :][:1200]
    surprise("".join(characters[i] for i in unseen[1:]), costs(model, unseen), args.out / "surprise.png")
    written = model.write([characters.index(c) for c in args.prompt if c in characters], args.write)
    print(f"{args.prompt}{''.join(characters[i] for i in written)}\n")
    print(f"test text: {history['test'][-1]:.3f} bits per character after {args.steps} steps in {seconds:.1f} s on "
          f"{paddle.get_device()}")
    for file in ("model.pdparams", "curves.png", "surprise.png"):
        print(f"  {args.out / file}")


if __name__ == "__main__":
    main()
