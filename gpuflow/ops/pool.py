"""Pooling in any number of spatial axes, over [N, C, *S] or, with channels_last, [N, *S, C].

The largest element of a window is found with its place (`mask`), and its gradient is put back there: `take_places` and
`put_places` are each other's gradients. Averages are linear: `avg_pool` and `avg_pool_input_grad` are each other's.
"""
import math

import numpy as np

from gpuflow import device, dtypes, random
from gpuflow.errors import explain
from gpuflow.ops import patches
from gpuflow.ops.registry import Spec, op
from gpuflow.ops.rows import sums_at
from gpuflow_kernels import nn


def _sizes(where, x, rank, channels_last):
    if len(x.shape) != rank + 2:
        raise ValueError(explain(where, f"x of {rank + 2} axes [N, C, ...]", f"{len(x.shape)} axes {list(x.shape)}",
                                 "x.unsqueeze(0) for one sample" if len(x.shape) == rank + 1 else None))
    return x.shape[1:-1] if channels_last else x.shape[2:]


def _shaped(x, counts, channels_last):
    return (x.shape[0], *counts, x.shape[-1]) if channels_last else (*x.shape[:2], *counts)


def _resolved(where, sizes, kernel, stride, padding, ceil_mode):
    """(padding pairs, window counts)."""
    ones = (1,) * len(kernel)
    if padding == "SAME" and None in sizes:
        return padding, tuple(None if n is None else -(-n // s) for n, s in zip(sizes, stride, strict=True))
    padding, _ = patches.resolved_padding(padding, sizes, kernel, stride, ones)
    for k, pair in zip(kernel, padding, strict=True):
        if max(pair) >= k and max(pair) > 0:
            raise ValueError(explain(where, f"padding smaller than the kernel {list(kernel)}", str(padding)))
    counts = patches.window_counts(where, sizes, kernel, stride, padding, ones, ceil_mode)
    for axis, (n, o, s, pair) in enumerate(zip(sizes, counts, stride, padding, strict=True)):
        if n is not None and (o - 1) * s - pair[0] >= n:
            raise ValueError(explain(where, "an element of x in every window", f"a last window of padding only along "
                                     f"spatial axis {axis}", "ceil_mode=False, or less padding"))
    return padding, counts


def _max_spec(x, *, kernel, stride, padding, ceil_mode=False, channels_last=False):
    where = f"max_pool{len(kernel)}d"
    counts = _resolved(where, _sizes(where, x, len(kernel), channels_last), kernel, stride, padding, ceil_mode)[1]
    shape = _shaped(x, counts, channels_last)
    return Spec(shape, x.dtype), Spec(shape, dtypes.int32)


@op("max_pool", infer=_max_spec, saves=("x_shape", "mask"), outputs=("out", "mask"), no_grad_outputs=(1,))
def max_pool(xp, x, *, kernel, stride, padding, ceil_mode=False, channels_last=False):
    """The largest element of each window, and where it is: its int32 number in the sample's channel, row-major.

    kernel, stride: one int per spatial axis; padding: (low, high) per axis or "SAME", never the largest. Of equal
    elements the first counts; a window that holds a nan gives nan.
    """
    xc = patches.to_channels_first(xp, x, channels_last)
    padding, counts = _resolved("max_pool", xc.shape[2:], kernel, stride, padding, ceil_mode)
    low, ones = tuple(pair[0] for pair in padding), (1,) * len(kernel)
    if xp is np and nn.takes(x.dtype) and x.size:
        return tuple(np.moveaxis(a, 1, -1) if channels_last else a for a in nn.largest(xc, low, counts, kernel, stride))
    out = xp.empty(_shaped(x, counts, channels_last), x.dtype)
    mask = xp.zeros(out.shape, xp.int32)
    best, place = (patches.to_channels_first(xp, a, channels_last) for a in (out, mask))
    best[...] = lowest = _lowest(x.dtype)
    padded = patches.covered(xp, xc, 2, low, patches.extents_of(counts, kernel, stride, ones), lowest)
    for tap, index in patches.taps(2, counts, kernel, stride, ones):
        value = padded[index]
        better = (value > best) | (value != value)
        xp.copyto(best, value, where=better)
        xp.copyto(place, _places(xp, tap, low, counts, stride, xc.shape[2:]), where=better)
    return out, mask


def _lowest(dtype):
    return -math.inf if dtype.kind not in "iu" else np.iinfo(dtype).min


def _places(xp, tap, low, counts, stride, sizes):
    """The row-major number of the element at place `tap` of every window, [*counts]."""
    number = 0
    for axis, size in enumerate(sizes):
        at = xp.arange(counts[axis], dtype=xp.int32) * stride[axis] + (tap[axis] - low[axis])
        number = number * size + at.reshape((-1, *[1] * (len(sizes) - 1 - axis)))
    return number


@max_pool.grad
def max_pool_grad(xp, g, saved, *, kernel, stride, padding, ceil_mode=False, channels_last=False):
    return (put_places(xp, g[0], saved.mask, shape=saved.x_shape, channels_last=channels_last),)


@op("put_places", saves=("mask",),
    infer=lambda x, mask, *, shape, channels_last=False: Spec((x.shape[0], *shape[1:]), x.dtype))
def put_places(xp, x, mask, *, shape, channels_last=False):
    """Zeros of `shape` (with x's batch) with each element of x added at the place that `mask` names in its sample and
    channel."""
    sizes = shape[1:-1] if channels_last else shape[2:]
    if xp is np and nn.takes(x.dtype) and x.size:
        out = nn.put(*(patches.to_channels_first(np, a, channels_last) for a in (x, mask)), sizes)
        return np.moveaxis(out, 1, -1) if channels_last else out
    out = xp.zeros((x.shape[0], *shape[1:]), x.dtype)
    if not x.size:
        return out
    target, x, mask = (patches.to_channels_first(xp, a, channels_last) for a in (out, x, mask))
    planes, length = target.shape[0] * target.shape[1], math.prod(sizes)
    start = xp.arange(planes).reshape((-1, 1)) * length
    where = (mask.reshape((planes, -1)) + start).reshape(-1)
    wide = xp.float64 if x.dtype.itemsize == 8 else xp.float32
    flat = sums_at(xp, where, x.reshape(-1).astype(wide), planes * length)
    target[...] = flat.reshape(target.shape)
    return out


@put_places.grad
def put_places_grad(xp, g, saved, *, shape, channels_last=False):
    return take_places(xp, g, saved.mask, channels_last=channels_last), None


@op("take_places", infer=lambda x, mask, *, channels_last=False: Spec(mask.shape, x.dtype), saves=("mask", "x_shape"))
def take_places(xp, x, mask, *, channels_last=False):
    """The elements of x at the places that `mask` names in their sample and channel, shaped like mask."""
    out = xp.empty(mask.shape, x.dtype)
    target, x, mask = (patches.to_channels_first(xp, a, channels_last) for a in (out, x, mask))
    flat = (*x.shape[:2], -1)
    target[...] = xp.take_along_axis(x.reshape(flat), mask.reshape(flat), axis=2).reshape(target.shape)
    return out


@take_places.grad
def take_places_grad(xp, g, saved, *, channels_last=False):
    return put_places(xp, g, saved.mask, shape=saved.x_shape, channels_last=channels_last), None


def _avg_spec(x, *, kernel, stride, padding, ceil_mode=False, exclusive=True, divisor=None, channels_last=False):
    where = f"avg_pool{len(kernel)}d"
    counts = _resolved(where, _sizes(where, x, len(kernel), channels_last), kernel, stride, padding, ceil_mode)[1]
    return Spec(_shaped(x, counts, channels_last), x.dtype)


def _divisors(xp, sizes, counts, kernel, stride, padding, exclusive, divisor):
    """What the sums of windows are divided by: a number, or an array [*counts].

    exclusive: the elements inside x; else also those inside the padding, though not what hangs over with ceil_mode.
    """
    if divisor:
        return divisor
    number = np.ones((), np.float32)
    for n, o, k, s, (before, after) in zip(sizes, counts, kernel, stride, padding, strict=True):
        low, high = (0, n) if exclusive else (-before, n + after)
        first = np.arange(o) * s - before
        number = number[..., None] * (np.minimum(first + k, high) - np.maximum(first, low))
    return math.prod(kernel) if (number == math.prod(kernel)).all() else xp.asarray(number.astype(np.float32))


def _wide(xp, x):
    return x.astype(xp.float32) if x.dtype.itemsize == 2 else x


@op("avg_pool", infer=_avg_spec, saves=("x_shape",))
def avg_pool(xp, x, *, kernel, stride, padding, ceil_mode=False, exclusive=True, divisor=None, channels_last=False):
    """The mean of each window: its sum over `divisor`, or over its elements inside x (all places if not exclusive)."""
    xc = _wide(xp, patches.to_channels_first(xp, x, channels_last))
    padding, counts = _resolved("avg_pool", xc.shape[2:], kernel, stride, padding, ceil_mode)
    out = xp.zeros(_shaped(x, counts, channels_last), xc.dtype)
    total = patches.to_channels_first(xp, out, channels_last)
    low, ones = tuple(pair[0] for pair in padding), (1,) * len(kernel)
    padded = patches.covered(xp, xc, 2, low, patches.extents_of(counts, kernel, stride, ones), 0)
    for _, index in patches.taps(2, counts, kernel, stride, ones):
        total += padded[index]
    total /= _divisors(xp, xc.shape[2:], counts, kernel, stride, padding, exclusive, divisor)
    return out.astype(x.dtype, copy=False)


@avg_pool.grad
def avg_pool_grad(xp, g, saved, **attrs):
    return (avg_pool_input_grad(xp, g, shape=saved.x_shape, **attrs),)


@op("avg_pool_input_grad", infer=lambda g, *, shape, **attrs: Spec(tuple(shape), g.dtype))
def avg_pool_input_grad(xp, g, *, shape, kernel, stride, padding, ceil_mode=False, exclusive=True, divisor=None,
                        channels_last=False):
    """The gradient of avg_pool's input of `shape`: every element of g, divided, laid over its window."""
    gc = _wide(xp, patches.to_channels_first(xp, g, channels_last))
    out = xp.zeros(shape, gc.dtype)
    target = patches.to_channels_first(xp, out, channels_last)
    padding, counts = _resolved("avg_pool", target.shape[2:], kernel, stride, padding, ceil_mode)
    low = tuple(pair[0] for pair in padding)
    gc = gc / _divisors(xp, target.shape[2:], counts, kernel, stride, padding, exclusive, divisor)
    patches.add_back(xp, lambda tap: gc, target, 2, low, counts, kernel, stride, (1,) * len(kernel))
    return out.astype(g.dtype, copy=False)


@avg_pool_input_grad.grad
def avg_pool_input_grad_grad(xp, h, saved, *, shape, **attrs):
    return (avg_pool(xp, h, **attrs),)


def adaptive_bounds(size, count):
    """(first, last) of each of `count` windows that together cover `size` elements: Paddle's and torch's cut."""
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def _adaptive_spec(where):
    def rule(x, *, counts, channels_last=False):
        sizes = _sizes(where.format(len(counts)), x, len(counts), channels_last)
        out = tuple(n if o is None else o for n, o in zip(sizes, counts, strict=True))
        return Spec(_shaped(x, out, channels_last), x.dtype)

    return rule


def _averaging(xp, size, count, dtype):
    """The matrix [size, count] whose column i averages window i."""
    matrix = np.zeros((size, count), np.float64)
    for i, (first, last) in enumerate(adaptive_bounds(size, count)):
        matrix[first:last, i] = 1 / (last - first)
    return xp.asarray(matrix.astype(dtype))


def _along_axes(xp, x, matrices):
    """x [N, C, *S] multiplied along each spatial axis by its matrix (None leaves the axis alone)."""
    for axis, matrix in enumerate(matrices, 2):
        if matrix is not None:
            x = xp.moveaxis(xp.matmul(xp.moveaxis(x, axis, -1), matrix), -1, axis)
    return x


@op("adaptive_avg_pool", infer=_adaptive_spec("adaptive_avg_pool{}d"), saves=("x_shape",))
def adaptive_avg_pool(xp, x, *, counts, channels_last=False):
    """Means of windows chosen so that `counts` of them cover each spatial axis; None in counts keeps an axis."""
    xc = _wide(xp, patches.to_channels_first(xp, x, channels_last))
    if all(o == 1 for o in counts):
        out = xc.mean(axis=tuple(range(2, xc.ndim)), keepdims=True)
    else:
        out = _along_axes(xp, xc, [None if o is None else _averaging(xp, n, o, xc.dtype)
                                   for n, o in zip(xc.shape[2:], counts, strict=True)])
    out = xp.moveaxis(out, 1, -1) if channels_last else out
    return xp.ascontiguousarray(out).astype(x.dtype, copy=False)


@adaptive_avg_pool.grad
def adaptive_avg_pool_grad(xp, g, saved, *, counts, channels_last=False):
    return (adaptive_avg_pool_input_grad(xp, g, shape=saved.x_shape, counts=counts, channels_last=channels_last),)


@op("adaptive_avg_pool_input_grad", infer=lambda g, *, shape, counts, channels_last=False: Spec(tuple(shape), g.dtype))
def adaptive_avg_pool_input_grad(xp, g, *, shape, counts, channels_last=False):
    """The gradient of adaptive_avg_pool's input of `shape`."""
    gc = _wide(xp, patches.to_channels_first(xp, g, channels_last))
    sizes = shape[1:-1] if channels_last else shape[2:]
    if all(o == 1 for o in counts):
        out = xp.broadcast_to(gc / math.prod(sizes), (*gc.shape[:2], *sizes))
    else:
        out = _along_axes(xp, gc, [None if o is None else _averaging(xp, n, o, gc.dtype).T
                                   for n, o in zip(sizes, counts, strict=True)])
    out = xp.moveaxis(out, 1, -1) if channels_last else out
    return xp.ascontiguousarray(out).astype(g.dtype, copy=False)


@adaptive_avg_pool_input_grad.grad
def adaptive_avg_pool_input_grad_grad(xp, h, saved, *, shape, counts, channels_last=False):
    return (adaptive_avg_pool(xp, h, counts=counts, channels_last=channels_last),)


def _adaptive_max_spec(x, *, counts):
    out = _adaptive_spec("adaptive_max_pool{}d")(x, counts=counts)
    return out, Spec(out.shape, dtypes.int32)


@op("adaptive_max_pool", infer=_adaptive_max_spec, saves=("x_shape", "mask"), outputs=("out", "mask"),
    no_grad_outputs=(1,))
def adaptive_max_pool(xp, x, *, counts):
    """The largest elements of windows chosen as in adaptive_avg_pool, and their int32 places; x [N, C, *S]."""
    counts = tuple(n if o is None else o for n, o in zip(x.shape[2:], counts, strict=True))
    bounds = [np.array(adaptive_bounds(n, o)).T for n, o in zip(x.shape[2:], counts, strict=True)]
    return _largest_between(xp, x, [(xp.asarray(first), xp.asarray(last)) for first, last in bounds],
                            [int((last - first).max()) for first, last in bounds])


def _largest_between(xp, x, bounds, widest):
    """The largest elements of x [N, C, *S] between (first, last), arrays of numbers per axis, and their int32 places.

    widest: the width per axis that no window exceeds.
    """
    counts = tuple(len(first) for first, _ in bounds)
    out, mask = xp.full((*x.shape[:2], *counts), _lowest(x.dtype), x.dtype), xp.zeros((*x.shape[:2], *counts), xp.int32)
    for tap in np.ndindex(*widest):
        number, inside, index = xp.zeros((), xp.int32), xp.ones((), bool), []
        for (first, last), t, n in zip(bounds, tap, x.shape[2:], strict=True):
            at = xp.minimum(first + t, n - 1)
            number, inside = number[..., None] * n + at, inside[..., None] & (first + t < last)  # some are narrower
            index.append(at)
        value = x[(slice(None), slice(None), *xp.ix_(*index))]
        better = ((value > out) | (value != value)) & inside
        out = xp.where(better, value, out)
        mask = xp.where(better, number.astype(xp.int32), mask)
    return out, mask


@adaptive_max_pool.grad
def adaptive_max_pool_grad(xp, g, saved, *, counts):
    return (put_places(xp, g[0], saved.mask, shape=saved.x_shape),)


def _fractional_counts(sizes, counts, kernel):
    counts = tuple(n if o is None else o for n, o in zip(sizes, counts, strict=True))
    for n, o, k in zip(sizes, counts, kernel or (1,) * len(counts), strict=True):
        if n is not None and o + k - 1 > n:
            raise ValueError(explain(f"fractional_max_pool{len(counts)}d", f"output_size + kernel_size - 1 within x's "
                                     f"sizes {list(sizes)}", f"{list(counts)} + {kernel and list(kernel)} - 1"))
    return counts


def _fractional_spec(x, *, counts, kernel=None, u=None):
    sizes = _sizes(f"fractional_max_pool{len(counts)}d", x, len(counts), False)
    shape = (*x.shape[:2], *_fractional_counts(sizes, counts, kernel))
    return Spec(shape, x.dtype), Spec(shape, dtypes.int32)


@op("fractional_max_pool", infer=_fractional_spec, saves=("x_shape", "mask"), outputs=("out", "mask"),
    no_grad_outputs=(1,))
def fractional_max_pool(xp, x, *, counts, kernel=None, u=None):
    """The largest elements of windows whose starts are drawn (Graham, 2014), and their int32 places; x [N, C, *S].

    counts: windows per axis, None keeps an axis. kernel: their sizes, by default each ends where the next begins.
    u: the number in (0, 1) that all starts follow from; None draws it.
    """
    counts = _fractional_counts(_sizes(f"fractional_max_pool{len(counts)}d", x, len(counts), False), counts, kernel)
    drawn = random.uniform((), "float32", place=device.place_of(x)) if u is None else xp.asarray(u, xp.float32)
    axes = [_fractional_bounds(xp, n, o, k, drawn)
            for n, o, k in zip(x.shape[2:], counts, kernel or (0,) * len(counts), strict=True)]
    return _largest_between(xp, x, [bounds for bounds, _ in axes], [widest for _, widest in axes])


def _fractional_bounds(xp, size, count, kernel, u):
    """((first, last) of the windows along an axis, the most that one spans): arrays, so that u stays on its device."""
    if kernel:
        step = (size - kernel) / max(count - 1, 1)
    else:
        step, least = size / count, size // count
        u = u * min((least + 2) / step - 1, (size + 1 - least) / step - (count - 1))
    edges = xp.ceil((xp.arange(count + 1, dtype=xp.float64) + u) * step - 1).astype(xp.int32)
    edges -= edges[0]                                    # the first window begins with x
    first, last = edges[:-1], edges[:-1] + kernel if kernel else edges[1:]
    return (first, xp.minimum(last, size)), kernel or math.ceil(step)


@fractional_max_pool.grad
def fractional_max_pool_grad(xp, g, saved, *, counts, kernel=None, u=None):
    return (put_places(xp, g[0], saved.mask, shape=saved.x_shape),)
