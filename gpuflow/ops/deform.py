"""The windows of a deformable convolution: each tap of the kernel reads between pixels, at a place that moves."""
import itertools
import math

from gpuflow.errors import explain
from gpuflow.ops import patches
from gpuflow.ops.index import Slot, getitem, put_into_zeros
from gpuflow.ops.registry import Spec, op

_INDEX = tuple(map(Slot, range(4)))     # sample, group, row, column


def _columns_spec(x, offset, mask=None, *, kernel, stride, padding, dilation, groups=1):
    where, taps = "deform_conv2d", math.prod(kernel)
    if len(x.shape) != 4 or (x.shape[1] is not None and x.shape[1] % groups):
        raise ValueError(explain(where, f"x [N, C, H, W] with channels that deformable_groups={groups} divides",
                                 str(list(x.shape))))
    counts = patches.window_counts(where, x.shape[2:], kernel, stride, padding, dilation)
    for name, given, each in (("offset", offset, 2), ("mask", mask, 1)):
        wanted = (x.shape[0], each * groups * taps, *counts)
        if given is not None and (len(given.shape) != 4 or any(
                None not in (a, b) and a != b for a, b in zip(given.shape, wanted))):
            raise ValueError(explain(where, f"{name} {[-1 if s is None else s for s in wanted]}",
                                     str(list(given.shape))))
        if given is not None and given.dtype is not x.dtype:
            raise ValueError(explain(where, f"{name} of x's dtype {x.dtype.name}", given.dtype.name))
    return Spec((x.shape[0], x.shape[1] and x.shape[1] * taps, *counts), x.dtype)


def _corners(xp, offset, sizes, kernel, stride, padding, dilation, groups):
    """For each of the four pixels around a place: (its index in x [N, groups, H, W, C], (weight along y, along x), how
    these change with the place, whether it counts), all [N, groups, taps, H', W']. What is outside does not count."""
    many, _, *counts = offset.shape
    moved = offset.reshape((many, groups, math.prod(kernel), 2, *counts))
    taps, axes, seen = xp.arange(math.prod(kernel)), [], True
    for k, tap in enumerate((taps // kernel[1], taps % kernel[1])):
        window = xp.arange(counts[k]).reshape((-1, 1) if k == 0 else (1, -1)) * stride[k]
        still = (tap * dilation[k] - padding[k][0]).reshape(-1, 1, 1) + window
        place = moved[:, :, :, k] + still.astype(offset.dtype)
        first = xp.floor(place)
        part = place - first
        axes.append([(first, 1 - part, -1), (first + 1, part, 1)])
        seen = (place > -1) & seen      # at -1 the weight of pixel 0 is zero, and as in Paddle so is its slope
    sample = xp.arange(many).reshape(-1, 1, 1, 1, 1)
    group = xp.arange(groups).reshape(1, -1, 1, 1, 1)
    for picked in itertools.product(*axes):
        index, inside = [sample, group], seen
        for (place, _, _), size in zip(picked, sizes):
            inside = inside & (place >= 0) & (place <= size - 1)
            index.append(xp.minimum(xp.maximum(place, 0), size - 1).astype(xp.int64))
        yield index, [w for _, w, _ in picked], [s for _, _, s in picked], inside


def _channels_last(x, groups):
    many, channels, *sizes = x.shape
    return x.reshape((many, groups, channels // groups, *sizes)).transpose(0, 1, 3, 4, 2)


@op("deform_columns", infer=_columns_spec, saves=("x", "offset", "mask"))
def deform_columns(xp, x, offset, mask=None, *, kernel, stride, padding, dilation, groups=1):
    """What the taps of a kernel read from x [N, C, H, W] in each window: [N, C · taps, H', W'].

    offset: how far each tap is from its place, [N, groups · taps · 2, H', W'], (y, x) in pixels. mask: what it is
    multiplied with, [N, groups · taps, H', W'].
    """
    many, channels, counts = x.shape[0], x.shape[1], offset.shape[2:]
    taps, last, out = math.prod(kernel), _channels_last(x, groups), 0
    for index, (along_y, along_x), _, inside in _corners(xp, offset, x.shape[2:], kernel, stride, padding, dilation,
                                                         groups):
        weight = xp.where(inside, along_y * along_x, 0)
        if mask is not None:
            weight = weight * mask.reshape(weight.shape)
        out = last[tuple(index)] * weight[..., None] + out
    return out.transpose(0, 1, 5, 2, 3, 4).reshape((many, channels * taps, *counts))


@deform_columns.grad
def deform_columns_grad(xp, g, saved, *, kernel, stride, padding, dilation, groups=1):
    x, offset, mask = saved.x, saved.offset, saved.mask
    many, channels, counts = x.shape[0], x.shape[1], offset.shape[2:]
    last = _channels_last(x, groups)
    up = g.reshape((many, groups, channels // groups, math.prod(kernel), *counts)).transpose(0, 1, 3, 4, 5, 2)
    mask = 1 if mask is None else mask.reshape((many, groups, math.prod(kernel), *counts))
    to_x = to_y_place = to_x_place = to_mask = 0
    for index, (along_y, along_x), (slope_y, slope_x), inside in _corners(
            xp, offset, x.shape[2:], kernel, stride, padding, dilation, groups):
        weight = xp.where(inside, along_y * along_x, 0)
        if saved.needs[0]:
            to_x = put_into_zeros(xp, up * (weight * mask)[..., None], *index, index=_INDEX, shape=last.shape) + to_x
        if not any(saved.needs[1:]):
            continue
        read = (up * getitem(xp, last, *index, index=_INDEX)).sum(axis=-1)
        to_mask = read * weight + to_mask
        read = xp.where(inside, read * mask, 0)
        to_y_place, to_x_place = read * along_x * slope_y + to_y_place, read * along_y * slope_x + to_x_place
    return (to_x.transpose(0, 1, 4, 2, 3).reshape(x.shape) if saved.needs[0] else None,
            xp.stack([to_y_place, to_x_place], axis=3).reshape(offset.shape) if saved.needs[1] else None,
            to_mask.reshape(saved.mask.shape) if saved.needs[2] else None)
