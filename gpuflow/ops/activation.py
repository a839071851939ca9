"""Activations: elementwise functions with a bend, one op each, with few passes over memory.

Integers become the default float; float16 and bfloat16 are computed in float32 and rounded once.
"""
import math

import numpy as np

from gpuflow.errors import explain
from gpuflow.ops.registry import Spec, broadcast_shapes, floating, normal_axis, op, same_as
from gpuflow.ops.unary import erf, erf_block, erf_of, in_blocks
from gpuflow_kernels import passes


def masked(xp, g, mask):
    """g where mask, else 0.

    On NumPy arrays as a product, which is ten times faster than `where` (1e6 random floats).
    """
    return g * mask if getattr(xp, "array_module", xp) is np else xp.where(mask, g, 0.0)


def sigmoid_of(xp, x):
    """1 / (1 + exp(-x)) of a float array; where exp overflows to inf the quotient is the right 0."""
    out = xp.exp(-x)
    out += 1
    return xp.true_divide(1, out, out=out)


def softplus_of(xp, x):
    """log(1 + exp(x)) of a float array, without overflow."""
    out = xp.log1p(xp.exp(-xp.abs(x)))
    out += xp.maximum(x, 0)
    return out


@op("sigmoid", infer=floating(), saves=("out",), quiet=True, as_float=True)
def sigmoid(xp, x):
    """1 / (1 + exp(-x))."""
    return sigmoid_of(xp, x)


@sigmoid.grad
def sigmoid_grad(xp, g, saved):
    return (g * saved.out * (1 - saved.out),)


@op("log_sigmoid", infer=floating(), saves=("x",), quiet=True, as_float=True)
def log_sigmoid(xp, x):
    """log(sigmoid(x)) = -log(1 + exp(-x)), without overflow."""
    return -softplus_of(xp, -x)


@log_sigmoid.grad
def log_sigmoid_grad(xp, g, saved):
    return (g * sigmoid(xp, -saved.x),)


@op("softplus", infer=floating(), saves=("x",), quiet=True, as_float=True)
def softplus(xp, x, *, beta=1.0, threshold=20.0):
    """log(1 + exp(beta * x)) / beta; x itself where beta * x > threshold."""
    scaled = x * beta
    return xp.where(scaled > threshold, x, softplus_of(xp, scaled) / beta)


@softplus.grad
def softplus_grad(xp, g, saved, *, beta=1.0, threshold=20.0):
    scaled = saved.x * beta
    return (g * xp.where(scaled > threshold, 1.0, sigmoid(xp, scaled)),)


@op("relu", infer=same_as(), saves=("out",))
def relu(xp, x):
    """max(x, 0). The gradient at 0 is 0."""
    return xp.maximum(x, xp.zeros((), x.dtype))


@relu.grad
def relu_grad(xp, g, saved):
    return (masked(xp, g, saved.out > 0),)


@op("relu6", infer=floating(), saves=("out",), as_float=True)
def relu6(xp, x):
    """min(max(x, 0), 6)."""
    return xp.clip(x, 0, 6)


@relu6.grad
def relu6_grad(xp, g, saved):
    return (masked(xp, g, (saved.out > 0) & (saved.out < 6)),)


@op("leaky_relu", infer=floating(), saves=("x",), as_float=True)
def leaky_relu(xp, x, *, negative_slope=0.01):
    """x where x > 0, else negative_slope * x."""
    return xp.where(x > 0, x, negative_slope * x)


@leaky_relu.grad
def leaky_relu_grad(xp, g, saved, *, negative_slope=0.01):
    return (xp.where(saved.x >= 0, g, negative_slope * g),)  # at 0 the slope is 1, as in Paddle


@op("elu", infer=floating(), saves=("x",), quiet=True, as_float=True)
def elu(xp, x, *, alpha=1.0):
    """x where x > 0, else alpha * (exp(x) - 1)."""
    return xp.where(x > 0, x, alpha * xp.expm1(xp.minimum(x, 0)))


@elu.grad
def elu_grad(xp, g, saved, *, alpha=1.0):
    x = saved.x
    return (xp.where(x > 0, g, g * alpha * xp.exp(xp.minimum(x, 0.0))),)


@op("selu", infer=floating(), saves=("x",), quiet=True, as_float=True)
def selu(xp, x, *, scale=1.0507009873554805, alpha=1.6732632423543772):
    """scale * (x where x > 0, else alpha * (exp(x) - 1)) (Klambauer et al. 2017)."""
    return scale * xp.where(x > 0, x, alpha * xp.expm1(xp.minimum(x, 0)))


@selu.grad
def selu_grad(xp, g, saved, *, scale=1.0507009873554805, alpha=1.6732632423543772):
    x = saved.x
    return (scale * xp.where(x > 0, g, g * alpha * xp.exp(xp.minimum(x, 0.0))),)


