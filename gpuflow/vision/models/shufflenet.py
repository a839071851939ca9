"""ShuffleNetV2 (Ma et al., 2018)."""
from gpuflow import nn
from gpuflow.errors import explain
from gpuflow.functional.manipulation import concat, split
from gpuflow.nn import functional as F
from gpuflow.vision.models.parts import Classifier, ConvNormActivation, constructor

_WIDTHS = {0.25: (24, 24, 48, 96, 512), 0.33: (24, 32, 64, 128, 512), 0.5: (24, 48, 96, 192, 1024),
           1.0: (24, 116, 232, 464, 1024), 1.5: (24, 176, 352, 704, 1024), 2.0: (24, 224, 488, 976, 2048)}
_REPEATS = (4, 8, 4)
_ACTIVATIONS = {"relu": nn.ReLU, "swish": nn.Swish, None: None}


class _Block(nn.Layer):
    """Half of the channels goes through three convolutions, half past them."""

    def __init__(self, channels, act):
        super().__init__()
        half = channels // 2
        self._conv_pw = ConvNormActivation(half, half, 1, activation_layer=act)
        self._conv_dw = ConvNormActivation(half, half, 3, groups=half, activation_layer=None)
        self._conv_linear = ConvNormActivation(half, half, 1, activation_layer=act)

    def forward(self, x):
        past, through = split(x, 2, axis=1)
        through = self._conv_linear(self._conv_dw(self._conv_pw(through)))
        return F.channel_shuffle(concat([past, through], axis=1), 2)


class _Halving(nn.Layer):
    """All channels go both ways, and the picture is halved."""

    def __init__(self, before, after, act):
        super().__init__()
        half = after // 2
        self._conv_dw_1 = ConvNormActivation(before, before, 3, 2, groups=before, activation_layer=None)
        self._conv_linear_1 = ConvNormActivation(before, half, 1, activation_layer=act)
        self._conv_pw_2 = ConvNormActivation(before, half, 1, activation_layer=act)
        self._conv_dw_2 = ConvNormActivation(half, half, 3, 2, groups=half, activation_layer=None)
        self._conv_linear_2 = ConvNormActivation(half, half, 1, activation_layer=act)

    def forward(self, x):
        first = self._conv_linear_1(self._conv_dw_1(x))
        second = self._conv_linear_2(self._conv_dw_2(self._conv_pw_2(x)))
        return F.channel_shuffle(concat([first, second], axis=1), 2)


class ShuffleNetV2(Classifier):
    """Pictures [N, 3, H, W] to scores [N, num_classes].

    scale: of the numbers of channels: 0.25, 0.33, 0.5, 1.0, 1.5 or 2.0. act: "relu", "swish" or None.
    num_classes 0: without the linear layer; with_pool False: without the mean.
    """

    _pool = "_pool2d_avg"

    def __init__(self, scale=1.0, act="relu", num_classes=1000, with_pool=True):
        if scale not in _WIDTHS or act not in _ACTIVATIONS:
            raise ValueError(explain("ShuffleNetV2", f"scale among {list(_WIDTHS)} and act among {list(_ACTIVATIONS)}",
                                     f"{scale}, {act!r}"))
        super().__init__(num_classes, with_pool)
        self.scale, act = scale, _ACTIVATIONS[act]
        first, *stages, last = _WIDTHS[scale]
        self._conv1 = ConvNormActivation(3, first, 3, 2, activation_layer=act)
        self._max_pool = nn.MaxPool2D(3, stride=2, padding=1)
        self._blocks, before = [], first
        for stage, (after, repeats) in enumerate(zip(stages, _REPEATS, strict=True), 2):
            for k in range(repeats):
                block = _Block(after, act) if k else _Halving(before, after, act)
                self._blocks.append(self.add_sublayer(f"{stage}_{k + 1}", block))
            before = after
        self._last_conv = ConvNormActivation(before, last, 1, activation_layer=act)
        if with_pool:
            self._pool2d_avg = nn.AdaptiveAvgPool2D(1)
        if num_classes > 0:
            self._fc = nn.Linear(last, num_classes)

    def _features(self, x):
        x = self._max_pool(self._conv1(x))
        for block in self._blocks:
            x = block(x)
        return self._last_conv(x)

    def _classify(self, x):
        return self._fc(x)


_TEXT = "ShuffleNetV2 with {} times the channels"
shufflenet_v2_x0_25 = constructor("shufflenet_v2_x0_25", ShuffleNetV2, _TEXT.format(0.25), scale=0.25)
shufflenet_v2_x0_33 = constructor("shufflenet_v2_x0_33", ShuffleNetV2, _TEXT.format(0.33), scale=0.33)
shufflenet_v2_x0_5 = constructor("shufflenet_v2_x0_5", ShuffleNetV2, _TEXT.format(0.5), scale=0.5)
shufflenet_v2_x1_0 = constructor("shufflenet_v2_x1_0", ShuffleNetV2, "ShuffleNetV2", scale=1.0)
shufflenet_v2_x1_5 = constructor("shufflenet_v2_x1_5", ShuffleNetV2, _TEXT.format(1.5), scale=1.5)
shufflenet_v2_x2_0 = constructor("shufflenet_v2_x2_0", ShuffleNetV2, _TEXT.format(2), scale=2.0)
shufflenet_v2_swish = constructor("shufflenet_v2_swish", ShuffleNetV2, "ShuffleNetV2 with swish", scale=1.0,
                                  act="swish")
