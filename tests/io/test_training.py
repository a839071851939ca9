"""Training goes on from Paddle's .pdparams and .pdopt, and Paddle's from ours: stored files, and where Paddle arrived.

See tests/golden/make_training.py. Run as a module, this writes the files that Paddle goes on from.
"""
import pathlib
import pickle

import numpy as np
import pytest

import gpuflow
from tests.golden.training_cases import AFTER, BEFORE, CASES, SHAPES, numbers, resumed, train

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
STORED = np.load(GOLDEN / "training.npz")
# Three steps in float32, about ten roundings each; Paddle holds beta1^t as a product of float32 numbers.
CLOSE = {"rtol": 3e-6, "atol": 3e-7}


def pair(name):
    return resumed(gpuflow, name, GOLDEN / f"checkpoints/trained/{name}")


def write(name, stem):
    model, _, optimizer = pair(name)
    gpuflow.save(model.state_dict(), f"{stem}.pdparams")
    gpuflow.save(optimizer.state_dict(), f"{stem}.pdopt")


@pytest.mark.parametrize("name", CASES)
def test_goes_on_where_paddle_stopped(name):
    model, schedule, optimizer = pair(name)
    grads = [STORED[f"grads/{k}"] for k in range(len(SHAPES))]
    train(gpuflow, model, schedule, optimizer, grads, range(BEFORE, BEFORE + AFTER))
    found = numbers(model, optimizer)
    assert sorted(found) == sorted(key.removeprefix(f"{name}/") for key in STORED if key.startswith(f"{name}/"))
    for key, value in found.items():
        np.testing.assert_allclose(value, STORED[f"{name}/{key}"], **CLOSE, err_msg=key)


@pytest.mark.parametrize("name", CASES)
def test_without_the_state_it_arrives_elsewhere(name):
    """The tolerance above tells a loaded state from a fresh one."""
    model, schedule, _ = pair(name)
    fresh = CASES[name](gpuflow, model.parameters())[1]
    if schedule is not None:
        fresh.set_lr_scheduler(schedule)
    grads = [STORED[f"grads/{k}"] for k in range(len(SHAPES))]
    train(gpuflow, model, schedule, fresh, grads, range(BEFORE, BEFORE + AFTER))
    for key, value in numbers(model, fresh).items():
        assert key == "rate" or abs(value - STORED[f"{name}/{key}"]).max() > 2e-5, key


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("suffix", ["pdparams", "pdopt"])
def test_paddle_goes_on_from_what_is_written(tmp_path, name, suffix):
    """What is written today is what Paddle read when the files were stored, and it arrived at the same numbers."""
    write(name, tmp_path / "now")
    now, stored = tmp_path / f"now.{suffix}", GOLDEN / f"checkpoints/ours/{name}.{suffix}"
    np.testing.assert_equal(*(pickle.loads(path.read_bytes()) for path in (now, stored)))
    for key in STORED:
        if key.startswith(f"ours/{name}/"):
            np.testing.assert_allclose(STORED[key], STORED[key.removeprefix("ours/")], **CLOSE, err_msg=key)
    assert any(key.startswith(f"ours/{name}/") for key in STORED)


if __name__ == "__main__":
    for each in CASES:
        write(each, GOLDEN / f"checkpoints/ours/{each}")
