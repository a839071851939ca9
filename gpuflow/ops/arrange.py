"""Ops that cut, repeat, shift and pad: split, unbind, tile, roll, tril, diag, pad ..."""
import numpy as np

from gpuflow import dtypes
from gpuflow.errors import explain
from gpuflow.ops.registry import Spec, normal_axis, op


def _resolved(shape, axis, sections) -> tuple:
    """The sizes of the pieces, None where they are unknown; see split."""
    size = shape[axis]
    if isinstance(sections, int):
        if size is not None and size % sections:
            raise ValueError(explain("split", f"a number that divides {size} (axis {axis} of {list(shape)})",
                                     str(sections), "chunk, or a list of sizes"))
        return (None if size is None else size // sections,) * sections
    given = sum(n for n in sections if n != -1)
    if -1 in sections and (size is None or size >= given):
        return tuple((None if size is None else size - given) if n == -1 else n for n in sections)
    if size not in (None, given):
        raise ValueError(explain("split", f"sections that add up to {size} (axis {axis} of {list(shape)})",
                                 str(list(sections))))
    return tuple(sections)


def _split_spec(x, *, sections, axis=0):
    axis = normal_axis("split", axis, len(x.shape))
    return tuple(Spec((*x.shape[:axis], n, *x.shape[axis + 1:]), x.dtype)
                 for n in _resolved(x.shape, axis, sections))


@op("split", infer=_split_spec)
def split(xp, x, *, sections, axis=0):
    """A tuple of pieces of x, of sizes `sections` along `axis`. The pieces are copies.

    sections: sizes, one of which may be -1, the rest; or an int, so many equal pieces.
    """
    before, out, start = (slice(None),) * (axis % x.ndim), [], 0
    for n in _resolved(x.shape, axis % x.ndim, sections):
        out.append(x[(*before, slice(start, start + n))].copy())
        start += n
    return tuple(out)


@split.grad
def split_grad(xp, g, saved, *, sections, axis=0):
    return (xp.concatenate(g, axis=axis),)


def _unbind_spec(x, *, axis=0):
    axis = normal_axis("unbind", axis, len(x.shape))
    if x.shape[axis] is None:
        raise ValueError(explain("unbind", f"a known size of axis {axis}, which numbers the results", "an unknown one"))
    return (Spec((*x.shape[:axis], *x.shape[axis + 1:]), x.dtype),) * x.shape[axis]


@op("unbind", infer=_unbind_spec)
def unbind(xp, x, *, axis=0):
    """A tuple of the entries of x along `axis`, without that axis. They are copies."""
    before = (slice(None),) * (axis % x.ndim)
    return tuple([x[(*before, i)].copy() for i in range(x.shape[axis])])


@unbind.grad
def unbind_grad(xp, g, saved, *, axis=0):
    return (xp.stack(g, axis=axis),)


def _tile_spec(x, *, repeats):
    shape = (1,) * (len(repeats) - len(x.shape)) + tuple(x.shape)
    repeats = (1,) * (len(shape) - len(repeats)) + tuple(repeats)
    if any(n < 0 for n in repeats):
        raise ValueError(explain("tile", "repeats of at least 0", str(list(repeats))))
    return Spec(tuple(None if s is None else s * n for s, n in zip(shape, repeats)), x.dtype)


@op("tile", infer=_tile_spec, saves=("x_shape",))
def tile(xp, x, *, repeats):
    """x repeated `repeats[i]` times along axis i (both padded with ones in front)."""
    return xp.tile(x, repeats)


@tile.grad
def tile_grad(xp, g, saved, *, repeats):
    rank = g.ndim
    shape = (1,) * (rank - len(saved.x_shape)) + tuple(saved.x_shape)
    repeats = (1,) * (rank - len(repeats)) + tuple(repeats)
    pairs = tuple(n for pair in zip(repeats, shape) for n in pair)
    return (g.reshape(pairs).sum(axis=tuple(range(0, 2 * rank, 2))).reshape(saved.x_shape),)


def _repeat_spec(x, *, repeats, axis):
    axis = normal_axis("repeat_interleave", axis, len(x.shape))
    size = x.shape[axis]
    return Spec((*x.shape[:axis], None if size is None else size * repeats, *x.shape[axis + 1:]), x.dtype)


@op("repeat_interleave", infer=_repeat_spec, saves=("x_shape",))
def repeat_interleave(xp, x, *, repeats, axis):
    """Every entry of x along `axis` `repeats` times, one after the other."""
    return xp.repeat(x, repeats, axis=axis)


@repeat_interleave.grad
def repeat_interleave_grad(xp, g, saved, *, repeats, axis):
    shape, axis = saved.x_shape, axis % g.ndim
    return (g.reshape((*shape[:axis + 1], repeats, *shape[axis + 1:])).sum(axis=axis + 1),)


@op("roll", infer=lambda x, *, shifts, axis: x)
def roll(xp, x, *, shifts, axis):
    """x with its entries moved on by `shifts[i]` along `axis[i]`; what leaves at the end comes in at the start."""
    return xp.roll(x, shifts, axis)


@roll.grad
def roll_grad(xp, g, saved, *, shifts, axis):
    back = tuple(-s for s in shifts) if isinstance(shifts, tuple) else -shifts
    return (roll(xp, g, shifts=back, axis=axis),)


def _matrix_spec(name):
    def rule(x, *, diagonal=0):
        if len(x.shape) < 2:
            raise ValueError(explain(name, "at least two axes", str(list(x.shape))))
        return x

    return rule


@op("tril", infer=_matrix_spec("tril"))
def tril(xp, x, *, diagonal=0):
    """x with zeros above the given diagonal of its last two axes (0: the main one, 1: the one above it)."""
    return xp.tril(x, diagonal)


@tril.grad
def tril_grad(xp, g, saved, *, diagonal=0):
    return (tril(xp, g, diagonal=diagonal),)


@op("triu", infer=_matrix_spec("triu"))
def triu(xp, x, *, diagonal=0):
    """x with zeros below the given diagonal of its last two axes (0: the main one, -1: the one below it)."""
    return xp.triu(x, diagonal)


@triu.grad
def triu_grad(xp, g, saved, *, diagonal=0):
    return (triu(xp, g, diagonal=diagonal),)


def _diagonal_spec(x, *, offset=0, axis1=0, axis2=1):
    a, b = normal_axis("diagonal", axis1, len(x.shape)), normal_axis("diagonal", axis2, len(x.shape))
    if a == b:
        raise ValueError(explain("diagonal", "two different axes", f"axis1={axis1}, axis2={axis2}"))
    rest = tuple(s for i, s in enumerate(x.shape) if i not in (a, b))
    return Spec((*rest, _diagonal_length(x.shape[a], x.shape[b], offset)), x.dtype)


def _diagonal_length(rows, columns, offset):
    if rows is None or columns is None:
        return None
    return max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))


