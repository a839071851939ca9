"""Runs initializers_cases.py with PaddlePaddle 3.3.1 on the CPU and writes initializers.json beside it.

    python -m tests.golden.make_initializers     (with paddlepaddle==3.3.1, from the repository's root)
"""
import json
from pathlib import Path

import paddle

from tests.golden.initializers_cases import DRAWN, FIXED, GAINS, MODELS, described


def filled(make, shape):
    attr = paddle.ParamAttr(initializer=make(paddle.nn.initializer))
    return paddle.create_parameter(shape, "float32", attr=attr).numpy()


def statistics(array):
    return [float(x) for x in (array.mean(), array.std(), array.min(), array.max())]


def main():
    paddle.set_device("cpu")
    paddle.seed(1)
    golden = {
        "fixed": {name: filled(*case).tolist() for name, case in FIXED.items()},
        "drawn": {name: statistics(filled(*case)) for name, case in DRAWN.items()},
        "gains": [paddle.nn.initializer.calculate_gain(*args) for args in GAINS],
        "models": {name: described(paddle.nn, paddle.utils.unique_name, build) for name, build in MODELS.items()},
    }
    Path(__file__).with_name("initializers.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
