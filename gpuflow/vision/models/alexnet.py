"""AlexNet (Krizhevsky et al., 2012)."""
import math

from gpuflow import nn
from gpuflow.nn import functional as F
from gpuflow.nn.initializer import Uniform
from gpuflow.param import ParamAttr
from gpuflow.vision.models.parts import Classifier, refuse_download


def _near_zero(fan_in):
    """Attributes of a weight and a bias that start evenly in +-1 / sqrt(fan_in)."""
    bound = 1 / math.sqrt(fan_in)
    return {f"{which}_attr": ParamAttr(initializer=Uniform(-bound, bound)) for which in ("weight", "bias")}


def _conv(in_channels, out_channels, size, stride, padding):
    return nn.Conv2D(in_channels, out_channels, size, stride=stride, padding=padding,
                     **_near_zero(in_channels * size * size))


class _ConvPool(nn.Layer):
    def __init__(self, *convolution):
        super().__init__()
        self._conv, self._pool = _conv(*convolution), nn.MaxPool2D(3, stride=2)

    def forward(self, x):
        return self._pool(F.relu(self._conv(x)))


class AlexNet(Classifier):
    """Pictures [N, 3, 224, 224] to scores [N, num_classes]; num_classes 0: the features before the linear layers."""

    def __init__(self, num_classes=1000):
        super().__init__(num_classes, with_pool=False)
        self._conv1, self._conv2 = _ConvPool(3, 64, 11, 4, 2), _ConvPool(64, 192, 5, 1, 2)
        self._conv3, self._conv4 = _conv(192, 384, 3, 1, 1), _conv(384, 256, 3, 1, 1)
        self._conv5 = _ConvPool(256, 256, 3, 1, 1)
        if num_classes > 0:
            inside = 256 * 6 * 6
            self._drop1 = nn.Dropout(0.5, mode="downscale_in_infer")
            self._fc6 = nn.Linear(inside, 4096, **_near_zero(inside))
            self._drop2 = nn.Dropout(0.5, mode="downscale_in_infer")
            self._fc7 = nn.Linear(4096, 4096, **_near_zero(inside))
            self._fc8 = nn.Linear(4096, num_classes, **_near_zero(inside))

    def _features(self, x):
        x = self._conv2(self._conv1(x))
        return self._conv5(F.relu(self._conv4(F.relu(self._conv3(x)))))

    def _classify(self, x):
        x = F.relu(self._fc6(self._drop1(x)))
        return self._fc8(F.relu(self._fc7(self._drop2(x))))


def alexnet(pretrained=False, **kwargs):
    """`AlexNet`."""
    refuse_download("alexnet", pretrained)
    return AlexNet(**kwargs)
