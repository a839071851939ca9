"""Sorting, searching, and taking and putting elements by index."""
import math
from typing import Any

from gpuflow import dtypes
from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.functional.arguments import integer, known
from gpuflow.functional.manipulation import broadcast_to, cast, reshape
from gpuflow.ops.gather import WAYS
from gpuflow.ops.index import Slot
from gpuflow.ops.registry import OPS, broadcast_shapes, normal_axis
from gpuflow.tensor import Tensor, to_tensor

__all__ = ["argmax", "argmin", "argsort", "bucketize", "gather", "gather_nd", "index_add", "index_fill", "index_put",
           "index_sample", "index_select", "kthvalue", "masked_fill", "masked_select", "median", "msort",
           "nonzero", "put_along_axis",
           "scatter", "scatter_nd", "scatter_nd_add", "searchsorted", "sort", "take_along_axis", "topk", "unique",
           "where"]


def _argument(name, x, axis, keepdim, dtype):
    out = call(OPS[name], (x,), {"axis": None if axis is None else integer(name, axis), "keepdim": bool(keepdim)})
    return out if dtypes.convert(dtype) is dtypes.int64 else cast(out, dtype)


def argmax(x, axis=None, keepdim=False, dtype="int64", name=None):
    """The place of the largest element along `axis`, or in the flattened x; the first of equal ones."""
    return _argument("argmax", x, axis, keepdim, dtype)


def argmin(x, axis=None, keepdim=False, dtype="int64", name=None):
    """The place of the smallest element along `axis`, or in the flattened x; the first of equal ones."""
    return _argument("argmin", x, axis, keepdim, dtype)


def argsort(x, axis=-1, descending=False, stable=False, name=None):
    """int64: the indices that sort x along `axis`. Equal elements keep their order, `stable` or not."""
    return call(OPS["argsort"], (x,), {"axis": integer("argsort", axis), "descending": bool(descending)})


def sort(x, axis=-1, descending=False, stable=False, name=None):
    """x sorted along `axis`."""
    return call(OPS["sort"], (x,), {"axis": integer("sort", axis), "descending": bool(descending)})[0]


def msort(input):
    """`sort` along the first axis."""
    return sort(input, 0)


def topk(x, k, axis=None, largest=True, sorted=True, name=None):
    """(the k largest or smallest elements along `axis` (default: the last), their int64 indices), always in order."""
    return call(OPS["topk"], (x,), {"k": integer("topk", k), "axis": -1 if axis is None else integer("topk", axis),
                                    "largest": bool(largest)})


def kthvalue(x, k, axis=None, keepdim=False, name=None):
    """(the k-th smallest element along `axis` (default: the last), counted from 1, its int64 index)."""
    axis = -1 if axis is None else integer("kthvalue", axis)
    size = x.shape[axis] if x.ndim else 1
    if not 1 <= k <= size:
        raise ValueError(explain("kthvalue", f"k in [1, {size}]", str(k)))
    out = call(OPS["sort"], (x,), {"axis": axis, "descending": False})
    if not x.ndim:
        return out
    before = (slice(None),) * normal_axis("kthvalue", axis, x.ndim)
    index = (*before, slice(k - 1, k) if keepdim else k - 1)
    return tuple(call(OPS["getitem"], (t,), {"index": index}) for t in out)


