"""Distribution: the base of all; and how parameters and values become tensors."""
import numpy as np

from gpuflow import dtypes
from gpuflow.autograd.modes import no_grad
from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.functional.manipulation import broadcast_tensors
from gpuflow.ops.registry import OPS
from gpuflow.tensor import Tensor, to_tensor


def _is_tensor(value) -> bool:
    return hasattr(value, "stop_gradient")


def parameters(where, *values) -> list:
    """The values as tensors of one shape and dtype.

    Tensors are taken as they are; numbers, lists and arrays get the dtype of the first tensor, or of the first float
    array, or the default float.
    """
    kinds = [v.dtype for v in values if _is_tensor(v)]
    kinds += [dtypes.convert(v.dtype) for v in values if isinstance(v, np.ndarray) and v.dtype.kind == "f"]
    kind = kinds[0] if kinds else dtypes.default_float()
    made = []
    for value in values:
        if not _is_tensor(value):
            if not isinstance(value, int | float | list | tuple | np.ndarray | np.generic):
                raise TypeError(explain(where, "numbers, lists, arrays or tensors", type(value).__name__))
            value = to_tensor(np.asarray(value), kind)
        made.append(value)
    return made if all(m.shape == made[0].shape for m in made) else list(broadcast_tensors(made))


def uniform_in(shape, dtype, low, high) -> Tensor:
    return call(OPS["uniform"], (), {"shape": tuple(shape), "dtype": dtype, "min": float(low), "max": float(high)})


def open_uniform(shape, dtype) -> Tensor:
    """Numbers between 0 and 1 whose logarithm is finite."""
    return uniform_in(shape, dtype, float(np.finfo(np.float32).tiny), 1.0)


def sum_rightmost(value, n):
    """value summed over its last n axes."""
    return value.sum(list(range(-n, 0))) if n > 0 else value


class Distribution:
    """The base of distributions.

    batch_shape: the shape of independent distributions side by side. event_shape: that of one sample of one of them.
    A subclass writes `rsample` (or `sample`), `log_prob`, `entropy`, `mean` and `variance` as far as they exist.
    """

    def __init__(self, batch_shape=(), event_shape=()):
        self._batch_shape, self._event_shape = tuple(batch_shape), tuple(event_shape)

    @property
    def batch_shape(self):
        return self._batch_shape

    @property
    def event_shape(self):
        return self._event_shape

    @property
    def mean(self):
        raise NotImplementedError

    @property
    def variance(self):
        raise NotImplementedError

    @property
    def stddev(self):
        """The root of the variance."""
        return self.variance.sqrt()

    def sample(self, shape=()):
        """Random numbers of shape + batch_shape + event_shape, without gradient."""
        with no_grad():
            return self.rsample(shape)

    def rsample(self, shape=()):
        """`sample` as a function of the parameters: they get gradients."""
        raise NotImplementedError

    def entropy(self):
        raise NotImplementedError

    def kl_divergence(self, other):
        """The Kullback-Leibler divergence from self to `other`: see `gpuflow.distribution.kl_divergence`."""
        from gpuflow.distribution.kl import kl_divergence

        return kl_divergence(self, other)

    def prob(self, value):
        """The density (or probability) at `value`."""
        return self.log_prob(value).exp()

    def log_prob(self, value):
        """The logarithm of the density (or probability) at `value`."""
        raise NotImplementedError

    def probs(self, value):
        """`prob`, under Paddle's older name."""
        return self.prob(value)

    def _extend_shape(self, shape) -> tuple:
        try:
            return (*(int(s) for s in shape), *self._batch_shape, *self._event_shape)
        except TypeError:
            raise TypeError(explain(f"{type(self).__name__}.sample", "a sequence of sizes as shape",
                                    repr(shape))) from None


class ExponentialFamily(Distribution):
    """The base of distributions whose log density is linear in functions of the sample.

    A subclass with `_natural_parameters` (a tuple of tensors) and `_log_normalizer` (a function of them) has its
    divergence and, with `_mean_carrier_measure` (a number), its entropy by differentiation.
    """

    @property
    def _natural_parameters(self):
        raise NotImplementedError

    def _log_normalizer(self, *natural):
        raise NotImplementedError

    @property
    def _mean_carrier_measure(self):
        raise NotImplementedError

    def entropy(self):
        from gpuflow.distribution.kl import normalizer_and_slopes

        natural, normalizer, slopes = normalizer_and_slopes(self)
        out = normalizer - self._mean_carrier_measure
        for parameter, slope in zip(natural, slopes, strict=True):
            out = out - sum_rightmost(parameter * slope, len(self._event_shape))
        return out
