"""Sampling between pixels: resizing along axes, and reading a picture at the points of a grid."""
import math

import numpy as np

from gpuflow.errors import explain
from gpuflow.ops.registry import Spec, op
from gpuflow.ops.rows import add_at

MODES = ("nearest", "linear", "cubic")


def taps(mode, size, count, ratio, align_corners, align_mode):
    """(places, weights), both [k, count] in float64 and int64: which k elements of `size` each of `count` results is
    made of, and how much of each.

    ratio: the distance of two results in elements, or None for what size and count say.
    """
    o = np.arange(count, dtype=np.float64)
    if align_corners:
        ratio = (size - 1) / (count - 1) if count > 1 else 0.0
    elif ratio is None:
        ratio = size / count
    if mode == "nearest":
        places = np.floor(o * ratio + (0.5 if align_corners else 0.0)).astype(np.int64)
        return np.clip(places, 0, size - 1)[None], np.ones((1, count))
    source = o * ratio if align_corners or (mode == "linear" and align_mode == 1) else (o + 0.5) * ratio - 0.5
    if mode == "linear":
        source = np.maximum(source, 0)
        first = np.minimum(np.floor(source).astype(np.int64), size - 1)
        part = source - first
        return np.stack([first, np.minimum(first + 1, size - 1)]), np.stack([1 - part, part])
    first = np.floor(source).astype(np.int64)
    part, a = source - first, -0.75      # the cubic convolution kernel that Paddle and PyTorch take (Keys, 1981)

    def near(t):
        return ((a + 2) * t - (a + 3)) * t * t + 1

    def far(t):
        return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a

    weights = np.stack([far(part + 1), near(part), near(1 - part), far(2 - part)])
    return np.clip(first + np.arange(-1, 3)[:, None], 0, size - 1), weights


def _count(size, count, scale):
    return count if count is not None else None if size is None else int(size * scale)


def _resize_spec(x, *, axes, mode, counts=None, scales=None, align_corners=False, align_mode=0):
    shape = list(x.shape)
    for k, axis in enumerate(axes):
        shape[axis] = _count(shape[axis], counts and counts[k], scales and scales[k])
        if shape[axis] is not None and shape[axis] < 1:
            raise ValueError(explain("interpolate", "at least one element along each axis", str(shape[axis])))
    return Spec(tuple(shape), x.dtype)


def _matrices(xp, sizes, counts, scales, mode, align_corners, align_mode, dtype):
    """For each axis the matrix [size, count] that resizes it."""
    for k, size in enumerate(sizes):
        ratio = None if scales is None else 1 / scales[k]
        places, weights = taps(mode, size, counts[k], ratio, align_corners, align_mode)
        matrix = np.zeros((size, counts[k]))
        np.add.at(matrix, (places, np.arange(counts[k])[None].repeat(len(places), 0)), weights)
        yield xp.asarray(matrix.astype(dtype))


@op("resize", infer=_resize_spec, saves=("x_shape",))
def resize(xp, x, *, axes, mode, counts=None, scales=None, align_corners=False, align_mode=0):
    """x resized along `axes`, one axis after the other.

    counts: the new sizes; or scales: what the old ones are multiplied with. mode: nearest, linear or cubic.
    """
    kind = x.dtype
    out = x.astype(xp.float32) if kind.itemsize == 2 and mode != "nearest" else x
    for k, axis in enumerate(axes):
        size = x.shape[axis]
        count = _count(size, counts and counts[k], scales and scales[k])
        ratio = None if scales is None else 1 / scales[k]
        places, weights = taps(mode, size, count, ratio, align_corners, align_mode)
        shape = [1] * x.ndim
        shape[axis] = count
        total = None
        for where, weight in zip(places, weights):
            part = xp.take(out, xp.asarray(where), axis=axis)
            if mode != "nearest":
                part *= xp.asarray(weight.astype(out.dtype)).reshape(shape)
            total = part if total is None else xp.add(total, part, out=total)
        out = total
    return out.astype(kind, copy=False)


