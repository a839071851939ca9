"""Flat buffers on the host: zero, aligned, and large ones in mappings for which huge pages were asked."""

import mmap
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from gpuflow_kernels import memory


@pytest.mark.parametrize("size", [1, 65, memory.LARGE // 4 - 1, memory.LARGE // 4, memory.LARGE])
def test_zero_aligned_and_alone(size):
    buffers = [memory.zeros(size, np.float32) for _ in range(2)]
    for k, buffer in enumerate(buffers):
        assert buffer.shape == (size,) and buffer.dtype == np.float32 and not buffer.any()
        assert buffer.ctypes.data % (memory.HUGE if buffer.nbytes >= memory.LARGE else memory.LINE) == 0
        buffer[...] = k + 1
    assert all((buffer == k + 1).all() for k, buffer in enumerate(buffers))


@pytest.mark.skipif(sys.platform != "linux" or not Path("/sys/kernel/mm/transparent_hugepage").exists(),
                    reason="a kernel with transparent huge pages says what was asked of a mapping")
def test_huge_pages_are_asked_for():
    assert "hg" in flags_at(memory.zeros(memory.LARGE, np.uint8).ctypes.data)
    with mmap.mmap(-1, memory.LARGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as plain:
        assert "hg" not in flags_at(np.frombuffer(plain, np.uint8).ctypes.data)


def flags_at(address: int) -> list[str]:
    """The VmFlags of the mapping that holds an address."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        span = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
        if span:
            inside = int(span[1], 16) <= address < int(span[2], 16)
        elif inside and line.startswith("VmFlags:"):
            return line.split()[1:]
    raise AssertionError("no such mapping")
