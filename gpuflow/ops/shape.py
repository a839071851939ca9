"""Ops that move elements without changing them: reshape, transpose, expand, concat, index."""
import math

from gpuflow import dtypes
from gpuflow.errors import explain
from gpuflow.ops.registry import Spec, broadcast_shapes, normal_axes, normal_axis, op


def resolved_shape(where, shape, old):
    """`shape` with 0 replaced by the old size at that place and one -1 by what is left. None stays unknown."""
    new = [old[i] if s == 0 and i < len(old) else s for i, s in enumerate(shape)]
    if new.count(-1) > 1:
        raise ValueError(explain(where, "at most one -1 in the shape", str(list(shape))))
    if None in old:
        return tuple(None if s == -1 else s for s in new)
    count = math.prod(old)
    if -1 in new:
        rest = math.prod(s for s in new if s != -1)
        if rest == 0 or count % rest:
            raise ValueError(explain(where, f"a shape for {count} elements", str(list(shape))))
        new[new.index(-1)] = count // rest
    if math.prod(new) != count:
        raise ValueError(explain(where, f"a shape for the {count} elements of {list(old)}", str(list(shape))))
    return tuple(new)


@op("reshape", infer=lambda x, *, shape: Spec(resolved_shape("reshape", shape, x.shape), x.dtype), saves=("x_shape",),
    views=True)
def reshape(xp, x, *, shape):
    """x's elements in row-major order in another shape. 0 keeps the old size at that place; one -1 is worked out."""
    return x.reshape(resolved_shape("reshape", shape, x.shape))


@reshape.grad
def reshape_grad(xp, g, saved, *, shape):
    return (g.reshape(saved.x_shape),)


def _transpose_spec(x, *, perm):
    axes = tuple(normal_axis("transpose", a, len(x.shape)) for a in perm)
    if sorted(axes) != list(range(len(x.shape))):
        raise ValueError(explain("transpose", f"perm with each of the {len(x.shape)} axes once", str(list(perm))))
    return Spec(tuple(x.shape[a] for a in axes), x.dtype)


@op("transpose", infer=_transpose_spec, views=True)
def transpose(xp, x, *, perm):
    """x with its axes in the order `perm`."""
    return x.transpose(perm)


@transpose.grad
def transpose_grad(xp, g, saved, *, perm):
    back = [0] * len(perm)
    for to, origin in enumerate(perm):
        back[origin % len(perm)] = to
    return (g.transpose(tuple(back)),)


def _expand_spec(x, *, shape):
    shape = expanded_shape(x.shape, shape)
    if broadcast_shapes("expand", x.shape, shape) != shape and None not in x.shape:
        raise ValueError(explain("expand", f"a shape that {list(x.shape)} broadcasts to", str(list(shape))))
    return Spec(shape, x.dtype)


def expanded_shape(old, shape):
    """`shape` with -1 replaced by the old size at that place (counted from the end)."""
    if len(shape) < len(old):
        raise ValueError(explain("expand", f"at least {len(old)} sizes", str(list(shape))))
    offset = len(shape) - len(old)
    if any(s == -1 for s in shape[:offset]):
        raise ValueError(explain("expand", "no -1 where x has no axis", str(list(shape))))
    return tuple(old[i - offset] if s == -1 else s for i, s in enumerate(shape))


@op("expand", infer=_expand_spec, views=True)
def expand(xp, x, *, shape):
    """x broadcast to `shape`; -1 keeps a size."""
    return xp.broadcast_to(x, expanded_shape(x.shape, shape))


@expand.grad
def expand_grad(xp, g, saved, *, shape):
    return (g,)  # the tape sums it down to x's shape


def _beside_spec(x, *others):
    return Spec(broadcast_shapes("expand_beside", x.shape, *(o.shape for o in others)), x.dtype)


@op("expand_beside", infer=_beside_spec, saves=("others_shape",), views=True)
def expand_beside(xp, x, *others):
    """x broadcast to the shape that it and the others have in common."""
    return xp.broadcast_to(x, broadcast_shapes("expand_beside", x.shape, *(o.shape for o in others)))


@expand_beside.grad
def expand_beside_grad(xp, g, saved):
    return (g, *[None] * len(saved.others_shape))


@op("shape", infer=lambda x: Spec((len(x.shape),), dtypes.int64))
def shape(xp, x):
    """The sizes of x as int64."""
    return xp.asarray(x.shape, xp.int64)


@op("numel", infer=lambda x: Spec((), dtypes.int64))
def numel(xp, x):
    """The number of elements of x, 0-d int64."""
    return xp.asarray(x.size, xp.int64)


