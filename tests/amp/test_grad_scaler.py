"""GradScaler: what a step under a scale does, what a skipped one leaves alone, and how the scale adapts."""
import json
import logging
from pathlib import Path

import numpy as np
import pytest

import gpuflow
import gpuflow as paddle
from gpuflow import optimizer as optim
from tests.golden.amp_cases import SCALES

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "amp.json").read_text())

OPTIMIZERS = {
    "SGD": {}, "Momentum": {}, "Adam": {}, "AdamW": {"weight_decay": 0.1}, "Adagrad": {"learning_rate": 0.01},
    "RMSProp": {"learning_rate": 0.01}, "Lamb": {}, "NAdam": {}, "RAdam": {}, "Adamax": {}, "Adadelta": {}, "ASGD": {},
    "Rprop": {},
}


@pytest.fixture(autouse=True)
def last_block():
    """The block entered last is one in float16: after bfloat16 a scaler switches itself off."""
    with paddle.amp.auto_cast(dtype="float16"):
        pass


def model_and_data(seed=0):
    rng = np.random.default_rng(seed)
    model = gpuflow.nn.Sequential(gpuflow.nn.Linear(6, 8), gpuflow.nn.Tanh(), gpuflow.nn.Linear(8, 3))
    for p in model.parameters():
        p.set_value(rng.uniform(-0.5, 0.5, p.shape).astype("float32"))
    x = paddle.to_tensor(rng.standard_normal((16, 6)).astype("float32"))
    y = paddle.to_tensor(rng.integers(0, 3, 16))
    return model, x, y


def loss_of(model, x, y):
    return gpuflow.nn.functional.cross_entropy(model(x), y)


def weights(model):
    return [p.numpy() for p in model.parameters()]


def states(optimizer):
    found = optimizer.state_dict()
    return {k: v.numpy().copy() if hasattr(v, "numpy") else v for k, v in found.items()}


def train(scaler, make, steps=4, poison=(), seed=0):
    """Weights and the optimizer after some steps, in which the gradients of those in `poison` hold an inf."""
    model, x, y = model_and_data(seed)
    optimizer = make(model.parameters())
    for k in range(steps):
        loss = loss_of(model, x, y)
        (loss if scaler is None else scaler.scale(loss)).backward()
        if k in poison:
            if scaler is None:
                optimizer.clear_grad()
                continue
            model[0].weight.grad._array[0, 0] = np.inf
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()
        optimizer.clear_grad()
    return model, optimizer


# ---- a step --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_scaled_step_is_the_plain_step_and_a_skipped_one_is_none(name):
    """A power of two as scale changes no bit of a float32 gradient; a kernel that divides it again may contract its
    lines in another way, which is an ulp or two in some elements."""
    def make(parameters):
        return getattr(optim, name)(**{"learning_rate": 0.1} | OPTIMIZERS[name], parameters=parameters)

    plain, with_plain = train(None, make, poison={1})
    scaler = paddle.amp.GradScaler(init_loss_scaling=1024.0)
    scaled, with_scaled = train(scaler, make, poison={1})
    for a, b in zip(weights(plain), weights(scaled), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-6)
    a, b = states(with_plain), states(with_scaled)
    assert list(a["steps"].values()) == list(b["steps"].values())
    for (k, u), v in zip(a.items(), b.values(), strict=True):
        if k != "steps":
            np.testing.assert_allclose(v, u, rtol=1e-6, err_msg=k)
    assert scaler.state_dict()["scale"][0] == 512.0


def adam(parameters):
    return optim.Adam(0.05, parameters=parameters)


def test_on_each_device_the_step_is_decided_and_said(place):
    model, x, y = model_and_data()
    optimizer, scaler = adam(model.parameters()), paddle.amp.GradScaler(init_loss_scaling=64.0, incr_every_n_steps=2)
    said = []
    for k in range(4):
        before = weights(model)
        scaler.scale(loss_of(model, x, y)).backward()
        if k == 1:
            model[2].bias.grad._array[0] = np.nan
        stepped = scaler.step(optimizer)
        scaler.update()
        optimizer.clear_grad()
        said.append(bool(stepped))
        moved = [not np.array_equal(a, b) for a, b in zip(before, weights(model), strict=True)]
        assert all(moved) if said[-1] else not any(moved)
        assert repr(stepped) == f"Stepped({said[-1]})"
    assert said == [True, False, True, True]
    assert scaler.state_dict()["scale"][0] == 64.0       # halved by the second step, doubled by the last two
    assert set(optimizer.state_dict()["steps"].values()) == {3}


