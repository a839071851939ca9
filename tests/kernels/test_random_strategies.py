"""Whatever mixture of strategies, sizes, dtypes and missing gradients, a step is the float64 reference's.

Three rows at the end use every stage, so that each of CASES is one kernel to compile however the rows before them fall.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from gpuflow_kernels.update import CLIP_GROUP, CLIP_NONE, CLIP_NORM, CLIP_VALUE, rules
from gpuflow_kernels.update.cases import Problem

CASES = {"adamw": {"rule": rules.adamw},
         "adamw bfloat16 master ema": {"rule": rules.adamw, "dtype": "bfloat16", "master": True, "ema": True},
         "adamw float64 ema": {"rule": rules.adamw, "dtype": "float64", "ema": True},
         "adamw float16": {"rule": rules.adamw, "dtype": "float16"}, "nesterov": {"rule": rules.nesterov},
         "lamb": {"rule": rules.lamb}}
SIZES = st.one_of(st.sampled_from([0, 1, 63, 64, 65, 4097]), st.integers(0, 300))
ROW = st.fixed_dictionaries({
    "lr_scale": st.sampled_from([0.0, 0.25, 1.0, 3.0]),
    "l1": st.sampled_from([0.0, 0.02]),
    "l2": st.sampled_from([0.0, 0.1]),
    "decay": st.sampled_from([0.0, 0.05]),
    "clip": st.sampled_from([CLIP_NONE, CLIP_VALUE, CLIP_NORM, CLIP_GROUP]),
    "lo": st.floats(-1.0, 0.0),
    "hi": st.sampled_from([0.0, 0.3, 2.0, 1e6]),
    "group": st.integers(0, 1),
    "set": st.integers(0, 1),
})
PLAIN = {"lr_scale": 1.0, "l1": 0.0, "l2": 0.0, "decay": 0.0, "clip": CLIP_NONE, "lo": -0.1, "hi": 0.1, "group": 0,
         "set": 0}
EVERY_STAGE = [PLAIN | one for one in ({"clip": CLIP_VALUE}, {"clip": CLIP_NORM}, {"l1": 0.1, "l2": 0.1})]


@st.composite
def steps(draw):
    """(sizes, columns, two masks of active rows, unscale, seed)."""
    rows = draw(st.lists(st.tuples(SIZES, ROW), max_size=6))
    sizes = (*(size for size, _ in rows), 64, 65, 5)
    columns = {name: [row[name] for row in [*(row for _, row in rows), *EVERY_STAGE]] for name in PLAIN}
    masks = [draw(st.lists(st.booleans(), min_size=len(sizes), max_size=len(sizes))) for _ in range(2)]
    return sizes, columns, masks, draw(st.sampled_from([None, 1 / 1024])), draw(st.integers(0, 99))


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(given_=steps())
def test_a_step_is_the_references(name, engine, given_):
    sizes, columns, masks, unscale, seed = given_
    problem = Problem(**CASES[name], sizes=sizes, columns=columns, seed=seed, engine=engine)
    for mask in masks:
        problem.new_gradients(1 / unscale if unscale else 1.0)
        problem.step.set_active(np.array(mask))
        problem.check_step(lr=[0.1, 0.02], unscale=unscale, ema_decay=0.9 if problem.ema else None)
