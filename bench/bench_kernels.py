"""How near the kernels come to the memory's own speed: `make bench`, and `make gpu-check` on a GPU.

    python -m bench.bench_kernels [--device cpu|gpu] [--sets gpt2,resnet50,small] [--rounds 15]

First every row of the kernel table on one large parameter, in GB/s by the bytes that the table says must move, beside
the memory's own speed taken in the same rounds: a copy for kernels that write, a plain read for the norm. Then one
optimizer step (AdamW after a clip by global norm) on the parameter sets: on the CPU beside a hand-written two-pass
Numba loop, on a GPU beside torch and optax where they can be imported, and replayed from a CUDA graph. Last what
Python takes of a step. Without --device: the GPU where CuPy sees one, else the CPU. Other frameworks on the CPU:
bench/peers_kernels.py.
"""

import argparse
import gc
import importlib.util
import os
import time

import numpy as np

from bench import adamw_steps as steps
from bench.harness import record, table
from gpuflow_kernels import speed
from gpuflow_kernels.speed import alternate


class Cpu(speed.Cpu):
    """Beside a hand-written two-pass Numba loop."""

    sets = ("gpt2", "resnet50", "small")

    def candidates(self, sizes) -> dict:
        return {"gpuflow": steps.gpuflow_step(sizes), "hand-written": steps.hand_written_step(sizes)}

    def release(self):
        """Memory goes back by itself."""


class Gpu(speed.Gpu):
    """Beside torch and optax where they can be imported, and replayed from a CUDA graph."""

    sets = ("gpt2", "resnet50", "small", "billion")

    def candidates(self, sizes) -> dict:
        ours = steps.gpuflow_step(sizes, self.xp)
        found = {"gpuflow": ours, "gpuflow, graph": self._graph(ours)}
        if importlib.util.find_spec("torch"):
            import torch

            if torch.cuda.is_available():
                found["torch fused"] = steps.torch_step(sizes, "cuda", fused=True)
                found["torch fused, graph"] = self._torch_graph(torch, sizes)
        if importlib.util.find_spec("jax") and importlib.util.find_spec("optax"):
            # before its import: memory as it is asked for, and given back
            os.environ |= {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "XLA_PYTHON_CLIENT_ALLOCATOR": "platform"}
            import jax

            if jax.default_backend() == "gpu":
                found["optax flat"] = steps.MAKERS["optax flat"](sizes)   # its best case, and no minutes of compilation
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


TENSORS, PYTHON_CALLS = 148, 300


def python_times(device) -> dict:
    """{what: {"median", "best"}}, seconds of a step for 148 parameters of one element, nearly nothing but Python.

    "FusedStep.run" and "Optimizer.step" are called again and again. After "Optimizer.step after other work", another
    32 MB were read, so that what Python looks at has left the nearer caches, as in a training loop.
    """
    fused, step = steps.gpuflow_step([1] * TENSORS, device.xp), _optimizer(device).step
    other = np.ones(2**23, np.float32)

    def timed(step, calls=PYTHON_CALLS) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            step()
        return (time.perf_counter() - start) / calls

    return alternate({"FusedStep.run": lambda: timed(fused), "Optimizer.step": lambda: timed(step),
                      "Optimizer.step after other work": lambda: other.sum() and timed(step, 1)}, rounds=15, warm_up=1)


def _optimizer(device):
    """AdamW with a clip by global norm, and gradients where a backward leaves them once it has made its first step."""
    import gpuflow
    from gpuflow import nn, optimizer

    gpuflow.set_device(device.name)
    parameters = [gpuflow.create_parameter([1], "float32") for _ in range(TENSORS)]
    adamw = optimizer.AdamW(parameters=parameters, grad_clip=nn.ClipGradByGlobalNorm(1.0))
    for _ in range(2):
        adamw.clear_grad()
        gpuflow.add_n(parameters).backward()
        adamw.step()
    return adamw


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
    found = {"device": device.name, "python": python_times(device)}
    found["memory"] = speed.against_the_memory(device, given.rounds)
    found["sets"] = on_sets(device, given.sets or device.sets, given.rounds)
    print(table(f"\n{TENSORS} parameters of one element: nearly nothing but Python", found["python"]))
    record("kernels", found)


if __name__ == "__main__":
    main()
