"""`paddle.base.framework`: what copies of Paddle's own optimizers and layers ask about the mode and the block."""
from gpuflow.dispatch import in_dynamic_mode
from gpuflow.param import Parameter
from gpuflow.static import Program, Variable, default_main_program, default_startup_program, program_guard
from gpuflow.static.legacy import AtOnce
from gpuflow.static.program import Block as _Recorded

__all__ = ["Block", "EagerParamBase", "Parameter", "Program", "Variable", "default_main_program",
           "default_startup_program", "in_dygraph_mode", "in_dynamic_mode", "in_dynamic_or_pir_mode", "in_pir_mode",
           "program_guard"]

Block = _Recorded | AtOnce   # for isinstance: that of a Program, or what an optimizer's update gets
EagerParamBase = Parameter
in_dygraph_mode = in_dynamic_mode


def in_pir_mode() -> bool:
    """False: there is one kind of Program."""
    return False


in_dynamic_or_pir_mode = in_dynamic_mode
