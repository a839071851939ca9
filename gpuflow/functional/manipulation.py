"""Functions that change shape, order or dtype."""
import math

from gpuflow import dtypes
from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.functional.arguments import integer, integers, known
from gpuflow.functional.make import public
from gpuflow.ops.registry import OPS, broadcast_shapes, normal_axis
from gpuflow.tensor import Tensor, to_tensor

__all__ = ["broadcast_shape", "broadcast_tensors", "broadcast_to", "cast", "chunk", "concat", "crop", "diag",
           "diagonal", "expand", "expand_as", "flatten", "flip", "is_empty", "moveaxis", "numel", "rank",
           "ravel", "repeat_interleave", "reshape", "roll", "rot90", "shape", "slice", "split", "squeeze", "stack",
           "strided_slice", "swapaxes", "t", "tile", "tolist", "transpose", "tril", "triu", "unbind", "unflatten",
           "unsqueeze", "unstack", "view", "view_as"]

_slice = slice
tril, triu, diagonal = public("tril"), public("triu"), public("diagonal")


def cast(x, dtype):
    """x with its elements converted to `dtype`; the gradient is converted back."""
    return call(OPS["cast"], (x,), {"dtype": dtypes.convert(dtype)})


def reshape(x, shape, name=None):
    """x's elements in row-major order in another shape. 0 keeps the old size at that place; one -1 is worked out."""
    return call(OPS["reshape"], (x,), {"shape": integers("reshape", shape)})


def view(x, shape_or_dtype, name=None):
    """`reshape` without a copy. (Another dtype over the same bytes is not offered.)"""
    if not isinstance(shape_or_dtype, list | tuple | Tensor):
        raise TypeError(explain("view", "a shape", repr(shape_or_dtype), "x.astype(dtype)"))
    return reshape(x, shape_or_dtype)


def view_as(x, other, name=None):
    """x in the shape of `other`, without a copy."""
    return reshape(x, other.shape)


def flatten(x, start_axis=0, stop_axis=-1, name=None):
    """x with the axes from start_axis to stop_axis (included) joined into one; a 0-d x becomes [1]."""
    if not x.ndim:
        return call(OPS["reshape"], (x,), {"shape": (1,)})
    first, last = normal_axis("flatten", start_axis, x.ndim), normal_axis("flatten", stop_axis, x.ndim)
    if first > last:
        raise ValueError(explain("flatten", "start_axis <= stop_axis", f"{start_axis} and {stop_axis}"))
    sizes = list(x.shape)
    joined = sizes[first:last + 1]
    middle = -1 if None in joined or -1 in joined else math.prod(joined)
    return call(OPS["reshape"], (x,), {"shape": (*[0] * first, middle, *sizes[last + 1:])})


def ravel(input):
    """The elements as a vector."""
    return flatten(input)


