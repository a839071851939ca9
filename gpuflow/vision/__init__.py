"""Pictures: the networks that are known by name."""
from gpuflow.vision import models as models

__all__ = ["models"]
