"""Programs and their runs: what is built, what a run computes and refuses, and where the numbers live."""
import gc
import tracemalloc

import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import nn, static

F = nn.functional


def feeds(rows=4, seed=0):
    rng = np.random.default_rng(seed)
    return {"x": rng.standard_normal((rows, 8)).astype("float32"), "y": rng.integers(0, 4, rows)}


def classifier():
    x, y = static.data("x", [None, 8]), static.data("y", [None], "int64")
    net = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1D(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 4))
    logits = net(x)
    return net, logits, F.cross_entropy(logits, y)


@pytest.fixture
def exe():
    return static.Executor()


def started(exe):
    exe.run(static.default_startup_program())


def test_a_function_of_variables_appends_an_operator_and_computes_nothing():
    x = static.data("x", [None, 3])
    y = F.relu(x * 2.0 + 1.0).sum(axis=1)
    assert isinstance(y, static.Variable) and y.shape == [-1] and y.dtype == paddle.float32
    ops = static.default_main_program().global_block().ops
    assert [op.type for op in ops] == ["multiply", "add", "relu", "sum"]
    with pytest.raises(RuntimeError, match="fetch_list"):
        y.numpy()
    with pytest.raises(TypeError, match=r"static\.nn\.cond"):
        bool(y.sum() > 0)


def test_run_gives_what_numpy_gives_for_any_number_of_rows(exe):
    x = static.data("x", [None, 3])
    y = F.relu(x * 2.0 - 1.0).sum(axis=1)
    for rows in (1, 4, 4, 0):
        array = np.linspace(-1, 1, 3 * rows, dtype="float32").reshape(rows, 3)
        (found,) = exe.run(feed={"x": array}, fetch_list=[y])
        np.testing.assert_allclose(found, np.maximum(array * 2 - 1, 0).sum(axis=1), rtol=1e-6)


def test_the_startup_program_brings_the_numbers_that_eager_mode_draws(exe):
    layer = nn.Linear(5, 3)
    assert layer.weight.name == "linear_0.w_0"
    paddle.seed(7)
    started(exe)
    paddle.disable_static()
    paddle.seed(7)
    np.testing.assert_array_equal(layer.weight.numpy(), nn.Linear(5, 3).weight.numpy())


@pytest.mark.parametrize("fetch", ["loss", "loss@GRAD", "w", "w@GRAD", "w@GRAD@CLIP", "learning_rate_0", "grad_norm_0"])
def test_a_fetch_changes_no_result(exe, fetch):
    def train(extra):
        with static.program_guard(static.Program(), static.Program()), paddle.utils.unique_name.guard():
            net, _, loss = classifier()
            paddle.optimizer.Adam(0.1, grad_clip=nn.ClipGradByGlobalNorm(0.5)).minimize(loss)
            names = {"loss": loss.name, "w": net[0].weight.name}
            wanted = [names[fetch.split("@")[0]] + fetch[len(fetch.split("@")[0]):]
                      if fetch.split("@")[0] in names else fetch] if extra else []
            paddle.seed(1)
            started(exe)
            for step in range(3):
                exe.run(feed=feeds(seed=step), fetch_list=wanted)
            return [p.numpy() for p in net.parameters()] + [net[1]._mean.numpy()]

    for plain, fetched in zip(train(False), train(True), strict=True):
        np.testing.assert_array_equal(plain, fetched)


def test_what_can_be_fetched_of_a_step(exe):
    _, _, loss = classifier()
    schedule = paddle.optimizer.lr.StepDecay(0.2, 1, 0.5)
    _, pairs = paddle.optimizer.SGD(schedule, grad_clip=nn.ClipGradByGlobalNorm(0.01)).minimize(loss)
    started(exe)
    grads = [g for _, g in pairs]
    for step in range(2):
        before = [p.numpy() for p, _ in pairs]
        rate, norm, *arrays = exe.run(feed=feeds(), fetch_list=["learning_rate_0", "grad_norm_0", *grads]
                                      + [f"{p.name}@GRAD@CLIP" for p, _ in pairs])
        raw, clipped = arrays[:len(pairs)], arrays[len(pairs):]
        assert rate == np.float32(0.2 * 0.5 ** step)
        np.testing.assert_allclose(norm, np.sqrt(sum((g.astype("float64") ** 2).sum() for g in raw)), rtol=1e-6)
        for (p, _), old, g, c in zip(pairs, before, raw, clipped, strict=True):
            np.testing.assert_allclose(c, g * (0.01 / norm), rtol=1e-5)
            np.testing.assert_allclose(p.numpy(), old - rate * c, rtol=1e-5, atol=1e-7)
        schedule.step()


