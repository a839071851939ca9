"""Pictures from files on this machine; nothing is downloaded."""
from gpuflow.vision.datasets.archive import VOC2012, Cifar10, Cifar100
from gpuflow.vision.datasets.folder import DatasetFolder, ImageFolder
from gpuflow.vision.datasets.mnist import MNIST, FashionMNIST

__all__ = ["MNIST", "VOC2012", "Cifar10", "Cifar100", "DatasetFolder", "FashionMNIST", "ImageFolder"]
