"""The layers of `paddle.static.nn`: each call makes a layer of `gpuflow.nn` and applies it.

They work in both modes; in eager mode every call makes new parameters, so there keep a layer of `gpuflow.nn`.

param_attr, weight_attr, bias_attr: ParamAttr or what makes one, False: none. act, activation: an activation's name.
name: what the parameters' names start with, by default the function's own name with a number ("fc_0.w_0").
"""
import math

from gpuflow import unique_name
from gpuflow.autograd.py_layer import PyLayer
from gpuflow.dispatch import in_dynamic_mode
from gpuflow.errors import explain
from gpuflow.functional.activation import named
from gpuflow.functional.creation import assign, full
from gpuflow.functional.manipulation import flatten
from gpuflow.functional.math import add_n
from gpuflow.functional.random import multinomial, randint, uniform
from gpuflow.nn import functional as F
from gpuflow.nn.common import Bilinear, Embedding, Linear
from gpuflow.nn.conv import Conv2D, Conv2DTranspose, Conv3D, Conv3DTranspose
from gpuflow.nn.deform import DeformConv2D
from gpuflow.nn.functional.windows import is_channels_last, padding_pairs, per_axis
from gpuflow.nn.initializer import Constant
from gpuflow.nn.layer import Layer
from gpuflow.nn.norm import (
    BatchNorm,
    GroupNorm,
    InstanceNorm1D,
    InstanceNorm2D,
    InstanceNorm3D,
    LayerNorm,
    SpectralNorm,
)
from gpuflow.static.calls import with_own_gradient

__all__ = ["batch_norm", "bilinear_tensor_product", "conv2d", "conv2d_transpose", "conv3d", "conv3d_transpose",
           "deform_conv2d", "embedding", "fc", "group_norm", "instance_norm", "layer_norm", "nce", "prelu", "row_conv",
           "sparse_embedding", "spectral_norm", "static_pylayer"]


_TABLES = ("CommonSparseTable", "SSDSparseTable", "MemorySparseTable")    # of Paddle's parameter servers


class _Called(unique_name.Namespace):
    """Gives the next layer the name that a function has for it; all other names come from the namespace outside."""

    def __init__(self, kind: str, name: str | None):
        super().__init__()
        self.outside, self.kind, self.name = unique_name.current(), kind, name
        self.given = False

    def generate(self, key: str) -> str:
        if self.given:
            return self.outside.generate(key)
        self.given = True
        return self.name or self.outside.generate(self.kind)


def _made(kind: str, name: str | None, layer_class, *args, **kwargs):
    """A layer whose parameters' names start with `name`, or with `kind` and a number."""
    with unique_name.guard(_Called(kind, name)):
        return layer_class(*args, **kwargs)


def _known(where: str, sizes) -> list[int]:
    """The sizes, all of which must be known to make a parameter."""
    sizes = [int(s) for s in sizes]
    if -1 in sizes:
        raise ValueError(explain(where, "known sizes of all axes but the batch's", str(sizes)))
    return sizes


def fc(x, size, num_flatten_dims=1, weight_attr=None, bias_attr=None, activation=None, name=None):
    """x @ weight + bias, where the axes of x from num_flatten_dims on are one: [..., size].

    x: a tensor, or a list of tensors, each with a weight of its own (weight_attr: one for all, or a list), whose
    products are added.
    """
    xs = list(x) if isinstance(x, list | tuple) else [x]
    attrs = list(weight_attr) if isinstance(weight_attr, list | tuple) else [weight_attr] * len(xs)
    if len(attrs) != len(xs):
        raise ValueError(explain("fc", f"a weight_attr for each of {len(xs)} inputs", str(len(attrs))))
    layer = _made("fc", name, Layer)
    sums = []
    for k, (one, attr) in enumerate(zip(xs, attrs)):
        axis = one.ndim - 1 if num_flatten_dims == -1 else num_flatten_dims
        if not 0 < axis < one.ndim:
            raise ValueError(explain("fc", f"num_flatten_dims in [1, {one.ndim}) or -1", repr(num_flatten_dims)))
        wide = _known("fc", one.shape[axis:])
        part = _made("", layer.full_name(), Linear, math.prod(wide), size, attr, bias_attr if k == 0 else False)
        sums.append(part(one if len(wide) == 1 else flatten(one, axis)))
    return named("act", activation)(sums[0] if len(sums) == 1 else add_n(sums))