@resize.grad
def resize_grad(xp, g, saved, *, axes, mode, counts=None, scales=None, align_corners=False, align_mode=0):
    return (resize_back(xp, g, axes=axes, mode=mode, sizes=tuple(saved.x_shape[a] for a in axes), scales=scales,
                        align_corners=align_corners, align_mode=align_mode),)


def _back_spec(g, *, axes, mode, sizes, scales=None, align_corners=False, align_mode=0):
    shape = list(g.shape)
    for axis, size in zip(axes, sizes):
        shape[axis] = size
    return Spec(tuple(shape), g.dtype)


@op("resize_back", infer=_back_spec, saves=("g_shape",))
def resize_back(xp, g, *, axes, mode, sizes, scales=None, align_corners=False, align_mode=0):
    """What reaches x from the gradient g of `resize`: the same weights, the other way; sizes: x's along the axes."""
    kind = g.dtype
    out = g.astype(xp.float32) if kind.itemsize == 2 else g
    counts = [g.shape[a] for a in axes]
    matrices = _matrices(xp, sizes, counts, scales, mode, align_corners, align_mode, out.dtype)
    for axis, matrix in zip(axes, matrices):
        out = xp.moveaxis(xp.matmul(xp.moveaxis(out, axis, -1), matrix.T), -1, axis)
    return xp.ascontiguousarray(out).astype(kind, copy=False)


@resize_back.grad
def resize_back_grad(xp, h, saved, *, axes, mode, sizes, scales=None, align_corners=False, align_mode=0):
    return (resize(xp, h, axes=axes, mode=mode, counts=tuple(saved.g_shape[a] for a in axes), scales=scales,
                   align_corners=align_corners, align_mode=align_mode),)


# ---- points of a grid ------------------------------------------------------------------------------------------------


def _grid_spec(x, grid, *, mode="bilinear", padding="zeros", align_corners=True):
    rank = len(x.shape) - 2
    if rank not in (2, 3) or len(grid.shape) != rank + 2 or grid.shape[-1] not in (None, rank):
        raise ValueError(explain("grid_sample", "x [N, C, H, W] and grid [N, h, w, 2], or one axis more and 3",
                                 f"{list(x.shape)} and {list(grid.shape)}"))
    return Spec((x.shape[0], x.shape[1], *grid.shape[1:-1]), x.dtype)


def _reflected(xp, place, low, high):
    """Places folded back into [low, high], in units of elements."""
    span = high - low
    if span <= 0:
        return xp.zeros_like(place)
    off = xp.abs(place - low)
    return xp.where(xp.floor(off / span) % 2 == 0, off % span, span - off % span) + low


def _places(xp, grid, sizes, padding, align_corners):
    """Per spatial axis (first to last) the place in elements, and its slope with respect to the grid's number."""
    found = []
    for k, size in enumerate(sizes):
        number = grid[..., len(sizes) - 1 - k]       # the grid names the last axis first
        place = (number + 1) / 2 * (size - 1) if align_corners else ((number + 1) * size - 1) / 2
        slope = xp.full(place.shape, (size - 1) / 2 if align_corners else size / 2, place.dtype)
        if padding == "reflection":
            low, high = (0, size - 1) if align_corners else (-0.5, size - 0.5)
            step = 1e-3
            ahead = _reflected(xp, place + step, low, high)
            place = _reflected(xp, place, low, high)
            slope = slope * xp.sign(ahead - place)
        if padding != "zeros":
            slope = xp.where((place >= 0) & (place <= size - 1), slope, 0)
            place = xp.clip(place, 0, size - 1)
        found.append((place, slope))
    return found


