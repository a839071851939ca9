"""Eager mode and static mode are two readers of one definition: the examples' networks train to the same numbers."""
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import nn, static

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
STEPS = 3


def example(name):
    """The module model.py of an example."""
    sys.path.insert(0, str(EXAMPLES / name))
    try:
        sys.modules.pop("model", None)
        return importlib.import_module("model")
    finally:
        sys.path.pop(0)
        sys.modules.pop("model", None)


def digits(rng):
    return example("digits").DigitNet(), rng.random((STEPS, 8, 1, 8, 8), np.float32), rng.integers(0, 10, (STEPS, 8))


def char_gpt(rng):
    ids = rng.integers(0, 20, (STEPS, 4, 9))
    return example("char_gpt").CharGPT(20, context=8, width=16, layers=2, heads=2), ids[:, :, :-1], ids[:, :, 1:]


def lstm_lm(rng):
    ids = rng.integers(0, 20, (STEPS, 4, 7))
    return example("lstm_lm").WordLSTM(20, width=8), ids[:, :, :-1], ids[:, :, 1:]


def loss_of(model, x, y):
    scores = model(x)
    return nn.functional.cross_entropy(scores[0] if isinstance(scores, tuple) else scores, y)


def optimizer(parameters=None):
    return paddle.optimizer.AdamW(paddle.optimizer.lr.CosineAnnealingDecay(0.01, 10), parameters=parameters,
                                  weight_decay=0.1, grad_clip=nn.ClipGradByGlobalNorm(0.5))


def eager(make):
    paddle.seed(4)
    model, inputs, labels = make(np.random.default_rng(0))
    adam, losses = optimizer(model.parameters()), []
    for x, y in zip(inputs, labels):
        loss = loss_of(model, paddle.to_tensor(x), paddle.to_tensor(y))
        loss.backward()
        adam.step()
        adam.clear_grad()
        losses.append(loss.item())
    return losses, model


def program(make):
    paddle.enable_static()
    model, inputs, labels = make(np.random.default_rng(0))
    x = static.data("x", [None, *inputs.shape[2:]], str(inputs.dtype))
    y = static.data("y", [None, *labels.shape[2:]], "int64")
    loss = loss_of(model, x, y)
    optimizer().minimize(loss)
    exe = static.Executor()
    paddle.seed(4)
    exe.run(static.default_startup_program())
    losses = [exe.run(feed={"x": a, "y": b}, fetch_list=[loss])[0].item() for a, b in zip(inputs, labels)]
    paddle.disable_static()
    return losses, model


@pytest.mark.parametrize("make", [digits, char_gpt, lstm_lm], ids=lambda make: make.__name__)
def test_a_program_trains_an_examples_network_to_the_bits_of_eager_mode(make):
    with paddle.utils.unique_name.guard():
        expected, one = eager(make)
    with paddle.utils.unique_name.guard():
        found, other = program(make)
    assert found == expected
    for (name, a), (_, b) in zip(one.state_dict().items(), other.state_dict().items(), strict=True):
        np.testing.assert_array_equal(b.numpy(), a.numpy(), err_msg=name)