def embedding(input, size, is_sparse=False, is_distributed=False, padding_idx=None, param_attr=None, dtype="float32"):
    """A row of a table [size[0], size[1]] for each id: [*ids, size[1]]. padding_idx: this id gives zeros.

    is_sparse: the gradient, and the optimizer's step, are of the rows that came.
    """
    layer = _made("embedding", None, Embedding, *size, padding_idx=padding_idx, sparse=is_sparse,
                  weight_attr=param_attr, dtype=dtype)
    return layer(input)


def sparse_embedding(input, size, padding_idx=None, is_test=False, entry=None, table_class="MemorySparseTable",
                     param_attr=None, dtype="float32", slot=None):
    """`embedding` with is_sparse=True, under the name that Paddle has for a table on its parameter servers.

    The table is a parameter of this process, with all its rows from the start: entry, which lets a row into a server's
    table, has to be None; is_test, table_class and slot are taken and change nothing.
    """
    if entry is not None:
        raise ValueError(explain("sparse_embedding", "entry=None, since every row is there from the start",
                                 type(entry).__name__))
    if table_class not in _TABLES:
        raise ValueError(explain("sparse_embedding", f"a table_class among {_TABLES}", repr(table_class)))
    layer = _made("sparse_embedding", None, Embedding, *size, padding_idx=padding_idx, sparse=True,
                  weight_attr=param_attr, dtype=dtype)
    return layer(input)


def conv2d(input, num_filters, filter_size, stride=1, padding=0, dilation=1, groups=None, param_attr=None,
           bias_attr=None, use_cudnn=True, act=None, name=None, data_format="NCHW"):
    """The convolution of input [N, C, H, W] ("NHWC": [N, H, W, C]) with num_filters filters; see `nn.Conv2D`."""
    return _convolved("conv2d", Conv2D, input, num_filters, filter_size, stride, padding, dilation, groups, param_attr,
                      bias_attr, act, name, data_format)


def conv3d(input, num_filters, filter_size, stride=1, padding=0, dilation=1, groups=None, param_attr=None,
           bias_attr=None, use_cudnn=True, act=None, name=None, data_format="NCDHW"):
    """The convolution of input [N, C, D, H, W] with num_filters filters; see `nn.Conv3D`."""
    return _convolved("conv3d", Conv3D, input, num_filters, filter_size, stride, padding, dilation, groups, param_attr,
                      bias_attr, act, name, data_format)


def _convolved(kind, layer_class, x, filters, size, stride, padding, dilation, groups, param_attr, bias_attr, act, name,
               data_format):
    last = is_channels_last(kind, data_format, x.ndim - 2)
    (channels,) = _known(kind, [x.shape[-1 if last else 1]])
    layer = _made(kind, name, layer_class, channels, filters, size, stride, padding, dilation, groups or 1,
                  weight_attr=param_attr, bias_attr=bias_attr, data_format=data_format)
    return named("act", act)(layer(x))


def deform_conv2d(x, offset, mask, num_filters, filter_size, stride=1, padding=0, dilation=1, groups=1,
                  deformable_groups=1, im2col_step=1, weight_attr=None, bias_attr=None, name=None):
    """The convolution of x [N, C, H, W] whose taps `offset` moves; see `vision.ops.deform_conv2d`. mask: or None.
    im2col_step: taken for Paddle's sake."""
    (channels,) = _known("deform_conv2d", [x.shape[1]])
    layer = _made("deformable_conv", name, DeformConv2D, channels, num_filters, filter_size, stride, padding, dilation,
                  deformable_groups, groups, weight_attr, bias_attr)
    return layer(x, offset, mask)


