"""Distributions of whole numbers."""
import math

import numpy as np

from gpuflow.autograd.modes import no_grad
from gpuflow.distribution.base import Distribution, open_uniform, parameters, uniform_in
from gpuflow.errors import explain
from gpuflow.functional import random
from gpuflow.functional.creation import arange, full_like
from gpuflow.functional.manipulation import expand, reshape
from gpuflow.functional.math import lgamma
from gpuflow.functional.search import take_along_axis, where
from gpuflow.functional.statistics import binomial, poisson
from gpuflow.nn.functional.activation import log_softmax, softmax
from gpuflow.nn.functional.input import one_hot


def _eps(dtype) -> float:
    return float(np.finfo(dtype.dtype).eps)


def _times_log(count, p):
    """count * log(p), and 0 where count is 0."""
    return where(count == 0, full_like(count * p, 0.0), count * p.log())


def _expectation(function, support, log_prob):
    """The sum of exp(log_prob) * function over the support, along a first axis of log_prob's."""
    return (log_prob(support).exp() * function(support)).sum(0)


class Bernoulli(Distribution):
    """1 with the chance `probs`, else 0."""

    def __init__(self, probs, name=None):
        probs, = parameters("Bernoulli", probs)
        self.name, self.dtype = name or "Bernoulli", probs.dtype
        self.probs = probs.clip(_eps(self.dtype), 1 - _eps(self.dtype))
        self.logits = self.probs.log() - (-self.probs).log1p()
        super().__init__(self.probs.shape)

    @property
    def mean(self):
        return self.probs

    @property
    def variance(self):
        return self.probs * (1 - self.probs)

    def sample(self, shape=()):
        with no_grad():
            return random.bernoulli(expand(self.probs, self._extend_shape(shape)))

    def rsample(self, shape=(), temperature=1.0):
        """Logits whose sigmoid is near a sample, the nearer the lower the temperature (Jang et al., 2016)."""
        u = open_uniform(self._extend_shape(shape), self.dtype)
        return (u.log() - (-u).log1p() + self.logits) / temperature

    def log_prob(self, value):
        value = value.astype(self.dtype)
        return value * self.probs.log() + (1 - value) * (-self.probs).log1p()

    def cdf(self, value):
        """The probability of at most `value`."""
        below = full_like(self.probs, 0.0)
        return where(value < 0, below, where(value < 1, 1 - self.probs, below + 1.0))

    def entropy(self):
        return -self.log_prob(self.probs)


class Categorical(Distribution):
    """Numbers of classes [..., n]. As in Paddle, `sample` and `entropy` read `logits` by softmax, while `probs` and
    `log_prob` divide them by their sum: give logarithms to the former, weights to the latter."""

    def __init__(self, logits, name=None):
        self.logits, = parameters("Categorical", logits)
        self.name, self.dtype = name or "Categorical", self.logits.dtype
        super().__init__(self.logits.shape[:-1])

    def sample(self, shape=()):
        """int64, of shape + the leading sizes of `logits`."""
        shape = tuple(int(s) for s in shape)
        rows, classes = tuple(self.logits.shape[:-1]), self.logits.shape[-1]
        with no_grad():
            chances = softmax(self.logits).reshape([-1, classes])
            drawn = random.multinomial(chances, math.prod(shape), True)
            return reshape(drawn.transpose([1, 0]), [*shape, *rows])

    def entropy(self):
        log_p = log_softmax(self.logits)
        return -(log_p.exp() * log_p).sum(-1)

    def probs(self, value):
        """The shares of the classes `value`, of `logits` divided by their sum."""
        shares = self.logits / self.logits.sum(-1, keepdim=True)
        if len(shares.shape) == 1:
            return take_along_axis(shares, value.reshape([-1]), 0).reshape(value.shape)
        if len(value.shape) == 1:
            value = value.reshape([1] * (len(shares.shape) - 1) + [-1])
        return take_along_axis(shares, value, -1)

    def prob(self, value):
        return self.probs(value)

    def log_prob(self, value):
        return self.probs(value).log()


class Geometric(Distribution):
    """How many trials of chance `probs` fail before one succeeds."""

    def __init__(self, probs):
        self.probs, = parameters("Geometric", probs)
        self.dtype = self.probs.dtype
        super().__init__(self.probs.shape)

    @property
    def mean(self):
        return 1 / self.probs - 1

    @property
    def variance(self):
        return (1 / self.probs - 1) / self.probs

    def pmf(self, k):
        """The probability of k failures."""
        return (1 - self.probs).pow(k) * self.probs

    def log_pmf(self, k):
        """The logarithm of the probability of k failures."""
        return self.pmf(k).log()

    log_prob = log_pmf

    def rsample(self, shape=()):
        u = uniform_in(self._extend_shape(shape), self.dtype, np.finfo(np.float32).tiny, 1.0)
        return (u.log() / (-self.probs).log1p()).floor()

    def cdf(self, k):
        """The probability of at most k failures."""
        return 1 - (1 - self.probs).pow(k + 1)

    def entropy(self):
        p, q = self.probs, 1 - self.probs
        return -(q * q.log() + p * p.log()) / p