def test_each_run_is_one_step(exe):
    w = paddle.create_parameter([1], "float32", default_initializer=nn.initializer.Constant(1.0))
    x = static.data("x", [1])
    paddle.optimizer.SGD(0.5).minimize((w * x).sum())
    started(exe)
    for step in range(1, 4):
        exe.run(feed={"x": np.array([0.25], "float32")})
        assert w.item() == 1.0 - 0.125 * step


@pytest.mark.parametrize(("feed", "fetch", "error", "words"), [
    ({}, None, ValueError, "'x', 'y'.*none for"),
    ({"z": np.zeros(3)}, None, ValueError, "'z'"),
    ({"x": np.zeros((4, 7), "float32")}, None, ValueError, r"'x'.*\[-1, 8\].*\[4, 7\]"),
    ({"x": np.zeros((4, 8), "int64")}, None, TypeError, "'x'.*float32.*int64"),
    ({"x": [[1.0], [2.0, 3.0]]}, None, ValueError, "'x'.*inhomogeneous"),
    ({"x": "no numbers"}, None, TypeError, "'x'.*float32"),
    ({"x": np.zeros((3, 8), "float32")}, None, ValueError, r"cross_entropy.*\[3, 4\].*\[4\][^$]*linear.out_1, y"),
    (None, "nobody", ValueError, "'nobody'"),
])
def test_run_refuses_what_it_cannot_mean(exe, feed, fetch, error, words):
    _, _, loss = classifier()
    started(exe)
    feed = feeds() if feed is None else feed if not feed else {**feeds(), **feed}
    with pytest.raises(error, match=words):
        exe.run(feed=feed, fetch_list=[fetch or loss])


def test_feeds_are_a_dict(exe):
    with pytest.raises(TypeError, match="a dict of names"):
        exe.run(feed=[np.zeros(3)])


def test_a_parameter_without_numbers_is_named(exe):
    _, _, loss = classifier()
    with pytest.raises(RuntimeError, match=r"linear_0\.w_0.*startup"):
        exe.run(feed=feeds(), fetch_list=[loss])


def test_a_clone_for_test_evaluates_and_takes_no_step(exe):
    net, logits, loss = classifier()
    test = static.default_main_program().clone(for_test=True)
    paddle.optimizer.SGD(0.1).minimize(loss)
    started(exe)
    for step in range(3):
        exe.run(feed=feeds(seed=step))
    weight, mean = net[0].weight.numpy(), net[1]._mean.numpy()
    (found,) = exe.run(test, feed=feeds(), fetch_list=[logits])
    np.testing.assert_array_equal(net[0].weight.numpy(), weight)
    np.testing.assert_array_equal(net[1]._mean.numpy(), mean)
    late = static.default_main_program().clone(for_test=True)    # after minimize: what only trains is left out
    np.testing.assert_array_equal(exe.run(late, feed=feeds(), fetch_list=[logits])[0], found)
    paddle.disable_static()
    net.eval()
    np.testing.assert_allclose(net(paddle.to_tensor(feeds()["x"])).numpy(), found, rtol=1e-5, atol=1e-6)


