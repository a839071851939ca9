"""Convolutions and transposed convolutions over 1, 2 or 3 spatial axes."""
from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.nn.functional.windows import is_channels_last, padding_pairs, per_axis
from gpuflow.ops.patches import resolved_padding
from gpuflow.ops.registry import OPS

__all__ = ["conv1d", "conv1d_transpose", "conv2d", "conv2d_transpose", "conv3d", "conv3d_transpose"]


def _conv(rank, x, weight, bias, stride, padding, dilation, groups, data_format):
    where = f"conv{rank}d"
    channels_last = is_channels_last(where, data_format, rank)
    return call(OPS["conv"], (x, weight, bias), {
        "stride": per_axis(where, "stride", stride, rank),
        "padding": padding_pairs(where, padding, rank, channels_last),
        "dilation": per_axis(where, "dilation", dilation, rank),
        "groups": _groups(where, groups), "channels_last": channels_last})


def _groups(where, groups):
    if groups < 1:
        raise ValueError(explain(where, "groups of at least 1", str(groups)))
    return int(groups)


def conv1d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, data_format="NCL", name=None):
    """The convolution (cross-correlation) of x [N, C, L] with weight [O, C / groups, k]; see `conv2d`."""
    return _conv(1, x, weight, bias, stride, padding, dilation, groups, data_format)


def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, data_format="NCHW", name=None):
    """The convolution (cross-correlation) of x with weight, plus bias: [N, O, H', W'].

    x: [N, C, H, W] ("NHWC": [N, H, W, C], as the result then is); weight: [O, C / groups, kh, kw] in both formats;
    bias: [O] or None; all of one floating dtype.
    H' = (H + padding above and below - dilation (kh - 1) - 1) // stride + 1.
    padding: an int, [h, w], [top, bottom, left, right], a pair for each axis of x, "VALID" (0), or "SAME" (H' =
    ceil(H / stride); as in Paddle, dilation is then 1).
    ValueError where channels, groups or ranks do not fit, saying what would.
    """
    return _conv(2, x, weight, bias, stride, padding, dilation, groups, data_format)


def conv3d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, data_format="NCDHW", name=None):
    """The convolution of x [N, C, D, H, W] with weight [O, C / groups, kd, kh, kw], plus bias [O]; see `conv2d`."""
    return _conv(3, x, weight, bias, stride, padding, dilation, groups, data_format)


def _transposed(rank, x, weight, bias, stride, padding, output_padding, dilation, groups, output_size, data_format):
    where = f"conv{rank}d_transpose"
    channels_last = is_channels_last(where, data_format, rank)
    stride, dilation = per_axis(where, "stride", stride, rank), per_axis(where, "dilation", dilation, rank)
    padding = padding_pairs(where, padding, rank, channels_last)
    if len(weight.shape) != rank + 2 or len(x.shape) != rank + 2:
        raise ValueError(explain(where, f"x and weight [in, out / groups, kernel] of {rank + 2} axes",
                                 f"{list(x.shape)} and {list(weight.shape)}"))
    sizes = [None if n == -1 else n for n in (x.shape[1:-1] if channels_last else x.shape[2:])]
    kernel = tuple(weight.shape[2:])
    if padding == "SAME":
        padding = _same_for_transposed(sizes, kernel, stride)
        dilation = (1,) * rank
    least = [None if n is None else (n - 1) * s - low - high + d * (k - 1) + 1
             for n, s, (low, high), d, k in zip(sizes, stride, padding, dilation, kernel, strict=True)]
    if output_size is None:
        extra = per_axis(where, "output_padding", output_padding, rank, least=0)
        if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
            raise ValueError(explain(where, "output_padding smaller than stride or dilation", str(output_padding)))
        out = [None if n is None else n + e for n, e in zip(least, extra, strict=True)]
    else:
        if output_padding not in (0, [0] * rank, (0,) * rank):
            raise ValueError(explain(where, "output_size or output_padding", "both"))
        out = per_axis(where, "output_size", output_size, rank)
        if any(n is not None and not n <= o < n + s for n, o, s in zip(least, out, stride, strict=True)):
            raise ValueError(explain(where, f"output_size from {least} to {[n + s - 1 for n, s in zip(least, stride)]}",
                                     str(output_size)))
    if None in out:
        raise ValueError(explain(where, "known sizes of all spatial axes, or output_size", str(list(x.shape))))
    if min(out) < 1:
        raise ValueError(explain(where, "a result with elements", f"sizes {out}", "less padding"))
    result = call(OPS["conv_input_grad"], (x, weight), {
        "sizes": tuple(out), "stride": stride, "padding": padding, "dilation": dilation,
        "groups": _groups(where, groups), "channels_last": channels_last})
    if bias is None:
        return result
    shape = (-1,) if channels_last else (-1, *[1] * rank)
    return call(OPS["add"], (result, call(OPS["reshape"], (bias,), {"shape": shape})))


def _same_for_transposed(sizes, kernel, stride):
    """Paddle works "SAME" out from the input's size, as for a convolution of it."""
    if None in sizes:
        raise ValueError(explain("conv_transpose", "known sizes with padding 'SAME'", str(list(sizes)),
                                 "padding as ints"))
    return resolved_padding("SAME", sizes, kernel, stride, None)[0]


def conv1d_transpose(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1,
                     output_size=None, data_format="NCL", name=None):
    """The transposed convolution of x [N, C, L] with weight [C, O / groups, k]; see `conv2d_transpose`."""
    return _transposed(1, x, weight, bias, stride, padding, output_padding, dilation, groups, output_size, data_format)


def conv2d_transpose(x, weight, bias=None, stride=1, padding=0, output_padding=0, dilation=1, groups=1,
                     output_size=None, data_format="NCHW", name=None):
    """The transposed convolution of x [N, C, H, W] with weight [C, O / groups, kh, kw], plus bias [O]: [N, O, H', W'].

    It is the gradient of a convolution with that weight. H' = (H - 1) stride - padding above and below + dilation
    (kh - 1) + 1 + output_padding; output_size names H' itself, between that and stride - 1 more.
    """
    return _transposed(2, x, weight, bias, stride, padding, output_padding, dilation, groups, output_size, data_format)


def conv3d_transpose(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1,
                     output_size=None, data_format="NCDHW", name=None):
    """The transposed convolution of x [N, C, D, H, W]; weight [C, O / groups, kd, kh, kw]; see `conv2d_transpose`."""
    return _transposed(3, x, weight, bias, stride, padding, output_padding, dilation, groups, output_size, data_format)
