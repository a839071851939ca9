"""The gradient of an embedding: rows added to a table on the CPU (rows.py is the compiled text), and rows that come
several times added up on a GPU (merge.cu)."""
from __future__ import annotations

import functools

import numpy as np

from gpuflow_kernels import build

THREADS = 128
# dtype of values: (stored, added up)
_TYPES = {"float32": ("float", "float"), "float64": ("double", "double"), "float16": ("float16", "float"),
          "bfloat16": ("bfloat16", "float")}


@functools.cache
def _compiled():
    return build.numba_module(build.source_text("rows/rows.py"))


def takes(table, values) -> bool:
    """True for what `add_rows` computes with: whole float32 or float64 tables of at least a few thousand numbers.

    Below that np.add.at is done before Numba's call begins, and a process that adds little need not load Numba.
    """
    return (values.size >= 4096 and table.ndim == 2 and table.dtype in (np.float32, np.float64)
            and table.dtype == values.dtype and table.flags.c_contiguous)


def add_rows(table, rows, values) -> None:
    """table[rows[i]] += values[i], one after the other. IndexError for a row outside the table."""
    rows = np.ascontiguousarray(rows, np.int64)
    if rows.size and rows.view(np.uint64).max() >= len(table):   # negatives are huge as unsigned numbers
        raise IndexError(f"add_rows: expected rows in [0, {len(table)}), got {rows.min()} to {rows.max()}.")
    _compiled().add_rows(table, rows, np.ascontiguousarray(values))


def merge_text(dtype: str) -> str:
    """The CUDA text with kernel `merge` for values of this dtype."""
    value, total = _TYPES[dtype]
    head = f"#define THREADS {THREADS}\n#define value_t {value}\n#define sum_t {total}\n"
    return head + build.cuda_text("rows/merge.cu")


def merged(xp, rows, values):
    """(ids [n], sums [n, ...]) for CuPy arrays rows int64 [n] and values [n, ...] of a float type: each row once, with
    the sum of its values, rising; -1 and zeros in the places that are left. Waits for nothing."""
    count = len(rows)
    order, values = xp.argsort(rows, kind="stable"), xp.ascontiguousarray(values)
    ordered, ids, sums = rows[order], xp.empty_like(order), xp.empty_like(values)
    if count:
        arguments = [np.uint64(a.data.ptr) for a in (ordered, order, values, ids, sums)]
        kernel = build.cuda_module(merge_text(str(values.dtype))).get_function("merge")
        kernel((count,), (THREADS,), (*arguments, np.int32(count), np.int64(values.size // count)))
    return ids, sums
