"""Pictures: datasets in files, transforms, operations, and the networks that are known by name."""
from gpuflow.vision import datasets as datasets, models as models, ops as ops, transforms as transforms

__all__ = ["datasets", "models", "ops", "transforms"]
