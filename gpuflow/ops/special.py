"""Special functions: the gamma function's logarithm and its derivatives, incomplete gamma, Bessel, the inverse of erf.

On the CPU they are worked out in float64 by recurrences, series and asymptotic expansions (M. Abramowitz, I. Stegun,
"Handbook of Mathematical Functions", chapters 6, 9 and 23); on a GPU by cupyx.scipy.special.
"""
import math

import numpy as np

from gpuflow import dtypes
from gpuflow.errors import explain
from gpuflow.ops.registry import OpDef, Spec, broadcast, floating, op
from gpuflow.ops.unary import erf_of

_EPS = 2.0**-53
# Bernoulli's numbers B2, B4, ...: the asymptotic expansions of lgamma, digamma and zeta are made of them.
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
_FAR = 10  # from here the expansions' first eight terms are exact to float64


def _on_gpu(name):
    import cupyx.scipy.special

    return getattr(cupyx.scipy.special, name)


def _lifted(x):
    """x lifted by whole steps to at least _FAR, and the steps' places below it: [(where, place), ...]."""
    places = []
    while (below := x < _FAR).any():
        places.append((below, x))
        x = np.where(below, x + 1, x)
    return x, places


def _series(coefficients, x):
    out = np.zeros_like(x)
    for c in reversed(coefficients):
        out = out * x + c
    return out


def _positive_lgamma(x):
    x, places = _lifted(x)
    product = np.ones_like(x)
    for below, place in places:
        product = np.where(below, product * place, product)
    over = 1 / x
    tail = _series([b / (2 * k * (2 * k - 1)) for k, b in enumerate(_BERNOULLI, 1)], over * over) * over
    return (x - 0.5) * (np.log(x) - 1) - 0.5 + 0.5 * math.log(2 * math.pi) + tail - np.log(product)


def _positive_digamma(x):
    x, places = _lifted(x)
    out = np.log(x) - 0.5 / x
    z = 1 / (x * x)
    out = out - _series([b / (2 * k) for k, b in enumerate(_BERNOULLI, 1)], z) * z
    for below, place in places:
        out = np.where(below, out - 1 / place, out)
    return out


def _positive_zeta(s, x):
    """Hurwitz's zeta: the sum of (x + k) ** -s over k = 0, 1, ... for x > 0, by Euler and Maclaurin's formula."""
    x, places = _lifted(x)
    out = x ** (1.0 - s) / (s - 1) + 0.5 * x ** float(-s)
    factor = float(s)
    for k, b in enumerate(_BERNOULLI, 1):
        out = out + b * factor / math.factorial(2 * k) * x ** (1.0 - s - 2 * k)
        factor *= (s + 2 * k - 1) * (s + 2 * k)
    for below, place in places:
        out = np.where(below, out + place ** float(-s), out)
    return out


def _lgamma(x):
    mirrored = x < 0.5
    y = _positive_lgamma(np.where(mirrored, 1 - x, x))
    near = np.abs(np.sin(math.pi * (x - np.rint(x))))
    return np.where(mirrored, np.where(np.isinf(x), math.inf, math.log(math.pi) - np.log(near) - y), y)


def _digamma(x):
    mirrored = x < 0.5
    y = _positive_digamma(np.where(mirrored, 1 - x, x))
    y = np.where(mirrored, y - math.pi / np.tan(math.pi * (x - np.rint(x))), y)
    return np.where((x < 0) & (x == np.floor(x)), math.nan, np.where(x == 0, np.copysign(math.inf, -x), y))


def _zeta(s, x):
    """Below 0 from the sum over all integers, which has period 1."""
    above = ~(x <= 0)
    if above.all():
        return _positive_zeta(s, x)
    part = x - np.floor(x)
    inside = np.where(part == 0, 0.5, part)
    mirrored = _positive_zeta(s, 1 - inside) - _positive_zeta(s, np.where(above, 1, 1 - x))
    around = np.where(part == 0, math.inf, _positive_zeta(s, inside) + (-1) ** s * mirrored)
    return np.where(above, _positive_zeta(s, np.where(above, x, 1)), around)


def _in_float64(function):
    """`function` of float64 arrays on the arrays' dtype."""
    return lambda x, *rest: function(x.astype(np.float64), *rest).astype(x.dtype)


def _register(name, text, on_cpu, slope, *, gpu_name=None, saves=("x",)) -> OpDef:
    """Registers a function of one tensor. slope(xp, saved): its derivative, by xp and other ops."""
    on_cpu = _in_float64(on_cpu)

    def forward(xp, x):
        return on_cpu(x) if xp is np else _on_gpu(gpu_name or name)(x)

    forward.__doc__ = text
    new = op(name, infer=floating(), saves=saves, quiet=True, as_float=True)(forward)
    new.grad(lambda xp, g, saved: (g * slope(xp, saved),))
    return new


