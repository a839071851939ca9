"""Names that code for Paddle asks of `paddle.framework`; each lives in a room of its own."""
from gpuflow.autograd.modes import no_grad
from gpuflow.autograd.tape import grad
from gpuflow.device import CPUPlace, CUDAPinnedPlace, CUDAPlace, current_place as _current_expected_place
from gpuflow.dispatch import in_dynamic_mode
from gpuflow.dtypes import DType as dtype, get_default_dtype, set_default_dtype
from gpuflow.framework import core, io
from gpuflow.io.checkpoint import load, save
from gpuflow.param import ParamAttr, Parameter
from gpuflow.random import seed

__all__ = ["CPUPlace", "CUDAPinnedPlace", "CUDAPlace", "ParamAttr", "Parameter", "core", "dtype", "get_default_dtype",
           "grad", "in_dynamic_mode", "io", "load", "no_grad", "save", "seed", "set_default_dtype"]
