"""Indexing as NumPy does it: x[index], and x with values put at an index.

An index is a template whose tensors are taken out: ``x[ids, 2:]`` has the template ``(Slot(0), slice(2, None))`` and
the array ids as a further input, so that a static Program can compute the ids.
"""
from typing import NamedTuple

import numpy as np

from gpuflow import dtypes
from gpuflow.errors import explain
from gpuflow.ops.registry import Spec, broadcast_shapes, op
from gpuflow.ops.rows import add_at


class Slot(NamedTuple):
    """The place of the i-th index array in a template."""

    i: int


def filled(template, arrays):
    """The index itself: the template with its arrays put in."""
    if isinstance(template, Slot):
        return arrays[template.i]
    return tuple(filled(t, arrays) for t in template) if isinstance(template, tuple) else template


def _is_basic(template) -> bool:
    """True when only ints, slices, None and ... index, so that each element is named once and the result is a view."""
    parts = template if type(template) is tuple else (template,)
    return all(p is None or p is Ellipsis or (isinstance(p, int | slice | np.integer) and not isinstance(p, bool))
               for p in parts)


def _getitem_spec(x, *arrays, index):
    if any(s is None for s in x.shape) or any(None in a.shape for a in arrays):
        return Spec(_unknown_result(x.shape, index, arrays), x.dtype)
    probe = np.broadcast_to(np.empty((), bool), x.shape)
    return Spec(probe[filled(index, [np.zeros(a.shape, a.dtype.dtype) for a in arrays])].shape, x.dtype)


def _unknown_result(shape, index, arrays):
    """The result's shape where sizes are unknown: None for those that only the run tells."""
    parts = list(index) if type(index) is tuple else [index]

    def taken(p):    # how many axes of x a part stands for
        if isinstance(p, Slot):
            return len(arrays[p.i].shape) if arrays[p.i].dtype is dtypes.bool_ else 1
        return p is not None and p is not Ellipsis

    rest = [slice(None)] * (len(shape) - sum(map(taken, parts)))
    at = parts.index(Ellipsis) if Ellipsis in parts else len(parts)
    parts[at:at + 1] = rest
    by_arrays = any(isinstance(p, Slot) for p in parts)
    out, block, place, axis = [], [], None, 0
    for k, p in enumerate(parts):
        if p is None:
            out.append(1)
        elif isinstance(p, slice):
            size = shape[axis]
            out.append(size if p == slice(None) else None if size is None else len(range(*p.indices(size))))
        elif by_arrays:     # ints and arrays make one block of axes: in their place, or first where they are apart
            together = place is None or not (parts[k - 1] is None or isinstance(parts[k - 1], slice))
            place = len(out) if place is None else place if together else 0
            block.append((arrays[p.i].shape if taken(p) == 1 and arrays[p.i].dtype is not dtypes.bool_ else (None,))
                         if isinstance(p, Slot) else ())
        axis += taken(p)
    if block:
        out[place:place] = broadcast_shapes("an index", *block)
    return tuple(out)


@op("getitem", infer=_getitem_spec, saves=("x_shape", "x_dtype", "arrays"))
def getitem(xp, x, *arrays, index):
    """x[index] by NumPy's rules. The result is a copy: changing it in place leaves x alone."""
    out = x[filled(index, arrays)]
    return out.copy() if _is_basic(index) else out


@getitem.grad
def getitem_grad(xp, g, saved, *, index):
    return put_into_zeros(xp, g, *saved.arrays, index=index, shape=saved.x_shape), *[None] * len(saved.arrays)


@op("put_into_zeros", infer=lambda values, *arrays, index, shape: Spec(tuple(shape), values.dtype), saves=("arrays",))
def put_into_zeros(xp, values, *arrays, index, shape):
    """Zeros of `shape` with `values` added at `index`: the gradient of x[index]."""
    out = xp.zeros(shape, values.dtype)
    if _is_basic(index):
        out[index] = values
    else:
        add_at(xp, out, filled(index, arrays), values)
    return out


@put_into_zeros.grad
def put_into_zeros_grad(xp, g, saved, *, index, shape):
    return getitem(xp, g, *saved.arrays, index=index), *[None] * len(saved.arrays)


@op("setitem", infer=lambda x, value, *arrays, index: x, saves=("value_shape", "arrays"))
def setitem(xp, x, value, *arrays, index):
    """x with `value` (a tensor of x's dtype, or a number; broadcast) in place of x[index]."""
    out = x.copy()
    out[filled(index, arrays)] = axes_off_one(value)
    return out


@setitem.grad
def setitem_grad(xp, g, saved, *, index):
    rest = [None] * len(saved.arrays)
    to_x = setitem(xp, g, 0.0, *saved.arrays, index=index) if saved.needs[0] else None
    if not saved.needs[1]:
        return to_x, None, *rest
    at_index = getitem(xp, g, *saved.arrays, index=index)
    while at_index.ndim < len(saved.value_shape):  # x[0] = v with v [1, n]: leading ones are dropped by broadcasting
        at_index = at_index.reshape((1, *at_index.shape))
    return to_x, at_index, *rest


def axes_off_one(value):
    """value; without its axes where it is an array of one element, which NumPy refuses in array[0, 0] = [5.]."""
    return value.reshape(()) if getattr(value, "size", 0) == 1 and value.ndim else value


def checked_index(where, index):
    """IndexError for what no index can hold: floats, strings, other objects."""
    for p in index if isinstance(index, tuple) else (index,):
        if isinstance(p, float | str | dict):
            raise IndexError(explain(where, "ints, slices, None, ..., bool or integer tensors", repr(p)))
    return index
