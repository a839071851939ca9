"""Runs nn_loss_cases.py with PaddlePaddle 3.3.1 on the CPU and writes nn_loss.npz beside it.

    python -m tests.golden.make_nn_loss     (in an environment with paddlepaddle==3.3.1, from the repository's root)
"""
from pathlib import Path

import numpy as np
import paddle

from tests.golden.nn_loss_cases import CASES, run


def main():
    paddle.set_device("cpu")
    arrays = {}
    for name, call in CASES.items():
        for i, array in enumerate(run(paddle, call)):
            arrays[f"{name}/{i}"] = array
    np.savez_compressed(Path(__file__).with_name("nn_loss.npz"), **arrays)


if __name__ == "__main__":
    main()
