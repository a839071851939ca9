"""Pictures resized, read at other points, rearranged, and cut into patches."""
import numpy as np

from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.functional.arguments import integer
from gpuflow.nn.functional import pooling
from gpuflow.nn.functional.windows import is_channels_last, per_axis
from gpuflow.ops.registry import OPS
from gpuflow.tensor import Tensor, to_tensor

__all__ = ["affine_grid", "channel_shuffle", "fold", "grid_sample", "interpolate", "pixel_shuffle", "pixel_unshuffle",
           "temporal_shift", "unfold", "upsample"]

_RANKS = {"linear": (3,), "bilinear": (4,), "trilinear": (5,), "bicubic": (4,), "nearest": (3, 4, 5), "area": (3, 4, 5)}


def interpolate(x, size=None, scale_factor=None, mode="nearest", align_corners=False, align_mode=0, data_format=None,
                recompute_scale_factor=None, antialias=False, name=None):
    """x resized along its spatial axes.

    x: [N, C, W], [N, C, H, W] or [N, C, D, H, W], or channels last by data_format. size: the new sizes; or
    scale_factor: a number, or one per axis, that the old ones are multiplied with (rounded down). mode: "nearest",
    "linear" (3 axes), "bilinear", "bicubic" (4), "trilinear" (5), "area" (means of windows). align_corners: the corner
    pixels' middles stay where they are. align_mode 1: places count from pixels' edges (the linear modes).
    recompute_scale_factor: True takes the ratio of sizes, not scale_factor, as the distance of results.
    """
    where, rank = "interpolate", len(x.shape)
    mode = mode.lower()
    if mode not in _RANKS or rank not in _RANKS[mode]:
        raise ValueError(explain(where, f"mode among {list(_RANKS)} and x of as many axes as it has",
                                 f"{mode!r} and {rank} axes"))
    if (size is None) == (scale_factor is None):
        raise ValueError(explain(where, "size or scale_factor", "both" if size is not None else "neither"))
    if align_corners and mode in ("nearest", "area"):
        raise ValueError(explain(where, "align_corners=False where nothing is interpolated", f"True and {mode!r}"))
    if antialias:
        raise ValueError(explain(where, "antialias=False", "True", "mode='area' to make pictures smaller"))
    if align_mode not in (0, 1):
        raise ValueError(explain(where, "align_mode 0 or 1", repr(align_mode)))
    spatial = rank - 2
    formats = {1: "NCW", 2: "NCHW", 3: "NCDHW"}
    data_format = formats[spatial] if data_format is None else data_format
    last = is_channels_last(where, data_format.replace("NCW", "NCL").replace("NWC", "NLC"), spatial)
    counts = None if size is None else _sizes(where, size, spatial)
    scales = None if scale_factor is None else _scales(where, scale_factor, spatial)
    if mode == "area":
        return _means(x, counts, scales, last, spatial)
    axes = tuple(range(1, 1 + spatial)) if last else tuple(range(2, 2 + spatial))
    if scales is not None and recompute_scale_factor:
        known = [x.shape[a] for a in axes]
        if -1 in known:
            raise ValueError(explain(where, "known sizes for recompute_scale_factor=True", str(list(x.shape))))
        counts, scales = tuple(int(s * f) for s, f in zip(known, scales)), None
    kind = {"nearest": "nearest", "bicubic": "cubic"}.get(mode, "linear")
    return call(OPS["resize"], (x,), {"axes": axes, "mode": kind, "counts": counts, "scales": scales,
                                      "align_corners": bool(align_corners), "align_mode": align_mode})



def upsample(x, size=None, scale_factor=None, mode="nearest", align_corners=False, align_mode=0, data_format=None,
             name=None):
    """`interpolate` under its older name."""
    return interpolate(x, size, scale_factor, mode, align_corners, align_mode, data_format)


def _sizes(where, size, rank) -> tuple:
    size = size.tolist() if isinstance(size, Tensor) else size
    sizes = [size] * rank if isinstance(size, int) else [integer(where, s) for s in size]
    if len(sizes) != rank or min(sizes) < 1:
        raise ValueError(explain(where, f"size as {rank} integers of at least 1", repr(size)))
    return tuple(sizes)


def _scales(where, scale, rank) -> tuple:
    scale = scale.tolist() if isinstance(scale, Tensor | np.ndarray) else scale
    scales = [float(s) for s in scale] if isinstance(scale, list | tuple) else [float(scale)]
    scales = scales * rank if len(scales) == 1 else scales
    if len(scales) != rank or min(scales) <= 0:
        raise ValueError(explain(where, f"scale_factor as a number above 0, or {rank} of them", repr(scale)))
    return tuple(scales)


def _means(x, counts, scales, last, spatial):
    if last:
        raise ValueError(explain("interpolate(mode='area')", "channels first", "channels last", "transpose x"))
    if counts is None:
        counts = tuple(int(s * f) for s, f in zip(x.shape[2:], scales))
    pool = getattr(pooling, f"adaptive_avg_pool{spatial}d")
    return pool(x, counts[0] if spatial == 1 else list(counts))


