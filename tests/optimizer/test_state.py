"""state_dict and back: training goes on bit for bit, also in a rebuilt model; what does not fit changes nothing."""
import warnings

import numpy as np
import pytest

from gpuflow import nn, optimizer
from tests.optimizer.helpers import give, parameter, same, values

SHAPES = ((4, 3), (3,), (), (70,))
EVERY = {
    "SGD": {}, "Momentum": {"use_nesterov": True}, "Adagrad": {"initial_accumulator_value": 0.1}, "Adadelta": {},
    "RMSProp": {"momentum": 0.9, "centered": True}, "Adam": {"amsgrad": True}, "AdamW": {}, "Adamax": {}, "NAdam": {},
    "RAdam": {"beta2": 0.9}, "ASGD": {"batch_num": 3}, "Rprop": {}, "Lamb": {}, "Lion": {"weight_decay": 0.1}}


def build(name, prefix, dtype="float32", **kwargs):
    rng = np.random.default_rng(1)
    params = [parameter(rng.normal(size=s), name=f"{prefix}_{k}", dtype=dtype) for k, s in enumerate(SHAPES)]
    return params, getattr(optimizer, name)(parameters=params, **{"learning_rate": 0.1, **EVERY[name], **kwargs})


def train(params, opt, steps, first=0):
    for k in range(first, first + steps):
        rng = np.random.default_rng(200 + k)
        pairs = [(p, rng.normal(size=p.shape)) for p in params]
        give(*[pair for i, pair in enumerate(pairs) if (k, i) != (1, 2)])    # one parameter misses one step
        opt.step()
        opt.clear_grad()


def saved(opt):
    """A deep copy with NumPy arrays: what comes back from a file."""
    def plain(value):
        return {k: plain(v) for k, v in value.items()} if isinstance(value, dict) else (
            value.numpy() if hasattr(value, "numpy") else value)

    return plain(opt.state_dict())


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("name", EVERY)
def test_resume_into_a_rebuilt_model(name):
    params, opt = build(name, "first")
    train(params, opt, 4)
    weights, state = values(params), saved(opt)
    train(params, opt, 3, first=4)

    again, fresh = build(name, "rebuilt")           # other names, as a second model of one process has
    for p, w in zip(again, weights):
        p.set_value(w)
    fresh.set_state_dict(state)
    train(again, fresh, 3, first=4)
    same(values(again), values(params))
    assert fresh.state_dict()["steps"] == {f"rebuilt_{k}": 7 - (k == 2) for k in range(len(SHAPES))}


@pytest.mark.parametrize("when", ["before the first step", "after some"])
def test_resume_by_name_whatever_the_order(when):
    params, opt = build("AdamW", "ordered")
    train(params, opt, 2)
    weights, state = values(params), saved(opt)
    state = dict(reversed(state.items()))
    train(params, opt, 2, first=2)
    again, fresh = build("AdamW", "ordered")
    if when == "after some":
        train(again, fresh, 5)
    fresh.set_state_dict(state)
    for p, w in zip(again, weights):
        p.set_value(w)
    train(again, fresh, 2, first=2)
    same(values(again), values(params))


def test_resume_with_master_weights():
    params, opt = build("Adam", "half", dtype="float16", multi_precision=True)
    train(params, opt, 3)
    weights, state = values(params), saved(opt)
    assert "half_0_fp32_master_0_moment1_0" in state and state["master_weights"]["half_0"].dtype == np.float32
    train(params, opt, 3, first=3)
    for order in ("weights first", "state first"):
        again, fresh = build("Adam", "other", dtype="float16", multi_precision=True)
        for load_weights in (order == "weights first", order == "state first"):
            if load_weights:
                for p, w in zip(again, weights):
                    p.set_value(w)
            else:
                fresh.set_state_dict(state)
        train(again, fresh, 3, first=3)
        same(values(again), values(params))


def test_resume_with_a_scheduler():
    def schedule():
        return optimizer.lr.ExponentialDecay(0.1, 0.5)

    params, opt = build("SGD", "scheduled", learning_rate=schedule())
    train(params, opt, 1)
    opt._learning_rate.step()
    state = saved(opt)
    _, fresh = build("SGD", "scheduled", learning_rate=schedule())
    fresh.set_state_dict(state)
    assert fresh.get_lr() == opt.get_lr() == 0.05
    del state["LR_Scheduler"]
    with pytest.raises(ValueError, match="LR_Scheduler"):
        fresh.set_state_dict(state)


