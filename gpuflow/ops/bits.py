"""Elementwise functions without a gradient: shifts of bits, divisors, signs, neighbours; places found along an axis."""
import numpy as np

from gpuflow import device, dtypes, random
from gpuflow.ops.registry import Spec, broadcast, broadcast_shapes, op, same_as


@op("bitwise_left_shift", infer=broadcast("bitwise_left_shift"), promotes=("x", "y"))
def bitwise_left_shift(xp, x, y):
    """x with its bits moved y places up."""
    return xp.left_shift(x, y)


@op("bitwise_right_shift", infer=lambda x, y, *, arithmetic=True: broadcast("bitwise_right_shift")(x, y),
    promotes=("x", "y"))
def bitwise_right_shift(xp, x, y, *, arithmetic=True):
    """x with its bits moved y places down; arithmetic: the sign stays, else zeros come in."""
    if arithmetic or x.dtype.kind == "u":
        return xp.right_shift(x, y)
    plain = np.dtype(f"u{x.dtype.itemsize}")
    return xp.right_shift(x.view(plain), xp.asarray(y).astype(plain)).view(x.dtype)


@op("gcd", infer=broadcast("gcd"), promotes=("x", "y"))
def gcd(xp, x, y):
    """The greatest common divisor of integers."""
    return xp.gcd(x, y)


@op("nextafter", infer=broadcast("nextafter"), promotes=("x", "y"))
def nextafter(xp, x, y):
    """The number next to x towards y."""
    return xp.nextafter(x, y)


@op("signbit", infer=same_as("x", dtypes.bool_))
def signbit(xp, x):
    """True where x is negative, -0.0 included."""
    return xp.signbit(x) if x.dtype.kind == "f" else x < 0


@op("cumulative_place", infer=same_as("x", dtypes.int64))
def cumulative_place(xp, x, *, axis, largest):
    """The place along `axis` of the largest (or smallest) element so far, the last of equal ones; nan stays."""
    shape = tuple(x.shape[axis] if i == axis % x.ndim else 1 for i in range(x.ndim))
    places = xp.broadcast_to(xp.arange(x.shape[axis]).reshape(shape), x.shape)
    meet = np.maximum if largest else np.minimum
    best = meet.accumulate(x, axis=axis) if xp is np else _accumulated(xp, x, axis, largest)
    is_best = (x == best) | ((x != x) & (best != best))
    found = xp.where(is_best, places, 0)
    return np.maximum.accumulate(found, axis=axis) if xp is np else _accumulated(xp, found, axis, True)


def _accumulated(xp, x, axis, largest):
    """The running maximum or minimum, by doubling: CuPy's ufuncs have no accumulate."""
    meet, step = xp.maximum if largest else xp.minimum, 1
    out = x.copy()
    while step < x.shape[axis]:
        late = [slice(None)] * x.ndim
        early = list(late)
        late[axis], early[axis] = slice(step, None), slice(None, -step)
        out[tuple(late)] = meet(out[tuple(late)], out[tuple(early)].copy())
        step *= 2
    return out


@op("most_frequent", infer=lambda x, *, axis: Spec(tuple(1 if i == axis % len(x.shape) else s for i, s in
                                                         enumerate(x.shape)), dtypes.int64))
def most_frequent(xp, x, *, axis):
    """The last place along `axis` of the most frequent element, the smallest of equally frequent ones."""
    rows = xp.moveaxis(x, axis, -1)
    counts = (rows[..., :, None] == rows[..., None, :]).sum(axis=-1)
    often = counts == counts.max(axis=-1, keepdims=True)
    least = xp.where(often, rows, rows.max(axis=-1, keepdims=True)).min(axis=-1, keepdims=True)
    size = rows.shape[-1]
    chosen = (often & (rows == least))[..., ::-1]
    return xp.moveaxis(size - 1 - chosen.argmax(axis=-1, keepdims=True), -1, axis).astype(xp.int64)


@op("poisson", infer=same_as("x"))
def poisson(xp, x):
    """Whole numbers from Poisson distributions with the means x."""
    return random.default_generator(device.place_of(x)).rng.poisson(x).astype(x.dtype)


@op("binomial", infer=lambda x, y: Spec(broadcast_shapes("binomial", x.shape, y.shape), dtypes.int64))
def binomial(xp, x, y):
    """How many of x draws with the chance y succeed."""
    count, chance = xp.broadcast_arrays(x, y)
    rng = random.default_generator(device.place_of(x)).rng
    return rng.binomial(count.astype(xp.int64), chance.astype(xp.float64)).astype(xp.int64)


@op("standard_gamma", infer=same_as("x"))
def standard_gamma(xp, x):
    """Numbers from gamma distributions with the shapes x and rate 1."""
    return random.default_generator(device.place_of(x)).rng.standard_gamma(x.astype(xp.float64)).astype(x.dtype)
