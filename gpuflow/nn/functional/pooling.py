"""Pooling over 1, 2 or 3 spatial axes: largest elements, means, and both to a fixed number of windows."""
import math

from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.nn.functional.windows import is_channels_last, padding_pairs, per_axis
from gpuflow.ops.registry import OPS

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d",
    "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d",
    "avg_pool1d", "avg_pool2d", "avg_pool3d", "fractional_max_pool2d", "fractional_max_pool3d",
    "lp_pool1d", "lp_pool2d",
    "max_pool1d", "max_pool2d", "max_pool3d", "max_unpool1d", "max_unpool2d", "max_unpool3d",
]


def _windows(where, rank, kernel_size, stride, padding, ceil_mode, data_format):
    channels_last = is_channels_last(where, data_format, rank)
    if ceil_mode and isinstance(padding, str) and padding.upper() == "VALID":
        raise ValueError(explain(where, "ceil_mode=False with padding 'VALID'", "ceil_mode=True"))
    kernel = per_axis(where, "kernel_size", kernel_size, rank)
    return {"kernel": kernel,
            "stride": kernel if stride is None else per_axis(where, "stride", stride, rank),
            "padding": padding_pairs(where, padding, rank, channels_last),
            "ceil_mode": bool(ceil_mode), "channels_last": channels_last}


def _max_pool(rank, x, kernel_size, stride, padding, return_mask, ceil_mode, data_format):
    attrs = _windows(f"max_pool{rank}d", rank, kernel_size, stride, padding, ceil_mode, data_format)
    out, mask = call(OPS["max_pool"], (x,), attrs)
    return (out, mask) if return_mask else out


def max_pool1d(x, kernel_size, stride=None, padding=0, return_mask=False, ceil_mode=False, name=None):
    """The largest element of each window of x [N, C, L]; see `max_pool2d`."""
    return _max_pool(1, x, kernel_size, stride, padding, return_mask, ceil_mode, "NCL")


def max_pool2d(x, kernel_size, stride=None, padding=0, return_mask=False, ceil_mode=False, data_format="NCHW",
               name=None):
    """The largest element of each window of x [N, C, H, W]: [N, C, H', W'].

    stride: kernel_size by default. H' = (H + padding above and below - kernel) / stride + 1, rounded down, or up with
    ceil_mode. With return_mask also the int32 place h * W + w of each. Padding is never the largest; a nan is.
    padding: as in `conv2d`.
    """
    return _max_pool(2, x, kernel_size, stride, padding, return_mask, ceil_mode, data_format)


def max_pool3d(x, kernel_size, stride=None, padding=0, return_mask=False, ceil_mode=False, data_format="NCDHW",
               name=None):
    """The largest element of each window of x [N, C, D, H, W]; see `max_pool2d`."""
    return _max_pool(3, x, kernel_size, stride, padding, return_mask, ceil_mode, data_format)


def _avg_pool(rank, x, kernel_size, stride, padding, ceil_mode, exclusive, divisor_override, data_format):
    attrs = _windows(f"avg_pool{rank}d", rank, kernel_size, stride, padding, ceil_mode, data_format)
    out = call(OPS["avg_pool"], (x,), {**attrs, "exclusive": bool(exclusive)})
    if divisor_override is None:
        return out
    if divisor_override == 0:
        raise ValueError(explain(f"avg_pool{rank}d", "divisor_override other than 0", "0"))
    return call(OPS["scale"], (out,), {"scale": math.prod(attrs["kernel"]) / divisor_override})


def avg_pool1d(x, kernel_size, stride=None, padding=0, exclusive=True, ceil_mode=False, name=None):
    """The mean of each window of x [N, C, L]; see `avg_pool2d`."""
    return _avg_pool(1, x, kernel_size, stride, padding, ceil_mode, exclusive, None, "NCL")


def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, exclusive=True, divisor_override=None,
               data_format="NCHW", name=None):
    """The mean of each window of x [N, C, H, W]: [N, C, H', W'], sizes as in `max_pool2d`.

    exclusive: padding does not count in the mean; else it counts as zeros. divisor_override: the mean times the
    kernel's size, divided by this (Paddle's way: where padding does not count, no plain sum over divisor_override).
    """
    return _avg_pool(2, x, kernel_size, stride, padding, ceil_mode, exclusive, divisor_override, data_format)


