"""Learning-rate schedules against recorded numbers, resuming, refusals; and the two regularizer records."""

import copy
import dataclasses
import inspect
import json
import math
import pickle
import runpy
from pathlib import Path

import numpy as np
import pytest

import gpuflow.optimizer.lr as lr
from gpuflow.regularizer import L1Decay, L2Decay, WeightDecayRegularizer

HERE = Path(__file__).parent / "golden"
TABLE = runpy.run_path(str(HERE / "lr_cases.py"))
CASES, build, walk, NEXT = TABLE["CASES"], TABLE["build"], TABLE["walk"], TABLE["NEXT"]
GOLDEN = json.loads((HERE / "lr.json").read_text())

# The recording side forgets the cycle in a saved state, so what it did after resuming is nothing to follow.
FORGETS_THE_CYCLE = ("restarts",)

# One valid set of arguments per class; the classes under test are all that the package exports.
VALID = {
    **{kind: args for kind, args, _ in reversed(CASES.values())},
    "LRScheduler": {},
    "WarmupStableDecay": {"learning_rate": 0.5, "warmup_steps": 4, "stable_steps": 6, "decay_steps": 5},
}
CLASSES = [name for name in lr.__all__ if name != "LRScheduler"]


def near(rates):
    """Both sides compute in float64, in nearly the same order; a rate close to zero may be off by rounding of 1.0."""
    return pytest.approx(rates, rel=1e-12, abs=1e-16)


@pytest.mark.parametrize("case", CASES)
def test_rates_are_the_recorded_ones(case):
    kind, args, path = CASES[case]
    schedule = build(lr, kind, args)
    assert [schedule(), *walk(schedule, path)] == near(GOLDEN[case]["rates"])


@pytest.mark.parametrize("case", CASES)
def test_a_resumed_schedule_goes_on_as_if_nothing_had_happened(case):
    kind, args, path = CASES[case]
    half = len(path) // 2
    schedule = build(lr, kind, args)
    walk(schedule, path[:half])
    state = copy.deepcopy(schedule.state_dict())
    fresh = build(lr, kind, args)
    fresh.set_state_dict(json.loads(json.dumps(state)))
    assert fresh() == schedule() and fresh.last_epoch == schedule.last_epoch
    assert walk(fresh, path[half:]) == walk(schedule, path[half:])


@pytest.mark.parametrize("case", [case for case in CASES if not case.endswith(".fractions")])
def test_a_state_recorded_elsewhere_is_taken_over(case):
    kind, args, path = CASES[case]
    half = len(path) // 2
    schedule = build(lr, kind, args)
    schedule.set_dict(GOLDEN[case]["state"])
    expected = GOLDEN[case]["rates"][half + 1 :]
    assert walk(schedule, path[half:]) == near(expected)
    if not case.startswith(FORGETS_THE_CYCLE):
        assert expected == near(GOLDEN[case]["resumed"])


def test_every_class_is_under_test():
    assert set(CLASSES) == {kind for kind, _, _ in CASES.values()} | {"WarmupStableDecay"}
    assert len(CLASSES) == len(set(CLASSES)) == 18


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_documents_its_arguments_and_can_be_copied(name):
    cls = getattr(lr, name)
    for argument in list(inspect.signature(cls.__init__).parameters)[1:]:
        documented = cls.__doc__ if argument not in ("last_epoch", "verbose") else lr.LRScheduler.__doc__
        assert f"{argument}:" in documented, f"{name}.{argument}"
    schedule = build(lr, name, VALID[name])
    copied = copy.deepcopy(schedule)
    step = (lambda s: s.step(1.0)) if name == "ReduceOnPlateau" else (lambda s: s.step())
    for _ in range(3):
        step(schedule), step(copied)
    assert copied() == schedule() and copied.last_epoch == schedule.last_epoch


# --- WarmupStableDecay: no other implementation, so against numbers worked out by hand ---


def test_warmup_stable_decay_linear():
    schedule = lr.WarmupStableDecay(0.8, warmup_steps=4, stable_steps=3, decay_steps=4, start_lr=0.4, end_lr=0.1)
    expected = [0.4, 0.5, 0.6, 0.7, 0.8, 0.8, 0.8, 0.8, 0.625, 0.45, 0.275, 0.1, 0.1, 0.1]
    assert [schedule(), *walk(schedule, [NEXT] * 13)] == near(expected)