def test_programs_built_apart_share_a_scope_by_name(exe):
    with paddle.utils.unique_name.guard():
        _, logits, loss = classifier()
        paddle.optimizer.SGD(0.1).minimize(loss)
    test, unused = static.Program(), static.Program()
    with static.program_guard(test, unused), paddle.utils.unique_name.guard():
        _, again, _ = classifier()
    again_test = test.clone(for_test=True)
    started(exe)
    exe.run(feed=feeds())
    (found,) = exe.run(again_test, feed={"x": feeds()["x"]}, fetch_list=[again])
    (direct,) = exe.run(static.default_main_program().clone(for_test=True), feed={"x": feeds()["x"]},
                        fetch_list=[logits])
    np.testing.assert_array_equal(found, direct)


def test_scopes_keep_their_numbers_apart(exe):
    net, _, loss = classifier()
    paddle.optimizer.Momentum(0.1).minimize(loss)
    started(exe)
    outside = net[0].weight.numpy()
    for seed in (1, 2):
        scope = static.Scope()
        with static.scope_guard(scope):
            paddle.seed(seed)
            started(exe)
            exe.run(feed=feeds())
            inside = np.array(scope.find_var("linear_0.w_0").get_tensor())
            assert f"shape={list(inside.shape)}" in repr(scope.find_var("linear_0.w_0").get_tensor())
        assert not np.array_equal(inside, outside)
        np.testing.assert_array_equal(net[0].weight.numpy(), outside)


def test_a_startup_program_runs_again_in_a_scope_of_its_own(exe):
    classifier()
    scope, startup = static.Scope(), static.default_startup_program()
    found = []
    for seed in (1, 2, 1):
        paddle.seed(seed)
        exe.run(startup, scope=scope)
        found.append(np.array(scope.find_var("linear_0.w_0").get_tensor()))
    assert not np.array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_a_scope_forgets_the_optimizers_that_are_gone(exe):
    """Kept by their ids, one's momentum went on in another that came to lie at the same address."""
    scope = static.Scope()
    for momentum in (0.9, 0.0):
        with static.program_guard(static.Program(), static.Program()), paddle.utils.unique_name.guard():
            _, _, loss = classifier()
            optimizer = paddle.optimizer.Momentum(0.1, momentum)
            optimizer.minimize(loss)
            exe.run(static.default_startup_program(), scope=scope)
            exe.run(static.default_main_program(), feed=feeds(), scope=scope)
        assert list(scope.workers) == [optimizer]
        del optimizer, loss, _
        gc.collect()
        assert not scope.workers


def test_an_op_in_place_gives_a_variable_another_value(exe):
    x = static.data("x", [3])
    y = x * 1.0
    before = y + 0.0
    y.add_(paddle.ones([3]))
    y[1] = 7.0
    found = exe.run(feed={"x": np.zeros(3, "float32")}, fetch_list=[before, y])
    np.testing.assert_array_equal(found, [[0, 0, 0], [1, 7, 1]])


def test_gradients_add_up_and_stop_where_they_are_told(exe):
    x = static.data("x", [2])
    x.stop_gradient = False
    a, b = x * 3.0, x * x
    b.stop_gradient = True
    (g,) = static.gradients([a + b, a * x], x)
    assert static.gradients(b, x) == [None]
    (found,) = exe.run(feed={"x": np.array([1.0, 2.0], "float32")}, fetch_list=[g])
    np.testing.assert_allclose(found, [3 + 6 * 1, 3 + 6 * 2])


def test_dead_operators_do_not_run_and_arrays_are_let_go(exe):
    x = static.data("x", [None, 2])
    paddle.log(x)
    kept = x + 1.0
    plan = exe._plan(static.default_main_program(), [kept])
    assert len(plan.steps) == 1 and len(static.default_main_program().global_block().ops) == 2


@pytest.mark.parametrize("fusion", ["never", "always"])
def test_a_run_needs_no_more_memory_than_eager_mode(exe, fusion, monkeypatch):
    """Of forward and back of twelve layers: a plan lets go of each array after its last reader."""
    monkeypatch.setenv("GPUFLOW_FUSION", fusion)
    layers = [layer for _ in range(12) for layer in (nn.Linear(64, 64), nn.ReLU())]
    net, batch = nn.Sequential(*layers), np.random.default_rng(0).standard_normal((512, 64)).astype("float32")
    loss = net(static.data("x", [None, 64])).mean()
    static.append_backward(loss)
    started(exe)
    wanted = [loss, *(f"{p.name}@GRAD" for p in net.parameters())]

    def eager():
        net(paddle.to_tensor(batch)).mean().backward()
        gradients = [p.grad.numpy() for p in net.parameters()]
        for p in net.parameters():
            p.clear_grad()
        return gradients

    in_program = peak(lambda: exe.run(feed={"x": batch}, fetch_list=wanted))
    paddle.disable_static()
    assert in_program <= 1.02 * peak(eager)


