"""Normalisation: batch, layer, group, instance, local response and RMS norm, and vectors of length one."""
import math

from gpuflow.dispatch import call, call_inplace, trains
from gpuflow.errors import explain
from gpuflow.ops.registry import OPS

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "local_response_norm", "normalize", "rms_norm"]

_FORMATS = ("NC", "NCL", "NCHW", "NCDHW", "NLC", "NHWC", "NDHWC")


def _channels_last(where, data_format):
    if data_format not in _FORMATS:
        raise ValueError(explain(where, f"data_format among {', '.join(_FORMATS)}", repr(data_format)))
    return data_format[1] != "C"


def _floats(where, x) -> None:
    """TypeError for an x that cannot hold numbers between 0 and 1."""
    if not x.dtype.is_floating:
        raise TypeError(explain(where, "x of a floating dtype", x.dtype.name, "x.astype('float32')"))


def _size(sizes):
    """The product of sizes, -1 where one is unknown."""
    return -1 if -1 in sizes else math.prod(sizes)


def _channel_view(shape, channels_last):
    """(view, axes without the batch, affine): x as [N, C, L] or [N, L, C], and one number per channel."""
    if channels_last:
        return (shape[0], _size(shape[1:-1]), shape[-1]), (1,), (1, 1, shape[-1])
    return (shape[0], shape[1], _size(shape[2:])), (2,), (1, shape[1], 1)


@trains
def batch_norm(x, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.9, epsilon=1e-05,
               data_format="NCHW", use_global_stats=None, name=None):
    """(x - mean) / sqrt(variance + epsilon) * weight + bias, per channel (Ioffe and Szegedy, 2015).

    x: [N, C, ...], or [N, ..., C] where data_format ends in C; at least 2 axes. The others: [C], or None.
    use_global_stats: None takes the batch's own mean and variance when `training`, the running ones else; True always
    takes the running ones; False always the batch's. Where the batch's are taken, and only there, the running ones
    follow in place: running = momentum * running + (1 - momentum) * batch's, with the biased variance.
    """
    channels_last = _channels_last("batch_norm", data_format)
    _floats("batch_norm", x)
    if len(x.shape) < 2:
        raise ValueError(explain("batch_norm", "x of at least 2 axes [N, C, ...]", str(list(x.shape))))
    view, spatial, affine = _channel_view(tuple(x.shape), channels_last)
    attrs = {"view": view, "affine": affine, "epsilon": float(epsilon), "where": "batch_norm"}
    if not training if use_global_stats is None else use_global_stats:
        return call(OPS["normalize_by"], (x, running_mean, running_var, weight, bias), attrs)
    out, mean, variance = call(OPS["normalize_axes"], (x, weight, bias), {**attrs, "axes": (0, *spatial)})
    for running, now in ((running_mean, mean), (running_var, variance)):
        if running is not None:
            call_inplace(OPS["moving_average"], running, (running, now), {"momentum": momentum})
    return out


def layer_norm(x, normalized_shape, weight=None, bias=None, epsilon=1e-05, name=None):
    """(x - mean) / sqrt(variance + epsilon) * weight + bias, statistics over the last axes (Ba et al., 2016).

    normalized_shape: the sizes of those axes (an int: the last one). weight, bias: of that many elements, or None.
    """
    sizes = [normalized_shape] if isinstance(normalized_shape, int) else list(normalized_shape)
    rank, shape = len(sizes), tuple(x.shape)
    _floats("layer_norm", x)
    if not sizes or len(shape) < rank or list(shape[-rank:]) != sizes:
        raise ValueError(explain("layer_norm", f"x whose last axes are normalized_shape {sizes}", str(list(shape)),
                                 f"normalized_shape={list(shape[-rank:])}"))
    inner = math.prod(sizes)
    return call(OPS["normalize_axes"], (x, weight, bias), {
        "view": (_size(shape[:-rank]), inner), "axes": (1,), "affine": (1, inner), "epsilon": float(epsilon),
        "where": "layer_norm"})[0]


