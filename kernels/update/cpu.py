"""The step's operations on the CPU: Numba kernels over fixed chunks."""

from __future__ import annotations

import bisect
import functools

import numpy as np

from gpuflow_kernels import build, process
from gpuflow_kernels.update import layout, numba_text
from gpuflow_kernels.update.layout import CHUNK, DENSE, SCALARS, SPARSE
from gpuflow_kernels.update.parts import Part, chunk_table
from gpuflow_kernels.update.runs import FIELDS, Runs
from gpuflow_kernels.update.tables import Tables

# Below this many chunks of work, waking a second thread takes longer than the work itself.
SERIAL_CHUNKS = 8
_NO_GROUPS, _NO_GAPS, _NO_SCALE = np.zeros(0), np.zeros((0, 2), np.int64), np.ones(len(SCALARS))


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
            calls = _calls(sums, "norms", parts, runs, lambda: _norm_calls(parts, runs.chunks, tables, sums))
            _sum_up(calls, runs.spans, parts, rows, tables, sums, sums.group)

    def row_sums(self, parts, rows, tables, sums):
        """Sums of squares of each row by itself."""
        calls = _norm_calls(parts, [part.chunks for part in parts], tables, sums)
        _sum_up(calls, sums.folds.spans, parts, rows, tables, sums, _NO_GROUPS)
        return sums.row

    def update(self, rule, parts, rows, tables, sums):
        """The pass over dense chunks and sparse rows; after a "prepare" pass the rows' norms are in sums.layer."""
        if rule.layered:
            runs = _kept(tables, "rows", lambda: Runs.by_row(parts, len(sums.row)))
        else:
            runs = _kept(tables, "updates", lambda: Runs.for_updates(parts, tables["tags"], tables["columns"]))
        phase = parts[0].kind.phase if parts else ""
        for call in _calls(sums, phase, parts, runs, lambda: _update_calls(rule, parts, runs, tables, sums)):
            call()
        for part, some in zip(parts, _by_part(rows, parts)) if rows else ():
            at = layout.arrays(rule, part.kind).index("grad_")
            for one in some:
                values = self.pack([one.values], part.end)
                _call(_update(rule, part.kind), values, _chunks(one, sums), _NO_GAPS, SPARSE, *_tables(tables, sums),
                      sums.layer_partials, *part.packed[:at], *values, *part.packed[at + 1 :])()


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


def _calls(sums, name: str, parts, runs, make) -> list:
    """The calls of a pass over the dense chunks, made again when its buffers or runs are others: to put the arguments
    together at each step took Python a tenth of a small model's."""
    kept = sums.structs.get(name)
    if kept is None or kept[0] is not parts or kept[1] is not runs:
        kept = sums.structs[name] = parts, runs, make()
    return kept[2]


def _norm_calls(parts, tables_of_chunks, tables, sums) -> list:
    return [_call(_sumsq(part.kind), part.packed, chunks, DENSE, tables["tags"], *part.packed,
                  sums.partials[part.first_chunk : part.first_chunk + len(chunks)])
            for part, chunks in zip(parts, tables_of_chunks) if len(chunks)]


def _update_calls(rule, parts, runs, tables, sums) -> list:
    calls = []
    for part, chunks in zip(parts, runs.chunks):
        partials = sums.layer_partials[part.first_chunk : part.first_chunk + len(chunks)]
        if len(chunks):
            calls.append(_call(_update(rule, part.kind), part.packed, chunks, runs.gaps, DENSE, *_tables(tables, sums),
                               partials, *part.packed))
        if len(chunks) and part.kind.phase == "prepare":
            calls.append(functools.partial(_fold_layers, chunks[:, 2], partials, sums.layer))
    return calls


def _tables(tables, sums) -> tuple:
    """What every update kernel takes before the partial sums and the arrays."""
    return (tables["tags"], tables["columns"], tables["numbers"], tables["scalars"], sums.row, sums.group, sums.layer)


def _fold_layers(owners, partials, layer):
    """Adds up the partial sums of rows: owners [chunks], ascending."""
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    layer[owners[starts]] = np.add.reduceat(partials, starts, axis=0)


def _sum_up(calls, spans, parts, rows, tables, sums, groups):
    """Sums of squares by chunk, by row into sums.row and by group into `groups`. calls: those over the dense chunks."""
    for call in calls:
        call()
    if rows:
        spans = spans.copy()
        for part, some in zip(parts, _by_part(rows, parts)):
            for one in some:
                place = sums.dense + one.first
                spans[:, one.row] = place, place + len(one.ids)
                values = CpuEngine.pack(None, [one.values], part.end)
                _call(_sumsq(part.kind), values, _chunks(one, sums), SPARSE, tables["tags"], *values,
                      sums.partials[place:])()
    scalars = _NO_SCALE if tables["scalars"] is None else tables["scalars"]
    _fold()(spans, sums.partials, tables["tags"], scalars, sums.row, groups)


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


def _call(kernel, packed, *arguments):
    """kernel(*arguments), to be called: on one thread when the buffers are small; the bits are the same for any number
    of threads."""
    if packed[0].size > SERIAL_CHUNKS * CHUNK:
        return functools.partial(kernel, *arguments)
    return functools.partial(process.on_one_thread, kernel, *arguments)


@functools.cache
def _sumsq(dtype: str):
    return build.numba_module(numba_text.sumsq_text(dtype)).sumsq


@functools.cache
def _fold():
    return build.numba_module(numba_text.fold_text()).fold


@functools.cache
def _update(rule, variant):
    return build.numba_module(numba_text.update_text(rule, variant)).update
