"""Adding values at places of an array, and the gradient of a table that is kept as the rows it touches."""
import math
from collections.abc import Callable

import numpy as np

from gpuflow import device, dtypes
from gpuflow_kernels import rows as kernels


def add_at(xp, target, index, values) -> None:
    """target[index] += values, where a place that `index` names several times receives every value.

    16-bit floats are added up in float32 and rounded once. On a GPU floats are added in any order, unless
    GPUFLOW_DETERMINISTIC asks for theirs.
    """
    if target.dtype.itemsize == 2 and target.dtype.kind not in "iu":
        wide = target.astype(xp.float32)
        add_at(xp, wide, index, values.astype(xp.float32) if hasattr(values, "astype") else values)
        target[...] = wide
    elif xp is np:
        np.add.at(target, index, values)
    else:
        import cupyx

        if target.ndim and target.dtype.kind in "fc" and device.deterministic():
            index, values = _once(xp, target, index, values)
        cupyx.scatter_add(target, index, values)


def _once(xp, target, index, values):
    """(index, values) that name each place once, for CuPy's arrays: what comes several times is summed in its order.
    Places that are left over are the first, and get zeros."""
    rows = getattr(index, "ndim", 0) == 1 and index.dtype.kind in "iu"    # whole rows of target, else elements
    shape, rest = (target.shape[:1], target.shape[1:]) if rows else (target.shape, ())
    places = xp.arange(math.prod(shape)).reshape(shape)[index]
    values = xp.ascontiguousarray(xp.broadcast_to(xp.asarray(values, target.dtype), (*places.shape, *rest)))
    real = values.reshape(places.size, math.prod(rest)).view(xp.zeros(0, target.dtype).real.dtype)
    ids, sums = kernels.merged(xp, places.reshape(-1).astype(xp.int64), real)
    sums = xp.where(ids[:, None] < 0, 0, sums).view(target.dtype).reshape(len(ids), *rest)
    ids = xp.maximum(ids, 0)
    return ids if rows else xp.unravel_index(ids, shape), sums


def sums_at(xp, places, values, count: int):
    """`bincount(places, values, count)`, on a GPU in the order that `add_at` keeps."""
    if xp is np or not device.deterministic():
        return xp.bincount(places, weights=values, minlength=count)
    out = xp.zeros(max(count, int(places.max()) + 1 if places.size else 0), xp.float64)
    add_at(xp, out, places, values)
    return out


def add_rows(xp, table, rows, values) -> None:
    """table[rows] += values for a table [n, d], rows [m] in [0, n) and values [m, d]; compiled where it is worth it."""
    if xp is np and kernels.takes(table, values):
        kernels.add_rows(table, rows, values)
    else:
        add_at(xp, table, rows, values)


class SparseRows:
    """The gradient of an embedding table by the rows it touches: `values[i]` belongs to row `rows[i]`.

    rows: int64 [n], may repeat, and below 0 are none; values: [n, ...]; shape: that of the whole table.
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
        """(rows, values) with each row once, in rising order; repeated rows are summed in their order. On a GPU, where
        their number would have to be waited for, as many entries as before: those left over are row -1 and zeros."""
        xp = device.module_of(self.values)
        if xp is not np:
            return kernels.merged(xp, self.rows, self.values)
        rows, where = np.unique(self.rows, return_inverse=True)
        values = np.zeros((len(rows), *self.values.shape[1:]), self.values.dtype)
        add_rows(np, values, where.reshape(-1), self.values)
        return rows, values

    def write_to(self, table) -> None:
        """Makes an array of the whole table's shape the gradient: zero in the rows that were not touched."""
        xp, rows, values = device.module_of(self.values), self.rows, self.values
        if xp is not np:   # on a GPU repeated rows would be added up in any order
            rows, values = self.merged()
            values = xp.where(rows.reshape(-1, *[1] * (values.ndim - 1)) < 0, xp.zeros_like(values), values)
        if values.dtype.itemsize < table.dtype.itemsize:
            values = values.astype(table.dtype)
        table[...] = 0
        add_rows(xp, table, rows, values)

    def dense(self):
        """The whole table's gradient as an array."""
        dense = device.module_of(self.values).empty(self.shape, self.values.dtype)
        self.write_to(dense)
        return dense

    def numpy(self) -> np.ndarray:
        return device.to_numpy(self.dense())

    def plus(self, other: "SparseRows") -> "SparseRows":
        xp = device.module_of(self.values)
        return SparseRows(xp.concatenate([self.rows, other.rows]), xp.concatenate([self.values, other.values]),
                          self.shape)

    def __repr__(self):
        return f"SparseRows(shape={list(self.shape)}, rows={len(self.rows)}, dtype={self.dtype.name})"
