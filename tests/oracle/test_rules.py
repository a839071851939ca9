"""Twenty steps of every optimizer under every clip, decay and strategy: each loss, and all weights after each step.

Beside Paddle 3.3.1 (rules.npz), and beside the training by hand where a case says why Paddle's numbers are not the
right ones.
"""
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import gpuflow
from gpuflow import optimizer
from tests.oracle import reference, rules

_file = np.load(Path(rules.__file__).with_name("rules.npz"))
PADDLE = dict(zip(_file["cases"].tolist(), _file["runs"]))

# Losses relative, weights (below 2) absolute: a few float32 roundings in each of twenty steps, and Paddle's 1 - beta2
# and beta2 ** step in float32. A loss that is small by now counts errors from when it was 4.
LOSSES, WEIGHTS = 1e-5, 3e-6


def assert_near(got, expected):
    np.testing.assert_allclose(got[:, 0], expected[:, 0], rtol=LOSSES, atol=0)
    np.testing.assert_allclose(got[:, 1:], expected[:, 1:], rtol=0, atol=WEIGHTS)


@pytest.mark.parametrize("name", rules.CASES)
def test_follows(name):
    case = rules.CASES[name]
    expected = reference.train(case) if "differs" in case else PADDLE[name]
    assert_near(rules.train(gpuflow, case), expected)


def test_what_is_done_by_hand_follows_paddle_too():
    """Where Paddle keeps its word; so it may speak where Paddle does not."""
    for name, case in rules.CASES.items():
        if "differs" not in case and "scheduler" not in case and case["optimizer"] != "LBFGS":
            assert_near(reference.train(case), PADDLE[name])


def test_every_case_is_there_and_says_something():
    """Each moves and goes its own way: what would be equal without its strategy proves nothing about it."""
    assert set(PADDLE) == {name for name, case in rules.CASES.items() if "differs" not in case}
    begin = np.concatenate([value.ravel() for value in rules.start().values()])
    for name, run in PADDLE.items():
        assert run.shape == (rules.STEPS, 13) and np.abs(run[-1, 1:] - begin).max() > 0.01, name
    for a, b in combinations(PADDLE, 2):
        if a.partition("/")[0] == b.partition("/")[0]:
            alike = np.abs(PADDLE[a] - PADDLE[b]).max() < 1e-4
            assert alike == (a.replace("L2", "float") == b), (a, b)   # a number is an L2Decay


def test_no_optimizer_and_no_schedule_is_missing():
    def classes(module, base):
        found = [getattr(module, name) for name in module.__all__]
        return {kind.__name__ for kind in found if isinstance(kind, type) and issubclass(kind, base)}

    assert {case["optimizer"] for case in rules.CASES.values()} == classes(optimizer, optimizer.Optimizer) - {
        "Optimizer", "Lion"}   # Paddle has no Lion
    assert {case["scheduler"][0] for case in rules.CASES.values() if "scheduler" in case} == classes(
        optimizer.lr, optimizer.lr.LRScheduler) - {"LRScheduler", "WarmupStableDecay"}   # nor this
