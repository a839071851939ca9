"""How near the kernels come to the memory's own speed: `make bench`, and `make gpu-check` on a GPU.

    python -m bench.bench_kernels [--device cpu|gpu] [--sets gpt2,resnet50,small] [--rounds 15]

First every row of the kernel table on one large parameter, in GB/s by the bytes that the table says must move, beside
the memory's own speed taken in the same rounds: a copy for kernels that write, a plain read for the norm. Then one
optimizer step (AdamW after a clip by global norm) on the parameter sets: on the CPU beside a hand-written two-pass
Numba loop, on a GPU beside torch where it can be imported, and replayed from a CUDA graph. Without --device: the GPU
where CuPy sees one, else the CPU. Other frameworks on the CPU: bench/peers_kernels.py.
"""

import argparse
import gc
import importlib.util

from bench import adamw_steps as steps
from bench.harness import alternate, record, table


class Cpu:
    """Times on two cores through Numba, by the host's clock."""

    name, sets, elements = "cpu", ("gpt2", "resnet50", "small"), 16 * 2**20
    calls = 1

    def __init__(self):
        import numpy

        self.xp = numpy

    def timed(self, step):
        return step

    def memory(self, elements) -> dict:
        """A copy and a read: {name: (step, bytes per element)}."""
        import numpy as np
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

        a, b = (np.ones(elements, np.float32) for _ in range(2))
        sums = np.zeros(-(-elements // 8192), np.float32)
        return {"copy": (lambda: copy(a, b), 8), "read": (lambda: read(a, sums), 4)}

    def candidates(self, sizes) -> dict:
        return {"gpuflow": steps.gpuflow_step(sizes), "hand-written": steps.hand_written_step(sizes)}

    def release(self):
        """Memory goes back by itself."""


class Gpu:
    """Times on the current GPU by events around several calls, so that the host's pauses between them count and its
    clock does not."""

    name, sets, elements = "gpu", ("gpt2", "resnet50", "small", "billion"), 64 * 2**20
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

    def memory(self, elements) -> dict:
        """The driver's own copy, at 8 bytes per element; the norm is measured by it as well."""
        a, b = (self.xp.ones(elements, "float32") for _ in range(2))
        copy = (lambda: b.data.copy_from_device_async(a.data, a.nbytes, self.xp.cuda.get_current_stream())), 8
        return {"copy": copy}

    def candidates(self, sizes) -> dict:
        ours = steps.gpuflow_step(sizes, self.xp)
        found = {"gpuflow": ours, "gpuflow, graph": self._graph(ours)}
        if importlib.util.find_spec("torch"):
            import torch

            if torch.cuda.is_available():
                found["torch fused"] = steps.torch_step(sizes, "cuda", fused=True)
                found["torch fused, graph"] = self._torch_graph(torch, sizes)
        return found

    def _graph(self, step):
        """As a training loop would replay it: numbers to the device, then the graph."""
        step()
        stream = self.xp.cuda.Stream()
        self.xp.cuda.Device().synchronize()
        with stream:
            stream.begin_capture()
            step.fused.launch()
            graph = stream.end_capture()

        def replay():
            step.fused.refresh(*step.numbers())
            graph.launch()

        return replay

    def _torch_graph(self, torch, sizes):
        step = steps.torch_step(sizes, "cuda", fused=True, capturable=True)
        aside = torch.cuda.Stream()
        with torch.cuda.stream(aside):
            for _ in range(3):
                step()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        return graph.replay

    def release(self):
        gc.collect()
        self.xp.get_default_memory_pool().free_all_blocks()
        if importlib.util.find_spec("torch"):
            import torch

            torch.cuda.empty_cache()


def against_the_memory(device, rounds) -> dict:
    """{kernel: {"ms", "GB/s", "of copy" or "of read"}}, each row in turns with the memory's own speed."""
    from gpuflow_kernels.registry import KERNELS

    memory, found = device.memory(device.elements), {}
    print(f"{'kernel':34} {'ms':>8} {'bytes':>6} {'GB/s':>7}")
    for kernel in KERNELS:
        # the norm only reads, and a plain read is faster than a copy, whose target is fetched before it is overwritten
        against = "read" if kernel.name == "global_norm" and "read" in memory else "copy"
        own, own_bytes = memory[against]
        candidates = {"kernel": kernel.prepare((device.elements,), device.xp), against: own}
        times = alternate({k: device.timed(c) for k, c in candidates.items()}, rounds, warm_up=1)
        seconds = times["kernel"]["best"]
        rate, limit = (device.elements * b / s / 1e9 for b, s in (
            (kernel.bytes_per_element, seconds), (own_bytes, times[against]["best"])))
        found[kernel.name] = {"ms": seconds * 1e3, "GB/s": rate, f"of {against}": rate / limit}
        print(f"{kernel.name:34} {seconds * 1e3:8.2f} {kernel.bytes_per_element:6} {rate:7.1f}  "
              f"{rate / limit:.2f} of a {against} at {limit:.1f}", flush=True)
    return found


def on_sets(device, names, rounds) -> dict:
    """{set: {candidate: {"median", "best"}}}, in seconds."""
    found = {}
    for name in names:
        sizes = steps.SETS[name]()
        title = f"\n{name}: {sum(sizes) / 1e6:.1f}M parameters in {len(sizes)} tensors, AdamW + clip by global norm"
        try:
            candidates = {k: device.timed(step) for k, step in device.candidates(sizes).items()}
            found[name] = alternate(candidates, rounds, calls=3)
        except Exception as error:   # out of memory is a class of CuPy's or of torch's
            if "OutOfMemory" not in type(error).__name__:
                raise
            print(f"{title}: left out, not enough memory on the GPU")
            continue
        finally:
            candidates = None
            device.release()
        least = 32 * sum(sizes) / found[name]["gpuflow"]["best"] / 1e9
        print(table(title, found[name]) + f"\n  gpuflow at its best: {least:.1f} GB/s", flush=True)
    return found


PYTHON_CALLS = 300


def python_time(device) -> float:
    """Seconds of a whole `run` for 148 parameters of one element: nearly nothing but Python."""
    step = steps.gpuflow_step([1] * 148, device.xp)

    def many():
        for _ in range(PYTHON_CALLS):
            step()

    return alternate({"many": many}, rounds=5, warm_up=1)["many"]["best"] / PYTHON_CALLS


def gpu_here() -> bool:
    from gpuflow import device

    return device.cuda_available()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--device", choices=("cpu", "gpu"))
    arguments.add_argument("--sets", type=lambda text: text.split(","))
    arguments.add_argument("--rounds", type=int, default=15)
    given = arguments.parse_args()
    device = Gpu() if (given.device or ("gpu" if gpu_here() else "cpu")) == "gpu" else Cpu()
    found = {"device": device.name, "python_us_148": python_time(device) * 1e6}
    found["memory"] = against_the_memory(device, given.rounds)
    found["sets"] = on_sets(device, given.sets or device.sets, given.rounds)
    print(f"\nPython time of a step with 148 parameters: {found['python_us_148']:.0f} us")
    record("kernels", found)


if __name__ == "__main__":
    main()
