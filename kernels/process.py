"""What gpuflow settles about its process before its first CPU kernel, where the user has not: how OpenMP's threads
wait, and what the C library does with freed memory. And how a kernel is kept to one thread."""

from __future__ import annotations

import functools
import os

# glibc's mallopt (malloc.h): its names, and the environment variables with which a user says the same
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_USERS_OWN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_")


@functools.cache
def prepare() -> None:
    """Threads sleep while they wait (docs/decisions/0008), freed memory stays here (docs/decisions/0009)."""
    # Read by OpenMP when Numba loads it. By default its threads spin while they wait, and so do OpenBLAS's: in a
    # training step each takes the cores from the other, and the step takes three times as long.
    if "GOMP_SPINCOUNT" not in os.environ:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if os.environ.get("GPUFLOW_KEEP_MEMORY", "1") != "0":
        keep_freed_memory()


def keep_freed_memory() -> bool:
    """Has glibc keep what is freed for the next array; False where another C library or the user decides.

    By default it gives arrays of some MB back to the system, and the next step's arrays, of the same sizes, are
    faulted in page by page again.
    """
    import ctypes

    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):  # Windows
        return False
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    if any(name in os.environ for name in _USERS_OWN) or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    library.mallopt(_TRIM_THRESHOLD, -1)            # the end of the heap is never given back
    library.mallopt(_TOP_PAD, 64 << 20)             # and grows in large steps
    # Arrays below 1 GiB come from the heap, not from mappings of their own; older versions take 32 MiB at most.
    return bool(library.mallopt(_MMAP_THRESHOLD, 1 << 30) or library.mallopt(_MMAP_THRESHOLD, 32 << 20))


def on_one_thread(kernel, *arguments):
    """kernel(*arguments), for work that is done before a second thread is awake."""
    import numba

    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        return kernel(*arguments)
    finally:
        numba.set_num_threads(threads)
