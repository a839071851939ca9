"""Branches and loops: one text gives the same numbers and gradients as Python does in eager mode."""
import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import nn, static

sn = static.nn
rng = np.random.default_rng(3)
ARRAY = rng.standard_normal((2, 3)).astype("float32")


def both(model, x, n, names=("x", "w")):
    """What `model(x, n, w)` gives and its gradients, once built and once computed at once."""
    weight = nn.initializer.Assign(np.array([0.5, -1.5, 2.0], "float32"))
    found = []
    for building in (True, False):
        (paddle.enable_static if building else paddle.disable_static)()
        w = paddle.create_parameter([3], "float32", default_initializer=weight)
        if building:
            given = static.data("x", [None, 3]), static.data("n", [1], "int64")
            given[0].stop_gradient = False
            out = model(*given, w)
            grads = static.gradients(out, [given[0], w])
            exe = static.Executor()
            exe.run(static.default_startup_program())
            found.append([exe.run(feed={"x": a, "n": k}, fetch_list=[out, *grads]) for a, k in zip(x, n)])
            continue
        rows = []
        for a, k in zip(x, n):
            t = paddle.to_tensor(a, stop_gradient=False)
            out = model(t, paddle.to_tensor(k), w)
            grads = [None, None] if out.stop_gradient else paddle.grad(out, [t, w], allow_unused=True)
            rows.append([out.numpy(), *(np.zeros(s.shape, "float32") if g is None else g.numpy()
                                        for g, s in zip(grads, (t, w)))])
        found.append(rows)
    paddle.enable_static()
    for built, direct in zip(*found, strict=True):
        for a, b in zip(built, direct, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def either(x, n, w):
    first, rest = sn.cond(x.sum() > 0, lambda: (x * w, {"s": x.sum()}), lambda: (x * x, {"s": 3.0}))
    return (first * rest["s"]).sum()


def nested(x, n, w):
    def inside():
        return sn.cond((n > 2).all(), lambda: x * w * w, lambda: x.exp() + w)
    return sn.cond(x.sum() > 0, inside, lambda: x.sin()).sum()


def power(x, n, w):
    def body(i, y):
        return i + 1, y * w + x.sum(axis=0)
    return sn.while_loop(lambda i, y: (i < n).all(), body, [paddle.zeros([1], "int64"), w * 1.0])[1].sum()


def growing(x, n, w):
    def body(i, rows, total):
        rows = paddle.concat([rows, x[:1] * w])
        return i + 1, rows, total + (rows * rows).sum()
    i = paddle.zeros([1], "int64")
    return sn.while_loop(lambda i, *_: (i < n).all(), body, (i, x, paddle.zeros([])))[2]


def branch_in_loop(x, n, w):
    def body(i, y):
        y = sn.cond((i % 2 == 0).all(), lambda: y * w, lambda: paddle.tanh(y + x.sum(axis=0)))
        return [i + 1, y]
    return sn.while_loop(lambda i, y: (i < n).all(), body, [paddle.zeros([1], "int64"), x.mean(axis=0)])[1].sum()


def loop_in_loop_in_branch(x, n, w):
    def inner(j, y):
        return j + 1, paddle.sin(y * w)

    def outer(i, y):
        y = sn.while_loop(lambda j, y: (j <= i).all(), inner, [paddle.zeros([1], "int64"), y])[1]
        return i + 1, y + x.sum(axis=0)

    def loop():
        return sn.while_loop(lambda i, y: (i < n).all(), outer, [paddle.zeros([1], "int64"), w + 0.0])[1]
    return sn.cond(x.sum() > 0, loop, lambda: w * 2.0).sum()


def numbered(x, n, w):
    table = {1: lambda: x * w, 3: lambda: x.exp(), 0: lambda: x * 0.0 + w}
    return (sn.switch_case(n, table) + sn.switch_case(n, [lambda: w * w, lambda: w], default=lambda: w * 3.0)).sum()


def first_true(x, n, w):
    s = x.sum()
    return sn.case([(s > 100.0, lambda: x), (s > 0.0, lambda: x * w)], default=lambda: x * x).sum()


def written_outside(x, n, w):
    total, seen = x.sum(axis=0), w * 1.0

    def note():
        paddle.assign(total + w, seen)

    def body(i):
        total.add_(w)
        sn.cond((i == 1).all(), note)
        return i + 1
    sn.while_loop(lambda i: (i < n).all(), body, [paddle.zeros([1], "int64")])
    return (total * seen).sum()


@pytest.mark.parametrize("model", [either, nested, power, growing, branch_in_loop, loop_in_loop_in_branch, numbered,
                                   first_true, written_outside], ids=lambda f: f.__name__)
def test_built_as_computed_at_once(model):
    xs = [np.abs(ARRAY), -np.abs(ARRAY), np.abs(ARRAY[:1]), ARRAY * 0 + 200]
    both(model, xs, [np.array([k]) for k in (0, 1, 3, 2)])


def test_only_the_branch_that_is_taken_runs():
    seen = []
    x, flag = static.data("x", [2]), static.data("flag", [], "bool")

    def noted(name):
        sn.py_func(lambda a: seen.append(name) or a, x, out := paddle.zeros([2]))
        return out
    y = sn.cond(flag, lambda: noted("yes"), lambda: noted("no"))
    for value in (True, False):
        static.Executor().run(feed={"x": np.zeros(2, "float32"), "flag": value}, fetch_list=[y])
    assert seen == ["yes", "no"]


def test_a_parameter_of_the_other_branch_is_not_touched():
    x = static.data("x", [None, 2])
    one, two = nn.Linear(2, 1), nn.Linear(2, 1)
    loss = sn.cond(x.sum() > 0, lambda: one(x).sum(), lambda: two(x).sum())
    paddle.optimizer.AdamW(0.1, weight_decay=0.5).minimize(loss)
    exe = static.Executor()
    exe.run(static.default_startup_program())
    before = [layer.weight.numpy() for layer in (one, two)]
    exe.run(feed={"x": np.ones((1, 2), "float32")})
    assert not np.array_equal(one.weight.numpy(), before[0])
    np.testing.assert_array_equal(two.weight.numpy(), before[1])


def test_an_optimizer_in_each_branch():
    x = static.data("x", [None, 2])
    layer = nn.Linear(2, 1)

    def trained(rate):
        loss = (layer(x) ** 2).mean()
        paddle.optimizer.SGD(rate).minimize(loss)
        return loss
    loss = sn.cond(x.sum() > 0, lambda: trained(0.0), lambda: trained(0.1))
    exe, before = static.Executor(), None
    exe.run(static.default_startup_program())
    for sign in (1, -1):
        before = layer.weight.numpy()
        exe.run(feed={"x": np.full((1, 2), sign, "float32")}, fetch_list=[loss])
        assert np.array_equal(before, layer.weight.numpy()) == (sign == 1)


@pytest.mark.parametrize("place", ["branch", "loop"])
def test_a_clone_for_test_evaluates_inside_blocks(place):
    x = static.data("x", [None, 4])
    layer = nn.BatchNorm1D(4)

    def noisy(y):
        return nn.functional.dropout(layer(y), 0.5) + 1.0
    if place == "branch":
        out = sn.cond(x.sum() > 0, lambda: noisy(x), lambda: x)
    else:
        out = sn.while_loop(lambda i, y: i < 2, lambda i, y: (i + 1, noisy(y)), [paddle.zeros([], "int64"), x])[1]
    loss = out.mean()
    paddle.optimizer.SGD(0.1).minimize(loss)
    program = static.default_main_program()
    test, exe = program.clone(for_test=True), static.Executor()
    exe.run(static.default_startup_program())
    array = np.abs(rng.standard_normal((8, 4))).astype("float32")
    exe.run(feed={"x": array}, fetch_list=[loss])
    assert layer._mean.numpy().any()
    state = [t.numpy() for t in layer.state_dict().values()]
    found = [exe.run(test, feed={"x": array}, fetch_list=[out])[0] for _ in range(2)]
    for a, b in zip(state, layer.state_dict().values(), strict=True):
        np.testing.assert_array_equal(a, b.numpy())
    paddle.disable_static()
    layer.eval()
    direct = paddle.to_tensor(array)
    for _ in range(2 if place == "loop" else 1):
        direct = layer(direct) + 1.0
    for a in found:
        np.testing.assert_allclose(a, direct.numpy(), rtol=1e-5, atol=1e-6)
    paddle.enable_static()


def test_a_buffer_written_in_a_branch_is_written_when_that_branch_runs():
    x, count = static.data("x", [1]), static.create_global_var([1], 0.0, "float32", persistable=True)
    paddle.increment(count)
    sn.cond((x > 0).all(), lambda: paddle.increment(count, 10.0), lambda: paddle.increment(count, 100.0))
    after = count * 1.0
    exe = static.Executor()
    exe.run(static.default_startup_program())
    found = [exe.run(feed={"x": np.array([sign], "float32")}, fetch_list=[after])[0].item() for sign in (1, -1, 1)]
    assert found == [11, 112, 123]


def test_a_loop_for_testing_keeps_nothing():
    x = static.data("x", [1])
    x.stop_gradient = False
    (y,) = sn.while_loop(lambda y: (y < 10).all(), lambda y: y * 2.0, [x], is_test=True)
    assert y.stop_gradient and static.gradients(y, x) == [None]
    assert static.Executor().run(feed={"x": np.array([3.0], "float32")}, fetch_list=[y])[0] == 12


def test_dead_branches_are_dropped_and_results_keep_what_is_known_of_their_shape():
    x = static.data("x", [None, 3])
    sn.cond(x.sum() > 0, lambda: x, lambda: x * 2.0)
    y = sn.cond(x.sum() > 0, lambda: x, lambda: paddle.zeros([2, 3]))
    assert y.shape == [-1, 3]
    plan = static.Executor()._plan(static.default_main_program(), [y])
    assert len(plan.steps) == 3


def test_a_traced_function_decides_as_it_runs():
    paddle.disable_static()

    @paddle.jit.to_static
    def halved(x):
        return sn.while_loop(lambda y: y.sum() > 1.0, lambda y: y / 2.0, [x])[0]
    for start, end in ((4.0, 1.0), (0.5, 0.5)):
        x = paddle.to_tensor([start], stop_gradient=False)
        y = halved(x)
        y.backward()
        assert y.item() == end and x.grad.item() == end / start
    paddle.enable_static()


@pytest.mark.parametrize(("build", "error", "words"), [
    (lambda x: sn.cond(x, lambda: x, lambda: x), TypeError, "one bool"),
    (lambda x: sn.cond(x.sum() > 0, 3), TypeError, "true_fn"),
    (lambda x: sn.cond(x.sum() > 0, lambda: x), TypeError, "one structure"),
    (lambda x: sn.cond(x.sum() > 0, lambda: (x, x), lambda: x), TypeError, "one structure"),
    (lambda x: sn.cond(x.sum() > 0, lambda: x, lambda: x.cast("int64")), TypeError, "int64"),
    (lambda x: sn.cond(x.sum() > 0, lambda: x, lambda: x.sum()), ValueError, "as many axes"),
    (lambda x: sn.switch_case(x, [lambda: x]), TypeError, "branch_index"),
    (lambda x: sn.switch_case(x.cast("int64"), [(1, lambda: x), (1, lambda: x)]), ValueError, "once"),
    (lambda x: sn.case([(x.sum() > 0, x)]), TypeError, "pairs"),
    (lambda x: sn.while_loop(lambda y: y.sum() > 0, lambda y: (y, y), [x]), ValueError, "structure of loop_vars"),
    (lambda x: sn.while_loop(lambda y: y.sum() > 0, lambda y: y.cast("float64"), [x]), TypeError, "float64"),
    (lambda x: sn.while_loop(lambda y: y, lambda y: y, [x]), TypeError, "one bool"),
    (lambda x: sn.while_loop(lambda: True, lambda: None, []), ValueError, "loop_vars"),
], ids=range(13))
def test_what_is_refused(build, error, words):
    with pytest.raises(error, match=words):
        build(static.data("x", [2]))


def test_branches_and_loops_go_into_files(tmp_path):
    x = static.data("x", [None, 3])
    layer = nn.Linear(3, 3)

    def body(i, y):
        first, second = paddle.split(layer(y), [1, -1], axis=1)
        y = sn.cond(first.sum() > 0, lambda: paddle.concat([first, second * 2.0], axis=1), lambda: y)
        return i + 1, nn.functional.dropout(y, 0.5)
    y = sn.while_loop(lambda i, y: i < 3, body, [paddle.zeros([], "int64"), x])[1]
    out = sn.switch_case(x[0, 0].cast("int64"), [lambda: y, lambda: paddle.split(-y, [3], axis=1)[0]])
    exe = static.Executor()
    exe.run(static.default_startup_program())
    static.save_inference_model(str(tmp_path / "model"), [x], [out], exe)
    test = static.default_main_program().clone(for_test=True)
    with static.program_guard(static.Program()), static.scope_guard(static.Scope()):
        program, _, fetches = static.load_inference_model(str(tmp_path / "model"), exe)
        for first in (0.0, 1.0, 5.0):
            feed = {"x": np.array([[first, 1.0, -1.0]], "float32")}
            direct = exe.run(test, feed=feed, fetch_list=[out])
            np.testing.assert_array_equal(exe.run(program, feed=feed, fetch_list=fetches)[0], direct[0])