def avg_pool3d(x, kernel_size, stride=None, padding=0, ceil_mode=False, exclusive=True, divisor_override=None,
               data_format="NCDHW", name=None):
    """The mean of each window of x [N, C, D, H, W]; see `avg_pool2d`."""
    return _avg_pool(3, x, kernel_size, stride, padding, ceil_mode, exclusive, divisor_override, data_format)


def _counts(where, output_size, rank):
    sizes = tuple(output_size) if isinstance(output_size, list | tuple) else (output_size,) * rank
    if len(sizes) != rank or any(s is not None and s < 1 for s in sizes):
        raise ValueError(explain(where, f"output_size as an int or {rank} ints (None keeps a size)", repr(output_size)))
    return tuple(None if s is None else int(s) for s in sizes)


def _adaptive_avg(rank, x, output_size, data_format):
    where = f"adaptive_avg_pool{rank}d"
    return call(OPS["adaptive_avg_pool"], (x,), {"counts": _counts(where, output_size, rank),
                                                 "channels_last": is_channels_last(where, data_format, rank)})


def adaptive_avg_pool1d(x, output_size, name=None):
    """The means of `output_size` windows that cover x [N, C, L]; see `adaptive_avg_pool2d`."""
    return _adaptive_avg(1, x, output_size, "NCL")


def adaptive_avg_pool2d(x, output_size, data_format="NCHW", name=None):
    """The means of H' x W' windows that cover x [N, C, H, W]: [N, C, H', W'].

    output_size: an int, or [H', W'] where None keeps a size. Window i spans floor(i H / H') to ceil((i + 1) H / H').
    """
    return _adaptive_avg(2, x, output_size, data_format)


def adaptive_avg_pool3d(x, output_size, data_format="NCDHW", name=None):
    """The means of D' x H' x W' windows that cover x [N, C, D, H, W]; see `adaptive_avg_pool2d`."""
    return _adaptive_avg(3, x, output_size, data_format)


def _adaptive_max(rank, x, output_size, return_mask):
    counts = _counts(f"adaptive_max_pool{rank}d", output_size, rank)
    out, mask = call(OPS["adaptive_max_pool"], (x,), {"counts": counts})
    return (out, mask) if return_mask else out


def adaptive_max_pool1d(x, output_size, return_mask=False, name=None):
    """The largest elements of `output_size` windows that cover x [N, C, L]; see `adaptive_max_pool2d`."""
    return _adaptive_max(1, x, output_size, return_mask)


def adaptive_max_pool2d(x, output_size, return_mask=False, name=None):
    """The largest elements of the windows of `adaptive_avg_pool2d`; with return_mask also their int32 places."""
    return _adaptive_max(2, x, output_size, return_mask)


def adaptive_max_pool3d(x, output_size, return_mask=False, name=None):
    """The largest elements of D' x H' x W' windows that cover x [N, C, D, H, W]; see `adaptive_max_pool2d`."""
    return _adaptive_max(3, x, output_size, return_mask)


def _fractional(rank, x, output_size, kernel_size, random_u, return_mask):
    where = f"fractional_max_pool{rank}d"
    if random_u is not None and not 0 < random_u < 1:
        raise ValueError(explain(where, "random_u in (0, 1), or None to draw it", repr(random_u)))
    kernel = None if kernel_size is None else per_axis(where, "kernel_size", kernel_size, rank)
    out, mask = call(OPS["fractional_max_pool"], (x,), {
        "counts": _counts(where, output_size, rank), "kernel": kernel, "u": random_u})
    return (out, mask) if return_mask else out


def fractional_max_pool2d(x, output_size, kernel_size=None, random_u=None, return_mask=False, name=None):
    """The largest elements of H' x W' windows of x [N, C, H, W] whose sizes vary at random (Graham, 2014).

    output_size: an int, or [H', W'] where None keeps a size. kernel_size: the windows' sizes, which then overlap; by
    default each ends where the next begins. random_u: a number in (0, 1) that decides the windows; by default it is
    drawn anew each time. With return_mask also the int32 place h * W + w of each.
    """
    return _fractional(2, x, output_size, kernel_size, random_u, return_mask)


