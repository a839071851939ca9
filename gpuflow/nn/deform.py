"""Deformable convolution: each tap of the kernel reads where an offset puts it (Dai et al., 2017; Zhu et al., 2018)."""
from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.nn.conv import _Conv
from gpuflow.nn.functional.conv import conv2d
from gpuflow.nn.functional.windows import padding_pairs, per_axis
from gpuflow.ops.registry import OPS

__all__ = ["DeformConv2D", "deform_conv2d"]


def deform_conv2d(x, offset, weight, bias=None, stride=1, padding=0, dilation=1, deformable_groups=1, groups=1,
                  mask=None, name=None):
    """The convolution of x [N, C, H, W] with weight [O, C / groups, kh, kw], whose taps `offset` moves: [N, O, H', W'].

    offset: [N, deformable_groups · kh · kw · 2, H', W'], the (y, x) of a tap's way in pixels; between pixels x is
    bilinear, outside it is zero. mask: what a tap is multiplied with, [N, deformable_groups · kh · kw, H', W']; None
    for ones. Each group of the channels has offsets of its own.
    """
    if len(weight.shape) != 4:
        raise ValueError(explain("deform_conv2d", "weight [O, C / groups, kh, kw]", str(list(weight.shape))))
    columns = call(OPS["deform_columns"], (x, offset, mask), {
        "kernel": tuple(weight.shape[2:]), "stride": per_axis("deform_conv2d", "stride", stride, 2),
        "padding": padding_pairs("deform_conv2d", per_axis("deform_conv2d", "padding", padding, 2, least=0), 2, False),
        "dilation": per_axis("deform_conv2d", "dilation", dilation, 2), "groups": deformable_groups})
    return conv2d(columns, weight.reshape([weight.shape[0], -1, 1, 1]), bias, groups=groups)


class DeformConv2D(_Conv):
    """`deform_conv2d` with a weight and a bias of its own; forward(x, offset, mask=None)."""

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, deformable_groups=1,
                 groups=1, weight_attr=None, bias_attr=None):
        super().__init__()
        self._set(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, weight_attr, bias_attr,
                  "NCHW")
        self._deformable_groups = deformable_groups

    def forward(self, x, offset, mask=None):
        return deform_conv2d(x, offset, self.weight, self.bias, self._stride, self._padding, self._dilation,
                             self._deformable_groups, self._groups, mask)
