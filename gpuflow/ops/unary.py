"""Functions of one tensor, elementwise: exp, sin, floor, isnan ... Most are one line each, with the slope beside it.

Integers become the default float where the result is one (exp, sin, sqrt); abs, sign, square, floor and their like keep
x's dtype.
"""
import math

import numpy as np

from gpuflow import dtypes
from gpuflow.ops.registry import floating, op, same_as

# These never warn, and `quiet` costs 1 us, a third of an op on a small tensor.
_NEVER_WARN = ("tanh", "atan", "asinh", "abs", "sign", "floor", "ceil", "trunc")


def _register(name, text, forward, slope, saves="x", as_float=True):
    """Registers `forward(xp, x)`. slope(xp, s): the derivative as a function of what is saved; None: it is zero."""
    forward.__doc__ = text
    new = op(name, infer=floating() if as_float else same_as(), saves=() if slope is None else (saves,),
             quiet=name not in _NEVER_WARN, as_float=as_float)(forward)
    if slope is None:
        new.grad(lambda xp, g, saved: (xp.zeros_like(g),))
    elif saves == "x":
        new.grad(lambda xp, g, saved: (g * slope(xp, saved.x),))
    else:
        new.grad(lambda xp, g, saved: (g * slope(xp, saved.out),))
    return new


for _name, _text, _forward, _slope in [
    ("log", "The natural logarithm of x; -inf at 0 and nan below.", lambda xp, x: xp.log(x), lambda xp, x: 1 / x),
    ("log2", "The logarithm of x to base 2.", lambda xp, x: xp.log2(x), lambda xp, x: 1 / math.log(2) / x),
    ("log10", "The logarithm of x to base 10.", lambda xp, x: xp.log10(x), lambda xp, x: 1 / math.log(10) / x),
    ("log1p", "log(1 + x), exact also near 0.", lambda xp, x: xp.log1p(x), lambda xp, x: 1 / (1 + x)),
    ("sin", "The sine of x (radians).", lambda xp, x: xp.sin(x), lambda xp, x: xp.cos(x)),
    ("cos", "The cosine of x (radians).", lambda xp, x: xp.cos(x), lambda xp, x: -xp.sin(x)),
    ("asin", "The angle in [-pi/2, pi/2] whose sine is x; nan outside [-1, 1].", lambda xp, x: xp.arcsin(x),
     lambda xp, x: 1 / xp.sqrt(1 - x * x)),
    ("acos", "The angle in [0, pi] whose cosine is x; nan outside [-1, 1].", lambda xp, x: xp.arccos(x),
     lambda xp, x: -1 / xp.sqrt(1 - x * x)),
    ("atan", "The angle in (-pi/2, pi/2) whose tangent is x.", lambda xp, x: xp.arctan(x),
     lambda xp, x: 1 / (1 + x * x)),
    ("deg2rad", "Degrees to radians: x * pi / 180.", lambda xp, x: x * (math.pi / 180),
     lambda xp, x: xp.full(x.shape, math.pi / 180, x.dtype)),
    ("rad2deg", "Radians to degrees: x * 180 / pi.", lambda xp, x: x * (180 / math.pi),
     lambda xp, x: xp.full(x.shape, 180 / math.pi, x.dtype)),
    ("sinh", "The hyperbolic sine of x.", lambda xp, x: xp.sinh(x), lambda xp, x: xp.cosh(x)),
    ("cosh", "The hyperbolic cosine of x.", lambda xp, x: xp.cosh(x), lambda xp, x: xp.sinh(x)),
    ("asinh", "The inverse hyperbolic sine of x.", lambda xp, x: xp.arcsinh(x), lambda xp, x: 1 / xp.sqrt(x * x + 1)),
    ("acosh", "The inverse hyperbolic cosine of x; nan below 1.", lambda xp, x: xp.arccosh(x),
     lambda xp, x: 1 / (xp.sqrt(x - 1) * xp.sqrt(x + 1))),
    ("atanh", "The inverse hyperbolic tangent of x; nan outside [-1, 1].", lambda xp, x: xp.arctanh(x),
     lambda xp, x: 1 / (1 - x * x)),
]:
    _register(_name, _text, _forward, _slope)

