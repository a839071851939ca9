"""SqueezeNet (Iandola et al., 2016)."""
from gpuflow import nn
from gpuflow.errors import explain
from gpuflow.functional.manipulation import concat, squeeze
from gpuflow.nn import functional as F
from gpuflow.vision.models.parts import constructor

# channels after the squeezing convolution of each block, and of each of the two after it
_FIRES = [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)]
# version: channels, size and padding of the first convolution; the blocks after which pooling comes
_VERSIONS = {"1.0": ((96, 7, 0), (3, 7)), "1.1": ((64, 3, 1), (2, 4))}


class _Conv(nn.Layer):
    def __init__(self, before, after, size, padding=0):
        super().__init__()
        self._conv = nn.Conv2D(before, after, size, padding=padding)

    def forward(self, x):
        return F.relu(self._conv(x))


class _Fire(nn.Layer):
    def __init__(self, before, inside, half):
        super().__init__()
        self._conv = _Conv(before, inside, 1)
        self._conv_path1 = _Conv(inside, half, 1)
        self._conv_path2 = _Conv(inside, half, 3, padding=1)

    def forward(self, x):
        x = self._conv(x)
        return concat([self._conv_path1(x), self._conv_path2(x)], axis=1)


class SqueezeNet(nn.Layer):
    """Pictures [N, 3, H, W] to scores [N, num_classes]. version: "1.0" or "1.1".

    num_classes 0: without the last convolution; with_pool False: without the mean, [N, channels, H, W].
    """

    def __init__(self, version, num_classes=1000, with_pool=True):
        if version not in _VERSIONS:
            raise ValueError(explain("SqueezeNet", f"version among {list(_VERSIONS)}", repr(version)))
        super().__init__()
        self.version, self.num_classes, self.with_pool = version, num_classes, with_pool
        (before, size, padding), self._pooled = _VERSIONS[version]
        self._conv = nn.Conv2D(3, before, size, stride=2, padding=padding)
        self._pool = nn.MaxPool2D(3, stride=2)
        for k, (inside, half) in enumerate(_FIRES, 1):
            self.add_sublayer(f"_conv{k}", _Fire(before, inside, half))
            before = 2 * half
        self._drop = nn.Dropout(0.5, mode="downscale_in_infer")
        if num_classes > 0:
            self._conv9 = nn.Conv2D(before, num_classes, 1)
        self._avg_pool = nn.AdaptiveAvgPool2D(1)

    def forward(self, x):
        x = self._pool(F.relu(self._conv(x)))
        for k in range(1, len(_FIRES) + 1):
            x = getattr(self, f"_conv{k}")(x)
            x = self._pool(x) if k in self._pooled else x
        if self.num_classes > 0:
            x = self._conv9(self._drop(x))
        return squeeze(self._avg_pool(F.relu(x)), [2, 3]) if self.with_pool else x


squeezenet1_0 = constructor("squeezenet1_0", SqueezeNet, "SqueezeNet 1.0", "1.0")
squeezenet1_1 = constructor("squeezenet1_1", SqueezeNet, "SqueezeNet 1.1", "1.1")
