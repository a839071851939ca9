"""Tensors put together, cut apart and laid on diagonals."""
import itertools

import numpy as np

from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.functional.arguments import integer, integers, known
from gpuflow.functional.manipulation import concat, flatten, reshape, stack, transpose, unsqueeze
from gpuflow.functional.search import index_select
from gpuflow.ops.registry import OPS, normal_axis
from gpuflow.tensor import Tensor, to_tensor

__all__ = ["as_strided", "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "broadcast_shapes", "cartesian_prod",
           "column_stack", "combinations", "diag_embed", "diagflat", "dsplit", "dstack", "hsplit", "hstack",
           "matrix_transpose", "narrow", "row_stack", "tensor_split", "trace", "unfold", "vsplit", "vstack"]


def _each(inputs, function):
    """function of one tensor, or the list of it of several, or of a list."""
    if len(inputs) == 1 and isinstance(inputs[0], list | tuple):
        return [function(x) for x in inputs[0]]
    out = [function(x) for x in inputs]
    return out[0] if len(out) == 1 else out


def _lifted(x, rank):
    x = x if isinstance(x, Tensor) else to_tensor(x)
    if x.ndim >= rank:
        return x
    return {(0, 1): lambda: unsqueeze(x, 0), (0, 2): lambda: reshape(x, [1, 1]), (1, 2): lambda: unsqueeze(x, 0),
            (0, 3): lambda: reshape(x, [1, 1, 1]), (1, 3): lambda: unsqueeze(x, [0, 2]),
            (2, 3): lambda: unsqueeze(x, 2)}[x.ndim, rank]()


def atleast_1d(*inputs, name=None):
    """Each tensor with at least one axis; a list for several."""
    return _each(inputs, lambda x: _lifted(x, 1))


def atleast_2d(*inputs, name=None):
    """Each tensor with at least two axes, added in front; a list for several."""
    return _each(inputs, lambda x: _lifted(x, 2))


def atleast_3d(*inputs, name=None):
    """Each tensor with at least three axes: [n] becomes [1, n, 1], [m, n] becomes [m, n, 1]; a list for several."""
    return _each(inputs, lambda x: _lifted(x, 3))


def hstack(x, name=None):
    """The tensors side by side: joined on axis 1, vectors and numbers on axis 0."""
    x = atleast_1d(list(x))
    return concat(x, axis=0 if x[0].ndim == 1 else 1)


def vstack(x, name=None):
    """The tensors below each other: joined on axis 0, vectors as rows."""
    return concat(atleast_2d(list(x)), axis=0)


row_stack = vstack


def dstack(x, name=None):
    """The tensors behind each other: joined on axis 2."""
    return concat(atleast_3d(list(x)), axis=2)


def column_stack(x, name=None):
    """Vectors as the columns of a matrix; matrices side by side."""
    return hstack([reshape(t, [-1, 1]) if t.ndim < 2 else t for t in x])


def tensor_split(x, num_or_indices, axis=0, name=None):
    """x cut along `axis` into that many parts, the first ones larger by one where needed; or before each index."""
    axis = normal_axis("tensor_split", integer("tensor_split", axis), x.ndim)
    size = x.shape[axis]
    if size < 0:
        raise ValueError(explain("tensor_split", "an axis of known size", str(list(x.shape))))
    if isinstance(num_or_indices, int):
        if num_or_indices < 1:
            raise ValueError(explain("tensor_split", "at least one part", str(num_or_indices)))
        small, more = divmod(size, num_or_indices)
        ends = list(itertools.accumulate([small + (k < more) for k in range(num_or_indices)]))[:-1]
    else:
        ends = [min(max(e + size if e < 0 else e, 0), size) for e in integers("tensor_split", num_or_indices)]
    parts = zip([0, *ends], [*ends, size])
    where = [slice(None)] * axis
    return [call(OPS["getitem"], (x,), {"index": (*where, slice(a, max(a, b)))}) for a, b in parts]


def _split_on(where, x, num_or_indices, axis, rank):
    if x.ndim < rank:
        raise ValueError(explain(where, f"at least {rank} axes", str(list(x.shape))))
    if isinstance(num_or_indices, int) and x.shape[axis] % num_or_indices:
        raise ValueError(explain(where, f"an axis divisible by {num_or_indices}", str(x.shape[axis])))
    return tensor_split(x, num_or_indices, axis)


def hsplit(x, num_or_indices, name=None):
    """x cut into columns: along axis 1, a vector along axis 0."""
    return _split_on("hsplit", x, num_or_indices, 0 if x.ndim == 1 else 1, 1)


def vsplit(x, num_or_indices, name=None):
    """x cut into rows: along axis 0 of at least two."""
    return _split_on("vsplit", x, num_or_indices, 0, 2)


def dsplit(x, num_or_indices, name=None):
    """x cut along axis 2."""
    return _split_on("dsplit", x, num_or_indices, 2, 3)


def narrow(input, dim, start, length):
    """`length` entries of the tensor along `dim` from `start` on."""
    dim = normal_axis("narrow", integer("narrow", dim), input.ndim)
    start, length, size = integer("narrow", start), integer("narrow", length), input.shape[dim]
    start = start + size if start < 0 else start
    if length < 0 or start < 0 or start + length > size:
        raise ValueError(explain("narrow", f"entries within an axis of {size}", f"{length} from {start} on"))
    return call(OPS["getitem"], (input,), {"index": (*[slice(None)] * dim, slice(start, start + length))})