def median(x, axis=None, keepdim=False, mode="avg", name=None):
    """The median along one axis, or of all elements; nan where x has a nan there.

    mode "avg": of an even number of elements the mean of the two in the middle, in float32 at least (float64 stays).
    mode "min": the smaller of the two, in x's dtype, and with `axis` given also its int64 index: (values, indices);
    that of the first nan for a nan.
    """
    if mode not in ("avg", "min"):
        raise ValueError(explain("median", "mode 'avg' or 'min'", repr(mode)))
    flat = axis is None or not x.ndim
    rows = reshape(x, (-1,)) if flat else x
    along = 0 if flat else normal_axis("median", integer("median", axis), x.ndim)
    size = known("median", rows, along)
    if not size:
        raise ValueError(explain("median", "at least one element", str(list(x.shape))))
    shape = [1 if flat or i == along else s for i, s in enumerate(x.shape)]

    def entry(t, k):
        picked = call(OPS["getitem"], (t,), {"index": (*[slice(None)] * along, k)})
        return reshape(picked, shape) if keepdim else picked

    values, order = call(OPS["sort"], (rows,), {"axis": along, "descending": False})
    wide = x.dtype if mode == "min" or x.dtype is dtypes.float64 else dtypes.float32
    low, high, last = (cast(entry(values, k), wide) for k in ((size - 1) // 2, size // 2, size - 1))  # nan sorts last
    middle = low if mode == "min" else (low + high) * 0.5
    bad = call(OPS["isnan"], (last,)) if wide.is_floating else None
    middle = middle if bad is None else where(bad, math.nan, middle)
    if mode == "avg" or axis is None:
        return middle
    index = entry(order, (size - 1) // 2)
    if bad is None:
        return middle, index
    first = call(OPS["argmax"], (cast(call(OPS["isnan"], (rows,)), "int32"),), {"axis": along, "keepdim": False})
    return middle, where(bad, reshape(first, shape) if keepdim else first, index)


def searchsorted(sorted_sequence, values, out_int32=False, right=False, name=None, *, side=None, sorter=None):
    """Where each value goes into the last axis of sorted_sequence to keep it sorted: before equal elements, or after
    them where `right` (side="right"). int64 (int32 where out_int32), values' shape.

    sorter: the order that sorts sorted_sequence, where it is not sorted itself.
    """
    if side not in (None, "left", "right") or (right and side == "left"):
        raise ValueError(explain("searchsorted", "side as left or right, in agreement with right", repr(side)))
    right = right or side == "right"
    if sorter is not None:
        sorted_sequence = take_along_axis(sorted_sequence, sorter, -1)
    out = call(OPS["searchsorted"], (sorted_sequence, values), {"right": bool(right)})
    return cast(out, "int32") if out_int32 else out


def bucketize(x, sorted_sequence, out_int32=False, right=False, name=None):
    """`searchsorted` of x in the vector sorted_sequence."""
    if sorted_sequence.ndim != 1:
        raise ValueError(explain("bucketize", "a vector sorted_sequence", str(list(sorted_sequence.shape))))
    return searchsorted(sorted_sequence, x, out_int32, right)


def unique(x, return_index=False, return_inverse=False, return_counts=False, axis=None, dtype="int64", sorted=True,
           name=None):
    """The different elements of x (slices along `axis` where given), sorted; then, as asked for, the first index of
    each, where each element of x went, and how often each comes, all of `dtype`."""
    axis = None if axis is None else normal_axis("unique", integer("unique", axis), x.ndim)
    found = call(OPS["unique"], (x,), {"axis": axis})
    extra = [cast(t, dtype) if t.dtype != dtype else t
             for t, wanted in zip(found[1:], (return_index, return_inverse, return_counts), strict=True) if wanted]
    return (found[0], *extra) if extra else found[0]


def nonzero(x, as_tuple=False):
    """int64 [n, rank]: the indices of the elements that are not zero; as_tuple: one vector per axis."""
    found = call(OPS["nonzero"], (x,))
    if not as_tuple:
        return found
    return tuple(call(OPS["getitem"], (found,), {"index": (slice(None), i)}) for i in range(x.ndim))


def where(condition, x=None, y=None, name=None) -> Any:
    """x where `condition` (bool), else y, elementwise with broadcasting; `nonzero(condition, as_tuple=True)` without x
    and y."""
    if x is None and y is None:
        return nonzero(condition, as_tuple=True)
    if x is None or y is None:
        raise ValueError(explain("where", "both x and y, or neither", "one of them"))
    if condition.dtype is not dtypes.bool_:
        raise TypeError(explain("where", "a condition of dtype bool", condition.dtype.name, "condition != 0"))
    return call(OPS["where"], (condition, x, y))


# ---- by index ------------------------------------------------------------------------------------------------------


def _entries(where, x, index, axis):
    """The attributes and the index of x's entries `index` along `axis`, for getitem and its kin."""
    axis = normal_axis(where, integer(where, axis), x.ndim)
    if index.ndim == 2 and index.shape[1] == 1:
        index = reshape(index, (-1,))
    if index.ndim > 1:
        raise ValueError(explain(where, "a vector of indices", str(list(index.shape))))
    if index.dtype.is_differentiable:
        raise TypeError(explain(where, "integer indices", index.dtype.name, "index.astype('int64')"))
    return index, {"index": (*[slice(None)] * axis, Slot(0))}


def gather(x, index, axis=None, name=None):
    """The entries of x along `axis` (default 0) that the integer vector `index` names, in its order."""
    index, attrs = _entries("gather", x, index, 0 if axis is None else axis)
    return call(OPS["getitem"], (x, index), attrs)


def index_select(x, index, axis=0, name=None):
    """The entries of x along `axis` that the integer vector `index` names, in its order."""
    return gather(x, index, axis)


def _columns(where, x, index):
    """The template and the arrays for an index [..., k] that names places (or slices) of x by their first k axes."""
    depth = index.shape[-1] if index.ndim else 0
    if not index.ndim or depth > x.ndim:
        raise ValueError(explain(where, f"an index with a last axis of at most {x.ndim}", str(list(index.shape))))
    if depth == 0:
        return None, ()
    columns = [call(OPS["getitem"], (index,), {"index": (Ellipsis, i)}) for i in range(depth)]
    return {"index": tuple(Slot(i) for i in range(depth))}, columns


def gather_nd(x, index, name=None):
    """The elements (or slices) of x at `index` [..., k], whose last axis holds k coordinates: [..., *x.shape[k:]]."""
    attrs, columns = _columns("gather_nd", x, index)
    if attrs is None:
        return broadcast_to(x, [*index.shape[:-1], *x.shape])
    return call(OPS["getitem"], (x, *columns), attrs)


def scatter(x, index, updates, overwrite=True, name=None):
    """x with the rows that the vector `index` names replaced by the rows of `updates`.

    overwrite False: those rows are set to zero and then every update is added, so that repeated indices add up.
    """
    index, attrs = _entries("scatter", x, index, 0)
    if overwrite:
        return call(OPS["setitem"], (x, updates, index), attrs)
    return call(OPS["additem"], (call(OPS["setitem"], (x, 0, index), attrs), updates, index), attrs)


def scatter_nd_add(x, index, updates, name=None):
    """x with `updates` added at `index` [..., k] (see gather_nd); places named twice receive both."""
    attrs, columns = _columns("scatter_nd_add", x, index)
    if attrs is None:
        raise ValueError(explain("scatter_nd_add", "an index with coordinates", str(list(index.shape))))
    return call(OPS["additem"], (x, updates, *columns), attrs)


def scatter_nd(index, updates, shape, name=None):
    """Zeros of `shape` with `updates` added at `index`, as scatter_nd_add."""
    zeros = call(OPS["full"], (), {"shape": tuple(int(s) for s in shape), "value": 0, "dtype": updates.dtype})
    return scatter_nd_add(zeros, index, updates)


def take_along_axis(arr, indices, axis, broadcast=True, name=None):
    """out[i, j, k] = arr[i, indices[i, j, k], k] for axis 1 of three.

    broadcast: the other axes of arr and indices broadcast; without it, indices may be smaller than arr there, and arr
    is cut to match.
    """
    arr, indices = _matched("take_along_axis", arr, indices, axis, broadcast)
    return call(OPS["take_along_axis"], (arr, indices), {"axis": integer("take_along_axis", axis)})


def _matched(where, arr, indices, axis, broadcast):
    if arr.ndim != indices.ndim:
        raise ValueError(explain(where, f"indices with {arr.ndim} axes, as arr {list(arr.shape)}",
                                 str(list(indices.shape))))
    axis = normal_axis(where, integer(where, axis), arr.ndim)
    if not broadcast:
        parts = tuple(slice(None) if i == axis else slice(0, known(where, indices, i)) for i in range(arr.ndim))
        return call(OPS["getitem"], (arr,), {"index": parts}), indices
    sizes = [list(arr.shape), list(indices.shape)]
    shape = list(broadcast_shapes(where, *[(*s[:axis], 1, *s[axis + 1:]) for s in sizes]))
    wide = [(*shape[:axis], s[axis], *shape[axis + 1:]) for s in sizes]
    return (arr if tuple(sizes[0]) == wide[0] else broadcast_to(arr, wide[0]),
            indices if tuple(sizes[1]) == wide[1] else broadcast_to(indices, wide[1]))


def put_along_axis(arr, indices, values, axis, reduce="assign", include_self=True, broadcast=True, name=None):
    """arr with `values` at `indices` along `axis`: written (reduce "assign"), added ("add"), multiplied ("multiply",
    "mul"), averaged ("mean"), or the largest ("amax") or smallest ("amin") of what meets there.

    values: a number or a tensor that broadcasts to indices. broadcast: indices are first broadcast to arr's other axes.
    include_self: what arr holds there takes part.
    """
    reduce = {"mul": "multiply"}.get(reduce, reduce)
    if reduce not in ("assign", "add", *WAYS):
        raise ValueError(explain("put_along_axis", f"reduce among {['assign', 'add', *WAYS]}", repr(reduce)))
    axis = integer("put_along_axis", axis)
    if broadcast:
        _, indices = _matched("put_along_axis", arr, indices, axis, True)
    if not isinstance(values, Tensor):
        values = to_tensor(values, arr.dtype, arr.place)
    if list(values.shape) != list(indices.shape):
        values = broadcast_to(values, indices.shape)
    if reduce in WAYS:
        return call(OPS["reduce_along_axis"], (arr, indices, values), {
            "axis": normal_axis("put_along_axis", axis, arr.ndim), "how": reduce, "include_self": bool(include_self)})
    if reduce == "add" and not include_self:
        arr = call(OPS["put_along_axis"], (arr, indices, values * 0), {"axis": axis, "add": False})
    return call(OPS["put_along_axis"], (arr, indices, values), {"axis": axis, "add": reduce == "add"})


def index_sample(x, index):
    """[rows, k]: out[i, j] = x[i, index[i, j]]."""
    if x.ndim != 2 or index.ndim != 2 or x.shape[0] != index.shape[0]:
        raise ValueError(explain("index_sample", "x [rows, n] and index [rows, k]",
                                 f"{list(x.shape)} and {list(index.shape)}"))
    return call(OPS["take_along_axis"], (x, index), {"axis": 1})


def index_add(x, index, axis, value, alpha=1, name=None):
    """x with the entries of alpha * `value` along `axis` added to the entries that the vector `index` names."""
    index, attrs = _entries("index_add", x, index, axis)
    return call(OPS["additem"], (x, value if alpha == 1 else value * alpha, index), attrs)


def index_fill(x, index, axis, value, name=None):
    """x with the number `value` in all entries along `axis` that the vector `index` names."""
    index, attrs = _entries("index_fill", x, index, axis)
    return call(OPS["setitem"], (x, value, index), attrs)


def index_put(x, indices, value, accumulate=False, name=None):
    """x with `value` written (or added, where accumulate) at x[tuple(indices)]; indices: integer or bool tensors."""
    attrs = {"index": tuple(Slot(i) for i in range(len(indices)))}
    return call(OPS["additem" if accumulate else "setitem"], (x, value, *indices), attrs)


def masked_select(x, mask, name=None):
    """The vector of x's elements where `mask` (bool, broadcast with x) is True. Its length depends on the numbers."""
    shape = broadcast_shapes("masked_select", tuple(x.shape), tuple(mask.shape))
    x = x if tuple(x.shape) == shape else broadcast_to(x, shape)
    mask = mask if tuple(mask.shape) == shape else broadcast_to(mask, shape)
    return call(OPS["getitem"], (x, mask), {"index": Slot(0)})


def masked_fill(x, mask, value, name=None):
    """`value` (a number or a tensor) where `mask` is True, else x; both broadcast with x."""
    return call(OPS["where"], (mask, value.astype(x.dtype) if isinstance(value, Tensor) else value, x))
