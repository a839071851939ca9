"""Convolution layers."""
from gpuflow.errors import explain
from gpuflow.nn.functional import conv as F
from gpuflow.nn.functional.padding import PADDING_MODES, extended
from gpuflow.nn.functional.windows import is_channels_last, padding_pairs, per_axis
from gpuflow.nn.initializer import Normal
from gpuflow.nn.layer import Layer

__all__ = ["Conv1D", "Conv1DTranspose", "Conv2D", "Conv2DTranspose", "Conv3D", "Conv3DTranspose"]


class _Conv(Layer):
    """What all six share: checked sizes, the weight and the bias."""

    rank = 2
    transposed = False

    def _set(self, in_channels, out_channels, kernel_size, stride, padding, dilation, groups, weight_attr, bias_attr,
             data_format, padding_mode="zeros", output_padding=0, device=None, dtype=None):
        rank, where = self.rank, f"{type(self).__name__}(in_channels={in_channels}, out_channels={out_channels})"
        if weight_attr is False:
            raise ValueError(explain(where, "a weight", "weight_attr=False", "bias_attr=False, or no layer"))
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(explain(where, "channels that groups divides", f"groups={groups}"))
        if padding_mode not in PADDING_MODES:
            raise ValueError(explain(where, f"padding_mode among {', '.join(PADDING_MODES)}", repr(padding_mode)))
        if padding_mode != "zeros" and not isinstance(padding, int):
            raise TypeError(explain(where, f"padding as an int with padding_mode={padding_mode!r}", repr(padding)))
        self._in_channels, self._out_channels, self._groups = in_channels, out_channels, groups
        self._kernel_size = list(per_axis(where, "kernel_size", kernel_size, rank))
        self._stride = list(per_axis(where, "stride", stride, rank))
        self._dilation = list(per_axis(where, "dilation", dilation, rank))
        padding_pairs(where, padding, rank, is_channels_last(where, data_format, rank))  # refuses what is no padding
        self._padding, self._padding_mode, self._data_format = padding, padding_mode, data_format
        self.output_padding = output_padding
        shape = [in_channels, out_channels // groups] if self.transposed else [out_channels, in_channels // groups]
        reach = in_channels
        for k in self._kernel_size:
            reach *= k
        self.weight = self.create_parameter(
            [*shape, *self._kernel_size], weight_attr, dtype, device=device,
            default_initializer=None if self.transposed else Normal(0.0, (2.0 / reach) ** 0.5))
        self.bias = self.create_parameter([out_channels], bias_attr, dtype, is_bias=True, device=device)

    def extra_repr(self):
        parts = [f"{self._in_channels}, {self._out_channels}, kernel_size={self._kernel_size}"]
        if self._stride != [1] * self.rank:
            parts.append(f"stride={self._stride}")
        if self._padding != 0:
            parts.append(f"padding={self._padding}")
        if self._padding_mode != "zeros":
            parts.append(f"padding_mode={self._padding_mode}")
        if self.output_padding != 0:
            parts.append(f"output_padding={self.output_padding}")
        if self._dilation != [1] * self.rank:
            parts.append(f"dilation={self._dilation}")
        if self._groups != 1:
            parts.append(f"groups={self._groups}")
        return ", ".join([*parts, f"data_format={self._data_format}"])

    def _convolved(self, function, x):
        padding = self._padding
        if self._padding_mode != "zeros":
            x = extended(x, padding, self._padding_mode, self._data_format)
            padding = 0
        return function(x, self.weight, self.bias, self._stride, padding, self._dilation, self._groups,
                        self._data_format)

    def _transposed_convolved(self, function, x, output_size):
        return function(x, self.weight, self.bias, self._stride, self._padding,
                        self.output_padding if output_size is None else 0, dilation=self._dilation, groups=self._groups,
                        output_size=output_size, data_format=self._data_format)


class Conv1D(_Conv):
    """A convolution of x [N, C, L] with a weight [out, in / groups, k] and a bias [out]; arguments as in `Conv2D`."""

    rank = 1

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, *, bias=True,
                 padding_mode="zeros", device=None, dtype=None, weight_attr=None, bias_attr=None, data_format="NCL"):
        super().__init__()
        self._set(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, weight_attr,
                  bias_attr if bias else False, data_format, padding_mode, device=device, dtype=dtype)

    def forward(self, x):
        return self._convolved(F.conv1d, x)


class Conv2D(_Conv):
    """A convolution of x [N, C, H, W] with a weight [out, in / groups, kh, kw] and a bias [out].

    See `functional.conv2d`.
    padding_mode: "zeros", "reflect", "replicate" or "circular" (those three with an int as padding).
    weight_attr, bias_attr: ParamAttr or what makes one; bias=False or bias_attr=False leaves the bias out. The weight
    starts as Normal(0, sqrt(2 / (kh kw in_channels))), the bias as zero.
    """

    rank = 2

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, *, bias=True,
                 padding_mode="zeros", device=None, dtype=None, weight_attr=None, bias_attr=None, data_format="NCHW"):
        super().__init__()
        self._set(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, weight_attr,
                  bias_attr if bias else False, data_format, padding_mode, device=device, dtype=dtype)

    def forward(self, x):
        return self._convolved(F.conv2d, x)


class Conv3D(_Conv):
    """A convolution of x [N, C, D, H, W] with a weight [out, in / groups, kd, kh, kw]; arguments as in `Conv2D`."""

    rank = 3

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, *, bias=True,
                 padding_mode="zeros", device=None, dtype=None, weight_attr=None, bias_attr=None, data_format="NCDHW"):
        super().__init__()
        self._set(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, weight_attr,
                  bias_attr if bias else False, data_format, padding_mode, device=device, dtype=dtype)

    def forward(self, x):
        return self._convolved(F.conv3d, x)


class Conv1DTranspose(_Conv):
    """A transposed convolution of x [N, C, L]; weight [in, out / groups, k]. See `Conv2DTranspose`."""

    rank, transposed = 1, True

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1,
                 dilation=1, weight_attr=None, bias_attr=None, data_format="NCL"):
        super().__init__()
        self._set(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, weight_attr, bias_attr,
                  data_format, output_padding=output_padding)

    def forward(self, x, output_size=None):
        return self._transposed_convolved(F.conv1d_transpose, x, output_size)


class Conv2DTranspose(_Conv):
    """A transposed convolution of x [N, C, H, W] with a weight [in, out / groups, kh, kw] and a bias [out].

    See `functional.conv2d_transpose`; the call's output_size takes output_padding's place. The weight starts as
    XavierUniform, the bias as zero.
    """

    rank, transposed = 2, True

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, dilation=1,
                 groups=1, weight_attr=None, bias_attr=None, data_format="NCHW"):
        super().__init__()
        self._set(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, weight_attr, bias_attr,
                  data_format, output_padding=output_padding)

    def forward(self, x, output_size=None):
        return self._transposed_convolved(F.conv2d_transpose, x, output_size)


class Conv3DTranspose(_Conv):
    """A transposed convolution of x [N, C, D, H, W]; arguments as in `Conv2DTranspose`."""

    rank, transposed = 3, True

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, dilation=1,
                 groups=1, weight_attr=None, bias_attr=None, data_format="NCDHW"):
        super().__init__()
        self._set(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, weight_attr, bias_attr,
                  data_format, output_padding=output_padding)

    def forward(self, x, output_size=None):
        return self._transposed_convolved(F.conv3d_transpose, x, output_size)
