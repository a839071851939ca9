"""The functions of one number that this folder's loops are made of.

exp_ and tanh_ keep the order of their operations (contract alone), so that their digits hold in loops that may reorder
sums.
"""
import numpy as np
from numba import njit

real = np.float32
flags = dict(error_model="numpy", fastmath={"contract", "arcp", "reassoc", "nsz"}, nogil=True)
exact = njit(error_model="numpy", fastmath={"contract"}, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
helper = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **flags)
BLOCK = 1 << 13  # elements that one turn of a parallel loop takes

LOWEST = real(-87)  # below, float32's exp is 0 or denormal


@exact
def parts_(x):
    """(m, s) with exp(x) = s * (1 + m), |m| < 0.42 and s a power of two, for x in [-87, 88]; nan for nan."""
    k = np.floor(x * real(1.442695) + real(0.5))
    r = x - k * real(0.693359375)
    r = r - k * real(-2.12194440e-4)
    # fitted by weighted least squares on Chebyshev nodes: off by at most 7e-8
    p = real(0.0013748823)
    p = p * r + real(0.00836962834)
    p = p * r + real(0.0416696444)
    p = p * r + real(0.166665122)
    p = p * r + real(0.499999881)
    return p * r * r + r, np.uint32(np.uint32(np.int32(k) + np.int32(127)) << np.uint32(23)).view(np.float32)


@exact
def exp_(x):
    """exp(x) for x up to 88; 0 below -87; nan for nan."""
    m, s = parts_(x)
    return real(0) if x < LOWEST else s * m + s


@exact
def tanh_(x):
    """tanh(x), from exp(2x) - 1 so that small x keep their digits."""
    m, s = parts_(max(min(real(2) * x, real(30)), real(-30)))
    less = s * m + (s - real(1))
    return less / (less + real(2))
