"""Windows that slide over the spatial axes of a batch: what convolution and pooling share.

Window number o along an axis covers the input at ``o * stride - low + tap * dilation`` for tap in 0 .. kernel-1; what
lies outside the input is padding. `low` may be negative, which is how a part of the windows is addressed.
"""
import itertools
import math

import numpy as np

from gpuflow.errors import explain
from gpuflow_kernels import nn


def resolved_padding(padding, sizes, kernel, stride, dilation):
    """((low, high), ...) and the dilation that counts: "SAME" keeps ceil(size / stride) and, as in Paddle, dilation 1.

    padding: pairs, or "SAME".
    """
    if padding != "SAME":
        return padding, dilation
    pairs = []
    for size, k, s in zip(sizes, kernel, stride, strict=True):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        pairs.append((total // 2, total - total // 2))
    return tuple(pairs), (1,) * len(kernel)


def window_count(size, kernel, stride, pair, dilation, ceil_mode=False):
    """How many windows fit along one axis; None for an unknown size. With ceil_mode a last one may hang over."""
    if size is None:
        return None
    room = size + pair[0] + pair[1] - ((kernel - 1) * dilation + 1)
    return (room + stride - 1 if ceil_mode else room) // stride + 1


def window_counts(where, sizes, kernel, stride, padding, dilation, ceil_mode=False):
    """window_count of every axis; ValueError where not even one window fits."""
    counts = tuple(map(lambda *a: window_count(*a, ceil_mode), sizes, kernel, stride, padding, dilation))
    for axis, count in enumerate(counts):
        if count is not None and count < 1:
            reach = (kernel[axis] - 1) * dilation[axis] + 1
            raise ValueError(explain(where, f"at least {reach} elements with padding along spatial axis {axis} (kernel "
                                     f"{kernel[axis]}, dilation {dilation[axis]})",
                                     f"{sizes[axis]} + {padding[axis][0]} + {padding[axis][1]}",
                                     "more padding or a smaller kernel"))
    return counts


def to_channels_first(xp, x, channels_last):
    """x as [N, C, *S]: itself, or a view."""
    return xp.moveaxis(x, -1, 1) if channels_last else x


def covered(xp, x, lead, low, extents, fill):
    """The input from -low on, `extents` elements along each spatial axis; `fill` outside. A view where all is inside.

    lead: how many axes of x come before the spatial ones.
    """
    inside, around = [slice(None)] * lead, [(0, 0)] * x.ndim
    for axis, (start, extent) in enumerate(zip(low, extents, strict=True), lead):
        size = x.shape[axis]
        first, last = _overlap(size, start, extent)
        inside.append(slice(first, last))
        around[axis] = (first + start, extent - last - start) if last > first else (extent, 0)
    x = x[tuple(inside)]
    return xp.pad(x, around, constant_values=fill) if any(map(any, around)) else x


def _overlap(size, start, extent):
    """The elements of an axis that lie in the span of `extents` elements beginning at -start."""
    first, last = min(max(-start, 0), size), max(min(extent - start, size), 0)
    return first, max(first, last)


def extents_of(counts, kernel, stride, dilation):
    """How many elements `counts` windows span along each axis."""
    return tuple((o - 1) * s + (k - 1) * d + 1 for o, k, s, d in zip(counts, kernel, stride, dilation, strict=True))


def taps(lead, counts, kernel, stride, dilation):
    """(tap, index) for every place in a window: covered[index] are the elements at that place of all windows."""
    for tap in itertools.product(*map(range, kernel)):
        yield tap, (*[slice(None)] * lead, *(
            slice(t * d, t * d + (o - 1) * s + 1, s) for t, o, s, d in zip(tap, counts, stride, dilation, strict=True)))


def add_back(xp, part_of, target, lead, low, counts, kernel, stride, dilation):
    """Adds part_of(tap), for every place in a window, to the elements of target that the windows have there."""
    extents = extents_of(counts, kernel, stride, dilation)
    padded = xp.zeros((*target.shape[:lead], *extents, *target.shape[lead + len(extents):]), target.dtype)
    for tap, index in taps(lead, counts, kernel, stride, dilation):
        padded[index] += part_of(tap)
    inside, origin = [slice(None)] * lead, [slice(None)] * lead
    for size, start, extent in zip(target.shape[lead:], low, extents):
        first, last = _overlap(size, start, extent)
        inside.append(slice(first, last))
        origin.append(slice(first + start, last + start))
    target[tuple(inside)] += padded[tuple(origin)]


# ---- columns for convolution: here arrays are [C, *S, N], the samples innermost -------------------------------------
# A window's neighbours are then copied in runs of a whole row of windows times the samples, instead of a few elements.
# Results of convolutions keep that order in memory under their usual shape; what follows (activations, batch norm,
# pooling, the next convolution) keeps it or takes it as it is, so that a network turns its data once, at the start.


def samples_last(xp, x):
    """x [N, C, *S] as [C, *S, N] without gaps in memory: a view where it lies so already, else a copy."""
    if xp is np and nn.takes(x.dtype) and x.flags.c_contiguous and x.size:
        return nn.turned(x.reshape(x.shape[0], -1)).reshape(*x.shape[1:], x.shape[0])
    return xp.ascontiguousarray(nn.first_last(x))


def samples_first(xp, x, channels_last):
    """The view [N, C, *S], or [N, *S, C], of x [C, *S, N]."""
    x = nn.last_first(x)
    return xp.moveaxis(x, 1, -1) if channels_last else x


def gather(xp, x, low, counts, kernel, stride, dilation):
    """The windows of x [C, *S, N] as columns, [C, *kernel, *counts, N]: what a product with [O, C * kernel] wants."""
    columns = xp.empty((x.shape[0], *kernel, *counts, x.shape[-1]), x.dtype)
    if xp is np and nn.takes(x.dtype):
        nn.gather(x, columns, low, counts, kernel, stride, dilation)
        return columns
    x = covered(xp, x, 1, low, extents_of(counts, kernel, stride, dilation), 0)
    for tap, index in taps(1, counts, kernel, stride, dilation):
        columns[(slice(None), *tap)] = x[index]
    return columns


def scatter(xp, columns, target, low, counts, kernel, stride, dilation):
    """Adds columns to the elements of target [C, *S, N] that `gather` took them from."""
    if xp is np and nn.takes(target.dtype):
        nn.scatter(columns, target, low, counts, kernel, stride, dilation)
    else:
        add_back(xp, lambda tap: columns[(slice(None), *tap)], target, 1, low, counts, kernel, stride, dilation)


def row_blocks(rows, size_of_row, budget):
    """Slices that cut `rows` into parts of about equal size and at most `budget` elements, or one row."""
    parts = math.ceil(rows / max(budget // max(size_of_row, 1), 1))
    return [slice(rows * i // parts, rows * (i + 1) // parts) for i in range(parts)]
