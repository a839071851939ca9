"""gpuflow: train on NVIDIA GPUs with CuPy, on CPUs with NumPy, in Paddle's words. ``import gpuflow as paddle``.

The core is imported here; the rooms above it (nn, optimizer, io, ...) when they are first named.
"""
import importlib

from gpuflow import device, methods
from gpuflow._version import __version__
from gpuflow.autograd.tape import enable_grad, grad, is_grad_enabled, no_grad, set_grad_enabled
from gpuflow.device import (
    CPUPlace,
    CUDAPinnedPlace,
    CUDAPlace,
    get_device,
    is_compiled_with_cuda,
    set_device,
)
from gpuflow.dtypes import (
    DType as dtype,
)
from gpuflow.dtypes import (
    bfloat16,
    complex64,
    complex128,
    finfo,
    float16,
    float32,
    float64,
    get_default_dtype,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    set_default_dtype,
    uint8,
)
from gpuflow.dtypes import bool_ as bool
from gpuflow.random import get_rng_state, seed, set_rng_state
from gpuflow.tensor import Tensor, from_dlpack, set_printoptions, to_tensor

_ROOMS = ("amp", "autograd", "io", "metric", "nn", "optimizer", "regularizer", "static", "text", "utils", "vision")
_ELSEWHERE = {"save": "io.checkpoint", "load": "io.checkpoint", "ParamAttr": "param", "create_parameter": "nn.create"}


def __getattr__(name):
    if name in _ROOMS:
        try:
            return importlib.import_module(f"gpuflow.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"gpuflow.{name}":
                raise
    elif name in _ELSEWHERE:
        value = getattr(importlib.import_module(f"gpuflow.{_ELSEWHERE[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'gpuflow' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_ROOMS, *_ELSEWHERE})
