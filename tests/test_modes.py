"""Eager mode and static mode are two readers of one definition: the networks of the examples and of vision train to the
same numbers."""
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


# ---- each network: (the model, its loss, arrays of STEPS batches, the labels last) -----------------------------------


def digits(rng):
    return example("digits").DigitNet(), scored, rng.random((STEPS, 8, 1, 8, 8), np.float32), labels(rng, 8)


def char_gpt(rng):
    ids = rng.integers(0, 20, (STEPS, 4, 9))
    model = example("char_gpt").CharGPT(20, context=8, width=16, layers=2, heads=2)
    return model, scored, ids[:, :, :-1], ids[:, :, 1:]


def lstm_lm(rng):
    ids = rng.integers(0, 20, (STEPS, 4, 7))
    return example("lstm_lm").WordLSTM(20, width=8), scored, ids[:, :, :-1], ids[:, :, 1:]


def word_vectors(rng):
    vectors = rng.standard_normal((20, 8)).astype("float32")
    vectors[0] = 0.0     # of the padding, which only eager mode sets to zeros by itself, as Paddle does
    model = example("word_vectors").TwoTowers(20, 8, vectors)
    model.let_words_learn()
    return model, scored, *rng.integers(1, 20, (2, STEPS, 6, 5)), np.tile(np.arange(6), (STEPS, 1))


def picture_network(name, size, channels=3, **arguments):
    def make(rng):
        pictures = rng.random((STEPS, 2, channels, size, size), np.float32)
        return getattr(paddle.vision.models, name)(**arguments), of_all_outputs, pictures, labels(rng, 2)
    return pytest.param(make, id=name, marks=pytest.mark.slow_check)


def labels(rng, rows):
    return rng.integers(0, 4, (STEPS, rows))


def scored(model, *given):
    scores = model(*given[:-1])
    return nn.functional.cross_entropy(scores[0] if isinstance(scores, tuple) else scores, given[-1])


def of_all_outputs(model, x, y):
    found = model(x)
    found = found if isinstance(found, tuple) else (found,)
    return paddle.add_n([nn.functional.cross_entropy(one.flatten(1)[:, :4], y) for one in found])


NETWORKS = [
    digits, char_gpt, lstm_lm, word_vectors,
    picture_network("LeNet", 28, channels=1),
    picture_network("alexnet", 63, num_classes=0),
    picture_network("vgg11", 32, num_classes=0, with_pool=False),
    picture_network("resnet18", 32, num_classes=4),
    picture_network("mobilenet_v1", 32, scale=0.25, num_classes=4),
    picture_network("mobilenet_v2", 32, scale=0.25, num_classes=4),
    picture_network("mobilenet_v3_small", 32, num_classes=4),
    picture_network("shufflenet_v2_x0_25", 32, num_classes=4),
    picture_network("squeezenet1_1", 32, num_classes=4),
    picture_network("densenet121", 32, num_classes=4),
    picture_network("googlenet", 96, num_classes=0),
    picture_network("inception_v3", 75, num_classes=4),
]


# ---- both ways -------------------------------------------------------------------------------------------------------


def optimizer(parameters=None):
    return paddle.optimizer.AdamW(paddle.optimizer.lr.CosineAnnealingDecay(1e-3, 10), parameters=parameters,
                                  weight_decay=0.1, grad_clip=nn.ClipGradByGlobalNorm(0.5))


def eager(make):
    paddle.seed(4)
    model, loss_of, *arrays = make(np.random.default_rng(0))
    adam, losses = optimizer(model.parameters()), []
    for given in zip(*arrays):
        loss = loss_of(model, *map(paddle.to_tensor, given))
        loss.backward()
        adam.step()
        adam.clear_grad()
        losses.append(loss.item())
    return losses, model


def program(make):
    paddle.enable_static()
    model, loss_of, *arrays = make(np.random.default_rng(0))
    feeds = {f"x{k}": a for k, a in enumerate(arrays)}
    loss = loss_of(model, *[static.data(name, [None, *a.shape[2:]], str(a.dtype)) for name, a in feeds.items()])
    optimizer().minimize(loss)
    exe = static.Executor()
    paddle.seed(4)
    exe.run(static.default_startup_program())
    losses = [exe.run(feed={name: a[k] for name, a in feeds.items()}, fetch_list=[loss])[0].item()
              for k in range(STEPS)]
    paddle.disable_static()
    return losses, model


@pytest.mark.parametrize("make", NETWORKS)
def test_a_program_trains_a_network_to_the_bits_of_eager_mode(make):
    with paddle.utils.unique_name.guard():
        expected, one = eager(make)
    with paddle.utils.unique_name.guard():
        found, other = program(make)
    assert found == expected and np.isfinite(found).all()
    for (name, a), (_, b) in zip(one.state_dict().items(), other.state_dict().items(), strict=True):
        np.testing.assert_array_equal(b.numpy(), a.numpy(), err_msg=name)


def test_every_example_is_among_them():
    assert {folder.parent.name for folder in EXAMPLES.glob("*/model.py")} <= {
        make.__name__ for make in NETWORKS if callable(make)}
