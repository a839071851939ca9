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


class CudaEngine:
    """Arrays are CuPy's, on the device current when the engine was made. A test double of the device overrides the
    methods under "the device itself" and runs all the rest as it is."""

    def __init__(self):
        self._staging = self._arrived = None
        self._structs, self._kernels = {}, {}

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

    def sumsq(self, dtype, chunks, want, tables, packed, partials):
        self._launch(cuda_text.sumsq_text(dtype), "sumsq", len(chunks),
                     _pointer(packed), self._pointer_to(chunks), np.int32(len(chunks)), np.int32(want),
                     self._pointer_to(tables["tags"]), self._pointer_to(partials))

    def update(self, rule, variant, chunks, want, tables, sums, packed):
        offset = sums.first_chunk * sums.layer_partials.shape[1] * 8
        self._launch(cuda_text.update_text(rule, variant), "update", len(chunks),
                     packed, self._tables_struct(tables, sums), self._pointer_to(chunks), np.int32(len(chunks)),
                     np.int32(want), np.int32(len(sums.group) - 1),
                     np.uint64(self.address(sums.layer_partials) + offset))

    def fold(self, partials, folds, out, scale_by=None, extra=None, groups=None, group_out=None):
        """As CpuEngine.fold; `groups` is the tags' column, of which only the presence matters here."""
        if self._arrived is None:
            self._arrived = self.zeros(1, np.uint32)
        rows, width = out.shape[0], out.shape[1] if out.ndim == 2 else 1
        tags = np.uint64(0 if groups is None else self.address(groups) - 4 * cuda_text.TAGS.index("group"))
        self._launch(cuda_text.sumsq_text("float32"), "fold", max(rows, 1),
                     self._pointer_to(partials), self._pointer_to(folds.first), np.int32(rows), np.int32(width),
                     self._pointer_to(extra), self._pointer_to(scale_by), tags, self._pointer_to(out),
                     np.int32(0 if group_out is None else len(group_out) - 1), self._pointer_to(group_out),
                     self._pointer_to(self._arrived))

    def add_rows(self, partials, row: int, extra):
        """extra[row] += sum of partials."""
        from gpuflow_kernels.update.step import Folds

        folds = Folds(self.constant(np.array([0, len(partials)], np.int64)), None, None)
        self.fold(partials, folds, extra[row : row + 1], extra=extra[row : row + 1])

    def sparse_chunks(self, ids, base: int, width: int, row: int):
        """int64 [k, 4] on the device, one chunk per embedding row; the ids stay where they are."""
        import cupy

        ids = ids.astype(np.int64)
        begin = base + ids * width
        return cupy.stack([begin, begin + width, cupy.full_like(ids, row), cupy.arange(len(ids)) * width], axis=1)

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

    def _tables_struct(self, tables, sums):
        key = id(tables)
        if key not in self._structs:
            order = [tables[n] for n in ("tags", "columns", "numbers", "scalars")] + [sums.row, sums.group, sums.layer]
            self._structs[key] = _struct([self.address(a) for a in order]), tables
        return self._structs[key][0]


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
