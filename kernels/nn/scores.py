"""Normalisation on the CPU: one pass for the statistics' sums each, one for the result, over data that stays in the cache.

Read as text and compiled by `build.numba_module` (cached on disk); the reference is the plain text in gpuflow/ops/norm.py.

`batch_*`: x [N, C, L], statistics per channel. `rows_*`: x [R, M], statistics per row; element m of row r has the weight
number (r % period) * channels + m // length, with channels * length = M (layer norm: period 1, length 1; group norm: period is
the number of groups; instance norm: period C, channels 1).

Sums run in float32 over at most BLOCK elements and in float64 beyond. Work is cut the same way for every number of threads, so
the bits are the same on every run. weight and bias are arrays of ones and zeros where the layer has none.
"""
import math

import numpy as np
from numba import njit, prange

flags = dict(error_model="numpy", fastmath={"contract", "arcp", "reassoc", "nsz"}, nogil=True)
helper = njit(inline="always", **flags)
BLOCK = 4096
PARTS = 16  # partial sums of a weight's gradient, at most


@helper
def total(x, start, stop):
    """The sum of x[start:stop]."""
    result = 0.0
    while start < stop:
        end = min(start + BLOCK, stop)
        part = x[start] - x[start]
        for i in range(start, end):
            part += x[i]
        result += part
        start = end
    return result


@helper
def spread(x, start, stop, mean):
    """The sum of squared distances from the mean."""
    result = 0.0
    while start < stop:
        end = min(start + BLOCK, stop)
        part = mean - mean
        for i in range(start, end):
            part += (x[i] - mean) * (x[i] - mean)
        result += part
        start = end
    return result


@helper
def moments(g, x, start, stop, mean):
    """(sum of g, sum of g * (x - mean)) over a range."""
    plain, with_x = 0.0, 0.0
    while start < stop:
        end = min(start + BLOCK, stop)
        a = mean - mean
        b = mean - mean
        for i in range(start, end):
            a += g[i]
            b += g[i] * (x[i] - mean)
        plain += a
        with_x += b
        start = end
    return plain, with_x


@njit(parallel=True, **flags)
def batch_forward(x, batch, channels, length, weight, bias, epsilon, out, means, variances):
    for c in prange(channels):
        size = batch * length
        sum_x = 0.0
        for n in range(batch):
            at = (n * channels + c) * length
            sum_x += total(x, at, at + length)
        means[c] = sum_x / size
        mean = means[c]
        sum_squares = 0.0
        for n in range(batch):
            at = (n * channels + c) * length
            sum_squares += spread(x, at, at + length, mean)
        variances[c] = sum_squares / size
        scale = weight[c]
        scale *= 1 / math.sqrt(sum_squares / size + epsilon)
        shift = bias[c]
        for n in range(batch):
            at = (n * channels + c) * length
            for i in range(at, at + length):
                out[i] = (x[i] - mean) * scale + shift


@njit(parallel=True, **flags)
def batch_backward(g, x, batch, channels, length, weight, means, variances, epsilon, to_x, to_weight, to_bias):
    for c in prange(channels):
        size = batch * length
        mean = means[c]
        inverse = 1 / math.sqrt(variances[c] + epsilon)
        sum_g, sum_gx = 0.0, 0.0
        for n in range(batch):
            at = (n * channels + c) * length
            a, b = moments(g, x, at, at + length, mean)
            sum_g += a
            sum_gx += b
        to_weight[c] = sum_gx * inverse
        to_bias[c] = sum_g
        one = weight[c]
        one *= inverse                                  # to_x = one * g - two * (x - mean) - three
        two = one
        two *= inverse * inverse * sum_gx / size
        three = one
        three *= sum_g / size
        for n in range(batch):
            at = (n * channels + c) * length
            for i in range(at, at + length):
                to_x[i] = one * g[i] - two * (x[i] - mean) - three


@njit(parallel=True, **flags)
def rows_forward(x, rows, period, channels, length, weight, bias, epsilon, out, means, variances):
    for r in prange(rows):
        size = channels * length
        at = r * size
        means[r] = total(x, at, at + size) / size
        mean = means[r]
        variances[r] = spread(x, at, at + size, mean) / size
        inverse = weight[0]
        inverse = 1 / math.sqrt(variances[r] + epsilon)
        first = (r % period) * channels
        if length == 1:
            for i in range(size):
                out[at + i] = (x[at + i] - mean) * inverse * weight[first + i] + bias[first + i]
        else:
            for c in range(channels):
                scale, shift = weight[first + c] * inverse, bias[first + c]
                for i in range(at + c * length, at + (c + 1) * length):
                    out[i] = (x[i] - mean) * scale + shift


@njit(parallel=True, **flags)
def rows_backward(g, x, rows, period, channels, length, weight, means, variances, epsilon, to_x, weights, biases):
    """weights, biases: zeros [parts, period * channels]; the caller sums them over the parts."""
    parts = len(weights)
    for part in prange(parts):
        size = channels * length
        for r in range(rows * part // parts, rows * (part + 1) // parts):
            at = r * size
            mean = means[r]
            inverse = weight[0]
            inverse = 1 / math.sqrt(variances[r] + epsilon)
            first = (r % period) * channels
            sum_u, sum_us = 0.0, 0.0                     # of u = g * weight, and of u * (x - mean)
            if length == 1:
                a = mean - mean
                b = mean - mean
                for i in range(size):
                    u = g[at + i] * weight[first + i]
                    a += u
                    b += u * (x[at + i] - mean)
                sum_u, sum_us = a, b
            else:
                for c in range(channels):
                    start = at + c * length
                    a, b = moments(g, x, start, start + length, mean)
                    weights[part, first + c] += b * inverse
                    biases[part, first + c] += a
                    sum_u += a * weight[first + c]
                    sum_us += b * weight[first + c]
            two = mean - mean
            two = sum_us / size * inverse * inverse * inverse
            three = sum_u / size * inverse
            if length == 1:
                for i in range(size):
                    centred = x[at + i] - mean
                    to_x[at + i] = g[at + i] * weight[first + i] * inverse - two * centred - three
                    weights[part, first + i] += g[at + i] * centred * inverse
                    biases[part, first + i] += g[at + i]
            else:
                for c in range(channels):
                    one = weight[first + c] * inverse
                    for i in range(at + c * length, at + (c + 1) * length):
                        to_x[i] = one * g[i] - two * (x[i] - mean) - three
