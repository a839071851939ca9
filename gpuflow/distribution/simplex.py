"""Distributions of shares: Dirichlet, and Beta, the one of two shares."""
from gpuflow.distribution.base import ExponentialFamily, parameters
from gpuflow.errors import explain
from gpuflow.functional.manipulation import expand, stack
from gpuflow.functional.math import digamma, lgamma
from gpuflow.functional.statistics import standard_gamma


class Dirichlet(ExponentialFamily):
    """Shares that add up to 1, with a density in proportion to the product of share ** (concentration - 1)."""

    def __init__(self, concentration):
        if len(getattr(concentration, "shape", ())) < 1:
            raise ValueError(explain("Dirichlet", "concentration as a tensor of one axis or more", repr(concentration)))
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:])

    @property
    def mean(self):
        return self.concentration / self.concentration.sum(-1, keepdim=True)

    @property
    def variance(self):
        a, whole = self.concentration, self.concentration.sum(-1, keepdim=True)
        return a * (whole - a) / (whole * whole * (whole + 1))

    def sample(self, shape=()):
        drawn = standard_gamma(expand(self.concentration.detach(), self._extend_shape(shape)))
        return drawn / drawn.sum(-1, keepdim=True)

    def log_prob(self, value):
        return (value.log() * (self.concentration - 1)).sum(-1) - self._log_normalizer(self.concentration)

    def entropy(self):
        a, whole = self.concentration, self.concentration.sum(-1)
        return (self._log_normalizer(a) - (a.shape[-1] - whole) * digamma(whole)
                - ((a - 1) * digamma(a)).sum(-1))

    @property
    def _natural_parameters(self):
        return (self.concentration,)

    def _log_normalizer(self, x):
        return lgamma(x).sum(-1) - lgamma(x.sum(-1))


class Beta(ExponentialFamily):
    """Numbers in (0, 1) with a density in proportion to x ** (alpha - 1) (1 - x) ** (beta - 1)."""

    def __init__(self, alpha, beta):
        self.alpha, self.beta = parameters("Beta", alpha, beta)
        self._shares = Dirichlet(stack([self.alpha, self.beta], -1))
        super().__init__(self.alpha.shape)

    @property
    def mean(self):
        return self.alpha / (self.alpha + self.beta)

    @property
    def variance(self):
        whole = self.alpha + self.beta
        return self.alpha * self.beta / (whole * whole * (whole + 1))

    def sample(self, shape=()):
        return self._shares.sample(shape)[..., 0]

    def log_prob(self, value):
        return self._shares.log_prob(stack([value, 1 - value], -1))

    def entropy(self):
        return self._shares.entropy()

    @property
    def _natural_parameters(self):
        return self.alpha, self.beta

    def _log_normalizer(self, x, y):
        return lgamma(x) + lgamma(y) - lgamma(x + y)
