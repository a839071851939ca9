"""Convolution's columns, pooling and normalisation on the CPU, on NumPy arrays of float32 or float64.

What each computes is said where its reference is: gpuflow/ops/patches.py, pool.py and norm.py. The compiled texts are
windows.py, depthwise.py and scores.py; they are loaded when first called.
"""
from __future__ import annotations

import functools
import math

import numpy as np

from gpuflow_kernels import build


@functools.cache
def _windows():
    return build.numba_module(build.numba_text("nn/windows.py"))


@functools.cache
def _depthwise(what):
    text = build.numba_text("nn/depthwise.py")
    return build.numba_module(text.replace("act = to_y", f"act = {what}")).walk


@functools.cache
def _scores(dtype):
    text = build.source_text("nn/scores.py")
    return build.numba_module(text.replace("real = np.float32", f"real = np.{dtype}"))


def takes(dtype) -> bool:
    """True for the dtypes that these functions compute with."""
    return dtype == np.float32 or dtype == np.float64


def _three(values, fill):
    return (*[fill] * (3 - len(values)), *values)


def _geometry(sizes, counts, kernel, stride, dilation):
    return (*_three(sizes, 1), *_three(counts, 1), *_three(kernel, 1), *_three(stride, 1), *_three(dilation, 1))


def turned(x, out=None):
    """x [rows, width] transposed, as a new array or in `out`; both C-contiguous."""
    out = np.empty(x.shape[::-1], x.dtype) if out is None else out
    if 1 in x.shape:
        out.reshape(-1)[...] = x.reshape(-1)
    else:
        _windows().turn(x, out)
    return out


def gather(x, columns, low, counts, kernel, stride, dilation):
    """Fills columns [C, *kernel, *counts, N] from x [C, *S, N]; both C-contiguous."""
    _windows().gather(x.reshape(-1), x.shape[0], x.shape[-1],
                      _geometry(x.shape[1:-1], counts, kernel, stride, dilation), _three(low, 0), columns.reshape(-1))


def scatter(columns, x, low, counts, kernel, stride, dilation):
    """Adds columns [C, *kernel, *counts, N] to x [C, *S, N]; both C-contiguous."""
    _windows().scatter(columns.reshape(-1), x.shape[0], x.shape[-1],
                       _geometry(x.shape[1:-1], counts, kernel, stride, dilation), _three(low, 0), x.reshape(-1))


def depthwise(what, x, weight, y, low, kernel, stride, dilation):
    """Convolution with a kernel for each channel, x [C, *S, N] to y [O, *S', N] with weight [O, *kernel], O a multiple
    of C; all C-contiguous. what: "to_y" adds to y, "to_x" to x what y passes back, "to_weight" to weight, float64."""
    geometry = _geometry(x.shape[1:-1], y.shape[1:-1], kernel, stride, dilation)
    kinds = y.shape[0] // x.shape[0]
    _depthwise(what)(x.reshape(-1), weight.reshape(-1), y.reshape(-1), x.shape[0], kinds, x.shape[-1], geometry,
                     _three(low, 0))


def first_last(x):
    """The view of x, of any array module, with axis 0 moved to the end (np.moveaxis takes ten times as long)."""
    return x.transpose((*range(1, x.ndim), 0))


def last_first(x):
    """The view of x, of any array module, with the last axis moved to the front."""
    return x.transpose((x.ndim - 1, *range(x.ndim - 1)))


def _channels_last(x):
    return x.transpose((0, *range(2, x.ndim), 1))


def planes(x):
    """(memory, order): x [N, C, *S] as it lies in memory, a C-contiguous [A, *S, B], with the order of its axes.

    order "nc": [N * C, *S, 1]; "c": [C, *S, N]; "n": [N, *S, C]. x is copied where it has gaps.
    """
    if not x.flags.c_contiguous:
        for order, memory in (("c", first_last(x)), ("n", _channels_last(x))):
            if memory.flags.c_contiguous:
                return memory, order
    return laid(x, "nc"), "nc"


