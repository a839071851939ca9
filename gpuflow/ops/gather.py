"""Taking and putting elements by index arrays along an axis, with the gradients of one another."""
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
