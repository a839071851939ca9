"""Sorting and searching. Indices are int64; they carry no gradient, the values do."""
import numpy as np

from gpuflow import dtypes
from gpuflow.errors import explain
from gpuflow.ops.gather import along, put_into_zeros_along
from gpuflow.ops.registry import Spec, normal_axis, op, reduced


def _argument(name):
    def infer(x, *, axis=None, keepdim=False):
        out = reduced(name, dtypes.int64)(x, axis=axis, keepdim=keepdim)
        if any(s == 0 for s in (x.shape if axis is None else (x.shape[axis],))):
            raise ValueError(explain(name, "at least one element", str(list(x.shape))))
        return out

    def forward(xp, x, *, axis=None, keepdim=False):
        return getattr(xp, name)(x, axis=axis, keepdims=keepdim)

    word = "largest" if name == "argmax" else "smallest"
    forward.__doc__ = (f"int64: where the {word} element is along `axis`, or in the flattened x; the first of equal "
                       "ones.")
    op(name, infer=infer)(forward)


_argument("argmax")
_argument("argmin")


def _order(xp, x, axis, descending):
    """int64 indices that sort x; equal elements keep their order."""
    if not x.ndim:
        return xp.zeros((), xp.int64)
    if not descending:
        return xp.argsort(x, axis=axis, kind="stable")
    backwards = xp.flip(xp.argsort(xp.flip(x, axis), axis=axis, kind="stable"), axis)
    return x.shape[axis] - 1 - backwards


def _take(xp, x, indices, axis):
    return x[along(xp, indices, axis)] if x.ndim else x.copy()


def _back(xp, g, saved, axis):
    """The gradient of values picked at saved.indices along `axis`."""
    return put_into_zeros_along(xp, g, saved.indices, axis=axis, shape=saved.x_shape) if g.ndim else g


@op("argsort", infer=lambda x, *, axis=-1, descending=False: Spec(x.shape, dtypes.int64))
def argsort(xp, x, *, axis=-1, descending=False):
    """int64: the indices that sort x along `axis`; equal elements keep their order."""
    return _order(xp, x, axis, descending)


def _sort_spec(x, *, axis=-1, descending=False):
    normal_axis("sort", axis, len(x.shape))
    return x, Spec(x.shape, dtypes.int64)


@op("sort", infer=_sort_spec, outputs=("values", "indices"), saves=("x_shape", "indices"), no_grad_outputs=(1,))
def sort(xp, x, *, axis=-1, descending=False):
    """(x sorted along `axis`, the int64 indices that sort it); equal elements keep their order."""
    indices = _order(xp, x, axis, descending)
    return _take(xp, x, indices, axis), indices


@sort.grad
def sort_grad(xp, g, saved, *, axis=-1, descending=False):
    return (_back(xp, g[0], saved, axis),)


def _topk_spec(x, *, k, axis=-1, largest=True):
    axis = normal_axis("topk", axis, len(x.shape))
    if k < 1 or (x.shape and x.shape[axis] is not None and k > x.shape[axis]):
        raise ValueError(explain("topk", f"k in [1, {x.shape[axis] if x.shape else 1}]", str(k)))
    shape = (*x.shape[:axis], k, *x.shape[axis + 1:]) if x.shape else ()
    return Spec(shape, x.dtype), Spec(shape, dtypes.int64)


@op("topk", infer=_topk_spec, outputs=("values", "indices"), saves=("x_shape", "indices"), no_grad_outputs=(1,))
def topk(xp, x, *, k, axis=-1, largest=True):
    """(the k largest or smallest elements along `axis`, in falling or rising order, their int64 indices)."""
    _topk_spec(Spec(x.shape, None), k=k, axis=axis)
    if not x.ndim:
        return x.copy(), xp.zeros((), xp.int64)
    before = (slice(None),) * (axis % x.ndim)
    if xp is np and k * 8 < x.shape[axis]:  # 4 times faster than sorting all of 1000 (CuPy's argpartition sorts anyway)
        at = x.shape[axis] - k if largest else k - 1
        part = np.argpartition(x, at, axis=axis)[(*before, slice(at, None) if largest else slice(None, k))]
        part.sort(axis=axis)  # equal elements in their order
        indices = _take(xp, part, _order(xp, _take(xp, x, part, axis), axis, largest), axis)
    else:
        indices = _order(xp, x, axis, largest)[(*before, slice(None, k))]
    return _take(xp, x, indices, axis), indices


@topk.grad
def topk_grad(xp, g, saved, *, k, axis=-1, largest=True):
    return (_back(xp, g[0], saved, axis),)


@op("searchsorted", infer=lambda sorted_sequence, values, *, right=False: Spec(values.shape, dtypes.int64))
def searchsorted(xp, sorted_sequence, values, *, right=False):
    """int64, values' shape: where each value goes into the last axis of `sorted_sequence` to keep it sorted.

    right: after equal elements instead of before. Axes before the last must be equal on both sides, or the sequence
        1-d.
    """
    side = "right" if right else "left"
    if sorted_sequence.ndim == 1:
        return xp.asarray(xp.searchsorted(sorted_sequence, values, side=side))
    if sorted_sequence.shape[:-1] != values.shape[:-1]:
        raise ValueError("axes before the last differ")
    rows = sorted_sequence.reshape((-1, sorted_sequence.shape[-1]))
    found = [xp.searchsorted(row, v, side=side) for row, v in zip(rows, values.reshape((len(rows), -1)))]
    return xp.stack(found).reshape(values.shape)


def _unique_spec(x, *, axis=None):
    shape = (None,) if axis is None else tuple(None if i == axis % len(x.shape) else s for i, s in enumerate(x.shape))
    count = Spec((None,), dtypes.int64)
    inverse = x.shape[axis] if axis is not None else None if None in x.shape else int(np.prod(x.shape, dtype=int))
    return Spec(shape, x.dtype), count, Spec((inverse,), dtypes.int64), count


@op("unique", infer=_unique_spec, outputs=("out", "index", "inverse", "counts"))
def unique(xp, x, *, axis=None):
    """(the different elements of x, or slices along `axis`, sorted; first places; inverse; counts).

    Waits for the device.
    """
    return tuple(a.reshape(-1) if i else a for i, a in enumerate(
        xp.unique(x, return_index=True, return_inverse=True, return_counts=True, axis=axis)))