def broadcast_shapes(*shapes):
    """The shape that tensors of these shapes broadcast to, as a list."""
    from gpuflow.ops import registry

    return list(registry.broadcast_shapes("broadcast_shapes", *(tuple(s) for s in shapes)))


def block_diag(inputs, name=None):
    """A matrix with the tensors (matrices, vectors as rows, numbers) along its diagonal, zero elsewhere."""
    blocks = [atleast_2d(x) for x in inputs]
    if any(b.ndim > 2 for b in blocks):
        raise ValueError(explain("block_diag", "tensors of at most two axes", str([list(b.shape) for b in blocks])))
    width, at, rows = sum(b.shape[1] for b in blocks), 0, []
    for b in blocks:
        rows.append(call(OPS["pad"], (b,), {"pads": ((0, 0), (at, width - at - b.shape[1])), "value": 0.0}))
        at += b.shape[1]
    return concat(rows, axis=0)


def cartesian_prod(x, name=None):
    """All combinations of one element from each vector: [product of sizes, number of vectors]; [n] for one."""
    from gpuflow.functional.creation import meshgrid

    if any(v.ndim != 1 for v in x):
        raise ValueError(explain("cartesian_prod", "vectors", str([list(v.shape) for v in x])))
    if len(x) == 1:
        return x[0]
    return stack([flatten(grid) for grid in meshgrid(*x)], axis=1)


def combinations(x, r=2, with_replacement=False, name=None):
    """All choices of `r` elements of a vector, in order: [number of choices, r]."""
    if x.ndim != 1 or r < 0:
        raise ValueError(explain("combinations", "a vector and r >= 0", f"{list(x.shape)} and {r}"))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.array(list(choose(range(known("combinations", x, 0)), r)), np.int64).reshape(-1, r)
    if not r:
        return call(OPS["full"], (), {"shape": (0,), "value": 0, "dtype": x.dtype})
    return reshape(index_select(x, to_tensor(rows.reshape(-1), place=x.place)), [-1, r])


def diag_embed(input, offset=0, dim1=-2, dim2=-1):
    """The vectors on the last axis as diagonals, `offset` right of the main one, of matrices on axes dim1 and dim2."""
    rank = input.ndim + 1
    first, second = normal_axis("diag_embed", dim1, rank), normal_axis("diag_embed", dim2, rank)
    if first == second:
        raise ValueError(explain("diag_embed", "two different axes", f"{dim1} and {dim2}"))
    size = known("diag_embed", input, -1) + abs(offset)
    out = call(OPS["put_on_diagonal"], (input,), {"shape": (*input.shape[:-1], size, size), "offset": offset,
                                                  "axis1": rank - 2, "axis2": rank - 1})
    order = [a for a in range(rank) if a not in (first, second)]
    perm = [0] * rank
    for source, target in enumerate([*order, first, second]):
        perm[target] = source
    return transpose(out, perm)


def diagflat(x, offset=0, name=None):
    """All elements of x on a diagonal of a matrix, `offset` right of the main one."""
    return diag_embed(flatten(x), offset)


def trace(x, offset=0, axis1=0, axis2=1, name=None):
    """The sum of a diagonal of the matrices on two axes."""
    from gpuflow.functional.manipulation import diagonal

    return call(OPS["sum"], (diagonal(x, offset, axis1, axis2),), {"axis": -1, "keepdim": False})


def matrix_transpose(x, name=None):
    """x with its last two axes exchanged."""
    if x.ndim < 2:
        raise ValueError(explain("matrix_transpose", "at least two axes", str(list(x.shape))))
    return transpose(x, [*range(x.ndim - 2), x.ndim - 1, x.ndim - 2])


def as_strided(x, shape, stride, offset=0, name=None):
    """The elements of x at offset + sum of index times stride, counted in x's row-major order: a tensor of `shape`.

    A copy, and not a view as in Paddle.
    """
    shape, stride = integers("as_strided", shape), integers("as_strided", stride)
    if len(shape) != len(stride):
        raise ValueError(explain("as_strided", "a stride for each size", f"{shape} and {stride}"))
    places = np.full(shape, offset, np.int64)
    for axis, (size, step) in enumerate(zip(shape, stride)):
        places += (np.arange(size) * step).reshape([-1 if a == axis else 1 for a in range(len(shape))])
    if places.size and (places.min() < 0 or places.max() >= x.size):
        raise ValueError(explain("as_strided", f"places below {x.size}", f"{places.min()} to {places.max()}"))
    return reshape(index_select(flatten(x), to_tensor(places.reshape(-1), place=x.place)), shape)


def unfold(x, axis, size, step, name=None):
    """The windows of `size` entries along `axis`, every `step`: the windows' places on `axis`, their entries last."""
    axis = normal_axis("unfold", axis, x.ndim)
    if size > x.shape[axis] or size < 0 or step < 1:
        raise ValueError(explain("unfold", f"windows within an axis of {x.shape[axis]}, and a step of at least 1",
                                 f"size {size}, step {step}"))
    count = (x.shape[axis] - size) // step + 1
    places = (np.arange(count)[:, None] * step + np.arange(size)).reshape(-1)
    out = index_select(x, to_tensor(places, place=x.place), axis)
    sizes = list(x.shape)
    out = reshape(out, [*sizes[:axis], count, size, *sizes[axis + 1:]])
    return transpose(out, [*range(axis + 1), *range(axis + 2, x.ndim + 1), axis + 1])


