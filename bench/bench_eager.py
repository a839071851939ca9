"""Time eager mode's own overhead: chains of ops on tensors so small that arithmetic costs nothing.

    python -m bench.bench_eager [--torch-python /path/to/a/python/with/torch] [--rounds 15]

Each side is a process of its own; they take turns, so that a change of the machine's load meets both. The figure is the
median over the rounds, each the median of 40 runs. The table and a line in bench/results/eager.jsonl.
"""
import argparse
import json
import statistics
import subprocess
import sys
import time

CASES = {
    "chain of 100 ops on 16 elements, forward and backward": "chain",
    "the same without gradient": "chain_no_grad",
    "10 layers of linear + relu on [4, 8], forward and backward": "layers",
}


def gpuflow_cases():
    import gpuflow as paddle
    from gpuflow.functional.activation import relu
    from gpuflow.functional.linalg import matmul

    paddle.set_device("cpu")

    def leaf(*shape):
        x = paddle.rand(shape)
        x.stop_gradient = False
        return x

    return leaf, paddle.rand([16]) + 0.5, matmul, relu, paddle.no_grad


def torch_cases():
    import torch

    torch.set_num_threads(2)
    return (lambda *shape: torch.rand(shape, requires_grad=True), torch.rand(16) + 0.5, torch.matmul, torch.relu,
            torch.no_grad)


def runs(leaf, a, matmul, relu, no_grad):
    """The function to time, per case."""

    def body(x):
        y = x
        for _ in range(25):
            y = y * a
            y = y + x
            y = y.tanh()
            y = y - a
        return y.sum()

    def chain():
        body(leaf(16)).backward()

    def chain_no_grad():
        with no_grad():
            body(leaf(16))

    weights = [(leaf(8, 8), leaf(8)) for _ in range(10)]

    def layers():
        y = leaf(4, 8)
        for w, b in weights:
            y = relu(matmul(y, w) + b)
        y.sum().backward()

    return {"chain": chain, "chain_no_grad": chain_no_grad, "layers": layers}


def serve(side: str) -> None:
    """A worker: reads case names, answers the median seconds of 40 runs."""
    functions = runs(*{"gpuflow": gpuflow_cases, "torch": torch_cases}[side]())
    for line in sys.stdin:
        run, taken = functions[line.strip()], []
        for _ in range(40):
            start = time.perf_counter()
            run()
            taken.append(time.perf_counter() - start)
        print(statistics.median(taken), flush=True)


class Worker:
    def __init__(self, python: str, side: str):
        self.process = subprocess.Popen([python, __file__, "--serve", side], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def time(self, case: str) -> float:
        self.process.stdin.write(case + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch-python", help="an interpreter that has torch")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        return serve(args.serve)
    from bench import harness

    sides = {"gpuflow": Worker(sys.executable, "gpuflow")}
    if args.torch_python:
        sides["torch"] = Worker(args.torch_python, "torch")
    results = {}
    for title, case in CASES.items():
        taken: dict = {side: [] for side in sides}
        for worker in sides.values():
            worker.time(case)  # warm up
        for _ in range(args.rounds):
            for side, worker in sides.items():
                taken[side].append(worker.time(case))
        times = {side: {"median": statistics.median(t), "best": min(t)} for side, t in reversed(taken.items())}
        print(harness.table(title, times))
        results[case] = {side: round(t["median"] * 1e6, 1) for side, t in times.items()} | {"unit": "us"}
        if args.torch_python:
            results[case]["ratio"] = round(times["gpuflow"]["median"] / times["torch"]["median"], 3)
    if args.torch_python:
        versions = subprocess.run([args.torch_python, "-c", "import json, torch; print(json.dumps(torch.__version__))"],
                                  capture_output=True, text=True, check=True)
        results["torch"] = json.loads(versions.stdout)
    harness.record("eager", results)


if __name__ == "__main__":
    main()