def test_step_reads_no_flag(monkeypatch):
    """Nothing waits in step() and update(); the flag is read when the next loss is scaled."""
    from gpuflow.device.later import Later
    reads = []
    original = Later.read
    monkeypatch.setattr(Later, "read", lambda self: reads.append(1) or original(self))
    model, x, y = model_and_data()
    optimizer, scaler = adam(model.parameters()), paddle.amp.GradScaler()
    scaler.scale(loss_of(model, x, y)).backward()
    stepped = scaler.step(optimizer)
    scaler.update()
    optimizer.clear_grad()
    assert not reads
    scaler.scale(loss_of(model, x, y))
    assert reads
    assert stepped


def test_the_first_overflow_starts_no_moments():
    model, x, y = model_and_data()
    before = weights(model)
    optimizer, scaler = adam(model.parameters()), paddle.amp.GradScaler(init_loss_scaling=2.0**127)
    for _ in range(3):
        with np.errstate(over="ignore"):
            scaler.scale(loss_of(model, x, y) * 1e3).backward()
        assert not scaler.step(optimizer)
        scaler.update()
        optimizer.clear_grad()
    for a, b in zip(before, weights(model), strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(not v.any() for k, v in states(optimizer).items() if "moment" in k)
    assert scaler.state_dict()["scale"][0] == 2.0**124


def test_a_scheduler_stands_still_with_the_documented_loop():
    model, x, y = model_and_data()
    schedule = optim.lr.StepDecay(0.1, step_size=1, gamma=0.5)
    optimizer, scaler = optim.SGD(schedule, parameters=model.parameters()), paddle.amp.GradScaler()
    rates = []
    for k in range(4):
        scaler.scale(loss_of(model, x, y)).backward()
        if k in (0, 2):
            model[0].bias.grad._array[0] = np.inf
        rates.append(optimizer.get_lr())
        stepped = scaler.step(optimizer)
        scaler.update()
        optimizer.clear_grad()
        if stepped:
            schedule.step()
    assert rates == [0.1, 0.1, 0.05, 0.05]


# ---- unscale_ and clips --------------------------------------------------------------------------------------------


def clipped_by_hand(steps, limit):
    """Weights of plain SGD in float64 NumPy, gradients clipped by their global norm, from float32 gradients."""
    model, x, y = model_and_data()
    values = [w.astype(np.float64) for w in weights(model)]
    for _ in range(steps):
        for p, v in zip(model.parameters(), values, strict=True):
            p.set_value(v.astype("float32"))
            p.clear_grad()
        loss_of(model, x, y).backward()
        grads = [p.grad.numpy().astype(np.float64) for p in model.parameters()]
        norm = np.sqrt(sum((g * g).sum() for g in grads))
        values = [v - 0.5 * g * min(1.0, limit / norm) for v, g in zip(values, grads, strict=True)]
    return values


def test_a_clip_by_global_norm_sees_gradients_without_the_scale():
    def make(parameters):
        return optim.SGD(0.5, parameters=parameters, grad_clip=gpuflow.nn.ClipGradByGlobalNorm(0.05))

    model, optimizer = train(paddle.amp.GradScaler(init_loss_scaling=3000.0), make, steps=3)
    for mine, theirs in zip(weights(model), clipped_by_hand(3, 0.05), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)   # float32 gradients and three updates
    assert float(optimizer.last_grad_norm) > 0.05


def test_unscale_then_clip_by_hand_then_step(place):
    model, x, y = model_and_data()
    optimizer = optim.SGD(0.5, parameters=model.parameters())
    scaler = paddle.amp.GradScaler(init_loss_scaling=3000.0)
    for _ in range(3):
        scaler.scale(loss_of(model, x, y)).backward()
        scaler.unscale_(optimizer)
        gpuflow.nn.utils.clip_grad_norm_(model.parameters(), 0.05)
        assert scaler.step(optimizer)
        scaler.update()
        optimizer.clear_grad()
    result = weights(model)
    paddle.set_device("cpu")
    for mine, theirs in zip(result, clipped_by_hand(3, 0.05), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=2e-6)   # clip_grad_norm_ adds 1e-6 to the norm


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_unscale_reaches_every_gradient_once(dtype, monkeypatch):
    """In the arena by pieces, before there is one and beside a parameter without gradient one by one."""
    monkeypatch.setitem(paddle.amp.GradScaler.step.__globals__, "CPU_PIECE", 5)
    params = [gpuflow.create_parameter([n], dtype) for n in (7, 3, 64, 65)]
    optimizer, scaler = optim.SGD(0.0, parameters=params), paddle.amp.GradScaler(init_loss_scaling=4.0)
    for k, used in enumerate((params, params, params[1:], params)):
        for p in used:
            (p.astype("float32").sum() * 8.0).backward()
        if k == 3:
            params[3].grad._array[64] = np.inf
        scaler.unscale_(optimizer)
        for p in used:
            assert (p.grad.astype("float32").numpy()[:64] == 2.0).all()
        assert bool(scaler.step(optimizer)) == (k < 3)
        scaler.update()
        optimizer.clear_grad()


def test_an_overflow_that_the_clip_hides_is_still_skipped():
    """A clip by value makes inf finite: the flag of unscale_ counts, on the device."""
    model, x, y = model_and_data()
    optimizer, scaler = adam(model.parameters()), paddle.amp.GradScaler(init_loss_scaling=8.0)
    for k in range(3):
        before = weights(model)
        scaler.scale(loss_of(model, x, y)).backward()
        if k != 1:
            model[0].weight.grad._array[1, 1] = np.inf
        scaler.unscale_(optimizer)
        gpuflow.nn.utils.clip_grad_value_(model.parameters(), 0.1)
        assert np.isfinite(model[0].weight.grad.numpy()).all()
        assert bool(scaler.step(optimizer)) == (k == 1)
        scaler.update()
        optimizer.clear_grad()
        assert all(np.array_equal(a, b) for a, b in zip(before, weights(model), strict=True)) == (k != 1)
    assert scaler.state_dict()["scale"][0] == 2.0
    assert set(optimizer.state_dict()["steps"].values()) == {1}


def test_sparse_gradients_are_unscaled_too():
    def run(scaler, by_hand):
        table = gpuflow.nn.Embedding(6, 3, sparse=True)
        table.weight.set_value(np.arange(18, dtype="float32").reshape(6, 3))
        optimizer = optim.SGD(0.5, parameters=table.parameters())
        for _ in range(2):
            loss = (table(paddle.to_tensor([1, 4, 1])) ** 2).mean()
            (scaler.scale(loss) if scaler else loss).backward()
            if by_hand:
                scaler.unscale_(optimizer)
            (scaler.step(optimizer), scaler.update()) if scaler else optimizer.step()
            optimizer.clear_grad()
        return table.weight.numpy()

    plain = run(None, False)
    for by_hand in (False, True):
        np.testing.assert_array_equal(run(paddle.amp.GradScaler(init_loss_scaling=256.0), by_hand), plain)


def test_calls_out_of_order_are_refused():
    model, x, y = model_and_data()
    optimizer, scaler = adam(model.parameters()), paddle.amp.GradScaler()
    scaler.scale(loss_of(model, x, y)).backward()
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="second"):
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="after it"):
        scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="second"):
        scaler.step(optimizer)
    scaler.update()
    scaler.unscale_(optimizer)