def laid(x, order):
    """x [N, C, *S] as C-contiguous memory of the given order, see `planes`."""
    if order == "nc":
        return np.ascontiguousarray(x).reshape(x.shape[0] * x.shape[1], *x.shape[2:], 1)
    return np.ascontiguousarray(first_last(x) if order == "c" else _channels_last(x))


def unlaid(memory, order, batch):
    """The view [N, C, *S] of memory of the given order."""
    if order == "nc":
        return memory.reshape(batch, -1, *memory.shape[1:-1])
    return last_first(memory) if order == "c" else np.moveaxis(memory, -1, 1)


def largest(x, low, counts, kernel, stride):
    """(out, mask) [N, C, *counts], in x's memory order: the largest elements of x's windows, and their places."""
    memory, order = planes(x)
    sizes = memory.shape[1:-1]
    out = np.full((memory.shape[0], *counts, memory.shape[-1]), -np.inf, x.dtype)
    mask = np.zeros(out.shape, np.int32)
    geometry = _geometry(sizes, counts, kernel, stride, (1,) * len(kernel))
    five = (memory.shape[0], *geometry[:3], memory.shape[-1]), (memory.shape[0], *geometry[3:6], memory.shape[-1])
    _windows().largest(memory.reshape(five[0]), geometry, _three(low, 0), out.reshape(five[1]), mask.reshape(five[1]))
    return unlaid(out, order, x.shape[0]), unlaid(mask, order, x.shape[0])


def put(x, mask, sizes):
    """[N, C, *sizes], in mask's memory order: zeros with x added at the places that mask names; both [N, C, *S].

    ValueError for a place that is not there.
    """
    places, order = planes(mask)
    values = laid(x, order)
    out = np.empty((places.shape[0], *sizes, places.shape[-1]), x.dtype)
    flat = (places.shape[0], -1, places.shape[-1])
    if values.shape != places.shape:
        raise ValueError(f"{list(x.shape)} elements for {list(mask.shape)} places")
    if not _windows().put(values.reshape(flat), places.reshape(flat), out.reshape(flat)):
        raise ValueError(f"places from {mask.min()} to {mask.max()} in channels of {math.prod(sizes)} elements")
    return unlaid(out, order, x.shape[0])


def _affine(weight, bias, count, dtype):
    return (np.ones(count, dtype) if weight is None else np.ascontiguousarray(weight.reshape(-1)),
            np.zeros(count, dtype) if bias is None else np.ascontiguousarray(bias.reshape(-1)))


def forward(x, period, weight, bias, epsilon):
    """(out, mean, variance). x: [R, M] (period 0, statistics per row), [N, C, L] (period 0, per channel), or [R, C, L]
    (period > 0, per row; channel c of row r has weight number (r % period) * C + c). weight, bias: flat or None.
    """
    weight, bias = _affine(weight, bias, x.shape[1] * max(period, 1), x.dtype)
    size = x.shape[1] if x.ndim == 3 and not period else x.shape[0]
    out, mean, variance = np.empty(x.shape, x.dtype), np.empty(size, x.dtype), np.empty(size, x.dtype)
    found = _scores(x.dtype.name)
    if period:
        found.groups_forward(x, period, weight, bias, epsilon, out, mean, variance)
    else:
        (found.rows_forward if x.ndim == 2 else found.batch_forward)(x, weight, bias, epsilon, out, mean, variance)
    return out, mean, variance


def backward(g, x, period, weight, mean, variance, epsilon):
    """(to_x, to_weight, to_bias), the latter flat, for the gradient g of forward's out."""
    weight, _ = _affine(weight, None, x.shape[1] * max(period, 1), x.dtype)
    g, to_x, (to_weight, to_bias) = np.ascontiguousarray(g), np.empty(x.shape, x.dtype), np.zeros((2, len(weight)))
    found = _scores(x.dtype.name)
    if period:
        found.groups_backward(g, x, period, weight, mean, variance, epsilon, to_x, to_weight, to_bias)
    else:
        (found.rows_backward if x.ndim == 2 else found.batch_backward)(g, x, weight, mean, variance, epsilon, to_x,
                                                                       to_weight, to_bias)
    return to_x, to_weight.astype(x.dtype), to_bias.astype(x.dtype)
