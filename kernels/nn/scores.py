"""Normalisation on the CPU: sums over data that stays in the cache, then the result: NumPy takes eight passes.

Read as text and compiled by `build.numba_module` (cached on disk); the reference is the plain text in
gpuflow/ops/norm.py.

    batch   x [N, C, L]    statistics per channel, weight [C]
    rows    x [R, M]       statistics per row, weight [M] (layer norm)
    groups  x [R, C, L]    statistics per row of C * L elements; channel c of row r has weight number
                           (r % period) * C + c (group and instance norm)

Sums run in the array's dtype within a run of neighbours, or down its lanes, and in float64 beyond. One thread:
most time around these calls goes to BLAS, whose waiting threads and OpenMP's would fight for the cores
(bench/results/peers_nn.md).
"""
import math

import numpy as np
from numba import njit

real = np.float32  # the text for float64 arrays says float64 here
flags = dict(error_model="numpy", fastmath={"contract", "arcp", "reassoc", "nsz"}, nogil=True)
helper = njit(inline="never", **flags)
SHORT = 512  # runs up to this long are added up element by element of the run, which needs no sum across a vector


@helper
def sum_of(x, c, lanes):
    """The sum of x[:, c, :]."""
    batch, _, length = x.shape
    result = 0.0
    if length <= SHORT:
        lanes[:] = 0
        for n in range(batch):
            for i in range(length):
                lanes[i] += x[n, c, i]
        for i in range(length):
            result += lanes[i]
        return result
    for n in range(batch):
        part = real(0)
        for i in range(length):
            part += x[n, c, i]
        result += part
    return result


@helper
def squares_of(x, c, mean, lanes):
    """The sum of (x[:, c, :] - mean) ** 2."""
    batch, _, length = x.shape
    result = 0.0
    if length <= SHORT:
        lanes[:] = 0
        for n in range(batch):
            for i in range(length):
                lanes[i] += (x[n, c, i] - mean) * (x[n, c, i] - mean)
        for i in range(length):
            result += lanes[i]
        return result
    for n in range(batch):
        part = real(0)
        for i in range(length):
            part += (x[n, c, i] - mean) * (x[n, c, i] - mean)
        result += part
    return result


@helper
def products_of(g, x, c, mean, lanes):
    """The sum of g[:, c, :] * (x[:, c, :] - mean)."""
    batch, _, length = x.shape
    result = 0.0
    if length <= SHORT:
        lanes[:] = 0
        for n in range(batch):
            for i in range(length):
                lanes[i] += g[n, c, i] * (x[n, c, i] - mean)
        for i in range(length):
            result += lanes[i]
        return result
    for n in range(batch):
        part = real(0)
        for i in range(length):
            part += g[n, c, i] * (x[n, c, i] - mean)
        result += part
    return result


@njit(parallel=False, **flags)
def batch_forward(x, weight, bias, epsilon, out, means, variances):
    batch, channels, length = x.shape
    lanes = np.empty(SHORT, x.dtype)
    for c in range(channels):
        means[c] = sum_of(x, c, lanes) / (batch * length)
        mean = means[c]
        variances[c] = squares_of(x, c, mean, lanes) / (batch * length)
        scale = real(weight[c] / math.sqrt(variances[c] + epsilon))
        shift = bias[c]
        for n in range(batch):
            for i in range(length):
                out[n, c, i] = (x[n, c, i] - mean) * scale + shift


@njit(parallel=False, **flags)
def batch_backward(g, x, weight, means, variances, epsilon, to_x, to_weight, to_bias):
    batch, channels, length = x.shape
    lanes = np.empty(SHORT, x.dtype)
    for c in range(channels):
        mean = means[c]
        inverse = 1 / math.sqrt(variances[c] + epsilon)
        sum_g = sum_of(g, c, lanes)
        sum_gs = products_of(g, x, c, mean, lanes) * inverse  # of g times the score
        to_weight[c], to_bias[c] = sum_gs, sum_g
        one = real(weight[c] * inverse)
        two = real(weight[c] * inverse * inverse * sum_gs / (batch * length))
        three = real(weight[c] * inverse * sum_g / (batch * length))
        for n in range(batch):
            for i in range(length):
                to_x[n, c, i] = one * g[n, c, i] - two * (x[n, c, i] - mean) - three


