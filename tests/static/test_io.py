"""Programs and weights in files."""
import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import nn, static
from gpuflow.io.checkpoint import CheckpointError
from tests.static.test_executor import classifier, feeds


@pytest.fixture
def trained():
    """(executor, program, net, logits) after two steps of Adam."""
    net, logits, loss = classifier()
    paddle.optimizer.Adam(0.05).minimize(loss)
    exe = static.Executor()
    exe.run(static.default_startup_program())
    for step in range(2):
        exe.run(feed=feeds(seed=step))
    return exe, static.default_main_program(), net, logits


def state(net):
    return {name: t.numpy() for name, t in net.state_dict().items()}


def test_training_goes_on_bit_for_bit_after_load(trained, tmp_path):
    exe, program, net, _ = trained
    static.save(program, str(tmp_path / "model"))
    paddle.seed(5)
    exe.run(feed=feeds(seed=9))
    expected = state(net)
    exe.run(static.default_startup_program())
    static.load(program, str(tmp_path / "model"), exe)
    paddle.seed(5)
    exe.run(feed=feeds(seed=9))
    for name, array in state(net).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


@pytest.mark.parametrize("filename", [None, "all"])
def test_one_layers_weights_go_out_and_come_in(trained, tmp_path, filename):
    exe, program, net, _ = trained
    before = state(net)
    def first(v):
        return v.name.startswith("linear_0.")
    static.save_vars(exe, str(tmp_path), program, predicate=first, filename=filename)
    exe.run(static.default_startup_program())
    static.load_vars(exe, str(tmp_path), program, predicate=first, filename=filename)
    np.testing.assert_array_equal(net[0].weight.numpy(), before["0.weight"])
    assert not np.array_equal(net[4].weight.numpy(), before["4.weight"])


def test_numbers_that_do_not_fit_change_nothing(trained, tmp_path):
    exe, program, net, _ = trained
    before = state(net)
    with pytest.raises(ValueError, match=r"linear_1\.b_0 .*\[3\]"):
        static.set_program_state(program, {"linear_0.b_0": np.ones(16, "float32"),
                                           "linear_1.b_0": np.ones(3, "float32")})
    static.save_vars(exe, str(tmp_path), program, vars=["linear_0.w_0"], filename="w")
    cut = (tmp_path / "w").read_bytes()[:-1]
    (tmp_path / "w").write_bytes(cut)
    with pytest.raises(CheckpointError, match="511 are left"):
        static.load_vars(exe, str(tmp_path), program, vars=["linear_0.w_0"], filename="w")
    for name, array in state(net).items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


def test_an_inference_model_runs_in_a_scope_of_its_own(trained, tmp_path):
    exe, program, _, logits = trained
    x = program.global_block().var("x")
    (expected,) = exe.run(program.clone(for_test=True), feed=feeds(), fetch_list=[logits])
    static.save_inference_model(str(tmp_path / "m"), [x], [logits], exe)
    with static.scope_guard(static.Scope()):
        loaded, names, targets = static.load_inference_model(str(tmp_path / "m"), exe)
        assert names == ["x"] and not any(op.training for op in loaded.operators())
        (found,) = exe.run(loaded, feed={"x": feeds()["x"]}, fetch_list=targets)
    np.testing.assert_array_equal(found, expected)
    (tmp_path / "m.pdmodel").write_text('{"format": "other"}')
    with pytest.raises(ValueError, match="'other'"):
        static.load_inference_model(str(tmp_path / "m"), exe)


def test_variables_in_paddles_format(tmp_path):
    """The bytes that Paddle 3.3.1's save_vars writes for arange(6) as float32 [2, 3]."""
    head = bytes.fromhex("00000000" "0000000000000000" "00000000" "06000000" "0805" "1002" "1003")
    (tmp_path / "w").write_bytes(head + np.arange(6, dtype="<f4").tobytes())
    w = paddle.create_parameter([2, 3], "float32", name="w", default_initializer=nn.initializer.Constant(0.0))
    exe = static.Executor()
    exe.run(static.default_startup_program())
    static.load_vars(exe, str(tmp_path), vars=[w])
    np.testing.assert_array_equal(w.numpy(), np.arange(6).reshape(2, 3))
    static.save_vars(exe, str(tmp_path / "out"), vars=[w])
    assert (tmp_path / "out" / "w").read_bytes() == (tmp_path / "w").read_bytes()
