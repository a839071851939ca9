"""Records what Paddle 3.3.1 answers to attention_cases.py, recurrent_cases.py and decode_cases.py: run it in the root.

    python -m tests.golden.make_sequences
"""
from pathlib import Path

import numpy as np
import paddle

from tests.golden import attention_cases, decode_cases, recurrent_cases

if __name__ == "__main__":
    assert paddle.__version__ == "3.3.1", paddle.__version__
    paddle.set_device("cpu")
    for file, cases in (("attention", attention_cases.CASES), ("recurrent", recurrent_cases.CASES)):
        answers = {f"{name}/{key}": array for name in cases
                   for key, array in attention_cases.run(paddle, cases, name).items()}
        np.savez_compressed(Path(__file__).with_name(f"{file}.npz"), **answers)
    np.savez_compressed(Path(__file__).with_name("decode.npz"), **decode_cases.results(paddle))
