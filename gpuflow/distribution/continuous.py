"""Continuous distributions of one number."""
import math

import numpy as np

from gpuflow.autograd.modes import no_grad
from gpuflow.distribution.base import Distribution, ExponentialFamily, open_uniform, parameters, uniform_in
from gpuflow.errors import explain
from gpuflow.functional.creation import full_like
from gpuflow.functional.manipulation import expand
from gpuflow.functional.math import digamma, lgamma
from gpuflow.functional.random import standard_normal
from gpuflow.functional.search import where
from gpuflow.functional.statistics import standard_gamma

_LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)


class _LocationScale(Distribution):
    """loc + scale times a standard variable."""

    def __init__(self, loc, scale, name=None):
        self.loc, self.scale = parameters(type(self).__name__, loc, scale)
        self.name, self.dtype = name or type(self).__name__, self.loc.dtype
        super().__init__(self.loc.shape)

    def _standard(self, value):
        return (value - self.loc) / self.scale


class Normal(_LocationScale):
    """The normal distribution of mean `loc` and standard deviation `scale`."""

    @property
    def mean(self):
        return self.loc

    @property
    def variance(self):
        return self.scale * self.scale

    def sample(self, shape=(), seed=0):
        """Random numbers of shape + batch_shape. seed: 0 only; `gpuflow.seed` seeds all random functions."""
        if seed:
            raise ValueError(explain("Normal.sample", "seed=0", str(seed), "gpuflow.seed before the call"))
        return super().sample(shape)

    def rsample(self, shape=()):
        return self.loc + standard_normal(self._extend_shape(shape), self.dtype) * self.scale

    def log_prob(self, value):
        z = self._standard(value)
        return -0.5 * z * z - self.scale.log() - _LOG_ROOT_2PI

    def entropy(self):
        return 0.5 + _LOG_ROOT_2PI + self.scale.log()


class Uniform(Distribution):
    """Numbers evenly distributed between `low` and `high`."""

    def __init__(self, low, high, name=None):
        self.low, self.high = parameters("Uniform", low, high)
        self.name, self.dtype = name or "Uniform", self.low.dtype
        super().__init__(self.low.shape)

    @property
    def mean(self):
        return 0.5 * (self.low + self.high)

    @property
    def variance(self):
        width = self.high - self.low
        return width * width / 12

    def sample(self, shape=(), seed=0):
        """Random numbers of shape + batch_shape. seed: 0 only; `gpuflow.seed` seeds all random functions."""
        if seed:
            raise ValueError(explain("Uniform.sample", "seed=0", str(seed), "gpuflow.seed before the call"))
        return super().sample(shape)

    def rsample(self, shape=()):
        return self.low + uniform_in(self._extend_shape(shape), self.dtype, 0, 1) * (self.high - self.low)

    def _inside(self, value):
        return (self.low < value).logical_and(self.high > value).astype(self.dtype)

    def log_prob(self, value):
        return self._inside(value).log() - (self.high - self.low).log()

    def prob(self, value):
        return self._inside(value) / (self.high - self.low)

    def entropy(self):
        return (self.high - self.low).log()


class Laplace(_LocationScale):
    """The density falls off on both sides of `loc` by exp(-distance / scale)."""

    @property
    def mean(self):
        return self.loc

    @property
    def stddev(self):
        return math.sqrt(2) * self.scale

    @property
    def variance(self):
        return 2 * self.scale * self.scale

    def rsample(self, shape=()):
        eps = float(np.finfo(self.dtype.dtype).eps)
        u = uniform_in(self._extend_shape(shape), self.dtype, eps / 2 - 1, 1 - eps / 2)
        return self.loc - self.scale * u.sign() * (-u.abs()).log1p()

    def log_prob(self, value):
        return -(2 * self.scale).log() - (value - self.loc).abs() / self.scale

    def entropy(self):
        return 1 + (2 * self.scale).log()

    def cdf(self, value):
        """The probability of at most `value`."""
        off = value - self.loc
        return 0.5 - 0.5 * off.sign() * (-off.abs() / self.scale).expm1()

    def icdf(self, value):
        """The number whose `cdf` is `value`."""
        off = value - 0.5 * full_like(self.loc, 1.0)
        return self.loc - self.scale * off.sign() * (-2 * off.abs()).log1p()


