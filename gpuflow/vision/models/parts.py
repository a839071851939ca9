"""What several networks share."""
from gpuflow import nn
from gpuflow.errors import explain
from gpuflow.functional.manipulation import flatten


def refuse_download(name, pretrained) -> None:
    """`pretrained` other than False is an error that says how weights get in."""
    if pretrained:
        raise ValueError(explain(name, "pretrained=False: gpuflow downloads nothing", repr(pretrained),
                                 f"model = {name}(); model.set_state_dict(gpuflow.load('{name}.pdparams'))"))


def constructor(name, network, text, *args, **fixed):
    """The function `name(pretrained=False, **kwargs)` that makes network(*args, **fixed). text: what that is."""

    def make(pretrained=False, **kwargs):
        refuse_download(name, pretrained)
        return network(*args, **{**kwargs, **fixed})

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"{text}. kwargs: those of `{network.__name__}`."
    return make


class ConvNormActivation(nn.Sequential):
    """A convolution without bias, batch normalisation and an activation (None: without)."""

    def __init__(self, in_channels, out_channels, kernel_size=3, stride=1, padding=None, groups=1,
                 norm_layer=nn.BatchNorm2D, activation_layer=nn.ReLU):
        padding = (kernel_size - 1) // 2 if padding is None else padding
        parts = [nn.Conv2D(in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias_attr=False),
                 norm_layer(out_channels)]
        super().__init__(*parts, *([] if activation_layer is None else [activation_layer()]))


class Classifier(nn.Layer):
    """The base of networks that end in: pool (with_pool), flatten, and what `_classify` names (num_classes > 0)."""

    def __init__(self, num_classes, with_pool):
        super().__init__()
        self.num_classes, self.with_pool = num_classes, with_pool

    def _features(self, x):
        raise NotImplementedError

    def _classify(self, x):
        raise NotImplementedError

    _pool = "avgpool"

    def forward(self, x):
        x = self._features(x)
        if self.with_pool:
            x = getattr(self, self._pool)(x)
        return self._classify(flatten(x, 1)) if self.num_classes > 0 else x


def make_divisible(number, divisor=8) -> int:
    """The multiple of `divisor` nearest to `number`, one higher where that loses more than a tenth."""
    near = max(divisor, int(number + divisor / 2) // divisor * divisor)
    return near + divisor if near < 0.9 * number else near