@pytest.mark.parametrize(
    ("decay", "at_quarters"),
    [
        ("linear", [1.0, 0.75, 0.5, 0.25, 0.0]),
        ("cosine", [1.0, (2 + math.sqrt(2)) / 4, 0.5, (2 - math.sqrt(2)) / 4, 0.0]),
        ("1-sqrt", [1.0, 0.5, 1 - math.sqrt(0.5), 1 - math.sqrt(0.75), 0.0]),
    ],
)
def test_warmup_stable_decay_shapes(decay, at_quarters):
    schedule = lr.WarmupStableDecay(1.2, 0, 0, 4, end_lr=0.2, decay=decay)
    assert [schedule(), *walk(schedule, [NEXT] * 4)] == near([0.2 + share for share in at_quarters])
    schedule.step(2)
    assert schedule() == near(0.2 + at_quarters[2])


def test_warmup_stable_decay_resumes():
    args = VALID["WarmupStableDecay"]
    whole, fresh = lr.WarmupStableDecay(**args), lr.WarmupStableDecay(**args)
    walk(whole, [NEXT] * 12)
    fresh.set_state_dict(whole.state_dict())
    assert walk(fresh, [NEXT] * 5) == walk(whole, [NEXT] * 5)


# --- behaviour shared by all ---


def test_the_caller_of_a_schedule_reads_and_never_steps():
    schedule = lr.ExponentialDecay(0.5, 0.5)
    assert [schedule(), schedule(), schedule.last_epoch] == [0.5, 0.5, 0]
    schedule.step()
    assert (schedule(), schedule.last_lr, schedule.get_lr(), schedule.last_epoch, schedule.base_lr) == (
        0.25,
        0.25,
        0.25,
        1,
        0.5,
    )


def test_verbose_prints_once_per_change(capsys):
    lr.StepDecay(0.5, 2).step()
    assert capsys.readouterr().out == ""
    schedule = lr.StepDecay(0.5, 2, verbose=True)
    schedule.step()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and "StepDecay" in lines[1] and "0.5" in lines[1] and "1" in lines[1]
    plateau = lr.ReduceOnPlateau(1.0, patience=0, verbose=True)
    plateau.step(1.0)
    assert capsys.readouterr().out == ""
    plateau.step(1.0)
    assert "0.1" in capsys.readouterr().out


