"""Pooling layers: `nn.functional.pooling` with its arguments kept."""
from gpuflow.nn.functional import pooling as F
from gpuflow.nn.layer import Layer

__all__ = [
    "AdaptiveAvgPool1D", "AdaptiveAvgPool2D", "AdaptiveAvgPool3D",
    "AdaptiveMaxPool1D", "AdaptiveMaxPool2D", "AdaptiveMaxPool3D",
    "AvgPool1D", "AvgPool2D", "AvgPool3D", "FractionalMaxPool2D", "FractionalMaxPool3D", "LPPool1D", "LPPool2D",
    "MaxPool1D", "MaxPool2D", "MaxPool3D", "MaxUnPool1D", "MaxUnPool2D", "MaxUnPool3D",
]


class _Pool(Layer):
    """Keeps the arguments of a pooling function, under the attributes that they have in Paddle, and calls it."""

    def __init__(self, function, name, **arguments):
        super().__init__()
        hidden = "output_size" in arguments and "stride" not in arguments   # _output_size, _data_format, ...
        self._function = function
        self._held = {name: f"_{name}" if hidden else {"kernel_size": "ksize"}.get(name, name) for name in arguments}
        for argument, value in arguments.items():
            setattr(self, self._held[argument], value)
        setattr(self, "_name" if hidden else "name", name)

    @property
    def _arguments(self) -> dict:
        return {name: getattr(self, held) for name, held in self._held.items()}

    def forward(self, x):
        return self._function(x, **self._arguments)

    def extra_repr(self):
        arguments = self._arguments
        shown = (("output_size", "return_mask") if "output_size" in arguments else
                 ("norm_type", "kernel_size", "stride", "padding"))
        return ", ".join(f"{k}={arguments[k]}" for k in shown if k in arguments)


class MaxPool1D(_Pool):
    """`functional.max_pool1d` as a layer."""

    def __init__(self, kernel_size, stride=None, padding=0, return_mask=False, ceil_mode=False, name=None):
        super().__init__(F.max_pool1d, name, kernel_size=kernel_size, stride=stride, padding=padding,
                         return_mask=return_mask, ceil_mode=ceil_mode)


class MaxPool2D(_Pool):
    """`functional.max_pool2d` as a layer."""

    def __init__(self, kernel_size, stride=None, padding=0, return_mask=False, ceil_mode=False, data_format="NCHW",
                 name=None):
        super().__init__(F.max_pool2d, name, kernel_size=kernel_size, stride=stride, padding=padding,
                         return_mask=return_mask, ceil_mode=ceil_mode, data_format=data_format)


class MaxPool3D(_Pool):
    """`functional.max_pool3d` as a layer."""

    def __init__(self, kernel_size, stride=None, padding=0, return_mask=False, ceil_mode=False, data_format="NCDHW",
                 name=None):
        super().__init__(F.max_pool3d, name, kernel_size=kernel_size, stride=stride, padding=padding,
                         return_mask=return_mask, ceil_mode=ceil_mode, data_format=data_format)


class AvgPool1D(_Pool):
    """`functional.avg_pool1d` as a layer."""

    def __init__(self, kernel_size, stride=None, padding=0, exclusive=True, ceil_mode=False, name=None):
        super().__init__(F.avg_pool1d, name, kernel_size=kernel_size, stride=stride, padding=padding,
                         exclusive=exclusive, ceil_mode=ceil_mode)


class AvgPool2D(_Pool):
    """`functional.avg_pool2d` as a layer."""

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, exclusive=True, divisor_override=None,
                 data_format="NCHW", name=None):
        super().__init__(F.avg_pool2d, name, kernel_size=kernel_size, stride=stride, padding=padding,
                         ceil_mode=ceil_mode, exclusive=exclusive, divisor_override=divisor_override,
                         data_format=data_format)


class AvgPool3D(_Pool):
    """`functional.avg_pool3d` as a layer."""

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, exclusive=True, divisor_override=None,
                 data_format="NCDHW", name=None):
        super().__init__(F.avg_pool3d, name, kernel_size=kernel_size, stride=stride, padding=padding,
                         ceil_mode=ceil_mode, exclusive=exclusive, divisor_override=divisor_override,
                         data_format=data_format)


class AdaptiveAvgPool1D(_Pool):
    """`functional.adaptive_avg_pool1d` as a layer."""

    def __init__(self, output_size, name=None):
        super().__init__(F.adaptive_avg_pool1d, name, output_size=output_size)


