"""Model in static mode: the runs of eager mode, to the bit, and Paddle's."""
import json
from pathlib import Path

import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import nn, static
from gpuflow.hapi.in_program import InProgram
from tests.golden import hapi_cases
from tests.hapi.test_model import Lines, _alike, specs

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "hapi.json").read_text())
CASES = ["plain", "accumulate", "schedule", "stops"]
MIXED = [{"level": level, "dtype": dtype, "init_loss_scaling": 2.0**24, "incr_every_n_steps": 2, "decr_ratio": 2.0**-9}
         for level in ("O1", "O2") for dtype in ("float16", "bfloat16")]    # the first steps overflow


@pytest.fixture
def static_mode():
    paddle.enable_static()


@pytest.mark.parametrize("case", CASES)
def test_runs_are_paddles(case, static_mode):
    ours = hapi_cases.replay(paddle, case, *specs(hapi_cases.FEATURES, "int64"))
    for key, theirs in GOLDEN["runs"][case].items():
        _alike(ours[key], theirs)


def trained(in_static, fit=None, **options):
    """A training; fit: options of Model.fit, the others are those of prepare."""
    paddle.seed(3)
    if in_static:
        paddle.enable_static()
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1D(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 1))
    optimizer = paddle.optimizer.AdamW(0.01, parameters=net.parameters(), grad_clip=nn.ClipGradByGlobalNorm(1.0))
    model = paddle.Model(net, *specs())
    model.prepare(optimizer, nn.MSELoss(), **options)
    rng = np.random.default_rng(0)
    for p in net.parameters():
        p.set_value(rng.normal(size=p.shape).astype(p.dtype.dtype))
    seen = []

    class Watch(paddle.callbacks.Callback):
        def on_train_batch_end(self, step, logs=None):
            seen.append((logs["loss"][0], logs["lr"], logs.get("grad_norm", 0.0), logs["skipped_steps"]))

    options = {"epochs": 2, "shuffle": False, "verbose": 0, "callbacks": Watch(), **(fit or {})}
    model.fit(Lines(), Lines(), batch_size=10, **options)
    numbers = [value.numpy() for value in net.state_dict().values()]
    outputs = model.predict(Lines(), batch_size=40, verbose=0)[0][0]
    paddle.disable_static()
    return model, seen, numbers, outputs


@pytest.mark.parametrize("options", [
    {}, {"amp_configs": "O1"}, *({"amp_configs": one} for one in MIXED), {"fit": {"accumulate_grad_batches": 3}},
    *({"fit": {"accumulate_grad_batches": 2}, "amp_configs": one} for one in (MIXED[0], MIXED[2])),
    {"fit": {"num_iters": 6, "shuffle": True, "drop_last": True, "eval_freq": 2}}])
def test_both_modes_train_alike(options):
    eager, static_ = trained(False, **options), trained(True, **options)
    assert isinstance(static_[0]._engine, InProgram) and not isinstance(eager[0]._engine, InProgram)
    np.testing.assert_allclose(static_[1], eager[1], rtol=1e-6)     # the norm is fetched as a float32
    for a, b in zip(static_[2], eager[2], strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(static_[3], eager[3])
    states = [one[0]._engine.scaler.state_dict() for one in (static_, eager) if one[0]._engine.scaler is not None]
    assert not states or states[0] == states[1]
    if options.get("amp_configs") in (MIXED[0], MIXED[2]):
        assert 0 < eager[1][-1][3] < 4 and states[0]["scale"] < 2.0**24


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


def test_sums_of_gradients_wait_for_their_step(static_mode):
    net = nn.Linear(4, 1)
    model = paddle.Model(net, *specs())
    model.prepare(paddle.optimizer.SGD(0.1, parameters=net.parameters()), nn.MSELoss())
    batch, before = ([Lines().x], [Lines().y]), net.weight.numpy()
    model.train_batch(*batch, update=False)
    once = net.weight.grad.numpy()
    model.train_batch(*batch, update=False)
    np.testing.assert_allclose(net.weight.grad.numpy(), 2 * once, rtol=1e-6)
    np.testing.assert_array_equal(net.weight.numpy(), before)
    model.train_batch(*batch)
    assert net.weight.grad is None
    after = net.weight.numpy()
    np.testing.assert_allclose(after, before - 0.3 * once, rtol=1e-5)
    model.train_batch(*batch)
    assert net.weight.grad is None and not np.array_equal(net.weight.numpy(), after)


@pytest.mark.parametrize("saved_in_static", [False, True])
def test_a_scaled_training_goes_on_in_the_other_mode(saved_in_static, tmp_path):
    options = {"amp_configs": MIXED[2]}
    model = trained(saved_in_static, **options)[0]
    model.save(str(tmp_path / "a"))
    again = trained(not saved_in_static, **options)[0]
    again._engine.scaler.set_init_loss_scaling(2.0)
    again.load(str(tmp_path / "a"))
    assert again._engine.scaler.state_dict() == model._engine.scaler.state_dict()
    batch = [Lines().x[:10]], [Lines().y[:10]]
    for one, in_static in ((model, saved_in_static), (again, not saved_in_static)):
        paddle.enable_static() if in_static else paddle.disable_static()
        paddle.seed(9)
        one.train_batch(*batch)
    paddle.disable_static()
    for a, b in zip(model.network.state_dict().values(), again.network.state_dict().values(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


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
    with pytest.raises(ValueError, match="use_fp16_guard"):
        model.prepare(optimizer, nn.MSELoss(), amp_configs={"use_fp16_guard": True})
    model.prepare(optimizer, nn.MSELoss())
    with pytest.raises(ValueError, match="2 fields"):
        model.train_batch([Lines().x])
