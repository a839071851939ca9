"""Adding rows to a table on the CPU: the gradient of an embedding. rows.py is the compiled text."""
from __future__ import annotations

import functools

import numpy as np

from gpuflow_kernels import build


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