# The keys that Paddle 3.3.1 writes for a parameter named p, with the shapes it gives them.
PADDLE_KEYS = {
    "SGD": {}, "Momentum": {"velocity": (2,)}, "Adagrad": {"moment": (2,)},
    "Adadelta": {"_avg_squared_grad": (2,), "_avg_squared_update": (2,)},
    "RMSProp": {"momentum": (2,), "mean_square": (2,), "mean_grad": (2,)},
    "Adam": {"moment1": (2,), "moment2": (2,), "moment2_max": (2,), "beta1_pow_acc": (1,), "beta2_pow_acc": (1,)},
    "AdamW": {"moment1": (2,), "moment2": (2,), "beta1_pow_acc": (1,), "beta2_pow_acc": (1,)},
    "Adamax": {"moment": (2,), "inf_norm": (2,), "beta1_pow_acc": (1,)},
    "NAdam": {"moment1": (2,), "moment2": (2,), "momentum_decay_pow": (2,), "beta2_pow": (2,), "mu_product": (2,)},
    "RAdam": {"moment1": (2,), "moment2": (2,), "beta1_pow": (2,), "beta2_pow": (2,), "rho": (2,)},
    "Rprop": {"prevs": (2,), "learning_rates": (2,)},
    "Lamb": {"moment1": (2,), "moment2": (2,), "beta1_pow_acc": (1,), "beta2_pow_acc": (1,)}}


@pytest.mark.parametrize("name", PADDLE_KEYS)
def test_keys_are_paddles(name):
    p = parameter([1.0, 2.0], name="p")
    opt = getattr(optimizer, name)(learning_rate=0.1, parameters=[p], **EVERY[name])
    assert opt.state_dict() == {}
    give((p, [2.0, 2.0]))
    opt.step()
    state = opt.state_dict()
    assert state.pop("steps") == {"p": 1}
    assert {key: tuple(t.shape) for key, t in state.items()} == {
        f"p_{acc}_0": shape for acc, shape in PADDLE_KEYS[name].items()}
    if "beta1_pow_acc" in PADDLE_KEYS[name]:
        assert state["p_beta1_pow_acc_0"].item() == pytest.approx(0.81, rel=1e-6)   # 0.9 ** (1 + 1), as Paddle has it


def test_a_state_without_step_counts_is_read_from_the_beta_powers():
    """As Paddle writes it: no entry "steps", and another number at the end of the keys."""
    params, opt = build("Adam", "counted")
    train(params, opt, 5)
    weights, state = values(params), saved(opt)
    del state["steps"]
    state = {key[:-1] + "7": value for key, value in state.items()}
    train(params, opt, 2, first=5)
    again, fresh = build("Adam", "counted")
    fresh.set_state_dict(state)
    for p, w in zip(again, weights):
        p.set_value(w)
    train(again, fresh, 2, first=5)
    same(values(again), values(params))
    params, opt = build("NAdam", "uncounted")
    train(params, opt, 2)
    state = {key: value for key, value in saved(opt).items() if key != "steps" and "beta2_pow" not in key}
    with pytest.raises(ValueError, match=r"missing: steps\['uncounted_0'\]"):
        opt.set_state_dict(state)


def test_a_name_keeps_optimizers_apart():
    p = parameter([1.0], name="p")
    opt = optimizer.Momentum(0.1, parameters=[p], name="slow")
    give((p, [1.0]))
    opt.step()
    state = saved(opt)
    assert "p_slow_velocity_0" in state
    opt.set_state_dict(state)


# ---- what does not fit ---------------------------------------------------------------------------------------------

def without(state, key):
    return {k: v for k, v in state.items() if k != key}