for _name, _text, _forward, _slope in [  # the slope from the result
    ("exp", "e to the power x.", lambda xp, x: xp.exp(x), lambda xp, out: out),
    ("expm1", "exp(x) - 1, exact also near 0.", lambda xp, x: xp.expm1(x), lambda xp, out: out + 1),
    ("sqrt", "The square root of x; nan below 0.", lambda xp, x: xp.sqrt(x), lambda xp, out: 0.5 / out),
    ("rsqrt", "1 / sqrt(x).", lambda xp, x: 1 / xp.sqrt(x), lambda xp, out: -0.5 * out * out * out),
    ("reciprocal", "1 / x.", lambda xp, x: 1 / x, lambda xp, out: -out * out),
    ("tan", "The tangent of x (radians).", lambda xp, x: xp.tan(x), lambda xp, out: out * out + 1),
    ("tanh", "The hyperbolic tangent of x.", lambda xp, x: xp.tanh(x), lambda xp, out: 1 - out * out),
]:
    _register(_name, _text, _forward, _slope, saves="out")


def _unless_whole(function):
    """`function` of floats; a copy of integers, which are whole already."""
    return lambda xp, x: x.copy() if x.dtype.kind in "iu" else function(xp, x)


# these keep integers
_register("abs", "The absolute value of x. The gradient at 0 is 0.", lambda xp, x: xp.abs(x),
          lambda xp, x: xp.sign(x), as_float=False)
_register("square", "x * x.", lambda xp, x: xp.square(x), lambda xp, x: 2 * x, as_float=False)
_register("sign", "-1, 0 or 1, as x is negative, zero or positive.", lambda xp, x: xp.sign(x), None, as_float=False)
_register("floor", "The largest integer not above x, as x's dtype.", _unless_whole(lambda xp, x: xp.floor(x)), None,
          as_float=False)
_register("ceil", "The smallest integer not below x, as x's dtype.", _unless_whole(lambda xp, x: xp.ceil(x)), None,
          as_float=False)
_register("trunc", "x without its fraction, as x's dtype.", _unless_whole(lambda xp, x: xp.trunc(x)), None,
          as_float=False)
_register("frac", "x - trunc(x): the fraction, with x's sign; 0 for integers.",
          lambda xp, x: xp.zeros_like(x) if x.dtype.kind in "iu" else x - xp.trunc(x), lambda xp, x: xp.ones_like(x),
          as_float=False)


@op("round", infer=same_as("x"), quiet=True)
def round(xp, x, *, decimals=0):
    """x rounded to `decimals` digits after the point, in x's dtype; halves go to the even neighbour.

    The gradient is zero.
    """
    if x.dtype.kind in "iu":
        return x.copy()
    return xp.round(x, decimals)


@round.grad
def round_grad(xp, g, saved, *, decimals=0):
    return (xp.zeros_like(g),)


# ---- the error function --------------------------------------------------------------------------------------------

# W. J. Cody, "Rational Chebyshev approximation for the error function", Math. Comp. 23 (1969): erf(x) = x P(x^2) /
# Q(x^2) up to 0.5 and 1 - exp(-x^2) P(x) / Q(x) from there. Highest power first.
_SMALL = ((1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2,
           3.20937758913846947e3),
          (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3))
_LARGE = ((2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
           2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
           1.23033935479799725e3),
          (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
           3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3))


def polynomial(coefficients, x):
    """Of an array; the highest power's coefficient comes first."""
    out = x * coefficients[0] + coefficients[1]
    for c in coefficients[2:]:
        out *= x
        out += c
    return out


def erf_of(xp, x):
    """erf of a float32 or float64 array; on the CPU by Cody's formulas, within 3 units in the last place."""
    if xp is not np:
        if hasattr(xp, "erf"):   # a Program's kernel is being written
            return xp.erf(x)
        from cupyx.scipy.special import erf as on_gpu

        return on_gpu(x)
    return in_blocks(erf_block, x)


_BLOCK = 1 << 15  # elements whose intermediate results stay in the cache: 1e6 float32 take 13 ms, in one piece 65 ms


def in_blocks(function, *arrays):
    """function of NumPy arrays of one shape, elementwise, applied to parts that fit the cache; of the first's dtype."""
    out = np.empty(arrays[0].shape, arrays[0].dtype)
    flat, sources = out.reshape(-1), [a.reshape(-1) for a in arrays]
    for start in range(0, flat.size, _BLOCK):
        flat[start:start + _BLOCK] = function(*[a[start:start + _BLOCK] for a in sources])
    return out


