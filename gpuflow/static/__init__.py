"""Static mode: Programs that are built first and run by an Executor."""
import importlib

from gpuflow.static.backward import append_backward, gradients
from gpuflow.static.build import disable_static, enable_static
from gpuflow.static.executor import CompiledProgram, Executor
from gpuflow.static.input_spec import InputSpec
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

__all__ = ["CompiledProgram", "Executor", "InputSpec", "Program", "Scope", "Variable", "append_backward", "data",
           "default_main_program", "default_startup_program", "global_scope", "gradients", "name_scope",
           "program_guard", "scope_guard"]

# What stands on rooms above this one: the module, and the names it offers.
_ABOVE = {
    "io": ["deserialize_persistables", "deserialize_program", "load", "load_from_file", "load_inference_model",
           "load_program_state", "load_vars", "normalize_program", "save", "save_inference_model", "save_to_file",
           "save_vars", "serialize_persistables", "serialize_program", "set_program_state"],
    "nn": [],
}
__all__ += [name for names in _ABOVE.values() for name in names]


def __getattr__(name):
    """Imports what stands above when it is first named."""
    for module, names in _ABOVE.items():
        if name == module or name in names:
            found = importlib.import_module(f"gpuflow.static.{module}")
            return found if name == module else getattr(found, name)
    raise AttributeError(f"module 'gpuflow.static' has no attribute {name!r}")
