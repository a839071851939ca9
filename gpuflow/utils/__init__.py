"""Helpers for model code: `utils.unique_name`, whose `guard` gives a model a name space of its own; `utils.as_paddle`,
under which `import paddle` gives gpuflow."""
from gpuflow import unique_name
from gpuflow.utils import download
from gpuflow.utils.helpers import deprecated, flatten, map_structure, require_version, try_import
from gpuflow.utils.paddle_name import as_paddle

__all__ = ["as_paddle", "deprecated", "download", "flatten", "map_structure", "require_version", "try_import",
           "unique_name"]
