"""Layers and control flow for Programs, under Paddle's names of `paddle.static.nn`."""
from gpuflow.static.calls import py_func
from gpuflow.static.nn import control_flow
from gpuflow.static.nn.control_flow import *  # noqa: F403

__all__ = [*control_flow.__all__, "py_func"]