class Halving(lr.LRScheduler):
    """As a user writes one: attributes first, then super().__init__, which takes the first step."""

    def __init__(self, learning_rate, every, last_epoch=-1, verbose=False):
        self.every = every
        self.seen = 0
        super().__init__(learning_rate, last_epoch, verbose)

    def get_lr(self):
        self.seen += 1
        return self.base_lr * 0.5 ** (self.last_epoch // self.every)


def test_a_subclass_needs_get_lr_only():
    schedule = Halving(0.8, 2)
    assert [schedule(), *walk(schedule, [NEXT, NEXT, NEXT, 8])] == [0.8, 0.8, 0.4, 0.4, 0.05]
    assert schedule.state_dict() == {"last_epoch": 8, "last_lr": 0.05}
    inside = lr.LinearWarmup(Halving(0.8, 1), 2, 0.0, 0.8)
    assert [inside(), *walk(inside, [NEXT] * 4)] == near([0.0, 0.4, 0.8, 0.4, 0.2])
    with pytest.raises(NotImplementedError, match="get_lr"):
        lr.LRScheduler()


def test_a_subclass_chooses_its_state_and_its_leaps():
    class Remembering(Halving):
        def state_keys(self):
            self.keys = ["last_epoch", "last_lr", "seen", "never_set"]

        def _get_closed_form_lr(self):
            return 0.125

    schedule = Remembering(0.8, 2)
    schedule.step()
    assert schedule.state_dict() == {"last_epoch": 1, "last_lr": 0.8, "seen": 2}
    schedule.step(6)
    assert schedule() == 0.125


def test_get_lr_may_return_an_array_but_no_nan():
    class FromArray(lr.LRScheduler):
        def get_lr(self):
            return np.array([0.5 / self.last_epoch if self.last_epoch < 3 else np.nan]).sum() if self.last_epoch else 1

    schedule = FromArray()
    schedule.step()
    assert schedule() == 0.5 and type(schedule.state_dict()["last_lr"]) is float
    schedule.step()
    with pytest.raises(ValueError, match=r"FromArray: expected a finite learning rate at epoch 3, got nan\. Try"):
        schedule.step()


def test_saved_states_are_plain_and_complete():
    schedule = lr.ReduceOnPlateau(1.0, patience=0)
    schedule.step(np.float32(2.0), epoch=np.int64(3))
    assert schedule.state_dict() == {
        "cooldown_counter": 0,
        "best": 2.0,
        "num_bad_epochs": 0,
        "last_epoch": 3,
        "last_lr": 1.0,
    }
    assert {type(value) for value in schedule.state_dict().values()} == {int, float}
    assert pickle.loads(pickle.dumps(lr.CyclicLR(0.1, 1.0, 3))).state_dict() == {"last_epoch": 0, "last_lr": 0.1}


def test_a_bad_state_is_refused_and_changes_nothing():
    schedule = lr.ExponentialDecay(0.5, 0.9)
    with pytest.raises(ValueError, match=r"ExponentialDecay: expected .*missing: \['last_lr'\]"):
        schedule.set_state_dict({"last_epoch": 5})
    for kind in ("ExponentialDecay", "CosineAnnealingWarmRestarts", "LinearWarmup"):
        with pytest.raises(TypeError, match=f"^{kind}: expected a dict"):
            build(lr, kind, VALID[kind]).set_state_dict(["last_epoch", 0.1])
    for state in ({"last_epoch": "5", "last_lr": 0.1}, {"last_epoch": 5, "last_lr": None}):
        with pytest.raises(TypeError, match="to be a finite number"):
            schedule.set_state_dict(state)
    assert schedule.last_epoch == 0
    with pytest.warns(UserWarning, match="best"):
        schedule.set_state_dict({"last_epoch": 5, "last_lr": np.array(0.25), "best": 1.0})
    assert (schedule.last_epoch, schedule()) == (5, 0.25) and type(schedule()) is float

    warmup = lr.LinearWarmup(lr.ExponentialDecay(0.5, 0.9), 3, 0.0, 0.5)
    for inner in [{}, {"LinearWarmup_LR": {"last_epoch": 1}}]:
        with pytest.raises(ValueError, match="expected"):
            warmup.set_state_dict({"last_epoch": 5, "last_lr": 0.1, **inner})
    assert warmup.last_epoch == warmup.learning_rate.last_epoch == 0


@pytest.mark.filterwarnings("error")
def test_the_state_of_a_warmup_holds_the_inner_one():
    def make():
        return lr.LinearWarmup(lr.ExponentialDecay(0.5, 0.9), 2, 0.0, 0.5)

    schedule, fresh = make(), make()
    walk(schedule, [NEXT] * 4)
    assert schedule.state_dict()["LinearWarmup_LR"] == {"last_epoch": 2, "last_lr": near(0.405)}
    fresh.set_dict(schedule.state_dict())  # the short name restores the inner schedule too
    assert fresh.learning_rate.last_epoch == 2 and fresh.learning_rate() == near(0.405)
    assert "LinearWarmup_LR" not in lr.LinearWarmup(0.5, 2, 0.0, 0.5).state_dict()


# --- single classes ---


class OneElement:
    """What a tensor looks like from here."""

    def __init__(self, *values):
        self.shape = [len(values)]
        self.values = values

    def item(self):
        return self.values[0]


@pytest.mark.parametrize(
    "wrap", [float, int, np.float32, np.float64, np.float16, np.int64, lambda x: np.array([x]), np.array, OneElement]
)
def test_reduce_on_plateau_takes_any_number(wrap):
    schedule = lr.ReduceOnPlateau(1.0, patience=1, factor=0.5)
    assert walk(schedule, [wrap(x) for x in [3, 2, 2, 2, 1, 1, 1]]) == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]
    assert schedule.best == 1.0 and type(schedule.best) is float


@pytest.mark.parametrize(("metric", "error"), [("2", TypeError), (None, TypeError), (np.zeros(2), ValueError)])
def test_reduce_on_plateau_refuses_what_is_no_number(metric, error):
    schedule = lr.ReduceOnPlateau(1.0)
    with pytest.raises(error, match=r"ReduceOnPlateau: expected .*metrics"):
        schedule.step(metric)
    assert schedule.last_epoch == 0


