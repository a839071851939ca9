"""Windows over [N, C, D, H, W] on the CPU: gather and scatter of columns, largest elements and their places.

Read as text and compiled by `build.numba_module` (cached on disk); plain NumPy or CuPy does the same in gpuflow/ops/patches.py
and gpuflow/ops/pool.py, which is the reference. Arrays come flat with their strides in elements, so that one text serves
channels first and last. `geometry` is int64 [15]: sizes D, H, W; counts of windows; kernel; stride; dilation, of each axis in
turn; `low`: int64 [3], how far window 0 begins before the input.

One task of the parallel loop is one channel of one sample: it stays in the first-level cache while its windows are read, and no
two tasks write to one place, so the bits do not depend on the number of threads.
"""
import numpy as np
from numba import njit, prange

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


@njit(parallel=True, **flags)
def gather(x, xs, batch, channels, geometry, low, out, out_tap, out_sample):
    """out[(c, tap) * out_tap + n * out_sample + window] = the element, 0 outside. xs: x's strides [N, C, D, H, W]."""
    D, H, W, OD, OH, OW, KD, KH, KW, SD, SH, SW, ED, EH, EW = geometry
    for task in prange(batch * channels):
        n, c = task // channels, task % channels
        plane = n * xs[0] + c * xs[1]
        for kd in range(KD):
            for kh in range(KH):
                for kw in range(KW):
                    to = (((c * KD + kd) * KH + kh) * KW + kw) * out_tap + n * out_sample
                    first, last = inside(kw, low[2], SW, EW, W, OW)
                    step = xs[4] * SW
                    for od in range(OD):
                        d = od * SD - low[0] + kd * ED
                        for oh in range(OH):
                            h = oh * SH - low[1] + kh * EH
                            if d < 0 or d >= D or h < 0 or h >= H:
                                for i in range(OW):
                                    out[to + i] = 0
                            else:
                                origin = plane + d * xs[2] + h * xs[3] + (kw * EW - low[2]) * xs[4]
                                for i in range(first):
                                    out[to + i] = 0
                                if step == 1:
                                    for i in range(first, last):
                                        out[to + i] = x[origin + i]
                                else:
                                    for i in range(first, last):
                                        out[to + i] = x[origin + i * step]
                                for i in range(last, OW):
                                    out[to + i] = 0
                            to += OW


@njit(parallel=True, **flags)
def scatter(columns, col_tap, col_sample, batch, channels, geometry, low, x, xs):
    """x[element] += columns[(c, tap) * col_tap + n * col_sample + window]: the adjoint of `gather`."""
    D, H, W, OD, OH, OW, KD, KH, KW, SD, SH, SW, ED, EH, EW = geometry
    for task in prange(batch * channels):
        n, c = task // channels, task % channels
        plane = n * xs[0] + c * xs[1]
        for kd in range(KD):
            for kh in range(KH):
                for kw in range(KW):
                    origin_w = plane + (kw * EW - low[2]) * xs[4]
                    at = (((c * KD + kd) * KH + kh) * KW + kw) * col_tap + n * col_sample
                    first, last = inside(kw, low[2], SW, EW, W, OW)
                    step = xs[4] * SW
                    for od in range(OD):
                        d = od * SD - low[0] + kd * ED
                        for oh in range(OH):
                            h = oh * SH - low[1] + kh * EH
                            if d >= 0 and d < D and h >= 0 and h < H:
                                origin = origin_w + d * xs[2] + h * xs[3]
                                if step == 1:
                                    for i in range(first, last):
                                        x[origin + i] += columns[at + i]
                                else:
                                    for i in range(first, last):
                                        x[origin + i * step] += columns[at + i]
                            at += OW


@njit(parallel=True, **flags)
def largest(x, xs, batch, channels, geometry, low, lowest, out, mask, os):
    """out, mask: the largest element of each window (the first of equals, a nan before all) and its place in the channel."""
    D, H, W, OD, OH, OW, KD, KH, KW, SD, SH, SW, ED, EH, EW = geometry
    for task in prange(batch * channels):
        n, c = task // channels, task % channels
        plane = n * xs[0] + c * xs[1]
        to_plane = n * os[0] + c * os[1]
        for od in range(OD):
            d0 = od * SD - low[0]
            for oh in range(OH):
                h0 = oh * SH - low[1]
                for ow in range(OW):
                    w0 = ow * SW - low[2]
                    best, place = lowest, 0
                    for d in range(max(d0, 0), min(d0 + KD, D)):
                        for h in range(max(h0, 0), min(h0 + KH, H)):
                            row = plane + d * xs[2] + h * xs[3]
                            for w in range(max(w0, 0), min(w0 + KW, W)):
                                value = x[row + w * xs[4]]
                                if value > best or value != value:
                                    best, place = value, (d * H + h) * W + w
                    to = to_plane + od * os[2] + oh * os[3] + ow * os[4]
                    out[to] = best
                    mask[to] = place


@njit(parallel=True, **flags)
def put(x, mask, count, out, length):
    """out [planes, length]: zeros with x [planes, count] added at the places mask [planes, count] names in its plane."""
    for p in prange(len(x) // max(count, 1)):
        base = p * length
        for i in range(base, base + length):
            out[i] = 0
        for i in range(p * count, p * count + count):
            out[base + mask[i]] += x[i]
