"""The step's operations on the CPU: Numba kernels over fixed chunks."""

from __future__ import annotations

import bisect
import functools

import numpy as np

from gpuflow_kernels import build
from gpuflow_kernels.update import layout, numba_text
from gpuflow_kernels.update.layout import CHUNK, DENSE, SCALARS, SPARSE
from gpuflow_kernels.update.parts import Part, chunk_table
from gpuflow_kernels.update.runs import FIELDS, Runs
from gpuflow_kernels.update.tables import Tables

# Below this many chunks of work, waking a second thread takes longer than the work itself.
SERIAL_CHUNKS = 8
_NO_GROUPS, _NO_GAPS = np.zeros(0), np.zeros((0, 2), np.int64)


class CpuEngine:
    """Arrays are NumPy; `bfloat16` comes from ml_dtypes. Every method works in place on arrays given to it."""

    def zeros(self, shape, dtype):
        return np.zeros(shape, dtype)

    def constant(self, array: np.ndarray) -> np.ndarray:
        """The array where the kernels can read it."""
        return array

    def tables(self, host: Tables):
        """The tables where the kernels read them, as a dict of views; "runs" comes to them when it is needed."""
        return host.views(host.block)

    def refresh(self, host: Tables, tables: dict, everything: bool, rows):
        """The kernels read the host's tables; only the runs of equal rows are of the tables as they were."""
        if everything:
            tables.pop("runs", None)

    def pack(self, arrays: list, end: int) -> tuple:
        """Arrays as the kernels take them; done once per array, not per step. Two-byte floats travel as their bits."""
        return tuple(a.view(np.uint16) if a.dtype.itemsize == 2 else a for a in arrays)

    def loose(self, arrays: list) -> list[Part]:
        """Parts for flat arrays that lie anywhere, one row each."""
        parts, first = [], 0
        for row, a in enumerate(arrays):
            parts.append(Part(str(a.dtype), self.pack([a], row + 1), row + 1, chunk_table([0], [a.size], row), first))
            first += len(parts[-1].chunks)
        return parts

    def take_norms(self, parts, rows, tables, sums):
        """Sums of squares: partial ones, by row and by group (where sums.group is not None), in a fixed order. Where
        rows are taken together, the sum of all is at the first of them."""
        if sums.group is None:
            self.row_sums(parts, rows, tables, sums)
        else:
            runs = _kept(tables, "norms", lambda: Runs.for_norms(parts, tables["tags"]))
            _sum_up(parts, runs.chunks, runs.spans, rows, tables, sums, sums.group)

    def row_sums(self, parts, rows, tables, sums):
        """Sums of squares of each row by itself."""
        _sum_up(parts, [part.chunks for part in parts], sums.folds.spans, rows, tables, sums, None)
        return sums.row

    def update(self, rule, parts, rows, tables, sums):
        """The pass over dense chunks and sparse rows; after a "prepare" pass the rows' norms are in sums.layer."""
        if rule.layered:
            runs = _kept(tables, "rows", lambda: Runs.by_row(parts, len(sums.row)))
        else:
            runs = _kept(tables, "updates", lambda: Runs.for_updates(parts, tables["tags"], tables["columns"]))
        for part, chunks, some in zip(parts, runs.chunks, _by_part(rows, parts)):
            variant, packed, kernel = part.kind, part.packed, _update(rule, part.kind)
            layer_partials = sums.layer_partials[part.first_chunk : part.first_chunk + len(chunks)]
            given = (tables["tags"], tables["columns"], tables["numbers"], tables["scalars"], sums.row, sums.group,
                     sums.layer, layer_partials)
            if len(chunks):
                _call(kernel, packed, chunks, runs.gaps, DENSE, *given, *packed)
                if variant.phase == "prepare":
                    owners = chunks[:, 2]
                    starts = np.flatnonzero(np.diff(owners, prepend=-1))
                    sums.layer[owners[starts]] = np.add.reduceat(layer_partials, starts, axis=0)
            at = layout.arrays(rule, variant).index("grad_") if some else 0
            for one in some:
                values = self.pack([one.values], part.end)
                _call(kernel, values, _chunks(one, sums), _NO_GAPS, SPARSE, *given, *packed[:at], *values,
                      *packed[at + 1 :])


def _kept(tables, name: str, make) -> Runs:
    """Runs, made again when columns or tags changed."""
    found = tables.setdefault("runs", {})
    if name not in found:
        found[name] = make()
    return found[name]


def _by_part(rows, parts) -> list[list]:
    """The sparse gradients of each part."""
    ends = [part.end for part in parts]
    found: list[list] = [[] for _ in parts]
    for one in rows:
        found[bisect.bisect_right(ends, one.row)].append(one)
    return found


def _sum_up(parts, tables_of_chunks, spans, rows, tables, sums, groups):
    """Sums of squares by chunk, by row into sums.row and, unless it is None, by group into `groups`."""
    tags = tables["tags"]
    if rows:
        spans = spans.copy()
    for part, chunks, some in zip(parts, tables_of_chunks, _by_part(rows, parts)):
        if len(chunks):
            _call(_sumsq(part.kind), part.packed, chunks, DENSE, tags, *part.packed,
                  sums.partials[part.first_chunk : part.first_chunk + len(chunks)])
        for one in some:
            place = sums.dense + one.first
            spans[:, one.row] = place, place + len(one.ids)
            values = CpuEngine.pack(None, [one.values], part.end)
            _call(_sumsq(part.kind), values, _chunks(one, sums), SPARSE, tags, *values, sums.partials[place:])
    unscale = 1.0 if tables["scalars"] is None else tables["scalars"][SCALARS.index("unscale")]
    _fold()(spans, sums.partials, tags, unscale, sums.row, _NO_GROUPS if groups is None else groups)


def _chunks(one, sums) -> np.ndarray:
    """int64 [k, 6]: a chunk for each row of a sparse gradient, empty for ids below 0, in a table that only grows."""
    count = len(one.ids)
    if len(sums.structs.get("chunks", ())) < count:
        sums.structs["chunks"], sums.structs["order"] = np.zeros((count, FIELDS), np.int64), np.arange(count)
    table = sums.structs["chunks"][:count] if count else np.empty((0, FIELDS), np.int64)
    begin, end, row, source, *_ = table.T
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
