"""FusedStep against the float64 reference, on Numba and on the CUDA text under the host header."""

import itertools
import tracemalloc

import numpy as np
import pytest

from gpuflow_kernels.update import (
    CLIP_GROUP,
    CLIP_NONE,
    CLIP_NORM,
    CLIP_VALUE,
    DENSE,
    INACTIVE,
    SPARSE,
    STILL,
    Bucket,
    FusedStep,
    UpdateRule,
    cpu,
    numba_text,
    rules,
)
from gpuflow_kernels.update.cases import ROUNDING, TOLERANCE, Problem, every_strategy, numpy_dtype, on_host
from gpuflow_kernels.update.layout import STAGES
from gpuflow_kernels.update.rules import RULES
from tests.kernels.host import device

DTYPES = [
    ("float32", False, False),
    ("float64", False, True),
    ("bfloat16", True, True),
    ("float16", True, False),
    ("bfloat16", False, False),
    ("float16", False, False),
]


@pytest.fixture(scope="session", autouse=True)
def build_the_host_kernels_together():
    """Two g++ runs for most kernels of these tests instead of one for each."""
    if device.compiler():
        engine, every = device.HostDevice(), every_strategy(9)
        problems = [Problem(rule, columns=every, engine=engine) for rule in RULES.values()]
        problems += [Problem(rules.adamw, dtype=dtype, master=master, ema=ema, columns=every, engine=engine)
                     for dtype, master, ema in DTYPES]
        device.prepare([kernel for problem in problems for kernel in device.kernels_of(problem.step)])


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_rule_with_every_strategy(rule, engine):
    Problem(rule, columns=every_strategy(9), engine=engine).check_three_steps()


@pytest.mark.parametrize(
    ("rule", "dtype", "master", "ema"),
    [*((rules.adamw, *row) for row in DTYPES), (rules.lamb, *DTYPES[2])],
    ids=lambda x: getattr(x, "name", str(x)),
)
def test_dtypes_master_and_average(rule, dtype, master, ema, engine):
    problem = Problem(rule, dtype=dtype, master=master, ema=ema, columns=every_strategy(9, 1), engine=engine)
    for _ in range(2):
        problem.check_step(lr=0.05, ema_decay=0.9 if ema else None)


def test_float32_gradients_of_two_byte_parameters(engine):
    Problem(
        rules.adamw, dtype="bfloat16", grad_dtype="float32", master=True, columns={"decay": 0.1}, engine=engine
    ).check_step()


@pytest.mark.parametrize("stage", [(), *[(s,) for s in STAGES]], ids=lambda s: "+".join(s) or "none")
def test_a_stage_that_no_row_uses_is_left_out(stage):
    columns = {
        "scale": {"clip": CLIP_GROUP, "hi": 0.5},
        "value": {"clip": CLIP_VALUE, "lo": -0.1, "hi": 0.2},
        "l2": {"l2": 0.1},
        "l1": {"l1": 0.1},
    }
    problem = Problem(rules.sgd, columns={k: v for s in stage for k, v in columns[s].items()})
    problem.check_step()
    assert problem.step.plans[0].stages == stage


def test_order_is_clip_then_regularise_then_rule():
    """l2 of 10 on p = 3 gives g = 31 after clipping g = 5 to 1; the other order would give 1."""
    bucket = Bucket(np.full(64, 3.0), np.full(64, 5.0), {}, [0], [1])
    step = FusedStep(rules.sgd, bucket)
    step.set_columns(clip=CLIP_VALUE, lo=-1.0, hi=1.0, l2=10.0)
    step.run(lr=1.0)
    assert bucket.param[0] == 3.0 - 31.0
    assert (bucket.param[1:] == 3.0).all()