@op("celu", infer=floating(), saves=("x",), quiet=True, as_float=True)
def celu(xp, x, *, alpha=1.0):
    """max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0). alpha: not 0."""
    return xp.maximum(x, 0) + xp.minimum(alpha * xp.expm1(x / alpha), 0)


@celu.grad
def celu_grad(xp, g, saved, *, alpha=1.0):
    x = saved.x
    return (xp.where(x > 0, g, g * xp.exp(xp.minimum(x, 0.0) / alpha)),)


_ROOT_HALF = math.sqrt(0.5)
_ROOT_2_OVER_PI = math.sqrt(2 / math.pi)


def _inner_tanh(xp, x):
    """The argument of the tanh in gelu's approximation."""
    return (x * x * 0.044715 + 1) * x * _ROOT_2_OVER_PI


@op("gelu", infer=floating(), saves=("x",), as_float=True)
def gelu(xp, x, *, approximate=False):
    """x times the normal distribution function of x (Hendrycks & Gimpel 2016); approximate: by tanh instead of erf."""
    if xp is np and not approximate:
        if passes.takes(x):
            return passes.gelu(x)
        return in_blocks(lambda x: _gelu_from(erf_block(x * _ROOT_HALF), x), x)
    return _gelu_from(xp.tanh(_inner_tanh(xp, x)) if approximate else erf_of(xp, x * _ROOT_HALF), x)


def _gelu_from(out, x):
    """x (1 + out) / 2, written into out."""
    out += 1
    out *= x
    out *= 0.5
    return out


@gelu.grad
def gelu_grad(xp, g, saved, *, approximate=False):
    x = saved.x
    if approximate:
        t = xp.tanh(_inner_tanh(xp, x))
        return (g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * (_ROOT_2_OVER_PI * (1 + 3 * 0.044715 * x * x))),)
    if xp is np and g.dtype == x.dtype and x.dtype.itemsize > 2:
        if passes.takes(x, g):
            return (passes.gelu_slope(g, x),)
        return (in_blocks(_gelu_slope, g, x),)
    return (g * (0.5 * (1 + erf(xp, x * _ROOT_HALF)) + x * xp.exp(-0.5 * x * x) * _PEAK),)


_PEAK = 1 / math.sqrt(2 * math.pi)    # of the normal distribution's density


def _gelu_slope(g, x):
    """g times the slope of gelu, on NumPy arrays that fit the cache."""
    density = x * x
    density *= -0.5
    np.exp(density, out=density)
    density *= x
    density *= _PEAK
    out = erf_block(x * _ROOT_HALF)
    out += 1
    out *= 0.5
    out += density
    out *= g
    return out


@op("silu", infer=floating(), saves=("x",), quiet=True, as_float=True)
def silu(xp, x):
    """x * sigmoid(x)."""
    out = sigmoid_of(xp, x)
    out *= x
    return out


@silu.grad
def silu_grad(xp, g, saved):
    s = sigmoid(xp, saved.x)
    return (g * s * (1 + saved.x * (1 - s)),)


@op("mish", infer=floating(), saves=("x",), quiet=True, as_float=True)
def mish(xp, x):
    """x * tanh(softplus(x)) (Misra 2019)."""
    return x * xp.tanh(softplus_of(xp, x))


@mish.grad
def mish_grad(xp, g, saved):
    x = saved.x
    t = xp.tanh(softplus(xp, x))
    return (g * (t + x * (1 - t * t) * sigmoid(xp, x)),)


@op("softsign", infer=floating(), saves=("x",), as_float=True)
def softsign(xp, x):
    """x / (1 + |x|)."""
    return x / (1 + xp.abs(x))


@softsign.grad
def softsign_grad(xp, g, saved):
    below = 1 + xp.abs(saved.x)
    return (g / (below * below),)


@op("hardtanh", infer=floating(), saves=("x",), as_float=True)
def hardtanh(xp, x, *, min=-1.0, max=1.0):
    """x limited to [min, max]; no gradient at the limits and beyond."""
    return xp.clip(x, min, max)


@hardtanh.grad
def hardtanh_grad(xp, g, saved, *, min=-1.0, max=1.0):
    return (masked(xp, g, (saved.x > min) & (saved.x < max)),)


@op("hardsigmoid", infer=floating(), saves=("x",), as_float=True)
def hardsigmoid(xp, x, *, slope=0.1666667, offset=0.5):
    """slope * x + offset limited to [0, 1]."""
    return xp.clip(x * slope + offset, 0, 1)


@hardsigmoid.grad
def hardsigmoid_grad(xp, g, saved, *, slope=0.1666667, offset=0.5):
    line = saved.x * slope + offset
    return (masked(xp, g * slope, (line > 0) & (line < 1)),)


@op("hardswish", infer=floating(), saves=("x",), as_float=True)
def hardswish(xp, x):
    """x * min(max(x + 3, 0), 6) / 6 (Howard et al. 2019)."""
    return x * xp.clip(x + 3, 0, 6) / 6


