"""What every benchmark shares: timing in alternation, the table, and a line of JSON in bench/results/.

Machines are noisy, so nothing is timed alone: candidates take turns (`gpuflow_kernels.speed.alternate`), and what is
reported is each one's median and smallest time, and their ratios to the first's. On a shared machine the smallest says
more, since a neighbour's work only ever adds. A result says the machine, the load, the versions and the commit it was
taken on.

A candidate whose package cannot be imported beside the others is a `Peer`: a function like the rest that has a process
of its own, with an interpreter of its own, do the work.
"""
import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
POOLS = ("OMP", "OPENBLAS", "MKL", "NUMBA")   # whose threads <POOL>_NUM_THREADS counts
REST = 0.15   # seconds: OpenBLAS's threads spin for 0.11 after their work, torch's and Numba's for 0.005


def table(title: str, times: dict) -> str:
    """The times as text, each with its ratios to the first's; in us, ms or s as the first one asks."""
    first = next(iter(times.values()))
    unit, factor = ("us", 1e6) if first["median"] < 1e-3 else ("ms", 1e3) if first["median"] < 1 else ("s", 1)
    width = max(len(name) for name in times)
    lines = [title, f"  {'':{width}}  {'median':>10}  {'best':>10}  ratios to {next(iter(times))}"]
    lines += [f"  {name:{width}}  {t['median'] * factor:>7.2f} {unit:2}  {t['best'] * factor:>7.2f} {unit:2}"
              f"  {t['median'] / first['median']:.2f}  {t['best'] / first['best']:.2f}" for name, t in times.items()]
    return "\n".join(lines)


class Peer:
    """Candidates that live in a process of their own, which a `serve` loop answers for: `peer.candidate(name, ...)`.

    python: the interpreter. module: what it runs, as `python -m module --serve`.
    """

    def __init__(self, python: str, module: str):
        self.command = [python, "-m", module, "--serve"]
        self.process = subprocess.Popen(self.command, cwd=HERE.parent, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def candidate(self, *words: str):
        """A function without arguments that has the process call what it makes of these words, and returns the seconds
        by that process's clock."""
        return lambda: float(self.ask(*words))

    def ask(self, *words: str):
        """What the process answers; raises RuntimeError where it failed. Its complaint is on stderr."""
        try:
            self.process.stdin.write(json.dumps(words) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise RuntimeError(f"{' '.join(self.command)} ended while asked for {' '.join(words)}")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def serve(make) -> None:
    """The other end of a Peer: calls make(*words) once for a run of the same words, and what it returns once per
    question. "version" and a package's name: that package's version."""
    answers, sys.stdout = sys.stdout, sys.stderr   # what a framework prints is no answer
    current, function = None, None
    for line in sys.stdin:
        words = json.loads(line)
        if words[0] == "version":
            found = importlib.metadata.version(words[1])
        else:
            if words != current:
                function = None   # frees the last one's memory first
                current, function = words, make(*words)
            start = time.perf_counter()
            function()
            found = time.perf_counter() - start
        print(json.dumps(found), file=answers, flush=True)


def can_import(python: str, package: str) -> bool:
    """Whether this interpreter finds the package; nothing is imported."""
    looked = f"import importlib.util as u; raise SystemExit(u.find_spec({package!r}) is None)"
    return subprocess.run([python, "-c", looked], capture_output=True).returncode == 0


def beside_torch(name: str, page: str, cases: dict, gpuflow, torch, *, rounds: int, calls: int) -> None:
    """main() of bench/<name>.py, which times gpuflow beside torch on the CPU; page is its docstring.

    cases: {title: arguments}. gpuflow(*arguments) and torch(*arguments) return the function to time, of no arguments;
    each lives in a Peer, torch's with the interpreter of --torch-python. Without a torch there gpuflow runs alone.
    rounds, calls: as in `gpuflow_kernels.speed.alternate`; --rounds changes the first.
    """
    parser = argparse.ArgumentParser(description=page, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch-python", default=sys.executable, help="an interpreter that has torch")
    parser.add_argument("--cases", default="", help="only cases whose title holds this")
    parser.add_argument("--threads", type=int, default=2,
                        help="of each side; with neighbours on the machine 1 says more, two wait for each other")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        return serve(lambda side, title: {"gpuflow": gpuflow, "torch": torch}[side](*cases[title]))

    from gpuflow_kernels.speed import alternate  # here: the other side's interpreter may not have it

    # both sides inherit these
    os.environ |= {"GPUFLOW_DEVICE": "cpu"} | {f"{pool}_NUM_THREADS": str(given.threads) for pool in POOLS}
    peers, more = {}, {"threads": given.threads}
    if can_import(given.torch_python, "torch"):
        peers["torch"] = Peer(given.torch_python, f"bench.{name}")
        more["torch"] = peers["torch"].ask("version", "torch")
    else:
        print(f"left out: {given.torch_python} has no torch; --torch-python names one that has")
    peers["gpuflow"] = Peer(sys.executable, f"bench.{name}")
    found = {}
    for title in (t for t in cases if given.cases in t):
        candidates = {side: peer.candidate(side, title) for side, peer in peers.items()}
        found[title] = alternate(candidates, given.rounds, warm_up=10, calls=calls, rest=REST)
        print(table(title, found[title]), flush=True)
    for peer in peers.values():
        peer.close()
    record(name, found, more)


def torch_training(model, lose, weight_decay: float):
    """A training step in torch: lose() is the loss; backward, clip by the global norm, fused AdamW."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=weight_decay, fused=True)

    def step():
        loss = lose()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def machine() -> dict:
    """What a reader needs to place a number: processor, cores, load, GPU, versions, commit."""
    versions = {}
    for name in ("numpy", "numba", "cupy-cuda13x", "cupy-cuda12x", "torch", "paddlepaddle", "jax", "optax"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    return {"processor": _processor(), "cores": os.cpu_count(), "load": load, "gpu": _gpu(),
            "python": platform.python_version(), **versions, "commit": _commit()}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _gpu() -> str | None:
    from gpuflow import device

    return device.cuda.get_device_name(0) if device.cuda_available() else None


def _commit() -> str | None:
    def git(*words):
        return subprocess.run(["git", *words], cwd=HERE, capture_output=True, text=True).stdout.strip()

    changed = "+changes" if git("status", "--porcelain", "--untracked-files=no", "--", "..") else ""
    return git("rev-parse", "--short", "HEAD") + changed or None


def record(name: str, results: dict, more: dict | None = None) -> None:
    """Appends {date, machine, results} as one line to bench/results/<name>.jsonl. more: what `machine` does not see,
    such as the versions of peers."""
    RESULTS.mkdir(exist_ok=True)
    line = {"date": time.strftime("%Y-%m-%d"), "machine": machine() | (more or {}), "results": results}
    with open(RESULTS / f"{name}.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