def test_group_norm_spans_dtypes_and_leaves_others_out(engine):
    half = Bucket(np.ones(64, np.float16), np.full(64, 300, np.float16), {}, [0], [64])
    full = Bucket(np.ones(128, np.float32), np.full(128, 2, np.float32), {}, [0, 64], [64, 128])
    step = FusedStep(rules.sgd, [half, full], engine=engine)
    step.set_columns(clip=[CLIP_GROUP, CLIP_GROUP, CLIP_NONE], hi=1.0)
    step.run(lr=1.0)
    norm = np.sqrt(64 * 300.0**2 + 64 * 2.0**2)
    np.testing.assert_allclose(step.norm(0), norm, rtol=1e-12)
    np.testing.assert_allclose(full.param[:64], 1 - 2 / norm, rtol=1e-6)
    assert (full.param[64:] == -1).all()
    np.testing.assert_allclose(step.row_norms(), [2400, 16, 16])


def test_inactive_rows_are_in_no_norm_and_untouched(engine):
    problem = Problem(
        rules.adamw, sizes=(10, 20, 30), columns={"clip": CLIP_GROUP, "hi": 1.0, "decay": 0.5}, engine=engine
    )
    problem.bucket.grad[64:84] = np.nan
    before = problem.bucket.param.copy()
    problem.step.set_active([DENSE, INACTIVE, DENSE])
    problem.check_step()
    assert (problem.bucket.param[64:128] == before[64:128]).all()
    g = problem.bucket.grad
    np.testing.assert_allclose(problem.step.norm(0), np.sqrt((np.r_[g[:10], g[128:158]].astype(float) ** 2).sum()))


@pytest.mark.parametrize("rule", [rules.adamw, rules.lamb], ids=lambda rule: rule.name)
def test_averages_of_inactive_rows_go_on(rule, engine):
    problem = Problem(rule, sizes=(10, 2000, 30), dtype="bfloat16", master=True, ema=True, engine=engine)
    problem.step.set_active([DENSE, INACTIVE, DENSE])
    problem.check_step(ema_decay=0.9)
    problem.step.set_active([INACTIVE] * 3)
    problem.check_step(ema_decay=0.5)


def test_columns_may_change_between_steps(engine):
    problem = Problem(rules.adamw, columns={"clip": CLIP_NORM, "hi": 0.5}, engine=engine)
    problem.check_step()
    problem.step.set_columns(**every_strategy(9, 2))
    problem.check_step()
    problem.step.set_columns(clip=CLIP_NONE, l1=0, l2=0)
    problem.check_step()
    assert problem.step.plans[0].stages == ()


@pytest.mark.parametrize(
    "bad",
    [
        {"lr_scale": np.nan},
        {"l2": [1, 2]},
        {"clip": 4},
        {"set": 2},
        {"group": 2},
        {"rate": 1.0},
        {"clip": CLIP_NORM, "hi": -1.0},
    ],
)
def test_columns_that_cannot_be_meant_are_refused(bad):
    with pytest.raises(ValueError):
        Problem(rules.sgd).step.set_columns(**bad)


def test_unscale_comes_before_the_norm_and_the_clip(engine):
    problem = Problem(rules.adamw, columns=every_strategy(9, 3), engine=engine)
    problem.bucket.grad *= 1024
    plain = np.sqrt((problem.bucket.grad.astype(float) ** 2).sum()) / 1024
    problem.check_step(unscale=1 / 1024)
    np.testing.assert_allclose(np.sqrt((np.asarray(problem.step.row_norms()) ** 2).sum()), plain, rtol=1e-12)
    problem.check_step(unscale=None)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("clip", [CLIP_NONE, CLIP_VALUE, CLIP_GROUP])
