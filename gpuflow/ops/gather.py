"""Taking and putting elements by index arrays along an axis, with the gradients of one another."""
import numpy as np

from gpuflow import dtypes
from gpuflow.errors import explain
from gpuflow.ops.index import filled, getitem
from gpuflow.ops.registry import Spec, normal_axis, op
from gpuflow.ops.rows import add_at


def along(xp, indices, axis):
    """The index that names, for each place of `indices`, the element with that number along `axis`."""
    grid = [xp.arange(n).reshape(tuple(n if i == j else 1 for j in range(indices.ndim)))
            for i, n in enumerate(indices.shape)]
    grid[axis % indices.ndim] = indices
    return tuple(grid)


def _along_spec(name):
    def rule(x, indices, *rest, axis, **attrs):
        if len(x.shape) != len(indices.shape):
            raise ValueError(explain(name, f"indices with {len(x.shape)} axes, as x {list(x.shape)}",
                                     str(list(indices.shape))))
        normal_axis(name, axis, len(x.shape))
        if indices.dtype.is_differentiable:
            raise TypeError(explain(name, "integer indices", indices.dtype.name, "indices.astype('int64')"))
        return Spec(indices.shape if name == "take_along_axis" else x.shape, x.dtype)

    return rule


@op("take_along_axis", infer=_along_spec("take_along_axis"), saves=("x_shape", "indices"))
def take_along_axis(xp, x, indices, *, axis):
    """out[i, j, k] = x[i, indices[i, j, k], k] for axis 1 of three. Negative indices count from the end."""
    return x[along(xp, indices, axis)]


@take_along_axis.grad
def take_along_axis_grad(xp, g, saved, *, axis):
    return put_into_zeros_along(xp, g, saved.indices, axis=axis, shape=saved.x_shape), None


@op("put_into_zeros_along", infer=lambda x, indices, *, axis, shape: Spec(tuple(shape), x.dtype), saves=("indices",))
def put_into_zeros_along(xp, x, indices, *, axis, shape):
    """Zeros of `shape` with x added at `indices` along `axis`: the gradient of take_along_axis."""
    out = xp.zeros(shape, x.dtype)
    add_at(xp, out, along(xp, indices, axis), x)
    return out


@put_into_zeros_along.grad
def put_into_zeros_along_grad(xp, g, saved, *, axis, shape):
    return take_along_axis(xp, g, saved.indices, axis=axis), None


@op("put_along_axis", infer=_along_spec("put_along_axis"), saves=("indices",))
def put_along_axis(xp, x, indices, values, *, axis, add=False):
    """x with `values` (indices' shape) written, or added, at `indices` along `axis`.

    Where an index comes twice, written values overwrite each other (which one stays is open), added ones all count.
    """
    out = x.copy()
    if add:
        add_at(xp, out, along(xp, indices, axis), values)
    else:
        out[along(xp, indices, axis)] = values
    return out


@put_along_axis.grad
def put_along_axis_grad(xp, g, saved, *, axis, add=False):
    to_x = g if add else put_along_axis(xp, g, saved.indices, xp.zeros(saved.indices.shape, g.dtype), axis=axis)
    return to_x, None, take_along_axis(xp, g, saved.indices, axis=axis)


@op("additem", infer=lambda x, value, *arrays, index: x, saves=("value_shape", "arrays"))
def additem(xp, x, value, *arrays, index):
    """x with `value` added at x[index]; a place that the index names twice receives both."""
    out = x.copy()
    add_at(xp, out, filled(index, arrays), value)
    return out


@additem.grad
def additem_grad(xp, g, saved, *, index):
    at_index = getitem(xp, g, *saved.arrays, index=index) if saved.needs[1] else None
    return g, at_index, *[None] * len(saved.arrays)


@op("nonzero", infer=lambda x: Spec((None, len(x.shape)), dtypes.int64))
def nonzero(xp, x):
    """int64 [n, rank]: the indices of the n elements that are not zero, in row-major order. Waits for the device."""
    return xp.stack(xp.nonzero(x), axis=1) if x.ndim else xp.zeros((int(x != 0), 0), xp.int64)


WAYS = ("multiply", "mean", "amax", "amin")


