"""A small convolutional network whose parts are trained by different rules, each said once in a ParamAttr."""
from gpuflow import ParamAttr, nn
from gpuflow.nn.initializer import KaimingNormal, Normal
from gpuflow.regularizer import L2Decay


def filters():
    """Convolutions: He initialisation, and the optimizer's weight decay."""
    return ParamAttr(initializer=KaimingNormal())


def scales():
    """Batch norm's scales and shifts: no decay of any kind. A ParamAttr's regularizer wins over the optimizer's."""
    return ParamAttr(regularizer=L2Decay(0.0))


def head():
    """The classifier learns twice as fast, starts small and has its own, stronger regularizer in place of the decay."""
    return ParamAttr(initializer=Normal(0.0, 0.02), learning_rate=2.0, regularizer=L2Decay(1e-3))


def offsets():
    """The classifier's bias: it starts at zero, is not decayed and takes no part in gradient clipping."""
    return ParamAttr(regularizer=L2Decay(0.0), need_clip=False)


def block(channels_in, channels_out):
    """3 x 3 convolution, batch norm, relu: [n, channels_in, h, w] to [n, channels_out, h, w]."""
    return nn.Sequential(
        nn.Conv2D(channels_in, channels_out, 3, padding=1, weight_attr=filters(), bias_attr=False),
        nn.BatchNorm2D(channels_out, weight_attr=scales(), bias_attr=scales()),
        nn.ReLU(),
    )


class DigitNet(nn.Layer):
    """[n, 1, 8, 8] images to [n, 10] logits."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            block(1, 16), block(16, 32), nn.MaxPool2D(2, 2),    # 8 x 8 -> 4 x 4
            block(32, 64), nn.MaxPool2D(2, 2),                  # 4 x 4 -> 2 x 2
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Dropout(0.4), nn.Linear(64 * 2 * 2, 10, weight_attr=head(), bias_attr=offsets()),
        )

    def forward(self, images):
        return self.classifier(self.features(images))
