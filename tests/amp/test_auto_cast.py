"""auto_cast: which type each op computes in, compared with Paddle's; blocks, lists, threads and gradients."""
import inspect
import json
import threading
from pathlib import Path

import numpy as np
import pytest

import gpuflow
import gpuflow as paddle
from gpuflow import dispatch
from gpuflow.amp import lists
from gpuflow.amp.auto_cast import known_names
from gpuflow.ops.registry import OPS
from tests.golden.amp_cases import CASES, LEVELS, LOW, mixtures

F = gpuflow.nn.functional
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "amp.json").read_text())

# {case: why the type is another than Paddle's}. One op of ours does what several of theirs do, or the other way round.
PRODUCT = "all products of matrices are one op here, and white"
BIAS = "the bias is part of the product here; in Paddle's programs it is added in float32 after it"
KNOWN = {
    "bmm": PRODUCT, "mv": PRODUCT, "addmm": PRODUCT, "conv3d": PRODUCT, "conv2d depthwise": PRODUCT,
    "conv1d": "Paddle squeezes the result, which level OD does in float32",
    "linear with bias": BIAS, "conv2d with bias": BIAS,
    "max_pool2d mask": "the mask does not decide the type here: as max_pool2d without it",
    "dot": "a sum of products here, and sums are black",
    "kl_div": "the mean after it is an op of its own here, and black",
    "cross_entropy soft": "the labels take the type of x before the loss is computed",
    "scatter": "overwriting rows computes nothing: as it comes",
}


def results(name, level, dtypes, **more):
    expression, shapes = CASES[name]
    rng = np.random.default_rng(0)
    x = [paddle.to_tensor(rng.uniform(0.1, 0.9, s).astype("float32")).astype(d) for s, d in zip(shapes, dtypes)]
    ids = paddle.to_tensor(np.array([0, 2, 1, 3]))
    with paddle.amp.auto_cast(level=level, dtype=LOW, **more):
        out = eval(expression, {"paddle": paddle, "F": F, "x": x, "ids": ids})
    return out[0] if isinstance(out, list | tuple) else out


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", CASES)
def test_ops_compute_in_the_type_that_paddle_chooses(name, level):
    known = []
    for mixture, dtypes in mixtures(len(CASES[name][1])).items():
        expected = GOLDEN["dtypes"][level][name][mixture]
        if expected == "refused":
            continue
        out = results(name, level, dtypes)
        got = out.dtype.name
        if expected == "low":
            expected = LOW if out.dtype.is_floating else got
        if got != expected:
            assert name in KNOWN, f"{mixture}: {got}, Paddle {expected}"
            known.append(mixture)


def test_known_differences_are_differences():
    differing = {name for name in CASES for level in LEVELS for mixture, dtypes in mixtures(len(CASES[name][1])).items()
                 if (expected := GOLDEN["dtypes"][level][name][mixture]) != "refused"
                 and results(name, level, dtypes).dtype.name != (LOW if expected == "low" else expected)
                 and results(name, level, dtypes).dtype.is_floating}
    assert differing == set(KNOWN)


@pytest.mark.parametrize("name", GOLDEN["signatures"])
def test_arguments_and_defaults_are_paddles(name):
    mine = inspect.signature(getattr(paddle.amp, name)).parameters
    assert {k: None if p.default is p.empty else p.default for k, p in mine.items()} == GOLDEN["signatures"][name]


@pytest.mark.parametrize("name", GOLDEN["methods"])
def test_methods_of_the_scaler_are_paddles(name):
    parameters = [p for p in inspect.signature(getattr(paddle.amp.GradScaler, name)).parameters if p != "self"]
    assert parameters == GOLDEN["methods"][name]


@pytest.mark.parametrize("kind", ["white_list", "black_list"])
def test_lists_are_paddles_as_far_as_the_ops_exist(kind):
    mine, theirs = getattr(paddle.amp, kind)(), GOLDEN[kind]
    distributed_or_fused = ("c_", "fake_quantize", "fused_", "flash_attn")
    for dtype, levels in theirs.items():
        for level, names in levels.items():
            assert mine[dtype][level] == {n for n in names if not n.startswith(distributed_or_fused)}


def test_the_mapping_names_ops_that_exist():
    assert set(lists.PADDLE_NAMES) <= set(OPS)
    assert set(lists.NAMED_BY_CALL) <= set(OPS)
    assert known_names() >= lists.AS_IS | lists.FIRST_ONLY


# ---- the block -----------------------------------------------------------------------------------------------------


def product():
    x = paddle.ones([2, 2])
    return (x @ x).dtype.name


def test_blocks_nest_and_are_left_again():
    assert product() == "float32" and not paddle.amp.is_autocast_enabled()
    with paddle.amp.auto_cast(dtype="bfloat16"):
        assert product() == "bfloat16" and paddle.amp.get_autocast_dtype() == "bfloat16"
        with paddle.amp.auto_cast(enable=False):
            assert product() == "float32" and paddle.amp.get_autocast_dtype() == "float32"
        with paddle.amp.auto_cast(dtype="float16"):
            assert product() == "float16"
        with paddle.amp.auto_cast(level="O0"):
            assert product() == "float32"
        assert product() == "bfloat16"
    assert product() == "float32"


def test_an_error_leaves_the_block():
    with pytest.raises(ZeroDivisionError), paddle.amp.auto_cast():
        raise ZeroDivisionError
    assert product() == "float32" and dispatch._casting == 0