def test_nonfinite_gradients_skip_the_step_or_go_on(value, clip, engine):
    for policy in ("skip", "propagate"):
        problem = Problem(rules.momentum, sizes=(100, 10000), on_nonfinite=policy, engine=engine,
                          columns={"clip": clip, "lo": -1.0, "hi": 1.0})
        problem.bucket.grad[9000] = value
        before = problem.bucket.param.copy(), problem.bucket.state["v"].copy()
        problem.step.run(0.1, problem.rule.at(1))
        same = (problem.bucket.param == before[0]).all() and (problem.bucket.state["v"] == before[1]).all()
        assert same == (policy == "skip")
        if policy == "skip":
            assert problem.step.nonfinite()
            problem.new_gradients()
            problem.check_step()
            assert not problem.step.nonfinite()
        elif clip == CLIP_VALUE and not np.isnan(value):
            assert np.isfinite(problem.bucket.param).all()  # bounds hold infinities
        else:
            assert not np.isfinite(problem.bucket.param[9000])


@pytest.mark.parametrize("rule", [rules.sgd, rules.adam, rules.adagrad, rules.momentum], ids=lambda r: r.name)
def test_sparse_rows_update_as_a_dense_step_on_those_rows(rule, engine):
    """Embedding [50, 12]: rows 3, 7 and 49 move exactly as a parameter made of those three rows would; others stay."""
    ids, rng = np.array([49, 3, 7]), np.random.default_rng(0)
    problem = Problem(rule, sizes=(5, 600), columns={"clip": CLIP_GROUP, "hi": 0.5, "l2": 0.1}, engine=engine)
    values = rng.standard_normal((3, 12)).astype(np.float32)
    before = problem.bucket.param.copy(), {k: v.copy() for k, v in problem.bucket.state.items()}

    table = slice(64, 664)
    small = Problem(rule, sizes=(5, 36), columns={"clip": CLIP_GROUP, "hi": 0.5, "l2": 0.1})
    pairs = [
        (problem.bucket.param, small.bucket.param),
        *[(problem.bucket.state[s], small.bucket.state[s]) for s in rule.state],
    ]
    for large, little in pairs:
        little[:64], little[64:100] = large[:64], large[table].reshape(50, 12)[ids].ravel()
    small.bucket.grad[:64], small.bucket.grad[64:100] = problem.bucket.grad[:64], values.ravel()
    small.step.run(0.1, rule.at(2))

    problem.step.set_active([DENSE, SPARSE])
    problem.step.run(0.1, rule.at(2), sparse=[(1, ids, values)])
    np.testing.assert_allclose(problem.step.norm(0), small.step.norm(0), rtol=1e-12)
    others = np.setdiff1d(np.arange(50), ids)
    olds = [before[0], *[before[1][s] for s in rule.state]]
    for (large, little), old in zip(pairs, olds):
        np.testing.assert_allclose(large[table].reshape(50, 12)[ids].ravel(), little[64:100], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(large[:5], little[:5], rtol=1e-6, atol=1e-6)
        assert (large[table].reshape(50, 12)[others] == old[table].reshape(50, 12)[others]).all()


def test_sparse_rows_must_be_announced_and_fit():
    problem = Problem(rules.sgd, sizes=(600,))
    with pytest.raises(ValueError, match="set_active"):
        problem.step.run(0.1, sparse=[(0, np.array([1]), np.ones((1, 12), np.float32))])
    problem.step.set_active([SPARSE])
    with pytest.raises(ValueError, match="set_active"):
        problem.step.run(0.1)
    with pytest.raises(ValueError, match="width"):
        problem.step.run(0.1, sparse=[(0, np.array([1]), np.ones((1, 11), np.float32))])
    lamb = Problem(rules.lamb, sizes=(600,)).step
    lamb.set_active([SPARSE])
    with pytest.raises(ValueError, match="dense"):
        lamb.run(0.1, rules.lamb.at(1), sparse=[(0, np.array([1]), np.ones((1, 12), np.float32))])


def test_ids_below_zero_and_no_ids_at_all(engine):
    """They move nothing and count in no norm; the rows beside them do."""
    columns = {"clip": CLIP_GROUP, "hi": 0.5}
    one, two = (Problem(rules.adam, sizes=(5, 600, 36), columns=columns, engine=engine) for _ in range(2))
    values = np.ones((3, 12), np.float32)
    for problem, ids in ((one, np.array([-1, 7, -1])), (two, np.array([7]))):
        problem.step.set_active([DENSE, SPARSE, SPARSE])
        for _ in range(2):   # the second time every counter must be as it was
            problem.step.run(0.1, rules.adam.at(2), sparse=[(2, np.zeros(0, np.int64), values[:0]),
                                                            (1, ids, values[: len(ids)])])
    assert one.bucket.param.tobytes() == two.bucket.param.tobytes()
    dense = one.bucket.grad[:5].astype(float)
    np.testing.assert_allclose(one.step.norm(0), np.sqrt(12 + dense @ dense), rtol=1e-12)


def test_the_norm_is_right_when_more_rows_come_than_ever_before(engine):
    """Partial sums move to a longer buffer then, those of dense rows too."""
    problem = Problem(rules.adam, sizes=(5, 600), columns={"clip": CLIP_GROUP, "hi": 0.5}, engine=engine)
    step = problem.step
    step.set_active([DENSE, SPARSE])
    for count in (2, 5, 1, 9):
        problem.bucket.grad[:5] = count
        step.run(0.1, rules.adam.at(1), sparse=[(1, np.arange(count), np.full((count, 12), 2, np.float32))])
        assert float(step.norm(0)) == pytest.approx((5 * count**2 + 4 * 12 * count) ** 0.5, rel=1e-12)


def test_thirty_sparse_tables_take_two_launches(host_device):
    count, steps = 30, []
    for engine in (host_device, None):
        problem = Problem(rules.adam, sizes=(60,) * count, columns={"clip": CLIP_GROUP, "hi": 0.5}, engine=engine)
        problem.step.set_active([SPARSE] * count)
        given = [(row, np.array([row % 3, 3 + row % 2]), np.full((2, 12), row + 1.0)) for row in range(count)]
        problem.step.run(0.1, rules.adam.at(1), sparse=given[::-1])
        steps.append(problem)
    assert host_device.launches == ["sumsq", "update"]
    np.testing.assert_allclose(steps[0].step.norm(0), steps[1].step.norm(0), rtol=1e-12)
    np.testing.assert_allclose(steps[0].bucket.param, steps[1].bucket.param, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("rule", [rules.adamw, rules.lamb], ids=lambda r: r.name)
def test_still_rows_count_in_the_norm_and_stay(rule, engine):
    problem = Problem(rule, sizes=(100, 70), columns={"clip": CLIP_GROUP, "hi": 0.5}, ema=True, engine=engine)
    problem.step.set_active([DENSE, STILL])
    problem.check_step(ema_decay=0.9)
    g = problem.bucket.grad.astype(float)
    np.testing.assert_allclose(problem.step.norm(0), np.sqrt(g @ g), rtol=1e-12)


def test_between_sees_and_may_change_the_norms(engine):
    problem = Problem(rules.sgd, columns={"clip": CLIP_GROUP, "hi": 1.0}, engine=engine)
    g, before = problem.bucket.grad.astype(float), problem.bucket.param.copy()

    def from_three_other_processes(sums):
        sums *= 4.0

    problem.step.run(1.0, between=from_three_other_processes)
    np.testing.assert_allclose(problem.bucket.param, before - g / (2 * np.sqrt(g @ g)), rtol=1e-5, atol=1e-6)


def test_asgd_ring_by_rebind():
    problem = Problem(rules.asgd, sizes=(100,))
    slots = [np.zeros_like(problem.bucket.param) for _ in range(3)]
    problem.bucket.state["d"][:] = 0
    total = []
    for t in range(1, 6):
        problem.step.rebind(y=slots[(t - 1) % 3])
        problem.new_gradients()
        total.append(problem.bucket.grad[:100].astype(float))
        problem.check_step(numbers=[rules.asgd.at(t, batch_num=3)] * 2)
        np.testing.assert_allclose(problem.bucket.state["d"][:100], sum(total[-3:]), atol=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        {"param": np.zeros(64, np.int32)},
        {"grad": np.zeros(65, np.float32)},
        {"grad": np.zeros(64, np.float16)},
        {"state": {}},
        {"state": {"v": np.zeros(64)}},
        {"begin": [1]},
        {"begin": [0, 0], "end": [64, 64]},
        {"end": [65]},
        {"end": [-1]},
        {"master": np.zeros(64, np.float32)},
        {"param": np.zeros(128, np.float32)[::2]},
    ],
)
def test_buffers_that_do_not_fit_are_refused(change):
    good = {
        "param": np.zeros(64, np.float32),
        "grad": np.zeros(64, np.float32),
        "state": {"v": np.zeros(64, np.float32)},
        "begin": [0],
        "end": [64],
    }
    FusedStep(rules.momentum, Bucket(**good))
    with pytest.raises((ValueError, TypeError), match="bucket 0"):
        FusedStep(rules.momentum, Bucket(**{**good, **change}))


def test_numbers_are_named_when_missing():
    with pytest.raises(ValueError, match="'mu'"):
        Problem(rules.momentum).step.run(0.1, {"momentum": 0.9})
    with pytest.raises(ValueError, match="2 sets"):
        Problem(rules.momentum).step.run(0.1, [{"mu": 0.9}])


def test_a_rule_of_ones_own(engine):
    lion = UpdateRule(
        "my_lion",
        state=("m",),
        numbers=("b1", "c1", "b2", "c2"),
        formula="""
        p = p - lr * decay * p
        p = p - lr * sign(b1 * m + c1 * g)
        m = b2 * m + c2 * g
    """,
        at=lambda t: {"b1": 0.9, "c1": 0.1, "b2": 0.99, "c2": 0.01},
    )
    mine, shipped = (
        Problem(rule, columns=every_strategy(9), engine=engine)
        for rule in (lion, rules.lion)
    )
    mine.check_step()
    shipped.check_step()
    # two texts, which the compiler may contract differently: a few roundings of float32
    np.testing.assert_allclose(mine.bucket.param, shipped.bucket.param, rtol=1e-6, atol=1e-7)


def test_no_rows_and_only_empty_rows(engine):
    for sizes in ((), (0, 0)):
        problem = Problem(rules.adamw, sizes=sizes, columns={"clip": CLIP_GROUP, "hi": 1.0}, engine=engine)
        problem.check_step()
        assert float(problem.step.norm(0)) == 0.0


# -- rows taken together on the CPU ----------------------------------------------------------------------------------


def test_rows_that_want_the_same_are_one_run():
    problem = Problem(rules.adamw, sizes=(0, 5, 8192, 0, 130, 64, 1), columns={"clip": CLIP_GROUP, "hi": 1.0})
    problem.check_step()
    updates = problem.step.tables["runs"]["updates"]
    assert updates.chunks[0].tolist() == [[0, 8192, 1, 0, 0, 1], [8192, 8192 + 64 + 192 + 64 + 1, 1, 8192, 1, 2]]
    assert updates.gaps.tolist() == [[5, 64], [64 + 8192 + 130, 64 + 8192 + 192]]
    np.testing.assert_allclose(problem.step.row_norms(),
                               [np.linalg.norm(g) for g in problem.split(problem.bucket.grad)], rtol=1e-12)
    problem.step.set_columns(lr_scale=[1, 1, 1, 1, 2, 2, 2])   # which is nothing to the norm
    problem.check_step()
    assert [len(problem.step.tables["runs"][name].chunks[0]) for name in ("updates", "norms")] == [3, 2]
    problem.step.set_columns(clip=[CLIP_GROUP] * 4 + [CLIP_NORM] * 3)
    problem.check_step()
    assert [len(problem.step.tables["runs"][name].chunks[0]) for name in ("updates", "norms")] == [5, 5]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("rule", "numbers"), [(rules.adam, {"epsilon": 0.0}), (rules.rprop, {}), (rules.adamax, {})],
                         ids=lambda x: getattr(x, "name", ""))
