"""gelu and its slope."""
from numba import njit, prange

from gpuflow_kernels.passes.head import BLOCK, exp_, flags, helper, real


@helper
def erf_(x):
    """erf(x / sqrt(2)) as y P(y * y) / Q(y * y), fitted by weighted least squares on Chebyshev nodes of [0, 3.92];
    beyond, float32's erf is 1. Off by at most 4e-7."""
    y = min(max(x * real(0.70710678), real(-3.92)), real(3.92))
    z = y * y
    p = real(1.9922979e-08)
    p = p * z + real(-1.9574905e-06)
    p = p * z + real(1.4179601e-04)
    p = p * z + real(0.0036996487)
    p = p * z + real(0.050567399)
    p = p * z + real(0.19988095)
    p = p * z + real(1.1283791)
    q = real(9.5553824e-04)
    q = q * z + real(0.014349344)
    q = q * z + real(0.11498024)
    q = q * z + real(0.51047154)
    q = q * z + real(1)
    return min(max(y * p / q, real(-1)), real(1))   # not beyond: gelu(-1e4) is 0


@njit(parallel=True, **flags)
def gelu(x, out):
    for block in prange((x.size + BLOCK - 1) // BLOCK):
        for i in range(block * BLOCK, min(block * BLOCK + BLOCK, x.size)):
            out[i] = real(0.5) * x[i] * (real(1) + erf_(x[i]))


@njit(parallel=True, **flags)
def gelu_slope(g, x, out):
    for block in prange((x.size + BLOCK - 1) // BLOCK):
        for i in range(block * BLOCK, min(block * BLOCK + BLOCK, x.size)):
            density = real(0.3989422804) * exp_(real(-0.5) * x[i] * x[i])
            out[i] = g[i] * (real(0.5) + real(0.5) * erf_(x[i]) + x[i] * density)
