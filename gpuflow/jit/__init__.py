"""Functions and layers traced into Programs: faster calls, and models in files."""
from gpuflow.jit.files import TranslatedLayer, load, save
from gpuflow.jit.trace import (
    StaticFunction,
    enable_to_static,
    ignore_module,
    not_to_static,
    set_code_level,
    set_verbosity,
    to_static,
)

__all__ = ["StaticFunction", "TranslatedLayer", "enable_to_static", "ignore_module", "load", "not_to_static", "save",
           "set_code_level", "set_verbosity", "to_static"]