class Gumbel(_LocationScale):
    """The law of the largest of many: cdf exp(-exp(-(x - loc) / scale))."""

    @property
    def mean(self):
        return self.loc + self.scale * np.euler_gamma

    @property
    def variance(self):
        return self.scale * self.scale * (math.pi**2 / 6)

    def rsample(self, shape=()):
        return self.loc - self.scale * (-open_uniform(self._extend_shape(shape), self.dtype).log()).log()

    def log_prob(self, value):
        z = self._standard(value)
        return -(z + (-z).exp()) - self.scale.log()

    def cdf(self, value):
        """The probability of at most `value`."""
        return (-(-self._standard(value)).exp()).exp()

    def entropy(self):
        return self.scale.log() + (1 + np.euler_gamma)


class Cauchy(_LocationScale):
    """The law of the ratio of two normal numbers, moved by `loc` and stretched by `scale`."""

    @property
    def mean(self):
        raise ValueError("Cauchy distribution has no mean.")

    @property
    def variance(self):
        raise ValueError("Cauchy distribution has no variance.")

    @property
    def stddev(self):
        raise ValueError("Cauchy distribution has no stddev.")

    def sample(self, shape=(), name=None):
        return super().sample(shape)

    def rsample(self, shape=(), name=None):
        u = uniform_in(self._extend_shape(shape), self.dtype, 0, 1)
        return self.loc + self.scale * (math.pi * (u - 0.5)).tan()

    def log_prob(self, value):
        z = self._standard(value)
        return -(z * z).log1p() - math.log(math.pi) - self.scale.log()

    def cdf(self, value):
        """The probability of at most `value`."""
        return self._standard(value).atan() / math.pi + 0.5

    def entropy(self):
        return self.scale.log() + math.log(4 * math.pi)


class Exponential(ExponentialFamily):
    """The time until an event that comes `rate` times per unit."""

    def __init__(self, rate):
        self.rate, = parameters("Exponential", rate)
        self.dtype = self.rate.dtype
        super().__init__(self.rate.shape)

    @property
    def mean(self):
        return 1 / self.rate

    @property
    def variance(self):
        return 1 / (self.rate * self.rate)

    def rsample(self, shape=()):
        return -open_uniform(self._extend_shape(shape), self.dtype).log() / self.rate

    def log_prob(self, value):
        return self.rate.log() - self.rate * value

    def entropy(self):
        return 1 - self.rate.log()

    def cdf(self, value):
        """The probability of at most `value`."""
        return 1 - (-self.rate * value).exp()

    def icdf(self, value):
        """The number whose `cdf` is `value`."""
        return (1 - value * full_like(self.rate, 1.0)).log() / -self.rate

    @property
    def _natural_parameters(self):
        return (-self.rate,)

    def _log_normalizer(self, x):
        return -(-x).log()


class Gamma(ExponentialFamily):
    """The gamma distribution of shape `concentration` and rate `rate`. rsample: gradients go to the rate only."""

    def __init__(self, concentration, rate):
        self.concentration, self.rate = parameters(type(self).__name__, concentration, rate)
        self.dtype = self.concentration.dtype
        super().__init__(self.concentration.shape)

    @property
    def mean(self):
        return self.concentration / self.rate

    @property
    def variance(self):
        return self.concentration / (self.rate * self.rate)

    def rsample(self, shape=()):
        return standard_gamma(expand(self.concentration, self._extend_shape(shape))) / self.rate

    def log_prob(self, value):
        a, value = self.concentration, value * full_like(self.rate, 1.0)
        return a * self.rate.log() + (a - 1) * value.log() - self.rate * value - lgamma(a)

    def entropy(self):
        a = self.concentration
        return a - self.rate.log() + lgamma(a) + (1 - a) * digamma(a)

    @property
    def _natural_parameters(self):
        return self.concentration - 1, -self.rate

    def _log_normalizer(self, x, y):
        return lgamma(x + 1) - (x + 1) * (-y).log()


class Chi2(Gamma):
    """The sum of the squares of `df` standard normal numbers."""

    def __init__(self, df):
        self.df, = parameters("Chi2", df)
        super().__init__(0.5 * self.df, full_like(self.df, 0.5))