def conv2d_transpose(input, num_filters, output_size=None, filter_size=None, padding=0, stride=1, dilation=1,
                     groups=None, param_attr=None, bias_attr=None, use_cudnn=True, act=None, name=None,
                     data_format="NCHW"):
    """The transposed convolution of input [N, C, H, W]; see `nn.Conv2DTranspose`.

    output_size: H' and W' where the stride leaves a choice. filter_size None: the one that gives output_size.
    """
    return _upsampled("conv2d_transpose", Conv2DTranspose, input, num_filters, output_size, filter_size, padding,
                      stride, dilation, groups, param_attr, bias_attr, act, name, data_format)


def conv3d_transpose(input, num_filters, output_size=None, filter_size=None, padding=0, stride=1, dilation=1,
                     groups=None, param_attr=None, bias_attr=None, use_cudnn=True, act=None, name=None,
                     data_format="NCDHW"):
    """The transposed convolution of input [N, C, D, H, W]; arguments as in `conv2d_transpose`."""
    return _upsampled("conv3d_transpose", Conv3DTranspose, input, num_filters, output_size, filter_size, padding,
                      stride, dilation, groups, param_attr, bias_attr, act, name, data_format)


def _upsampled(kind, layer_class, x, filters, output_size, size, padding, stride, dilation, groups, param_attr,
               bias_attr, act, name, data_format):
    rank = x.ndim - 2
    last = is_channels_last(kind, data_format, rank)
    (channels,) = _known(kind, [x.shape[-1 if last else 1]])
    if size is None:
        if output_size is None:
            raise ValueError(explain(kind, "filter_size or output_size", "neither"))
        pairs = padding_pairs(kind, padding, rank, last)
        pairs = ((0, 0),) * rank if pairs == "SAME" else pairs
        inside = _known(kind, x.shape[1:-1] if last else x.shape[2:])
        size = [(out - (n - 1) * s + low + high - 1) // d + 1 for out, n, s, d, (low, high) in zip(
            per_axis(kind, "output_size", output_size, rank), inside, per_axis(kind, "stride", stride, rank),
            per_axis(kind, "dilation", dilation, rank), pairs)]
    layer = _made(kind, name, layer_class, channels, filters, size, stride, padding, dilation=dilation,
                  groups=groups or 1, weight_attr=param_attr, bias_attr=bias_attr, data_format=data_format)
    return named("act", act)(layer(x, output_size))


def batch_norm(input, act=None, is_test=False, momentum=0.9, epsilon=1e-05, param_attr=None, bias_attr=None,
               data_layout="NCHW", in_place=False, name=None, moving_mean_name=None, moving_variance_name=None,
               do_model_average_for_mean_and_var=True, use_global_stats=False):
    """Batch norm over the channels of input (2 to 5 axes); see `nn.BatchNorm2D`.

    is_test, or use_global_stats=True: with the running statistics, which stay as they are. moving_mean_name,
    moving_variance_name: names of these; by default "batch_norm_0.w_1" and ".w_2".
    """
    (channels,) = _known("batch_norm", [input.shape[1 if data_layout == "NCHW" else -1]])
    layer = _made("batch_norm", name, BatchNorm, channels, act, is_test, momentum, epsilon, param_attr, bias_attr,
                  input.dtype.name, data_layout, in_place, moving_mean_name, moving_variance_name,
                  do_model_average_for_mean_and_var, use_global_stats)
    return layer(input)


def layer_norm(input, scale=True, shift=True, begin_norm_axis=1, epsilon=1e-05, param_attr=None, bias_attr=None,
               act=None, name=None):
    """Layer norm over the axes from begin_norm_axis on; see `nn.LayerNorm`. scale, shift: with a weight, a bias."""
    sizes = _known("layer_norm", input.shape[begin_norm_axis:])
    layer = _made("layer_norm", name, LayerNorm, sizes, epsilon, weight_attr=param_attr if scale else False,
                  bias_attr=bias_attr if shift else False)
    return named("act", act)(layer(input))


