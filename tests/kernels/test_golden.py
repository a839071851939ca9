"""Every rule against Paddle 3.3.1's own trajectory: an implementation that shares no code and no rounding with ours."""

import json
from pathlib import Path

import numpy as np
import pytest

from gpuflow_kernels.update import reference
from gpuflow_kernels.update.rules import RULES

GOLDEN = json.loads((Path(__file__).parent / "golden" / "trajectories.json").read_text())

# Paddle hands rho, mu and epsilon to its kernels as float32 even for float64 parameters, which after ten steps shows
# in the eighth digit. A wrong place of epsilon, or one power of beta too many, shows in the third.
TOLERANCE = 1e-6


def test_every_rule_has_a_trajectory():
    """Lion is the one rule that Paddle 3.3.1 does not have; its paper's algorithm stands in below."""
    assert set(RULES) - {name.removesuffix("_excluded").removesuffix("_always") for name in GOLDEN["rows"]} == {"lion"}


@pytest.mark.parametrize("name", GOLDEN["rows"])
def test_reference_follows_paddle(name):
    row = GOLDEN["rows"][name]
    rule = RULES[name.removesuffix("_excluded").removesuffix("_always")]
    p = np.array(GOLDEN["start"])
    state = {s: np.full(p.shape, GOLDEN["rate"] if s == "rate" else 0.0) for s in rule.state}
    ring = [np.zeros_like(p) for _ in range(row["at"].get("batch_num", 1))]
    for t, (g, expected) in enumerate(zip(GOLDEN["gradients"], row["points"]), 1):
        if rule.name == "asgd":
            state["y"] = ring[(t - 1) % len(ring)]
        p, state = reference.apply_rule(
            rule, p, np.array(g), state, lr=GOLDEN["rate"], decay=row["decay"], numbers=rule.at(t, **row["at"])
        )
        if rule.name == "asgd":
            ring[(t - 1) % len(ring)] = state["y"]
        np.testing.assert_allclose(p, expected, rtol=0, atol=TOLERANCE, err_msg=f"{name}, step {t}")


def test_lion_follows_its_paper():
    """Algorithm 2 of Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", written out in float64."""
    theta, m = np.array(GOLDEN["start"]), np.zeros(len(GOLDEN["start"]))
    p, state = theta, {"m": m}
    eta, lambda_ = GOLDEN["rate"], 0.1
    for t, g in enumerate(np.array(GOLDEN["gradients"]), 1):
        c = 0.8 * m + (1 - 0.8) * g
        theta = theta - eta * (np.sign(c) + lambda_ * theta)
        m = 0.95 * m + (1 - 0.95) * g
        numbers = RULES["lion"].at(t, beta1=0.8, beta2=0.95)
        p, state = reference.apply_rule(RULES["lion"], p, g, state, lr=eta, decay=lambda_, numbers=numbers)
        np.testing.assert_allclose(p, theta, rtol=0, atol=1e-12, err_msg=f"step {t}")
