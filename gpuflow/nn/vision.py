"""Layers for pictures: resizing, rearranging, patches. Each is a function of nn.functional with settings."""
from gpuflow.nn import functional as F
from gpuflow.nn.layer import Layer
from gpuflow.nn.made import made

__all__ = ["ChannelShuffle", "Fold", "PixelShuffle", "PixelUnshuffle", "Unfold", "Upsample", "UpsamplingBilinear2D",
           "UpsamplingNearest2D"]


class _Setting(Layer):
    """function(x, setting, data_format); `name`: what the setting is called."""

    function: object
    setting: str

    def __init__(self, value, data_format="NCHW", name=None):
        super().__init__()
        self._data_format, self._name = data_format, name
        setattr(self, f"_{self.setting}", value)

    def forward(self, x):
        return type(self).function(x, getattr(self, f"_{self.setting}"), self._data_format)

    def extra_repr(self):
        text = f"{self.setting}={getattr(self, f'_{self.setting}')}"
        text += f", data_format={self._data_format}" if self._data_format != "NCHW" else ""
        return text + (f", name={self._name}" if self._name is not None else "")


class PixelShuffle(_Setting):
    """[N, C r r, H, W] to [N, C, H r, W r], r = upscale_factor; see `functional.pixel_shuffle`."""

    function, setting = F.pixel_shuffle, "upscale_factor"

    def __init__(self, upscale_factor, data_format="NCHW", name=None):
        super().__init__(upscale_factor, data_format, name)


class PixelUnshuffle(_Setting):
    """[N, C, H r, W r] to [N, C r r, H, W], r = downscale_factor; see `functional.pixel_unshuffle`."""

    function, setting = F.pixel_unshuffle, "downscale_factor"

    def __init__(self, downscale_factor, data_format="NCHW", name=None):
        super().__init__(downscale_factor, data_format, name)


class ChannelShuffle(_Setting):
    """Channels dealt out among `groups`; see `functional.channel_shuffle`."""

    function, setting = F.channel_shuffle, "groups"

    def __init__(self, groups, data_format="NCHW", name=None):
        super().__init__(groups, data_format, name)


class Unfold(Layer):
    """The patches of [N, C, H, W] as columns [N, C kh kw, L]; see `functional.unfold`."""

    def __init__(self, kernel_sizes, dilations=1, paddings=0, strides=1, name=None):
        super().__init__()
        self.kernel_sizes, self.dilations, self.paddings, self.strides = kernel_sizes, dilations, paddings, strides
        self.name = name

    def forward(self, input):
        return F.unfold(input, self.kernel_sizes, self.strides, self.paddings, self.dilations)

    def extra_repr(self):
        return _patch_settings(self)


class Fold(Layer):
    """Columns [N, C kh kw, L] put together to pictures [N, C, H, W]; see `functional.fold`."""

    def __init__(self, output_sizes, kernel_sizes, dilations=1, paddings=0, strides=1, name=None):
        super().__init__()
        self.output_sizes, self.kernel_sizes = output_sizes, kernel_sizes
        self.dilations, self.paddings, self.strides, self.name = dilations, paddings, strides, name

    def forward(self, input):
        return F.fold(input, self.output_sizes, self.kernel_sizes, self.strides, self.paddings, self.dilations)

    def extra_repr(self):
        return _patch_settings(self)


def _patch_settings(layer) -> str:
    text = f"kernel_size={layer.kernel_sizes}, dilation={layer.dilations}, padding={layer.paddings}, "
    return text + f"stride={layer.strides}" + (f", name={layer.name}" if layer.name is not None else "")


Upsample = made("Upsample", F.interpolate, {"size": None, "scale_factor": None, "mode": "nearest",
                                            "align_corners": False, "align_mode": 0, "data_format": None,
                                            "recompute_scale_factor": None},
                prefix="", module=__name__)


class _Upsampling2D(Layer):
    """[N, C, H, W] resized to `size`, or by scale_factor."""

    settings: dict

    def __init__(self, size=None, scale_factor=None, data_format="NCHW", name=None):
        super().__init__()
        self.size, self.scale_factor, self.data_format, self.name = size, scale_factor, data_format, name

    def forward(self, x):
        return F.interpolate(x, self.size, self.scale_factor, data_format=self.data_format, **self.settings)

    def extra_repr(self):
        how = f"scale_factor={self.scale_factor}" if self.scale_factor is not None else f"size={self.size}"
        text = f"{how}, data_format={self.data_format}"
        return text + (f", name={self.name}" if self.name is not None else "")


class UpsamplingNearest2D(_Upsampling2D):
    """[N, C, H, W] resized to `size`, or by scale_factor; each result is the nearest pixel."""

    settings = {"mode": "nearest"}


class UpsamplingBilinear2D(_Upsampling2D):
    """[N, C, H, W] resized to `size`, or by scale_factor, between pixels; corners stay corners."""

    settings = {"mode": "bilinear", "align_corners": True}
