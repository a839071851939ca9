"""Networks for pictures [N, channels, H, W], with Paddle's names of parameters: its .pdparams files load.

Nothing is downloaded: ``model.set_state_dict(gpuflow.load("resnet50.pdparams"))`` takes weights from a file.
"""
from gpuflow.vision.models.alexnet import AlexNet, alexnet
from gpuflow.vision.models.lenet import LeNet
from gpuflow.vision.models.mobilenet import MobileNetV1, MobileNetV2, mobilenet_v1, mobilenet_v2
from gpuflow.vision.models.resnet import (
    BasicBlock,
    BottleneckBlock,
    ResNet,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    resnext50_32x4d,
    resnext50_64x4d,
    resnext101_32x4d,
    resnext101_64x4d,
    resnext152_32x4d,
    resnext152_64x4d,
    wide_resnet50_2,
    wide_resnet101_2,
)
from gpuflow.vision.models.vgg import VGG, vgg11, vgg13, vgg16, vgg19

__all__ = ["AlexNet", "BasicBlock", "BottleneckBlock", "LeNet", "MobileNetV1", "MobileNetV2", "ResNet", "VGG",
           "alexnet", "mobilenet_v1", "mobilenet_v2", "resnet101", "resnet152", "resnet18", "resnet34", "resnet50",
           "resnext101_32x4d", "resnext101_64x4d", "resnext152_32x4d", "resnext152_64x4d", "resnext50_32x4d",
           "resnext50_64x4d", "vgg11", "vgg13", "vgg16", "vgg19", "wide_resnet101_2", "wide_resnet50_2"]
