"""Automatic differentiation in eager mode: the tape, `grad`, PyLayer, Jacobians, and a numerical check."""
import importlib
from typing import TYPE_CHECKING

from gpuflow.autograd.modes import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from gpuflow.autograd.py_layer import PyLayer, PyLayerContext
from gpuflow.autograd.tape import backward, grad

if TYPE_CHECKING:
    from gpuflow.autograd.jacobians import hessian, jacobian
    from gpuflow.autograd.saved import saved_tensors_hooks

__all__ = ["Function", "PyLayer", "PyLayerContext", "backward", "enable_grad", "grad", "hessian", "is_grad_enabled",
           "jacobian", "no_grad", "saved_tensors_hooks", "set_grad_enabled"]

Function = PyLayer
_LATER = {"hessian": "jacobians", "jacobian": "jacobians", "saved_tensors_hooks": "saved"}   # when first named


def __getattr__(name):
    if name in _LATER:
        return getattr(importlib.import_module(f"gpuflow.autograd.{_LATER[name]}"), name)
    raise AttributeError(f"module 'gpuflow.autograd' has no attribute {name!r}")
