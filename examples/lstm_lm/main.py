"""Trains an LSTM on the words of Python's language reference: `python examples/lstm_lm/main.py`.

Shows a state that goes from batch to batch, a clip that keeps its gradients in bounds, and beam search at the end.
"""
import argparse
import math
import time
from pathlib import Path

import numpy as np
from dataset import END, UNKNOWN, load, pieces
from model import WordLSTM
from pictures import cells, curves
from tqdm import tqdm

import gpuflow as paddle
from gpuflow import nn
from gpuflow.optimizer import Adam
from gpuflow.optimizer.lr import CosineAnnealingDecay

lose = nn.CrossEntropyLoss()


@paddle.no_grad()
def perplexity(model, batches):
    """exp of the mean loss over batches that follow each other."""
    model.eval()
    state, losses = None, []
    for ids, following in batches:
        logits, state = model(paddle.to_tensor(ids), state)
        losses.append(lose(logits, paddle.to_tensor(following)).item())
    model.train()
    return math.exp(np.mean(losses))


@paddle.no_grad()
def cell_states(model, ids):
    """What the cells hold after each of the ids: [len(ids), width]."""
    model.eval()
    state, found = None, []
    for i in ids:
        _, state = model(paddle.to_tensor([[int(i)]]), state)
        found.append(state[1].numpy()[0, 0])
    model.train()
    return np.stack(found)


def train(model, optimizer, rate, batches, check, epochs):
    """Trains and returns the history that pictures.curves draws. check() gives the perplexity of the test text."""
    history = {key: [] for key in ("loss", "norm", "step", "test")}
    with tqdm(total=epochs * len(batches), unit="step", desc="training", disable=None) as bar:
        for epoch in range(epochs):
            state = None
            for ids, following in batches:
                logits, state = model(paddle.to_tensor(ids), state)
                loss = lose(logits, paddle.to_tensor(following))
                loss.backward()
                optimizer.step()
                optimizer.clear_grad()
                rate.step()
                state = tuple(s.detach() for s in state)   # the numbers go on, the gradients stop here
                history["loss"].append(loss.item())
                history["norm"].append(float(optimizer.last_grad_norm))
                bar.update()
            history["step"].append((epoch + 1) * len(batches))
            history["test"].append(check())
            bar.set_postfix(loss=f"{loss.item():.3f}", test=f"{history['test'][-1]:.1f}")
    return history


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch", type=int, default=32, help="streams of text that are read side by side")
    parser.add_argument("--length", type=int, default=64, help="words between two steps of the optimizer")
    parser.add_argument("--width", type=int, default=256, help="size of the state and of the words' vectors")
    parser.add_argument("--rate", type=float, default=5e-3, help="the learning rate at the start")
    parser.add_argument("--prompts", nargs="*", default=["the", "a class", "if the", "this method"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", help="cpu, gpu:0, ... (default: the GPU if there is one)")
    parser.add_argument("--out", type=Path, default=Path("out/lstm_lm"), help="where checkpoint and pictures go")
    args = parser.parse_args()
    if args.device:
        paddle.set_device(args.device)
    paddle.seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)

    ids, test_ids, words, digest = load()
    batches, test_batches = pieces(ids, args.batch, args.length), pieces(test_ids, 8, args.length)
    print(f"device: {paddle.get_device()}; text: {len(ids) + len(test_ids)} words, {len(words)} different, "
          f"sha256 {digest}...")
    model = WordLSTM(len(words), args.width)
    rate = CosineAnnealingDecay(args.rate, T_max=args.epochs * len(batches))
    optimizer = Adam(rate, parameters=model.parameters(), weight_decay=1e-5, grad_clip=nn.ClipGradByGlobalNorm(1.0))
    print(optimizer.explain())

    started = time.perf_counter()
    history = train(model, optimizer, rate, batches, lambda: perplexity(model, test_batches), args.epochs)
    seconds = time.perf_counter() - started

    paddle.save(model.state_dict(), str(args.out / "model.pdparams"))
    curves(history, args.out / "curves.png")
    read = test_ids[len(test_ids) // 2 :][:40]
    cells([words[i] for i in read], cell_states(model, read), args.out / "cells.png")
    for prompt in args.prompts:
        start = [words.index(w) if w in words else UNKNOWN for w in prompt.split()]
        print(f"{prompt} ... {' '.join(words[i] for i in model.complete(start, END))}")
    print(f"test text: perplexity {history['test'][-1]:.1f} after {args.epochs} epochs in {seconds:.1f} s on "
          f"{paddle.get_device()}")
    for file in ("model.pdparams", "curves.png", "cells.png"):
        print(f"  {args.out / file}")


if __name__ == "__main__":
    main()
