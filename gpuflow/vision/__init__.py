"""Pictures: datasets in files, transforms, operations, and the networks that are known by name."""
from gpuflow.vision import datasets as datasets, models as models, ops as ops, transforms as transforms
from gpuflow.vision.image import get_image_backend, image_load, set_image_backend

__all__ = ["datasets", "get_image_backend", "image_load", "models", "ops", "set_image_backend", "transforms"]
