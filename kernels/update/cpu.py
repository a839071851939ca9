"""The step's three operations on the CPU: Numba for what touches every element, NumPy for the fold."""

from __future__ import annotations

import functools

import numpy as np

from gpuflow_kernels import build
from gpuflow_kernels.update import numba_text
from gpuflow_kernels.update.layout import CHUNK
from gpuflow_kernels.update.tables import Tables

# Below this many chunks of work, waking a second thread takes longer than the work itself.
SERIAL_CHUNKS = 8


class CpuEngine:
    """Arrays are NumPy; `bfloat16` comes from ml_dtypes. Every method works in place on arrays given to it."""

    def zeros(self, shape, dtype):
        return np.zeros(shape, dtype)

    def constant(self, array: np.ndarray) -> np.ndarray:
        """The array where the kernels can read it."""
        return array

    def tables(self, host: Tables):
        """The tables where the kernels read them, as a dict of views."""
        return host.views(host.block)

    def refresh(self, host: Tables, tables: dict, everything: bool):
        """Brings the host's tables to the device: nothing to do here."""

    def pack(self, arrays: list) -> tuple:
        """Arrays as the kernels take them; done once per array, not per step. Two-byte floats travel as their bits."""
        return tuple(a.view(np.uint16) if a.dtype.itemsize == 2 else a for a in arrays)

    def sumsq(self, dtype, chunks, want, tables, packed, partials):
        if len(chunks):
            _call(_sumsq(dtype), packed, chunks, want, tables["tags"], *packed, partials)

    def update(self, rule, variant, chunks, want, tables, sums, packed):
        if len(chunks):
            _call(_update(rule, variant), packed, chunks, want, tables["tags"], tables["columns"], tables["numbers"],
                  tables["scalars"], sums.row, sums.group, sums.layer, sums.layer_partials_of(chunks), *packed)

    def sparse_chunks(self, ids, base: int, width: int, row: int) -> np.ndarray:
        """int64 [k, 4]: one chunk per embedding row."""
        ids = np.asarray(ids, np.int64)
        begin = base + ids * width
        return np.stack([begin, begin + width, np.full_like(ids, row), np.arange(len(ids)) * width], axis=1)

    def add_rows(self, partials, row: int, extra):
        """extra[row] += sum of partials."""
        extra[row] += partials.sum()

    def fold(self, partials, folds, out, scale_by=None, extra=None, groups=None, group_out=None):
        """out[row] = (sum of the row's partials + extra[row]) * unscale**2; group_out[group] = sum over its rows.

        Serial additions in a fixed order, so the same bits on every run and for any thread count.
        """
        out[...] = 0.0
        if len(folds.filled):
            out[folds.filled] = np.add.reduceat(partials, folds.starts, axis=0)
        if extra is not None:
            out += extra
        if scale_by is not None and scale_by[0] != 1.0:
            out *= scale_by[0] * scale_by[0]
        if group_out is not None:
            group_out[...] = np.bincount(groups, weights=out, minlength=len(group_out))


def _call(kernel, packed, chunks, *arguments):
    """Runs a kernel, on one thread when the buffers are small; the bits are the same for any number of threads."""
    if packed[0].size > SERIAL_CHUNKS * CHUNK:
        return kernel(chunks, *arguments)
    import numba

    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        kernel(chunks, *arguments)
    finally:
        numba.set_num_threads(threads)


@functools.cache
def _sumsq(dtype: str):
    return build.numba_module(numba_text.sumsq_text(dtype)).sumsq


@functools.cache
def _update(rule, variant):
    return build.numba_module(numba_text.update_text(rule, variant)).update