def test_two_optimizers_skip_on_their_own_and_share_the_scale():
    a, x, y = model_and_data(1)
    b, _, _ = model_and_data(2)
    first, second, scaler = adam(a.parameters()), adam(b.parameters()), paddle.amp.GradScaler(init_loss_scaling=16.0)
    scaler.scale(loss_of(a, x, y) + loss_of(b, x, y)).backward()
    a[0].bias.grad._array[0] = np.inf
    stepped = scaler.step(first), scaler.step(second)
    scaler.update()
    assert [bool(s) for s in stepped] == [False, True]
    assert scaler.state_dict()["scale"][0] == 8.0


def test_minimize_is_step_and_update():
    def run(go):
        model, x, y = model_and_data()
        optimizer, scaler = adam(model.parameters()), paddle.amp.GradScaler(init_loss_scaling=2.0, incr_every_n_steps=2)
        for _ in range(4):
            scaled = scaler.scale(loss_of(model, x, y))
            scaled.backward()
            go(scaler, optimizer, scaled)
            optimizer.clear_grad()
        return weights(model), scaler.state_dict()["scale"][0]

    one, scale = run(lambda scaler, optimizer, scaled: scaler.minimize(optimizer, scaled))
    two, _ = run(lambda scaler, optimizer, scaled: (scaler.step(optimizer), scaler.update()))
    assert scale == 8.0
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


