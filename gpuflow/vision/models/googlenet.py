"""GoogLeNet (Szegedy et al., 2014)."""
import math

from gpuflow import nn
from gpuflow.functional.manipulation import concat, flatten, squeeze
from gpuflow.nn import functional as F
from gpuflow.nn.initializer import Uniform
from gpuflow.param import ParamAttr
from gpuflow.vision.models.parts import constructor

# block: channels in; of the 1 x 1 path; of the 3 x 3 and of the 5 x 5 path inside and at the end; of the pooled path
_BLOCKS = {"3a": (192, 64, 96, 128, 16, 32, 32), "3b": (256, 128, 128, 192, 32, 96, 64),
           "4a": (480, 192, 96, 208, 16, 48, 64), "4b": (512, 160, 112, 224, 24, 64, 64),
           "4c": (512, 128, 128, 256, 24, 64, 64), "4d": (512, 112, 144, 288, 32, 64, 64),
           "4e": (528, 256, 160, 320, 32, 128, 128),
           "5a": (832, 256, 160, 320, 32, 128, 128), "5b": (832, 384, 192, 384, 48, 128, 128)}


def _linear(before, after, fan_in):
    bound = math.sqrt(3 / fan_in)
    return nn.Linear(before, after, weight_attr=ParamAttr(initializer=Uniform(-bound, bound)))


class _Conv(nn.Layer):
    def __init__(self, before, after, size, stride=1):
        super().__init__()
        self._conv = nn.Conv2D(before, after, size, stride=stride, padding=(size - 1) // 2, bias_attr=False)

    def forward(self, x):
        return self._conv(x)


class _Inception(nn.Layer):
    def __init__(self, before, one, three_in, three, five_in, five, pooled):
        super().__init__()
        self._conv1 = _Conv(before, one, 1)
        self._conv3r, self._conv3 = _Conv(before, three_in, 1), _Conv(three_in, three, 3)
        self._conv5r, self._conv5 = _Conv(before, five_in, 1), _Conv(five_in, five, 5)
        self._pool = nn.MaxPool2D(3, stride=1, padding=1)
        self._convprj = _Conv(before, pooled, 1)

    def forward(self, x):
        paths = [self._conv1(x), self._conv3(self._conv3r(x)), self._conv5(self._conv5r(x)),
                 self._convprj(self._pool(x))]
        return F.relu(concat(paths, axis=1))


class GoogLeNet(nn.Layer):
    """Pictures [N, 3, 224, 224] to three scores [N, num_classes]: at the end, and beside block 4a and block 4d, which
    help training.

    num_classes 0: without linear layers; with_pool False: without the means. Other sizes of pictures need num_classes
    0: the linear layers beside take what 224 leaves.
    """

    def __init__(self, num_classes=1000, with_pool=True):
        super().__init__()
        self.num_classes, self.with_pool = num_classes, with_pool
        self._conv = _Conv(3, 64, 7, 2)
        self._pool = nn.MaxPool2D(3, stride=2)
        self._conv_1, self._conv_2 = _Conv(64, 64, 1), _Conv(64, 192, 3)
        for name, channels in _BLOCKS.items():
            self.add_sublayer(f"_ince{name}", _Inception(*channels))
        if with_pool:
            self._pool_5 = nn.AdaptiveAvgPool2D(1)
            self._pool_o1 = self._pool_o2 = nn.AvgPool2D(5, stride=3)
        if num_classes > 0:
            self._drop = nn.Dropout(0.4, mode="downscale_in_infer")
            self._fc_out = _linear(1024, num_classes, 1024)
            for k, before in (("1", 512), ("2", 528)):
                self.add_sublayer(f"_conv_o{k}", _Conv(before, 128, 1))
                self.add_sublayer(f"_fc_o{k}", _linear(1152, 1024, 2048))
                self.add_sublayer(f"_drop_o{k}", nn.Dropout(0.7, mode="downscale_in_infer"))
                self.add_sublayer(f"_out{k}", _linear(1024, num_classes, 1024))

    def forward(self, x):
        x = self._pool(self._conv(x))
        x = self._pool(self._conv_2(self._conv_1(x)))
        x = self._pool(self._ince3b(self._ince3a(x)))
        early = self._ince4a(x)
        late = self._ince4d(self._ince4c(self._ince4b(early)))
        x = self._ince5b(self._ince5a(self._pool(self._ince4e(late))))
        if self.with_pool:
            x, early, late = self._pool_5(x), self._pool_o1(early), self._pool_o2(late)
        if self.num_classes > 0:
            x = self._fc_out(squeeze(self._drop(x), [2, 3]))
            early = F.relu(self._fc_o1(flatten(self._conv_o1(early), 1)))
            early = self._out1(self._drop_o1(early))
            late = self._out2(self._drop_o2(self._fc_o2(flatten(self._conv_o2(late), 1))))
        return x, early, late


googlenet = constructor("googlenet", GoogLeNet, "GoogLeNet")
