"""`static.nn` beside Paddle (results, names of parameters, their numbers after a step), and Python in Programs."""
import json
from pathlib import Path

import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import static
from tests.golden.static_nn_cases import CASES, run
from tests.nn.golden import recorded


@pytest.mark.parametrize("case", CASES)
def test_as_paddle(case):
    expected, found = recorded("static_nn.npz", case), run(paddle, *CASES[case])
    assert sorted(found) == sorted(expected)
    for name, array in expected.items():
        assert found[name].shape == array.shape, name
        np.testing.assert_allclose(found[name], array, rtol=2e-5, atol=5e-6, err_msg=name)


@pytest.fixture
def exe():
    return static.Executor()


def test_nce_is_the_loss_against_what_it_draws(exe):
    rng = np.random.default_rng(1)
    x, label = rng.standard_normal((3, 4)).astype("float32"), np.array([[0], [1], [3]])
    only = np.eye(5, dtype="float32")[2]     # the third class is drawn each time
    share = only.copy()
    loss = static.nn.nce(static.data("x", [None, 4]), static.data("l", [None, 1], "int64"), 5, num_neg_samples=3,
                         sampler="custom_dist", custom_dist=only, sample_weight=paddle.full([3, 1], 2.0))
    exe.run(static.default_startup_program())
    w, b = (p.numpy() for p in static.default_main_program().all_parameters())
    (found,) = exe.run(feed={"x": x, "l": label}, fetch_list=[loss])
    scores = 1 / (1 + np.exp(-(x @ w.T + b.T)))
    true, noise = np.take_along_axis(scores, label, 1), scores[:, 2:3]
    expected = -np.log(true / (true + 3 * share[label])) - 3 * np.log(3 / (noise + 3))
    np.testing.assert_allclose(found, 2 * expected / (3 + 1), rtol=1e-5)


def test_sparse_embedding_is_an_embedding_with_gradients_of_rows(exe):
    ids = static.data("i", [None, 2], "int64")
    out = static.nn.sparse_embedding(ids, [10, 3], padding_idx=1, is_test=False, table_class="SSDSparseTable", slot=3,
                                     param_attr=paddle.ParamAttr("rows", paddle.nn.initializer.Constant(1.0)))
    paddle.optimizer.SGD(1.0).minimize(out.sum())
    exe.run(static.default_startup_program())
    found, = exe.run(feed={"i": np.array([[1, 2], [2, 4]])}, fetch_list=[out])
    np.testing.assert_array_equal(found[:, :, 0], [[0, 1], [1, 1]])
    rows = static.default_main_program().all_parameters()[0]
    np.testing.assert_array_equal(rows.numpy()[2:, 0], [-1, 1, 0, 1, 1, 1, 1, 1])
    for wrong in ({"entry": object()}, {"table_class": "Table"}):
        with pytest.raises(ValueError, match="sparse_embedding"):
            static.nn.sparse_embedding(ids, [10, 3], **wrong)


@pytest.mark.parametrize("sampler", ["uniform", "log_uniform"])
def test_nce_draws_anew_in_each_run_and_trains(exe, sampler):
    loss = static.nn.nce(static.data("x", [None, 4]), static.data("l", [None, 1], "int64"), 50, sampler=sampler,
                         is_sparse=True).mean()
    paddle.optimizer.Adam(0.05).minimize(loss)
    exe.run(static.default_startup_program())
    feed = {"x": np.ones((2, 4), "float32"), "l": np.array([[3], [4]])}
    found = [exe.run(feed=feed, fetch_list=[loss])[0] for _ in range(40)]
    assert len(set(map(float, found[:5]))) > 1 and np.mean(found[-5:]) < 0.5 * np.mean(found[:5])


def test_a_function_with_a_gradient_of_its_own(exe):
    x = static.data("x", [None, 2])
    w = paddle.create_parameter([2], "float32", default_initializer=paddle.nn.initializer.Constant(3.0))
    pair = static.nn.static_pylayer(lambda a, b: (a * b, a + b), [x, w * 1.0], lambda g, h: (g * 0.0, g * 10.0 + h))
    (gradient,) = static.gradients(pair[0].sum() + 2.0 * pair[1].sum(), w)
    exe.run(static.default_startup_program())
    found = exe.run(feed={"x": np.ones((1, 2), "float32")}, fetch_list=[pair[0], gradient])
    np.testing.assert_array_equal(found[0], [[3, 3]])
    np.testing.assert_array_equal(found[1], [12, 12])
    paddle.disable_static()
    a = paddle.to_tensor([2.0], stop_gradient=False)
    static.nn.static_pylayer(lambda a: a * a, [a], lambda g: g * 7.0).backward()
    assert a.grad.item() == 7.0


class Steep(paddle.autograd.PyLayer):
    """x * w + c, whose gradients are told to be other ones."""

    @staticmethod
    def forward(ctx, x, scale, w):
        ctx.save_for_backward(x, x * w)
        ctx.scale = scale
        return x * w + scale

    @staticmethod
    def backward(ctx, g):
        _, product = ctx.saved_tensor()
        return g * product * ctx.scale, None


def test_a_pylayer_in_a_program_and_in_a_traced_function(exe):
    x, w = static.data("x", [None, 2]), paddle.to_tensor([2.0, 3.0])
    x.stop_gradient = w.stop_gradient = False
    out = Steep.apply(x, 10.0, w)
    gradient, to_w = static.gradients(out.sum(), [x, w])
    array = np.array([[1.0, -1.0]], "float32")
    found = exe.run(feed={"x": array}, fetch_list=[out, gradient, to_w])
    np.testing.assert_array_equal(found[0], [[12, 7]])
    np.testing.assert_array_equal(found[1], [[20, -30]])
    np.testing.assert_array_equal(found[2], [0, 0])
    paddle.disable_static()
    given = paddle.to_tensor(array, stop_gradient=False)
    paddle.jit.to_static(lambda t: Steep.apply(t, 10.0, w))(given).sum().backward()
    np.testing.assert_array_equal(given.grad.numpy(), [[20, -30]])


