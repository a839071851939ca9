"""The names that Paddle's static mode has for bfloat16; each is what static.amp does with dtype="bfloat16"."""
import numpy as np

from gpuflow import dtypes
from gpuflow.static.amp import lists, rewrite
from gpuflow.static.amp.decorate import decorate
from gpuflow.static.program import default_main_program

__all__ = ["AutoMixedPrecisionListsBF16", "bf16_guard", "cast_model_to_bf16", "cast_parameters_to_bf16",
           "convert_float_to_uint16", "decorate_bf16", "rewrite_program_bf16"]

bf16_guard = rewrite.fp16_guard


class AutoMixedPrecisionListsBF16(lists.AutoMixedPrecisionLists):
    """AutoMixedPrecisionLists for bfloat16; bf16_list, fp32_list and fp32_varnames are Paddle's names of its lists."""

    def __init__(self, custom_bf16_list=None, custom_fp32_list=None, custom_fp32_varnames=None):
        super().__init__(custom_bf16_list, custom_fp32_list, custom_fp32_varnames, "bfloat16")
        self.bf16_list, self.fp32_list, self.fp32_varnames = self.white_list, self.black_list, self.black_varnames


def decorate_bf16(optimizer, amp_lists=None, use_pure_bf16=False, use_bf16_guard=None):
    """`static.amp.decorate` in bfloat16; use_pure_bf16: level O2. use_bf16_guard: default as use_pure_bf16."""
    return decorate(optimizer, amp_lists or AutoMixedPrecisionListsBF16(), use_dynamic_loss_scaling=False,
                    init_loss_scaling=1.0, use_pure_fp16=use_pure_bf16, use_fp16_guard=use_bf16_guard, use_bf16=True)


def cast_model_to_bf16(program, startup_prog=None, amp_lists=None, use_bf16_guard=True) -> set[str]:
    """`cast_model_to_fp16` at level O2 in bfloat16. startup_prog: not needed, parameters are drawn in float32."""
    return rewrite.cast_model_to_fp16(program, amp_lists or AutoMixedPrecisionListsBF16(), use_bf16_guard, "bfloat16")


def cast_parameters_to_bf16(place, program, scope=None, to_bf16_var_names=None) -> None:
    """`cast_parameters_to_fp16` in bfloat16."""
    rewrite.cast_parameters_to_fp16(place, program, scope, to_bf16_var_names, "bfloat16")


def rewrite_program_bf16(main_prog=None, amp_lists=None) -> None:
    """Casts a program as `auto_cast` at level O1 in bfloat16 would have built it."""
    rewrite.cast_model_to_fp16(default_main_program() if main_prog is None else main_prog,
                               amp_lists or AutoMixedPrecisionListsBF16(), False, "bfloat16", "O1")


def convert_float_to_uint16(in_list) -> np.ndarray:
    """Numbers as the bits of bfloat16."""
    return np.asarray(in_list, np.float32).astype(dtypes.bfloat16.dtype).view(np.uint16)
