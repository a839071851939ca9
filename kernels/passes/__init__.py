"""Work on whole float32 arrays of NumPy in one pass and in all threads, where NumPy goes over memory several times.

What each computes is said where its reference is, in gpuflow/ops: activation.py, dropout.py, softmax.py, recurrent.py.
The compiled texts lie beside this file; they are loaded when first called. Results do not depend on the number of
threads: work is cut into blocks of fixed size.
"""
from __future__ import annotations

import functools

import numpy as np

from gpuflow_kernels import build, process

SMALL = 1 << 12    # elements; below, NumPy is done before Numba's call begins
SERIAL = 1 << 17   # below, waking a second thread takes longer than the work itself


@functools.cache
def _compiled(name):
    return build.numba_module(build.numba_text(f"passes/{name}.py"))


def takes(*arrays) -> bool:
    """True for arrays that these functions compute with, and that are worth it: C-contiguous float32, not too small."""
    return arrays[0].size >= SMALL and all(a.dtype == np.float32 and a.flags.c_contiguous for a in arrays)


def _run(kernel, size, *arguments):
    """Calls the kernel, on one thread for a small `size`."""
    return kernel(*arguments) if size >= SERIAL else process.on_one_thread(kernel, *arguments)


def _flat(*arrays):
    return [a.reshape(-1) for a in arrays]


def gelu(x):
    """x times the normal distribution function of x."""
    out = np.empty_like(x)
    _run(_compiled("activation").gelu, x.size, *_flat(x, out))
    return out


def gelu_slope(g, x):
    """g times the slope of gelu at x."""
    out = np.empty_like(x)
    _run(_compiled("activation").gelu_slope, x.size, *_flat(g, x, out))
    return out


def kept(shape, p, key):
    """A bool array that is True with probability 1 - p: the numbers 0, 1, 2, ... of Philox (4 x 32 bits, 10 rounds)
    under the 64 bits of `key`, each True where it is at least p * 2**32."""
    out = np.empty(shape, np.bool_)
    _run(_compiled("dropout").kept, out.size, out.reshape(-1), np.uint64(key), np.uint64(round(p * 2**32)))
    return out


def dropped(x, mask, scale):
    """x * scale where mask, else 0, for a bool mask of x's shape."""
    out = np.empty_like(x)
    _run(_compiled("dropout").dropped, x.size, *_flat(x, mask), np.float32(scale), out.reshape(-1))
    return out


def softmax(x, out):
    """(peaks, totals) [R] of x [R, S], with softmax(x) in `out`, which may be x: exp(x - peak) / total of each row."""
    peaks, totals = np.empty((2, len(x)), x.dtype)
    _run(_compiled("softmax").softmax, x.size, x, out, peaks, totals)
    return peaks, totals


def softmax_slope(g, weights):
    """weights * (g - sum(g * weights)) of each row: what softmax [R, S] passes back of g."""
    out = np.empty_like(g)
    _run(_compiled("softmax").softmax_slope, g.size, g, weights, out)
    return out


def lstm_step(gates, sums, c, new_c, h):
    """One step of an LSTM with gates i, f, g, o [B, 4, H]: from what `gates` and `sums` add up to, the gates (written
    there), new_c and h [B, H]."""
    _compiled("lstm").step(gates, sums, c, new_c, h)


def lstm_step_back(gates, c_before, c, g_h, g_c, sums):
    """One step back: from the gradients of h and of c [B, H] those of the gates' sums [B, 4, H], and in g_c that of
    c_before."""
    _compiled("lstm").step_back(gates, c_before, c, g_h, g_c, sums)
