"""The Kullback-Leibler divergence: a table from pairs of classes to functions."""
import warnings

from gpuflow.autograd.tape import grad
from gpuflow.distribution.base import Distribution, ExponentialFamily, sum_rightmost
from gpuflow.distribution.composed import LogNormal
from gpuflow.distribution.continuous import Cauchy, ContinuousBernoulli, Laplace, Normal, Uniform
from gpuflow.distribution.discrete import Bernoulli, Binomial, Categorical, Geometric, Poisson
from gpuflow.distribution.multivariate import MultivariateNormal
from gpuflow.errors import explain
from gpuflow.nn.functional.activation import log_softmax

_TABLE: dict = {}


def register_kl(cls_p, cls_q):
    """A decorator: the function gives kl_divergence(p, q) for p of cls_p and q of cls_q, or of their subclasses."""
    if not issubclass(cls_p, Distribution) or not issubclass(cls_q, Distribution):
        raise TypeError(explain("register_kl", "two subclasses of Distribution", f"{cls_p} and {cls_q}"))

    def register(function):
        _TABLE[cls_p, cls_q] = function
        return function

    return register


def kl_divergence(p, q):
    """The expectation under p of log p - log q; by the function registered for the nearest classes of p and q."""
    kinds = type(p), type(q)
    found = [pair for pair in _TABLE if issubclass(kinds[0], pair[0]) and issubclass(kinds[1], pair[1])]
    if not found:
        raise NotImplementedError(explain("kl_divergence", "a pair that register_kl knows",
                                          f"{kinds[0].__name__} and {kinds[1].__name__}", "register_kl"))

    def distance(pair):
        return kinds[0].__mro__.index(pair[0]), kinds[1].__mro__.index(pair[1])

    first = min(found, key=distance)
    second = min(found, key=lambda pair: distance(pair)[::-1])
    if _TABLE[first] is not _TABLE[second]:
        warnings.warn(f"Ambiguous kl_divergence({kinds[0].__name__}, {kinds[1].__name__}). Please register_kl("
                      f"{first[0].__name__}, {second[1].__name__})", RuntimeWarning, stacklevel=2)
    return _TABLE[first](p, q)


def normalizer_and_slopes(p):
    """(natural parameters, log normalizer, its derivatives by them) of a member of the exponential family."""
    natural = p._natural_parameters
    leaves = [parameter.detach() if parameter.stop_gradient else parameter for parameter in natural]
    for leaf in leaves:
        leaf.stop_gradient = False
    normalizer = p._log_normalizer(*leaves)
    wanted = not all(parameter.stop_gradient for parameter in natural)
    slopes = grad([normalizer.sum()], leaves, create_graph=wanted)
    return natural, normalizer if wanted else normalizer.detach(), slopes


@register_kl(ExponentialFamily, ExponentialFamily)
def _of_a_family(p, q):
    """Bregman's divergence of the log normalizer."""
    if type(p) is not type(q):
        raise NotImplementedError(explain("kl_divergence", "two distributions of one class",
                                          f"{type(p).__name__} and {type(q).__name__}", "register_kl"))
    natural, normalizer, slopes = normalizer_and_slopes(p)
    others = q._natural_parameters
    out = q._log_normalizer(*others) - normalizer
    for own, other, slope in zip(natural, others, slopes, strict=True):
        out = out - sum_rightmost((other - own) * slope, len(q.event_shape))
    return out


@register_kl(Normal, Normal)
def _normal(p, q):
    ratio, off = p.scale / q.scale, (p.loc - q.loc) / q.scale
    ratio = ratio * ratio
    return 0.5 * (ratio + off * off - 1 - ratio.log())


@register_kl(LogNormal, LogNormal)
def _log_normal(p, q):
    return _normal(p._base, q._base)


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate_normal(p, q):
    ratio = q._solved(p._tril)
    trace = (ratio * ratio).sum([-2, -1])
    return q._half_log_det() - p._half_log_det() + 0.5 * (trace + q._square(p.loc - q.loc) - p.event_shape[0])


@register_kl(Uniform, Uniform)
def _uniform(p, q):
    return ((q.high - q.low) / (p.high - p.low)).log()


@register_kl(Laplace, Laplace)
def _laplace(p, q):
    off = (p.loc - q.loc).abs()
    return (p.scale * (-off / p.scale).exp() + off) / q.scale + (q.scale / p.scale).log() - 1


@register_kl(Cauchy, Cauchy)
def _cauchy(p, q):
    scales, off = p.scale + q.scale, p.loc - q.loc
    return (scales * scales + off * off).log() - (4 * p.scale * q.scale).log()


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _continuous_bernoulli(p, q):
    log_p, log_q = q.probs.log(), (-q.probs).log1p()
    return -p.entropy() - (q._log_constant() + p.mean * (log_p - log_q) + log_q)


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p, q):
    return p.log_prob(p.probs) - q.log_prob(p.probs)


@register_kl(Categorical, Categorical)
def _categorical(p, q):
    """[..., 1], as Paddle keeps the axis of the classes."""
    own = log_softmax(p.logits)
    return (own.exp() * (own - log_softmax(q.logits))).sum(-1, keepdim=True)


@register_kl(Geometric, Geometric)
def _geometric(p, q):
    """As Paddle has it: per trial, not per sample."""
    other = 1 - p.probs
    return p.probs * (p.probs / q.probs).log() + other * (other / (1 - q.probs)).log()


@register_kl(Binomial, Binomial)
def _binomial(p, q):
    support = p._support()
    own = p.log_prob(support)
    return (own.exp() * (own - q.log_prob(support))).sum(0)


@register_kl(Poisson, Poisson)
def _poisson(p, q):
    if p.batch_shape != q.batch_shape:
        raise ValueError(explain("kl_divergence", "one batch_shape", f"{p.batch_shape} and {q.batch_shape}"))
    support = p._support(q.rate)
    own = p.log_prob(support)
    return (own.exp() * (own - q.log_prob(support))).sum(0)