def _squeeze_spec(x, *, axis=None):
    axes = normal_axes("squeeze", axis, len(x.shape))
    if axis is None and None in x.shape:
        raise ValueError(explain("squeeze", "known sizes, or the axes to leave out", f"x {list(x.shape)}"))
    return Spec(tuple(s for i, s in enumerate(x.shape) if not (i in axes and s in (1, None))), x.dtype)


@op("squeeze", infer=_squeeze_spec, saves=("x_shape",), views=True)
def squeeze(xp, x, *, axis=None):
    """x without the axes of size 1 among `axis` (all by default); other sizes in `axis` stay."""
    return x.reshape(_squeeze_spec(Spec(x.shape, None), axis=axis).shape)


@squeeze.grad
def squeeze_grad(xp, g, saved, *, axis=None):
    return (g.reshape(saved.x_shape),)


def _unsqueeze_spec(x, *, axis):
    shape = list(x.shape)
    for a in (axis,) if isinstance(axis, int) else axis:
        shape.insert(normal_axis("unsqueeze", a, len(shape) + 1), 1)
    return Spec(tuple(shape), x.dtype)


@op("unsqueeze", infer=_unsqueeze_spec, saves=("x_shape",), views=True)
def unsqueeze(xp, x, *, axis):
    """x with an axis of size 1 put in at each place of `axis`, one after the other."""
    return x.reshape(_unsqueeze_spec(Spec(x.shape, None), axis=axis).shape)


@unsqueeze.grad
def unsqueeze_grad(xp, g, saved, *, axis):
    return (g.reshape(saved.x_shape),)


def _concat_spec(*xs, axis=0):
    axis = normal_axis("concat", axis, len(xs[0].shape))
    for x in xs[1:]:
        rest = [(a, b) for i, (a, b) in enumerate(zip(xs[0].shape, x.shape, strict=False)) if i != axis]
        if len(x.shape) != len(xs[0].shape) or any(a != b and None not in (a, b) for a, b in rest):
            raise ValueError(explain("concat", f"shapes equal but for axis {axis}",
                                     ", ".join(str(list(s.shape)) for s in xs)))
        if x.dtype is not xs[0].dtype:
            raise ValueError(explain("concat", "tensors of one dtype", ", ".join(s.dtype.name for s in xs),
                                     "x.astype(...)"))
    sizes = [x.shape[axis] for x in xs]
    shape = list(xs[0].shape)
    shape[axis] = None if None in sizes else sum(sizes)
    return Spec(tuple(shape), xs[0].dtype)


@op("concat", infer=_concat_spec, saves=("xs_shape",))
def concat(xp, *xs, axis=0):
    """The tensors one after the other along `axis`; other sizes and the dtype must be equal."""
    if any(x.dtype != xs[0].dtype for x in xs):
        raise ValueError("dtypes differ")
    return xp.concatenate(xs, axis=axis)


@concat.grad
def concat_grad(xp, g, saved, *, axis=0):
    out, start = [], 0
    before = (slice(None),) * (axis % g.ndim)
    for shape in saved.xs_shape:
        stop = start + shape[axis]
        out.append(g[(*before, slice(start, stop))])
        start = stop
    return out


def _stack_spec(*xs, axis=0):
    if any(x.shape != xs[0].shape or x.dtype is not xs[0].dtype for x in xs):
        raise ValueError(explain("stack", "tensors of one shape and dtype", ", ".join(
            str(list(x.shape)) if x.dtype is xs[0].dtype else str(x) for x in xs)))
    shape = list(xs[0].shape)
    shape.insert(normal_axis("stack", axis, len(shape) + 1), len(xs))
    return Spec(tuple(shape), xs[0].dtype)


@op("stack", infer=_stack_spec)
def stack(xp, *xs, axis=0):
    """The tensors, all of one shape and dtype, along a new axis."""
    if any(x.dtype != xs[0].dtype for x in xs):
        raise ValueError("dtypes differ")
    return xp.stack(xs, axis=axis)


@stack.grad
def stack_grad(xp, g, saved, *, axis=0):
    before = (slice(None),) * (axis % g.ndim)
    return [g[(*before, i)] for i in range(g.shape[axis])]


@op("flip", infer=lambda x, *, axis: Spec(x.shape, x.dtype))
def flip(xp, x, *, axis):
    """x with the order of elements reversed along each of `axis`."""
    return xp.flip(x, tuple(axis) if isinstance(axis, list) else axis).copy()


@flip.grad
def flip_grad(xp, g, saved, *, axis):
    return (xp.flip(g, axis),)
