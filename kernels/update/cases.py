"""Problems of known answer for FusedStep, shared by the tests and the benchmarks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gpuflow_kernels import memory
from gpuflow_kernels.update import reference
from gpuflow_kernels.update.layout import ALIGN, CHUNK, CLIP_GROUP, CLIP_NONE, CLIP_NORM, CLIP_VALUE
from gpuflow_kernels.update.step import Bucket, FusedStep

# Relative error allowed for one step, of the larger of 1 and the value; two-byte types round to 8 and 11 bits on top.
TOLERANCE = {"float32": 4e-6, "float64": 1e-13}
ROUNDING = {"float32": 0.0, "float64": 0.0, "bfloat16": 2.0**-8, "float16": 2.0**-10}

# empty, one element, odd, exactly padded, one chunk exactly, one element over, two chunks and a bit
SIZES = (0, 1, 7, 64, 65, 1000, CHUNK, CHUNK + 1, 2 * CHUNK + 77)


def numpy_dtype(name: str) -> np.dtype:
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def on_host(array) -> np.ndarray:
    """The array in NumPy; waits for a GPU."""
    return array.get() if hasattr(array, "get") else np.asarray(array)


def layout_of(sizes) -> tuple[list[int], list[int], int]:
    """begin and end of each size when padded to multiples of 64, and the whole length."""
    begin, total = [], 0
    for size in sizes:
        begin.append(total)
        total += -(-size // ALIGN) * ALIGN
    return begin, [b + s for b, s in zip(begin, sizes)], max(total, ALIGN)


def every_strategy(rows: int, seed: int = 0) -> dict:
    """Columns in which every kind of strategy occurs and meets its neighbours: for tests of mixtures."""
    rng = np.random.default_rng(seed)
    clip = np.array([CLIP_NONE, CLIP_VALUE, CLIP_NORM, CLIP_GROUP])[(np.arange(rows) + seed) % 4]
    return {"lr_scale": rng.choice([0.0, 0.5, 1.0, 3.0], rows), "l1": rng.choice([0.0, 0.01], rows),
            "l2": rng.choice([0.0, 0.1], rows), "decay": rng.choice([0.0, 0.05], rows), "clip": clip,
            "lo": np.full(rows, -0.5), "hi": np.where(clip == CLIP_VALUE, 0.4, rng.choice([0.5, 3.0, 1e6], rows)),
            "group": rng.integers(0, 2, rows), "set": rng.integers(0, 2, rows)}


def flat_step(rule, sizes, xp=np, value: float = 1e-3, **columns) -> FusedStep:
    """A step over float32 buffers full of one value, on NumPy or CuPy, for benchmarks."""
    begin, end, total = layout_of(sizes)
    zeros = memory.zeros if xp is np else xp.zeros
    p, g, *states = (zeros(total, np.float32) for _ in range(2 + len(rule.state)))
    for buffer in (p, g, *states):
        for b, e in zip(begin, end):
            buffer[b:e] = value
    step = FusedStep(rule, [Bucket(p, g, dict(zip(rule.state, states)), begin, end)])
    step.set_columns(**columns)
    return step


@dataclass
class Problem:
    """Random buffers for a rule and sizes; `check_step` runs one step and compares all of it with the float64
    reference."""

    rule: object
    sizes: tuple = SIZES
    dtype: str = "float32"
    grad_dtype: str | None = None
    master: bool = False
    ema: bool = False
    columns: dict = field(default_factory=dict)
    on_nonfinite: str = "propagate"
    seed: int = 0
    engine: object = None
    xp: object = np  # NumPy or CuPy: where the buffers lie

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        begin, end, total = layout_of(self.sizes)
        self.real = "float64" if self.dtype == "float64" else "float32"
        inside = np.zeros(total, bool)
        for b, e in zip(begin, end):
            inside[b:e] = True
        self.inside, self.ranges = inside, list(zip(begin, end))

        def values(dtype, positive=False):
            x = rng.standard_normal(total)
            return self.xp.asarray(np.where(inside, np.abs(x) if positive else x, 0).astype(numpy_dtype(dtype)))

        param = values(self.dtype)
        master = param.astype(np.float32) if self.master else None
        # states start positive: second moments may not be negative, and no rule minds
        state = {name: values(self.real, positive=True) for name in self.rule.state}
        if {"s", "a"} <= set(state):
            state["a"] *= 0.1  # a centered rule has s >= a * a
            state["s"] += self.xp.asarray(inside.astype(self.real))
        self.bucket = Bucket(param, values(self.grad_dtype or self.dtype), state, begin, end, master,
                             values(self.real) if self.ema else None)
        self.rng = rng
        self.step = FusedStep(
            self.rule, [self.bucket], sets=2, groups=2, on_nonfinite=self.on_nonfinite, engine=self.engine
        )
        self.step.set_columns(**self.columns)

    def new_gradients(self, scale: float = 1.0):
        g = self.bucket.grad
        g[...] = self.xp.asarray(np.where(self.inside, self.rng.standard_normal(g.size) * scale, 0).astype(g.dtype))

    def split(self, array) -> list[np.ndarray]:
        """The rows' values, as float64 copies."""
        return [np.array(on_host(array)[b:e], np.float64) for b, e in self.ranges]

    def true_parameter(self):
        return self.bucket.param if self.bucket.master is None else self.bucket.master

    def check_three_steps(self):
        """Two steps, and one with every third row inactive; two number sets of different rates."""
        for _ in range(2):
            self.check_step(lr=[0.1, 0.02])
            self.new_gradients()
        self.step.set_active(np.arange(len(self.sizes)) % 3 != 1)
        self.check_step(lr=[0.1, 0.02])

    def check_step(self, lr=0.1, numbers=None, *, ema_decay=None, **run):
        """Runs one step; raises AssertionError where any buffer differs from the reference, or padding changed."""
        bucket, step = self.bucket, self.step
        before, state_before = self.split(self.true_parameter()), {k: self.split(v) for k, v in bucket.state.items()}
        ema_before = self.split(bucket.ema) if self.ema else None
        gradients = self.split(bucket.grad)
        numbers = numbers or [self.rule.at(3), self.rule.at(5)]
        step.run(lr, numbers, ema_decay=ema_decay, **run)

        states = [{k: v[row] for k, v in state_before.items()} for row in range(len(self.sizes))]
        expected, new_states = reference.step(self.rule, step.host, before, gradients, states)
        tolerance = TOLERANCE[self.real]
        # a two-byte parameter without a master is rounded once more when it is stored
        self._compare("p", self.true_parameter(), expected, tolerance + (0 if self.master else ROUNDING[self.dtype]))
        for name in bucket.state:
            self._compare(name, bucket.state[name], [s[name] for s in new_states], tolerance)
        if self.master:
            rounded = on_host(bucket.master).astype(numpy_dtype(self.dtype))
            np.testing.assert_array_equal(on_host(bucket.param), rounded, "param is not master, rounded")
        if self.ema:
            moved = [e + (1 - ema_decay) * (p - e) for e, p in zip(ema_before, expected)]   # inactive rows as well
            self._compare("ema", bucket.ema, moved, tolerance)

    def _compare(self, what, buffer, expected, tolerance):
        got = on_host(buffer).astype(np.float64)
        assert not got[~self.inside].any(), f"{what}: padding was written"
        for row, ((b, e), want) in enumerate(zip(self.ranges, expected)):
            np.testing.assert_allclose(got[b:e], want, rtol=tolerance, atol=tolerance, err_msg=f"{what} of row {row}")
