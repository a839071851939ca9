"""The fused update: one formula per rule, one pass over memory for clip, regularisation, rule and copies."""

from gpuflow_kernels.update.layout import (
    ALIGN,
    CHUNK,
    CLIP_GROUP,
    CLIP_NONE,
    CLIP_NORM,
    CLIP_VALUE,
    DENSE,
    INACTIVE,
    SPARSE,
    STILL,
)
from gpuflow_kernels.update.rule import FormulaError, UpdateRule
from gpuflow_kernels.update.step import Bucket, FusedStep

__all__ = [
    "ALIGN", "CHUNK", "CLIP_GROUP", "CLIP_NONE", "CLIP_NORM", "CLIP_VALUE", "DENSE", "INACTIVE", "SPARSE",
    "STILL", "Bucket", "FormulaError", "FusedStep", "UpdateRule",
]
