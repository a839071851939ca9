"""Distributions made of another: Independent, TransformedDistribution, LogNormal."""
from gpuflow.distribution.base import Distribution, sum_rightmost
from gpuflow.distribution.continuous import Normal
from gpuflow.distribution.transform import ChainTransform, ExpTransform, Transform
from gpuflow.errors import explain


def _checked(where, base):
    if not isinstance(base, Distribution):
        raise TypeError(explain(where, "a distribution as base", type(base).__name__))
    return base


class Independent(Distribution):
    """`base` with its last `reinterpreted_batch_rank` batch axes counted as part of one event."""

    def __init__(self, base, reinterpreted_batch_rank):
        rank = len(_checked("Independent", base).batch_shape)
        if not 0 < reinterpreted_batch_rank <= rank:
            raise ValueError(explain("Independent", f"reinterpreted_batch_rank in [1, {rank}]",
                                     str(reinterpreted_batch_rank)))
        self._base, self._more = base, reinterpreted_batch_rank
        shape, cut = base.batch_shape + base.event_shape, rank - reinterpreted_batch_rank
        super().__init__(shape[:cut], shape[cut:])

    @property
    def mean(self):
        return self._base.mean

    @property
    def variance(self):
        return self._base.variance

    def sample(self, shape=()):
        return self._base.sample(shape)

    def rsample(self, shape=()):
        return self._base.rsample(shape)

    def log_prob(self, value):
        return sum_rightmost(self._base.log_prob(value), self._more)

    def entropy(self):
        return sum_rightmost(self._base.entropy(), self._more)


class TransformedDistribution(Distribution):
    """The law of a sample of `base` after the `transforms`, the first one first."""

    def __init__(self, base, transforms):
        _checked("TransformedDistribution", base)
        if not isinstance(transforms, list | tuple) or not all(isinstance(t, Transform) for t in transforms):
            raise TypeError(explain("TransformedDistribution", "a list of transforms", repr(transforms)))
        chain, shape = ChainTransform(transforms), base.batch_shape + base.event_shape
        self._base, self._transforms = base, transforms
        if len(shape) < chain._domain_rank:
            raise ValueError(explain("TransformedDistribution", f"a base of {chain._domain_rank} axes or more",
                                     str(list(shape))))
        after = tuple(chain.forward_shape(shape))
        event = chain._codomain_rank + max(len(base.event_shape) - chain._domain_rank, 0)
        super().__init__(after[:len(after) - event], after[len(after) - event:])

    def _moved(self, x):
        for t in self._transforms:
            x = t.forward(x)
        return x

    def sample(self, shape=()):
        return self._moved(self._base.sample(shape))

    def rsample(self, shape=()):
        return self._moved(self._base.rsample(shape))

    def log_prob(self, value):
        out, rank = 0.0, len(self.event_shape)
        for t in reversed(self._transforms):
            before = t.inverse(value)
            rank += t._domain_rank - t._codomain_rank
            out = out - sum_rightmost(t.forward_log_det_jacobian(before), rank - t._domain_rank)
            value = before
        return out + sum_rightmost(self._base.log_prob(value), rank - len(self._base.event_shape))


class LogNormal(TransformedDistribution):
    """exp of a normal number of mean `loc` and standard deviation `scale`."""

    def __init__(self, loc, scale):
        base = Normal(loc, scale)
        self.loc, self.scale = base.loc, base.scale
        super().__init__(base, [ExpTransform()])

    @property
    def mean(self):
        return (self.loc + 0.5 * self.scale * self.scale).exp()

    @property
    def variance(self):
        square = self.scale * self.scale
        return square.expm1() * (2 * self.loc + square).exp()

    def entropy(self):
        return self._base.entropy() + self._base.mean
