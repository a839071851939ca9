"""Norms of lists of arrays that need not lie in one buffer: `global_norm`, `row_norms`.

On a GPU one launch takes them all, as one takes all the gradients of an arena in FusedStep.
"""

from __future__ import annotations

import numpy as np

from gpuflow_kernels.update.layout import CHUNK_FIELDS, DENSE, DTYPES, TAGS
from gpuflow_kernels.update.parts import Sums
from gpuflow_kernels.update.step import engine_for


def row_norms(arrays, ord: float = 2, engine=None):
    """p-norm of each array: float64 [len(arrays)] on the arrays' device.

    arrays  contiguous float32, float64, float16 or bfloat16 arrays of any shape, all NumPy or all CuPy.
    ord     2 by the kernels, accumulated in float64 over fixed chunks in a fixed order. 1, inf and other p > 0 in
            float64 by array operations: right, not fast. An empty array has norm 0.
    Raises TypeError for another dtype, ValueError for ord <= 0 or an array that is not contiguous.
    """
    if not ord > 0:
        raise ValueError(f"ord: expected a number above 0 or inf, got {ord}")
    arrays = [_checked(a, k) for k, a in enumerate(arrays)]
    engine = engine or engine_for(arrays[0] if arrays else None)
    if ord == 2:
        return sums_of_squares(arrays, engine) ** 0.5
    found = engine.zeros(len(arrays), np.float64)
    for k, a in enumerate(arrays):
        if a.size:
            wide = abs(a.astype(np.float64))
            found[k] = wide.max() if ord == np.inf else (wide**ord).sum() ** (1 / ord)
    return found


def global_norm(arrays, ord: float = 2, engine=None):
    """p-norm of all elements of all arrays: a 0-d float64 array on their device; see `row_norms`."""
    norms = row_norms(arrays, ord, engine)
    if ord == np.inf:
        return norms.max() if len(norms) else norms.sum()
    return (norms**ord).sum() ** (1 / ord)


def sums_of_squares(arrays, engine):
    """float64 [len(arrays)] on the device; arrays flat and contiguous."""
    order = sorted(range(len(arrays)), key=lambda k: str(arrays[k].dtype))
    parts = engine.loose([arrays[k] for k in order])
    chunks = np.concatenate([np.zeros((0, len(CHUNK_FIELDS)), np.int64), *(part.chunks for part in parts)])
    sums = Sums(engine, chunks, len(arrays))
    tags = np.zeros((len(arrays), len(TAGS)), np.int32)
    tags[:, TAGS.index("active")] = DENSE
    engine.take_norms(parts, (), {"tags": engine.constant(tags), "scalars": None}, sums)
    return sums.row if order == sorted(order) else sums.row[engine.constant(np.argsort(order))]


def reference(arrays, ord: float = 2) -> float:
    """The same in float64 NumPy."""
    wide = np.concatenate([np.zeros(1), *(np.asarray(a, np.float64).ravel() for a in arrays)])
    with np.errstate(over="ignore"):
        return float(np.linalg.norm(wide, ord))


def _checked(a, k):
    if str(a.dtype) not in DTYPES:
        raise TypeError(f"array {k} is {a.dtype}; expected one of {DTYPES}")
    if not a.flags.c_contiguous:
        raise ValueError(f"array {k} of shape {a.shape} is not contiguous; take the norm of a contiguous copy")
    return a.reshape(-1)