def unflatten(x, axis, shape, name=None):
    """x with one axis cut into several, of sizes `shape` (one may be -1)."""
    sizes, axis = list(x.shape), normal_axis("unflatten", axis, x.ndim)
    shape = integers("unflatten", shape)
    if -1 in shape and sizes[axis] is not None:
        rest = math.prod(s for s in shape if s != -1)
        if rest == 0 or sizes[axis] % rest:
            raise ValueError(explain("unflatten", f"sizes for an axis of {sizes[axis]}", str(list(shape))))
        shape = tuple(sizes[axis] // rest if s == -1 else s for s in shape)
    return call(OPS["reshape"], (x,), {"shape": (*sizes[:axis], *shape, *sizes[axis + 1:])})


def transpose(x, perm, name=None):
    """x with its axes in the order `perm`."""
    return call(OPS["transpose"], (x,), {"perm": integers("transpose", perm)})


def t(input, name=None):
    """The transpose of a matrix; a vector or a number as it is."""
    if input.ndim > 2:
        raise ValueError(explain("t", "at most two axes", str(list(input.shape)), "transpose(x, perm)"))
    return transpose(input, (1, 0)) if input.ndim == 2 else call(OPS["assign"], (input,))


def moveaxis(x, source, destination, name=None):
    """x with the axes `source` moved to the places `destination`; the others keep their order."""
    source = [normal_axis("moveaxis", a, x.ndim) for a in integers("moveaxis", source)]
    destination = [normal_axis("moveaxis", a, x.ndim) for a in integers("moveaxis", destination)]
    if len(set(source)) != len(source) or len(set(destination)) != len(destination) or len(source) != len(destination):
        raise ValueError(explain("moveaxis", "as many different sources as destinations",
                                 f"{source} and {destination}"))
    order = [a for a in range(x.ndim) if a not in source]
    for to, origin in sorted(zip(destination, source, strict=True)):
        order.insert(to, origin)
    return transpose(x, order)


def swapaxes(x, axis0, axis1, name=None):
    """x with two axes exchanged."""
    order = list(range(x.ndim))
    a, b = normal_axis("swapaxes", axis0, x.ndim), normal_axis("swapaxes", axis1, x.ndim)
    order[a], order[b] = b, a
    return transpose(x, order)


def squeeze(x, axis=None, name=None):
    """x without the axes of size 1 among `axis` (all by default); other sizes in `axis` stay."""
    axis = None if axis is None else integers("squeeze", axis)
    return call(OPS["squeeze"], (x,), {"axis": axis})


def unsqueeze(x, axis, name=None):
    """x with an axis of size 1 put in at each place of `axis`, one after the other."""
    return call(OPS["unsqueeze"], (x,), {"axis": integers("unsqueeze", axis)})


def expand(x, shape, name=None):
    """x broadcast to `shape`; -1 keeps a size. A view: no memory is copied."""
    return call(OPS["expand"], (x,), {"shape": integers("expand", shape)})


broadcast_to = expand


def expand_as(x, y, name=None):
    """x broadcast to the shape of y."""
    return call(OPS["expand_beside"], (x, y)) if -1 in y.shape else expand(x, y.shape)


def broadcast_shape(x_shape, y_shape):
    """The list of sizes that two shapes broadcast to."""
    return list(broadcast_shapes("broadcast_shape", tuple(x_shape), tuple(y_shape)))


def broadcast_tensors(input, name=None):
    """The tensors of a list, each broadcast to the shape they have in common."""
    if any(-1 in x.shape for x in input):
        return [call(OPS["expand_beside"], (x, *(y for y in input if y is not x))) for x in input]
    shape = broadcast_shapes("broadcast_tensors", *[tuple(x.shape) for x in input])
    return [expand(x, shape) for x in input]


def tile(x, repeat_times, name=None):
    """x repeated repeat_times[i] times along axis i (both padded with ones in front)."""
    return call(OPS["tile"], (x,), {"repeats": integers("tile", repeat_times)})


def repeat_interleave(x, repeats, axis=None, name=None, *, output_size=None):
    """Every entry of x along `axis` (of the flattened x for None) repeated: `repeats` times, or repeats[i] times entry
    i. output_size: how many that makes, for those who know; it spares nothing here."""
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    if isinstance(repeats, Tensor) and repeats.size > 1:
        counts = repeats.numpy()
        if counts.size != x.shape[axis]:
            raise ValueError(explain("repeat_interleave", f"{x.shape[axis]} repeats", str(counts.size)))
        index = to_tensor(counts.cumsum().searchsorted(range(int(counts.sum())), side="right"), place=x.place)
        return call(OPS["getitem"], (x, index), {"index": _at(x, axis, _slot())})
    return call(OPS["repeat_interleave"], (x,), {"repeats": integer("repeat_interleave", repeats),
                                                 "axis": integer("repeat_interleave", axis)})


def _slot():
    from gpuflow.ops.index import Slot

    return Slot(0)


def _at(x, axis, index):
    return (*[_slice(None)] * normal_axis("axis", axis, x.ndim), index)


def concat(x, axis=0, name=None):
    """The tensors of the list x one after the other along `axis`; other sizes and the dtype must be equal."""
    if isinstance(x, Tensor):
        x = [x]
    return call(OPS["concat"], tuple(x), {"axis": integer("concat", axis)})


def stack(x, axis=0, name=None):
    """The tensors of the list x, all of one shape and dtype, along a new axis."""
    if isinstance(x, Tensor):
        x = [x]
    return call(OPS["stack"], tuple(x), {"axis": integer("stack", axis)})


def split(x, num_or_sections, axis=0, name=None):
    """A list of pieces of x along `axis`: that many equal ones, or of the given sizes, of which one may be -1."""
    axis = normal_axis("split", integer("split", axis), x.ndim)
    sections = num_or_sections if isinstance(num_or_sections, int) else integers("split", num_or_sections)
    if sections.count(-1) > 1 if isinstance(sections, tuple) else sections < 1:
        raise ValueError(explain("split", "a number >= 1, or sizes of which one may be -1", str(num_or_sections)))
    return list(call(OPS["split"], (x,), {"sections": sections, "axis": axis}))


def chunk(x, chunks, axis=0, name=None):
    """`split` into that many equal pieces."""
    return split(x, chunks, axis)


def unbind(input, axis=0):
    """A list of the entries along `axis`, without that axis."""
    return list(call(OPS["unbind"], (input,), {"axis": integer("unbind", axis)}))


def unstack(x, axis=0, num=None, name=None):
    """`unbind`; num, where given, must be the size of the axis."""
    if num is not None and num != x.shape[axis]:
        raise ValueError(explain("unstack", f"num={x.shape[axis]} (axis {axis} of {list(x.shape)})", str(num)))
    return unbind(x, axis)


def flip(x, axis, name=None):
    """x with the order of elements reversed along each of `axis`."""
    return call(OPS["flip"], (x,), {"axis": integers("flip", axis)})


def rot90(x, k=1, axes=(0, 1), name=None):
    """x turned k times by 90 degrees in the plane of two axes, from the first towards the second."""
    a, b = (normal_axis("rot90", i, x.ndim) for i in axes)
    k %= 4
    if k == 0:
        return call(OPS["assign"], (x,))
    if k == 2:
        return flip(x, (a, b))
    return swapaxes(flip(x, b), a, b) if k == 1 else flip(swapaxes(x, a, b), b)


def roll(x, shifts, axis=None, name=None):
    """x with its entries moved on by `shifts` along `axis` (the flattened x for None); what leaves comes in at the
    start."""
    shifts = integers("roll", shifts)
    if axis is None:
        flat = call(OPS["roll"], (reshape(x, (-1,)),), {"shifts": (sum(shifts),), "axis": (0,)})
        return reshape(flat, x.shape)
    axis = integers("roll", axis)
    if len(axis) != len(shifts):
        raise ValueError(explain("roll", f"{len(axis)} shifts, one per axis", str(len(shifts))))
    return call(OPS["roll"], (x,), {"shifts": shifts, "axis": tuple(normal_axis("roll", a, x.ndim) for a in axis)})


def diag(x, offset=0, padding_value=0, name=None):
    """The square matrix with a vector x on its diagonal and padding_value elsewhere; or the diagonal of a matrix x."""
    if x.ndim == 2:
        return call(OPS["diagonal"], (x,), {"offset": offset, "axis1": 0, "axis2": 1})
    if x.ndim != 1:
        raise ValueError(explain("diag", "a vector or a matrix", str(list(x.shape))))
    n = known("diag", x, 0) + abs(offset)
    out = call(OPS["put_on_diagonal"], (x,), {"shape": (n, n), "offset": offset, "axis1": 0, "axis2": 1})
    if padding_value == 0:
        return out
    here = call(OPS["eye"], (), {"rows": n, "columns": n, "dtype": dtypes.bool_}) if offset == 0 else cast(
        call(OPS["put_on_diagonal"], (x * 0 + 1,), {"shape": (n, n), "offset": offset, "axis1": 0, "axis2": 1}), "bool")
    return call(OPS["where"], (here, out, padding_value))


def slice(input, axes, starts, ends):
    """x[starts[i]:ends[i]] along each of `axes`; limits beyond the ends are cut off, negative ones count from the
    end."""
    return strided_slice(input, axes, starts, ends, [1] * len(axes))


def strided_slice(x, axes, starts, ends, strides, name=None):
    """x[starts[i]:ends[i]:strides[i]] along each of `axes`."""
    parts = [_slice(None)] * x.ndim
    for a, start, end, step in zip(integers("axes", axes), integers("starts", starts), integers("ends", ends),
                                   integers("strides", strides), strict=True):
        parts[normal_axis("slice", a, x.ndim)] = _slice(start, end if step > 0 or end >= -(1 << 30) else None, step)
    return call(OPS["getitem"], (x,), {"index": tuple(parts)})


def crop(x, shape=None, offsets=None, name=None):
    """The part of x of size `shape` (-1: up to the end) that begins at `offsets` (zeros by default)."""
    offsets = (0,) * x.ndim if offsets is None else integers("crop", offsets)
    shape = tuple(x.shape) if shape is None else integers("crop", shape)
    if len(shape) != x.ndim or len(offsets) != x.ndim:
        raise ValueError(explain("crop", f"{x.ndim} sizes and offsets", f"{list(shape)} and {list(offsets)}"))
    parts = []
    for size, n, start in zip(x.shape, shape, offsets, strict=True):
        if start < 0 or start + max(n, 0) > size:
            raise ValueError(explain("crop", f"a part inside {list(x.shape)}", f"{list(shape)} at {list(offsets)}"))
        parts.append(_slice(start, size if n == -1 else start + n))
    return call(OPS["getitem"], (x,), {"index": tuple(parts)})


def numel(x, name=None):
    """The number of elements, a 0-d int64 tensor."""
    return x.numel()


def shape(input):
    """The shape as an int64 tensor."""
    return call(OPS["shape"], (input,))


def rank(input):
    """The number of axes as a 0-d int32 tensor."""
    return to_tensor(input.ndim, "int32", input.place)


def is_empty(x, name=None):
    """True (a 0-d bool tensor) when x has no elements."""
    return to_tensor(x.size == 0, place=x.place)


def tolist(x):
    """The numbers as nested Python lists."""
    return x.tolist()
