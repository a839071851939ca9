"""Pooling of regions of pictures: x [N, C, H, W], boxes [R, 4] of corners (x1, y1, x2, y2), boxes_num [N]: how many of
the boxes, in their order, belong to each picture. Boxes get no gradient, as in Paddle.

A region is cut into size[0] x size[1] bins, and a bin reads pixels at some rows (with weights) and some columns (with
weights): a tap is one of these pairs, and its weight their product. All bins are read one tap at a time.
"""
from gpuflow import dtypes
from gpuflow.errors import explain
from gpuflow.ops.gather import put_into_zeros_along
from gpuflow.ops.registry import Spec, op
from gpuflow.ops.rows import add_rows


def _spec(x, boxes, boxes_num, *, size, kind="align", **attrs):
    where = {"align": "roi_align", "max": "roi_pool", "position": "psroi_pool"}[kind]
    if len(x.shape) != 4 or len(boxes.shape) != 2 or boxes.shape[1] not in (None, 4) or len(boxes_num.shape) != 1:
        raise ValueError(explain(where, "x [N, C, H, W], boxes [R, 4] and boxes_num [N]",
                                 f"{list(x.shape)}, {list(boxes.shape)} and {list(boxes_num.shape)}"))
    channels = x.shape[1]
    if kind == "position" and channels is not None:
        if channels % (size[0] * size[1]):
            raise ValueError(explain(where, f"channels that {size[0]} x {size[1]} bins divide", str(channels)))
        channels //= size[0] * size[1]
    return Spec((boxes.shape[0], channels, *size), x.dtype)


def _rounded(xp, x):
    """To the nearest integer, halves away from zero."""
    return xp.sign(x) * xp.floor(xp.abs(x) + 0.5)


def _sampled(xp, low, high, bins, extent, ratio):
    """(pixels, weights), both [R, bins, taps], of means over evenly spaced points from low to high, read linearly."""
    width = (high - low) / bins
    counts = xp.full(low.shape, ratio) if ratio > 0 else xp.ceil(width).astype(xp.int64)
    most = max(int(counts.max()), 1) if len(counts) else 1
    point = xp.arange(most)
    at = (low[:, None, None] + width[:, None, None] * xp.arange(bins)[:, None]
          + (point + 0.5) * (width / xp.maximum(counts, 1))[:, None, None])
    weight = (point < counts[:, None, None]) & (at >= -1) & (at <= extent)
    weight = weight / xp.maximum(counts, 1)[:, None, None]
    at = xp.clip(at, 0, extent - 1)
    first = xp.floor(at)
    part = at - first
    pixels = xp.concatenate([first, xp.minimum(first + 1, extent - 1)], axis=-1).astype(xp.int64)
    return pixels, xp.concatenate([weight * (1 - part), weight * part], axis=-1)


def _whole(xp, low, width, bins, extent):
    """(pixels, weights) of means over all pixels that each bin touches."""
    edges = width[:, None] * xp.arange(bins + 1) + low[:, None]
    first = xp.clip(xp.floor(edges[:, :-1]), 0, extent).astype(xp.int64)
    last = xp.clip(xp.ceil(edges[:, 1:]), 0, extent).astype(xp.int64)
    counts = xp.maximum(last - first, 0)
    most = max(int(counts.max()), 1) if counts.size else 1
    pixels = first[..., None] + xp.arange(most)
    weight = (pixels < last[..., None]) / xp.maximum(counts, 1)[..., None]
    return xp.minimum(pixels, extent - 1), weight


def _taps(xp, shape, boxes, boxes_num, size, scale, kind, ratio, aligned):
    """Yields (row of [N * H * W (* bins), ...] that each bin [R, h, w] reads, its weight) for every tap."""
    if int(boxes_num.sum()) != len(boxes):
        raise ValueError(f"boxes_num counts {int(boxes_num.sum())} boxes, there are {len(boxes)}")
    picture = xp.repeat(xp.arange(len(boxes_num)), boxes_num.tolist())[:, None, None]
    boxes = boxes.astype(xp.float64)
    found = []
    for axis, bins, extent in ((1, size[0], shape[2]), (0, size[1], shape[3])):
        low, high = boxes[:, axis], boxes[:, axis + 2]
        if kind == "align":
            low, high = (low * scale - 0.5, high * scale - 0.5) if aligned else (low * scale, high * scale)
            high = high if aligned else xp.maximum(high, low + 1)
            found.append(_sampled(xp, low, high, bins, extent, ratio))
        elif kind == "max":
            low, high = _rounded(xp, low * scale), _rounded(xp, high * scale)
            steps = xp.maximum(high - low + 1, 1) / bins
            pixels, weight = _whole(xp, low * 0, steps, bins, 1 << 30)     # cut into bins first, then moved
            pixels, weight = pixels + low[:, None, None].astype(xp.int64), weight > 0
            weight = weight & (pixels >= 0) & (pixels < extent)
            found.append((xp.clip(pixels, 0, extent - 1), weight))
        else:
            low, high = _rounded(xp, low) * scale, (_rounded(xp, high) + 1) * scale
            found.append(_whole(xp, low, xp.maximum(high - low, 0.1) / bins, bins, extent))
    (rows, of_row), (columns, of_column) = found
    if kind == "position":   # each bin has channels of its own
        own = xp.arange(size[0] * size[1]).reshape(size)
        picture = picture * (size[0] * size[1]) + own
    for a in range(rows.shape[-1]):
        for b in range(columns.shape[-1]):
            place = (picture * shape[2] + rows[:, :, None, a]) * shape[3] + columns[:, None, :, b]
            yield place, of_row[:, :, None, a] * of_column[:, None, :, b]


