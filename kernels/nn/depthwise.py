"""Convolution of each channel by itself over D, H, W on the CPU, in place, where columns would be a copy for every tap.

Compiled by `build.numba_module`. The reference is the product with columns in gpuflow/ops/conv.py. `geometry` and `low`
are those of windows.py; x is [C, D, H, W, N], y [C * kinds, OD, OH, OW, N], weight [C * kinds, taps], all flat: channel
o of y reads channel o // kinds of x. One thread, as there.

to_y adds x's windows times weight to y; to_x and to_weight add what y passes back.
"""
from numba import njit

from gpuflow_kernels.nn.inside import inside

flags = dict(error_model="numpy", nogil=True, fastmath={"contract", "reassoc"})
helper = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **flags)


@helper
def to_y(x, weight, y, length):
    w = weight[0]
    for i in range(length):
        y[i] += w * x[i]


@helper
def to_x(x, weight, y, length):
    w = weight[0]
    for i in range(length):
        x[i] += w * y[i]


@helper
def to_weight(x, weight, y, length):
    total = x[0] * 0
    for i in range(length):
        total += x[i] * y[i]
    weight[0] += total


act = to_y   # kernels/nn puts the others here


@njit(parallel=False, **flags)
def walk(x, weight, y, channels, kinds, samples, geometry, low):
    """Calls act for every row of windows and every tap, with the elements of x there, the tap's weight, and y from
    where these count."""
    D, H, W, OD, OH, OW, KD, KH, KW, SD, SH, SW, ED, EH, EW = geometry
    for task in range(channels * kinds * OD * OH):
        o, od, oh = task // (OD * OH), task // OH % OD, task % OH
        for kd in range(KD):
            d = od * SD - low[0] + kd * ED
            if d < 0 or d >= D:
                continue
            for kh in range(KH):
                h = oh * SH - low[1] + kh * EH
                if h < 0 or h >= H:
                    continue
                for kw in range(KW):
                    first, last = inside(kw, low[2], SW, EW, W, OW)
                    if first == last:
                        continue
                    tap = ((o * KD + kd) * KH + kh) * KW + kw
                    at = (((o // kinds * D + d) * H + h) * W + first * SW + kw * EW - low[2]) * samples
                    runs, length = (1, (last - first) * samples) if SW == 1 else (last - first, samples)
                    to = (task * OW + first) * samples
                    for _ in range(runs):
                        act(x[at:], weight[tap:], y[to:], length)
                        at, to = at + SW * samples, to + length
