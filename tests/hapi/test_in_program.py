"""Model in static mode: the runs of eager mode, to the bit, and Paddle's."""
import json
from pathlib import Path

import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import nn, static
from gpuflow.hapi.in_program import InProgram
from tests.golden import hapi_cases
from tests.hapi.test_model import Lines, _alike

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "hapi.json").read_text())
CASES = ["plain", "schedule", "stops"]


@pytest.fixture
def static_mode():
    paddle.enable_static()


def specs(features=4, dtype="float32"):
    return [static.InputSpec([None, features], "float32", "x")], [static.InputSpec([None, 1], dtype, "y")]


@pytest.mark.parametrize("case", CASES)
def test_runs_are_paddles(case, static_mode):
    ours = hapi_cases.replay(paddle, case, *specs(hapi_cases.FEATURES, "int64"))
    for key, theirs in GOLDEN["runs"][case].items():
        _alike(ours[key], theirs)


def trained(in_static, **options):
    paddle.seed(3)
    if in_static:
        paddle.enable_static()
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1D(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 1))
    optimizer = paddle.optimizer.AdamW(0.01, parameters=net.parameters(), grad_clip=nn.ClipGradByGlobalNorm(1.0))
    model = paddle.Model(net, *specs())
    model.prepare(optimizer, nn.MSELoss(), **options)
    rng = np.random.default_rng(0)
    for p in net.parameters():
        p.set_value(rng.normal(size=p.shape).astype(np.float32))
    seen = []

    class Watch(paddle.callbacks.Callback):
        def on_train_batch_end(self, step, logs=None):
            seen.append((logs["loss"][0], logs["lr"], logs["grad_norm"], logs["skipped_steps"]))

    model.fit(Lines(), Lines(), batch_size=10, epochs=2, shuffle=False, verbose=0, callbacks=Watch())
    numbers = [value.numpy() for value in net.state_dict().values()]
    outputs = model.predict(Lines(), batch_size=40, verbose=0)[0][0]
    paddle.disable_static()
    return model, seen, numbers, outputs


def test_both_modes_train_alike():
    eager, static_ = trained(False), trained(True)
    assert isinstance(static_[0]._engine, InProgram) and not isinstance(eager[0]._engine, InProgram)
    np.testing.assert_allclose(static_[1], eager[1], rtol=1e-6)     # the norm is fetched as a float32
    for a, b in zip(static_[2], eager[2]):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(static_[3], eager[3])


@pytest.mark.parametrize("in_static", [False, True])
def test_metrics_of_ones_own_and_shipped_ones_side_by_side(in_static):
    if in_static:
        paddle.enable_static()
    x, y = hapi_cases.data()
    net, _ = hapi_cases.network(paddle)
    model = paddle.Model(net, *specs(hapi_cases.FEATURES, "int64"))
    model.prepare(None, nn.CrossEntropyLoss(), [paddle.metric.Accuracy(topk=(1, 2)), hapi_cases.share_right(paddle)])
    result = model.evaluate([[x[:10], y[:10]], [x[10:], y[10:]]], verbose=0)
    assert list(result) == ["loss", "acc_top1", "acc_top2", "right"]
    assert result["acc_top1"] == pytest.approx(result["right"]) and result["acc_top2"] > result["acc_top1"]
    with pytest.raises(TypeError, match="Metric"):
        model.prepare(metrics=[len])


def test_files_go_from_mode_to_mode(tmp_path):
    model, _, numbers, outputs = trained(True)
    model.save(str(tmp_path / "a"))
    model.save(str(tmp_path / "b"), training=False)
    again = trained(False)[0]
    again.load(str(tmp_path / "a"))
    for value, number in zip(again.network.state_dict().values(), numbers):
        np.testing.assert_array_equal(value.numpy(), number)
    np.testing.assert_array_equal(again.predict_batch(Lines().x)[0], outputs)
    loaded = paddle.jit.load(str(tmp_path / "b"))
    np.testing.assert_allclose(loaded(paddle.to_tensor(Lines().x)).numpy(), outputs, rtol=1e-5, atol=1e-6)


def test_bfloat16(static_mode):
    model = trained(True, amp_configs={"level": "O1", "dtype": "bfloat16"})[0]
    assert model.evaluate(Lines(), batch_size=40, verbose=0)["loss"][0] > 0


def test_a_summary_appends_nothing(static_mode, capsys):
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    assert paddle.Model(net, *specs()).summary() == {"total_params": 15, "trainable_params": 15}
    assert paddle.flops(net, [1, 4]) == 12
    assert not static.default_main_program().global_block().ops


def test_what_static_mode_cannot_do_is_said(static_mode):
    net = nn.Linear(4, 1)
    with pytest.raises(TypeError, match="inputs in static mode"):
        paddle.Model(net)
    model = paddle.Model(net, *specs())
    optimizer = paddle.optimizer.SGD(0.1, parameters=net.parameters())
    with pytest.raises(ValueError, match="bfloat16"):
        model.prepare(optimizer, nn.MSELoss(), amp_configs="O1")
    model.prepare(optimizer, nn.MSELoss())
    with pytest.raises(ValueError, match="a step per batch"):
        model.train_batch([Lines().x], [Lines().y], update=False)
    with pytest.raises(ValueError, match="2 fields"):
        model.train_batch([Lines().x])
