"""Windows over three spatial axes D, H, W on the CPU: columns for convolution, largest elements and their places.

Read as text and compiled by `build.numba_module` (cached on disk). The reference is the plain text for any array module
in gpuflow/ops/patches.py and pool.py. `geometry`, 15 ints: sizes D, H, W of the input; counts of windows; kernel;
stride; dilation. `low`, 3 ints: how far window 0 begins before the input.

One thread: the products around these calls use all cores, and BLAS's waiting threads and OpenMP's would fight for them
(bench/results/peers_nn.md).
"""
import numpy as np
from numba import njit

from gpuflow_kernels.nn.inside import flags, helper, inside


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


TILE = 8


@njit(parallel=False, **flags)
def turn(x, out):
    """out [W, R] = x [R, W] transposed, in tiles; those of fixed size are unrolled."""
    rows, width = x.shape
    for top in range(0, rows, TILE):
        for left in range(0, width, TILE):
            if top + TILE <= rows and left + TILE <= width:
                for c in range(TILE):
                    for r in range(TILE):
                        out[left + c, top + r] = x[top + r, left + c]
            else:
                for c in range(left, min(left + TILE, width)):
                    for r in range(top, min(top + TILE, rows)):
                        out[c, r] = x[r, c]


@njit(parallel=False, **flags)
def largest(x, geometry, low, out, mask):
    """out, mask [A, OD, OH, OW, B]: the largest element of each window of x [A, D, H, W, B], its place (d H + h) W + w.

    Of equal elements the first counts, a nan is larger than all. out and mask come filled with -inf and 0.
    """
    D, H, W, OD, OH, OW, KD, KH, KW, SD, SH, SW, _, _, _ = geometry
    single = x.shape[4] == 1
    for a in range(x.shape[0]):
        for od in range(OD):
            d0 = od * SD - low[0]
            for oh in range(OH):
                h0 = oh * SH - low[1]
                for ow in range(OW):
                    w0 = ow * SW - low[2]
                    best, place = out[a, od, oh, ow, 0], mask[a, od, oh, ow, 0]
                    for d in range(max(d0, 0), min(d0 + KD, D)):
                        for h in range(max(h0, 0), min(h0 + KH, H)):
                            for w in range(max(w0, 0), min(w0 + KW, W)):
                                if single:
                                    value = x[a, d, h, w, 0]
                                    if value > best or value != value:
                                        best, place = value, np.int32((d * H + h) * W + w)
                                else:
                                    larger(x[a, d, h, w], np.int32((d * H + h) * W + w), out[a, od, oh, ow],
                                           mask[a, od, oh, ow])
                    if single:
                        out[a, od, oh, ow, 0], mask[a, od, oh, ow, 0] = best, place


@njit(inline="always", **flags)
def larger(x, place, best, places):
    for b in range(len(x)):
        value = x[b]
        better = (value > best[b]) | (value != value)
        best[b] = value if better else best[b]
        places[b] = place if better else places[b]


@njit(parallel=False, **flags)
def put(x, mask, out):
    """out [A, length, B]: zeros with x [A, count, B] added at the places that mask [A, count, B] names.

    False where a place is not in 0 .. length - 1.
    """
    out[:] = 0
    for a in range(x.shape[0]):
        for i in range(x.shape[1]):
            for b in range(x.shape[2]):
                place = mask[a, i, b]
                if place < 0 or place >= out.shape[1]:
                    return False
                out[a, place, b] += x[a, i, b]
    return True
