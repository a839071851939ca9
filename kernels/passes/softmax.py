"""softmax of rows, and what it passes back."""
import numpy as np
from numba import njit, prange

from gpuflow_kernels.passes.head import BLOCK, exp_, flags, helper, real

LANES = 16


@helper
def peak_of(x, lanes):
    """The largest of x; what is nan may be left out."""
    whole = len(x) - len(x) % LANES
    lanes[:] = x[0]
    for start in range(0, whole, LANES):
        for i in range(LANES):
            lanes[i] = max(lanes[i], x[start + i])
    for i in range(whole, len(x)):
        lanes[0] = max(lanes[0], x[i])
    result = lanes[0]
    for i in range(1, LANES):
        result = max(result, lanes[i])
    return result


@njit(parallel=True, **flags)
def softmax(x, out, peaks, totals):
    """x and out [R, S], S > 0. A row with a nan, with inf, or of -inf alone becomes nan."""
    rows, size = x.shape
    step = max(BLOCK // size, 1)
    for block in prange((rows + step - 1) // step):
        lanes = np.empty(LANES, x.dtype)
        for r in range(block * step, min(block * step + step, rows)):
            peak = peak_of(x[r], lanes)
            total = real(0)
            for i in range(size):
                value = exp_(x[r, i] - peak)
                out[r, i] = value
                total += value
            peaks[r], totals[r] = peak, total
            scale = real(1) / total
            for i in range(size):
                out[r, i] *= scale


@njit(parallel=True, **flags)
def softmax_slope(g, weights, out):
    rows, size = g.shape
    step = max(BLOCK // size, 1)
    for block in prange((rows + step - 1) // step):
        for r in range(block * step, min(block * step + step, rows)):
            total = real(0)
            for i in range(size):
                total += g[r, i] * weights[r, i]
            for i in range(size):
                out[r, i] = weights[r, i] * (g[r, i] - total)
