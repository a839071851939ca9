"""What every benchmark shares: timing in alternation, the table, and a line of JSON in bench/results/.

Machines are noisy, so nothing is timed alone: candidates take turns, and what is reported is each one's median and its
ratio to the first. A result says the machine, the versions and the commit it was taken on.
"""
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import time
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"


def alternate(candidates: dict, rounds: int = 30, warm_up: int = 3, synchronize=None) -> dict:
    """Seconds per call: {name: {"median", "best"}} of functions without arguments that take turns for `rounds` rounds.

    synchronize: called before a clock is read, e.g. to wait for a GPU.
    """
    wait = synchronize or (lambda: None)
    for function in candidates.values():
        for _ in range(warm_up):
            function()
    taken: dict = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, function in candidates.items():
            wait()
            start = time.perf_counter()
            function()
            wait()
            taken[name].append(time.perf_counter() - start)
    return {name: {"median": statistics.median(t), "best": min(t)} for name, t in taken.items()}


def table(title: str, times: dict) -> str:
    """The times as text, each with its ratio to the first; in us, ms or s as the first one asks."""
    first = next(iter(times.values()))["median"]
    unit, factor = ("us", 1e6) if first < 1e-3 else ("ms", 1e3) if first < 1 else ("s", 1)
    width = max(len(name) for name in times)
    lines = [title, f"  {'':{width}}  {'median':>10}  {'best':>10}  ratio to {next(iter(times))}"]
    lines += [f"  {name:{width}}  {t['median'] * factor:>7.2f} {unit:2}  {t['best'] * factor:>7.2f} {unit:2}"
              f"  {t['median'] / first:.2f}" for name, t in times.items()]
    return "\n".join(lines)


def machine() -> dict:
    """What a reader needs to place a number: processor, cores, GPU, versions, commit."""
    versions = {}
    for name in ("numpy", "numba", "cupy-cuda13x", "cupy-cuda12x", "torch", "paddlepaddle", "jax", "optax"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"processor": _processor(), "cores": os.cpu_count(), "gpu": _gpu(), "python": platform.python_version(),
            **versions, "commit": _commit()}


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
    here = Path(__file__).resolve().parent

    def git(*words):
        return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True).stdout.strip()

    changed = "+changes" if git("status", "--porcelain", "--untracked-files=no", "--", "..") else ""
    return git("rev-parse", "--short", "HEAD") + changed or None


def record(name: str, results: dict) -> None:
    """Appends {date, machine, results} as one line to bench/results/<name>.jsonl."""
    RESULTS.mkdir(exist_ok=True)
    line = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "results": results}
    with open(RESULTS / f"{name}.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
