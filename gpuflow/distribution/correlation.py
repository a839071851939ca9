"""Distributions of correlation matrices."""
import math

import numpy as np

from gpuflow.autograd.modes import no_grad
from gpuflow.distribution.base import Distribution, parameters
from gpuflow.distribution.simplex import Beta
from gpuflow.errors import explain
from gpuflow.functional.creation import arange, eye, ones
from gpuflow.functional.joining import diag_embed
from gpuflow.functional.manipulation import concat, diagonal, expand, tril
from gpuflow.functional.math import lgamma
from gpuflow.functional.random import standard_normal


class LKJCholesky(Distribution):
    """Lower triangular Cholesky factors [dim, dim] of correlation matrices (Lewandowski, Kurowicka, Joe, 2009).

    The density of a matrix is in proportion to its determinant ** (concentration - 1): 1 is even over all of them.
    sample_method: "onion" (rows of random length and direction) or "cvine" (partial correlations); one law.
    """

    def __init__(self, dim=2, concentration=1.0, sample_method="onion"):
        if not isinstance(dim, int) or dim < 2 or sample_method not in ("onion", "cvine"):
            raise ValueError(explain("LKJCholesky", "dim of at least 2 and sample_method 'onion' or 'cvine'",
                                     f"{dim!r}, {sample_method!r}"))
        self.concentration, = parameters("LKJCholesky", concentration)
        self.dim, self.sample_method, self.dtype = dim, sample_method, self.concentration.dtype
        super().__init__(self.concentration.shape, (dim, dim))

    def sample(self, sample_shape=()):
        """Random factors of sample_shape + batch_shape + [dim, dim]."""
        with no_grad():
            shape = self._extend_shape(sample_shape)
            return (self._onion if self.sample_method == "onion" else self._cvine)(tuple(sample_shape), shape)

    def _onion(self, drawn, shape):
        before = arange(self.dim, dtype=self.dtype) - 1   # of row k: k - 1, and for the first row, which is unused, 0
        before = before.clip(min=0.0)
        share = Beta(0.5 * before + 0.5, self._half().unsqueeze(-1) - 0.5 * before).sample(drawn).unsqueeze(-1)
        direction = tril(standard_normal(shape, self.dtype), -1)
        length = direction.square().sum(-1, keepdim=True).sqrt()
        below = share.sqrt() * direction / length.clip(min=self._tiny())
        return below + diag_embed((1 - below.square().sum(-1)).clip(min=self._tiny()).sqrt())

    def _cvine(self, drawn, shape):
        column = arange(self.dim, dtype=self.dtype).clip(max=self.dim - 2.0)   # the last one has nothing below
        law = self._half().unsqueeze(-1) - 0.5 * column
        law = expand(law.unsqueeze(-2), [*self._batch_shape, self.dim, self.dim])
        partial = tril(2 * Beta(law, law).sample(drawn) - 1, -1)
        left = (1 - partial.square()).clip(min=self._tiny()).sqrt().cumprod(-1)
        left = concat([ones([*shape[:-1], 1], self.dtype), left[..., :-1]], -1)
        return (partial + eye(self.dim, dtype=self.dtype)) * left

    def log_prob(self, value):
        rest = self.dim - 1
        order = arange(rest - 1, -1, -1, dtype=self.dtype) + 2 * (self.concentration.unsqueeze(-1) - 1)
        density = (order * diagonal(value, 0, -2, -1)[..., 1:].log()).sum(-1)
        top = self.concentration + 0.5 * rest
        steps = 0.5 * arange(1, rest + 1, dtype=self.dtype)
        volume = rest * (rest + 1) / 4 * math.log(math.pi) + lgamma(top.unsqueeze(-1) - steps).sum(-1)
        return density - volume + rest * lgamma(top)

    def _half(self):
        return self.concentration + 0.5 * (self.dim - 2)

    def _tiny(self):
        return float(np.finfo(self.dtype.dtype).tiny)