class ByHand(optim.SGD):
    """Steps in code of its own, which knows nothing of scales."""

    def step(self):
        for p in self._groups.params:
            if p._grad is not None:
                p.set_value(p.numpy() - 0.5 * p.grad.numpy())


def test_an_optimizer_with_steps_of_its_own_is_scaled_and_skipped_too():
    plain, _ = train(None, lambda p: ByHand(0.5, parameters=p), poison={1})
    scaler = paddle.amp.GradScaler(init_loss_scaling=128.0)
    made = []
    scaled, _ = train(scaler, lambda p: made.append(ByHand(0.5, parameters=p)) or made[0], poison={1})
    for a, b in zip(weights(plain), weights(scaled), strict=True):
        np.testing.assert_array_equal(a, b)
    assert scaler.state_dict()["scale"][0] == 64.0 and made[0].skipped_steps == 1


def test_lookahead_counts_no_skipped_step():
    def make(parameters):
        return optim.LookAhead(optim.SGD(0.5, parameters=parameters), k=2)

    plain, _ = train(None, make, steps=5, poison={1})
    scaled, _ = train(paddle.amp.GradScaler(init_loss_scaling=128.0), make, steps=5, poison={1})
    for a, b in zip(weights(plain), weights(scaled), strict=True):
        np.testing.assert_array_equal(a, b)


def test_on_nonfinite_raise_means_steps_without_a_scaler():
    model, x, y = model_and_data()
    optimizer = optim.SGD(0.1, parameters=model.parameters(), on_nonfinite="raise")
    scaler = paddle.amp.GradScaler()
    scaler.scale(loss_of(model, x, y)).backward()
    model[0].bias.grad._array[0] = np.inf
    assert not scaler.step(optimizer)
    scaler.update()
    with pytest.raises(FloatingPointError):
        optimizer.step()


def test_a_plain_step_after_a_scaled_one_propagates_again():
    model, x, y = model_and_data()
    optimizer, scaler = optim.SGD(0.1, parameters=model.parameters()), paddle.amp.GradScaler()
    scaler.scale(loss_of(model, x, y)).backward()
    scaler.step(optimizer)
    optimizer.clear_grad()
    loss_of(model, x, y).backward()
    model[0].bias.grad._array[0] = np.inf
    optimizer.step()
    assert np.isinf(model[0].bias.numpy()).any()


def test_no_gradients_no_step():
    model, _, _ = model_and_data()
    scaler = paddle.amp.GradScaler()
    scaler.step(adam(model.parameters()))
    scaler.update()
    assert scaler.state_dict()["scale"][0] == 65536.0


# ---- the scale -----------------------------------------------------------------------------------------------------


def adapted(pattern, **settings):
    """The scale after each step; pattern: "." for a good one, "x" for one with an inf."""
    p = gpuflow.create_parameter([1], "float32")
    optimizer, scaler = optim.SGD(0.0, parameters=[p]), paddle.amp.GradScaler(**settings)
    scales = []
    for kind in pattern:
        p.grad = paddle.to_tensor([np.inf if kind == "x" else 1.0])
        scaler.step(optimizer)
        scaler.update()
        scales.append(float(scaler.state_dict()["scale"][0]))
    return scales, scaler


@pytest.mark.parametrize(("case", "expected"), list(zip(SCALES, GOLDEN["scales"], strict=True)))
def test_the_scale_adapts_as_paddles(case, expected):
    pattern, settings = case
    assert adapted(pattern, init_loss_scaling=8.0, **settings)[0] == expected


def test_a_fixed_scale_stays_and_needs_no_update():
    assert adapted("x.x", init_loss_scaling=8.0, use_dynamic_loss_scaling=False)[0] == [8, 8, 8]


def test_the_scale_stays_a_positive_finite_float32():
    assert adapted("xx", init_loss_scaling=2.0**-126)[0] == [2.0**-126] * 2
    assert np.isfinite(adapted("..", init_loss_scaling=2.0**127, incr_every_n_steps=1)[0]).all()


