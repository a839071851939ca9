"""Eager mode by its older names."""
import contextlib

from gpuflow import device
from gpuflow.autograd.modes import no_grad
from gpuflow.dispatch import in_dynamic_mode
from gpuflow.nn.layer import Layer
from gpuflow.static.build import disable_static, enable_static
from gpuflow.tensor import to_tensor as to_variable

__all__ = ["Layer", "guard", "no_grad", "to_variable"]


@contextlib.contextmanager
def guard(place=None):
    """Eager mode inside, on `place` where one is given; afterwards mode and device are as before."""
    eager, before = in_dynamic_mode(), device.current_place()
    disable_static(place)
    try:
        yield
    finally:
        device.set_device(before)
        if not eager:
            enable_static()
