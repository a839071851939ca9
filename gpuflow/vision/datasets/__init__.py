"""Pictures from files on this machine; nothing is downloaded."""
from gpuflow.vision.datasets.folder import DatasetFolder, ImageFolder
from gpuflow.vision.datasets.mnist import MNIST, FashionMNIST

__all__ = ["MNIST", "DatasetFolder", "FashionMNIST", "ImageFolder"]
