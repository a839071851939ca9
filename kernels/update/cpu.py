"""The step's operations on the CPU: Numba kernels over fixed chunks."""

from __future__ import annotations

import functools

import numpy as np

from gpuflow_kernels import build
from gpuflow_kernels.update import layout, numba_text
from gpuflow_kernels.update.layout import CHUNK, CHUNK_FIELDS, DENSE, SCALARS, SPARSE
from gpuflow_kernels.update.tables import Tables

# Below this many chunks of work, waking a second thread takes longer than the work itself.
SERIAL_CHUNKS = 8
_NO_GROUPS = np.zeros(0)


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

    def take_norms(self, pieces, tables, sums):
        """Sums of squares: partial ones, by row and by group (where sums.group is not None), in a fixed order."""
        tags, spans, sparse = tables["tags"], sums.folds.spans, []
        for dtype, packed, chunks, first_chunk, rows in pieces:
            if len(chunks):
                _call(_sumsq(dtype), packed, chunks, DENSE, tags, *packed,
                      sums.partials[first_chunk : first_chunk + len(chunks)])
            for one in rows:
                place = sums.dense + one.first
                spans[:, one.row] = place, place + len(one.ids)
                sparse.append(one.row)
                values = self.pack([one.values])
                _call(_sumsq(dtype), values, _chunks(one, sums), SPARSE, tags, *values, sums.partials[place:])
        unscale = 1.0 if tables["scalars"] is None else tables["scalars"][SCALARS.index("unscale")]
        _fold()(spans, sums.partials, tags, unscale, sums.row, _NO_GROUPS if sums.group is None else sums.group)
        for row in sparse:
            spans[:, row] = sums.folds.first[row : row + 2]

    def update(self, rule, variant, chunks, first_chunk, rows, tables, sums, packed):
        """The pass over dense chunks and sparse rows; after a "prepare" pass the rows' norms are in sums.layer."""
        kernel, layer_partials = _update(rule, variant), sums.layer_partials[first_chunk : first_chunk + len(chunks)]
        given = (tables["tags"], tables["columns"], tables["numbers"], tables["scalars"], sums.row, sums.group,
                 sums.layer, layer_partials)
        if len(chunks):
            _call(kernel, packed, chunks, DENSE, *given, *packed)
            if variant.phase == "prepare":
                owners = chunks[:, 2]
                starts = np.flatnonzero(np.diff(owners, prepend=-1))
                sums.layer[owners[starts]] = np.add.reduceat(layer_partials, starts, axis=0)
        at = layout.arrays(rule, variant).index("grad_") if rows else 0
        for one in rows:
            values = self.pack([one.values])
            _call(kernel, values, _chunks(one, sums), SPARSE, *given, *packed[:at], *values, *packed[at + 1 :])


def _chunks(one, sums) -> np.ndarray:
    """int64 [k, 4]: a chunk for each row of a sparse gradient, empty for ids below 0, in a table that only grows."""
    count = len(one.ids)
    if len(sums.structs.get("chunks", ())) < count:
        sums.structs["chunks"], sums.structs["order"] = np.empty((count, len(CHUNK_FIELDS)), np.int64), np.arange(count)
    table = sums.structs["chunks"][:count] if count else np.empty((0, len(CHUNK_FIELDS)), np.int64)
    begin, end, row, source = table.T
    np.multiply(one.ids, one.width, out=begin)
    begin += one.begin
    np.add(begin, one.width, out=end)
    row[:] = one.row
    np.multiply(sums.structs["order"][:count] if count else 0, one.width, out=source)
    if count and one.ids.min() < 0:
        table[one.ids < 0, :2] = one.begin
    return table


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
def _fold():
    return build.numba_module(numba_text.fold_text()).fold


@functools.cache
def _update(rule, variant):
    return build.numba_module(numba_text.update_text(rule, variant)).update
