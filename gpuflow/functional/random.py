"""Random tensors on the current device; `gpuflow.seed` makes them repeat. dtype None is the default float."""
from gpuflow import dtypes
from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.functional.arguments import dtype_or, integer, integers
from gpuflow.ops.registry import OPS
from gpuflow.tensor import Tensor

__all__ = ["bernoulli", "log_normal", "multinomial", "normal", "rand", "randint", "randint_like", "randn", "randperm",
           "standard_normal", "uniform"]


def uniform(shape, dtype=None, min=0.0, max=1.0, seed=0, name=None):
    """Numbers evenly distributed in [min, max). seed: 0 only; `gpuflow.seed` seeds all random functions."""
    if seed:
        raise ValueError(explain("uniform", "seed=0", str(seed), "gpuflow.seed before the call"))
    kind = dtype_or(dtype, dtypes.default_float())
    return call(OPS["uniform"], (), {"shape": integers("shape", shape), "dtype": kind, "min": float(min),
                                     "max": float(max)})


def rand(shape, dtype=None, name=None):
    """Numbers evenly distributed in [0, 1)."""
    return uniform(shape, dtype, 0.0, 1.0)


def standard_normal(shape, dtype=None, name=None):
    """Numbers from the normal distribution with mean 0 and standard deviation 1."""
    return call(OPS["gaussian"], (), {"shape": integers("shape", shape),
                                      "dtype": dtype_or(dtype, dtypes.default_float()), "mean": 0.0, "std": 1.0})


randn = standard_normal


def normal(mean=0.0, std=1.0, shape=None, name=None):
    """Numbers from the normal distribution.

    mean, std: numbers (then `shape` is needed; None is one number [1]) or tensors.
    """
    if isinstance(mean, Tensor) or isinstance(std, Tensor):
        like = mean + std if isinstance(mean, Tensor) and isinstance(std, Tensor) else (
            mean if isinstance(mean, Tensor) else std)
        drawn = standard_normal(like.shape, like.dtype)
        return (drawn if drawn.place == like.place else drawn.to(like.place)) * std + mean
    return call(OPS["gaussian"], (), {"shape": integers("shape", [1] if shape is None else shape),
                                      "dtype": dtypes.default_float(), "mean": float(mean), "std": float(std)})


def log_normal(mean=1.0, std=2.0, shape=None, name=None):
    """The exponentials of `normal(mean, std, shape)`."""
    return call(OPS["exp"], (normal(mean, std, shape),))


def randint(low=0, high=None, shape=(1,), dtype=None, name=None):
    """Integers evenly distributed in [low, high), or [0, low) when high is None; int64 unless `dtype` says
    otherwise."""
    low, high = (0, low) if high is None else (low, high)
    if low >= high:
        raise ValueError(explain("randint", "low < high", f"{low} and {high}"))
    return call(OPS["randint"], (), {"shape": integers("shape", shape), "dtype": dtype_or(dtype, dtypes.int64),
                                     "low": int(low), "high": int(high)})


def randint_like(x, low=0, high=None, dtype=None, name=None):
    """`randint` with x's shape and dtype; a float dtype holds whole numbers."""
    return randint(low, high, x.shape, dtype_or(dtype, x.dtype))


def randperm(n, dtype="int64", name=None):
    """0 .. n-1 in random order."""
    n = integer("randperm", n)
    if n < 1:
        raise ValueError(explain("randperm", "n >= 1", str(n)))
    return call(OPS["randperm"], (), {"n": n, "dtype": dtypes.convert(dtype)})


def bernoulli(x, p=None, name=None):
    """1 with the probability that x says (or p, a number, everywhere), else 0; in x's dtype. No gradient."""
    if p is not None:
        x = call(OPS["full"], (), {"shape": tuple(x.shape), "value": float(p), "dtype": x.dtype})
    return call(OPS["bernoulli"], (x,))


def multinomial(x, num_samples=1, replacement=False, name=None):
    """int64 [..., num_samples]: indices drawn with chances in proportion to x [n] or, per row, [rows, n].

    x: not negative; need not add up to 1. Without replacement no index comes twice.
    """
    return call(OPS["multinomial"], (x,), {"num_samples": integer("multinomial", num_samples),
                                           "replacement": bool(replacement)})
