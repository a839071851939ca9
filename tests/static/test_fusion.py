"""Elementwise operators of a Program as one kernel: which go together, and that the numbers stay what they are."""
import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import nn, static
from gpuflow.ops.registry import OPS, REQUIRED
from gpuflow.static import fusion
from gpuflow.static.elements import Elements
from gpuflow.static.operators import Apply
from gpuflow_kernels.elementwise import Chain, Kernel, launch
from gpuflow_kernels.elementwise.cuda_text import cuda_text
from gpuflow_kernels.elementwise.numba_text import numba_text
from tests import fake_cupy
from tests.kernels.host.device import compiler
from tests.kernels.test_cuda_compile import _compile
from tests.static.plain_kernels import module_of

F = paddle.nn.functional
rng = np.random.default_rng(0)


def numbers(*shape, dtype="float32"):
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.startswith("int"):
        return rng.integers(-9, 9, shape).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


def build(function, *arrays, unknown=False, grad=False):
    """(program, feed, fetches) of function(*data) and, with grad, of the gradients of its sum."""
    program, feed = static.Program(), {f"x{k}": a for k, a in enumerate(arrays)}
    with static.program_guard(program):
        data = [static.data(name, [None] * a.ndim if unknown else list(a.shape), str(a.dtype)) for name, a in
                feed.items()]
        for x in data:
            x.stop_gradient = not grad
        out = function(*data)
        fetches = list(out) if isinstance(out, tuple) else [out]
        if grad:
            fetches += [g for g in static.gradients([fetches[0]], data) if g is not None]
    return program, feed, fetches


