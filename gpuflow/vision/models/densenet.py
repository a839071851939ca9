"""DenseNet (Huang et al., 2017)."""
import math

from gpuflow import nn
from gpuflow.errors import explain
from gpuflow.functional.manipulation import concat
from gpuflow.nn.initializer import Uniform
from gpuflow.param import ParamAttr
from gpuflow.vision.models.parts import Classifier, constructor

# layers: (channels after the first convolution, channels that each layer adds, layers of each block)
_SIZES = {121: (64, 32, (6, 12, 24, 16)), 161: (96, 48, (6, 12, 36, 24)), 169: (64, 32, (6, 12, 32, 32)),
          201: (64, 32, (6, 12, 48, 32)), 264: (64, 32, (6, 12, 64, 48))}


class _NormConv(nn.Layer):
    """Batch normalisation with ReLU, then a convolution."""

    def __init__(self, before, after, size, padding=0):
        super().__init__()
        self._batch_norm = nn.BatchNorm(before, act="relu")
        self._conv = nn.Conv2D(before, after, size, padding=padding, bias_attr=False)

    def forward(self, x):
        return self._conv(self._batch_norm(x))


class _ConvNorm(nn.Layer):
    """The first convolution, then batch normalisation with ReLU."""

    def __init__(self, after):
        super().__init__()
        self._conv = nn.Conv2D(3, after, 7, stride=2, padding=3, bias_attr=False)
        self._batch_norm = nn.BatchNorm(after, act="relu")

    def forward(self, x):
        return self._batch_norm(self._conv(x))


class _DenseLayer(nn.Layer):
    def __init__(self, before, growth, bn_size, dropout):
        super().__init__()
        self.bn_ac_func1 = _NormConv(before, bn_size * growth, 1)
        self.bn_ac_func2 = _NormConv(bn_size * growth, growth, 3, padding=1)
        self.dropout_func = nn.Dropout(dropout, mode="downscale_in_infer")

    def forward(self, x):
        return concat([x, self.dropout_func(self.bn_ac_func2(self.bn_ac_func1(x)))], axis=1)


class _Transition(nn.Layer):
    def __init__(self, before):
        super().__init__()
        self.conv_ac_func = _NormConv(before, before // 2, 1)
        self.pool2d_avg = nn.AvgPool2D(2, stride=2)

    def forward(self, x):
        return self.pool2d_avg(self.conv_ac_func(x))


class DenseNet(Classifier):
    """Pictures [N, 3, H, W] to scores [N, num_classes].

    layers: 121, 161, 169, 201 or 264. bn_size: channels inside a layer by those that it adds. dropout: the rate after
    each layer. num_classes 0: without the linear layer; with_pool False: without the mean.
    """

    _pool = "pool2d_avg"

    def __init__(self, layers=121, bn_size=4, dropout=0.0, num_classes=1000, with_pool=True):
        if layers not in _SIZES:
            raise ValueError(explain("DenseNet", f"layers among {list(_SIZES)}", str(layers)))
        super().__init__(num_classes, with_pool)
        width, growth, counts = _SIZES[layers]
        self.conv1_func = _ConvNorm(width)
        self.pool2d_max = nn.MaxPool2D(3, stride=2, padding=1)
        self._parts = []
        for i, count in enumerate(counts, 2):
            block = nn.Sequential(*((f"conv{i}_{k + 1}", _DenseLayer(width + k * growth, growth, bn_size, dropout))
                                    for k in range(count)))
            self._parts.append(self.add_sublayer(f"db_conv_{i}", block))
            width += count * growth
            if i < len(counts) + 1:
                self._parts.append(self.add_sublayer(f"tr_conv{i}_blk", _Transition(width)))
                width //= 2
        self.batch_norm = nn.BatchNorm(width, act="relu")
        if with_pool:
            self.pool2d_avg = nn.AdaptiveAvgPool2D(1)
        if num_classes > 0:
            bound = 1 / math.sqrt(width)
            self.out = nn.Linear(width, num_classes, weight_attr=ParamAttr(initializer=Uniform(-bound, bound)))

    def _features(self, x):
        x = self.pool2d_max(self.conv1_func(x))
        for part in self._parts:
            x = part(x)
        return self.batch_norm(x)

    def _classify(self, x):
        return self.out(x)


densenet121 = constructor("densenet121", DenseNet, "DenseNet of 121 layers", 121)
densenet161 = constructor("densenet161", DenseNet, "DenseNet of 161 layers", 161)
densenet169 = constructor("densenet169", DenseNet, "DenseNet of 169 layers", 169)
densenet201 = constructor("densenet201", DenseNet, "DenseNet of 201 layers", 201)
densenet264 = constructor("densenet264", DenseNet, "DenseNet of 264 layers", 264)