def test_padding_stays_zero_where_the_rule_would_move_it(rule, numbers, dtype):
    """Adam divides zero by an epsilon of zero there, Rprop lifts its rate, Adamax its largest gradient."""
    problem = Problem(rule, sizes=(5, 70, 64, 1, 9000, 3), dtype=dtype)
    problem.check_step(numbers=[rule.at(3) | numbers] * 2)


def test_padding_that_stays_as_the_rule_left_it_is_noticed(monkeypatch):
    """The test above can fail: without `tidy` the padding between rows that run together is what Rprop makes of it."""
    text, line = numba_text.update_text, "for k in range(gaps.shape[0]):"
    monkeypatch.setattr(numba_text, "update_text", lambda *given: text(*given).replace(line, "for k in range(0):"))
    cpu._update.cache_clear()
    try:
        with pytest.raises(AssertionError, match="padding was written"):
            Problem(rules.rprop, sizes=(5, 70)).check_step()
    finally:
        cpu._update.cache_clear()


# -- what makes it fit for a GPU: launches, allocations, waiting -----------------------------------------------------


def _watched(step, *arguments, **more):
    """One step in which nothing may wait for the device."""
    device.DeviceArray.watched = True
    try:
        step.run(*arguments, **more)
    finally:
        device.DeviceArray.watched = False


