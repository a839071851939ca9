"""Static mode: Programs that are built first and run by an Executor."""
import importlib

from gpuflow.static.backward import append_backward, gradients
from gpuflow.static.build import create_global_var, disable_static, enable_static
from gpuflow.static.calls import Print, py_func
from gpuflow.static.config import (
    BuildStrategy,
    ExecutionStrategy,
    ParallelExecutor,
    cpu_places,
    cuda_places,
    device_guard,
)
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

__all__ = ["BuildStrategy", "CompiledProgram", "ExecutionStrategy", "Executor", "InputSpec", "ParallelExecutor",
           "Print", "Program", "Scope", "Variable", "append_backward", "cpu_places", "create_global_var", "cuda_places",
           "data", "default_main_program", "default_startup_program", "device_guard", "global_scope", "gradients",
           "name_scope", "program_guard", "py_func", "scope_guard"]

# What stands on rooms above this one: the module, and the names it offers.
_ABOVE = {
    "nn.create": ["create_parameter"],
    "optimizer.average": ["ExponentialMovingAverage"],
    "param": ["WeightNormParamAttr"],
    "static.nn.measures": ["accuracy", "auc", "ctr_metric_bundle"],
    "static.io": ["deserialize_persistables", "deserialize_program", "load", "load_from_file", "load_inference_model",
           "load_program_state", "load_vars", "normalize_program", "save", "save_inference_model", "save_to_file",
           "save_vars", "serialize_persistables", "serialize_program", "set_program_state"],
}
_ROOMS = ("amp", "io", "nn")
__all__ += [name for names in _ABOVE.values() for name in names]


def __getattr__(name):
    """Imports what stands above when it is first named."""
    if name in _ROOMS:
        return importlib.import_module(f"gpuflow.static.{name}")
    for module, names in _ABOVE.items():
        if name in names:
            return getattr(importlib.import_module(f"gpuflow.{module}"), name)
    raise AttributeError(f"module 'gpuflow.static' has no attribute {name!r}")
