"""Twenty steps of whole networks under the FAQ's strategies, beside Paddle 3.3.1 (networks.npz, made by make.py)."""
from pathlib import Path

import numpy as np
import pytest

import gpuflow
from tests.oracle import networks

GOLDEN = dict(np.load(Path(networks.__file__).with_name("networks.npz")))

# Relative; of weights beside the largest of their tensor. Both sides round float32 sums in their own order, a few 1e-7
# in each of twenty steps. Paddle keeps 1 - beta2 and beta2 ** step in float32 too: 1.3e-5 of each step of the Adams,
# whose steps are as long for a gradient that nearly cancels out, with the more of its digits lost.
LOSSES, WEIGHTS, ADAMS = 1e-5, 3e-6, 1e-4


@pytest.mark.parametrize("case", networks.CASES)
def test_follows_paddle(case):
    got = networks.train(gpuflow, case, by_name=True)
    expected = {key.removeprefix(f"{case}/"): array for key, array in GOLDEN.items() if key.startswith(f"{case}/")}
    assert got.keys() == expected.keys()
    np.testing.assert_allclose(got.pop("loss"), expected["loss"], rtol=LOSSES)
    near = ADAMS if networks.CASES[case][1]["optimizer"][0].startswith("Adam") else WEIGHTS
    for key, array in got.items():
        np.testing.assert_allclose(array, expected[key], rtol=0, atol=near * np.abs(expected[key]).max(), err_msg=key)


def test_the_golden_networks_learn():
    """What would compare equal if nothing moved proves nothing; and no two strategies lead to the same place."""
    ends = {}
    for case, (network, _) in networks.CASES.items():
        loss = GOLDEN[f"{case}/loss"]
        assert loss[-5:].mean() < loss[:5].mean(), case
        assert ends.setdefault((network, loss[-1]), case) == case
