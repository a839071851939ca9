"""Probability distributions: samples, densities, entropies and divergences, all with gradients where they exist."""
from gpuflow.distribution import transform as transform
from gpuflow.distribution.base import Distribution, ExponentialFamily
from gpuflow.distribution.composed import Independent, LogNormal, TransformedDistribution
from gpuflow.distribution.continuous import (
    Cauchy,
    Chi2,
    ContinuousBernoulli,
    Exponential,
    Gamma,
    Gumbel,
    Laplace,
    Normal,
    StudentT,
    Uniform,
)
from gpuflow.distribution.correlation import LKJCholesky
from gpuflow.distribution.discrete import Bernoulli, Binomial, Categorical, Geometric, Multinomial, Poisson
from gpuflow.distribution.kl import kl_divergence, register_kl
from gpuflow.distribution.multivariate import MultivariateNormal
from gpuflow.distribution.simplex import Beta, Dirichlet
from gpuflow.distribution.transform import *  # noqa: F403

__all__ = ["Bernoulli", "Beta", "Binomial", "Categorical", "Cauchy", "Chi2", "ContinuousBernoulli", "Dirichlet",
           "Distribution", "Exponential", "ExponentialFamily", "Gamma", "Geometric", "Gumbel", "Independent",
           "LKJCholesky", "Laplace", "LogNormal", "Multinomial", "MultivariateNormal", "Normal", "Poisson", "StudentT",
           "TransformedDistribution", "Uniform", "kl_divergence", "register_kl", *transform.__all__]