def group_norm(input, groups, epsilon=1e-05, param_attr=None, bias_attr=None, act=None, data_layout="NCHW", name=None):
    """Group norm of input [N, C, ...] ("NHWC": [N, ..., C]); see `nn.GroupNorm`."""
    (channels,) = _known("group_norm", [input.shape[1 if data_layout == "NCHW" else -1]])
    layer = _made("group_norm", name, GroupNorm, groups, channels, epsilon, weight_attr=param_attr, bias_attr=bias_attr,
                  data_format=data_layout)
    return named("act", act)(layer(input))


def instance_norm(input, epsilon=1e-05, param_attr=None, bias_attr=None, name=None):
    """Instance norm of input [N, C, ...] (2 to 5 axes); see `nn.InstanceNorm2D`."""
    if not 2 <= input.ndim <= 5:
        raise ValueError(explain("instance_norm", "an input of 2 to 5 axes", str(list(input.shape))))
    by_rank = {2: InstanceNorm1D, 3: InstanceNorm1D, 4: InstanceNorm2D, 5: InstanceNorm3D}
    layer = _made("instance_norm", name, by_rank[input.ndim], *_known("instance_norm", [input.shape[1]]), epsilon,
                  weight_attr=param_attr, bias_attr=bias_attr)
    return layer(input)


def prelu(x, mode, param_attr=None, data_format="NCHW", name=None):
    """x where x > 0, else weight · x, the weight starting at 0.25.

    mode: "all": one number; "channel": one per channel, [1, C, 1, 1] ("NHWC": [1, 1, 1, C]); "element": one for each
    place of a sample, [1, *x.shape[1:]].
    """
    if mode not in ("all", "channel", "element"):
        raise ValueError(explain("prelu", "mode 'all', 'channel' or 'element'", repr(mode)))
    if data_format not in ("NCHW", "NHWC"):
        raise ValueError(explain("prelu", "data_format 'NCHW' or 'NHWC'", repr(data_format)))
    last = data_format == "NHWC"
    channels = x.shape[-1 if last else 1] if mode == "channel" else 1
    shape = {"all": [1], "channel": [1, 1, 1, channels] if last else [1, channels, 1, 1], "element": [1, *x.shape[1:]]}
    layer = _made("prelu", name, Layer)
    layer.weight = layer.create_parameter(_known("prelu", shape[mode]), param_attr, x.dtype,
                                          default_initializer=Constant(0.25))
    if mode == "element":
        return F.relu(x) - layer.weight * F.relu(-x)
    return F.prelu(x, layer.weight.reshape([-1]), data_format)


def bilinear_tensor_product(x, y, size, act=None, name=None, param_attr=None, bias_attr=None):
    """x weight[o] y + bias[o] for each o: [N, size]. x: [N, I]; y: [N, J]; see `nn.Bilinear`."""
    sizes = _known("bilinear_tensor_product", [x.shape[1], y.shape[1]])
    layer = _made("bilinear_tensor_product", name, Bilinear, *sizes, size, param_attr, bias_attr)
    return named("act", act)(layer(x, y))


def spectral_norm(weight, dim=0, power_iters=1, eps=1e-12, name=None):
    """weight divided by its largest singular value; see `nn.SpectralNorm`."""
    layer = _made("spectral_norm", name, SpectralNorm, _known("spectral_norm", weight.shape), dim, power_iters, eps,
                  weight.dtype.name)
    return layer(weight)


def row_conv(input, future_context_size, param_attr=None, act=None):
    """out[:, t] = the sum of weight[j] · input[:, t + j] for j up to future_context_size. input: [N, T, D]."""
    if input.ndim != 3:
        raise ValueError(explain("row_conv", "an input [N, T, D]", str(list(input.shape))))
    (wide,) = _known("row_conv", [input.shape[2]])
    layer = _made("row_conv", None, Layer)
    layer.weight = layer.create_parameter([future_context_size + 1, wide], param_attr, input.dtype)
    filters = layer.weight.transpose([1, 0]).reshape([wide, 1, -1])
    seen = F.conv1d(input, filters, padding=[0, future_context_size], groups=wide, data_format="NLC")
    return named("act", act)(seen)


