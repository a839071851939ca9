"""VGG (Simonyan, Zisserman, 2014)."""
from gpuflow import nn
from gpuflow.vision.models.parts import Classifier, refuse_download

_WIDTHS = (64, 128, 256, 512, 512)
_DEPTHS = {"vgg11": (1, 1, 2, 2, 2), "vgg13": (2, 2, 2, 2, 2), "vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}


class VGG(Classifier):
    """`features`, then (with_pool) a mean over 7 x 7 regions, then three linear layers (num_classes > 0)."""

    def __init__(self, features, num_classes=1000, with_pool=True):
        super().__init__(num_classes, with_pool)
        self.features = features
        if with_pool:
            self.avgpool = nn.AdaptiveAvgPool2D((7, 7))
        if num_classes > 0:
            self.classifier = nn.Sequential(
                nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(),
                nn.Linear(4096, num_classes))

    def _features(self, x):
        return self.features(x)

    def _classify(self, x):
        return self.classifier(x)


def _made(name, pretrained, batch_norm, kwargs):
    refuse_download(name, pretrained)
    layers, before = [], 3
    for width, depth in zip(_WIDTHS, _DEPTHS[name], strict=True):
        for _ in range(depth):
            layers += [nn.Conv2D(before, width, 3, padding=1), *([nn.BatchNorm2D(width)] if batch_norm else []),
                       nn.ReLU()]
            before = width
        layers.append(nn.MaxPool2D(2, stride=2))
    return VGG(nn.Sequential(*layers), **kwargs)


def vgg11(pretrained=False, batch_norm=False, **kwargs):
    """VGG of 11 layers; batch_norm: with batch normalisation. kwargs: those of `VGG`."""
    return _made("vgg11", pretrained, batch_norm, kwargs)


def vgg13(pretrained=False, batch_norm=False, **kwargs):
    """VGG of 13 layers; batch_norm: with batch normalisation. kwargs: those of `VGG`."""
    return _made("vgg13", pretrained, batch_norm, kwargs)


def vgg16(pretrained=False, batch_norm=False, **kwargs):
    """VGG of 16 layers; batch_norm: with batch normalisation. kwargs: those of `VGG`."""
    return _made("vgg16", pretrained, batch_norm, kwargs)


def vgg19(pretrained=False, batch_norm=False, **kwargs):
    """VGG of 19 layers; batch_norm: with batch normalisation. kwargs: those of `VGG`."""
    return _made("vgg19", pretrained, batch_norm, kwargs)
