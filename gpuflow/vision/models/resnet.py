"""ResNet (He et al., 2015), ResNeXt (Xie et al., 2016) and wide ResNet (Zagoruyko, Komodakis, 2016)."""
from gpuflow import nn
from gpuflow.errors import explain
from gpuflow.vision.models.parts import Classifier, constructor

_DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


class BasicBlock(nn.Layer):
    """Two 3 x 3 convolutions beside the identity."""

    expansion = 1

    def __init__(self, inplanes, planes, stride=1, downsample=None, groups=1, base_width=64, dilation=1,
                 norm_layer=None):
        super().__init__()
        if dilation > 1:
            raise NotImplementedError(explain("BasicBlock", "dilation=1", str(dilation), "BottleneckBlock"))
        norm_layer = norm_layer or nn.BatchNorm2D
        self.conv1 = nn.Conv2D(inplanes, planes, 3, padding=1, stride=stride, bias_attr=False)
        self.bn1 = norm_layer(planes)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2D(planes, planes, 3, padding=1, bias_attr=False)
        self.bn2 = norm_layer(planes)
        self.downsample, self.stride = downsample, stride

    def forward(self, x):
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class BottleneckBlock(nn.Layer):
    """Convolutions of 1 x 1, 3 x 3 (in `groups`) and 1 x 1 beside the identity."""

    expansion = 4

    def __init__(self, inplanes, planes, stride=1, downsample=None, groups=1, base_width=64, dilation=1,
                 norm_layer=None):
        super().__init__()
        norm_layer, width = norm_layer or nn.BatchNorm2D, int(planes * (base_width / 64.0)) * groups
        self.conv1 = nn.Conv2D(inplanes, width, 1, bias_attr=False)
        self.bn1 = norm_layer(width)
        self.conv2 = nn.Conv2D(width, width, 3, padding=dilation, stride=stride, groups=groups, dilation=dilation,
                               bias_attr=False)
        self.bn2 = norm_layer(width)
        self.conv3 = nn.Conv2D(width, planes * self.expansion, 1, bias_attr=False)
        self.bn3 = norm_layer(planes * self.expansion)
        self.relu = nn.ReLU()
        self.downsample, self.stride = downsample, stride

    def forward(self, x):
        out = self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))
        return self.relu(self.bn3(self.conv3(out)) + (x if self.downsample is None else self.downsample(x)))


class ResNet(Classifier):
    """Pictures [N, 3, H, W] to scores [N, num_classes].

    block: BasicBlock or BottleneckBlock. depth: 18, 34, 50, 101 or 152. width, groups: of the blocks' inner
    convolutions (64 and 1 in ResNet). num_classes 0: without the linear layer; with_pool False: without the mean.
    """

    def __init__(self, block, depth=50, width=64, num_classes=1000, with_pool=True, groups=1):
        if depth not in _DEPTHS:
            raise ValueError(explain("ResNet", f"depth among {list(_DEPTHS)}", str(depth)))
        super().__init__(num_classes, with_pool)
        self.conv1 = nn.Conv2D(3, 64, 7, stride=2, padding=3, bias_attr=False)
        self.bn1 = nn.BatchNorm2D(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2D(3, stride=2, padding=1)
        self.groups, self.base_width, self.inplanes, self.dilation = groups, width, 64, 1
        for i, count in enumerate(_DEPTHS[depth]):
            self.add_sublayer(f"layer{i + 1}", self._make_layer(block, 64 << i, count, 1 if i == 0 else 2))
        if with_pool:
            self.avgpool = nn.AdaptiveAvgPool2D((1, 1))
        if num_classes > 0:
            self.fc = nn.Linear(self.inplanes, num_classes)

    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
        """That many blocks, the first with the stride; on top of `inplanes` channels, which are the blocks' own
        afterwards. dilate: as many pixels as before, seen through wider gaps. Subclasses build theirs with it."""
        before, self.inplanes, dilation = self.inplanes, planes * block.expansion, self.dilation
        if dilate:
            self.dilation, stride = self.dilation * stride, 1
        shortcut = None
        if stride != 1 or before != self.inplanes:
            shortcut = nn.Sequential(nn.Conv2D(before, self.inplanes, 1, stride=stride, bias_attr=False),
                                     nn.BatchNorm2D(self.inplanes))
        first = block(before, planes, stride, shortcut, self.groups, self.base_width, dilation, nn.BatchNorm2D)
        return nn.Sequential(first, *(block(self.inplanes, planes, groups=self.groups, base_width=self.base_width)
                                      for _ in range(1, blocks)))

    def _features(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))

    def _classify(self, x):
        return self.fc(x)


resnet18 = constructor("resnet18", ResNet, "ResNet of 18 layers", BasicBlock, 18)
resnet34 = constructor("resnet34", ResNet, "ResNet of 34 layers", BasicBlock, 34)
resnet50 = constructor("resnet50", ResNet, "ResNet of 50 layers", BottleneckBlock, 50)
resnet101 = constructor("resnet101", ResNet, "ResNet of 101 layers", BottleneckBlock, 101)
resnet152 = constructor("resnet152", ResNet, "ResNet of 152 layers", BottleneckBlock, 152)
resnext50_32x4d = constructor("resnext50_32x4d", ResNet, "ResNeXt of 50 layers",
                              BottleneckBlock, 50, groups=32, width=4)
resnext50_64x4d = constructor("resnext50_64x4d", ResNet, "ResNeXt of 50 layers",
                              BottleneckBlock, 50, groups=64, width=4)
resnext101_32x4d = constructor("resnext101_32x4d", ResNet, "ResNeXt of 101 layers",
                               BottleneckBlock, 101, groups=32, width=4)
resnext101_64x4d = constructor("resnext101_64x4d", ResNet, "ResNeXt of 101 layers",
                               BottleneckBlock, 101, groups=64, width=4)
resnext152_32x4d = constructor("resnext152_32x4d", ResNet, "ResNeXt of 152 layers",
                               BottleneckBlock, 152, groups=32, width=4)
resnext152_64x4d = constructor("resnext152_64x4d", ResNet, "ResNeXt of 152 layers",
                               BottleneckBlock, 152, groups=64, width=4)
wide_resnet50_2 = constructor("wide_resnet50_2", ResNet, "Wide ResNet of 50 layers", BottleneckBlock, 50, width=128)
wide_resnet101_2 = constructor("wide_resnet101_2", ResNet, "Wide ResNet of 101 layers", BottleneckBlock, 101, width=128)
