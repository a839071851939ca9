"""MobileNetV3 (Howard et al., 2019)."""
import functools

from gpuflow import nn
from gpuflow.vision.models.parts import Classifier, ConvNormActivation, make_divisible, refuse_download

# blocks: (channels in, size, channels inside, channels out, squeeze and excitation, activation, stride)
_SMALL = [(16, 3, 16, 16, True, nn.ReLU, 2), (16, 3, 72, 24, False, nn.ReLU, 2), (24, 3, 88, 24, False, nn.ReLU, 1),
          (24, 5, 96, 40, True, nn.Hardswish, 2), (40, 5, 240, 40, True, nn.Hardswish, 1),
          (40, 5, 240, 40, True, nn.Hardswish, 1), (40, 5, 120, 48, True, nn.Hardswish, 1),
          (48, 5, 144, 48, True, nn.Hardswish, 1), (48, 5, 288, 96, True, nn.Hardswish, 2),
          (96, 5, 576, 96, True, nn.Hardswish, 1), (96, 5, 576, 96, True, nn.Hardswish, 1)]
_LARGE = [(16, 3, 16, 16, False, nn.ReLU, 1), (16, 3, 64, 24, False, nn.ReLU, 2), (24, 3, 72, 24, False, nn.ReLU, 1),
          (24, 5, 72, 40, True, nn.ReLU, 2), (40, 5, 120, 40, True, nn.ReLU, 1), (40, 5, 120, 40, True, nn.ReLU, 1),
          (40, 3, 240, 80, False, nn.Hardswish, 2), (80, 3, 200, 80, False, nn.Hardswish, 1),
          (80, 3, 184, 80, False, nn.Hardswish, 1), (80, 3, 184, 80, False, nn.Hardswish, 1),
          (80, 3, 480, 112, True, nn.Hardswish, 1), (112, 3, 672, 112, True, nn.Hardswish, 1),
          (112, 5, 672, 160, True, nn.Hardswish, 2), (160, 5, 960, 160, True, nn.Hardswish, 1),
          (160, 5, 960, 160, True, nn.Hardswish, 1)]

_norm = functools.partial(nn.BatchNorm2D, epsilon=0.001, momentum=0.99)


class _SqueezeExcitation(nn.Layer):
    """Scales each channel by what two 1 x 1 convolutions make of the channels' means (Hu et al., 2017)."""

    def __init__(self, channels):
        super().__init__()
        inside = make_divisible(channels // 4)
        self.avgpool = nn.AdaptiveAvgPool2D(1)
        self.fc1, self.fc2 = nn.Conv2D(channels, inside, 1), nn.Conv2D(inside, channels, 1)
        self.activation, self.scale_activation = nn.ReLU(), nn.Hardsigmoid()

    def forward(self, x):
        return self.scale_activation(self.fc2(self.activation(self.fc1(self.avgpool(x))))) * x


class _Block(nn.Layer):
    def __init__(self, before, size, inside, after, squeezes, act, stride):
        super().__init__()
        self._beside_identity, self._widens = stride == 1 and before == after, before != inside
        self._squeezes = squeezes
        if self._widens:
            self.expand_conv = ConvNormActivation(before, inside, 1, norm_layer=_norm, activation_layer=act)
        self.bottleneck_conv = ConvNormActivation(inside, inside, size, stride, groups=inside, norm_layer=_norm,
                                                  activation_layer=act)
        if squeezes:
            self.mid_se = _SqueezeExcitation(inside)
        self.linear_conv = ConvNormActivation(inside, after, 1, norm_layer=_norm, activation_layer=None)

    def forward(self, x):
        y = self.bottleneck_conv(self.expand_conv(x) if self._widens else x)
        y = self.linear_conv(self.mid_se(y) if self._squeezes else y)
        return x + y if self._beside_identity else y


class _MobileNetV3(Classifier):
    def __init__(self, blocks, last, scale, num_classes, with_pool):
        super().__init__(num_classes, with_pool)
        self.scale, self.last_channel = scale, make_divisible(last * scale)

        def wide(channels):
            return make_divisible(channels * scale)

        end = wide(blocks[-1][0])
        self.conv = ConvNormActivation(3, wide(blocks[0][0]), 3, 2, norm_layer=_norm, activation_layer=nn.Hardswish)
        self.blocks = nn.Sequential(*(_Block(wide(before), size, wide(inside), wide(after), *rest)
                                      for before, size, inside, after, *rest in blocks))
        self.lastconv = ConvNormActivation(end, 6 * end, 1, norm_layer=_norm, activation_layer=nn.Hardswish)
        if with_pool:
            self.avgpool = nn.AdaptiveAvgPool2D(1)
        if num_classes > 0:
            self.classifier = nn.Sequential(nn.Linear(6 * end, self.last_channel), nn.Hardswish(), nn.Dropout(0.2),
                                            nn.Linear(self.last_channel, num_classes))

    def _features(self, x):
        return self.lastconv(self.blocks(self.conv(x)))

    def _classify(self, x):
        return self.classifier(x)


class MobileNetV3Small(_MobileNetV3):
    """Pictures [N, 3, H, W] to scores [N, num_classes]. scale: of the numbers of channels.

    num_classes 0: without the linear layers; with_pool False: without the mean.
    """

    def __init__(self, scale=1.0, num_classes=1000, with_pool=True):
        super().__init__(_SMALL, 1024, scale, num_classes, with_pool)


class MobileNetV3Large(_MobileNetV3):
    """The larger one; arguments as in `MobileNetV3Small`."""

    def __init__(self, scale=1.0, num_classes=1000, with_pool=True):
        super().__init__(_LARGE, 1280, scale, num_classes, with_pool)


def mobilenet_v3_small(pretrained=False, scale=1.0, **kwargs):
    """`MobileNetV3Small`."""
    refuse_download("mobilenet_v3_small", pretrained)
    return MobileNetV3Small(scale, **kwargs)


def mobilenet_v3_large(pretrained=False, scale=1.0, **kwargs):
    """`MobileNetV3Large`."""
    refuse_download("mobilenet_v3_large", pretrained)
    return MobileNetV3Large(scale, **kwargs)
