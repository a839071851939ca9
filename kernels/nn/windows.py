"""Windows over [N, C, D, H, W] on the CPU: gather and scatter of columns, largest elements and their places.

Read as text and compiled by `build.numba_module` (cached on disk). The reference is the plain text for any array module in
gpuflow/ops/patches.py and gpuflow/ops/pool.py. `geometry`, 15 ints: sizes D, H, W of the input; counts of windows; kernel; stride; dilation.
`low`, 3 ints: how far window 0 begins before the input.

One thread: the products around these calls use all cores, and BLAS's waiting threads and OpenMP's would fight for them
(bench/results/nn_ops.md).
"""
import numpy as np
from numba import njit

flags = dict(error_model="numpy", nogil=True)
helper = njit(inline="never", **flags)


@helper
def inside(tap, low, stride, dilation, size, count):
    """The range of windows whose element `tap` lies inside the input."""
    start = tap * dilation - low
    first = 0 if start >= 0 else (-start + stride - 1) // stride
    last = (size - 1 - start) // stride + 1 if size > start else 0
    first = min(first, count)
    return first, max(min(last, count), first)


@njit(parallel=False, **flags)
def gather(x, channels, samples, geometry, low, columns):
    """columns [C, taps, windows, N] = the elements of x [C, D, H, W, N], 0 outside."""
    D, H, W, OD, OH, OW, KD, KH, KW, SD, SH, SW, ED, EH, EW = geometry
    taps = KD * KH * KW
    for task in range(channels * taps):
        c, kd, kh, kw = task // taps, task // (KH * KW) % KD, task // KW % KH, task % KW
        first, last = inside(kw, low[2], SW, EW, W, OW)
        width = OW * samples
        to = task * OD * OH * width
        for od in range(OD):
            d = od * SD - low[0] + kd * ED
            for oh in range(OH):
                h = oh * SH - low[1] + kh * EH
                row = columns[to:to + width]
                to += width
                if d < 0 or d >= D or h < 0 or h >= H or first == last:
                    row[:] = 0
                    continue
                row[:first * samples] = 0
                row[last * samples:] = 0
                origin = (((c * D + d) * H + h) * W + first * SW + kw * EW - low[2]) * samples
                if SW == 1:
                    copied(x[origin:origin + (last - first) * samples], row[first * samples:])
                else:
                    for ow in range(first, last):
                        copied(x[origin:origin + samples], row[ow * samples:])
                        origin += SW * samples


@helper
def copied(source, target):
    for i in range(len(source)):
        target[i] = source[i]


@helper
def added(source, target):
    for i in range(len(source)):
        target[i] += source[i]


@njit(parallel=False, **flags)
def scatter(columns, channels, samples, geometry, low, x):
    """x [C, D, H, W, N] += columns at the elements `gather` took them from."""
    D, H, W, OD, OH, OW, KD, KH, KW, SD, SH, SW, ED, EH, EW = geometry
    width = OW * samples
    for task in range(channels * D * H):
        c, d, h = task // (D * H), task // H % D, task % H
        row = x[task * W * samples:(task + 1) * W * samples]
        for kd in range(KD):
            od = (d + low[0] - kd * ED) // SD
            if od < 0 or od >= OD or od * SD != d + low[0] - kd * ED:
                continue
            for kh in range(KH):
                oh = (h + low[1] - kh * EH) // SH
                if oh < 0 or oh >= OH or oh * SH != h + low[1] - kh * EH:
                    continue
                for kw in range(KW):
                    first, last = inside(kw, low[2], SW, EW, W, OW)
                    if first == last:
                        continue
                    origin = (((((c * KD + kd) * KH + kh) * KW + kw) * OD + od) * OH + oh) * width
                    at = (first * SW + kw * EW - low[2]) * samples
                    if SW == 1:
                        added(columns[origin + first * samples:origin + last * samples], row[at:])
                    else:
                        for ow in range(first, last):
                            added(columns[origin + ow * samples:origin + (ow + 1) * samples], row[at:])
                            at += SW * samples


TILE = 16  # floats in a cache line


@njit(parallel=False, **flags)
def turn(x, out):
    """out [W, R] = x [R, W] transposed, in tiles."""
    rows, width = x.shape
    tile = np.empty((TILE, TILE), x.dtype)  # between the two: lines a power of two apart would push each other out
    for top in range(0, rows, TILE):
        high = min(TILE, rows - top)
        for left in range(0, width, TILE):
            wide = min(TILE, width - left)
            for r in range(high):
                for c in range(wide):
                    tile[c, r] = x[top + r, left + c]
            for c in range(wide):
                for r in range(high):
                    out[left + c, top + r] = tile[c, r]


@njit(parallel=False, **flags)
def largest(x, geometry, low, out, mask):
    """out, mask [A, OD, OH, OW, B]: the largest element of each window of x [A, D, H, W, B] (the first of equals, a nan
    before all) and its place d * H * W + h * W + w. out holds what no element is below."""
    D, H, W, OD, OH, OW, KD, KH, KW, SD, SH, SW, ED, EH, EW = geometry
    for a in range(x.shape[0]):
        for od in range(OD):
            d0 = od * SD - low[0]
            for oh in range(OH):
                h0 = oh * SH - low[1]
                for ow in range(OW):
                    w0 = ow * SW - low[2]
                    for d in range(max(d0, 0), min(d0 + KD, D)):
                        for h in range(max(h0, 0), min(h0 + KH, H)):
                            for w in range(max(w0, 0), min(w0 + KW, W)):
                                larger(x[a, d, h, w], np.int32((d * H + h) * W + w), out[a, od, oh, ow],
                                       mask[a, od, oh, ow])


@njit(inline="always", **flags)
def larger(x, place, best, places):
    for b in range(len(x)):
        value = x[b]
        better = (value > best[b]) | (value != value)
        best[b] = value if better else best[b]
        places[b] = place if better else places[b]


@njit(parallel=False, **flags)
def put(x, mask, out):
    """out [A, length, B]: zeros with x [A, count, B] added at the places that mask [A, count, B] names."""
    out[:] = 0
    for a in range(x.shape[0]):
        for i in range(x.shape[1]):
            for b in range(x.shape[2]):
                out[a, mask[a, i, b], b] += x[a, i, b]
