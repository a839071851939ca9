"""How near the kernels come to the memory's own speed, and AdamW + clip beside torch on whole parameter sets.

    python -m bench.bench_kernels [--torch /path/to/a/python/with/torch] [--sets gpt2,resnet50,small] [--rounds 15]

First part: every row of the kernel table on 16 Mi elements (so that nothing stays in a cache), in GB/s by the bytes
that the table says must move, and as a fraction of a copy between two arrays, taken in the same rounds. Second part:
one optimizer step (AdamW after a clip by global norm) on the parameter sets, beside a hand-written two-pass Numba
loop over flat arrays and, with --torch, torch's fused AdamW after clip_grad_norm_, in a process that takes turns with
this one. CPU, float32.

A figure is the smallest of its rounds: a neighbour's work on a shared machine only ever adds, in steps of the
scheduler.
"""

import argparse
import json
import math
import subprocess
import sys
import time

COPY_ELEMENTS = 16 * 2**20
OPTIONS = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "decay": 0.01, "clip": 1.0}


def gpt2() -> list[int]:
    """The 148 tensors of GPT-2 with 124M parameters: embeddings, 12 blocks, the last norm."""
    d = 768
    block = [d, d, 3 * d * d, 3 * d, d * d, d, d, d, 4 * d * d, 4 * d, 4 * d * d, d]
    return [50257 * d, 1024 * d, *block * 12, d, d]


def resnet50() -> list[int]:
    """The 161 tensors of ResNet-50: convolutions, two per batch norm, the classifier."""
    sizes, width = [64 * 3 * 49, 64, 64], 64
    for blocks, middle in zip((3, 4, 6, 3), (64, 128, 256, 512)):
        for block in range(blocks):
            out = 4 * middle
            convolutions = [(width, middle, 1), (middle, middle, 9), (middle, out, 1)]
            convolutions += [(width, out, 1)] if block == 0 else []
            for a, b, window in convolutions:
                sizes += [a * b * window, b, b]
            width = out
    return [*sizes, 2048 * 1000, 1000]


def small() -> list[int]:
    """2000 tensors of 64 to 4096 elements."""
    return [64 + (k * 2654435761) % 4033 for k in range(2000)]


SETS = {"gpt2": gpt2, "resnet50": resnet50, "small": small}


# -- what is timed -----------------------------------------------------------------------------------------------------


