"""Pure functions on arrays: every op of gpuflow with its shape rule and its gradient. Importing this registers all."""
import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