def test_state_goes_on_bit_for_bit():
    settings = {"init_loss_scaling": 4.0, "incr_every_n_steps": 3, "incr_ratio": 1.7, "decr_ratio": 0.3}
    whole, _ = adapted("..x....x...", **settings)
    _, first = adapted("..x..", **settings)
    second = paddle.amp.GradScaler()
    second.load_state_dict(first.state_dict())
    assert second.state_dict() == first.state_dict()
    p = gpuflow.create_parameter([1], "float32")
    optimizer, scales = optim.SGD(0.0, parameters=[p]), []
    for kind in "..x...":
        p.grad = paddle.to_tensor([np.inf if kind == "x" else 1.0])
        second.step(optimizer)
        second.update()
        scales.append(float(second.state_dict()["scale"][0]))
    assert scales == whole[5:]


def test_keys_of_the_state_are_paddles():
    state = paddle.amp.GradScaler().state_dict()
    assert list(state) == ["scale", "incr_ratio", "decr_ratio", "incr_every_n_steps", "decr_every_n_nan_or_inf",
                           "incr_count", "decr_count", "use_dynamic_loss_scaling"]
    assert state["scale"].shape == (1,) and state["scale"].dtype == np.float32


def test_states_that_do_not_fit_are_refused():
    scaler = paddle.amp.GradScaler()
    with pytest.raises(RuntimeError, match="empty"):
        scaler.load_state_dict({})
    with pytest.raises(KeyError, match="incr_ratio"):
        scaler.load_state_dict({"scale": np.ones(1, np.float32)})
    given = paddle.amp.GradScaler(init_loss_scaling=8.0).state_dict()
    for key, value in (("scale", np.array([-1.0])), ("decr_ratio", 2), ("incr_every_n_steps", "x"), ("decr_count", -2)):
        with pytest.raises((ValueError, TypeError), match="expected"):
            scaler.load_state_dict({**given, key: value})
    assert scaler.state_dict() == paddle.amp.GradScaler().state_dict()   # nothing of any


@pytest.mark.parametrize("settings", [{"incr_ratio": 1.0}, {"decr_ratio": 1.0}, {"decr_ratio": 0.0},
                                      {"init_loss_scaling": 0.0}, {"incr_every_n_steps": 0},
                                      {"init_loss_scaling": float("nan")}])
def test_settings_that_mean_nothing_are_refused(settings):
    with pytest.raises(ValueError, match="expected"):
        paddle.amp.GradScaler(**settings)


def test_accessors():
    scaler = paddle.amp.GradScaler()
    for name, value in (("init_loss_scaling", 4.0), ("incr_ratio", 3.0), ("decr_ratio", 0.1),
                        ("incr_every_n_steps", 7), ("decr_every_n_nan_or_inf", 3)):
        getattr(scaler, f"set_{name}")(value)
        assert getattr(scaler, f"get_{name}")() == value
    assert scaler.is_enable() and scaler.is_use_dynamic_loss_scaling()


def test_low_losses_are_scaled_in_float32():
    scaler = paddle.amp.GradScaler()
    with paddle.amp.auto_cast():
        scaled = scaler.scale(paddle.to_tensor(3.0).astype("float16"))
    assert scaled.dtype.name == "float32" and float(scaled) == 3.0 * 65536
    with pytest.raises(TypeError):
        scaler.scale(3.0)


def test_off_is_the_plain_loop():
    scaler = paddle.amp.GradScaler(enable=False)
    plain, _ = train(None, adam)
    off, _ = train(scaler, adam)
    for a, b in zip(weights(plain), weights(off), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not scaler.is_enable() and scaler.state_dict() == {}
    loss = paddle.to_tensor(1.0)
    assert scaler.scale(loss) is loss


def test_bfloat16_switches_a_dynamic_scaler_off(caplog):
    scaler, fixed = paddle.amp.GradScaler(), paddle.amp.GradScaler(use_dynamic_loss_scaling=False)
    with paddle.amp.auto_cast(dtype="bfloat16"):
        loss = paddle.to_tensor(1.0)
    with caplog.at_level(logging.WARNING, "gpuflow"):
        assert scaler.scale(loss) is loss
    assert "bfloat16" in caplog.text and not scaler.is_enable()
    assert float(fixed.scale(loss)) == 65536.0
    with paddle.amp.auto_cast(dtype="float16"):
        pass
    assert float(paddle.amp.GradScaler().scale(loss)) == 65536.0