@njit(parallel=False, **flags)
def rows_forward(x, weight, bias, epsilon, out, means, variances):
    rows, size = x.shape
    for r in range(rows):
        total = real(0)
        for i in range(size):
            total += x[r, i]
        mean = real(total / size)
        squares = real(0)
        for i in range(size):
            squares += (x[r, i] - mean) * (x[r, i] - mean)
        means[r], variances[r] = mean, squares / size
        inverse = real(1 / math.sqrt(squares / size + epsilon))
        for i in range(size):
            out[r, i] = (x[r, i] - mean) * inverse * weight[i] + bias[i]


@njit(parallel=False, **flags)
def rows_backward(g, x, weight, means, variances, epsilon, to_x, to_weight, to_bias):
    """to_weight, to_bias: float64 [M] of zeros."""
    rows, size = x.shape
    sums = np.zeros((2, size), x.dtype)
    for r in range(rows):
        mean = means[r]
        inverse = real(1 / math.sqrt(variances[r] + epsilon))
        total = real(0)   # of u = g * weight
        product = real(0)  # of u * (x - mean)
        for i in range(size):
            u = g[r, i] * weight[i]
            total += u
            product += u * (x[r, i] - mean)
        two, three = real(product / size * inverse * inverse * inverse), real(total / size * inverse)
        for i in range(size):
            to_x[r, i] = g[r, i] * weight[i] * inverse - two * (x[r, i] - mean) - three
        for i in range(size):  # a loop of its own: with one array more LLVM would not vectorise
            sums[0, i] += g[r, i] * (x[r, i] - mean) * inverse
            sums[1, i] += g[r, i]
        if r % 256 == 255 or r == rows - 1:
            for i in range(size):
                to_weight[i] += sums[0, i]
                to_bias[i] += sums[1, i]
            sums[:] = 0


@njit(parallel=False, **flags)
def groups_forward(x, period, weight, bias, epsilon, out, means, variances):
    rows, channels, length = x.shape
    for r in range(rows):
        result = 0.0
        for c in range(channels):
            part = real(0)
            for i in range(length):
                part += x[r, c, i]
            result += part
        mean = real(result / (channels * length))
        result = 0.0
        for c in range(channels):
            part = real(0)
            for i in range(length):
                part += (x[r, c, i] - mean) * (x[r, c, i] - mean)
            result += part
        means[r], variances[r] = mean, result / (channels * length)
        inverse = 1 / math.sqrt(variances[r] + epsilon)
        first = r % period * channels
        for c in range(channels):
            scale, shift = real(weight[first + c] * inverse), bias[first + c]
            for i in range(length):
                out[r, c, i] = (x[r, c, i] - mean) * scale + shift


@njit(parallel=False, **flags)
def groups_backward(g, x, period, weight, means, variances, epsilon, to_x, to_weight, to_bias):
    """to_weight, to_bias: float64 of zeros."""
    rows, channels, length = x.shape
    for r in range(rows):
        mean = means[r]
        inverse = 1 / math.sqrt(variances[r] + epsilon)
        first = r % period * channels
        total, product = 0.0, 0.0  # of u = g * weight, and of u * (x - mean)
        for c in range(channels):
            a = real(0)
            b = real(0)
            for i in range(length):
                a += g[r, c, i]
                b += g[r, c, i] * (x[r, c, i] - mean)
            to_weight[first + c] += b * inverse
            to_bias[first + c] += a
            total += a * weight[first + c]
            product += b * weight[first + c]
        two = real(product / (channels * length) * inverse * inverse * inverse)
        three = real(total / (channels * length) * inverse)
        for c in range(channels):
            one = real(weight[first + c] * inverse)
            for i in range(length):
                to_x[r, c, i] = one * g[r, c, i] - two * (x[r, c, i] - mean) - three