@pytest.mark.parametrize(
    ("rule", "columns"), [*((rule, every_strategy(9)) for rule in RULES.values()), (rules.adamw, {}), (rules.lamb, {})],
    ids=lambda x: getattr(x, "name", "some" if x else "none"))
def test_launches_copies_and_allocations_per_step(rule, columns, host_device):
    """At most three launches, one small copy, nothing new and no waiting; whatever the rule and the strategies."""
    problem = Problem(rule, sizes=(0, 5, 40, 64, 3, 7, 1, 8, 9), columns=columns, engine=host_device)
    problem.step.run(0.1, [rule.at(1)] * 2)
    before = host_device.allocations, host_device.copies
    host_device.launches.clear()
    _watched(problem.step, 0.1, [rule.at(2)] * 2)
    assert host_device.launches == ["sumsq"] * bool(columns) + ["update"] * (1 + rule.layered)
    assert (host_device.allocations, host_device.copies) == (before[0], before[1] + 1)


MIX = [DTYPES[0], DTYPES[1], DTYPES[2], DTYPES[5]]   # float32, float64, bfloat16 with a master, float16 without
EVERY_STAGE = {"clip": [CLIP_GROUP, CLIP_NORM, CLIP_VALUE], "lo": [-0.5] * 3, "hi": [0.5] * 3, "l1": [0.1, 0.0, 0.0],
               "l2": [0.0, 0.1, 0.0], "decay": [0.0, 0.1, 0.0]}