@hardswish.grad
def hardswish_grad(xp, g, saved):
    x = saved.x
    return (masked(xp, g, x >= 3) + masked(xp, g * (x * (1 / 3) + 0.5), (x > -3) & (x < 3)),)


@op("hardshrink", infer=floating(), saves=("x",), as_float=True)
def hardshrink(xp, x, *, threshold=0.5):
    """x where |x| > threshold, else 0."""
    return masked(xp, x, xp.abs(x) > threshold)


@hardshrink.grad
def hardshrink_grad(xp, g, saved, *, threshold=0.5):
    return (masked(xp, g, xp.abs(saved.x) >= threshold),)


@op("softshrink", infer=floating(), saves=("x",), as_float=True)
def softshrink(xp, x, *, threshold=0.5):
    """x - threshold above threshold, x + threshold below -threshold, 0 between."""
    return x - xp.clip(x, -threshold, threshold)


@softshrink.grad
def softshrink_grad(xp, g, saved, *, threshold=0.5):
    return (masked(xp, g, xp.abs(saved.x) > threshold),)


@op("tanhshrink", infer=floating(), saves=("x",), as_float=True)
def tanhshrink(xp, x):
    """x - tanh(x)."""
    return x - xp.tanh(x)


@tanhshrink.grad
def tanhshrink_grad(xp, g, saved):
    t = xp.tanh(saved.x)
    return (g * t * t,)


@op("thresholded_relu", infer=floating(), saves=("x",), as_float=True)
def thresholded_relu(xp, x, *, threshold=1.0, value=0.0):
    """x where x > threshold, else `value`."""
    return xp.where(x > threshold, x, x.dtype.type(value))


@thresholded_relu.grad
def thresholded_relu_grad(xp, g, saved, *, threshold=1.0, value=0.0):
    return (masked(xp, g, saved.x > threshold),)


def _prelu_spec(x, weight, *, channel_axis=1):
    channels = weight.shape[0] if len(weight.shape) == 1 else None
    if len(weight.shape) != 1:
        raise ValueError(explain("prelu", "weight [1] or [channels]", str(list(weight.shape))))
    if channels != 1 and (len(x.shape) < 2 or x.shape[channel_axis] not in (channels, None)):
        raise ValueError(explain("prelu", f"weight [1] or one number per channel of x {list(x.shape)} (axis "
                                 f"{channel_axis})", f"weight {list(weight.shape)}"))
    return Spec(x.shape, x.dtype)


def _beside(weight, x, channel_axis):
    """weight shaped to broadcast along x's channels."""
    if weight.shape[0] == 1:
        return weight
    return weight.reshape(tuple(weight.shape[0] if i == channel_axis % x.ndim else 1 for i in range(x.ndim)))


@op("prelu", infer=_prelu_spec, saves=("x", "weight"))
def prelu(xp, x, weight, *, channel_axis=1):
    """x where x > 0, else weight * x; weight: [1], or one number per channel (axis `channel_axis` of x)."""
    broadcast_shapes("prelu", x.shape, _beside(weight, x, channel_axis).shape)
    return xp.where(x > 0, x, _beside(weight, x, channel_axis) * x)


@prelu.grad
def prelu_grad(xp, g, saved, *, channel_axis=1):
    x, weight = saved.x, saved.weight
    to_weight = None
    if saved.needs[1]:
        each = xp.where(x > 0, 0.0, g * x)
        axes = tuple(i for i in range(x.ndim) if weight.shape[0] == 1 or i != channel_axis % x.ndim)
        to_weight = each.sum(axis=axes).reshape(weight.shape)
    return xp.where(x > 0, g, _beside(weight, x, channel_axis) * g), to_weight


def _glu_spec(x, *, axis=-1):
    axis = normal_axis("glu", axis, len(x.shape))
    if x.shape[axis] is not None and x.shape[axis] % 2:
        raise ValueError(explain("glu", f"an even size along axis {axis}", str(list(x.shape))))
    half = None if x.shape[axis] is None else x.shape[axis] // 2
    return Spec((*x.shape[:axis], half, *x.shape[axis + 1:]), x.dtype)


def _halves(x, axis):
    before, half = (slice(None),) * (axis % x.ndim), x.shape[axis] // 2
    return x[(*before, slice(None, half))], x[(*before, slice(half, None))]


@op("glu", infer=_glu_spec, saves=("x",), quiet=True, as_float=True)
def glu(xp, x, *, axis=-1):
    """a * sigmoid(b), where a and b are the halves of x along `axis` (Dauphin et al. 2017)."""
    if x.shape[axis] % 2:
        raise ValueError("odd size")
    a, b = _halves(x, axis)
    return a * sigmoid_of(xp, b)


@glu.grad
def glu_grad(xp, g, saved, *, axis=-1):
    a, b = _halves(saved.x, axis)
    s = sigmoid(xp, b)
    return (xp.concatenate((g * s, g * a * s * (1 - s)), axis=axis),)