@op("polygamma", infer=floating(), saves=("x",), quiet=True, as_float=True)
def polygamma(xp, x, *, n):
    """The n-th derivative of digamma at x; n = 0: digamma itself."""
    if n < 0:
        raise ValueError(explain("polygamma", "n >= 0", str(n)))
    if n == 0:
        return digamma.forward(xp, x)
    if xp is not np:
        return _on_gpu("polygamma")(n, x).astype(x.dtype)
    return ((-1.0) ** (n + 1) * math.factorial(n) * _zeta(n + 1, x.astype(np.float64))).astype(x.dtype)


@polygamma.grad
def polygamma_grad(xp, g, saved, *, n):
    return (g * polygamma(xp, saved.x, n=n + 1),)


digamma = _register("digamma", "The derivative of lgamma at x; nan at negative integers, infinite at 0.", _digamma,
                    lambda xp, saved: polygamma(xp, saved.x, n=1))
lgamma = _register("lgamma", "The logarithm of |gamma(x)|; inf at 0 and at negative integers.", _lgamma,
                   lambda xp, saved: digamma(xp, saved.x), gpu_name="gammaln")


@op("multigammaln", infer=floating(), saves=("x",), quiet=True, as_float=True)
def multigammaln(xp, x, *, p):
    """The logarithm of the multivariate gamma function of dimension p; x > (p - 1) / 2."""
    if p < 1:
        raise ValueError(explain("multigammaln", "p >= 1", str(p)))
    terms = [lgamma.forward(xp, x - j / 2) for j in range(p)]
    return sum(terms[1:], terms[0]) + 0.25 * p * (p - 1) * math.log(math.pi)


@multigammaln.grad
def multigammaln_grad(xp, g, saved, *, p):
    terms = [digamma(xp, saved.x - j / 2) for j in range(p)]
    return (g * sum(terms[1:], terms[0]),)


# ---- the inverse of erf --------------------------------------------------------------------------------------------

# M. Giles, "Approximating the erfinv function" (2010): erfinv(x) / x as a polynomial of -log(1 - x^2) - 2.5, and of
# its root - 3 in the tails, to 7 digits. Highest power first.
_MIDDLE = (2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503,
           -0.00417768164, 0.246640727, 1.50140941)
_TAILS = (-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613,
          0.00943887047, 1.00167406, 2.83297682)


def _erfc(x):
    """1 - erf(x) for x of at least 0, without loss of digits: from 3 on by the continued fraction of Laplace."""
    far = np.maximum(x, 3)
    fraction = far
    for k in range(60, 0, -1):
        fraction = far + 0.5 * k / fraction
    return np.where(x < 3, 1 - erf_of(np, x), np.exp(-far * far) / (math.sqrt(math.pi) * fraction))


def _erfinv(x):
    size = np.abs(x)
    w = -np.log((1 - size) * (1 + size))
    y = size * np.where(w < 5, np.polyval(_MIDDLE, w - 2.5), np.polyval(_TAILS, np.sqrt(w) - 3))
    for _ in range(3):  # Halley's steps, each triples the digits (2 in the far tails); 1 - erf where erf loses them
        above = np.where(size < 0.5, erf_of(np, y) - size, 1 - size - _erfc(y))
        off = above * (math.sqrt(math.pi) / 2) * np.exp(y * y)
        y = np.where(np.isfinite(off), y - off / (1 + y * off), y)
    return np.copysign(np.where(size < 1, y, np.where(size == 1, math.inf, math.nan)), x)


erfinv = _register("erfinv", "The number whose erf is x; infinite at -1 and 1, nan outside.", _erfinv,
                   lambda xp, saved: 0.5 * math.sqrt(math.pi) * xp.exp(saved.out * saved.out), saves=("out",))


# ---- Bessel functions ----------------------------------------------------------------------------------------------

_BESSEL_FAR = 25  # up to here the power series, whose terms are all positive; from here the expansion at infinity


def _scaled_bessel(order):
    """exp(-|x|) I_order(|x|), order 0 or 1."""

    def function(x):
        x = np.abs(x)
        near, far = np.minimum(x, _BESSEL_FAR), np.maximum(x, _BESSEL_FAR)
        quarter = 0.25 * near * near
        term = np.ones_like(x) if order == 0 else 0.5 * near
        series = term
        for k in range(1, 55):
            term = term * quarter / (k * (k + order))
            series = series + term
        over, term = 1 / (8 * far), np.ones_like(x)
        at_infinity = term
        for k in range(1, 25):
            term = term * ((2 * k - 1) ** 2 - 4 * order) * over / k
            at_infinity = at_infinity + term
        return np.where(x < _BESSEL_FAR, series * np.exp(-near), at_infinity / np.sqrt(2 * math.pi * far))

    return function


