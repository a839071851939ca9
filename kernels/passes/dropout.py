"""Random masks, and dropping by them."""
import numpy as np
from numba import njit, prange

from gpuflow_kernels.passes.head import BLOCK, flags, real

WORDS = 512               # of each of a counter's four results that a block makes
LOW, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


@njit(parallel=True, **flags)
def kept(out, key, threshold):
    """out: bool [n]; Philox4x32-10 (Salmon et al. 2011), whose 32-bit words ride in 64 bits, as their products need."""
    size = 4 * WORDS
    for block in prange((out.size + size - 1) // size):
        words = np.empty((4, WORDS), np.uint32)
        for i in range(WORDS):
            counter = np.uint64(block * WORDS + i)
            a, b, c, d = counter & LOW, counter >> HALF, np.uint64(0), np.uint64(0)
            first, second = key & LOW, key >> HALF
            for _ in range(10):
                one, two = a * np.uint64(0xD2511F53), c * np.uint64(0xCD9E8D57)
                a, b, c, d = (two >> HALF) ^ b ^ first, two & LOW, (one >> HALF) ^ d ^ second, one & LOW
                first, second = (first + np.uint64(0x9E3779B9)) & LOW, (second + np.uint64(0xBB67AE85)) & LOW
            words[0, i], words[1, i] = np.uint32(a), np.uint32(b)
            words[2, i], words[3, i] = np.uint32(c), np.uint32(d)
        flat, begin = words.reshape(-1), block * size
        for i in range(min(size, out.size - begin)):
            out[begin + i] = flat[i] >= threshold


@njit(parallel=True, **flags)
def dropped(x, mask, scale, out):
    for block in prange((x.size + BLOCK - 1) // BLOCK):
        for i in range(block * BLOCK, min(block * BLOCK + BLOCK, x.size)):
            out[i] = x[i] * (scale if mask[i] else real(0))
