"""Flat buffers on the host as the kernels like them: on cache lines, and large ones on huge pages."""

from __future__ import annotations

import contextlib
import mmap

import numpy as np

LINE = 64  # bytes: a cache line, and the widest vector load
HUGE = 2 << 20  # bytes: a huge page
LARGE = 2 * HUGE  # bytes: what is worth pages of its own


def zeros(size: int, dtype) -> np.ndarray:
    """A flat zero array that starts on a cache line; a large one lies on huge pages where the system has them.

    np.zeros gets memory that the C library has cleared, and so has pages of 4 KB already: a step then takes some
    percent longer (docs/kernels.md), since the processor looks up more often where a page is.
    """
    dtype = np.dtype(dtype)
    count = size * dtype.itemsize
    large = count >= LARGE and hasattr(mmap, "MADV_HUGEPAGE")  # on Linux
    raw, line = (_pages(count + HUGE), HUGE) if large else (np.zeros(count + LINE, np.uint8), LINE)
    start = -raw.ctypes.data % line
    return raw[start : start + count].view(dtype)


def _pages(count: int) -> np.ndarray:
    """uint8 [count], zero, in a mapping of its own that may have huge pages."""
    memory = mmap.mmap(-1, count, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a kernel built without them
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, np.uint8)
