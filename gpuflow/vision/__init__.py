"""Pictures: datasets in files, transforms, and the networks that are known by name."""
from gpuflow.vision import datasets as datasets, models as models, transforms as transforms

__all__ = ["datasets", "models", "transforms"]
