"""Names of the older layer (`fluid`, later `paddle.base`) that code still asks for; each lives in a room of its own."""
from gpuflow.base import dygraph, framework
from gpuflow.device import CPUPlace, CUDAPinnedPlace, CUDAPlace, is_compiled_with_cuda
from gpuflow.framework import core
from gpuflow.param import ParamAttr, WeightNormParamAttr
from gpuflow.static import (
    CompiledProgram,
    Executor,
    Program,
    Variable,
    append_backward,
    default_main_program,
    default_startup_program,
    global_scope,
    program_guard,
    scope_guard,
)

__all__ = ["CPUPlace", "CUDAPinnedPlace", "CUDAPlace", "CompiledProgram", "Executor", "ParamAttr", "Program",
           "Variable", "WeightNormParamAttr", "append_backward", "core", "default_main_program",
           "default_startup_program", "dygraph", "framework", "global_scope", "is_compiled_with_cuda", "program_guard",
           "scope_guard"]
