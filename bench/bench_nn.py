"""Time convolution, pooling and normalisation, forward and backward, beside torch on the same machine in the same run.

    python bench/bench_nn.py --torch /path/to/a/python/with/torch [--cases conv] [--write bench/results/nn_ops.jsonl]

Without --torch only gpuflow is timed. Two workers take turns, so that a change of the machine's load meets both; the
figure of a case is the smallest time of its rounds. CPU, float32. On a shared machine take --threads 1: two threads
wait for each other whenever one of them is not running.
"""
import argparse
import json
import os
import platform
import subprocess
import sys
import time

# name: (kind, input shape, arguments)
CASES = {
    "conv 64x1x8x8 -> 16, 3x3": ("conv", (64, 1, 8, 8), (16, 3, 1)),
    "conv 64x16x8x8 -> 32, 3x3": ("conv", (64, 16, 8, 8), (32, 3, 1)),
    "conv 64x32x4x4 -> 64, 3x3": ("conv", (64, 32, 4, 4), (64, 3, 1)),
    "conv 128x1x28x28 -> 6, 5x5": ("conv", (128, 1, 28, 28), (6, 5, 2)),
    "conv 8x64x56x56 -> 64, 3x3": ("conv", (8, 64, 56, 56), (64, 3, 1)),
    "conv 8x256x28x28 -> 64, 1x1": ("conv", (8, 256, 28, 28), (64, 1, 0)),
    "depthwise 8x64x28x28, 3x3": ("depthwise", (8, 64, 28, 28), (64, 3, 1)),
    "batch_norm 64x32x8x8": ("batch_norm", (64, 32, 8, 8), ()),
    "batch_norm 8x64x56x56": ("batch_norm", (8, 64, 56, 56), ()),
    "layer_norm 64x128x256": ("layer_norm", (64, 128, 256), ()),
    "max_pool 64x16x8x8, 2x2": ("max_pool", (64, 16, 8, 8), (2,)),
    "max_pool 8x64x56x56, 2x2": ("max_pool", (8, 64, 56, 56), (2,)),
    "avg_pool 64x16x8x8, 2x2": ("avg_pool", (64, 16, 8, 8), (2,)),
    "net 64x1x8x8: 2 x (conv, bn, relu), pool, conv, bn, relu": ("net", (64, 1, 8, 8), ()),
}


def gpuflow_steps():
    """Makes a case's step function with gpuflow."""
    import numpy as np

    import gpuflow as paddle
    from gpuflow.nn import conv, norm, pooling

    def make(kind, shape, args):
        x = paddle.to_tensor(np.random.default_rng(0).standard_normal(shape, np.float32), stop_gradient=False)
        if kind == "net":
            parts = [conv.Conv2D(1, 16, 3, padding=1), norm.BatchNorm2D(16), paddle.nn.ReLU(),
                     conv.Conv2D(16, 32, 3, padding=1), norm.BatchNorm2D(32), paddle.nn.ReLU(), pooling.MaxPool2D(2),
                     conv.Conv2D(32, 64, 3, padding=1), norm.BatchNorm2D(64), paddle.nn.ReLU()]
            layer = paddle.nn.Sequential(*parts)
        elif kind in ("conv", "depthwise"):
            out, k, padding = args
            layer = conv.Conv2D(shape[1], out, k, padding=padding, groups=shape[1] if kind == "depthwise" else 1)
        else:
            layer = {"batch_norm": lambda: norm.BatchNorm2D(shape[1]), "layer_norm": lambda: norm.LayerNorm(shape[-1]),
                     "max_pool": lambda: pooling.MaxPool2D(*args), "avg_pool": lambda: pooling.AvgPool2D(*args)}[kind]()
        g = paddle.to_tensor(np.random.default_rng(1).standard_normal(layer(x).shape, np.float32))

        def step():
            y = layer(x)
            y.backward(g)
            x.clear_grad()
            for p in layer.parameters():
                p.clear_grad()

        return step

    return make


def torch_steps():
    """Makes a case's step function with torch."""
    import torch
    from torch import nn

    torch.set_num_threads(int(os.environ["OPENBLAS_NUM_THREADS"]))

    def make(kind, shape, args):
        torch.manual_seed(0)
        x = torch.randn(shape, requires_grad=True)
        if kind == "net":
            layer = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
                                  nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
                                  nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU())
        elif kind in ("conv", "depthwise"):
            out, k, padding = args
            layer = nn.Conv2d(shape[1], out, k, padding=padding, groups=shape[1] if kind == "depthwise" else 1)
        else:
            layer = {"batch_norm": lambda: nn.BatchNorm2d(shape[1]), "layer_norm": lambda: nn.LayerNorm(shape[-1]),
                     "max_pool": lambda: nn.MaxPool2d(*args), "avg_pool": lambda: nn.AvgPool2d(*args)}[kind]()
        g = torch.randn(layer(x).shape)

        def step():
            y = layer(x)
            y.backward(g)
            x.grad = None
            for p in layer.parameters():
                p.grad = None

        return step

    return make


def serve(side):
    """A worker: reads case names, answers the smallest time of a step in seconds."""
    make = {"gpuflow": gpuflow_steps, "torch": torch_steps}[side]()
    steps = {}
    for line in sys.stdin:
        name = line.strip()
        if name not in steps:
            steps[name] = make(*CASES[name])
            for _ in range(5):  # compile, fill caches
                steps[name]()
        best, until = float("inf"), time.perf_counter() + 0.15
        while time.perf_counter() < until:
            start = time.perf_counter()
            steps[name]()
            best = min(best, time.perf_counter() - start)
        print(best, flush=True)


class Worker:
    """A process that times one side."""

    def __init__(self, python, side, threads):
        self.process = subprocess.Popen([python, __file__, "--serve", side], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True,
                                        env=os.environ | {"OPENBLAS_NUM_THREADS": str(threads)})

    def time(self, name):
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", help="a Python interpreter that has torch")
    parser.add_argument("--cases", default="", help="only cases whose name holds this")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", help="append the figures to this file, one JSON object a line")
    parser.add_argument("--note", default="", help="what is being measured, kept in the file")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        return serve(args.serve)
    sides = {"gpuflow": Worker(sys.executable, "gpuflow", args.threads)}
    if args.torch:
        sides["torch"] = Worker(args.torch, "torch", args.threads)
    names = [n for n in CASES if args.cases in n]
    best = {name: dict.fromkeys(sides, float("inf")) for name in names}
    for _ in range(args.rounds):
        for name in names:
            for side, worker in sides.items():
                best[name][side] = min(best[name][side], worker.time(name))
    for name, found in best.items():
        row = {"case": name, "note": args.note, **{f"{s}_us": round(t * 1e6, 1) for s, t in found.items()}}
        if args.torch:
            row["ratio"] = round(found["gpuflow"] / found["torch"], 2)
        row["machine"] = f"{platform.machine()}, {args.threads} threads"
        print("  ".join(f"{k} {v}" for k, v in row.items() if k not in ("machine", "note")))
        if args.write:
            with open(args.write, "a") as file:
                file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
