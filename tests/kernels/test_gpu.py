"""The same checks on a real GPU: every rule, the dtypes, sparse rows, replay from a graph. `make gpu-check` runs
them."""

import numpy as np
import pytest

from gpuflow_kernels.norm import global_norm
from gpuflow_kernels.rows import merged
from gpuflow_kernels.update import CLIP_GROUP, DENSE, SPARSE, rules
from gpuflow_kernels.update.cases import Problem, every_strategy, on_host
from gpuflow_kernels.update.rules import RULES
from tests.kernels.test_step import MIX, compare, mixed

pytestmark = pytest.mark.gpu


@pytest.fixture
def cupy():
    try:
        import cupy
    except ImportError:
        pytest.skip("CuPy is missing: pip install 'gpuflow[cuda13x]'")
    if not cupy.cuda.is_available():
        pytest.skip("CuPy sees no GPU")
    return cupy


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_rule_with_every_strategy(rule, cupy):
    Problem(rule, columns=every_strategy(9), xp=cupy).check_three_steps()


@pytest.mark.parametrize(
    ("dtype", "master", "ema"), [("bfloat16", True, True), ("float16", False, False), ("float64", False, True)]
)
def test_dtypes(dtype, master, ema, cupy):
    problem = Problem(rules.adamw, dtype=dtype, master=master, ema=ema, columns=every_strategy(9, 1), xp=cupy)
    problem.check_step(ema_decay=0.9)


@pytest.mark.parametrize(("rule", "kinds"), [(rules.adamw, MIX), (rules.lamb, MIX[::2])],
                         ids=lambda x: getattr(x, "name", ""))
def test_one_launch_over_several_dtypes(rule, kinds, cupy):
    here, run = mixed(rule, kinds)
    there, run_there = mixed(rule, kinds, xp=cupy, placed=cupy.asarray)
    for _ in range(3):
        here.run(0.1, **run)
        there.run(0.1, **run_there)
    np.testing.assert_allclose(float(there.norm(0)), here.norm(0), rtol=1e-12)
    compare(there, here)


def test_rows_that_come_several_times(cupy):
    rng = np.random.default_rng(0)
    ids, values = rng.integers(-1, 300, 5000), rng.standard_normal((5000, 70)).astype(np.float32)
    found, sums = (a.get() for a in merged(cupy, cupy.asarray(ids), cupy.asarray(values)))
    table = np.zeros((300, 70), np.float32)
    np.add.at(table, ids[ids >= 0], values[ids >= 0])
    assert (sums[found >= 0] == table[np.unique(ids[ids >= 0])]).all()


def test_sparse_rows(cupy):
    """Three rows of an embedding [50, 12] move as a parameter made of them does, whose step is the reference's."""
    ids, values = cupy.array([49, 3, 7]), cupy.asarray(np.random.default_rng(0).standard_normal((3, 12)), np.float32)
    whole, part = (Problem(rules.adam, sizes, columns={"clip": CLIP_GROUP, "hi": 0.5, "l2": 0.1}, xp=cupy)
                   for sizes in ((5, 600), (5, 36)))
    pairs = [(whole.bucket.param, part.bucket.param), *zip(whole.bucket.state.values(), part.bucket.state.values())]
    for large, little in pairs:
        little[:64], little[64:100] = large[:64], large[64:664].reshape(50, 12)[ids].ravel()
    part.bucket.grad[:64], part.bucket.grad[64:100] = whole.bucket.grad[:64], values.ravel()
    part.check_step(0.1, [rules.adam.at(2)] * 2)
    untouched = on_host(whole.bucket.param)[64:664].reshape(50, 12)
    whole.step.set_active([DENSE, SPARSE])
    whole.step.run(0.1, rules.adam.at(2), sparse=[(1, ids, values)])
    for large, little in pairs:
        rows = on_host(large)[64:664].reshape(50, 12)
        np.testing.assert_allclose(rows[[49, 3, 7]].ravel(), on_host(little)[64:100], rtol=2e-6, atol=2e-6)
    others = np.setdiff1d(np.arange(50), [49, 3, 7])
    assert (on_host(whole.bucket.param)[64:664].reshape(50, 12)[others] == untouched[others]).all()


def test_norm_of_loose_arrays(cupy):
    x = cupy.full(10**8, 1e-4, np.float32)
    assert abs(float(global_norm([x])) / (1e4 * np.float64(np.float32(1e-4))) - 1) < 1e-9


@pytest.mark.parametrize("rule", [rules.adamw, rules.lamb], ids=lambda rule: rule.name)
def test_a_graph_replays_the_same_bits(rule, cupy):
    """Rate, numbers and clip scale change in device memory between replays; counters are 0 again after each."""
    plain, graphed = (Problem(rule, columns={"clip": CLIP_GROUP, "hi": 1.0}, xp=cupy) for _ in range(2))
    stream = cupy.cuda.Stream(non_blocking=True)
    cupy.cuda.Device().synchronize()
    with stream:
        for problem in (plain, graphed):
            problem.step.run(0.1, rule.at(1))
        stream.begin_capture()
        graphed.step.launch()
        graph = stream.end_capture()
        for t in range(2, 8):
            plain.step.run(0.1 / t, rule.at(t))
            graphed.step.refresh(0.1 / t, rule.at(t))
            graph.launch(stream)
        stream.synchronize()
    assert (plain.bucket.param == graphed.bucket.param).all()
    assert plain.step.norm(0) == graphed.step.norm(0)
