"""Values written into parts of a tensor, and elements taken by flat places."""
import numpy as np

from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.functional.arguments import integer, known
from gpuflow.functional.manipulation import flatten, reshape, stack
from gpuflow.functional.search import nonzero, put_along_axis, where
from gpuflow.ops.registry import OPS, normal_axis
from gpuflow.tensor import to_tensor

__all__ = ["argwhere", "diagonal_scatter", "masked_scatter", "multiplex", "scatter_add", "scatter_reduce",
           "select_scatter", "shard_index", "slice_scatter", "take", "unique_consecutive"]


def argwhere(input, name=None):
    """[n, rank]: the places of the elements that are not zero."""
    return nonzero(input)


def _set(x, value, index):
    value = value if isinstance(value, bool | int | float) else call(OPS["cast"], (value,), {"dtype": x.dtype})
    return call(OPS["setitem"], (x, value), {"index": index})


def select_scatter(x, values, axis, index, name=None):
    """x with `values` in place of its entry `index` along `axis`."""
    axis = normal_axis("select_scatter", axis, x.ndim)
    sizes = list(x.shape)
    if list(values.shape) != sizes[:axis] + sizes[axis + 1:]:
        raise ValueError(explain("select_scatter", f"values of shape {sizes[:axis] + sizes[axis + 1:]}",
                                 str(list(values.shape))))
    return _set(x, values, (*[slice(None)] * axis, integer("select_scatter", index)))


def slice_scatter(x, value, axes, starts, ends, strides, name=None):
    """x with `value` in place of x[starts:ends:strides] along `axes`."""
    index = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, strides, strict=True):
        index[normal_axis("slice_scatter", axis, x.ndim)] = slice(int(start), int(end), int(step))
    return _set(x, value, tuple(index))


def diagonal_scatter(x, y, offset=0, axis1=0, axis2=1, name=None):
    """x with y on the diagonal `offset` right of the main one, in the matrices on axis1 and axis2."""
    from gpuflow.functional.manipulation import diagonal

    hole = diagonal(x, offset, axis1, axis2)
    if list(hole.shape) != list(y.shape):
        raise ValueError(explain("diagonal_scatter", f"y of shape {list(hole.shape)}", str(list(y.shape))))
    return x + call(OPS["put_on_diagonal"], (call(OPS["cast"], (y,), {"dtype": x.dtype}) - hole,), {
        "shape": tuple(x.shape), "offset": offset, "axis1": axis1, "axis2": axis2})


def masked_scatter(x, mask, value, name=None):
    """x with the elements of `value`, in order, where `mask` (bool, broadcast to x) is True."""
    if mask.dtype.name != "bool":
        raise TypeError(explain("masked_scatter", "a bool mask", mask.dtype.name))
    mask = mask if list(mask.shape) == list(x.shape) else call(OPS["expand"], (mask,), {"shape": tuple(x.shape)})
    order = call(OPS["cumsum"], (call(OPS["cast"], (flatten(mask),), {"dtype": "int64"}),), {"axis": 0})
    places = call(OPS["clip"], (order - 1,), {"min": 0, "max": value.size - 1})
    if not x.stop_gradient or not value.stop_gradient or mask.size:
        needed = int(order[-1].item()) if x.size else 0
        if needed > value.size:
            raise ValueError(explain("masked_scatter", f"at least {needed} values", str(value.size)))
    from gpuflow.functional.search import index_select

    return where(mask, reshape(index_select(flatten(value), places), x.shape), x)


def scatter_add(input, dim, index, src):
    """The tensor with `src` added at `index` along `dim`, as `put_along_axis(..., reduce="add", broadcast=False)`."""
    return scatter_reduce(input, dim, index, src, "sum")


def scatter_reduce(input, dim, index, src, reduce, *, include_self=True):
    """The tensor with `src` brought to `index` along `dim`: the "sum", "prod", "mean", "amax" or "amin" there.

    include_self: what was there takes part.
    """
    names = {"sum": "add", "prod": "multiply", "mean": "mean", "amax": "amax", "amin": "amin"}
    if reduce not in names:
        raise ValueError(explain("scatter_reduce", f"reduce among {list(names)}", repr(reduce)))
    src = call(OPS["getitem"], (src,), {
        "index": tuple(slice(0, known("scatter_reduce", index, a)) for a in range(index.ndim))})
    return put_along_axis(input, index, src, dim, names[reduce], include_self, broadcast=False)


def take(x, index, mode="raise", name=None):
    """The elements of x at places counted in row-major order, in index's shape.

    mode: "raise" IndexError for places out of range (on the CPU), "wrap" them round, or "clip" them (below 0 to 0).
    """
    if mode not in ("raise", "wrap", "clip"):
        raise ValueError(explain("take", "mode raise, wrap or clip", repr(mode)))
    if index.dtype.is_differentiable:
        raise TypeError(explain("take", "integer places", index.dtype.name))
    if mode == "wrap":
        index = index % x.size
    elif mode == "clip":
        index = call(OPS["clip"], (index,), {"min": 0, "max": x.size - 1})
    from gpuflow.functional.search import index_select

    return reshape(index_select(flatten(x), flatten(index)), index.shape)


def multiplex(inputs, index, name=None):
    """Row i of the result is row i of inputs[index[i]]. inputs: at least two tensors of one shape [rows, ...]."""
    if len(inputs) < 2:
        raise ValueError(explain("multiplex", "at least two tensors", str(len(inputs))))
    rows = to_tensor(np.arange(inputs[0].shape[0]), place=inputs[0].place)
    from gpuflow.ops.index import Slot

    return call(OPS["getitem"], (stack(list(inputs)), flatten(index), rows), {"index": (Slot(0), Slot(1))})


def shard_index(input, index_num, nshards, shard_id, ignore_value=-1):
    """Class numbers seen by one of `nshards` parts: those of the part shard_id counted from its first, else
    ignore_value."""
    if not 0 <= shard_id < nshards:
        raise ValueError(explain("shard_index", f"shard_id in [0, {nshards})", str(shard_id)))
    size = (index_num + nshards - 1) // nshards
    mine = (input // size) == shard_id
    return where(mine, input % size, call(OPS["full_like"], (input,), {"value": ignore_value, "dtype": input.dtype}))


def unique_consecutive(x, return_inverse=False, return_counts=False, axis=None, dtype="int64", name=None):
    """x without elements (or entries along `axis`) that equal the one before them; optionally where each went, and how
    often each came. The number of results depends on the numbers."""
    from gpuflow.functional.search import index_select

    flat = flatten(x) if axis is None else x
    axis = 0 if axis is None else normal_axis("unique_consecutive", axis, x.ndim)
    size = flat.shape[axis]
    before = [slice(None)] * flat.ndim
    first, second = list(before), list(before)
    first[axis], second[axis] = slice(1, None), slice(None, -1)
    changed = call(OPS["getitem"], (flat,), {"index": tuple(first)}) != call(OPS["getitem"], (flat,), {
        "index": tuple(second)})
    others = [a for a in range(flat.ndim) if a != axis]
    changed = call(OPS["any"], (changed,), {"axis": others, "keepdim": False}) if others else changed
    starts = np.concatenate([[True], changed.numpy()]) if size else np.zeros(0, bool)
    places = np.flatnonzero(starts)
    results = [index_select(flat, to_tensor(places, place=x.place), axis)]
    if return_inverse:
        results.append(to_tensor(np.cumsum(starts) - 1, dtype, x.place))
    if return_counts:
        results.append(to_tensor(np.diff(np.append(places, size)), dtype, x.place))
    return results[0] if len(results) == 1 else tuple(results)


