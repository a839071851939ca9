"""Norms of gradients, accumulated in float64 in a fixed order."""

from gpuflow_kernels.norm.global_norm import global_norm, row_norms

__all__ = ["global_norm", "row_norms"]