class AdaptiveAvgPool2D(_Pool):
    """`functional.adaptive_avg_pool2d` as a layer."""

    def __init__(self, output_size, data_format="NCHW", name=None):
        super().__init__(F.adaptive_avg_pool2d, name, output_size=output_size, data_format=data_format)


class AdaptiveAvgPool3D(_Pool):
    """`functional.adaptive_avg_pool3d` as a layer."""

    def __init__(self, output_size, data_format="NCDHW", name=None):
        super().__init__(F.adaptive_avg_pool3d, name, output_size=output_size, data_format=data_format)


class AdaptiveMaxPool1D(_Pool):
    """`functional.adaptive_max_pool1d` as a layer."""

    def __init__(self, output_size, return_mask=False, name=None):
        super().__init__(F.adaptive_max_pool1d, name, output_size=output_size, return_mask=return_mask)


class AdaptiveMaxPool2D(_Pool):
    """`functional.adaptive_max_pool2d` as a layer."""

    def __init__(self, output_size, return_mask=False, name=None):
        super().__init__(F.adaptive_max_pool2d, name, output_size=output_size, return_mask=return_mask)


class AdaptiveMaxPool3D(_Pool):
    """`functional.adaptive_max_pool3d` as a layer."""

    def __init__(self, output_size, return_mask=False, name=None):
        super().__init__(F.adaptive_max_pool3d, name, output_size=output_size, return_mask=return_mask)


class FractionalMaxPool2D(_Pool):
    """`functional.fractional_max_pool2d` as a layer."""

    def __init__(self, output_size, kernel_size=None, random_u=None, return_mask=False, name=None):
        super().__init__(F.fractional_max_pool2d, name, output_size=output_size, kernel_size=kernel_size,
                         random_u=random_u, return_mask=return_mask)

class FractionalMaxPool3D(_Pool):
    """`functional.fractional_max_pool3d` as a layer."""

    def __init__(self, output_size, kernel_size=None, random_u=None, return_mask=False, name=None):
        super().__init__(F.fractional_max_pool3d, name, output_size=output_size, kernel_size=kernel_size,
                         random_u=random_u, return_mask=return_mask)

class LPPool1D(_Pool):
    """`functional.lp_pool1d` as a layer."""

    def __init__(self, norm_type, kernel_size, stride=None, padding=0, ceil_mode=False, data_format="NCL", name=None):
        super().__init__(F.lp_pool1d, name, norm_type=norm_type, kernel_size=kernel_size, stride=stride,
                         padding=padding, ceil_mode=ceil_mode, data_format=data_format)


class LPPool2D(_Pool):
    """`functional.lp_pool2d` as a layer."""

    def __init__(self, norm_type, kernel_size, stride=None, padding=0, ceil_mode=False, data_format="NCHW", name=None):
        super().__init__(F.lp_pool2d, name, norm_type=norm_type, kernel_size=kernel_size, stride=stride,
                         padding=padding, ceil_mode=ceil_mode, data_format=data_format)


class _UnPool(_Pool):
    def forward(self, x, indices):
        return self._function(x, indices, **self._arguments)

    def extra_repr(self):
        return f"output_size={self._arguments['output_size']}"


class MaxUnPool1D(_UnPool):
    """`functional.max_unpool1d` as a layer."""

    def __init__(self, kernel_size, stride=None, padding=0, data_format="NCL", output_size=None, name=None):
        super().__init__(F.max_unpool1d, name, kernel_size=kernel_size, stride=stride, padding=padding,
                         data_format=data_format, output_size=output_size)


class MaxUnPool2D(_UnPool):
    """`functional.max_unpool2d` as a layer."""

    def __init__(self, kernel_size, stride=None, padding=0, data_format="NCHW", output_size=None, name=None):
        super().__init__(F.max_unpool2d, name, kernel_size=kernel_size, stride=stride, padding=padding,
                         data_format=data_format, output_size=output_size)


class MaxUnPool3D(_UnPool):
    """`functional.max_unpool3d` as a layer."""

    def __init__(self, kernel_size, stride=None, padding=0, data_format="NCDHW", output_size=None, name=None):
        super().__init__(F.max_unpool3d, name, kernel_size=kernel_size, stride=stride, padding=padding,
                         data_format=data_format, output_size=output_size)
