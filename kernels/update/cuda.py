"""The step's operations on a GPU through CuPy: same tables, same formula, the `.cu` files of this package.

Everything a kernel is handed is an address or a small integer, packed once; per step there is one small copy to the
device (none when `launch` alone is replayed) and one launch per operation. Nothing here waits for the device, but for
a staging slot when the host is RING steps ahead.
"""

from __future__ import annotations

import functools

import numpy as np

from gpuflow_kernels.update import cuda_text
from gpuflow_kernels.update.tables import Tables

RING = 16  # staging slots: a copy reads its slot after the host has gone on, so it must not be written again before
OPTIONS = ("--std=c++17",)

# structs of common/grid.cuh and norm/global_norm.cu, which travel by value
_ROWS = np.dtype([("ids", np.uint64), ("values", np.uint64), ("begin", np.int64), ("width", np.int64),
                  ("row", np.int64), ("first", np.int32), ("count", np.int32)])
_SPARSE = np.dtype([("at", _ROWS, (cuda_text.MOST_SPARSE,)), ("partials", np.int64), ("count", np.int32)], align=True)
_NORMS = np.dtype([("fold", np.uint64, (4,)), ("scalars", np.uint64), ("groups", np.uint64), ("rows", np.int32),
                   ("filled", np.int32), ("group_count", np.int32)], align=True)
_NO_ROWS = np.zeros(1, _SPARSE)


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

    def refresh(self, host: Tables, tables: dict, everything: bool):
        """Brings the numbers, or everything when columns or tags changed, to the device in one asynchronous copy."""
        self.copy_to_device(tables["block"], host.block, host.bytes if everything else host.hot_bytes)

    def pack(self, arrays: list) -> np.ndarray:
        """Addresses as a struct that travels by value in the kernel's arguments."""
        return _struct([self.address(a) for a in arrays])

    def take_norms(self, pieces, tables, sums):
        """Sums of squares: partial ones, by row and by group (where sums.group is not None), one launch a bucket."""
        norms = self._struct_of(sums, "norms", lambda: self._norms_struct(tables, sums))
        tags = self._pointer_to(tables["tags"])
        for dtype, packed, chunks, first_chunk, rows in pieces:
            text = cuda_text.sumsq_text(dtype)
            for blocks, chunks_, count, sparse in self._grids(chunks, rows, sums):
                self._launch(text, "sumsq", blocks, _pointer(packed), chunks_, count, np.int64(first_chunk), sparse,
                             tags, norms)

    def update(self, rule, variant, chunks, first_chunk, rows, tables, sums, packed):
        """The pass over dense chunks and sparse rows; after a "prepare" pass the rows' norms are in sums.layer."""
        tables_ = self._struct_of(sums, "tables", lambda: self._tables_struct(tables, sums))
        fold = self._struct_of(sums, "fold", lambda: self._fold_struct(sums.layer_partials, sums.layer, sums))
        text, groups = cuda_text.update_text(rule, variant), np.int32(len(sums.group) - 1)
        for blocks, chunks_, count, sparse in self._grids(chunks, rows, sums):
            self._launch(text, "update", blocks, packed, tables_, chunks_, count, np.int64(first_chunk), sparse, groups,
                         fold)

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
        return _cupy_module(text).get_function(name)

    def copy_to_device(self, target, source: np.ndarray, size: int):
        """The first `size` bytes, through pinned memory, without waiting."""
        if self._staging is None or self._staging.slot_bytes < source.nbytes:
            self._staging = _Staging(source.nbytes)
        self._staging.send(target, source, size)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _launch(self, text, name, blocks, *arguments):
        if (text, name) not in self._kernels:
            self._kernels[text, name] = self.function(text, name)
        self._kernels[text, name]((blocks,), (cuda_text.THREADS,), arguments)

    def _pointer_to(self, array):
        return np.uint64(0 if array is None else self.address(array))

    def _grids(self, chunks, rows, sums):
        """(blocks, chunks, how many, Sparse) of the launches for a bucket: one, and one more for each MOST_SPARSE
        embeddings beyond the first."""
        first, count = 0, len(chunks)
        while first == 0 or first < len(rows):
            some = rows[first : first + cuda_text.MOST_SPARSE]
            sparse, blocks = (_NO_ROWS, 0) if not some else self._sparse_struct(some, sums.dense)
            if count + blocks:   # a grid of 0 is launched as one block
                yield count + blocks, self._pointer_to(chunks), np.int32(count), sparse
            first, count = first + cuda_text.MOST_SPARSE, 0

    def _sparse_struct(self, rows, dense: int):
        """(Sparse, how many blocks it has). dense: how many partial sums stand before those of sparse rows."""
        record, blocks = np.zeros(1, _SPARSE), 0
        for k, one in enumerate(rows):
            record["at"][0, k] = (self.address(one.ids), self.address(one.values), one.begin, one.width, one.row,
                                  blocks, len(one.ids))
            blocks += one.blocks
        record["partials"], record["count"] = dense + rows[0].first, len(rows)
        return record, blocks

    def _struct_of(self, sums, name: str, make):
        """A struct of addresses, made once for these sums, and again when one of their buffers grew."""
        if name not in sums.structs:
            sums.structs[name] = make()
        return sums.structs[name]

    def _tables_struct(self, tables, sums):
        order = [tables[n] for n in ("tags", "columns", "numbers", "scalars")] + [sums.row, sums.group, sums.layer]
        return _struct([self.address(a) for a in order])

    def _fold_struct(self, partials, out, sums):
        return _struct([self.address(a) for a in (partials, sums.folds.first, out, sums.arrived)])

    def _norms_struct(self, tables, sums):
        record = np.zeros(1, _NORMS)
        record["fold"] = self._fold_struct(sums.partials, sums.row, sums)["address"]
        record["scalars"], record["groups"] = (
            0 if a is None else self.address(a) for a in (tables.get("scalars"), sums.group))
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


def _struct(addresses: list[int]) -> np.ndarray:
    """A NumPy array of one record, which CuPy copies into the argument buffer as a C struct of pointers."""
    record = np.zeros(1, [("address", np.uint64, (len(addresses),))])
    record["address"][0] = addresses
    return record


def _pointer(struct: np.ndarray) -> np.uint64:
    return struct["address"][0][0]


@functools.cache
def _cupy_module(text: str):
    import cupy

    return cupy.RawModule(code=text, options=OPTIONS, backend="nvrtc")