def test_as_decorator():
    @paddle.amp.auto_cast(dtype="bfloat16")
    def inside():
        return product()

    assert [inside(), inside(), product()] == ["bfloat16", "bfloat16", "float32"]


def test_a_block_is_its_threads_own():
    seen, go, done = [], threading.Event(), threading.Event()

    def other():
        go.wait(10)
        seen.append(product())
        with paddle.amp.auto_cast(dtype="float16"):
            seen.append(product())
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with paddle.amp.auto_cast(dtype="bfloat16"):
        go.set()
        assert done.wait(10)
        assert product() == "bfloat16"
    thread.join()
    assert seen == ["float32", "float16"]


@pytest.mark.parametrize("name", ["elementwise_add", "add"])
def test_custom_lists_take_either_name(name):
    x = paddle.ones([2])
    with paddle.amp.auto_cast(custom_white_list={name}):
        assert (x + x).dtype.name == "float16"
    with paddle.amp.auto_cast(custom_black_list=[name], level="O2"):
        h = x.astype("float16")
        assert (h + h).dtype.name == "float32"
        assert (h * h).dtype.name == "float16"


def test_custom_lists_win_and_may_not_overlap():
    x = paddle.ones([2, 2])
    with paddle.amp.auto_cast(custom_black_list={"matmul_v2"}, custom_white_list={"softmax", "batch_norm"}):
        assert (x @ x).dtype.name == "float32"
        assert F.softmax(x).dtype.name == "float16"
        assert F.batch_norm(x, paddle.zeros([2]), paddle.ones([2])).dtype.name == "float16"
    with pytest.raises(ValueError, match="overlap"):
        paddle.amp.auto_cast(custom_white_list={"add"}, custom_black_list={"add"})
    with pytest.warns(UserWarning, match="no_such_op"):
        paddle.amp.auto_cast(custom_white_list={"no_such_op"})
    with pytest.raises(TypeError, match="names of ops"):
        paddle.amp.auto_cast(custom_white_list="add")


def test_use_promote_false_prefers_the_low_type():
    x = paddle.ones([2])
    for promote, expected in ((True, "float32"), (False, "float16")):
        with paddle.amp.auto_cast(level="O2", use_promote=promote):
            assert (x + x).dtype.name == expected


@pytest.mark.parametrize("arguments", [{"level": "O3"}, {"dtype": "float64"}, {"dtype": "int8"}])
def test_what_means_nothing_is_refused(arguments):
    with pytest.raises(ValueError, match="expected"):
        paddle.amp.auto_cast(**arguments)


def test_float64_integers_and_ops_in_place_are_left_alone():
    x = paddle.ones([2, 2], "float64")
    with paddle.amp.auto_cast():
        assert (x @ x).dtype.name == "float64"
        assert (paddle.ones([2], "int64") + 1).dtype.name == "int64"
        h = paddle.ones([2], "float16")
        h.exp_()
    assert h.dtype.name == "float16"


def test_gradients_come_back_in_the_parameters_type():
    layer = gpuflow.nn.Linear(8, 4)
    x = paddle.to_tensor(np.random.default_rng(1).standard_normal((16, 8)).astype("float32"), stop_gradient=False)

    def run(**block):
        for t in (layer.weight, layer.bias, x):
            t.clear_grad()
        with paddle.amp.auto_cast(**block):
            loss = (layer(x) ** 2).mean()
        loss.backward()
        return [t.grad for t in (layer.weight, layer.bias, x)]

    wide, low = run(enable=False), run(dtype="float16")
    for a, b in zip(wide, low, strict=True):
        assert b.dtype.name == "float32"
        scale = np.abs(a.numpy()).max()
        np.testing.assert_allclose(b.numpy(), a.numpy(), atol=4e-3 * scale)   # a few roundings to 11 bits
        assert not np.array_equal(a.numpy(), b.numpy())


def test_second_derivatives_are_not_cast():
    x = paddle.to_tensor([0.5, 1.5], stop_gradient=False)
    with paddle.amp.auto_cast():
        y = (x.reshape([1, 2]) @ x.reshape([2, 1])).sum()
        g, = gpuflow.grad(y, [x], create_graph=True)
        assert g.dtype.name == "float32"
        h, = gpuflow.grad(g.sum(), [x])
    np.testing.assert_array_equal(h.numpy(), [2.0, 2.0])


def test_a_model_may_be_walked_back_twice_in_a_block():
    layer = gpuflow.nn.Linear(2, 2)
    with paddle.amp.auto_cast(dtype="bfloat16"):
        for _ in range(2):
            layer(paddle.ones([1, 2])).sum().backward()
    np.testing.assert_array_equal(layer.bias.grad.numpy(), [2.0, 2.0])


def test_operator_stats_count_what_was_computed_in_which_type(capsys):
    layer = gpuflow.nn.Linear(2, 2)
    with paddle.amp.debugging.collect_operator_stats() as found, paddle.amp.auto_cast():
        F.softmax(layer(paddle.ones([1, 2])))
        paddle.ones([1]).exp_()
    assert found["linear"] == {"float16": 1} and found["softmax"] == {"float32": 1} and found["exp"] == {"float32": 1}
    assert found["cast"] == {"float32": 3, "float16": 1}     # x, weight and bias; then the result for softmax
    assert "linear" in capsys.readouterr().out
    assert dispatch.mode().dynamic and product() == "float32"
