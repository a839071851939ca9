"""Adding rows to a table on the CPU: table[rows[i]] += values[i] in the order of i, so every run gives the same bits.

Read as text and compiled by `build.numba_module` (cached on disk). The reference is np.add.at, which does the same ten
to thirty times slower. One thread: two rows may be the same.
"""
from numba import njit

flags = dict(error_model="numpy", nogil=True)


@njit(parallel=False, **flags)
def add_rows(table, rows, values):
    """table [n, d]; rows [m] in [0, n), not checked here; values [m, d]."""
    for i in range(rows.shape[0]):
        row = rows[i]
        for j in range(table.shape[1]):
            table[row, j] += values[i, j]
