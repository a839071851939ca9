"""Static mode: Programs that are built first and run by an Executor."""
import importlib

from gpuflow.static.backward import append_backward, gradients
from gpuflow.static.build import disable_static, enable_static
from gpuflow.static.executor import CompiledProgram, Executor
from gpuflow.static.program import (
    Program,
    data,
    default_main_program,
    default_startup_program,
    name_scope,
    program_guard,
)
from gpuflow.static.scope import Scope, global_scope, scope_guard
from gpuflow.static.value import Variable

__all__ = ["CompiledProgram", "Executor", "Program", "Scope", "Variable", "append_backward", "data",
           "default_main_program", "default_startup_program", "global_scope", "gradients", "name_scope",
           "program_guard", "scope_guard"]
