"""Helpers for model code: `utils.unique_name`, whose `guard` gives a model a name space of its own; `utils.as_paddle`,
under which `import paddle` gives gpuflow."""
from gpuflow import unique_name
from gpuflow.utils.paddle_name import as_paddle

__all__ = ["as_paddle", "unique_name"]
