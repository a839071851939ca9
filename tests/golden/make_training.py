"""Makes the checkpoints/trained/* files and training.npz with PaddlePaddle 3.3.1 (CPU), for tests/io/test_training.py.

In an environment with paddlepaddle 3.3.1, from this folder: `python make_training.py` trains four steps, saves, and
trains three more. Then gpuflow reads the pair and writes its own (`python -m tests.io.test_training`), and
`python make_training.py ours` lets Paddle go on from that one and adds where it arrives.
"""
import multiprocessing
import pathlib
import sys

import numpy as np
import paddle
from training_cases import AFTER, BEFORE, CASES, SHAPES, built, gradients, numbers, resumed, train

assert paddle.__version__ == "3.3.1", paddle.__version__
paddle.set_device("cpu")
HERE = pathlib.Path(__file__).parent
LATER = range(BEFORE, BEFORE + AFTER)


def make():
    grads = gradients()
    arrays = {f"grads/{k}": g for k, g in enumerate(grads)}
    for name in CASES:
        paddle.seed(3)
        model, schedule, optimizer = built(paddle, name)
        assert tuple(tuple(p.shape) for p in model.parameters()) == SHAPES
        train(paddle, model, schedule, optimizer, grads, range(BEFORE))
        paddle.save(model.state_dict(), str(HERE / f"checkpoints/trained/{name}.pdparams"))
        paddle.save(optimizer.state_dict(), str(HERE / f"checkpoints/trained/{name}.pdopt"))
        train(paddle, model, schedule, optimizer, grads, LATER)
        arrays |= {f"{name}/{key}": value for key, value in numbers(model, optimizer).items()}
    np.savez_compressed(HERE / "training.npz", **arrays)


def go_on(name):
    arrays = np.load(HERE / "training.npz")
    grads = [arrays[f"grads/{k}"] for k in range(len(SHAPES))]
    model, schedule, optimizer = resumed(paddle, name, HERE / f"checkpoints/ours/{name}")
    train(paddle, model, schedule, optimizer, grads, LATER)
    return {f"ours/{name}/{key}": value for key, value in numbers(model, optimizer).items()}


def go_on_from_ours():
    arrays = dict(np.load(HERE / "training.npz"))
    # A process for each: Paddle numbers the states of some optimizers (moment1_0, moment1_1) through the process.
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for more in pool.imap(go_on, CASES):
            arrays |= more
    np.savez_compressed(HERE / "training.npz", **arrays)


if __name__ == "__main__":
    go_on_from_ours() if sys.argv[1:] == ["ours"] else make()
