"""Adding values at places of an array, and the gradient of a table that is kept as the rows it touches."""
from collections.abc import Callable

import numpy as np

from gpuflow import device, dtypes
from gpuflow_kernels import rows as kernels


def add_at(xp, target, index, values) -> None:
    """target[index] += values, where a place that `index` names several times receives every value.

    16-bit floats are added up in float32 and rounded once.
    """
    if target.dtype.itemsize == 2 and target.dtype.kind not in "iu":
        wide = target.astype(xp.float32)
        add_at(xp, wide, index, values.astype(xp.float32) if hasattr(values, "astype") else values)
        target[...] = wide
    elif xp is np:
        np.add.at(target, index, values)
    else:
        import cupyx

        cupyx.scatter_add(target, index, values)


def add_rows(xp, table, rows, values) -> None:
    """table[rows] += values for a table [n, d], rows [m] in [0, n) and values [m, d]; compiled where it is worth it."""
    if xp is np and kernels.takes(table, values):
        kernels.add_rows(table, rows, values)
    else:
        add_at(xp, table, rows, values)


class SparseRows:
    """The gradient of an embedding table by the rows it touches: `values[i]` belongs to row `rows[i]`.

    rows: int64 [n], may repeat; values: [n, ...]; shape: that of the whole table.
    """

    stop_gradient = True
    to_dense: Callable   # () -> Tensor with the same numbers; tensor.py, a row above, puts it here

    def __init__(self, rows, values, shape):
        self.rows, self.values, self.shape = rows, values, list(shape)

    @property
    def dtype(self) -> dtypes.DType:
        return dtypes.of(self.values)

    def is_selected_rows(self) -> bool:
        return True

    def merged(self):
        """(rows, values) with each row once, in rising order; repeated rows are summed in their order."""
        xp = device.module_of(self.values)
        rows, where = xp.unique(self.rows, return_inverse=True)
        values = xp.zeros((len(rows), *self.values.shape[1:]), self.values.dtype)
        add_rows(xp, values, where.reshape(-1), self.values)
        return rows, values

    def dense(self):
        """The whole table's gradient as an array, zero in the rows that were not touched."""
        xp = device.module_of(self.values)
        dense = xp.zeros(self.shape, self.values.dtype)
        add_rows(xp, dense, self.rows, self.values)
        return dense

    def numpy(self) -> np.ndarray:
        return device.to_numpy(self.dense())

    def plus(self, other: "SparseRows") -> "SparseRows":
        xp = device.module_of(self.values)
        return SparseRows(xp.concatenate([self.rows, other.rows]), xp.concatenate([self.values, other.values]),
                          self.shape)

    def __repr__(self):
        return f"SparseRows(shape={list(self.shape)}, rows={len(self.rows)}, dtype={self.dtype.name})"