@pytest.mark.parametrize(("mode", "better", "equal"), [("min", 1.4, 1.5), ("max", 2.6, 2.5)])
def test_progress_of_just_the_threshold_is_none(mode, better, equal):
    schedule = lr.ReduceOnPlateau(1.0, mode, patience=0, factor=0.5, threshold=0.5, threshold_mode="abs")
    assert walk(schedule, [2.0, equal]) == [1.0, 0.5]
    schedule.step(better)
    assert (schedule(), schedule.best, schedule.last_epoch) == (0.5, better, 3)
    schedule.step(better, epoch=9)
    assert schedule.last_epoch == 9


def test_a_reduction_of_just_epsilon_is_left_out():
    schedule = lr.ReduceOnPlateau(1.0, patience=0, factor=0.5, epsilon=0.25)
    assert walk(schedule, [1.0, 1.0, 1.0, 1.0]) == [1.0, 0.5, 0.5, 0.5]


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_non_finite_metric_is_a_bad_one_and_never_the_best(mode, bad):
    schedule = lr.ReduceOnPlateau(1.0, mode=mode, patience=1, factor=0.5)
    assert walk(schedule, [bad, 2.0, bad, bad, 2.0]) == [1.0, 1.0, 1.0, 0.5, 0.5]
    assert schedule.best == 2.0


def test_multiplicative_decay_calls_its_function_once_per_epoch():
    calls = []
    schedule = lr.MultiplicativeDecay(0.5, lambda epoch: calls.append(epoch) or 0.5)
    walk(schedule, [NEXT, NEXT, NEXT])
    assert calls == [1, 2, 3]
    schedule.step(2)
    assert schedule() == 0.125
    schedule.base_lr = 1.0
    assert schedule.get_lr() == 0.25
    schedule.lr_lambda = lambda epoch: 0.1
    assert schedule.get_lr() == near(0.01)


def test_one_cycle_ends_after_total_steps():
    for strategy in ("cos", "linear"):
        schedule = lr.OneCycleLR(1.0, 10, anneal_strategy=strategy)
        walk(schedule, [NEXT] * 9)
        assert schedule() == near(0.0001)
        schedule.step()
        assert 0.00009 < schedule() < 0.07
        with pytest.raises(ValueError, match="OneCycleLR: expected at most 10 steps, got step 11"):
            schedule.step()
    assert schedule() == near(0.0001)  # the line does not go on to a negative rate


@pytest.mark.parametrize("share", [0, 0.1, 1])
def test_one_cycle_phases_may_be_empty(share):
    schedule = lr.OneCycleLR(1.0, 10, phase_pct=share, anneal_strategy="linear", end_learning_rate=0.1)
    rates = [schedule(), *walk(schedule, [NEXT] * 10)]
    assert max(rates) <= 1.0 and rates[-1] == near(0.1)
    assert rates.index(max(rates)) == (9 if share == 1 else 0)


@pytest.mark.parametrize("args", [(4,), (1, 3), (2, 2), (10, 3)])
def test_warm_restarts_leap_to_where_steps_lead(args):
    # 10, 3 has a restart at epoch 1210, where a logarithm in float64 counts one restart too few.
    walker, leaper = lr.CosineAnnealingWarmRestarts(0.5, *args), lr.CosineAnnealingWarmRestarts(0.5, *args)
    for epoch in range(1, 1215):
        walker.step()
        leaper.step(epoch)
        assert leaper.state_dict() == walker.state_dict()
    assert all(type(value) in (int, float) for value in leaper.state_dict().values())


def test_a_rate_changed_by_hand_stays_changed_under_the_cosine():
    schedule = lr.CosineAnnealingDecay(0.5, 10)
    schedule.last_lr = 0.25
    other = lr.CosineAnnealingDecay(0.25, 10)
    assert walk(schedule, [NEXT] * 9) == near(walk(other, [NEXT] * 9))


# --- refusals: class, arguments that replace valid ones, error, what the message names ---