def group_norm(x, num_groups, epsilon=1e-05, weight=None, bias=None, data_format="NCHW", name=None):
    """(x - mean) / sqrt(variance + epsilon) * weight + bias, statistics per sample and group (Wu and He, 2018).

    x: [N, C, ...] or, by data_format, [N, ..., C]; C divisible by num_groups. weight, bias: [C] or None.
    """
    channels_last = _channels_last("group_norm", data_format)
    _floats("group_norm", x)
    if len(x.shape) < 2:
        raise ValueError(explain("group_norm", "x of at least 2 axes [N, C, ...]", str(list(x.shape))))
    shape = tuple(x.shape)
    channels = shape[-1] if channels_last else shape[1]
    if channels % num_groups:
        raise ValueError(explain("group_norm", f"channels divisible by num_groups {num_groups}", str(channels)))
    groups = (num_groups, channels // num_groups)
    if channels_last:
        view, axes, affine = (shape[0], _size(shape[1:-1]), *groups), (1, 3), (1, 1, *groups)
    else:
        view, axes, affine = (shape[0], *groups, _size(shape[2:])), (2, 3), (1, *groups, 1)
    return call(OPS["normalize_axes"], (x, weight, bias), {
        "view": view, "axes": axes, "affine": affine, "epsilon": float(epsilon), "where": "group_norm"})[0]


def instance_norm(x, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.9,
                  eps=1e-05, data_format="NCHW", name=None):
    """(x - mean) / sqrt(variance + eps) * weight + bias, statistics per sample and channel (Ulyanov et al., 2016).

    x: [N, C, ...]; weight, bias: [C] or None. As in Paddle the running statistics are neither read nor changed.
    """
    if _channels_last("instance_norm", data_format):
        raise ValueError(explain("instance_norm", "channels first", repr(data_format), "transpose x"))
    if not use_input_stats:
        raise ValueError(explain("instance_norm", "use_input_stats=True", "False", "batch_norm(use_global_stats=True)"))
    if len(x.shape) < 2:
        raise ValueError(explain("instance_norm", "x of at least 2 axes [N, C, ...]", str(list(x.shape))))
    _floats("instance_norm", x)
    view, axes, affine = _channel_view(tuple(x.shape), False)
    return call(OPS["normalize_axes"], (x, weight, bias), {
        "view": view, "axes": axes, "affine": affine, "epsilon": float(eps), "where": "instance_norm"})[0]


def rms_norm(input, normalized_shape, weight=None, eps=1e-05, name=None):
    """(out, inverse): out = input * inverse * weight, inverse = 1 / sqrt(mean(input ** 2) + eps) (Zhang et al., 2019).

    normalized_shape: the sizes of the last axes, over which the mean goes; weight: of that shape, or None. inverse is
    flat, one number per row, without a gradient.
    """
    sizes = [normalized_shape] if isinstance(normalized_shape, int) else list(normalized_shape)
    shape = tuple(input.shape)
    _floats("rms_norm", input)
    if not sizes or list(shape[-len(sizes):]) != sizes:
        raise ValueError(explain("rms_norm", f"input whose last axes are normalized_shape {sizes}", str(list(shape))))
    return call(OPS["rms_norm"], (input, weight), {"rank": len(sizes), "epsilon": float(eps)})


def normalize(x, p=2, axis=1, epsilon=1e-12, out=None, name=None):
    """x / max(norm, epsilon), the p-norm along `axis`: vectors of length one. p: any positive number, inf included.

    ValueError for an axis that x does not have (a vector needs axis 0 or -1).
    """
    if out is not None:
        raise ValueError(explain("normalize", "out=None", "a tensor", "paddle.assign(normalize(x), out)"))
    return call(OPS["normalize_length"], (x,), {"p": float(p), "axis": axis, "epsilon": float(epsilon)})


def local_response_norm(x, size, alpha=0.0001, beta=0.75, k=1.0, data_format="NCHW", name=None):
    """x / (k + alpha * mean of x ** 2 over `size` neighbouring channels) ** beta (Krizhevsky et al., 2012).

    x: [N, C, ...] or, by data_format, [N, ..., C], at least 3 axes. Channels beyond the ends count as zeros.
    """
    channels_last = _channels_last("local_response_norm", data_format)
    shape = tuple(x.shape)
    if len(shape) < 3:
        raise ValueError(explain("local_response_norm", "x of at least 3 axes [N, C, L]", str(list(shape))))
    view, _, _ = _channel_view(shape, channels_last)
    row = (1, size) if channels_last else (size, 1)
    around = (size // 2, (size - 1) // 2)
    squares = call(OPS["reshape"], (call(OPS["multiply"], (x, x)),), {"shape": (view[0], 1, *view[1:])})
    mean = call(OPS["avg_pool"], (squares,), {
        "kernel": row, "stride": (1, 1), "padding": ((0, 0), around) if channels_last else (around, (0, 0)),
        "exclusive": False})
    divisor = call(OPS["scale"], (mean,), {"scale": float(alpha), "bias": float(k)})
    divisor = call(OPS["pow"], (call(OPS["reshape"], (divisor,), {"shape": shape}), float(beta)))
    return call(OPS["divide"], (x, divisor))
