"""Random numbers: one generator per device and one for the host, all started from one seed.

`seed(n)` makes a run repeat bit for bit on a device. The numbers of a CPU and a GPU differ for the same seed.
Generators are made when first used, so that setting a seed touches no device.
"""
import contextlib
import os

import numpy as np

from gpuflow import device as _device
from gpuflow.errors import explain


class Generator:
    """The random state of one place. `rng` is a numpy.random.Generator, or cupy.random.Generator on a GPU."""

    def __init__(self, place=None, seed: int | None = None):
        self.place = _device.CPU if place is None else _device.parse(place)
        self.manual_seed(_initial_seed if seed is None else seed)

    def manual_seed(self, seed: int) -> "Generator":
        """Starts again from `seed`, a non-negative integer."""
        self._seed = _checked(seed)
        if self.place.is_gpu_place():
            random = _device.module_for(self.place).random
            self.rng = random.Generator(random.Philox4x3210(self._seed))
        else:
            self.rng = np.random.Generator(np.random.Philox(self._seed))
        return self

    def initial_seed(self) -> int:
        return self._seed

    def get_state(self) -> dict:
        """A state that `set_state` takes back. On a GPU it is the seed alone: CuPy gives no readable state."""
        if self.place.is_gpu_place():
            return {"seed": self._seed}
        return {"seed": self._seed, "bit_generator": self.rng.bit_generator.state}

    def set_state(self, state: dict) -> None:
        self.manual_seed(state["seed"])
        if "bit_generator" in state:
            self.rng.bit_generator.state = state["bit_generator"]


_initial_seed = int.from_bytes(os.urandom(8)) >> 1  # np.random itself takes 8 ms to import
_generators: dict = {}
_host = None  # a numpy.random.Generator


def _checked(seed) -> int:
    try:
        value = int(seed)
    except (TypeError, ValueError):
        value = -1
    if value < 0:
        raise ValueError(explain("seed", "a non-negative integer", repr(seed)))
    return value


def seed(seed: int) -> Generator:
    """Restarts every generator from `seed` (an integer >= 0) and returns the current place's."""
    global _initial_seed, _host
    _initial_seed = _checked(seed)
    _generators.clear()
    _host = None
    return default_generator()


def default_generator(place=None) -> Generator:
    """The generator of `place` (default: the current device)."""
    place = _device.current_place() if place is None else place
    if place not in _generators:
        _generators[place] = Generator(place, _initial_seed + (place.gpu_device_id() if place.is_gpu_place() else 0))
    return _generators[place]


@contextlib.contextmanager
def drawing_from(seed: int):
    """Within the block the current device draws from a generator of its own that starts from `seed`."""
    place = _device.current_place()
    before = default_generator(place)
    _generators[place] = Generator(place, seed)
    try:
        yield
    finally:
        _generators[place] = before


def host_rng() -> "np.random.Generator":
    """The generator for decisions taken on the host: shuffles, splits, worker seeds. Seeded by `seed` as well."""
    global _host
    if _host is None:
        _host = np.random.Generator(np.random.Philox(key=[_initial_seed & 0xFFFFFFFFFFFFFFFF, 1]))
    return _host


def uniform(shape, dtype, low=0.0, high=1.0, place=None):
    """An array of `shape` with uniform numbers in [low, high), drawn in float32 (float64 for that dtype)."""
    generator = default_generator(place)
    xp = _device.module_for(generator.place)
    wide = np.float64 if np.dtype(dtype) == np.float64 else np.float32
    drawn = generator.rng.random(tuple(shape), dtype=wide)
    return xp.asarray(drawn * wide(high - low) + wide(low)).astype(dtype, copy=False)


def key(place=None) -> int:
    """64 random bits from the generator of `place`, from which a kernel makes as many numbers as it wants."""
    return int(default_generator(place).rng.integers(0, 2**64, dtype=np.uint64))


def normal(shape, dtype, mean=0.0, std=1.0, place=None):
    """An array of `shape` with Gaussian numbers, drawn in float32 (float64 for that dtype)."""
    generator = default_generator(place)
    xp = _device.module_for(generator.place)
    wide = np.float64 if np.dtype(dtype) == np.float64 else np.float32
    drawn = generator.rng.standard_normal(tuple(shape), dtype=wide)
    return xp.asarray(drawn * wide(std) + wide(mean)).astype(dtype, copy=False)


def integers(low: int, high: int, shape, dtype, place=None):
    """An array of `shape` with integers in [low, high)."""
    generator = default_generator(place)
    xp = _device.module_for(generator.place)
    return xp.asarray(generator.rng.integers(low, high, tuple(shape))).astype(dtype, copy=False)


def permutation(n: int, dtype=np.int64, place=None):
    """0 .. n-1 in random order, in `place`."""
    generator = default_generator(place)
    xp = _device.module_for(generator.place)
    if generator.place.is_gpu_place():
        return xp.argsort(generator.rng.random(n, dtype=np.float64)).astype(dtype, copy=False)
    return generator.rng.permutation(n).astype(dtype, copy=False)


def get_rng_state(device=None) -> list:
    """The states of the current device's generator (a list of one, as Paddle gives one per device)."""
    return [default_generator(None if device is None else _device.parse(device)).get_state()]


def get_cuda_rng_state() -> list:
    """The state of every GPU's generator; empty without a GPU."""
    return [default_generator(_device.CUDAPlace(i)).get_state() for i in range(_device.device_count())]


def set_cuda_rng_state(state_list) -> None:
    """Takes back what `get_cuda_rng_state` gave."""
    if len(state_list) != _device.device_count():
        raise ValueError(explain("set_cuda_rng_state", f"one state per GPU, {_device.device_count()}",
                                 str(len(state_list))))
    for i, state in enumerate(state_list):
        default_generator(_device.CUDAPlace(i)).set_state(state)


def set_rng_state(states, device=None) -> None:
    """Takes back what `get_rng_state` gave."""
    default_generator(None if device is None else _device.parse(device)).set_state(states[0])
