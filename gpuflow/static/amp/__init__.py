"""Mixed precision for Programs that were built without it: `decorate(optimizer).minimize(loss)` casts the program.

What computes in which type is decided as by `amp.auto_cast`; docs/amp.md has both ways side by side.
"""
from gpuflow.static.amp import bf16, debugging
from gpuflow.static.amp.decorate import OptimizerWithMixedPrecision, decorate
from gpuflow.static.amp.lists import AutoMixedPrecisionLists, CustomOpLists
from gpuflow.static.amp.rewrite import cast_model_to_fp16, cast_parameters_to_fp16, fp16_guard

__all__ = ["AutoMixedPrecisionLists", "CustomOpLists", "OptimizerWithMixedPrecision", "bf16", "cast_model_to_fp16",
           "cast_parameters_to_fp16", "debugging", "decorate", "fp16_guard"]