def erf_block(x):
    """erf of a float array that fits the cache."""
    y = np.minimum(np.abs(x), 6)  # erf(6) is 1 - 2e-17
    z = y * y
    out = polynomial(_LARGE[0], y)
    out /= polynomial(_LARGE[1], y)
    out *= np.exp(-z)
    np.subtract(1, out, out=out)
    near = y < 0.5
    y *= polynomial(_SMALL[0], z)
    y /= polynomial(_SMALL[1], z)
    out *= ~near  # a choice by products: np.where takes ten times as long on random masks
    y *= near
    out += y
    return np.copysign(out, x)


@op("erf", infer=floating(), saves=("x",), quiet=True, as_float=True)
def erf(xp, x):
    """The error function of x: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    return erf_of(xp, x)


@erf.grad
def erf_grad(xp, g, saved):
    return (g * (2 / math.sqrt(math.pi)) * xp.exp(-saved.x * saved.x),)


# ---- with a parameter ------------------------------------------------------------------------------------------------


@op("logit", infer=floating(), saves=("x",), quiet=True, as_float=True)
def logit(xp, x, *, eps=None):
    """log(x / (1 - x)). eps: x is first clipped to [eps, 1 - eps]; without it, x outside [0, 1] gives nan."""
    x = x if eps is None else xp.clip(x, eps, 1 - eps)
    return xp.log(x / (1 - x))


@logit.grad
def logit_grad(xp, g, saved, *, eps=None):
    x = saved.x
    slope = g / (x * (1 - x))
    if eps is None:
        return (xp.where((x < 0) | (x > 1), xp.full(x.shape, math.nan, x.dtype), slope),)
    return (xp.where((x < eps) | (x > 1 - eps), 0.0, slope),)


@op("stanh", infer=floating(), saves=("x",), as_float=True)
def stanh(xp, x, *, scale_a=0.67, scale_b=1.7159):
    """scale_b * tanh(scale_a * x)."""
    return scale_b * xp.tanh(scale_a * x)


@stanh.grad
def stanh_grad(xp, g, saved, *, scale_a=0.67, scale_b=1.7159):
    t = xp.tanh(scale_a * saved.x)
    return (g * (scale_a * scale_b) * (1 - t * t),)


@op("clip", infer=same_as("x"), saves=("x",))
def clip(xp, x, *, min=None, max=None):
    """x limited to [min, max], Python numbers or None for no limit. At a limit itself the gradient passes."""
    out = x if min is None else xp.maximum(x, xp.asarray(min, x.dtype))
    out = out if max is None else xp.minimum(out, xp.asarray(max, x.dtype))
    return x.copy() if out is x else out


@clip.grad
def clip_grad(xp, g, saved, *, min=None, max=None):
    x = saved.x
    g = g if min is None else xp.where(x < min, 0.0, g)
    return (g if max is None else xp.where(x > max, 0.0, g),)


@op("nan_to_num", infer=same_as("x"), saves=("x",))
def nan_to_num(xp, x, *, nan=0.0, posinf=None, neginf=None):
    """x with nan and the infinities replaced; None stands for the largest and smallest numbers of x's dtype."""
    limits = dtypes.finfo(x.dtype)
    x = xp.where(xp.isnan(x), xp.asarray(nan, x.dtype), x)
    x = xp.where(x == math.inf, xp.asarray(limits.max if posinf is None else posinf, x.dtype), x)
    return xp.where(x == -math.inf, xp.asarray(limits.min if neginf is None else neginf, x.dtype), x)


@nan_to_num.grad
def nan_to_num_grad(xp, g, saved, *, nan=0.0, posinf=None, neginf=None):
    return (xp.where(xp.isfinite(saved.x), g, 0.0),)


for _name, _text, _forward in [
    ("isnan", "True where x is nan.", lambda xp, x: xp.isnan(x)),
    ("isinf", "True where x is inf or -inf.", lambda xp, x: xp.isinf(x)),
    ("isfinite", "True where x is neither nan nor infinite.", lambda xp, x: xp.isfinite(x)),
]:
    _forward.__doc__ = _text
    op(_name, infer=same_as("x", dtypes.bool_))(_forward)
