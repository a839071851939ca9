"""Mixed precision: `auto_cast` chooses each op's type, `decorate` casts models, `GradScaler` scales losses.

docs/amp.md has a worked example, lists.py says what computes in which type.
"""
from gpuflow import device
from gpuflow.amp import debugging
from gpuflow.amp.auto_cast import amp_guard, auto_cast, autocast, get_autocast_dtype, is_autocast_enabled
from gpuflow.amp.decorate import amp_decorate, decorate
from gpuflow.amp.grad_scaler import AmpScaler, GradScaler
from gpuflow.amp.lists import black_list, white_list
from gpuflow.device import cuda

__all__ = ["auto_cast", "GradScaler", "decorate", "is_float16_supported", "is_bfloat16_supported",
           "is_autocast_enabled", "get_autocast_dtype", "get_autocast_cpu_dtype", "get_autocast_gpu_dtype"]

get_autocast_cpu_dtype = get_autocast_gpu_dtype = get_autocast_dtype


def is_float16_supported(device: str | None = None) -> bool:
    """Whether float16 can be computed with on the device (default: the current one): on CPUs, where it is slower than
    float32, and on GPUs of compute capability 5.3 or higher."""
    return _capability_of(device) >= (5, 3)


def is_bfloat16_supported(device: str | None = None) -> bool:
    """Whether bfloat16 can be computed with on the device (default: the current one): on CPUs, where it is slower than
    float32, and on GPUs of compute capability 8.0 or higher."""
    return _capability_of(device) >= (8, 0)


def _capability_of(name) -> tuple[int, int]:
    place = device.current_place() if name is None else device.parse(name)
    return cuda.get_device_capability(place) if place.is_gpu_place() else (99, 0)