BROKEN = {
    "missing": (lambda s: without(s, "x_1_moment2_0"), ValueError, "missing: x_1_moment2_0"),
    "shape": (lambda s: {**s, "x_0_moment1_0": np.zeros((3, 4))}, ValueError, r"x_0_moment1_0 \[3, 4\] instead of"),
    "dtype": (lambda s: {**s, "x_0_moment1_0": np.zeros((4, 3), int)}, ValueError, "x_0_moment1_0 of dtype int64"),
    "both": (lambda s: {**without(s, "x_1_moment2_0"), "x_0_moment1_0": np.zeros(4)}, ValueError,
             "x_1_moment2_0.*x_0_moment1_0"),
    "foreign": (lambda s: {k.replace("x_0", "zz"): v for k, v in without(s, "steps").items()} | {"yy_moment1_0": 1.0},
                ValueError, "zz"),
    "no dict": (lambda s: list(s), TypeError, "a dict"),
    "no dict inside": (lambda s: {**s, "steps": [3]}, TypeError, "entry 'steps'"),
    "negative steps": (lambda s: {**s, "steps": {**s["steps"], "x_3": -1}}, ValueError, r"steps\['x_3'\] to be an int"),
    "schedule": (lambda s: {**s, "LR_Scheduler": {"last_epoch": 3, "last_lr": "fast"}}, TypeError, "last_lr")}


@pytest.mark.parametrize("what", BROKEN)
def test_nothing_is_half_loaded(what):
    spoil, error, message = BROKEN[what]
    params, opt = build("Adam", "x", learning_rate=optimizer.lr.StepDecay(0.1, 1))
    train(params, opt, 2)
    other_params, other = build("Adam", "x", learning_rate=optimizer.lr.StepDecay(0.1, 1))
    train(other_params, other, 3)
    other._learning_rate.step()
    before = saved(opt)
    with pytest.raises(error, match=message):
        opt.set_state_dict(spoil(saved(other)))
    after = saved(opt)
    assert after["steps"] == before["steps"] and after["LR_Scheduler"] == before["LR_Scheduler"]
    tensors = [key for key in before if isinstance(before[key], np.ndarray)]
    same([after[k] for k in tensors], [before[k] for k in tensors])


def test_in_order_only_where_shapes_agree():
    params, opt = build("Adam", "a")
    train(params, opt, 1)
    turned = [parameter(p.numpy(), name=f"b_{k}") for k, p in enumerate(reversed(params))]
    with pytest.raises(ValueError, match="by name or in their order and shapes"):
        optimizer.Adam(0.1, parameters=turned).set_state_dict(saved(opt))


def test_leftovers_are_told():
    params, opt = build("Adam", "x")
    train(params, opt, 2)
    state = saved(opt)
    plain = optimizer.Adam(0.1, parameters=params)
    with pytest.warns(UserWarning, match=r"ignored \['x_0_moment2_max_0'"):
        plain.set_state_dict(state)
    more = parameter([1.0], name="more")
    wider = optimizer.Adam(0.1, amsgrad=True, parameters=[*params, more])
    with pytest.warns(UserWarning, match=r"says nothing of \['more'\]"):
        wider.set_state_dict(state)
    assert wider.state_dict()["steps"] == {**state["steps"], "more": 0}


def test_a_state_of_no_steps_starts_afresh():
    params, opt = build("Adam", "x")
    start = values(params)
    empty = saved(opt)
    train(params, opt, 3)
    end = values(params)
    opt.set_state_dict(empty)
    for p, w in zip(params, start):
        p.set_value(w)
    train(params, opt, 3)
    same(values(params), end)


def test_the_clip_needs_no_state():
    params, opt = build("Adam", "x", grad_clip=nn.ClipGradByGlobalNorm(1.0))
    train(params, opt, 1)
    assert not [key for key in opt.state_dict() if "norm" in key]


@pytest.mark.parametrize("prefix", ["kept", "renamed"])
def test_a_parameter_that_is_frozen_when_the_state_comes_goes_on_once_unfrozen(prefix):
    params, opt = build("Adam", "kept")
    train(params, opt, 2)
    weights, state = values(params), saved(opt)
    train(params, opt, 2, first=2)
    again, fresh = build("Adam", prefix)
    for p, w in zip(again, weights):
        p.set_value(w)
        p.trainable = False
    fresh.set_state_dict(state)
    for p in again:
        p.trainable = True
    train(again, fresh, 2, first=2)
    same(values(again), values(params))
