"""The step's operations on a GPU through CuPy: same tables, same formula, the `.cu` files of this package.

Everything a kernel is handed is an address or a small integer, packed once; per step there is one small copy to the
device (none when `launch` alone is replayed) and one launch per operation, whatever dtypes meet in it. Nothing here
waits for the device, but for a staging slot when the host is RING steps ahead.
"""

from __future__ import annotations

import itertools

import numpy as np

from gpuflow_kernels import build
from gpuflow_kernels.update import cuda_text
from gpuflow_kernels.update.parts import Part, chunk_table
from gpuflow_kernels.update.tables import Tables

RING = 16  # staging slots: a copy reads its slot after the host has gone on, so it must not be written again before

# structs of common/grid.cuh and norm/global_norm.cu, which travel by value
_GRID = np.dtype([("chunks", np.uint64), ("rows", np.uint64), ("partials", np.int64), ("chunk_count", np.int32),
                  ("rows_count", np.int32)])
_NORMS = np.dtype([("fold", np.uint64, (4,)), ("scalars", np.uint64), ("groups", np.uint64), ("rows", np.int32),
                   ("filled", np.int32), ("group_count", np.int32)], align=True)


class CudaEngine:
    """Arrays are CuPy's, on the device current when the engine was made. A test double of the device overrides the
    methods under "the device itself" and runs all the rest as it is."""

    def __init__(self):
        self._staging = None
        self._kernels = {}

    # -- what a step asks for ----------------------------------------------------------------------------------------

    def tables(self, host: Tables):
        """The tables' mirror on the device, as a dict of views; "block" is the whole of it."""
        block = self.zeros(host.bytes, np.uint8)
        return {**host.views(block), "block": block}

    def refresh(self, host: Tables, tables: dict, everything: bool, rows):
        """Brings the numbers and where sparse gradients lie, or everything when columns or tags changed, to the device
        in one asynchronous copy."""
        for k, one in enumerate(rows):
            host.sparse[k] = (self.address(one.ids), self.address(one.values), one.begin, one.width, one.row, one.first,
                              len(one.ids))
        self.copy_to_device(tables["block"], host.block, host.bytes if everything else host.hot_bytes(len(rows)))

    def pack(self, arrays: list, end: int) -> np.ndarray:
        """Addresses, and one past the bucket's last row, as a struct that travels by value in a kernel's arguments."""
        return _struct([*(self.address(a) for a in arrays), end])

    def loose(self, arrays: list) -> list[Part]:
        """Parts for flat arrays that lie anywhere, ordered by dtype, one row each: those of a dtype are counted from
        the first of them."""
        parts: list[Part] = []
        by_dtype = itertools.groupby(enumerate(arrays), key=lambda one: str(one[1].dtype))
        for dtype, some in ((dtype, list(group)) for dtype, group in by_dtype):
            base, tables = some[0][1], []
            for row, a in some:
                tables.append(chunk_table([0], [a.size], row))
                tables[-1][:, 3] += (self.address(a) - self.address(base)) // a.itemsize
            first = parts[-1].first_chunk + len(parts[-1].chunks) if parts else 0
            end = some[-1][0] + 1
            parts.append(Part(dtype, self.pack([base], end), end, np.concatenate(tables), first))
        return parts

    def take_norms(self, parts, rows, tables, sums):
        """Sums of squares: partial ones, by row and by group (where sums.group is not None), in one launch."""
        text = cuda_text.sumsq_text(tuple(part.kind for part in parts))
        self._launch(text, "sumsq", parts, rows, tables, sums, self._pointer_to(tables["tags"]),
                     self._struct_of(sums, "norms", lambda: self._norms_struct(tables, sums)))

    def row_sums(self, parts, rows, tables, sums):
        """Sums of squares by row, of the last `take_norms`."""
        return sums.row

    def update(self, rule, parts, rows, tables, sums):
        """The pass over dense chunks and sparse rows; after a "prepare" pass the rows' norms are in sums.layer."""
        text = cuda_text.update_text(rule, tuple(part.kind for part in parts))
        self._launch(text, "update", parts, rows, tables, sums,
                     self._struct_of(sums, "tables", lambda: self._tables_struct(tables, sums)),
                     np.int32(len(sums.group) - 1),
                     self._struct_of(sums, "fold", lambda: self._fold_struct(sums.layer_partials, sums.layer, sums)))

    # -- the device itself -------------------------------------------------------------------------------------------

    def zeros(self, shape, dtype):
        import cupy

        return cupy.zeros(shape, dtype)

    def constant(self, array: np.ndarray):
        """A host table that never changes, copied to the device."""
        import cupy

        return cupy.asarray(array)

    def address(self, array) -> int:
        return array.data.ptr

    def function(self, text: str, name: str):
        """A compiled kernel, called as kernel(grid, block, arguments)."""
        return build.cuda_module(text).get_function(name)

    def copy_to_device(self, target, source: np.ndarray, size: int):
        """The first `size` bytes, through pinned memory, without waiting."""
        if self._staging is None or self._staging.slot_bytes < source.nbytes:
            self._staging = _Staging(source.nbytes)
        self._staging.send(target, source, size)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _launch(self, text, name, parts, rows, tables, sums, *more):
        blocks = len(sums.chunks) + (rows[-1].first + rows[-1].blocks if rows else 0)
        if not blocks:
            return   # a grid of 0 would be launched as one block
        if (text, name) not in self._kernels:
            self._kernels[text, name] = self.function(text, name)
        grid = self._struct_of(sums, "grid", lambda: self._grid_struct(tables, sums))
        grid["rows_count"] = len(rows)
        self._kernels[text, name]((blocks,), (cuda_text.THREADS,), (*(part.packed for part in parts), grid, *more))

    def _pointer_to(self, array):
        return np.uint64(0 if array is None else self.address(array))

    def _struct_of(self, sums, name: str, make):
        """A struct of addresses, made once for these sums, and again when one of their buffers grew."""
        if name not in sums.structs:
            sums.structs[name] = make()
        return sums.structs[name]

    def _grid_struct(self, tables, sums):
        record = np.zeros(1, _GRID)
        record["chunks"], record["rows"] = self.address(sums.chunks), self._pointer_to(tables.get("sparse"))
        record["partials"], record["chunk_count"] = sums.dense, len(sums.chunks)
        return record

    def _tables_struct(self, tables, sums):
        order = [tables[n] for n in ("tags", "columns", "numbers", "scalars")] + [sums.row, sums.group, sums.layer]
        return _struct([self.address(a) for a in order])

    def _fold_struct(self, partials, out, sums):
        return _struct([self.address(a) for a in (partials, sums.folds.first, out, sums.arrived)])

    def _norms_struct(self, tables, sums):
        record = np.zeros(1, _NORMS)
        record["fold"] = self._fold_struct(sums.partials, sums.row, sums)["words"]
        record["scalars"], record["groups"] = self._pointer_to(tables["scalars"]), self._pointer_to(sums.group)
        record["rows"], record["filled"] = len(sums.row), len(sums.folds.filled)
        record["group_count"] = 0 if sums.group is None else len(sums.group) - 1
        return record


class _Staging:
    """A ring of pinned slots for host-to-device copies of the small tables."""

    def __init__(self, slot_bytes: int):
        import cupy

        self.slot_bytes = slot_bytes
        self._memory = [cupy.cuda.alloc_pinned_memory(max(slot_bytes, 1)) for _ in range(RING)]
        self._slots = [np.frombuffer(m, np.uint8, slot_bytes) for m in self._memory]
        self._sent = [cupy.cuda.Event(disable_timing=True) for _ in range(RING)]
        self._next = 0

    def send(self, target, source, size):
        import cupy

        k, self._next = self._next, (self._next + 1) % RING
        stream = cupy.cuda.get_current_stream()
        if not self._sent[k].done:
            self._sent[k].synchronize()  # the host is RING steps ahead: waiting for the oldest of them, not the newest
        self._slots[k][:size] = source[:size]
        target.data.copy_from_host_async(self._memory[k].ptr, size, stream)
        self._sent[k].record(stream)


def _struct(words: list[int]) -> np.ndarray:
    """A NumPy array of one record, which CuPy copies into the argument buffer as a C struct of 64-bit words."""
    record = np.zeros(1, [("words", np.uint64, (len(words),))])
    record["words"][0] = words
    return record
