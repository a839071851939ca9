"""Initializers that draw from the place's generator: repeatable after `gpuflow.seed`."""
import math

from gpuflow import device, random
from gpuflow.errors import explain
from gpuflow.nn.initializer.gain import calculate_gain, fans
from gpuflow.param import Initializer


def _real(where, **given) -> None:
    """TypeError for a setting that is no number."""
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(explain(where, f"{name} to be a number", repr(value)))


class Normal(Initializer):
    """Gaussian with `mean` and standard deviation `std`."""

    def __init__(self, mean: float = 0.0, std: float = 1.0, name=None):
        _real("Normal", mean=mean, std=std)
        if not std >= 0:
            raise ValueError(explain("Normal", "std >= 0", repr(std)))
        self._mean, self._std = mean, std

    def array(self, shape, dtype, place):
        return random.normal(shape, dtype.dtype, self._mean, self._std, place)


class TruncatedNormal(Initializer):
    """Gaussian with `mean` and `std`, drawn only between a and b (absolute bounds, not in units of std).

    Uses the inverse of the distribution function, so that a narrow window costs no more than a wide one.
    """

    def __init__(self, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, name=None):
        _real("TruncatedNormal", mean=mean, std=std, a=a, b=b)
        if b < a or std <= 0:
            raise ValueError(explain("TruncatedNormal", "a <= b and std > 0", f"a={a}, b={b}, std={std}"))
        self._mean, self._std, self._a, self._b = mean, std, a, b

    def array(self, shape, dtype, place):
        low, high = (_below((bound - self._mean) / self._std) for bound in (self._a, self._b))
        xp = device.module_for(place)
        drawn = random.uniform(shape, "float64", low, high, place)
        return xp.clip(_quantile(xp, drawn) * self._std + self._mean, self._a, self._b).astype(dtype.dtype, copy=False)


def _below(z: float) -> float:
    """The standard Gaussian's probability below z."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def _quantile(xp, p):
    """The z with probability p below it. Acklam's rational approximation, relative error below 1.2e-9."""
    tail = xp.minimum(p, 1 - p)
    tail = xp.maximum(tail, 1e-300)
    r = xp.sqrt(-2 * xp.log(tail))
    outer = _polynomial(r, (-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                            -2.549732539343734e+00, 4.374664141464968e+00, 2.938163982698783e+00)) / _polynomial(
        r, (7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00, 3.754408661907416e+00, 1.0))
    q = p - 0.5
    s = q * q
    inner = q * _polynomial(s, (-3.969683028665376e+01, 2.209460984245205e+02, -2.759285104469687e+02,
                                1.383577518672690e+02, -3.066479806614716e+01, 2.506628277459239e+00)) / _polynomial(
        s, (-5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02, 6.680131188771972e+01,
            -1.328068155288572e+01, 1.0))
    return xp.where(tail < 0.02425, xp.where(q < 0, outer, -outer), inner)


def _polynomial(x, coefficients):
    value = coefficients[0]
    for c in coefficients[1:]:
        value = value * x + c
    return value


class Uniform(Initializer):
    """Uniform in [low, high)."""

    def __init__(self, low: float = -1.0, high: float = 1.0, name=None):
        _real("Uniform", low=low, high=high)
        if high < low:
            raise ValueError(explain("Uniform", "low <= high", f"low={low}, high={high}"))
        self._low, self._high = low, high

    def array(self, shape, dtype, place):
        return random.uniform(shape, dtype.dtype, self._low, self._high, place)


class _Xavier(Initializer):
    """fan_in, fan_out: counted from the shape when None (see `gain.fans`). gain: a factor on the width."""

    def __init__(self, fan_in=None, fan_out=None, gain: float = 1.0, name=None):
        _real(type(self).__name__, gain=gain)
        self._fan_in, self._fan_out, self._gain = fan_in, fan_out, gain

    def _std(self, shape) -> float:
        fan_in, fan_out = fans(shape)
        fan_in = fan_in if self._fan_in is None else self._fan_in
        fan_out = fan_out if self._fan_out is None else self._fan_out
        return 0.0 if 0 in (fan_in, fan_out) else self._gain * math.sqrt(2.0 / (fan_in + fan_out))


class _Kaiming(Initializer):
    """fan_in: counted from the shape when None. mode: "fan_in" or "fan_out", the fan that is used."""

    def __init__(self, fan_in=None, negative_slope: float = 0.0, nonlinearity: str = "relu", mode: str = "fan_in"):
        name = type(self).__name__
        if mode not in ("fan_in", "fan_out"):
            raise ValueError(explain(name, "mode 'fan_in' or 'fan_out'", repr(mode)))
        if mode == "fan_out" and fan_in is not None:
            raise ValueError(explain(name, "fan_in=None with mode='fan_out'", f"fan_in={fan_in}"))
        self._gain = calculate_gain(nonlinearity, negative_slope)
        self._fan_in, self._mode = fan_in, mode

    def _std(self, shape) -> float:
        fan = self._fan_in if self._fan_in is not None else fans(shape)[self._mode == "fan_out"]
        return self._gain / math.sqrt(fan) if fan else 0.0


def _gaussian(self, shape, dtype, place):
    return random.normal(shape, dtype.dtype, 0.0, self._std(shape), place)


def _flat(self, shape, dtype, place):
    limit = math.sqrt(3.0) * self._std(shape)   # the width of a uniform distribution with that deviation
    return random.uniform(shape, dtype.dtype, -limit, limit, place)


class XavierNormal(_Xavier):
    """Gaussian with variance 2 gain^2 / (fan_in + fan_out). Glorot and Bengio, AISTATS 2010."""

    array = _gaussian


class XavierUniform(_Xavier):
    """Uniform with variance 2 gain^2 / (fan_in + fan_out). Glorot and Bengio, AISTATS 2010."""

    array = _flat


class KaimingNormal(_Kaiming):
    """Gaussian with variance gain^2 / fan. He et al., ICCV 2015. The gain is `calculate_gain`'s."""

    array = _gaussian


class KaimingUniform(_Kaiming):
    """Uniform with variance gain^2 / fan. He et al., ICCV 2015. The gain is `calculate_gain`'s."""

    array = _flat


class Orthogonal(Initializer):
    """A matrix [shape[0], product of the rest] with orthonormal rows or columns, times `gain`. Saxe et al., 2013."""

    def __init__(self, gain: float = 1.0, name=None):
        _real("Orthogonal", gain=gain)
        self._gain = gain

    def array(self, shape, dtype, place):
        if len(shape) < 2:
            raise ValueError(explain("Orthogonal", "at least 2 axes", str(list(shape))))
        rows, columns = shape[0], math.prod(shape[1:])
        xp = device.module_for(place)
        wide = "float64" if dtype.name == "float64" else "float32"
        q, r = xp.linalg.qr(random.normal((max(rows, columns), min(rows, columns)), wide, place=place))
        q = q * xp.sign(xp.diagonal(r))   # makes the factorization unique, hence the distribution even
        q = q.T if rows < columns else q
        return (q * self._gain).reshape(shape).astype(dtype.dtype)