def fractional_max_pool3d(x, output_size, kernel_size=None, random_u=None, return_mask=False, name=None):
    """The largest elements of D' x H' x W' random windows of x [N, C, D, H, W]; see `fractional_max_pool2d`."""
    return _fractional(3, x, output_size, kernel_size, random_u, return_mask)


def _lp_pool(rank, x, norm_type, kernel_size, stride, padding, ceil_mode, data_format):
    where = f"lp_pool{rank}d"
    if norm_type <= 0:
        raise ValueError(explain(where, "norm_type above 0", str(norm_type)))
    if norm_type == float("inf"):
        return _max_pool(rank, x, kernel_size, stride, padding, False, ceil_mode, data_format)
    attrs = _windows(where, rank, kernel_size, stride, padding, ceil_mode, data_format)
    power = call(OPS["pow"], (x, float(norm_type)))
    total = call(OPS["avg_pool"], (power,), {**attrs, "divisor": 1})
    return call(OPS["pow"], (total, 1.0 / norm_type))


def lp_pool1d(x, norm_type, kernel_size, stride=None, padding=0, ceil_mode=False, data_format="NCL", name=None):
    """(sum of x ** p over each window) ** (1 / p) with p = norm_type; inf is max_pool1d. Signed, as in Paddle."""
    return _lp_pool(1, x, norm_type, kernel_size, stride, padding, ceil_mode, data_format)


def lp_pool2d(x, norm_type, kernel_size, stride=None, padding=0, ceil_mode=False, data_format="NCHW", name=None):
    """(sum of x ** p over each window) ** (1 / p) with p = norm_type; inf is max_pool2d. Signed, as in Paddle."""
    return _lp_pool(2, x, norm_type, kernel_size, stride, padding, ceil_mode, data_format)


def _unpool(rank, x, indices, kernel_size, stride, padding, data_format, output_size):
    where = f"max_unpool{rank}d"
    if is_channels_last(where, data_format, rank):
        raise ValueError(explain(where, "channels first", repr(data_format), "transpose x"))
    kernel = per_axis(where, "kernel_size", kernel_size, rank)
    stride = kernel if stride is None else per_axis(where, "stride", stride, rank)
    padding = padding_pairs(where, padding, rank, False)
    if -1 in x.shape[1:]:
        raise ValueError(explain(where, "known sizes of all axes but the batch's", str(list(x.shape))))
    least = [(n - 1) * s - 2 * low + k for n, s, (low, _), k in zip(x.shape[2:], stride, padding, kernel, strict=True)]
    out = least if output_size is None else [int(o) for o in output_size][-rank:]
    if len(out) != rank or any(not n - s < o < n + s for n, o, s in zip(least, out, stride, strict=True)):
        raise ValueError(explain(where, f"output_size within a stride of {least}", str(output_size)))
    return call(OPS["put_places"], (x, indices), {"shape": (*x.shape[:2], *out)})


def max_unpool1d(x, indices, kernel_size, stride=None, padding=0, data_format="NCL", output_size=None, name=None):
    """Zeros with the elements of x [N, C, L] at the places that max_pool1d's mask `indices` names."""
    return _unpool(1, x, indices, kernel_size, stride, padding, data_format, output_size)


def max_unpool2d(x, indices, kernel_size, stride=None, padding=0, data_format="NCHW", output_size=None, name=None):
    """Zeros with the elements of x [N, C, H, W] at the places that max_pool2d's mask `indices` names.

    The result has the size of the smallest input that pools to x, or output_size. Windows must not share places:
    numbers put in one place add up.
    """
    return _unpool(2, x, indices, kernel_size, stride, padding, data_format, output_size)


def max_unpool3d(x, indices, kernel_size, stride=None, padding=0, data_format="NCDHW", output_size=None, name=None):
    """Zeros with the elements of x [N, C, D, H, W] at the places that max_pool3d's mask `indices` names."""
    return _unpool(3, x, indices, kernel_size, stride, padding, data_format, output_size)