REFUSED = [
    ("ExponentialDecay", {"learning_rate": -0.1}, ValueError, "learning_rate"),
    ("ExponentialDecay", {"learning_rate": math.nan}, ValueError, "learning_rate"),
    ("ExponentialDecay", {"learning_rate": math.inf}, ValueError, "learning_rate"),
    ("ExponentialDecay", {"learning_rate": "0.1"}, TypeError, "learning_rate"),
    ("ExponentialDecay", {"learning_rate": True}, TypeError, "learning_rate"),
    ("ExponentialDecay", {"learning_rate": None}, TypeError, "learning_rate"),
    ("ExponentialDecay", {"last_epoch": -2}, ValueError, "last_epoch"),
    ("ExponentialDecay", {"last_epoch": 1.5}, TypeError, "last_epoch"),
    ("ExponentialDecay", {"gamma": 1.0}, ValueError, "gamma"),
    ("ExponentialDecay", {"gamma": 0}, ValueError, "gamma"),
    ("NoamDecay", {"d_model": 0}, ValueError, "d_model"),
    ("NoamDecay", {"warmup_steps": 0}, ValueError, "warmup_steps"),
    ("NoamDecay", {"warmup_steps": -10}, ValueError, "warmup_steps"),
    ("PiecewiseDecay", {"boundaries": []}, ValueError, "boundary"),
    ("PiecewiseDecay", {"values": [0.1, 0.2, 0.3]}, ValueError, "4 values"),
    ("PiecewiseDecay", {"values": [0.1, 0.2, 0.3, 0.4, 0.5]}, ValueError, "4 values"),
    ("PiecewiseDecay", {"values": [0.1, 0.2, 0.3, -0.4]}, ValueError, r"values\[3\]"),
    ("PiecewiseDecay", {"boundaries": [6, 3, 14]}, ValueError, "boundaries in rising order"),
    ("PiecewiseDecay", {"boundaries": [-3, 3, 14]}, ValueError, r"boundaries\[0\]"),
    ("NaturalExpDecay", {"gamma": 0.0}, ValueError, "gamma"),
    ("InverseTimeDecay", {"gamma": -0.1}, ValueError, "gamma"),
    ("PolynomialDecay", {"decay_steps": 0}, ValueError, "decay_steps"),
    ("PolynomialDecay", {"decay_steps": 10.0}, TypeError, "decay_steps"),
    ("PolynomialDecay", {"power": 0}, ValueError, "power"),
    ("PolynomialDecay", {"end_lr": -0.1}, ValueError, "end_lr"),
    ("MultiStepDecay", {"milestones": 30}, TypeError, "milestones"),
    ("MultiStepDecay", {"milestones": [30, 30]}, ValueError, "milestones"),
    ("MultiStepDecay", {"milestones": [-1, 30]}, ValueError, "milestones"),
    ("MultiStepDecay", {"gamma": 1.0}, ValueError, "gamma"),
    ("MultiStepDecay", {"gamma": -0.5}, ValueError, "gamma"),
    ("StepDecay", {"step_size": 0}, ValueError, "step_size"),
    ("StepDecay", {"step_size": 2.5}, TypeError, "step_size"),
    ("StepDecay", {"gamma": 1.5}, ValueError, "gamma"),
    ("StepDecay", {"gamma": -0.5}, ValueError, "gamma"),
    ("LambdaDecay", {"lr_lambda": 0.9}, TypeError, "lr_lambda"),
    ("LambdaDecay", {"lr_lambda": lambda epoch: math.inf}, ValueError, "epoch 0"),
    ("MultiplicativeDecay", {"lr_lambda": None}, TypeError, "lr_lambda"),
    ("CosineAnnealingDecay", {"T_max": 0}, ValueError, "T_max"),
    ("CosineAnnealingDecay", {"T_max": 10.0}, TypeError, "T_max"),
    ("CosineAnnealingDecay", {"eta_min": -1}, ValueError, "eta_min"),
    ("CosineAnnealingDecay", {"eta_min": "0"}, TypeError, "eta_min"),
    ("CosineAnnealingWarmRestarts", {"T_0": 0}, ValueError, "T_0"),
    ("CosineAnnealingWarmRestarts", {"T_0": 1.5}, TypeError, "T_0"),
    ("CosineAnnealingWarmRestarts", {"T_mult": 0}, ValueError, "T_mult"),
    ("CosineAnnealingWarmRestarts", {"eta_min": -1}, ValueError, "eta_min"),
    ("OneCycleLR", {"max_learning_rate": -1}, ValueError, "max_learning_rate"),
    ("OneCycleLR", {"end_learning_rate": -1}, ValueError, "end_learning_rate"),
    ("OneCycleLR", {"total_steps": 0}, ValueError, "total_steps"),
    ("OneCycleLR", {"total_steps": 10.5}, TypeError, "total_steps"),
    ("OneCycleLR", {"divide_factor": 0}, ValueError, "divide_factor"),
    ("OneCycleLR", {"phase_pct": 1.1}, ValueError, "phase_pct"),
    ("OneCycleLR", {"phase_pct": -0.1}, ValueError, "phase_pct"),
    ("OneCycleLR", {"phase_pct": 0.5, "three_phase": True}, ValueError, "phase_pct"),
    ("OneCycleLR", {"anneal_strategy": "step"}, ValueError, "anneal_strategy"),
    ("CyclicLR", {"max_learning_rate": 0.01}, ValueError, "max_learning_rate"),
    ("CyclicLR", {"base_learning_rate": -0.01}, ValueError, "base_learning_rate"),
    ("CyclicLR", {"step_size_up": 0}, ValueError, "step_size_up"),
    ("CyclicLR", {"step_size_down": 0}, ValueError, "step_size_down"),
    ("CyclicLR", {"step_size_down": 2.5}, TypeError, "step_size_down"),
    ("CyclicLR", {"mode": "square"}, ValueError, "mode"),
    ("CyclicLR", {"scale_mode": "epoch"}, ValueError, "scale_mode"),
    ("CyclicLR", {"scale_fn": 2}, TypeError, "scale_fn"),
    ("CyclicLR", {"exp_gamma": -0.9}, ValueError, "exp_gamma"),
    ("LinearLR", {"total_steps": 0}, ValueError, "total_steps"),
    ("LinearLR", {"start_factor": 0}, ValueError, "start_factor"),
    ("LinearLR", {"start_factor": 1.1}, ValueError, "start_factor"),
    ("LinearLR", {"end_factor": 1.1}, ValueError, "end_factor"),
    ("LinearLR", {"end_factor": -0.1}, ValueError, "end_factor"),
    ("LinearWarmup", {"warmup_steps": 0}, ValueError, "warmup_steps"),
    ("LinearWarmup", {"warmup_steps": -5}, ValueError, "warmup_steps"),
    ("LinearWarmup", {"warmup_steps": 2.5}, TypeError, "warmup_steps"),
    ("LinearWarmup", {"start_lr": 0.5}, ValueError, "end_lr"),
    ("LinearWarmup", {"start_lr": -0.5}, ValueError, "start_lr"),
    ("LinearWarmup", {"learning_rate": "0.5"}, TypeError, "learning_rate"),
    ("LinearWarmup", {"learning_rate": -0.5}, ValueError, "learning_rate"),
    ("LinearWarmup", {"learning_rate": ("ReduceOnPlateau", {"learning_rate": 0.5})}, TypeError, "by the epoch"),
    ("ReduceOnPlateau", {"mode": "least"}, ValueError, "mode"),
    ("ReduceOnPlateau", {"mode": None}, TypeError, "mode"),
    ("ReduceOnPlateau", {"factor": 1.0}, ValueError, "factor"),
    ("ReduceOnPlateau", {"factor": -0.1}, ValueError, "factor"),
    ("ReduceOnPlateau", {"patience": -1}, ValueError, "patience"),
    ("ReduceOnPlateau", {"threshold": -0.1}, ValueError, "threshold"),
    ("ReduceOnPlateau", {"threshold_mode": "relative"}, ValueError, "threshold_mode"),
    ("ReduceOnPlateau", {"cooldown": -1}, ValueError, "cooldown"),
    ("ReduceOnPlateau", {"min_lr": -1}, ValueError, "min_lr"),
    ("ReduceOnPlateau", {"epsilon": -1}, ValueError, "epsilon"),
    ("ReduceOnPlateau", {"learning_rate": -1}, ValueError, "learning_rate"),
    ("WarmupStableDecay", {"warmup_steps": -1}, ValueError, "warmup_steps"),
    ("WarmupStableDecay", {"stable_steps": -1}, ValueError, "stable_steps"),
    ("WarmupStableDecay", {"decay_steps": 0}, ValueError, "decay_steps"),
    ("WarmupStableDecay", {"learning_rate": -0.5}, ValueError, "learning_rate"),
    ("WarmupStableDecay", {"start_lr": -0.1}, ValueError, "start_lr"),
    ("WarmupStableDecay", {"end_lr": -0.1}, ValueError, "end_lr"),
    ("WarmupStableDecay", {"start_lr": 0.6}, ValueError, "start_lr"),
    ("WarmupStableDecay", {"end_lr": 0.6}, ValueError, "end_lr"),
    ("WarmupStableDecay", {"decay": "sqrt"}, ValueError, "1-sqrt"),
]


