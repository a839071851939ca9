"""Where arrays live: places, the current device, and which array module (`xp`) an array belongs to.

The array decides: a NumPy array is on the CPU, a CuPy array on its GPU. This file is the only one of gpuflow that
imports CuPy, and it does so when a GPU is first asked about; `import gpuflow` does not need it.
"""
import functools
import os
import sys

import numpy as np

from gpuflow.errors import explain


class Place:
    """A device by kind and number; equal by value."""

    __slots__ = ("_id", "_kind")

    def __init__(self, kind: str, device_id: int = 0):
        self._kind, self._id = kind, device_id

    def is_cpu_place(self) -> bool:
        return self._kind == "cpu"

    def is_gpu_place(self) -> bool:
        return self._kind == "gpu"

    def is_cuda_pinned_place(self) -> bool:
        return self._kind == "gpu_pinned"

    def gpu_device_id(self) -> int:
        return self._id

    get_device_id = gpu_device_id

    def __eq__(self, other):
        return isinstance(other, Place) and (self._kind, self._id) == (other._kind, other._id)

    def __hash__(self):
        return hash((self._kind, self._id))

    def __str__(self):
        return f"{self._kind}:{self._id}" if self._kind == "gpu" else self._kind

    def __repr__(self):
        return f"Place({self})"


class CPUPlace(Place):
    """The host's memory."""

    __slots__ = ()

    def __init__(self):
        super().__init__("cpu")


class CUDAPlace(Place):
    """GPU number `id`, counted from 0 as CUDA_VISIBLE_DEVICES shows them."""

    __slots__ = ()

    def __init__(self, id: int = 0):
        if not isinstance(id, int) or id < 0:
            raise ValueError(explain("CUDAPlace", "a device number >= 0", repr(id)))
        super().__init__("gpu", id)


class CUDAPinnedPlace(Place):
    """Page-locked host memory. gpuflow pins what it copies by itself; kept for code that names the place."""

    __slots__ = ()

    def __init__(self):
        super().__init__("gpu_pinned")


CPU = CPUPlace()
_current: Place | None = None
_cupy = None


def cupy():
    """The CuPy module; ModuleNotFoundError with the command that installs it when it is not there."""
    global _cupy
    if _cupy is None:
        if deterministic():     # else cuBLAS may choose its way by which of several streams runs first
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        try:
            import cupy as module
        except ImportError as error:
            raise ModuleNotFoundError(explain(
                "gpuflow on a GPU", "CuPy to be installed", str(error),
                "pip install 'gpuflow[cuda13x]' (or cuda12x), or gpuflow.set_device('cpu')")) from error
        _cupy = module
    return _cupy


@functools.cache
def deterministic() -> bool:
    """Whether GPUFLOW_DETERMINISTIC asks for the same bits in every run, on a GPU too."""
    wish = os.environ.get("GPUFLOW_DETERMINISTIC", "0")
    if wish not in ("", "0", "1"):
        raise ValueError(explain("GPUFLOW_DETERMINISTIC", "0 or 1", repr(wish)))
    return wish == "1"


def cuda_available() -> bool:
    """True when CuPy is installed and sees at least one GPU. Never raises."""
    try:
        return bool(cupy().cuda.is_available())
    except Exception:  # a broken driver or CuPy must not stop CPU work
        return False


def is_compiled_with_cuda() -> bool:
    """True when gpuflow can use an NVIDIA GPU here, i.e. CuPy is installed and a device answers."""
    return cuda_available()


def parse(device) -> Place:
    """The Place for a Place or for "cpu", "gpu", "gpu:1" ("cuda" spelled likewise). ValueError for other text."""
    if isinstance(device, Place):
        return device
    if isinstance(device, str):
        kind, colon, number = device.lower().partition(":")
        if kind == "cpu" and not colon:
            return CPU
        if kind in ("gpu", "cuda") and (number.isdecimal() or not colon):
            return CUDAPlace(int(number or 0))
        if kind == "gpu_pinned":
            return CUDAPinnedPlace()
    raise ValueError(explain("device", "'cpu', 'gpu', 'gpu:<number>' or a Place", repr(device)))


