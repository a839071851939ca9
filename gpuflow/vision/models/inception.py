"""Inception v3 (Szegedy et al., 2015)."""
import math

from gpuflow import nn
from gpuflow.functional.manipulation import concat
from gpuflow.nn.initializer import Uniform
from gpuflow.param import ParamAttr
from gpuflow.vision.models.parts import Classifier, ConvNormActivation, constructor

# A block is a list of paths whose results stand beside each other. A path is a list of steps: a convolution (name,
# channels, size, stride 1), "pool", or a list of convolutions that stand beside each other.


def _a(pooled):
    return [[("branch1x1", 64, 1)],
            [("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)],
            [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)],
            ["pool", ("branch_pool_conv", pooled, 1)]]


def _b():
    return [[("branch3x3", 384, 3, 2)],
            [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3, 2)],
            ["pool"]]


def _c(inside):
    return [[("branch1x1", 192, 1)],
            [("branch7x7_1", inside, 1), ("branch7x7_2", inside, (1, 7)), ("branch7x7_3", 192, (7, 1))],
            [("branch7x7dbl_1", inside, 1), ("branch7x7dbl_2", inside, (7, 1)), ("branch7x7dbl_3", inside, (1, 7)),
             ("branch7x7dbl_4", inside, (7, 1)), ("branch7x7dbl_5", 192, (1, 7))],
            ["pool", ("branch_pool_conv", 192, 1)]]


def _d():
    return [[("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3, 2)],
            [("branch7x7x3_1", 192, 1), ("branch7x7x3_2", 192, (1, 7)), ("branch7x7x3_3", 192, (7, 1)),
             ("branch7x7x3_4", 192, 3, 2)],
            ["pool"]]


def _e():
    return [[("branch1x1", 320, 1)],
            [("branch3x3_1", 384, 1), [("branch3x3_2a", 384, (1, 3)), ("branch3x3_2b", 384, (3, 1))]],
            [("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3),
             [("branch3x3dbl_3a", 384, (1, 3)), ("branch3x3dbl_3b", 384, (3, 1))]],
            ["pool", ("branch_pool_conv", 192, 1)]]


_BLOCKS = [(192, _a(32)), (256, _a(64)), (288, _a(64)), (288, _b()), (768, _c(128)), (768, _c(160)), (768, _c(160)),
           (768, _c(192)), (768, _d()), (1280, _e()), (2048, _e())]   # channels in, paths
# name, channels, size, stride, padding of the first convolutions; "pool" between them
_STEM = [("conv_1a_3x3", 32, 3, 2, 0), ("conv_2a_3x3", 32, 3, 1, 0), ("conv_2b_3x3", 64, 3, 1, 1), "pool",
         ("conv_3b_1x1", 80, 1, 1, 0), ("conv_4a_3x3", 192, 3, 1, 0), "pool"]


class _Stem(nn.Layer):
    def __init__(self):
        super().__init__()
        self.max_pool, before = nn.MaxPool2D(3, stride=2), 3
        for name, after, *how in (step for step in _STEM if step != "pool"):
            self.add_sublayer(name, ConvNormActivation(before, after, *how))
            before = after

    def forward(self, x):
        for step in _STEM:
            x = self.max_pool(x) if step == "pool" else getattr(self, step[0])(x)
        return x


class _Inception(nn.Layer):
    def __init__(self, channels, paths):
        super().__init__()
        self._paths = paths
        shrinks = ["pool"] in paths
        self.branch_pool = nn.MaxPool2D(3, stride=2) if shrinks else nn.AvgPool2D(3, stride=1, padding=1,
                                                                                  exclusive=False)
        for path in paths:
            before = channels
            for step in path:
                for name, after, size, *stride in _beside(step):
                    wide = size if isinstance(size, tuple) else (size, size)
                    padding = 0 if stride else tuple((s - 1) // 2 for s in wide)
                    self.add_sublayer(name, ConvNormActivation(before, after, size, *stride or (1,), padding))
                before = after if step != "pool" else before

    def forward(self, x):
        out = []
        for path in self._paths:
            ends = [x]
            for step in path:
                ends = [self.branch_pool(x)] if step == "pool" else [getattr(self, name)(ends[0])
                                                                     for name, *_ in _beside(step)]
            out += ends
        return concat(out, axis=1)


def _beside(step) -> list:
    """The convolutions of one step."""
    return [] if step == "pool" else step if isinstance(step, list) else [step]


class InceptionV3(Classifier):
    """Pictures [N, 3, H, W], usually of 299 x 299, to scores [N, num_classes].

    num_classes 0: without the linear layer; with_pool False: without the mean.
    """

    _pool = "avg_pool"

    def __init__(self, num_classes=1000, with_pool=True):
        super().__init__(num_classes, with_pool)
        self.inception_stem = _Stem()
        self.inception_block_list = nn.LayerList([_Inception(*block) for block in _BLOCKS])
        if with_pool:
            self.avg_pool = nn.AdaptiveAvgPool2D(1)
        if num_classes > 0:
            self.dropout = nn.Dropout(0.2, mode="downscale_in_infer")
            bound = 1 / math.sqrt(2048)
            self.fc = nn.Linear(2048, num_classes, weight_attr=ParamAttr(initializer=Uniform(-bound, bound)))

    def _features(self, x):
        x = self.inception_stem(x)
        for block in self.inception_block_list:
            x = block(x)
        return x

    def _classify(self, x):
        return self.fc(self.dropout(x))


inception_v3 = constructor("inception_v3", InceptionV3, "Inception v3")