def on_the_double(array):
    return array.view(device.DeviceArray)


def mixed(rule, kinds, engine=None, sizes=(600, 65, 36), xp=np, placed=on_the_double):
    """One step over a bucket of each kind, with every stage in use, a norm over all of them, a skip flag and, where it
    can be, a sparse gradient in each bucket; and what to run it with. placed: brings an array to the device."""
    buckets = [Problem(rule, sizes, dtype, master=master, ema=ema, seed=k, engine=engine, xp=xp).bucket
               for k, (dtype, master, ema) in enumerate(kinds)]
    step = FusedStep(rule, buckets, on_nonfinite="skip", engine=engine)
    step.set_columns(**{name: column * len(kinds) for name, column in EVERY_STAGE.items()})
    run = {"numbers": rule.at(1), "unscale": 0.5, "ema_decay": 0.9}
    if not rule.layered:
        step.set_active([DENSE, DENSE, SPARSE] * len(kinds))
        rng = np.random.default_rng(5)
        run["sparse"] = [(3 * k + 2, placed(np.array([k % 3, -1])),
                          placed(rng.standard_normal((2, 12)).astype(bucket.grad.dtype)))
                         for k, bucket in enumerate(buckets)]
    return step, run


def compare(one, other):
    """Two steps' buffers, each as near as its type allows; those of `one` on any device."""
    for plan, twin in zip(one.plans, other.plans):
        a, b = plan.bucket, twin.bucket
        for x, y in [*zip(a.state.values(), b.state.values()), *((getattr(a, n), getattr(b, n)) for n in BUFFERS)]:
            if x is not None:
                near = TOLERANCE.get(str(x.dtype), TOLERANCE["float32"]) + ROUNDING[str(x.dtype)]
                np.testing.assert_allclose(on_host(x).astype(float), y.astype(float), rtol=near, atol=near)


