"""What code for Paddle takes from `paddle.framework.io`."""
from gpuflow.io.checkpoint import load, save
from gpuflow.param import Parameter

__all__ = ["EagerParamBase", "load", "save"]

EagerParamBase = Parameter