def set_device(device) -> Place:
    """Makes `device` ("cpu", "gpu", "gpu:1" or a Place) the one where new tensors live, and returns its Place.

    Raises ValueError for a device that does not exist here.
    """
    global _current
    place = parse(device)
    if place.is_gpu_place():
        _check_there("set_device", place)
        cupy().cuda.Device(place.gpu_device_id()).use()
    _current = place
    return place


def _check_there(where, place) -> None:
    """ValueError for a GPU that does not exist here."""
    count = device_count()
    if place.gpu_device_id() >= count:
        raise ValueError(explain(
            where, f"one of {['cpu', *(f'gpu:{i}' for i in range(count))]}", repr(str(place)),
            "install CuPy for your CUDA ('gpuflow[cuda13x]') and check the driver" if count == 0 else None))


def current_place() -> Place:
    """The Place where new tensors live: set_device's, else GPUFLOW_DEVICE's, else GPU 0 if there is one, else CPU."""
    if _current is None:
        wish = os.environ.get("GPUFLOW_DEVICE")
        return set_device(wish if wish else "gpu:0" if cuda_available() else "cpu")
    return _current


def get_device() -> str:
    """The current device as text: "cpu" or "gpu:0"."""
    return str(current_place())


def device_count() -> int:
    """How many GPUs this process can use."""
    return cupy().cuda.runtime.getDeviceCount() if cuda_available() else 0


def is_array(x) -> bool:
    """True for a NumPy or CuPy array."""
    return type(x) is np.ndarray or isinstance(x, np.ndarray) or (_cupy is not None and isinstance(x, _cupy.ndarray))


def module_of(array):
    """`xp` for an array: numpy, or cupy when it is a CuPy array."""
    return np if isinstance(array, np.ndarray) else cupy()


def place_of(array) -> Place:
    """The Place an array lives in."""
    return CPU if isinstance(array, np.ndarray) else CUDAPlace(array.device.id)


def module_for(place: Place):
    """`xp` for a Place: numpy, or cupy with that device made current."""
    if not place.is_gpu_place():
        return np
    module = cupy()
    try:
        module.cuda.Device(place.gpu_device_id()).use()
    except Exception:   # asked about afterwards: this is called for every random number
        _check_there("device", place)
        raise
    return module


def move(array, place: Place):
    """The array in `place`: itself when it is there already, else a copy. GPU to CPU waits for the copy."""
    here = place_of(array)
    if here == place or not (here.is_gpu_place() or place.is_gpu_place()):
        return array
    if not place.is_gpu_place():
        return to_numpy(array)
    return module_for(place).asarray(array)


def to_numpy(array) -> np.ndarray:
    """The array as NumPy's; a CuPy array is copied to the host, which waits for the device."""
    return array if isinstance(array, np.ndarray) else array.get()


def synchronize(device=None) -> None:
    """Waits until the GPU has done all work given to it. On the CPU there is nothing to wait for."""
    place = current_place() if device is None else parse(device)
    if place.is_gpu_place():
        cupy().cuda.Device(place.gpu_device_id()).synchronize()


def loaded_cupy():
    """CuPy if this process has imported it already, else None: for code that must not be the first to import it."""
    return _cupy or sys.modules.get("cupy")


def get_all_device_type() -> list:
    """The kinds of device that can be used here: ["cpu"] or ["cpu", "gpu"]."""
    return ["cpu", "gpu"] if cuda_available() else ["cpu"]


def get_available_device() -> list:
    """Every device by name: ["cpu", "gpu:0", ...]."""
    return ["cpu", *(f"gpu:{i}" for i in range(device_count()))]


def get_all_custom_device_type() -> list[str]:
    """Names of kinds of devices that plug-ins brought: none."""
    return []


def is_compiled_with_rocm() -> bool:
    """False: gpuflow's GPU side is CUDA's."""
    return False


def is_compiled_with_xpu() -> bool:
    """False: gpuflow's GPU side is CUDA's."""
    return False


from gpuflow.device import cuda  # noqa: E402  reads this module's functions, so it comes last
