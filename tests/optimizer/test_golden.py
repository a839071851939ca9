"""Twenty steps of every optimizer and strategy against what Paddle 3.3.1 made of them (tests/golden/optimizers.npz)."""
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import gpuflow
from gpuflow import nn, optimizer, regularizer
from gpuflow.param import ParamAttr, new_parameter
from tests.golden import optimizer_cases

GOLDEN = dict(np.load(Path(optimizer_cases.__file__).with_name("optimizers.npz")))
INPUTS = {name.rpartition("/")[2]: array for name, array in GOLDEN.items() if name.startswith("inputs/")}
CASES = optimizer_cases.CASES

# Beside the largest number of a run, where that is above 1. Paddle keeps 1 - 0.999 and 0.999 ** step in float32: 1.3e-5
# of an update of the size of the rate, 0.1 to 0.2 here, over twenty steps of either sign. Rules without such numbers
# come nearer: a few roundings.
# A line search divides differences of float32 losses around 3 by differences of steps below 1: 1e-6 of the step.
ADAM_LIKE, PLAIN, SEARCHED = 6e-6, 5e-7, 5e-6


@pytest.mark.parametrize("name", CASES)
def test_follows_paddle(name):
    case = CASES[name]
    got = optimizer_cases.replay(_paddle(), case, INPUTS)
    tolerance = ADAM_LIKE if {"beta1", "rho"} & set(_options(case)) else PLAIN
    for key, array in got.items():
        tolerance = SEARCHED if "line_search_fn" in case["args"] else tolerance
        expected = GOLDEN[f"{name}/{key}"]
        np.testing.assert_allclose(array, expected, rtol=0, atol=tolerance * max(1, np.abs(expected).max()))


def test_the_golden_steps_move():
    """What would compare equal if nothing moved proves nothing."""
    for name in CASES:
        assert np.abs(GOLDEN[f"{name}/w"][-1] - INPUTS["w"]).max() > 1e-4, name


def _options(case):
    made = getattr(optimizer, case["optimizer"])(learning_rate=0.1, parameters=[])
    return made._options


def _paddle():
    """The part of Paddle's API that a replay asks for."""
    def create_parameter(shape, dtype, attr):
        return new_parameter(attr, attr.name, INPUTS[attr.name.rpartition(".")[2]].copy())

    return SimpleNamespace(
        optimizer=optimizer, regularizer=regularizer, ParamAttr=ParamAttr, to_tensor=gpuflow.to_tensor,
        create_parameter=create_parameter, sum=lambda x: x.sum(),
        nn=SimpleNamespace(initializer=SimpleNamespace(Assign=lambda value: None), ClipGradByValue=nn.ClipGradByValue,
                           ClipGradByNorm=nn.ClipGradByNorm, ClipGradByGlobalNorm=nn.ClipGradByGlobalNorm))