def copy_step(elements: int):
    """A two-thread copy: what the memory gives. Moves 8 bytes per element."""
    import numpy as np
    from numba import njit, prange

    @njit(parallel=True)
    def copy(a, b):
        for c in prange((a.size + 8191) // 8192):
            x, y = a[c * 8192 : (c + 1) * 8192], b[c * 8192 : (c + 1) * 8192]
            for i in range(x.size):
                y[i] = x[i]

    a, b = np.ones(elements, np.float32), np.zeros(elements, np.float32)
    return lambda: copy(a, b)


def hand_written_step(sizes):
    """The practical limit: two loops written for AdamW and one flat array, with no table and no per-parameter
    anything."""
    import numpy as np
    from numba import njit, prange

    flags = {"error_model": "numpy", "fastmath": {"contract", "arcp", "reassoc", "nsz"}, "parallel": True}

    @njit(**flags)
    def square_sums(g, out):
        for c in prange(out.size):
            x, s = g[c * 8192 : (c + 1) * 8192], 0.0
            for i in range(x.size):
                s += np.float64(x[i]) * np.float64(x[i])
            out[c] = s

    @njit(**flags)
    def adamw(P, G, M, V, scale, keep, b1, c1, b2, c2, rate, eps):
        for c in prange((P.size + 8191) // 8192):
            at, end = c * 8192, (c + 1) * 8192
            p, g, m, v = P[at:end], G[at:end], M[at:end], V[at:end]
            for i in range(p.size):
                x = g[i] * scale
                m[i] = b1 * m[i] + c1 * x
                v[i] = b2 * v[i] + c2 * (x * x)
                p[i] = p[i] * keep - rate * (m[i] / (np.float32(math.sqrt(v[i])) + eps))

    p, g, m, v = (np.full(sum(sizes), 1e-3, np.float32) for _ in range(4))
    partials, one = np.zeros(-(-p.size // 8192)), np.float32

    def step():
        square_sums(g, partials)
        scale = min(1.0, OPTIONS["clip"] / math.sqrt(partials.sum()))
        adamw(
            p,
            g,
            m,
            v,
            one(scale),
            one(1 - OPTIONS["lr"] * OPTIONS["decay"]),
            one(0.9),
            one(0.1),
            one(0.999),
            one(0.001),
            one(1e-3),
            one(1e-8),
        )

    return step


def gpuflow_step(sizes):
    from gpuflow_kernels.update import rules
    from gpuflow_kernels.update.cases import Problem
    from gpuflow_kernels.update.layout import CLIP_GROUP

    problem = Problem(
        rules.adamw, tuple(sizes), columns={"clip": CLIP_GROUP, "hi": OPTIONS["clip"], "decay": OPTIONS["decay"]}
    )
    t = 0

    def step():
        nonlocal t
        t += 1
        problem.step.run(OPTIONS["lr"], rules.adamw.at(t, 0.9, 0.999, 1e-8))

    return step


def torch_step(sizes):
    import torch

    torch.set_num_threads(2)
    parameters = [torch.full((n,), 1e-3, requires_grad=True) for n in sizes]
    for p in parameters:
        p.grad = torch.full_like(p, 1e-3)
    optimizer = torch.optim.AdamW(parameters, lr=OPTIONS["lr"], weight_decay=OPTIONS["decay"], fused=True)

    def step():
        torch.nn.utils.clip_grad_norm_(parameters, OPTIONS["clip"], foreach=True)
        optimizer.step()

    return step


# -- another interpreter that takes turns with this one --------------------------------------------------------------


def serve():
    """Reads a set's name per line, answers with the seconds of one torch step on it; keeps one set in memory."""
    current, step = None, None
    for line in sys.stdin:
        name = line.strip()
        if name != current:
            current, step = name, torch_step(SETS[name]())
            for _ in range(3):
                step()
        start = time.perf_counter()
        step()
        print(time.perf_counter() - start, flush=True)


class Peer:
    """A function without arguments that has the other interpreter take a step; `seconds` are its own clock's."""

    def __init__(self, python):
        self.process = subprocess.Popen(
            [python, __file__, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def step(self, name) -> float:
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit("the torch process ended; run it by hand: PYTHON bench/bench_kernels.py --serve")
        return float(answer)


def timed(step) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def against_the_memory(rounds) -> dict:
    """{kernel: {"ms", "GB/s", "of copy"}}, each row in turns with the copy."""
    from gpuflow_kernels.registry import KERNELS

    copy, found = copy_step(COPY_ELEMENTS), {}
    print(f"{'kernel':34} {'ms':>8} {'bytes':>6} {'GB/s':>7} {'of copy':>8}")
    for kernel in KERNELS:
        step = kernel.prepare((COPY_ELEMENTS,))
        step(), copy()
        pairs = [(timed(step), timed(copy)) for _ in range(rounds)]
        seconds = min(p[0] for p in pairs)
        rate, copied = (
            COPY_ELEMENTS * b / s / 1e9 for b, s in ((kernel.bytes_per_element, seconds), (8, min(p[1] for p in pairs)))
        )
        found[kernel.name] = {"ms": seconds * 1e3, "GB/s": rate, "of copy": rate / copied}
        print(
            f"{kernel.name:34} {seconds * 1e3:8.2f} {kernel.bytes_per_element:6} {rate:7.1f} {rate / copied:8.2f}",
            flush=True,
        )
    return found


def on_sets(names, rounds, torch) -> dict:
    """{set: {candidate: ms}}, steps taken in turns."""
    peer, found = Peer(torch) if torch else None, {}
    print(f"\n{'set':10} {'candidate':14} {'ms':>9} {'ratio':>6}")
    for name in names:
        sizes = SETS[name]()
        steps = {"gpuflow": gpuflow_step(sizes), "hand-written": hand_written_step(sizes)}
        taken = {"gpuflow": [], "hand-written": [], **({"torch fused": []} if peer else {})}
        for round_ in range(rounds + 2):
            for candidate in taken:
                seconds = peer.step(name) if candidate == "torch fused" else timed(steps[candidate])
                if round_ >= 2:
                    taken[candidate].append(seconds)
        found[name] = {candidate: min(s) * 1e3 for candidate, s in taken.items()}
        for candidate, ms in found[name].items():
            print(f"{name:10} {candidate:14} {ms:9.3f} {ms / found[name]['gpuflow']:6.2f}", flush=True)
    return found


def python_time(calls=300) -> float:
    """Microseconds of a whole `run` for 148 parameters of one element: nearly nothing but Python."""
    step = gpuflow_step([1] * 148)
    step()
    return min(timed(lambda: [step() for _ in range(calls)]) for _ in range(5)) / calls * 1e6


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--torch", help="a Python that can import torch")
    arguments.add_argument("--sets", default=",".join(SETS))
    arguments.add_argument("--rounds", type=int, default=15)
    arguments.add_argument("--record", action="store_true", help="append the numbers to bench/results/kernels.jsonl")
    arguments.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.serve:
        return serve()
    found = {
        "memory": against_the_memory(given.rounds),
        "sets": on_sets(given.sets.split(","), given.rounds, given.torch),
    }
    found["python_us_148"] = python_time()
    print(f"\nPython time of a step with 148 parameters: {found['python_us_148']:.0f} us")
    if given.record:
        from bench.harness import record

        record("kernels", found)
    print(json.dumps(found["sets"]))


if __name__ == "__main__":
    main()