def test_py_func_calls_python_with_tensors_and_takes_its_gradient(exe):
    x = static.data("x", [None, 2])
    x.stop_gradient = False
    out = static.default_main_program().current_block().create_var(name="out", shape=[-1, 2], dtype="float32")
    assert static.py_func(lambda a: np.tanh(a), x, out, lambda y, g: g * (1 - np.square(y)), x) is out
    gradient, = static.gradients(out.sum(), x)
    array = np.array([[0.5, -1.0]], "float32")
    found = exe.run(feed={"x": array}, fetch_list=["out", gradient])
    np.testing.assert_allclose(found[0], np.tanh(array), rtol=1e-6)
    np.testing.assert_allclose(found[1], 1 - np.tanh(array) ** 2, rtol=1e-6)
    with pytest.raises(ValueError, match="skip_vars"):
        static.py_func(lambda a: a, x, out, skip_vars_in_backward_input=[gradient])


def test_py_func_overwrites_what_has_numbers_already(exe):
    x = static.data("x", [2])
    y = x * 2.0
    static.py_func(lambda a: a + 1.0, x, y)
    np.testing.assert_array_equal(exe.run(feed={"x": np.ones(2, "float32")}, fetch_list=[y])[0], [2, 2])


def test_print_says_numbers_and_gradients(exe, capsys):
    x = static.data("x", [3])
    x.stop_gradient = False
    static.append_backward((static.Print(x, message="here", summarize=2, first_n=2) * 2.0).sum(), parameter_list=[x])
    for _ in range(3):
        exe.run(feed={"x": np.arange(3, dtype="float32")}, fetch_list=["x@GRAD"])
    text = capsys.readouterr().out
    assert text.count("here") == 4
    assert "Variable: x\n  - shape: [3]\n  - dtype: float32\n  - data: [0.0 1.0 ...]" in text and "x@GRAD" in text


def test_accuracy_and_auc(exe):
    scores, label = static.data("s", [None, 2]), static.data("l", [None, 1], "int64")
    right, total = (static.default_main_program().global_block().create_var(shape=[1], dtype="int32") for _ in "ab")
    share = static.accuracy(scores, label, correct=right, total=total)
    whole, batch, counts = static.auc(scores, label, num_thresholds=200)
    exe.run(static.default_startup_program())
    first = np.array([0.1, 0.4, 0.35, 0.8], "float32"), np.array([[0], [0], [1], [1]])
    second = np.array([0.9, 0.2], "float32"), np.array([[0], [1]])
    found = [exe.run(feed={"s": np.stack([1 - p, p], 1), "l": y}, fetch_list=[share, right, total, whole, batch])
             for p, y in (first, second)]
    np.testing.assert_allclose([np.ravel(x)[0] for x in found[0]], [0.75, 3, 4, 0.75, 0.75], rtol=1e-6)
    np.testing.assert_allclose([np.ravel(x)[0] for x in found[1]], [0.0, 0, 2, 4 / 9, 0.0], rtol=1e-6)
    assert counts[2].numpy().sum() == 3 and counts[3].numpy().sum() == 3


def test_sums_of_a_click_through_model(exe):
    x, label = static.data("x", [None, 1]), static.data("l", [None, 1], "int64")
    sums = static.ctr_metric_bundle(x, label)
    exe.run(static.default_startup_program())
    feed = {"x": np.array([[0.5], [0.25]], "float32"), "l": np.array([[1], [0]])}
    found = [exe.run(feed=feed, fetch_list=[*sums]) for _ in range(2)][-1]
    np.testing.assert_allclose(np.ravel(found), [0.625, 1.5, 1.5, 2 * (0.62245933 + 0.5621765), 2, 4], rtol=1e-6)


def test_all_names_of_paddle_are_here_or_say_what_to_use():
    layers = json.loads((Path(__file__).parents[1] / "golden" / "signatures.json").read_text())["static.nn"]
    assert {name for name in layers if not name.startswith("sequence_")} == set(static.nn.__all__)
    with pytest.raises(AttributeError, match="expected a name that gpuflow has"):
        static.nn.sequence_conv    # noqa: B018
    elsewhere = {"IpuCompiledProgram", "IpuStrategy", "ipu_shard_guard", "set_ipu_shard", "xpu_places"}
    paddles = {"BuildStrategy", "CompiledProgram", "ExponentialMovingAverage", "Print", "WeightNormParamAttr",
               "accuracy", "auc", "cpu_places", "create_global_var", "create_parameter", "ctr_metric_bundle",
               "cuda_places", "device_guard", "py_func", "set_program_state", "normalize_program", "InputSpec"}
    assert paddles <= set(static.__all__) and not elsewhere & set(static.__all__)
    assert all(getattr(static, name) is not None for name in static.__all__)


def test_strategies_know_their_names():
    strategy = static.BuildStrategy()
    strategy.memory_optimize = True
    strategy.reduce_strategy = static.BuildStrategy.ReduceStrategy.Reduce
    x = static.data("x", [1])
    program = static.CompiledProgram(static.default_main_program(), strategy)
    assert static.Executor().run(program, {"x": np.ones(1, "float32")}, [x * 2.0])[0] == 2
    with pytest.raises(AttributeError, match="memory_optimise"):
        strategy.memory_optimise = True
    with static.device_guard("cpu"), pytest.raises(ValueError, match="gpu:<number>"), static.device_guard("cpu:1"):
        pass