def _corners(xp, places, sizes, mode):
    """For each neighbour of the points: (index per axis, weight per axis, slope of each weight, inside)."""
    if mode == "nearest":
        choices = [[(xp.rint(place), xp.ones_like(place), xp.zeros_like(place))] for place, _ in places]
    else:
        choices = []
        for place, _ in places:
            first = xp.floor(place)
            part = place - first
            choices.append([(first, 1 - part, -xp.ones_like(part)), (first + 1, part, xp.ones_like(part))])
    for picked in np.ndindex(*map(len, choices)):
        chosen = [choices[axis][i] for axis, i in enumerate(picked)]
        inside = True
        index = []
        for (place, _, _), size in zip(chosen, sizes):
            inside = inside & (place >= 0) & (place <= size - 1)
            index.append(xp.clip(place, 0, size - 1).astype(xp.int64))
        yield index, [w for _, w, _ in chosen], [s for _, _, s in chosen], inside


@op("grid_sample", infer=_grid_spec, saves=("x", "grid"))
def grid_sample(xp, x, grid, *, mode="bilinear", padding="zeros", align_corners=True):
    """x [N, C, H, W] read at grid [N, h, w, 2], whose numbers (x, y) in [-1, 1] span the picture: [N, C, h, w].

    Pictures of three axes likewise. padding: what lies outside, "zeros", "border" or "reflection".
    """
    if x.shape[0] != grid.shape[0] or grid.shape[-1] != x.ndim - 2:
        raise ValueError("the batch sizes, or the number of axes, differ")
    sizes = x.shape[2:]
    batch = xp.arange(x.shape[0]).reshape((-1, *[1] * (grid.ndim - 2)))
    out = None
    for index, weights, _, inside in _corners(xp, _places(xp, grid, sizes, padding, align_corners), sizes, mode):
        weight = math.prod(weights) * inside
        part = xp.moveaxis(x, 1, -1)[(batch, *index)] * weight[..., None].astype(x.dtype)
        out = part if out is None else out + part
    return xp.ascontiguousarray(xp.moveaxis(out, -1, 1))


@grid_sample.grad
def grid_sample_grad(xp, g, saved, *, mode="bilinear", padding="zeros", align_corners=True):
    return grid_sample_back(xp, g, saved.x, saved.grid, mode=mode, padding=padding, align_corners=align_corners)


@op("grid_sample_back", infer=lambda g, x, grid, **attrs: (Spec(x.shape, x.dtype), Spec(grid.shape, grid.dtype)),
    outputs=("to_x", "to_grid"))
def grid_sample_back(xp, g, x, grid, *, mode="bilinear", padding="zeros", align_corners=True):
    """The gradients of grid_sample with respect to x and to the grid, for the gradient g of its result."""
    sizes, rank = x.shape[2:], x.ndim - 2
    batch = xp.arange(x.shape[0]).reshape((-1, *[1] * (grid.ndim - 2)))
    places = _places(xp, grid, sizes, padding, align_corners)
    last, up = xp.moveaxis(x, 1, -1), xp.moveaxis(g, 1, -1)
    to_x, to_grid = xp.zeros(last.shape, x.dtype), xp.zeros(grid.shape, grid.dtype)
    for index, weights, slopes, inside in _corners(xp, places, sizes, mode):
        where = tuple(xp.broadcast_to(i, index[0].shape) for i in (batch, *index))
        weight = math.prod(weights) * inside
        add_at(xp, to_x, where, up * weight[..., None].astype(x.dtype))
        if mode != "nearest":
            along = (up * last[where]).sum(axis=-1) * inside
            for k in range(rank):
                others = math.prod(w for j, w in enumerate(weights) if j != k)
                to_grid[..., rank - 1 - k] += along * others * slopes[k] * places[k][1]
    return xp.ascontiguousarray(xp.moveaxis(to_x, -1, 1)), to_grid


@grid_sample_back.grad
def grid_sample_back_grad(xp, h, saved, **attrs):
    raise NotImplementedError(explain("grid_sample", "one derivative", "a second one"))
