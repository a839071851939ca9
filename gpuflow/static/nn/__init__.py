"""Layers and control flow for Programs, under Paddle's names of `paddle.static.nn`."""
from gpuflow.errors import explain
from gpuflow.static.calls import py_func
from gpuflow.static.nn import control_flow, layers
from gpuflow.static.nn.control_flow import *  # noqa: F403
from gpuflow.static.nn.layers import *  # noqa: F403

__all__ = [*control_flow.__all__, *layers.__all__, "py_func"]

# What Paddle has and we do not, and what to use.
_MISSING = dict.fromkeys(("sequence_conv", "sequence_expand", "sequence_first_step", "sequence_last_step",
                          "sequence_pool", "sequence_softmax"), "padded tensors and a mask")


def __getattr__(name):
    if name in _MISSING:
        raise AttributeError(explain(f"static.nn.{name}", "a name that gpuflow has", "one of Paddle's only",
                                     _MISSING[name]))
    raise AttributeError(f"module 'gpuflow.static.nn' has no attribute {name!r}")
