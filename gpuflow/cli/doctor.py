"""`gpuflow doctor`: what training needs of this machine, each part found, or the command that mends it."""
from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

OK, MISSING, OPTIONAL = "ok", "missing", "optional"
MARKS = {OK: "✓", MISSING: "✗", OPTIONAL: "–"}


@dataclass
class Finding:
    """One part. state: found, missing though needed, or missing and not needed here. mend: a command."""

    part: str
    state: str
    says: str
    mend: str | None = None


class _Absent(Exception):
    """Says what is not there, and how to get it."""

    def __init__(self, says: str, mend: str | None):
        super().__init__(says)
        self.mend = mend


def add_to(commands) -> None:
    """Adds the command."""
    command = commands.add_parser("doctor", help="say what this machine has and lacks for training", description=(
        "Looks for each part that training uses. The exit code is 1 when something that is needed here is missing: "
        "parts for a GPU are needed where there is a driver."))
    command.add_argument("--json", action="store_true", help="print a list of JSON objects")
    command.set_defaults(run=_run)


def _run(options) -> int:
    findings = examine()
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings]))
    else:
        width = max(len(finding.part) for finding in findings)
        for finding in findings:
            print(f"{MARKS[finding.state]} {finding.part:{width}}  {finding.says}")
            if finding.mend:
                print(f"  {'':{width}}  → {finding.mend}")
    return int(any(finding.state == MISSING for finding in findings))


def examine() -> list[Finding]:
    """Every part in the order in which one leans on the other."""
    driver = _look("NVIDIA driver", _driver, needed=False)
    gpu = driver.state == OK
    cuda = 12 if gpu and driver.says.startswith("CUDA 12") else 13
    found = [_look("gpuflow", _gpuflow), _look("Numba", _numba), _look("CPU threads", _threads),
             _look("cache folder", _cache), driver]
    found += [_look(part, look, cuda, needed=gpu) for part, look in (
        ("CuPy", _cupy), ("GPUs", _gpus), ("NVRTC", _nvrtc), ("CUDA headers", _headers))]
    found += [_look("NCCL", _nccl, cuda, needed=False), _look("cuDNN", _cudnn, cuda, needed=False)]
    return found + [_look(name, _package, name, extra, needed=False)
                    for name, extra in (("tensorboardX", "tensorboard"), ("matplotlib", "plot"))]


def _look(part: str, look: Callable[..., str], *arguments, needed: bool = True) -> Finding:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")   # CuPy's, which say what we say
            return Finding(part, OK, look(*arguments))
    except _Absent as absent:
        return Finding(part, MISSING if needed else OPTIONAL, str(absent), absent.mend)


# ---- the CPU's side --------------------------------------------------------------------------------------------------

def _gpuflow() -> str:
    from gpuflow._version import __version__

    return f"{__version__} on Python {platform.python_version()}, {platform.system()} {platform.machine()}"


def _numba() -> str:
    try:
        import numba
    except ImportError as error:
        raise _Absent(str(error), "pip install --upgrade numba numpy") from error
    return numba.__version__


def _threads() -> str:
    """Runs a parallel kernel of ours: which layer Numba chooses is known afterwards."""
    import numba
    import numpy as np

    from gpuflow_kernels.norm.global_norm import global_norm

    try:
        global_norm([np.ones(1 << 20, np.float32)])
        layer = numba.threading_layer()
    except (ValueError, ImportError) as error:
        raise _Absent(f"no threading layer ({error})", "apt-get install libgomp1") from error
    if layer == "workqueue":
        raise _Absent("layer workqueue, which is slow and not safe between threads", "apt-get install libgomp1")
    return f"{numba.get_num_threads()} through the layer {layer}"


def _cache() -> str:
    from gpuflow_kernels.build import cache_dir

    folder = cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".doctor-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise _Absent(f"{folder} cannot be written ({error.strerror}): kernels are compiled at each start",
                      "export GPUFLOW_CACHE_DIR=/a/folder/you/can/write") from error
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return f"{folder}, {size / 1e6:.1f} MB"


