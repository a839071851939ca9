"""Pictures: transforms, and the networks that are known by name."""
from gpuflow.vision import models as models, transforms as transforms

__all__ = ["models", "transforms"]
