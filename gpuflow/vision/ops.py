"""Operations of networks that look for objects."""
from gpuflow.nn.deform import DeformConv2D as DeformConv2D, deform_conv2d as deform_conv2d

__all__ = ["DeformConv2D", "deform_conv2d"]
