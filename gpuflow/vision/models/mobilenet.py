"""MobileNet (Howard et al., 2017) and MobileNetV2 (Sandler et al., 2018)."""
from gpuflow import nn
from gpuflow.vision.models.parts import Classifier, ConvNormActivation, make_divisible, refuse_download

# (name, channels in, channels out, stride) of each depthwise convolution with the 1 x 1 convolution after it
_SEPARABLE = [("conv2_1", 32, 64, 1), ("conv2_2", 64, 128, 2), ("conv3_1", 128, 128, 1), ("conv3_2", 128, 256, 2),
              ("conv4_1", 256, 256, 1), ("conv4_2", 256, 512, 2), *((f"conv5_{i}", 512, 512, 1) for i in range(1, 6)),
              ("conv5_6", 512, 1024, 2), ("conv6", 1024, 1024, 1)]

# (expansion, channels, blocks, stride of the first block)
_INVERTED = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]


class _Separable(nn.Layer):
    def __init__(self, before, after, stride):
        super().__init__()
        self._depthwise_conv = ConvNormActivation(before, before, 3, stride, 1, groups=before)
        self._pointwise_conv = ConvNormActivation(before, after, 1)

    def forward(self, x):
        return self._pointwise_conv(self._depthwise_conv(x))


class MobileNetV1(Classifier):
    """Pictures [N, 3, H, W] to scores [N, num_classes]. scale: of the numbers of channels.

    num_classes 0: without the linear layer; with_pool False: without the mean.
    """

    _pool = "pool2d_avg"

    def __init__(self, scale=1.0, num_classes=1000, with_pool=True):
        super().__init__(num_classes, with_pool)
        self.scale = scale
        self.conv1 = ConvNormActivation(3, int(32 * scale), 3, 2, 1)
        for name, before, after, stride in _SEPARABLE:
            self.add_sublayer(name, _Separable(int(before * scale), int(after * scale), stride))
        if with_pool:
            self.pool2d_avg = nn.AdaptiveAvgPool2D(1)
        if num_classes > 0:
            self.fc = nn.Linear(int(1024 * scale), num_classes)

    def _features(self, x):
        x = self.conv1(x)
        for name, *_ in _SEPARABLE:
            x = getattr(self, name)(x)
        return x

    def _classify(self, x):
        return self.fc(x)


class _InvertedResidual(nn.Layer):
    def __init__(self, before, after, stride, expansion):
        super().__init__()
        inside = before * expansion
        widen = [] if expansion == 1 else [ConvNormActivation(before, inside, 1, activation_layer=nn.ReLU6)]
        self.conv = nn.Sequential(
            *widen, ConvNormActivation(inside, inside, stride=stride, groups=inside, activation_layer=nn.ReLU6),
            nn.Conv2D(inside, after, 1, bias_attr=False), nn.BatchNorm2D(after))
        self._beside_identity = stride == 1 and before == after

    def forward(self, x):
        return x + self.conv(x) if self._beside_identity else self.conv(x)


class MobileNetV2(Classifier):
    """Pictures [N, 3, H, W] to scores [N, num_classes]. scale: of the numbers of channels.

    num_classes 0: without the linear layer; with_pool False: without the mean.
    """

    _pool = "pool2d_avg"

    def __init__(self, scale=1.0, num_classes=1000, with_pool=True):
        super().__init__(num_classes, with_pool)
        before, last = make_divisible(32 * scale), make_divisible(1280 * max(1.0, scale))
        features = [ConvNormActivation(3, before, stride=2, activation_layer=nn.ReLU6)]
        for expansion, channels, blocks, stride in _INVERTED:
            after = make_divisible(channels * scale)
            for k in range(blocks):
                features.append(_InvertedResidual(before, after, stride if k == 0 else 1, expansion))
                before = after
        features.append(ConvNormActivation(before, last, 1, activation_layer=nn.ReLU6))
        self.features, self.last_channel = nn.Sequential(*features), last
        if with_pool:
            self.pool2d_avg = nn.AdaptiveAvgPool2D(1)
        if num_classes > 0:
            self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, num_classes))

    def _features(self, x):
        return self.features(x)

    def _classify(self, x):
        return self.classifier(x)


def mobilenet_v1(pretrained=False, scale=1.0, **kwargs):
    """`MobileNetV1`."""
    refuse_download("mobilenet_v1", pretrained)
    return MobileNetV1(scale, **kwargs)


def mobilenet_v2(pretrained=False, scale=1.0, **kwargs):
    """`MobileNetV2`."""
    refuse_download("mobilenet_v2", pretrained)
    return MobileNetV2(scale, **kwargs)
