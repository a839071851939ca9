"""A stand-in for the GPU: the package's CUDA text, built by g++ under cuda_host.h and run on NumPy memory.

It overrides what `CudaEngine` keeps under "the device itself" and nothing else, so argument packing, table copies,
launch counts and the kernels' own text are the ones a GPU gets.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from gpuflow_kernels import build
from gpuflow_kernels.update import cuda_text
from gpuflow_kernels.update.cuda import CudaEngine

HERE = Path(__file__).parent
FLAGS = ["-std=c++17", "-O0", "-shared", "-fPIC", "-fno-strict-aliasing", "-U_FORTIFY_SOURCE", "-w", f"-I{HERE}"]
SANITIZE = ["-fsanitize=address,undefined,alignment", "-fno-sanitize=float-divide-by-zero", "-fno-sanitize-recover=all"]
ORDERS = (0, 1, 2)


class KernelFault(AssertionError):
    """The host header caught a kernel doing what CUDA forbids."""


def compiler() -> str | None:
    return shutil.which("g++")


def _key(text: str, name: str) -> str:
    return f"{name}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _unit(kernels) -> str:
    """One translation unit with every (text, name): each text in a namespace of its own, its macros removed after
    it."""
    parts = ['#include "cuda_host.h"']
    for text, name in dict.fromkeys(kernels):
        key = _key(text, name)
        names = re.findall(r'extern "C" __global__ void[^(]*(?:\([^)]*\))?\s+(\w+)\(', text)
        renamed = text.replace('extern "C"', "")
        macros = set(re.findall(r"^\s*#\s*define\s+(\w+)", renamed, re.M))
        parts += [
            f"namespace n_{key} {{",
            f'#line 1 "{name}"',
            renamed,
            "}",
            *(f"#undef {m}" for m in sorted(macros)),
            f"HOST_EXPORT({key}, n_{key}::{name})",
        ]
        assert name in names, f"no kernel {name!r} in the text, found {names}"
    return "\n".join(parts) + "\n"


@functools.cache
def _library(kernels: tuple, sanitize: bool) -> ctypes.CDLL:
    """The kernels as a shared library, kept in the cache folder under a hash of everything that went in."""
    source = _unit(kernels)
    flags = [*FLAGS, *(SANITIZE if sanitize else [])]
    header = (HERE / "cuda_host.h").read_text()
    key = hashlib.sha256("\0".join([source, header, *flags[:-1]]).encode()).hexdigest()[:24]
    folder = build.cache_dir() / "host"
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / f"{key}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=folder) as work:
            (Path(work) / "unit.cpp").write_text(source)
            done = subprocess.run(
                [compiler(), *flags, "unit.cpp", "-o", "unit.so"], cwd=work, capture_output=True, text=True
            )
            if done.returncode:
                raise AssertionError(f"g++ refused the kernels:\n{done.stderr[:4000]}")
            os.replace(Path(work) / "unit.so", library)
    return ctypes.CDLL(str(library))


def prepare(kernels, sanitize=False, jobs=2):
    """Builds many (text, name) at once, in `jobs` translation units side by side; later calls find them built."""
    kernels = list(dict.fromkeys(kernels))
    missing = [k for k in kernels if (*k, sanitize) not in _built]
    parts = [tuple(missing[j::jobs]) for j in range(jobs) if missing[j::jobs]]
    with ThreadPoolExecutor(jobs) as pool:
        for part, library in zip(parts, pool.map(lambda p: _library(p, sanitize), parts)):
            for kernel in part:
                _built[(*kernel, sanitize)] = library


_built: dict = {}


def kernels_of(step) -> list:
    """(text, name) of every kernel that a FusedStep launches as it is now, for `prepare`."""
    phases = ("prepare", "apply") if step.rule.layered else ("whole",)
    kinds = [tuple(part.kind for part in step.parts(phase)) for phase in ("norm", *phases)]
    return [(cuda_text.sumsq_text(kinds[0]), "sumsq"),
            *((cuda_text.update_text(step.rule, variants), "update") for variants in kinds[1:])]


def launch(text: str, name: str, grid: int, block: int, arguments, order: int = 0, sanitize: bool = False):
    """Runs one kernel; arguments are NumPy scalars and one-record arrays, as CuPy takes them. Raises KernelFault."""
    if (text, name, sanitize) not in _built:
        prepare([(text, name)], sanitize)
    symbol = getattr(_built[text, name, sanitize], _key(text, name))
    symbol.restype = ctypes.c_char_p
    kept = [np.ascontiguousarray(a).reshape(-1) for a in arguments]
    pointers = (ctypes.c_void_p * len(kept))(*(a.ctypes.data for a in kept))
    problem = symbol(ctypes.c_uint(grid), ctypes.c_uint(block), pointers, ctypes.c_int(order))
    if problem:
        raise KernelFault(f"{name}: {problem.decode()}")


class DeviceArray(np.ndarray):
    """NumPy memory that plays device memory: anything that would wait for a GPU raises while `watched` is set."""

    watched = False

    def _refuse(self, *_, **__):
        if DeviceArray.watched:
            raise AssertionError("the host waited for the device inside a step")

    def __getitem__(self, key):
        found = super().__getitem__(key)
        if isinstance(found, np.ndarray) or not self.ndim:
            return found
        return super().__getitem__((*key, ...) if isinstance(key, tuple) else (key, ...))  # 0-d, as CuPy gives

    def item(self, *a):
        self._refuse()
        return super().item(*a)

    def tolist(self):
        self._refuse()
        return super().tolist()

    def __float__(self):
        self._refuse()
        return super().__float__()

    def __int__(self):
        self._refuse()
        return super().__int__()

    def __bool__(self):
        self._refuse()
        return super().__bool__()


class HostDevice(CudaEngine):
    """The engine for tests. order: warp order, see cuda_host.h. Counts launches, copies and allocations."""

    def __init__(self, order: int = 0, sanitize: bool = False):
        super().__init__()
        self.order, self.sanitize = order, sanitize
        self.launches, self.copies, self.allocations, self.wanted = [], 0, 0, []

    def zeros(self, shape, dtype):
        self.allocations += 1
        return np.zeros(shape, dtype).view(DeviceArray)

    def constant(self, array):
        self.allocations += 1
        return array.copy().view(DeviceArray)

    def address(self, array):
        return array.ctypes.data

    def copy_to_device(self, target, source, size):
        self.copies += 1
        ctypes.memmove(target.ctypes.data, source.ctypes.data, size)

    def function(self, text, name):
        def kernel(grid, block, arguments):
            self.launches.append(name)
            launch(text, name, grid[0], block[0], arguments, self.order, self.sanitize)

        return kernel