@pytest.fixture
def same(monkeypatch):
    """same(function, *arrays) compares a fused run with one that is not; (what went together, how many kernels ran)."""
    ran, call = [], launch._CpuRun.__call__
    monkeypatch.setattr(launch._CpuRun, "__call__", lambda self, *args: (ran.append(self), call(self, *args))[1])

    def compare(function, *arrays, **how):
        program, feed, fetches = build(function, *arrays, **how)
        found = {}
        for switch in ("never", "always"):
            monkeypatch.setenv("GPUFLOW_FUSION", switch)
            program.plans.clear()
            ran.clear()
            found[switch] = static.Executor().run(program, feed=feed, fetch_list=fetches)
        for a, b in zip(found["never"], found["always"], strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape
            np.testing.assert_array_equal(a, b)
        plan = next(reversed(program.plans.values()))
        return [o.attrs["operators"] for o in plan.operators if o.type == "fused"], len(ran)
    return compare


def test_a_chain_is_one_kernel(same):
    assert same(lambda x, y: F.relu(x * y + 1.0), numbers(4, 30), numbers(4, 30)) == (
        [["multiply", "add", "relu"]], 1)


def test_operators_that_meet_go_together(same):
    assert same(lambda x: (x * 2.0) + F.relu(x) - x, numbers(4, 30)) == (
        [["multiply", "relu", "add", "subtract"]], 1)


def test_one_operator_alone_is_left_alone(same):
    assert same(lambda x: F.relu(x), numbers(4, 30)) == ([], 0)


def test_a_reader_in_between_parts_them(same):
    def function(x):
        a = x * 2.0
        b = a.sum(axis=1, keepdim=True)     # has to know a before the rest can be worked out
        return F.relu(a + 1.0) * b
    groups, ran = same(function, numbers(4, 30))
    assert groups == [["add", "relu", "multiply"]] and ran == 1


def test_gradients_are_chains_too(same):
    groups, _ = same(lambda x, y: F.relu(x * y + y), numbers(4, 30), numbers(4, 30), grad=True)
    assert groups[0] == ["multiply", "add", "relu"]
    assert sorted(groups[1]) == ["add_grad", "multiply_grad", "relu_grad", "sum"]


@pytest.mark.parametrize("shapes", [
    [(4, 30), (30,)], [(4, 30), (1, 30)], [(2, 4, 30), (4, 1)], [(4, 30), ()], [(30,), (4, 30)], [(4, 1), (1, 30)],
    [(2, 3, 4, 30), (3, 1, 1)],
])
def test_broadcasting(same, shapes):
    x, y = (numbers(*shape) for shape in shapes)
    assert same(lambda x, y: F.relu(x * y + y), x, y)[1] >= 1


def test_gradients_of_what_broadcasts(same):
    same(lambda x, y: F.relu(x * y + y), numbers(4, 30), numbers(4, 1), grad=True)


def test_a_bias_gets_its_sum_in_the_same_pass(same):
    def function(x, y):
        return F.relu(x * 2.0 + y)
    groups, ran = same(function, numbers(50, 30), numbers(30), grad=True)
    assert groups[1:] == [["relu_grad", "add_grad", "multiply_grad"]] and ran == 2


@pytest.mark.parametrize("unknown", [False, True])
def test_several_results(same, unknown):
    def function(x, y):
        a = x + y
        b = a * 2.0
        return b - x, a, b
    assert same(function, numbers(4, 30), numbers(4, 30), unknown=unknown) == ([["add", "multiply", "subtract"]], 1)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32", "int64", "bool"])
def test_dtypes(same, dtype):
    def function(x, y):
        return paddle.where(x > y, x, y) if dtype == "bool" else (x + y) * x - y
    ran = same(function, numbers(4, 30, dtype=dtype), numbers(4, 30, dtype=dtype))[1]
    assert ran == (dtype not in ("float16",))     # which the CPU has no units for


def test_types_meet(same):
    assert same(lambda x, y: (x > 0.5).astype("float32") * y + x.astype("float64").astype("float32"),
                numbers(4, 30), numbers(4, 30))[1] == 1


def test_nan_and_infinities_pass_as_they_would(same):
    x = numbers(4, 30)
    x[0], x[1], x[2] = np.nan, np.inf, -np.inf
    y = numbers(4, 30)
    y[:, ::3] = 0
    same(lambda x, y: paddle.maximum(F.relu(x / y), x) - paddle.clip(x, -1.0, 1.0) * y.abs().sqrt(), x, y, grad=True)


def test_empty_arrays(same):
    same(lambda x, y: F.relu(x * y + y), numbers(0, 30), numbers(30), grad=True, unknown=True)


def test_sizes_that_are_known_in_a_run(same):
    def function(x, y):
        a = F.relu(x * y + y)
        return a.reshape([-1]), a * y
    for x, y in [((4, 30), (4, 30)), ((4, 30), (1, 30)), ((1, 1), (4, 30))]:
        same(function, numbers(*x), numbers(*y), unknown=True, grad=True)


def test_a_program_keeps_its_kernel_for_other_sizes(monkeypatch):
    monkeypatch.setenv("GPUFLOW_FUSION", "always")
    made = []
    monkeypatch.setattr(launch, "_on_cpu", lambda *args, inner=launch._on_cpu: (made.append(args), inner(*args))[1])
    program, feed, fetches = build(lambda x, y: F.relu(x * y + y), numbers(4, 30), numbers(30), unknown=True)
    exe = static.Executor()
    for rows in (4, 9, 4, 50):
        feed["x0"] = numbers(rows, 30)
        out, = exe.run(program, feed=feed, fetch_list=fetches)
        np.testing.assert_array_equal(out, np.maximum(feed["x0"] * feed["x1"] + feed["x1"], np.float32(0)))
    assert len(made) == 3 and len({args for args in made}) == 1      # asked for each new size, and the same each time


def test_patience_and_smallness(monkeypatch):
    monkeypatch.delenv("GPUFLOW_FUSION", raising=False)
    monkeypatch.setattr(fusion, "PATIENCE", 2)
    ran, call = [], launch._CpuRun.__call__
    monkeypatch.setattr(launch._CpuRun, "__call__", lambda self, *args: (ran.append(self), call(self, *args))[1])
    exe = static.Executor()
    for rows, want in ((200, [0, 0, 1, 1]), (4, [0, 0, 0, 0])):
        program, feed, fetches = build(lambda x: F.relu(x * 2.0 + 1.0), numbers(rows, 30), unknown=True)
        for k in want:
            ran.clear()
            exe.run(program, feed=feed, fetch_list=fetches)
            assert len(ran) == k


def test_each_operator_is_looked_at_once(monkeypatch):
    """However long the chain is that it joins, and however many chains meet in it."""
    asked, formula = [], Apply.formula
    monkeypatch.setattr(Apply, "formula", lambda self, *args: (asked.append(self), formula(self, *args))[1])
    monkeypatch.setenv("GPUFLOW_FUSION", "always")

    def function(x):
        y = x
        for k in range(40):
            y = F.relu(y * 2.0) + F.relu(x + float(k))
        return y
    program, _, fetches = build(function, numbers(4, 30))
    plan = static.Executor()._plan(program, fetches)
    assert [len(o.attrs["operators"]) for o in plan.operators] == [5 * 40]
    assert len(asked) == 5 * 40


def branch(x, y):
    return static.nn.cond(x.sum() > 0.0, lambda: F.relu(x * y + 1.0) * x, lambda: x - y * y)


def loop(x, y):
    return static.nn.while_loop(lambda k, a: k < 3, lambda k, a: (k + 1, F.relu(a * y + x) - a),
                                [paddle.zeros([], "int64"), x])[1]


@pytest.mark.parametrize("unknown", [False, True])
@pytest.mark.parametrize(("function", "sign", "runs"), [(branch, 1, 2), (branch, -1, 2), (loop, 1, 6)])
def test_chains_inside_of_branches_and_loops(same, function, sign, runs, unknown):
    """And those of their gradients: one for the way there and one for the way back, in each iteration."""
    _, ran = same(function, sign * np.abs(numbers(4, 30)), numbers(4, 30), grad=True, unknown=unknown)
    assert ran >= runs


def test_a_fetch_changes_nothing(same):
    def function(x):
        a = x * 2.0
        b = a + 1.0
        return F.relu(b) * a, a, b
    assert same(function, numbers(4, 30), grad=True)[1] >= 1


def test_a_program_reads_as_before(monkeypatch):
    program, feed, fetches = build(lambda x: F.relu(x * 2.0 + 1.0), numbers(4, 30))
    before = str(program), program.to_dot()
    monkeypatch.setenv("GPUFLOW_FUSION", "always")
    static.Executor().run(program, feed=feed, fetch_list=fetches)
    assert (str(program), program.to_dot()) == before


def test_training_is_the_same_to_the_bit(monkeypatch):
    def train(switch):
        monkeypatch.setenv("GPUFLOW_FUSION", switch)
        paddle.seed(0)
        main, startup = static.Program(), static.Program()
        with static.program_guard(main, startup):
            x, y = static.data("x", [None, 40]), static.data("y", [None], "int64")
            net = nn.Sequential(nn.Linear(40, 32), nn.ReLU(), nn.Linear(32, 24), nn.LeakyReLU(), nn.Linear(24, 4))
            loss = F.cross_entropy(net(x), y)
            paddle.optimizer.AdamW(1e-2, grad_clip=nn.ClipGradByGlobalNorm(1.0)).minimize(loss)
        exe, data = static.Executor(), np.random.default_rng(1)
        exe.run(startup)
        feed = {"x": data.standard_normal((16, 40)).astype("float32"), "y": data.integers(0, 4, 16)}
        return [exe.run(main, feed=feed, fetch_list=[loss])[0] for _ in range(3)] + [
            p.numpy() for p in net.parameters()]
    for a, b in zip(train("never"), train("always"), strict=True):
        np.testing.assert_array_equal(a, b)


# ---- every op that is a formula of elements --------------------------------------------------------------------------

TAKES = {"logit": {"eps": 1e-3}}
INTEGERS = ("bitwise_and", "bitwise_or", "bitwise_xor")


def formulas(array_module):
    """{op's name: (its attributes, its chain, how many arrays it takes)} of the ops that are elementwise."""
    found = {}
    for name, op in OPS.items():
        if op.variadic or any(v is REQUIRED for k, v in op.attrs.items() if k not in TAKES.get(name, {})):
            continue
        xp, attrs = Elements(array_module), TAKES.get(name, {})
        count = len(op.inputs) - len(op.optional)
        try:
            out = op.forward(xp, *[xp.input("int32" if name in INTEGERS else "float32") for _ in range(count)], **attrs)
            chain, used = xp.chain([out])
        except Exception:      # no formula
            continue
        if count and used == list(range(count)):
            found[name] = attrs, chain, count
    return found


def given(name, count):
    if name in INTEGERS:
        return [numbers(2, 40, dtype="int32") for _ in range(count)]
    return [np.concatenate([numbers(60), [0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 3, 0.5, 100, -100, 6] + [0.25] * 8]
                           ).astype("float32")[rng.permutation(80)].reshape(2, 40) for _ in range(count)]


def together(chains):
    """(one chain that computes what all of them do, where the inputs of each begin)."""
    inputs, at = [], []
    for chain in chains:
        at.append(len(inputs))
        inputs += chain.inputs
    lines, outputs = [], []
    for begin, chain in zip(at, chains):
        number = {k: begin + k for k in range(len(chain.inputs))}
        number |= {len(chain.inputs) + k: len(inputs) + len(lines) + k for k in range(len(chain.lines))}
        lines += [line._replace(args=tuple(number.get(a, a) if type(a) is int else a for a in line.args))
                  for line in chain.lines]
        outputs += [number[v] for v in chain.outputs]
    return Chain(tuple(inputs), tuple(lines), tuple(outputs))


def check(found, launched, forward, **tolerance):
    arrays = [given(name, count) for name, (_, _, count) in found.items()]
    chain = together([chain for _, chain, _ in found.values()])
    outputs = [np.empty((2, 40), chain.dtype(v)) for v in chain.outputs]
    launched(chain, [a for some in arrays for a in some], outputs)
    for (name, (attrs, _, _)), some, out in zip(found.items(), arrays, outputs, strict=True):
        with np.errstate(all="ignore"):
            want = forward(OPS[name], some, attrs)
        assert want.dtype == out.dtype, name
        np.testing.assert_allclose(out, want, err_msg=name, **tolerance)


def test_every_formula_on_the_cpu():
    found = formulas(np)
    assert {"add", "relu", "where", "leaky_relu", "huber_loss", "less_than", "hardswish", "bitwise_xor"} <= set(found)
    assert "exp" not in found and "softmax" not in found and "sum" not in found
    check(found, uncompiled, lambda op, arrays, attrs: op.forward(np, *arrays, **attrs), rtol=0)


def uncompiled(chain, arrays, outputs):
    with np.errstate(all="ignore"):
        module_of(numba_text(chain, (True,) * len(arrays))).run(
            np.array([1, 1, 80]), np.zeros((len(arrays), 3), int), *[a.reshape(-1) for a in (*arrays, *outputs)])


@pytest.fixture
def gpu():
    if compiler() is None:
        pytest.skip("g++ is missing: apt-get install g++")
    with fake_cupy.installed() as cupy:
        yield cupy


def on_gpu(gpu):
    def launched(chain, arrays, outputs):
        there = [gpu.asarray(a) for a in outputs]
        Kernel(chain).for_shapes(gpu, tuple(a.shape for a in arrays))([gpu.asarray(a) for a in arrays], there, ())
        for a, b in zip(outputs, there):
            a[...] = b.get()
    return launched


def test_every_formula_on_a_gpu(gpu):
    found = formulas(gpu)
    assert {"exp", "sigmoid", "gelu", "tanh", "silu", "softplus", "erf", "pow"} <= set(found)
    check(found, on_gpu(gpu), lambda op, arrays, attrs: op.forward(gpu, *map(gpu.asarray, arrays), **attrs).get(),
          rtol=3e-5, atol=1e-6)


def test_nvrtc_takes_every_formula():
    found = formulas(object())
    chain = together([chain for _, chain, _ in found.values()])
    _compile(cuda_text(chain, False), "90")


def test_a_program_on_a_gpu(gpu, monkeypatch):
    def train(switch):
        monkeypatch.setenv("GPUFLOW_FUSION", switch)
        x, y = numbers(20, 24), numbers(24)
        x[:], y[:] = np.arange(480).reshape(20, 24) / 100 - 2, np.arange(24) / 10
        program, feed, fetches = build(lambda x, y: F.gelu(x * y + 1.0) * F.sigmoid(x + y), x, y, grad=True)
        found = static.Executor("gpu:0").run(program, feed=feed, fetch_list=fetches)
        return found, [o.type for o in next(reversed(program.plans.values())).operators].count("fused")
    plain, none = train("never")
    found, many = train("always")
    assert none == 0 and many == 2
    for a, b in zip(plain, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
