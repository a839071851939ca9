"""Automatic differentiation in eager mode: the tape, `grad`, PyLayer, and a numerical check."""
from gpuflow.autograd.modes import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from gpuflow.autograd.py_layer import PyLayer, PyLayerContext
from gpuflow.autograd.tape import backward, grad

__all__ = ["PyLayer", "PyLayerContext", "backward", "enable_grad", "grad", "is_grad_enabled", "no_grad",
           "set_grad_enabled"]
