"""Records what Paddle 3.3.1 answers to nn_special_loss_cases.py: run it from the root with Paddle's Python.

    python -m tests.golden.make_nn_special_loss
"""
from pathlib import Path

import numpy as np
import paddle

from tests.golden.nn_special_loss_cases import CASES, TRANSDUCERS, run


def main():
    assert paddle.__version__ == "3.3.1", paddle.__version__
    paddle.set_device("cpu")
    answers = {f"{name}/{i}": array for name in (*CASES, *TRANSDUCERS)
               for i, array in enumerate(run(paddle, name))}
    np.savez_compressed(Path(__file__).with_name("nn_special_loss.npz"), **answers)


if __name__ == "__main__":
    main()
