"""Windows that slide over the spatial axes of a batch: what convolution and pooling share.

Arrays here are [N, C, *S] (batch, channels, any number of spatial axes; a channels-last array comes as a moved view).
Window number o along an axis covers the input at ``o * stride - low + tap * dilation`` for tap in 0 .. kernel-1; what
lies outside the input is padding. `low` may be negative, which is how a part of the windows is addressed.
"""
import itertools
import math

from gpuflow.errors import explain


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


def covered(x, low, extents, fill, xp):
    """The input from -low on, `extents` elements along each spatial axis, as [N, C, *extents]; `fill` outside.

    A view where nothing lies outside.
    """
    inside, around = [slice(None)] * 2, [(0, 0)] * 2
    for size, start, extent in zip(x.shape[2:], low, extents, strict=True):
        first, last = min(max(-start, 0), size), max(min(extent - start, size), 0)
        inside.append(slice(first, max(first, last)))
        before = min(max(start, 0), extent)
        around.append((before, extent - before - max(last - first, 0)))
    x = x[tuple(inside)]
    return xp.pad(x, around, constant_values=fill) if any(map(any, around)) else x


def extents_of(counts, kernel, stride, dilation):
    """How many elements `counts` windows span along each axis."""
    return tuple((o - 1) * s + (k - 1) * d + 1 for o, k, s, d in zip(counts, kernel, stride, dilation, strict=True))


def taps(counts, kernel, stride, dilation):
    """(tap, index) for every place in a window: x[index] are the elements at that place of all windows."""
    for tap in itertools.product(*map(range, kernel)):
        yield tap, (slice(None), slice(None), *(
            slice(t * d, t * d + (o - 1) * s + 1, s) for t, o, s, d in zip(tap, counts, stride, dilation, strict=True)))


def gather(xp, x, low, counts, kernel, stride, dilation):
    """The windows as columns, [C, *kernel, N, *counts]: what a product with a weight [O, C * kernel] wants."""
    x = covered(x, low, extents_of(counts, kernel, stride, dilation), 0, xp)
    out = xp.empty((x.shape[1], *kernel, x.shape[0], *counts), x.dtype)
    for tap, index in taps(counts, kernel, stride, dilation):
        out[(slice(None), *tap)] = x[index].swapaxes(0, 1)
    return out


def scatter(xp, columns, target, low, counts, kernel, stride, dilation):
    """Adds the columns [C, *kernel, N, *counts] to the elements of target [N, C, *S] that `gather` took them from."""
    extents = extents_of(counts, kernel, stride, dilation)
    padded = xp.zeros((*target.shape[:2], *extents), target.dtype)
    for tap, index in taps(counts, kernel, stride, dilation):
        padded[index] += columns[(slice(None), *tap)].swapaxes(0, 1)
    inside, origin = [slice(None)] * 2, [slice(None)] * 2
    for size, start, extent in zip(target.shape[2:], low, extents, strict=True):
        first, last = min(max(-start, 0), size), max(min(extent - start, size), 0)
        inside.append(slice(first, last))
        origin.append(slice(first + start, max(last, first) + start))
    target[tuple(inside)] += padded[tuple(origin)]


def blocks(batch, rows, size_of_row, budget):
    """(samples, rows) slices that cut batch x rows into parts of at most `budget` elements where one row is that small.

    Whole samples stay together where one fits.
    """
    sample = max(rows * size_of_row, 1)
    if sample <= budget:
        step = max(budget // sample, 1)
        step = math.ceil(batch / math.ceil(batch / step)) if batch else 1  # parts of about equal size
        for n in range(0, batch, step):
            yield slice(n, min(n + step, batch)), slice(0, rows)
        return
    step = max(budget // max(size_of_row, 1), 1)
    for n in range(batch):
        for r in range(0, rows, step):
            yield slice(n, n + 1), slice(r, min(r + step, rows))