def affine_grid(theta, out_shape, align_corners=True, name=None):
    """The grid for `grid_sample` that an affine map makes: theta [N, 2, 3], out_shape [N, C, H, W] to [N, H, W, 2]; or
    theta [N, 3, 4], out_shape [N, C, D, H, W] to [N, D, H, W, 3]."""
    shape = [integer("affine_grid", s) for s in (out_shape.tolist() if isinstance(out_shape, Tensor) else out_shape)]
    rank = len(shape) - 2
    if rank not in (2, 3) or len(theta.shape) != 3 or list(theta.shape[1:]) != [rank, rank + 1]:
        raise ValueError(explain("affine_grid", "theta [N, 2, 3] with 4 sizes, or [N, 3, 4] with 5",
                                 f"{list(theta.shape)} and {shape}"))
    lines = []
    for size in shape[2:]:
        line = np.linspace(-1, 1, size) if size > 1 else np.zeros(1)
        lines.append(line if align_corners else line * (size - 1) / size)
    points = np.stack([*np.meshgrid(*lines, indexing="ij")[::-1], np.ones(shape[2:])], axis=-1)
    points = to_tensor(points.reshape(-1, rank + 1), theta.dtype, theta.place)
    grid = call(OPS["matmul"], (points, theta), {"transpose_y": True})
    return call(OPS["reshape"], (grid,), {"shape": (0 if theta.shape[0] == -1 else shape[0], *shape[2:], rank)})


def grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=True, name=None):
    """x [N, C, H, W] read at grid [N, h, w, 2], whose numbers (x, y) in [-1, 1] span the picture: [N, C, h, w].

    x of 5 axes with grid [N, d, h, w, 3] likewise. mode: "bilinear" or "nearest". padding_mode: "zeros", "border" or
    "reflection" outside. align_corners: -1 and 1 are the corner pixels' middles, else their outer edges.
    """
    for what, value, known in (("mode", mode, ("bilinear", "nearest")),
                               ("padding_mode", padding_mode, ("zeros", "border", "reflection"))):
        if value not in known:
            raise ValueError(explain("grid_sample", f"{what} among {list(known)}", repr(value)))
    return call(OPS["grid_sample"], (x, grid), {"mode": mode, "padding": padding_mode,
                                                "align_corners": bool(align_corners)})


def _factor(where, what, value) -> int:
    value = integer(where, value)
    if value < 1:
        raise ValueError(explain(where, f"{what} of at least 1", str(value)))
    return value


def pixel_shuffle(x, upscale_factor, data_format="NCHW", name=None):
    """[N, C r r, H, W] to [N, C, H r, W r], r = upscale_factor (Shi et al., 2016); "NHWC": channels last."""
    return call(OPS["pixel_shuffle"], (x,), {
        "factor": _factor("pixel_shuffle", "upscale_factor", upscale_factor),
        "channels_last": is_channels_last("pixel_shuffle", data_format, 2)})


def pixel_unshuffle(x, downscale_factor, data_format="NCHW", name=None):
    """[N, C, H r, W r] to [N, C r r, H, W], r = downscale_factor: what `pixel_shuffle` undoes."""
    return call(OPS["pixel_unshuffle"], (x,), {
        "factor": _factor("pixel_unshuffle", "downscale_factor", downscale_factor),
        "channels_last": is_channels_last("pixel_unshuffle", data_format, 2)})


def channel_shuffle(x, groups, data_format="NCHW", name=None):
    """x with its channels dealt out among `groups` (Zhang et al., 2018)."""
    return call(OPS["channel_shuffle"], (x,), {
        "groups": _factor("channel_shuffle", "groups", groups),
        "channels_last": is_channels_last("channel_shuffle", data_format, 2)})


def temporal_shift(x, seg_num, shift_ratio=0.25, name=None, data_format="NCHW"):
    """[N T, C, H, W] with some channels moved one moment forwards and as many backwards (Lin et al., 2019).

    seg_num: T. shift_ratio: the part of the channels moved each way, at most 0.5.
    """
    if not 0 < shift_ratio <= 0.5:
        raise ValueError(explain("temporal_shift", "shift_ratio in (0, 0.5]", repr(shift_ratio)))
    return call(OPS["temporal_shift"], (x,), {
        "segments": _factor("temporal_shift", "seg_num", seg_num), "ratio": float(shift_ratio),
        "channels_last": is_channels_last("temporal_shift", data_format, 2)})


def _patches(where, kernel_sizes, strides, paddings, dilations) -> dict:
    padding = [paddings] if isinstance(paddings, int) else list(paddings)
    padding = padding * {1: 4, 2: 2, 4: 1}.get(len(padding), 0)
    if not padding or min(padding) < 0:
        raise ValueError(explain(where, "paddings as 1, 2 or 4 sizes (top, left, bottom, right)", repr(paddings)))
    return {"kernel": per_axis(where, "kernel_sizes", kernel_sizes, 2),
            "stride": per_axis(where, "strides", strides, 2),
            "padding": tuple(padding), "dilation": per_axis(where, "dilations", dilations, 2)}


def unfold(x, kernel_sizes, strides=1, paddings=0, dilations=1, name=None):
    """[N, C, H, W] to [N, C kh kw, L]: the L patches that a window sees, as columns.

    paddings: zeros around, one size, (vertical, horizontal) or (top, left, bottom, right).
    """
    return call(OPS["unfold"], (x,), _patches("unfold", kernel_sizes, strides, paddings, dilations))


def fold(x, output_sizes, kernel_sizes, strides=1, paddings=0, dilations=1, name=None):
    """[N, C kh kw, L] to [N, C, H, W] = output_sizes: patches put where `unfold` took them; what overlaps is added."""
    return call(OPS["fold"], (x,), {"sizes": per_axis("fold", "output_sizes", output_sizes, 2),
                                    **_patches("fold", kernel_sizes, strides, paddings, dilations)})
