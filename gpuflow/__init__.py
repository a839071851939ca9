"""gpuflow: train on NVIDIA GPUs with CuPy, on CPUs with NumPy, in Paddle's words. ``import gpuflow as paddle``.

The core is imported here; the rooms above it (nn, optimizer, io, ...) when they are first named. `a as a` and `*` tell
type checkers that a name is public.
"""
import importlib
import math as _math
import sys as _sys
from types import ModuleType as _ModuleType
from typing import TYPE_CHECKING

from gpuflow import device as device, dtypes, linalg as linalg, log as _log, methods
from gpuflow._version import __version__ as __version__
from gpuflow.autograd.modes import (
    enable_grad as enable_grad,
    is_grad_enabled as is_grad_enabled,
    no_grad as no_grad,
    set_grad_enabled as set_grad_enabled,
)
from gpuflow.autograd.tape import grad as grad
from gpuflow.device import (
    CPUPlace as CPUPlace,
    CUDAPinnedPlace as CUDAPinnedPlace,
    CUDAPlace as CUDAPlace,
    get_device as get_device,
    is_compiled_with_cuda as is_compiled_with_cuda,
    is_compiled_with_rocm as is_compiled_with_rocm,
    is_compiled_with_xpu as is_compiled_with_xpu,
    set_device as set_device,
)
from gpuflow.dispatch import in_dynamic_mode as in_dynamic_mode
from gpuflow.dtypes import (
    bfloat16 as bfloat16,
    complex64 as complex64,
    complex128 as complex128,
    finfo as finfo,
    float16 as float16,
    float32 as float32,
    float64 as float64,
    get_default_dtype as get_default_dtype,
    iinfo as iinfo,
    int8 as int8,
    int16 as int16,
    int32 as int32,
    int64 as int64,
    set_default_dtype as set_default_dtype,
    uint8 as uint8,
)
from gpuflow.functional.complexes import *  # noqa: F403
from gpuflow.functional.creation import *  # noqa: F403
from gpuflow.functional.joining import *  # noqa: F403
from gpuflow.functional.keywords import with_keywords
from gpuflow.functional.linalg import *  # noqa: F403
from gpuflow.functional.manipulation import *  # noqa: F403
from gpuflow.functional.math import *  # noqa: F403
from gpuflow.functional.numeric import *  # noqa: F403
from gpuflow.functional.placing import *  # noqa: F403
from gpuflow.functional.random import *  # noqa: F403
from gpuflow.functional.reduction import *  # noqa: F403
from gpuflow.functional.search import *  # noqa: F403
from gpuflow.functional.statistics import *  # noqa: F403
from gpuflow.random import (
    Generator as Generator,
    get_cuda_rng_state as get_cuda_rng_state,
    get_rng_state as get_rng_state,
    seed as seed,
    set_cuda_rng_state as set_cuda_rng_state,
    set_rng_state as set_rng_state,
)
from gpuflow.tensor import (
    Size as Size,
    Tensor as Tensor,
    from_dlpack as from_dlpack,
    is_tensor as is_tensor,
    set_printoptions as set_printoptions,
    to_dlpack as to_dlpack,
    to_tensor as to_tensor,
)

dtype = dtypes.DType
bool = dtypes.bool_
cat = concatenate = concat  # noqa: F405
inverse, norm = linalg.inv, linalg.norm
ger = outer  # noqa: F405
manual_seed = seed
half, float, double, cfloat, cdouble = float16, float32, float64, complex64, complex128
pi, e, inf, nan, newaxis = _math.pi, _math.e, _math.inf, _math.nan, None
globals().update(methods.FUNCTIONS)
globals().update(with_keywords(globals()))
_log.from_environment()

if TYPE_CHECKING:
    from gpuflow import (
        autograd as autograd,
        callbacks as callbacks,
        distributed as distributed,
        io as io,
        nn as nn,
        optimizer as optimizer,
        regularizer as regularizer,
        text as text,
        utils as utils,
        viz as viz,
    )
    from gpuflow.distributed.parallel import DataParallel as DataParallel
    from gpuflow.hapi.flops import flops as flops
    from gpuflow.hapi.model import Model as Model
    from gpuflow.hapi.summary import summary as summary
    from gpuflow.io.checkpoint import load as load, save as save
    from gpuflow.nn.create import create_parameter as create_parameter
    from gpuflow.param import ParamAttr as ParamAttr
    from gpuflow.static.build import disable_static as disable_static, enable_static as enable_static

_ROOMS = ("amp", "autograd", "base", "callbacks", "distributed", "distribution", "fft", "framework", "geometric",
          "hapi", "incubate", "io", "jit", "linalg", "metric", "nn", "optimizer", "regularizer", "signal", "static",
          "text", "utils", "version", "vision", "viz")
_LINALG = ("cholesky", "cholesky_inverse", "cholesky_solve", "cond", "corrcoef", "cov", "eig", "eigvals", "eigvalsh",
           "householder_product", "inv", "lstsq", "lu", "lu_unpack", "matrix_power", "multi_dot", "ormqr",
           "pca_lowrank", "pinv", "qr", "slogdet", "solve", "svd_lowrank", "triangular_solve", "vecdot")
_ELSEWHERE = {"save": "io.checkpoint", "load": "io.checkpoint", "ParamAttr": "param", "create_parameter": "nn.create",
              "enable_static": "static.build", "disable_static": "static.build", "Model": "hapi.model",
              "summary": "hapi.summary", "flops": "hapi.flops", "DataParallel": "distributed.parallel",
              **dict.fromkeys(_LINALG, "linalg"),
              **dict.fromkeys(("adaptive_avg_pool1d", "conv1d", "conv2d", "conv3d", "group_norm", "layer_norm"),
                              "nn.functional"),
              **dict.fromkeys(("autocast", "get_autocast_cpu_dtype", "get_autocast_dtype", "get_autocast_gpu_dtype",
                               "is_autocast_enabled"), "amp")}


class _TensorRoom(_ModuleType):
    """What `paddle.tensor` is besides our module: a function, `as_tensor`, and Paddle's home of the public functions,
    as they are (`paddle.tensor.triu`) or in modules (`paddle.tensor.math.frexp`)."""

    def __call__(self, *args, **kwargs):
        return as_tensor(*args, **kwargs)  # noqa: F405

    def __getattr__(self, name):
        here = _sys.modules[__name__]
        if name in ("attribute", "creation", "logic", "manipulation", "math", "ops", "random", "search", "stat"):
            return here
        if name.startswith("_") or name not in globals():
            raise AttributeError(f"module 'gpuflow.tensor' has no attribute {name!r}")
        return globals()[name]


_sys.modules["gpuflow.tensor"].__class__ = _TensorRoom


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