_I0E, _I1E = _scaled_bessel(0), _scaled_bessel(1)


def _grown(scaled):
    """The function from the one that is scaled by exp(-|x|)."""
    return lambda x: np.where(np.isinf(x), x * x, scaled(x) * np.exp(np.abs(x)))


def _one_over(xp, x, at_zero):
    """A function of x that divides by it, with its limit at 0."""
    return lambda function: xp.where(x == 0, at_zero, function(xp.where(x == 0, 1.0, x)))


def _i1_slope(xp, saved):
    return i0(xp, saved.x) - _one_over(xp, saved.x, 0.5)(lambda x: i1(xp, x) / x)


def _i1e_slope(xp, saved):
    return _one_over(xp, saved.x, 0.5)(lambda x: i0e(xp, x) - i1e(xp, x) * (xp.sign(x) + 1 / x))


i0: OpDef = _register("i0", "The modified Bessel function of the first kind and order 0.",
                      _grown(_I0E), lambda xp, saved: i1(xp, saved.x))
i0e: OpDef = _register("i0e", "exp(-|x|) i0(x).", _I0E,
                       lambda xp, saved: i1e(xp, saved.x) - xp.sign(saved.x) * i0e(xp, saved.x))
i1: OpDef = _register("i1", "The modified Bessel function of the first kind and order 1.",
                      lambda x: np.copysign(_grown(_I1E)(x), x), _i1_slope)
i1e: OpDef = _register("i1e", "exp(-|x|) i1(x).", lambda x: np.copysign(_I1E(x), x), _i1e_slope)


# ---- the incomplete gamma function ---------------------------------------------------------------------------------


def _lower_upper(a, x):
    """The regularized incomplete gamma functions (lower, upper): by their series below a + 1, else by the continued
    fraction (Lentz's method)."""
    legal = (a > 0) & (x > 0) & np.isfinite(x) & np.isfinite(a)
    a_, x_ = np.where(legal, a, 1.0), np.where(legal, x, 1.0)
    rounds = int(200 + 12 * math.sqrt(a_.max(initial=1.0)))
    scale = np.exp(a_ * np.log(x_) - x_ - _positive_lgamma(a_))
    small = x_ < a_ + 1
    sa, sx = a_[small], x_[small]
    term = 1 / sa
    total = term
    for k in range(1, rounds):
        term = term * sx / (sa + k)
        total = total + term
        if (term < total * _EPS).all():
            break
    la, lx = a_[~small], x_[~small]
    b = lx + 1 - la
    c, d = np.full_like(lx, 1 / 1e-300), 1 / b
    fraction = d
    for k in range(1, rounds):
        n = -k * (k - la)
        b = b + 2
        d, c = 1 / (n * d + b), b + n / c
        fraction = fraction * (d * c)
        if (np.abs(d * c - 1) < 4 * _EPS).all():
            break
    lower = np.empty_like(a_)
    lower[small], lower[~small] = scale[small] * total, 1 - scale[~small] * fraction
    upper = np.empty_like(a_)
    upper[small], upper[~small] = 1 - scale[small] * total, scale[~small] * fraction
    at_zero, at_infinity = (x == 0) & (a > 0), (x == math.inf) & (a >= 0) | (a == 0) & (x > 0)
    outside = np.where(at_zero, 0.0, np.where(at_infinity, 1.0, np.where((a == math.inf) & (x >= 0), 0.0, math.nan)))
    return np.where(legal, lower, outside), np.where(legal, upper, 1 - outside)


def _incomplete(name, text, which, sign):
    def forward(xp, x, y):
        kind = x.dtype if dtypes.convert(x.dtype).is_differentiable else dtypes.default_float().dtype
        if xp is not np:
            return _on_gpu(name)(x, y).astype(kind)
        a, b = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
        return _lower_upper(a, b)[which].astype(kind)

    def gradient(xp, g, saved):
        x, y = saved.x, saved.y
        slope = xp.exp((x - 1) * xp.log(y) - y - lgamma(xp, x))
        return None, sign * g * slope

    def rule(x, y):
        return Spec(broadcast(name)(x, y).shape, floating()(broadcast(name)(x, y)).dtype)

    forward.__doc__ = text
    op(name, infer=rule, saves=("x", "y"), promotes=("x", "y"), quiet=True)(forward).grad(gradient)


_incomplete("gammainc", "The regularized lower incomplete gamma function: of shape x, from 0 to y. y has a gradient.",
            0, 1)
_incomplete("gammaincc", "The regularized upper incomplete gamma function: of shape x, from y on. y has a gradient.",
            1, -1)
