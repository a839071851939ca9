"""How near the kernels come to the memory's own speed: each row of the table in turns with a plain copy or read."""

from __future__ import annotations

import functools
import statistics
import time

import numpy as np


def alternate(candidates: dict, rounds: int = 30, warm_up: int = 3, synchronize=None, *, calls: int = 1,
              rest: float = 0.0) -> dict:
    """Seconds per call: {name: {"median", "best"}} of functions without arguments that take turns for `rounds` rounds.

    A function that returns a float has timed itself, and that float is taken for its seconds: work in another process,
    on a GPU.
    synchronize: called before a clock is read, e.g. to wait for a GPU.
    calls: how many times a function is called, and timed, in each of its turns.
    rest: seconds of sleep before each turn. OpenMP threads go on spinning after their work, up to 0.2 s with Intel's
    library, on cores that the next candidate needs.
    """
    wait = synchronize or (lambda: None)
    for function in candidates.values():
        for _ in range(warm_up):
            function()
    taken: dict = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, function in candidates.items():
            time.sleep(rest)
            for _ in range(calls):
                wait()
                start = time.perf_counter()
                seconds = function()
                wait()
                taken[name].append(seconds if isinstance(seconds, float) else time.perf_counter() - start)
    return {name: {"median": statistics.median(t), "best": min(t)} for name, t in taken.items()}


class Cpu:
    """Times on two cores through Numba, by the host's clock."""

    name, elements = "cpu", 16 * 2**20
    calls = 1

    def __init__(self):
        self.xp = np

    def timed(self, step):
        return step

    def memory(self) -> dict:
        """A copy and a read of a kernel's arrays: {name: (a function of grad and param, bytes per element)}."""
        from numba import njit, prange

        @njit(parallel=True)
        def copy(a, b):
            for c in prange((a.size + 8191) // 8192):
                x, y = a[c * 8192 : (c + 1) * 8192], b[c * 8192 : (c + 1) * 8192]
                for i in range(x.size):
                    y[i] = x[i]

        @njit(parallel=True, fastmath={"reassoc", "nsz"})
        def read(a, sums):
            for c in prange(sums.size):
                x, s = a[c * 8192 : (c + 1) * 8192], np.float32(0)
                for i in range(x.size):
                    s += x[i]
                sums[c] = s

        sums = np.zeros(-(-self.elements // 8192), np.float32)
        return {"copy": (lambda grad, param: copy(param, grad), 8), "read": (lambda grad, param: read(grad, sums), 4)}


class Gpu:
    """Times on the current GPU by events around several calls, so that the host's pauses between them count and its
    clock does not."""

    name, elements = "gpu", 64 * 2**20
    calls = 10

    def __init__(self):
        import cupy

        self.xp = cupy

    def timed(self, step):
        def run() -> float:
            start, end = (self.xp.cuda.Event() for _ in range(2))
            start.record()
            for _ in range(self.calls):
                step()
            end.record()
            end.synchronize()
            return self.xp.cuda.get_elapsed_time(start, end) / 1e3 / self.calls

        return run

    def memory(self) -> dict:
        """The driver's own copy, at 8 bytes per element; the norm is measured by it as well. As Cpu.memory."""
        stream = self.xp.cuda.get_current_stream()
        return {"copy": (lambda grad, param: grad.data.copy_from_device_async(param.data, grad.nbytes, stream), 8)}


def against_the_memory(device, rounds: int, only: str = "") -> dict:
    """Prints and returns {kernel: {"ms", "GB/s", "of copy" or "of read"}}, each row of the table whose name has `only`
    in it in turns with the memory's own speed over the same arrays."""
    from gpuflow_kernels.registry import KERNELS

    memory, found = device.memory(), {}
    print(f"{'kernel':34} {'ms':>8} {'bytes':>6} {'GB/s':>7}")
    for kernel in (row for row in KERNELS if only in row.name):
        # the norm only reads, and a plain read is faster than a copy, whose target is fetched before it is overwritten
        against = "read" if kernel.name == "global_norm" and "read" in memory else "copy"
        step, grad, param = kernel.prepare((device.elements,), device.xp)
        own, own_bytes = memory[against]
        # over the same arrays: others may lie worse in the memory, and take up to twice the time
        candidates = {"kernel": step, against: functools.partial(own, grad, param)}
        times = alternate({k: device.timed(c) for k, c in candidates.items()}, rounds, warm_up=1)
        seconds = times["kernel"]["best"]
        rate, limit = (device.elements * b / s / 1e9 for b, s in (
            (kernel.bytes_per_element, seconds), (own_bytes, times[against]["best"])))
        found[kernel.name] = {"ms": seconds * 1e3, "GB/s": rate, f"of {against}": rate / limit}
        print(f"{kernel.name:34} {seconds * 1e3:8.2f} {kernel.bytes_per_element:6} {rate:7.1f}  "
              f"{rate / limit:.2f} of a {against} at {limit:.1f}", flush=True)
    return found