@pytest.mark.parametrize(("kind", "wrong", "error", "named"), REFUSED)
def test_bad_arguments_are_refused(kind, wrong, error, named):
    with pytest.raises(error, match=rf"^{kind}: expected .*{named}.*, got "):
        build(lr, kind, {**VALID[kind], **wrong})


def test_a_refusal_says_all_bounds_and_what_to_try():
    with pytest.raises(ValueError) as caught:
        lr.ExponentialDecay(0.5, 1.5)
    assert str(caught.value) == "ExponentialDecay: expected gamma to be a finite number > 0 and < 1, got 1.5."
    with pytest.raises(TypeError) as caught:
        lr.LambdaDecay(0.5, 0.95)
    assert "Try: lr_lambda=lambda epoch: 0.95 ** epoch." in str(caught.value)


def test_every_class_has_a_refusal():
    assert {kind for kind, *_ in REFUSED} == set(CLASSES)


@pytest.mark.parametrize("epoch", [-1, math.nan, math.inf, "3", True])
@pytest.mark.parametrize("kind", ["StepDecay", "CosineAnnealingWarmRestarts"])
def test_a_step_to_no_epoch_is_refused(kind, epoch):
    schedule = build(lr, kind, VALID[kind])
    with pytest.raises((TypeError, ValueError), match=f"^{kind}: expected epoch .*Try"):
        schedule.step(epoch)
    assert schedule.last_epoch == 0


