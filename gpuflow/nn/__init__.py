"""Layers, their functions, initializers and clips, under Paddle's names."""
from gpuflow.nn import initializer
from gpuflow.nn.layer import Layer
from gpuflow.param import Parameter

__all__ = ["Layer", "Parameter", "initializer"]
