"""Tensors from nothing: constants, ranges, random numbers. They land on the current device."""
import math

from gpuflow import device, dtypes, random
from gpuflow.errors import explain
from gpuflow.ops.registry import Spec, op, same_as


def _filled_spec(*, shape, dtype, **rest):
    if any(s is not None and s < 0 for s in shape):
        raise ValueError(explain("shape", "sizes of at least 0", str(list(shape))))
    return Spec(tuple(shape), dtypes.convert(dtype))


@op("full", infer=_filled_spec)
def full(xp, *, shape, value, dtype):
    """A tensor of `shape` filled with the number `value`."""
    return xp.full(shape, value, dtypes.convert(dtype).dtype)


def _full_by_batch_spec(x, *, shape, value, dtype, axis=0, at=0):
    sizes = list(shape)
    sizes[at] = x.shape[axis]
    return Spec(tuple(sizes), dtypes.convert(dtype))


@op("full_by_batch", infer=_full_by_batch_spec)
def full_by_batch(xp, x, *, shape, value, dtype, axis=0, at=0):
    """A tensor filled with the number `value`, of `shape` but for the size at place `at`, which is x's along `axis`."""
    return xp.full(_full_by_batch_spec(x, shape=shape, value=value, dtype=dtype, axis=axis, at=at).shape, value,
                   dtypes.convert(dtype).dtype)


@op("empty", infer=_filled_spec)
def empty(xp, *, shape, dtype):
    """A tensor of `shape` with whatever the memory holds."""
    return xp.empty(shape, dtypes.convert(dtype).dtype)


def _like_spec(x, *, dtype, value=None):
    return Spec(x.shape, dtypes.convert(dtype))


@op("full_like", infer=_like_spec)
def full_like(xp, x, *, dtype, value=None):
    """A tensor of x's shape, beside x, filled with the number `value`; None: with whatever the memory holds."""
    kind = dtypes.convert(dtype).dtype
    return xp.empty(x.shape, kind) if value is None else xp.full(x.shape, value, kind)


def _arange_spec(*, start, end, step, dtype):
    if step == 0 or (end - start) * step < 0:
        raise ValueError(explain("arange", "a step that leads from start to end", f"{start}, {end}, {step}"))
    return Spec((math.ceil((end - start) / step),), dtypes.convert(dtype))


@op("arange", infer=_arange_spec)
def arange(xp, *, start, end, step, dtype):
    """start, start + step, ... up to but without `end`."""
    spec = _arange_spec(start=start, end=end, step=step, dtype=dtype)
    whole = all(isinstance(n, int) for n in (start, end, step))
    numbers = xp.arange(spec.shape[0], dtype=xp.int64 if whole else xp.float64) * step + start
    return numbers.astype(spec.dtype.dtype)


@op("linspace", infer=lambda *, start, stop, num, dtype: Spec((num,), dtypes.convert(dtype)))
def linspace(xp, *, start, stop, num, dtype):
    """`num` numbers at equal distances from `start` to `stop`, both included."""
    return xp.linspace(start, stop, num).astype(dtypes.convert(dtype).dtype)


@op("eye", infer=lambda *, rows, columns, dtype: Spec((rows, columns), dtypes.convert(dtype)))
def eye(xp, *, rows, columns, dtype):
    """A matrix with ones on the diagonal and zeros elsewhere."""
    return xp.eye(rows, columns, dtype=dtypes.convert(dtype).dtype)


# ---- random numbers: gpuflow.seed makes them repeat ----------------------------------------------------------------


@op("uniform", infer=_filled_spec)
def uniform(xp, *, shape, dtype, min=0.0, max=1.0):
    """Random numbers, evenly distributed in [min, max)."""
    return random.uniform(shape, dtypes.convert(dtype).dtype, min, max)


@op("gaussian", infer=_filled_spec)
def gaussian(xp, *, shape, dtype, mean=0.0, std=1.0):
    """Random numbers from the normal distribution with that mean and standard deviation."""
    return random.normal(shape, dtypes.convert(dtype).dtype, mean, std)


@op("randint", infer=_filled_spec)
def randint(xp, *, shape, dtype, low, high):
    """Random integers, evenly distributed in [low, high)."""
    return random.integers(low, high, shape, dtypes.convert(dtype).dtype)


@op("randperm", infer=lambda *, n, dtype: Spec((n,), dtypes.convert(dtype)))
def randperm(xp, *, n, dtype):
    """0 .. n-1 in random order."""
    return random.permutation(n, dtypes.convert(dtype).dtype)


@op("bernoulli", infer=same_as("x"))
def bernoulli(xp, x):
    """1 with the probability that x says, else 0, in x's dtype. No gradient."""
    return (random.uniform(x.shape, xp.float32, place=device.place_of(x)) < x).astype(x.dtype)


def _multinomial_spec(x, *, num_samples, replacement):
    if len(x.shape) not in (1, 2):
        raise ValueError(explain("multinomial", "x [n] or [rows, n]", str(list(x.shape))))
    if num_samples < 1 or (not replacement and x.shape[-1] is not None and num_samples > x.shape[-1]):
        raise ValueError(explain("multinomial", f"num_samples in [1, {x.shape[-1]}]", str(num_samples),
                                 "replacement=True to draw more"))
    return Spec((*x.shape[:-1], num_samples), dtypes.int64)


@op("multinomial", infer=_multinomial_spec, quiet=True)
def multinomial(xp, x, *, num_samples, replacement):
    """int64 indices drawn with chances in proportion to x (each row), which need not add up to 1."""
    _multinomial_spec(Spec(x.shape, None), num_samples=num_samples, replacement=replacement)
    place, weights = device.place_of(x), x.astype(xp.float64)
    if replacement:
        rows = weights.reshape((-1, x.shape[-1]))
        running = rows.cumsum(axis=-1)
        drawn = random.uniform((len(rows), num_samples), xp.float64, place=place) * running[:, -1:]
        found = [xp.searchsorted(row, u, side="right") for row, u in zip(running, drawn, strict=True)]
        return xp.stack(found).reshape((*x.shape[:-1], num_samples))
    # the smallest of independent exponential times, at rates x, is a draw in proportion to x; the next ones follow
    times = -xp.log(1 - random.uniform(x.shape, xp.float64, place=place)) / weights
    return xp.argsort(times, axis=-1)[..., :num_samples]