@op("diagonal", infer=_diagonal_spec, saves=("x_shape",))
def diagonal(xp, x, *, offset=0, axis1=0, axis2=1):
    """The diagonal over the two axes as a new last axis; offset: above (positive) or below the main one. A copy."""
    return xp.diagonal(x, offset, axis1, axis2).copy()


@diagonal.grad
def diagonal_grad(xp, g, saved, *, offset=0, axis1=0, axis2=1):
    return (put_on_diagonal(xp, g, shape=saved.x_shape, offset=offset, axis1=axis1, axis2=axis2),)


@op("put_on_diagonal", infer=lambda x, *, shape, **rest: Spec(tuple(shape), x.dtype))
def put_on_diagonal(xp, x, *, shape, offset=0, axis1=0, axis2=1):
    """Zeros of `shape` with x on the diagonal that `diagonal` with the same attributes reads."""
    out = xp.zeros(shape, x.dtype)
    a, b = axis1 % len(shape), axis2 % len(shape)
    matrix = xp.moveaxis(out, (a, b), (-2, -1))
    i = xp.arange(_diagonal_length(shape[a], shape[b], offset))
    matrix[..., i + max(0, -offset), i + max(0, offset)] = x
    return out


@put_on_diagonal.grad
def put_on_diagonal_grad(xp, g, saved, *, shape, offset=0, axis1=0, axis2=1):
    return (diagonal(xp, g, offset=offset, axis1=axis1, axis2=axis2),)


def _pad_spec(x, *, pads, value=0.0):
    if len(pads) != len(x.shape) or any(n < 0 for pair in pads for n in pair):
        raise ValueError(explain("pad", f"a pair of sizes >= 0 for each of the {len(x.shape)} axes", str(list(pads))))
    return Spec(tuple(None if s is None else s + a + b for s, (a, b) in zip(x.shape, pads)), x.dtype)


@op("pad", infer=_pad_spec, saves=("x_shape",))
def pad(xp, x, *, pads, value=0.0):
    """x with `value` around it: pads[i] = (before, after) for axis i."""
    shape = _pad_spec(Spec(x.shape, None), pads=pads).shape
    out = xp.full(shape, value, x.dtype) if value else xp.zeros(shape, x.dtype)
    out[tuple([slice(a, a + s) for s, (a, _) in zip(x.shape, pads)])] = x
    return out


@pad.grad
def pad_grad(xp, g, saved, *, pads, value=0.0):
    return (g[tuple([slice(a, a + s) for s, (a, _) in zip(saved.x_shape, pads)])],)


@op("one_hot", infer=lambda x, *, num_classes: Spec((*x.shape, num_classes), dtypes.float32))
def one_hot(xp, x, *, num_classes):
    """float32 [..., num_classes] with 1 at the place that each integer of x names, else 0.

    ValueError for one outside [0, num_classes), on the CPU; a GPU is not waited for, and gives zeros there.
    """
    if xp is np and x.size and not 0 <= x.min() <= x.max() < num_classes:
        wrong = x[(x < 0) | (x >= num_classes)].flat[0]
        raise ValueError(explain("one_hot", f"classes in [0, {num_classes})", str(wrong)))
    return (x[..., None] == xp.arange(num_classes, dtype=x.dtype)).astype(xp.float32)