class StudentT(Distribution):
    """Student's distribution with `df` degrees of freedom, moved by `loc` and stretched by `scale`."""

    def __init__(self, df, loc, scale, name=None):
        self.df, self.loc, self.scale = parameters("StudentT", df, loc, scale)
        self.name, self.dtype = name or "StudentT", self.df.dtype
        super().__init__(self.df.shape)

    def _number(self, value):
        return full_like(self.df, value)

    @property
    def mean(self):
        return where(self.df > 1, self.loc, self._number(math.nan))

    @property
    def variance(self):
        finite = self.scale * self.scale * self.df / (self.df - 2)
        return where(self.df > 2, finite, where(self.df > 1, self._number(math.inf), self._number(math.nan)))

    def sample(self, shape=()):
        full = self._extend_shape(shape)
        with no_grad():
            chi2 = 2 * standard_gamma(expand(0.5 * self.df, full))
            return self.loc + self.scale * standard_normal(full, self.dtype) * (chi2 / self.df).rsqrt()

    def log_prob(self, value):
        y, half = (value - self.loc) / self.scale, 0.5 * (self.df + 1)
        constant = self.scale.log() + 0.5 * self.df.log() + (0.5 * math.log(math.pi)) + lgamma(0.5 * self.df)
        return -half * (y * y / self.df).log1p() - constant + lgamma(half)

    def entropy(self):
        half = 0.5 * (self.df + 1)
        beta = lgamma(0.5 * self.df) + math.lgamma(0.5) - lgamma(half)
        return self.scale.log() + half * (digamma(half) - digamma(0.5 * self.df)) + 0.5 * self.df.log() + beta


class ContinuousBernoulli(Distribution):
    """Numbers in (0, 1) with a density in proportion to probs**x (1 - probs)**(1 - x) (Loaiza-Ganem, Cunningham, 2019).

    lims: between these the formulas, which divide by 1 - 2 probs, give way to their Taylor series.
    """

    def __init__(self, probs, lims=(0.499, 0.501)):
        probs, = parameters("ContinuousBernoulli", [probs] if isinstance(probs, int | float) else probs)
        self.dtype, self.lims = probs.dtype, lims
        eps = float(np.finfo(self.dtype.dtype).eps)
        self.probs = probs.clip(eps, 1 - eps)
        super().__init__(self.probs.shape)

    def _outside(self):
        return (self.probs <= self.lims[0]).logical_or(self.probs > self.lims[1])

    def _cut(self):
        return where(self._outside(), self.probs, full_like(self.probs, self.lims[0]))

    def _log_constant(self):
        p, x = self._cut(), (self.probs - 0.5) * (self.probs - 0.5)
        exact = ((-p).log1p() - p.log()).abs().log() - (1 - 2 * p).abs().log()
        return where(self._outside(), exact, math.log(2) + (4 / 3 + 104 / 45 * x) * x)

    @property
    def mean(self):
        p, x = self._cut(), self.probs - 0.5
        exact = p / (2 * p - 1) + 1 / ((-p).log1p() - p.log())
        return where(self._outside(), exact, 0.5 + (1 / 3 + 16 / 45 * x * x) * x)

    @property
    def variance(self):
        p, x = self._cut(), (self.probs - 0.5) * (self.probs - 0.5)
        odds, off = (-p).log1p() - p.log(), 1 - 2 * p
        exact = p * (p - 1) / (off * off) + 1 / (odds * odds)
        return where(self._outside(), exact, 1 / 12 - (1 / 15 - 128 / 945 * x) * x)

    def rsample(self, shape=()):
        return self.icdf(uniform_in(self._extend_shape(shape), self.dtype, 0, 1))

    def log_prob(self, value):
        value = value.astype(self.dtype)
        return self._log_constant() + value * self.probs.log() + (1 - value) * (-self.probs).log1p()

    def entropy(self):
        log_p, log_q = self.probs.log(), (-self.probs).log1p()
        return where(self.probs == 0.5, full_like(self.probs, 0.0),
                     -self._log_constant() + self.mean * (log_q - log_p) - log_q)

    def cdf(self, value):
        """The probability of at most `value`."""
        p, value = self._cut(), value.astype(self.dtype)
        exact = (p.pow(value) * (1 - p).pow(1 - value) + p - 1) / (2 * p - 1)
        inside = where(self._outside(), exact, value + full_like(p, 0.0))
        return where(value <= 0, full_like(inside, 0.0), where(value >= 1, full_like(inside, 1.0), inside))

    def icdf(self, value):
        """The number whose `cdf` is `value`."""
        p, value = self._cut(), value.astype(self.dtype)
        log_q = (-p).log1p()
        exact = ((value * (2 * p - 1) - p).log1p() - log_q) / (p.log() - log_q)
        return where(self._outside(), exact, value + full_like(p, 0.0))