class Multinomial(Distribution):
    """How often each class comes in `total_count` draws with chances in proportion to `probs` [..., classes]."""

    def __init__(self, total_count, probs):
        if not isinstance(total_count, int) or total_count < 1:
            raise ValueError(explain("Multinomial", "total_count as an integer of at least 1", repr(total_count)))
        if len(probs.shape) < 1:
            raise ValueError(explain("Multinomial", "probs [..., classes]", str(list(probs.shape))))
        self.total_count, self.probs = total_count, probs / probs.sum(-1, keepdim=True)
        self._categorical = Categorical(probs.log())
        super().__init__(probs.shape[:-1], probs.shape[-1:])

    @property
    def mean(self):
        return self.probs * self.total_count

    @property
    def variance(self):
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, shape=()):
        drawn = self._categorical.sample([self.total_count, *shape])
        return one_hot(drawn, self.probs.shape[-1]).astype(self.probs.dtype).sum(0)

    def log_prob(self, value):
        value = value.astype(self.probs.dtype)
        return lgamma(value.sum(-1) + 1) - lgamma(value + 1).sum(-1) + _times_log(value, self.probs).sum(-1)

    def entropy(self):
        n = self.total_count
        support = arange(1, n + 1, dtype=self.probs.dtype).reshape([-1] + [1] * len(self.probs.shape))
        own = n * self._categorical.entropy() - math.lgamma(n + 1)
        return own + _expectation(lambda k: lgamma(k + 1), support, Binomial(n, self.probs).log_prob).sum(-1)


class Binomial(Distribution):
    """How many of `total_count` trials succeed, each with chance `probs`."""

    def __init__(self, total_count, probs):
        probs, = parameters("Binomial", probs)
        self.dtype = probs.dtype
        count = total_count.astype(self.dtype) if hasattr(total_count, "stop_gradient") else total_count
        self.probs, self.total_count = parameters("Binomial", probs, count)
        super().__init__(self.total_count.shape)

    @property
    def mean(self):
        return self.total_count * self.probs

    @property
    def variance(self):
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, shape=()):
        full = self._extend_shape(shape)
        with no_grad():
            return binomial(expand(self.total_count, full), expand(self.probs, full)).astype(self.dtype)

    def log_prob(self, value):
        value, n = value.astype(self.dtype), self.total_count
        p = self.probs.clip(_eps(self.dtype), 1 - _eps(self.dtype))
        return (lgamma(n + 1) - lgamma(n - value + 1) - lgamma(value + 1)
                + value * p.log() + (n - value) * (-p).log1p())

    def _support(self):
        values = arange(0, int(self.total_count.max().item()) + 1, dtype=self.dtype)
        return values.reshape([-1] + [1] * len(self._batch_shape))

    def entropy(self):
        """The sum over all counts (in eager mode: how many there are depends on the numbers)."""
        return -_expectation(self.log_prob, self._support(), self.log_prob)


class Poisson(Distribution):
    """How many events come when `rate` come on average."""

    def __init__(self, rate):
        self.rate, = parameters("Poisson", [rate] if isinstance(rate, int | float) else rate)
        self.dtype = self.rate.dtype
        super().__init__(self.rate.shape)

    @property
    def mean(self):
        return self.rate

    @property
    def variance(self):
        return self.rate

    def sample(self, shape=()):
        with no_grad():
            return poisson(expand(self.rate, self._extend_shape(shape)))

    def log_prob(self, value):
        value = value.astype(self.dtype)
        return _times_log(value, self.rate) - self.rate - lgamma(value + 1)

    def _support(self, *others):
        """0, 1, ... up to 30 standard deviations above the largest mean."""
        top = max(float(r.max().item()) for r in (self.rate, *others))
        values = arange(0, int(top + 30 * math.sqrt(max(top, 1.0))), dtype=self.dtype)
        return values.reshape([-1] + [1] * len(self._batch_shape))

    def entropy(self):
        """The sum over the counts that matter (in eager mode: how many there are depends on the numbers)."""
        return -_expectation(self.log_prob, self._support(), self.log_prob)
