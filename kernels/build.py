"""Text to code: generated Numba text to an imported module, `.cu` text to a loaded CUDA module. Both are cached.

Numba refuses to cache functions made by `exec`, so the text goes to a file named by its hash, which is then imported;
it can be read and stepped through there. GPUFLOW_CACHE_DIR says where (default: `gpuflow` in the user's cache folder).
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import sys
from pathlib import Path

from gpuflow_kernels import process


def cache_dir() -> Path:
    """The folder for generated kernels: $GPUFLOW_CACHE_DIR, else $XDG_CACHE_HOME/gpuflow, else ~/.cache/gpuflow."""
    chosen = os.environ.get("GPUFLOW_CACHE_DIR")
    if chosen:
        return Path(chosen)
    try:
        home = Path.home()
    except RuntimeError:  # no HOME and no entry for this user
        import tempfile

        home = Path(tempfile.gettempdir())
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "gpuflow"


def source_text(name: str) -> str:
    """The text of a `.cu` or `.cuh` file of this package, e.g. "update/update.cu"."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _written(text: str, folder: Path, name: str) -> Path:
    """Writes text to folder/name.py unless it is there; several processes may do so at once."""
    path = folder / f"{name}.py"
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return path
    import tempfile

    folder.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=folder, suffix=".draft")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        # Numba takes its cache for stale when the file's time changes; a fixed time lets racing writers agree.
        os.utime(draft, (1_000_000_000, 1_000_000_000))
        os.replace(draft, path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    return path


def _private_temp() -> Path:
    """A folder below the temporary one that only this user can write: what lies there will be imported."""
    import tempfile

    user = getattr(os, "getuid", lambda: 0)()
    folder = Path(tempfile.gettempdir()) / f"gpuflow-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.stat()
        if state.st_uid == user and not state.st_mode & 0o022:
            return folder
    except OSError:
        pass
    return Path(os.devnull) / "nowhere"  # writing there fails, and the caller goes on without a cache


def numba_text(name: str) -> str:
    """A `.py` file of this package with what its lines `from gpuflow_kernels.x import ...` name pasted in: the cache,
    keyed by text, then sees a change there."""
    lines = []
    for line in source_text(name).splitlines():
        pasted = re.fullmatch(r"from gpuflow_kernels\.(\S+) import .+", line)
        lines.append(numba_text(pasted[1].replace(".", "/") + ".py") if pasted else line)
    return "\n".join(lines) + "\n"


@functools.cache
def numba_module(text: str):
    """The module made of `text`, whose njit functions are cached on disk where a folder can be written."""
    import hashlib

    process.prepare()  # before Numba loads OpenMP
    import numba

    cached = re.sub(r"njit\((parallel=\w+), \*\*flags\)", r"njit(\1, cache=True, **flags)", text)
    name = "kernel_" + hashlib.sha256(f"{numba.__version__} {cached}".encode()).hexdigest()[:20]
    for folder in (cache_dir() / "numba", _private_temp()):
        try:
            path = _written(cached, folder, name)
        except OSError:
            continue  # a read-only home, a full disk
        spec = importlib.util.spec_from_file_location(f"gpuflow_kernels._generated.{name}", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # Numba looks its functions' module up by name
        try:
            spec.loader.exec_module(module)
            return module
        except RuntimeError:  # Numba found no folder to cache in
            del sys.modules[spec.name]
    module = type(sys)(name)
    exec(compile(text, f"<{name}>", "exec"), module.__dict__)  # compiled again at each start
    return module


@functools.cache
def cuda_text(name: str) -> str:
    """A `.cu` file with the package's own headers pasted in: NVRTC then needs no include path, and CuPy's cache,
    which is keyed by text, sees a change in a header."""
    lines = []
    for line in source_text(name).splitlines():
        if line.startswith('#include "'):
            lines.append(cuda_text(line.split('"')[1]).replace("#pragma once", ""))
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


@functools.cache
def cuda_module(text: str):
    """The text compiled by NVRTC and loaded, through CuPy's cache on disk."""
    import cupy

    return cupy.RawModule(code=text, options=("--std=c++17",), backend="nvrtc")