def _package(name: str, extra: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        raise _Absent("not installed", f"pip install 'gpuflow[{extra}]'") from None


# ---- the GPU's side --------------------------------------------------------------------------------------------------

def _driver() -> str:
    try:
        library = ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        raise _Absent("none: training runs on the CPU", "sudo ubuntu-drivers install (Ubuntu), or the driver from "
                      "https://www.nvidia.com/drivers, where there is an NVIDIA GPU") from None
    version = ctypes.c_int()
    library.cuDriverGetVersion(ctypes.byref(version))
    if library.cuInit(0):
        raise _Absent("installed, and finds no GPU (or is of another version than the kernel's module)",
                      "nvidia-smi tells why; after an update of the driver: reboot")
    return f"CUDA {version.value // 1000}.{version.value % 1000 // 10}"


def _cupy(cuda: int) -> str:
    try:
        import cupy
    except ImportError as error:
        raise _Absent("not installed" if error.name == "cupy" else str(error),
                      f"pip install 'gpuflow[cuda{cuda}x]'") from error
    return cupy.__version__


def _gpus(cuda: int) -> str:
    from gpuflow import device

    _cupy(cuda)
    runtime = device.cupy().cuda.runtime
    try:
        count = runtime.getDeviceCount()
        properties = [runtime.getDeviceProperties(k) for k in range(count)]
    except runtime.CUDARuntimeError as error:
        raise _Absent(f"CuPy reaches none ({error})", "nvidia-smi, which lists those the driver sees; "
                      "unset CUDA_VISIBLE_DEVICES if it hides them") from error
    return "; ".join(f"{one['name'].decode()}, compute capability {one['major']}.{one['minor']}, "
                     f"{one['totalGlobalMem'] / 2**30:.0f} GiB" for one in properties)


def _nvrtc(cuda: int) -> str:
    _cupy(cuda)
    from cupy.cuda import nvrtc

    try:
        return "CUDA {}.{}".format(*nvrtc.getVersion())
    except (RuntimeError, ImportError, OSError) as error:
        raise _Absent(f"not found ({_first_line(error)})", f"pip install 'cupy-cuda{cuda}x[ctk]'") from error


def _headers(cuda: int) -> str:
    """Those that kernels for two-byte floats include, in a toolkit or in NVIDIA's wheels."""
    _cupy(cuda)
    from cupy.cuda import get_cuda_path

    wheels = importlib.util.find_spec("nvidia")
    folders = [Path(get_cuda_path() or "/nowhere") / "include"]
    for place in (wheels.submodule_search_locations or ()) if wheels else ():
        folders += Path(place).glob("*/include")
    for folder in folders:
        if (folder / "cuda_fp16.h").is_file():
            return str(folder)
    raise _Absent("cuda_fp16.h is nowhere", f"pip install 'cupy-cuda{cuda}x[ctk]'")


def _nccl(cuda: int) -> str:
    mend = f"pip install nvidia-nccl-cu{cuda}"
    try:
        from cupy.cuda import nccl
        version = nccl.get_version()
    except Exception as error:   # CuPy loads it late and by its own ways
        raise _Absent("not found; needed to train on several GPUs", mend) from error
    return f"{version // 10000}.{version // 100 % 100}.{version % 100}"


def _cudnn(cuda: int) -> str:
    try:
        library = importlib.import_module("nvidia.cudnn").__path__[0]
        names = [os.path.join(library, "lib", "libcudnn.so.9"), "libcudnn.so.9"]
    except ImportError:
        names = ["libcudnn.so.9"]
    for name in names:
        try:
            version = ctypes.CDLL(name).cudnnGetVersion()
            return f"{version // 10000}.{version // 100 % 100}.{version % 100}"
        except OSError:
            continue
    raise _Absent("not found; nothing in gpuflow needs it", f"pip install nvidia-cudnn-cu{cuda}")


def _first_line(error) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