def test_what_is_valid_stays_accepted():
    assert lr.StepDecay(np.float32(0.5), np.int64(3)).step_size == 3
    assert lr.OneCycleLR(1, np.int32(10), phase_pct=0)() == near(1.0 - (1 - 0.0001) * (1 - math.cos(0.1 * math.pi)) / 2)
    assert lr.PiecewiseDecay(np.array([3, 3]), (1, 0.5, 0.1)).boundaries == [3, 3]
    assert lr.MultiStepDecay(0.5, [1.5, 2.5], gamma=0)() == 0.5
    assert lr.CyclicLR(0.1, 0.1, 3, exp_gamma=1)() == 0.1
    assert lr.LinearLR(0.5, 2.5)() == 0.5 / 3


# --- regularizers ---


@pytest.mark.parametrize("cls", [L1Decay, L2Decay])
def test_a_regularizer_is_a_frozen_record(cls):
    decay = cls(1e-4)
    assert (decay.coeff, decay._coeff, cls().coeff, cls(coeff=np.float32(0.5)).coeff) == (1e-4, 1e-4, 0.0, 0.5)
    assert str(decay) == f"{cls.__name__}, coeff=0.000100" and repr(decay) == f"{cls.__name__}(coeff=0.0001)"
    assert isinstance(decay, WeightDecayRegularizer) and decay == cls(1e-4) != cls(1e-3)
    assert L1Decay(0.1) != L2Decay(0.1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        decay.coeff = 1.0
    assert pickle.loads(pickle.dumps(decay)) == decay


@pytest.mark.parametrize("cls", [L1Decay, L2Decay])
@pytest.mark.parametrize(
    ("coeff", "error"),
    [(-1e-4, ValueError), (math.nan, ValueError), (math.inf, ValueError)]
    + [(bad, TypeError) for bad in ("0.1", None, True, [0.1])],
)
def test_a_regularizer_refuses_what_is_no_strength(cls, coeff, error):
    with pytest.raises(error, match=rf"^{cls.__name__}: expected coeff .*, got .*Try: {cls.__name__}"):
        cls(coeff)
