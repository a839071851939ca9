"""Convolution in any number of spatial axes, as three ops that are each other's gradients.

With x the input, w the weight and g the gradient of the result: `conv` is bilinear in x and w, `conv_input_grad` in g
and w, `conv_weight_grad` in x and g. The gradient of each is made of the other two, so derivatives of any order exist.
A transposed convolution is `conv_input_grad` under another name.

Work is done on columns (the windows laid side by side, patches.gather) by one large product per block of rows. Results
lie in memory as [O, *S', N], whatever their shape; patches.py says why.
"""
import math

import numpy as np

from gpuflow.errors import explain
from gpuflow.ops import patches
from gpuflow.ops.registry import Spec, op
from gpuflow_kernels import nn

# Columns held at a time, in elements. On the CPU: what fits the second-level caches, and for small x and y no more than
# both together or half of it, so that a step's memory stays below four times theirs. A GPU wants large launches.
CPU_BLOCK = 1 << 20
GPU_BLOCK = 1 << 24


def _names(channels_last, rank):
    spatial = {1: "L", 2: "HW", 3: "DHW"}.get(rank, "S")
    return f"N{spatial}C" if channels_last else f"NC{spatial}"


def _conv_spec(x, weight, bias=None, *, stride, padding, dilation, groups=1, channels_last=False):
    rank = len(stride)
    where, layout = f"conv{rank}d", _names(channels_last, rank)
    if len(x.shape) != rank + 2:
        raise ValueError(explain(where, f"x of {rank + 2} axes {layout}", f"{len(x.shape)} axes {list(x.shape)}",
                                 "x.unsqueeze(0) for one sample" if len(x.shape) == rank + 1 else None))
    if len(weight.shape) != rank + 2:
        raise ValueError(explain(where, f"a weight of {rank + 2} axes [out, in / groups, kernel]",
                                 str(list(weight.shape))))
    channels, sizes = (x.shape[-1], x.shape[1:-1]) if channels_last else (x.shape[1], x.shape[2:])
    wanted = weight.shape[1] * groups
    if channels is not None and channels != wanted:
        other = x.shape[1] if channels_last else x.shape[-1]
        raise ValueError(explain(
            where, f"x [{layout}] with {wanted} channels (weight {list(weight.shape)}, groups {groups})",
            f"{channels} in {list(x.shape)}",
            f"data_format={_names(not channels_last, rank)!r}" if other == wanted else f"in_channels={channels}"))
    if weight.shape[0] % groups:
        raise ValueError(explain(where, f"out channels divisible by groups {groups}", str(weight.shape[0])))
    if bias is not None and tuple(bias.shape) != (weight.shape[0],):
        raise ValueError(explain(where, f"bias [{weight.shape[0]}]", str(list(bias.shape))))
    for other in (weight, bias):
        if other is not None and other.dtype is not x.dtype:
            raise ValueError(explain(where, f"weight and bias of x's dtype {x.dtype.name}", other.dtype.name,
                                     f"x.astype('{other.dtype.name}')"))
    kernel = weight.shape[2:]
    if padding == "SAME":
        counts = tuple(None if n is None else -(-n // s) for n, s in zip(sizes, stride, strict=True))
    else:
        counts = patches.window_counts(where, sizes, kernel, stride, padding, dilation)
    out = (weight.shape[0],)
    return Spec((x.shape[0], *counts, *out) if channels_last else (x.shape[0], *out, *counts), x.dtype)


class _Geometry:
    """The sizes of one convolution of x [C, *S, N] to y [O, *S', N], and the parts it is done in."""

    def __init__(self, xp, x_shape, y_shape, weight_shape, stride, padding, dilation, groups):
        self.kernel, self.stride, self.dilation, self.groups = weight_shape[2:], stride, dilation, groups
        self.low, self.counts, self.samples = tuple(low for low, _ in padding), y_shape[1:-1], x_shape[-1]
        self.reach = math.prod(weight_shape[1:])  # elements that make one number
        # a 1x1 convolution: the columns are x itself
        self.plain = all(k == s == 1 for k, s in zip(self.kernel, stride, strict=True)) and not any(map(any, padding))
        both = math.prod(x_shape) + math.prod(y_shape)
        budget = min(CPU_BLOCK, max(both, CPU_BLOCK // 2)) if xp is np else max(GPU_BLOCK, 2 * both)
        row = x_shape[0] * math.prod(self.kernel) * math.prod(self.counts[1:]) * self.samples
        self.blocks = [slice(0, self.counts[0])] if self.plain else patches.row_blocks(self.counts[0], row, budget)

    def by_channel(self, xp, dtype) -> bool:
        """True where each channel of x has kernels of its own, for which columns are a detour."""
        return xp is np and self.groups > 1 and self.reach == math.prod(self.kernel) and nn.takes(dtype)

    def depthwise(self, what, x, weight, y):
        nn.depthwise(what, x, weight, y, self.low, self.kernel, self.stride, self.dilation)

    def part(self, rows):
        """(low, counts) of the windows in some rows of the first spatial axis."""
        return ((self.low[0] - rows.start * self.stride[0], *self.low[1:]), (rows.stop - rows.start, *self.counts[1:]))

    def columns(self, xp, x, rows):
        """[groups, reach, windows * samples] for some rows."""
        if not self.plain:
            low, counts = self.part(rows)
            x = patches.gather(xp, x, low, counts, self.kernel, self.stride, self.dilation)
        return x.reshape(self.groups, self.reach, -1)

    def outputs(self, y, rows):
        """The view [groups, O / groups, windows * samples] of some rows of y."""
        return y[:, rows].reshape(self.groups, y.shape[0] // self.groups, -1)


def _prepared(xp, *arrays):
    """16-bit floats on the CPU are computed in float32."""
    if xp is np and arrays[0].dtype.itemsize == 2:
        return [a if a is None else a.astype(np.float32) for a in arrays]
    return arrays


@op("conv", infer=_conv_spec, saves=("x", "weight", "x_shape", "weight_shape"),
    saved_for={"x": "weight", "weight": "x"}, writes=("weight", "bias"))
def conv(xp, x, weight, bias=None, *, stride, padding, dilation, groups=1, channels_last=False):
    """The cross-correlation of x [N, C, *S] with weight [O, C / groups, *kernel], plus bias [O]; result [N, O, *S'].

    stride, dilation: one int per spatial axis; padding: (low, high) zeros per spatial axis, or "SAME".
    channels_last: x and the result are [N, *S, C].
    """
    if x.dtype != weight.dtype:
        raise ValueError("dtypes differ")
    kind = x.dtype
    x, weight, bias = _prepared(xp, x, weight, bias)
    xc = patches.to_channels_first(xp, x, channels_last)
    kernel = weight.shape[2:]
    padding, dilation = patches.resolved_padding(padding, xc.shape[2:], kernel, stride, dilation)
    counts = patches.window_counts("conv", xc.shape[2:], kernel, stride, padding, dilation)
    if xc.shape[1] != weight.shape[1] * groups or len(kernel) != xc.ndim - 2:
        raise ValueError("channels differ")
    xt = patches.samples_last(xp, xc)
    y = xp.empty((weight.shape[0], *counts, xt.shape[-1]), xt.dtype)
    geometry = _Geometry(xp, xt.shape, y.shape, weight.shape, stride, padding, dilation, groups)
    if geometry.by_channel(xp, y.dtype):
        y[...] = 0 if bias is None else bias.reshape(-1, *[1] * (y.ndim - 1))
        geometry.depthwise("to_y", xt, weight, y)
    else:
        matrix = weight.reshape(groups, -1, geometry.reach)
        for rows in geometry.blocks:
            part = geometry.outputs(y, rows)
            xp.matmul(matrix, geometry.columns(xp, xt, rows), out=part)
            if bias is not None:
                part += bias.reshape(groups, -1, 1)
    return patches.samples_first(xp, y, channels_last).astype(kind, copy=False)


@conv.grad
def conv_grad(xp, g, saved, *, stride, padding, dilation, groups=1, channels_last=False):
    sizes, kernel = saved.x_shape[1:-1] if channels_last else saved.x_shape[2:], saved.weight_shape[2:]
    padding, dilation = patches.resolved_padding(padding, sizes, kernel, stride, dilation)
    attrs = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups,
             "channels_last": channels_last}
    into = saved.into or (None, None, None)
    to_x = to_weight = to_bias = None
    if saved.needs[0]:
        to_x = conv_input_grad(xp, g, saved.weight, sizes=tuple(sizes), **attrs)
    if saved.needs[1]:
        if into[1] is None:
            to_weight = conv_weight_grad(xp, saved.x, g, kernel=tuple(kernel), **attrs)
        else:
            to_weight = _weight_gradient(xp, saved.x, g, into[1], **attrs)
    if saved.needs[2]:
        to_bias = xp.sum(g, axis=tuple(i for i in range(g.ndim) if i != (g.ndim - 1 if channels_last else 1)))
    return to_x, to_weight, to_bias


def _input_spec(g, weight, *, sizes, stride, padding, dilation, groups=1, channels_last=False):
    rank = len(stride)
    where, layout = f"conv{rank}d_transpose", _names(channels_last, rank)
    if len(g.shape) != rank + 2:
        raise ValueError(explain(where, f"x of {rank + 2} axes {layout}", f"{len(g.shape)} axes {list(g.shape)}"))
    if len(weight.shape) != rank + 2:
        raise ValueError(explain(where, f"a weight of {rank + 2} axes [in, out / groups, kernel]",
                                 str(list(weight.shape))))
    channels = g.shape[-1] if channels_last else g.shape[1]
    if channels is not None and channels != weight.shape[0]:
        raise ValueError(explain(where, f"x [{layout}] with {weight.shape[0]} channels (weight {list(weight.shape)})",
                                 f"{channels} in {list(g.shape)}", f"in_channels={channels}"))
    if weight.shape[0] % groups:
        raise ValueError(explain(where, f"in channels divisible by groups {groups}", str(weight.shape[0])))
    if weight.dtype is not g.dtype:
        raise ValueError(explain(where, f"a weight of x's dtype {g.dtype.name}", weight.dtype.name,
                                 f"x.astype('{weight.dtype.name}')"))
    out = (weight.shape[1] * groups,)
    return Spec((g.shape[0], *sizes, *out) if channels_last else (g.shape[0], *out, *sizes), g.dtype)


@op("conv_input_grad", infer=_input_spec, saves=("g", "weight"), writes=("weight",))
def conv_input_grad(xp, g, weight, *, sizes, stride, padding, dilation, groups=1, channels_last=False):
    """The gradient of conv's x, [N, C, *sizes], for the gradient g [N, O, *S'] of its result.

    weight: [O, C / groups, *kernel]. It is the transposed convolution of g. padding: (low, high) per spatial axis.
    """
    if g.dtype != weight.dtype:
        raise ValueError("dtypes differ")
    kind = g.dtype
    g, weight = _prepared(xp, g, weight)
    gc = patches.to_channels_first(xp, g, channels_last)
    if gc.shape[1] != weight.shape[0]:
        raise ValueError("channels differ")
    gt = patches.samples_last(xp, gc)
    shape = (weight.shape[1] * groups, *sizes, gt.shape[-1])
    geometry = _Geometry(xp, shape, gt.shape, weight.shape, stride, padding, dilation, groups)
    matrix = weight.reshape(groups, -1, geometry.reach).swapaxes(1, 2)
    if geometry.plain:
        x = xp.matmul(matrix, geometry.outputs(gt, slice(None))).reshape(shape)
    elif geometry.by_channel(xp, gt.dtype):
        x = xp.zeros(shape, gt.dtype)
        geometry.depthwise("to_x", x, weight, gt)
    else:
        x = xp.zeros(shape, gt.dtype)
        for rows in geometry.blocks:
            low, counts = geometry.part(rows)
            part = geometry.outputs(gt, rows)
            columns = xp.matmul(matrix, part).reshape(shape[0], *geometry.kernel, *counts, shape[-1])
            patches.scatter(xp, columns, x, low, counts, geometry.kernel, stride, dilation)
            del columns   # before the next part's
    return patches.samples_first(xp, x, channels_last).astype(kind, copy=False)


@conv_input_grad.grad
def conv_input_grad_grad(xp, h, saved, *, sizes, stride, padding, dilation, groups=1, channels_last=False):
    attrs = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups,
             "channels_last": channels_last}
    g, weight = saved.g, saved.weight
    into = saved.into or (None, None)
    to_g = to_weight = None
    if saved.needs[0]:
        # h may hold elements that no window reaches (a transposed convolution's output_padding): one window too many
        to_g = conv(xp, h, weight, None, **attrs)
        counts = g.shape[1:-1] if channels_last else g.shape[2:]
        found = to_g.shape[1:-1] if channels_last else to_g.shape[2:]
        if tuple(found) != tuple(counts):
            cut = tuple(slice(0, n) for n in counts)
            to_g = to_g[(slice(None), *cut)] if channels_last else to_g[(slice(None), slice(None), *cut)]
    if saved.needs[1]:
        if into[1] is None:
            to_weight = conv_weight_grad(xp, h, g, kernel=tuple(weight.shape[2:]), **attrs)
        else:
            to_weight = _weight_gradient(xp, h, g, into[1], **attrs)
    return to_g, to_weight


def _weight_spec(x, g, *, kernel, stride, padding, dilation, groups=1, channels_last=False):
    axis = -1 if channels_last else 1
    return Spec((g.shape[axis], x.shape[axis] // groups, *kernel), x.dtype)


@op("conv_weight_grad", infer=_weight_spec, saves=("x", "g"))
def conv_weight_grad(xp, x, g, *, kernel, stride, padding, dilation, groups=1, channels_last=False):
    """The gradient of conv's weight, [O, C / groups, *kernel], for its input x and the gradient g of its result."""
    axis = -1 if channels_last else 1
    out = xp.empty((g.shape[axis], x.shape[axis] // groups, *kernel), x.dtype)
    return _weight_gradient(xp, x, g, out, stride, padding, dilation, groups, channels_last)


def _weight_gradient(xp, x, g, out, stride, padding, dilation, groups, channels_last):
    """conv_weight_grad written into `out`."""
    x, g = _prepared(xp, x, g)
    xc, gc = (patches.to_channels_first(xp, a, channels_last) for a in (x, g))
    xt, gt = patches.samples_last(xp, xc), patches.samples_last(xp, gc)
    geometry = _Geometry(xp, xt.shape, gt.shape, out.shape, stride, padding, dilation, groups)
    if geometry.by_channel(xp, gt.dtype):
        sums = np.zeros(out.shape)
        geometry.depthwise("to_weight", xt, sums, gt)
        out[...] = sums
        return out
    total = None
    for rows in geometry.blocks:
        # columns @ g.T, not g @ columns.T: OpenBLAS takes 0.24 ms instead of 0.41 ms for 32 x 4096 x 144
        found = xp.matmul(geometry.columns(xp, xt, rows), geometry.outputs(gt, rows).swapaxes(1, 2))
        total = found if total is None else xp.add(total, found, out=total)
    out[...] = total.swapaxes(1, 2).reshape(out.shape)
    return out


@conv_weight_grad.grad
def conv_weight_grad_grad(xp, h, saved, *, kernel, stride, padding, dilation, groups=1, channels_last=False):
    attrs = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups,
             "channels_last": channels_last}
    x, g = saved.x, saved.g
    sizes = x.shape[1:-1] if channels_last else x.shape[2:]
    to_x = conv_input_grad(xp, g, h, sizes=tuple(sizes), **attrs) if saved.needs[0] else None
    to_g = conv(xp, x, h, None, **attrs) if saved.needs[1] else None
    if to_g is not None and to_g.shape != g.shape:
        cut = tuple(slice(0, n) for n in g.shape)
        to_g = to_g[cut]
    return to_x, to_g