def peak(function) -> int:
    """Bytes at the highest point of the second call, above what was there before."""
    function()
    gc.collect()
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_plan_cache_is_bounded(exe):
    x = static.data("x", [2])
    fetches = [x + float(k) for k in range(20)]
    for fetch in fetches:
        exe.run(feed={"x": np.zeros(2, "float32")}, fetch_list=[fetch])
    assert len(static.default_main_program().plans) <= 16


def test_a_program_prints_as_a_person_reads_it():
    classifier()
    text = str(static.default_main_program())
    assert "data x: float32 [-1, 8]" in text and "parameter linear_0.w_0: float32 [8, 16]" in text
    assert "relu.out_0: float32 [-1, 16] = relu(" in text
    assert "linear_0.b_0: float32 [16] = initialise(Constant(value=0.0))" in str(static.default_startup_program())


def test_guards_nest_and_come_undone():
    outer, inner, startup = static.Program(), static.Program(), static.Program()
    default = static.default_main_program(), static.default_startup_program()
    with pytest.raises(RuntimeError, match="on the way"), static.program_guard(outer, startup):
        static.data("a", [1]) + 1.0
        with static.program_guard(inner):
            static.data("b", [1]) * 2.0
            nn.Linear(2, 2)
            assert static.default_startup_program() is startup     # that of the guard around, where none is given
        static.data("a", [1]) - 1.0
        raise RuntimeError("on the way")
    assert (static.default_main_program(), static.default_startup_program()) == default
    assert [op.type for op in outer.global_block().ops] == ["add", "subtract"]
    assert [op.type for op in inner.global_block().ops] == ["multiply"] and len(startup.global_block().ops) == 2


def test_name_scopes_are_seen_in_a_program():
    with static.name_scope("encoder"), static.name_scope("first"):
        static.data("x", [1]) + 1.0
    static.data("x", [1]) * 2.0
    lines = [line.strip() for line in str(static.default_main_program()).splitlines()[-2:]]
    assert lines[0].startswith("[encoder/first] add.out_0") and lines[1].startswith("multiply.out_0")


def test_gradients_and_steps_say_what_they_read():
    _, _, loss = classifier()
    paddle.optimizer.SGD(0.1).minimize(loss)
    text = str(static.default_main_program())
    assert "= linear_grad(linear.out_1@GRAD, dropout.out_0, linear_1.w_0)" in text
    assert "- = sgd step(linear_0.w_0 by linear_0.w_0@GRAD, linear_0.b_0 by linear_0.b_0@GRAD, " in text


def test_a_program_draws_itself():
    _, _, loss = classifier()
    static.append_backward(loss)
    program = static.default_main_program()
    dot, table = program.to_dot(), program._repr_html_()
    assert dot.startswith("digraph") and dot.count("[shape=box") == len(program.global_block().ops)
    assert "relu_grad" in dot and "<td>relu_grad</td>" in table


def test_a_constant_that_no_operator_reads_can_be_fetched(exe):
    x = static.data("x", [None, 2])
    found = exe.run(feed={"x": np.zeros((1, 2), "float32")}, fetch_list=[paddle.rank(x), paddle.to_tensor([1.5])])
    assert found[0] == 2 and found[1] == 1.5
    with static.program_guard(static.Program(), static.Program()):
        other = nn.Linear(2, 2).weight
    with pytest.raises(ValueError, match=other.name.replace(".", r"\.")):
        exe.run(feed={"x": np.zeros((1, 2), "float32")}, fetch_list=[other])
