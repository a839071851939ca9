"""Records what Paddle 3.3.1 answers to nn_vision_cases.py: run it from the root with Paddle's Python.

    python -m tests.golden.make_nn_vision
"""
from pathlib import Path

import numpy as np
import paddle

from tests.golden.nn_vision_cases import CASES, run

if __name__ == "__main__":
    assert paddle.__version__ == "3.3.1", paddle.__version__
    paddle.set_device("cpu")
    answers = {f"{name}/{key}": array for name in CASES for key, array in run(paddle, name).items()}
    np.savez_compressed(Path(__file__).with_name("nn_vision.npz"), **answers)