def nce(input, label, num_total_classes, sample_weight=None, param_attr=None, bias_attr=None, num_neg_samples=None,
        name=None, sampler="uniform", custom_dist=None, seed=0, is_sparse=False):
    """The loss of noise-contrastive estimation, [N, 1], against num_neg_samples (default 10) classes drawn at random,
    divided by num_neg_samples + 1.

    input: [N, D]. label: int [N, T]. weight: [num_total_classes, D]; bias: [num_total_classes, 1]. sample_weight:
    [N, 1]. sampler: "uniform", "log_uniform" (frequent classes have small numbers), or "custom_dist" with its
    probabilities. A run draws once for the whole batch. seed: taken for Paddle's sake. is_sparse: gradients of the rows
    that came.

    Gutmann and Hyvarinen, 2010.
    """
    count, classes = num_neg_samples or 10, num_total_classes
    layer = _made("nce", name, Layer)
    layer.weight = layer.create_parameter([classes, *_known("nce", input.shape[1:])], param_attr, input.dtype)
    layer.bias = layer.create_parameter([classes, 1], bias_attr, input.dtype, is_bias=True)
    if sampler == "uniform":
        drawn, share = randint(0, classes, [count]), lambda ids: full([1], 1 / classes)
    elif sampler == "log_uniform":
        whole = math.log(classes + 1)
        drawn = ((uniform([count], min=0.0, max=1.0) * whole).exp() - 1.0).cast("int64").clip(0, classes - 1)
        share = lambda ids: ((ids.cast(input.dtype) + 2.0) / (ids.cast(input.dtype) + 1.0)).log() / whole  # noqa: E731
    elif sampler == "custom_dist" and custom_dist is not None:
        table = assign(custom_dist).cast(input.dtype)
        drawn, share = multinomial(table, count, replacement=True), lambda ids: F.embedding(
            ids, table.reshape([-1, 1])).squeeze(-1)
    else:
        raise ValueError(explain("nce", "sampler 'uniform', 'log_uniform', or 'custom_dist' with custom_dist",
                                 repr(sampler)))

    def rows(ids):    # scores of the input for each id
        found = (F.embedding(ids, layer.weight, sparse=is_sparse) * input.unsqueeze(1)).sum(-1)
        return found if layer.bias is None else found + F.embedding(ids, layer.bias, sparse=is_sparse).squeeze(-1)

    true, noise = F.sigmoid(rows(label)), F.sigmoid(rows(drawn.unsqueeze(0)))
    expected, others = share(label) * count, share(drawn) * count
    loss = -((true / (true + expected)).log().sum(1, keepdim=True)
             + (others / (noise + others)).log().sum(1, keepdim=True))
    loss = loss / (count + 1.0)
    return loss if sample_weight is None else loss * sample_weight.reshape([-1, 1])


def static_pylayer(forward_fn, inputs, backward_fn=None, name=None):
    """forward_fn(*inputs), whose gradient is what backward_fn makes of the gradients of its results, one per input.

    Both are functions of tensors. backward_fn None: no gradient.
    """
    if not callable(forward_fn) or not (backward_fn is None or callable(backward_fn)):
        raise TypeError(explain("static_pylayer", "functions", f"{forward_fn!r}, {backward_fn!r}"))
    if not in_dynamic_mode():
        return with_own_gradient("static_pylayer", forward_fn, list(inputs), backward_fn)

    class Once(PyLayer):
        @staticmethod
        def forward(context, *tensors):
            return forward_fn(*tensors)

        @staticmethod
        def backward(context, *grads):
            return backward_fn(*grads)

    inputs = list(inputs) if backward_fn is not None else [x.detach() for x in inputs]
    return Once.apply(*inputs)