BUFFERS = ("param", "master", "ema")


class Counting(device.HostDevice):
    """Runs nothing, so that every rule and mix can be counted without compiling it."""

    def function(self, text, name):
        return lambda grid, block, arguments: self.launches.append(name)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_any_mix_of_dtypes_takes_three_launches_at_most(rule):
    for count in range(1, len(MIX) + 1):
        for kinds in itertools.combinations(MIX, count):
            engine = Counting()
            step, run = mixed(rule, kinds, engine)
            step.run(0.1, **run)
            before = engine.allocations, engine.copies
            engine.launches.clear()
            _watched(step, 0.1, **run)
            assert engine.launches == ["sumsq"] + ["update"] * (1 + rule.layered)
            assert (engine.allocations, engine.copies) == (before[0], before[1] + 1)


@pytest.mark.parametrize(("rule", "kinds"), [(rules.adamw, MIX), (rules.lamb, MIX[::2])],
                         ids=lambda x: getattr(x, "name", ""))
def test_one_launch_over_several_dtypes_does_to_each_what_it_should(rule, kinds, host_device):
    """Against the Numba kernels, which take one bucket after the other; in every warp order with the same bits."""
    here, run = mixed(rule, kinds)
    here.run(0.1, **run)
    found = set()
    for order in device.ORDERS:
        host_device.order = order
        there, run = mixed(rule, kinds, host_device)
        there.run(0.1, **run)
        found.add(there.norm(0).tobytes() + b"".join(plan.bucket.param.tobytes() for plan in there.plans))
    assert len(found) == 1
    np.testing.assert_allclose(there.norm(0), here.norm(0), rtol=1e-12)
    np.testing.assert_allclose(there.row_norms(), here.row_norms(), rtol=1e-12)
    compare(there, here)


def test_sparse_steps_take_two_launches_and_grow_only(host_device):
    """Varying ids: an allocation only where more rows come than ever before, and no waiting."""
    problem = Problem(rules.adam, sizes=(5, 600, 1200), columns={"clip": CLIP_GROUP, "hi": 0.5}, engine=host_device)
    problem.step.set_active([DENSE, SPARSE, SPARSE])
    rng, most = np.random.default_rng(0), 0
    for count in (3, 2, 0, 3, 9, 4, 9, 1, 10):
        ids = [rng.permutation(50)[:count].view(device.DeviceArray) for _ in range(2)]
        values = [np.ones((count, width), np.float32).view(device.DeviceArray) for width in (12, 24)]
        before, now = host_device.allocations, 2 * max(count, 1)
        host_device.launches.clear()
        _watched(problem.step, 0.1, rules.adam.at(1), sparse=[*zip((1, 2), ids, values)])
        assert host_device.launches == ["sumsq", "update"]
        assert host_device.allocations - before == (now > most)
        most = max(most, now)


@pytest.mark.parametrize("rule", [rules.adamw, rules.lamb], ids=lambda rule: rule.name)
def test_nothing_is_allocated_on_the_cpu(rule):
    """After the first step Python's own small objects come and go; a buffer of the smallest bucket would be seen."""
    step, run = mixed(rule, MIX[:1], sizes=(30_000, 65, 36))
    for _ in range(2):
        step.run(0.1, **run)
    tracemalloc.start()
    try:
        step.run(0.1, **run)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20_000 < step.plans[0].bucket.param.nbytes


