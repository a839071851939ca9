"""The kernel table: name, reference, cases, bytes moved. Tests, benchmarks and docs walk it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gpuflow_kernels.norm.global_norm import global_norm, reference
from gpuflow_kernels.update.cases import Problem, every_strategy, flat_step, numpy_dtype
from gpuflow_kernels.update.layout import CHUNK, CLIP_GROUP, DTYPES, Variant, arrays
from gpuflow_kernels.update.rules import RULES


@dataclass(frozen=True)
class Kernel:
    """One row of the table.

    name        as benchmarks print it.
    cases       check(engine=...) functions by name; each raises AssertionError where the result leaves the reference.
    bytes_per_element   what one call has to move at least, per float32 element.
    prepare     prepare(sizes, xp) -> (a call without arguments, its flat gradient, its flat parameter), for benchmarks;
                over NumPy or CuPy buffers.
    """

    name: str
    cases: dict[str, Callable]
    bytes_per_element: int
    prepare: Callable


def _update_bytes(rule) -> int:
    """Each array read once and written once, but the gradient, which is only read."""
    if not rule.layered:
        return 4 * (2 * len(arrays(rule, Variant())) - 1)
    state = len(rule.state)
    return 4 * (2 + 2 * state) + 4 * (2 + state)  # p, g, states in and states out; then p and states in, p out


def _norm_case(dtype):
    def check(engine=None):
        rng = np.random.default_rng(0)
        sizes = (0, 1, 7, 65, CHUNK, CHUNK + 1, 3 * CHUNK + 5)
        given = [rng.standard_normal(n).astype(numpy_dtype(dtype)) for n in sizes]
        np.testing.assert_allclose(float(global_norm(given, engine=engine)), reference(given), rtol=1e-12)

    return check


def _update_cases(rule) -> dict[str, Callable]:
    # mixtures only: a strategy on its own leaves stages out and so compiles a kernel of its own, a second each
    columns = {f"mix {seed}": every_strategy(9, seed) for seed in range(3)}
    return {
        name: lambda engine=None, c=c: Problem(rule, columns=c, engine=engine).check_step(lr=[0.1, 0.02])
        for name, c in columns.items()
    }


def _prepare_update(rule):
    def prepare(sizes, xp=np):
        step = flat_step(rule, sizes, xp, clip=CLIP_GROUP, hi=1.0, decay=0.01)
        numbers = rule.at(1)
        return (lambda: step.run(1e-3, numbers)), *_buffers(step)

    return prepare


def _prepare_norm(sizes, xp=np):
    step = flat_step(RULES["sgd"], sizes, xp, clip=CLIP_GROUP, hi=1.0)
    step.refresh(0.0)
    return step.take_norms, *_buffers(step)


def _buffers(step):
    bucket = step.plans[0].bucket
    return bucket.grad, bucket.param


KERNELS = [Kernel("global_norm", {dtype: _norm_case(dtype) for dtype in DTYPES}, 4, _prepare_norm)]
KERNELS += [
    # 4 more than the update alone: the norm that the clip needs reads the gradient once
    Kernel(f"clip + {rule.name}", _update_cases(rule), 4 + _update_bytes(rule), _prepare_update(rule))
    for rule in RULES.values()
]