@op("reduce_along_axis", infer=_along_spec("put_along_axis"), saves=("x", "indices", "values", "out"), quiet=True)
def reduce_along_axis(xp, x, indices, values, *, axis, how, include_self=True):
    """x with `values` (indices' shape) brought to `indices` along `axis`: multiplied, averaged, or the largest or
    smallest of what meets there. include_self False: what was there is replaced."""
    out = x.copy()
    if how == "mean":
        counts = _meeting(xp, x, indices, axis, include_self)
        if not include_self:
            out = put_along_axis(xp, out, indices, xp.zeros(indices.shape, x.dtype), axis=axis)
        out = put_along_axis(xp, out, indices, values, axis=axis, add=True)
        return (out // counts if x.dtype.kind in "iu" else out / counts).astype(x.dtype)
    if not include_self:
        out = put_along_axis(xp, out, indices, xp.full(indices.shape, _neutral(how, x.dtype), x.dtype), axis=axis)
    meet = {"multiply": xp.multiply, "amax": xp.maximum, "amin": xp.minimum}[how]
    for k in range(indices.shape[axis]):       # within one slice no place comes twice
        part = [slice(None)] * x.ndim
        part[axis] = slice(k, k + 1)
        where = along(xp, indices[tuple(part)], axis)
        out[where] = meet(out[where], values[tuple(part)])
    return out


def _neutral(how, dtype):
    if how == "multiply":
        return 1
    if dtype.kind in "iu":
        return np.iinfo(dtype).min if how == "amax" else np.iinfo(dtype).max
    return -np.inf if how == "amax" else np.inf


def _meeting(xp, x, indices, axis, include_self):
    """How many numbers meet at each place of x, at least 1."""
    counts = xp.ones(x.shape, xp.int64) if include_self else xp.zeros(x.shape, xp.int64)
    counts = put_along_axis(xp, counts, indices, xp.ones(indices.shape, xp.int64), axis=axis, add=True)
    return xp.maximum(counts, 1)


@reduce_along_axis.grad
def reduce_along_axis_grad(xp, g, saved, *, axis, how, include_self=True):
    return reduce_along_axis_back(xp, g, saved.x, saved.indices, saved.values, saved.out, axis=axis, how=how,
                                  include_self=include_self)


@op("reduce_along_axis_back", infer=lambda g, x, indices, values, out, **attrs: (
    Spec(x.shape, x.dtype), Spec(indices.shape, indices.dtype), Spec(values.shape, values.dtype)),
    outputs=("to_x", "to_indices", "to_values"), quiet=True)
def reduce_along_axis_back(xp, g, x, indices, values, out, *, axis, how, include_self=True):
    """The gradients of reduce_along_axis; equal largest ones share evenly, a product's zeros get none."""
    here, none = take_along_axis(xp, g, indices, axis=axis), xp.zeros(indices.shape, g.dtype)
    touched = put_along_axis(xp, xp.zeros(x.shape, bool), indices, xp.ones(indices.shape, bool), axis=axis)
    if how == "mean":
        share = g / _meeting(xp, x, indices, axis, include_self)
        to_values = take_along_axis(xp, share, indices, axis=axis)
    elif how == "multiply":
        share = xp.where(x != 0, g * out / xp.where(x != 0, x, 1), 0)
        there = take_along_axis(xp, out, indices, axis=axis)
        to_values = xp.where(values != 0, here * there / xp.where(values != 0, values, 1), none)
    else:
        there = take_along_axis(xp, out, indices, axis=axis)
        counts = (x == out).astype(g.dtype) if include_self else xp.zeros(x.shape, g.dtype)
        counts = put_along_axis(xp, counts, indices, (values == there).astype(g.dtype), axis=axis, add=True)
        share = xp.where(x == out, g / xp.maximum(counts, 1), 0)
        shared = here / xp.maximum(take_along_axis(xp, counts, indices, axis=axis), 1)
        to_values = xp.where(values == there, shared, none)
    to_x = xp.where(touched, share if include_self else 0, g)
    return to_x.astype(x.dtype), xp.zeros(indices.shape, indices.dtype), to_values.astype(values.dtype)


@reduce_along_axis_back.grad
def reduce_along_axis_back_grad(xp, h, saved, **attrs):
    raise NotImplementedError(explain("put_along_axis", "one derivative of this reduction", "a second one"))