def test_the_double_notices_a_wait(host_device):
    problem = Problem(rules.sgd, columns={"clip": CLIP_GROUP, "hi": 1.0}, engine=host_device)
    device.DeviceArray.watched = True
    try:
        with pytest.raises(AssertionError, match="waited"):
            problem.step.run(0.1, between=lambda sums: float(sums[0]))
    finally:
        device.DeviceArray.watched = False


def test_launch_replays_with_the_tables_of_the_last_refresh(host_device):
    """What a CUDA graph does: the same launches again, while rate and numbers changed in device memory."""
    a, b = (Problem(rules.adamw, columns={"clip": CLIP_GROUP, "hi": 1.0}, engine=host_device) for _ in range(2))
    for t in range(1, 4):
        a.step.run(0.1 / t, rules.adamw.at(t))
        b.step.refresh(0.1 / t, rules.adamw.at(t))
        b.step.launch()
    assert (a.bucket.param == b.bucket.param).all()


# -- bits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rule", "kinds"), [(rules.adamw, MIX), (rules.lamb, MIX[:1])],
                         ids=lambda x: getattr(x, "name", ""))
def test_same_bits_for_any_number_of_threads(rule, kinds):
    import numba

    found = set()
    most = numba.get_num_threads()
    try:
        for threads in range(1, most + 1):
            numba.set_num_threads(threads)
            step, run = mixed(rule, kinds, sizes=(100_003, 70, 6000))
            for _ in range(3):
                step.run(0.1, **run)
            found.add(step.norm(0).tobytes() + b"".join(plan.bucket.param.tobytes() for plan in step.plans))
    finally:
        numba.set_num_threads(most)
    assert most > 1 or pytest.skip("one core: nothing to compare")
    assert len(found) == 1


def test_same_bits_in_every_warp_order():
    found = set()
    for order in device.ORDERS:
        problem = Problem(rules.lamb, columns=every_strategy(9), engine=device.HostDevice(order))
        for t in range(1, 3):
            problem.step.run(0.1, rules.lamb.at(t))
        found.add((problem.bucket.param.tobytes(), np.asarray(problem.step.row_norms()).tobytes()))
    assert len(found) == 1


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_two_byte_conversions_are_exact(dtype, engine):
    """All 65536 bit patterns widen and come back, and float32 values round as ml_dtypes and NumPy round."""
    kind = numpy_dtype(dtype)
    every = np.arange(65536, dtype=np.uint16).view(kind)
    rng = np.random.default_rng(0)
    many = (rng.standard_normal(65536) * 10.0 ** rng.integers(-12, 12, 65536)).astype(np.float32)
    ties = (every.astype(np.float32).view(np.uint32) + np.uint32(0x8000 if dtype == "bfloat16" else 0x1000)).view(
        np.float32
    )
    identity = UpdateRule("identity", formula="p = p")
    with np.errstate(all="ignore"):
        for values in (every.astype(np.float32), many, ties):
            bucket = Bucket(np.zeros(65536, kind), np.zeros(65536, kind), {}, [0], [65536], values.copy())
            FusedStep(identity, bucket, engine=engine).run(0.0)
            expected = values.astype(kind)
            nan = np.isnan(expected.astype(np.float32))
            assert (np.isnan(bucket.param.astype(np.float32)) == nan).all()
            assert (bucket.param.view(np.uint16)[~nan] == expected.view(np.uint16)[~nan]).all()
        bucket = Bucket(every.copy(), np.zeros(65536, kind), {}, [0], [65536])
        FusedStep(identity, bucket, engine=engine).run(0.0)
        nan = np.isnan(every.astype(np.float32))
        assert (bucket.param.view(np.uint16)[~nan] == every.view(np.uint16)[~nan]).all()