def _pixels(xp, x, size, kind):
    """x as rows of channels, one for each place that taps count."""
    if kind == "position":
        bins = size[0] * size[1]
        x = x.reshape(x.shape[0], x.shape[1] // bins, bins, *x.shape[2:])
        return xp.moveaxis(x, 1, -1).reshape(-1, x.shape[1])
    return xp.moveaxis(x, 1, -1).reshape(-1, x.shape[1])


@op("region_mean", infer=_spec, saves=("x_shape", "boxes", "boxes_num"))
def region_mean(xp, x, boxes, boxes_num, *, size, scale=1.0, kind="align", ratio=-1, aligned=True):
    """[R, C, *size]: the mean of x over the bins of each box.

    kind "align": over points (ratio x ratio in a bin, or about one per pixel) between pixels, read linearly; aligned:
    pixel k lies at k + 0.5. kind "position": over whole pixels, each bin in channels of its own, so that C is x's
    channels divided by the bins.
    """
    pixels = _pixels(xp, x, size, kind)
    out = xp.zeros((len(boxes), *size, pixels.shape[1]), x.dtype)
    for place, weight in _taps(xp, x.shape, boxes, boxes_num, size, scale, kind, ratio, aligned):
        out += pixels[place] * weight[..., None].astype(x.dtype)
    return xp.ascontiguousarray(xp.moveaxis(out, -1, 1))


@region_mean.grad
def region_mean_grad(xp, g, saved, **attrs):
    return region_mean_back(xp, g, saved.boxes, saved.boxes_num, shape=saved.x_shape, **attrs), None, None


@op("region_mean_back", infer=lambda g, boxes, boxes_num, *, shape, **attrs: Spec(tuple(shape), g.dtype),
    saves=("boxes", "boxes_num"))
def region_mean_back(xp, g, boxes, boxes_num, *, shape, size, scale=1.0, kind="align", ratio=-1, aligned=True):
    """The gradient of region_mean with respect to x of `shape`, for the gradient g of its result."""
    channels, bins = g.shape[1], size[0] * size[1] if kind == "position" else 1
    up = xp.moveaxis(g, 1, -1)
    out = xp.zeros((shape[0] * bins * shape[2] * shape[3], channels), g.dtype)
    for place, weight in _taps(xp, shape, boxes, boxes_num, size, scale, kind, ratio, aligned):
        add_rows(xp, out, place.reshape(-1), (up * weight[..., None].astype(g.dtype)).reshape(-1, channels))
    out = xp.moveaxis(out.reshape(shape[0], bins, *shape[2:], channels), -1, 1)
    return xp.ascontiguousarray(out).reshape(shape)


@region_mean_back.grad
def region_mean_back_grad(xp, h, saved, *, shape, **attrs):
    return region_mean(xp, h, saved.boxes, saved.boxes_num, **attrs), None, None


@op("region_max", infer=lambda x, *boxes, **attrs: (_spec(x, *boxes, kind="max", **attrs),
                                                   Spec(_spec(x, *boxes, kind="max", **attrs).shape, dtypes.int64)),
    outputs=("out", "place"), saves=("x_shape", "place"), no_grad_outputs=(1,))
def region_max(xp, x, boxes, boxes_num, *, size, scale=1.0):
    """[R, C, *size]: the largest of x over the whole pixels of each bin, 0 in empty ones; and where it lies, or -1."""
    pixels = _pixels(xp, x, size, "max")
    best = xp.zeros((len(boxes), *size, pixels.shape[1]), x.dtype)
    where = xp.full(best.shape, -1, xp.int64)
    for place, counts in _taps(xp, x.shape, boxes, boxes_num, size, scale, "max", 0, False):
        found = pixels[place]
        better = counts[..., None] & ((where < 0) | (found > best))
        best, where = xp.where(better, found, best), xp.where(better, place[..., None], where)
    return tuple(xp.ascontiguousarray(xp.moveaxis(a, -1, 1)) for a in (best, where))


@region_max.grad
def region_max_grad(xp, g, saved, *, size, scale=1.0):
    count, channels, height, width = saved.x_shape
    place, up = (a.transpose((0, 2, 3, 1)).reshape(-1, channels) for a in (saved.place, g[0]))
    up = xp.where(place >= 0, up, 0)
    out = put_into_zeros_along(xp, up, xp.maximum(place, 0), axis=0, shape=(count * height * width, channels))
    return out.reshape(count, height, width, channels).transpose((0, 3, 1, 2)), None, None
