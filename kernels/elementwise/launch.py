"""Kernel: a chain that runs on arrays, on the CPU by Numba and on a GPU by CuPy."""

from __future__ import annotations

import functools

import numpy as np

from gpuflow_kernels import build
from gpuflow_kernels.elementwise.chain import Chain
from gpuflow_kernels.elementwise.cuda_text import THREADS, cuda_text
from gpuflow_kernels.elementwise.layout import Layout, layout_of
from gpuflow_kernels.elementwise.numba_text import numba_text

LARGE = 1 << 20   # elements from which on a chain is shared among the CPU's threads
PIECES = 16
MOST_BLOCKS = 1 << 16


@functools.cache
def _on_cpu(chain: Chain, along: tuple[bool, ...]):
    return build.numba_module(numba_text(chain, along))


class Kernel:
    """A chain made ready. Its layouts are found once for each choice of shapes."""

    def __init__(self, chain: Chain):
        self.chain = chain
        self._runs: dict = {}

    def for_shapes(self, xp, shapes, sums=()):
        """The function run(arrays, outputs, sums) for C-contiguous inputs of these shapes and sums to those, with its
        attribute `shape`; None where the chain has no kernel for them. What it writes to is C-contiguous as well."""
        key = shapes, sums
        if key not in self._runs:
            layout = layout_of(shapes, sums)
            self._runs[key] = None if layout is None else (_CpuRun if xp is np else _GpuRun)(self.chain, layout)
        return self._runs[key]


class _CpuRun:
    def __init__(self, chain: Chain, layout: Layout):
        self.shape, self.empty = layout.shape, 0 in layout.shape
        self.sizes, self.steps = np.array(layout.sizes, np.int64), np.array(layout.steps, np.int64).reshape(-1, 3)
        module = _on_cpu(chain, layout.along)
        self.function = module.run
        if np.prod(layout.sizes) >= LARGE:
            self.function = functools.partial(module.run_parallel, PIECES)

    def __call__(self, arrays, outputs, sums):
        for a in sums:
            a[...] = 0
        if not self.empty:
            self.function(self.sizes, self.steps, *[a.reshape(-1) for a in (*arrays, *outputs, *sums)])


class _GpuRun:
    def __init__(self, chain: Chain, layout: Layout):
        self.shape, self.empty = layout.shape, 0 in layout.shape
        self.layout = np.zeros(1, [("sizes", np.int64, (3,)), ("steps", np.int64, (max(len(layout.steps), 1), 3))])
        size = int(np.prod(layout.sizes))
        self.layout["sizes"] = size, *layout.sizes[1:]
        self.layout["steps"][0, :len(layout.steps)] = layout.steps
        self.blocks = min((size + THREADS - 1) // THREADS, MOST_BLOCKS)
        self.function = _on_gpu(cuda_text(chain, layout.sizes[:2] == (1, 1) and all(layout.along)))

    def __call__(self, arrays, outputs, sums):
        if not self.empty:
            every = (*arrays, *outputs)
            pointers = np.zeros(1, [("address", np.uint64, (len(every),))])
            pointers["address"] = [a.data.ptr for a in every]
            self.function((self.blocks,), (THREADS,), (self.layout, pointers))


@functools.cache
def _on_gpu(text: str):
    import cupy

    # without fused multiply-add, so that the bits are those of the functions one by one
    module = cupy.RawModule(code=text, options=("--std=c++17", "--fmad=false"), backend="nvrtc")
    return module.get_function("elementwise")
