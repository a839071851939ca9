"""Writes detection.npz: what Paddle makes of the expressions in detection_cases.py.

    /path/to/a/python/with/paddlepaddle==3.3.1 tests/golden/make_detection.py
"""
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    import paddle

    sys.path.insert(0, str(HERE))
    from detection_cases import CASES, run

    assert paddle.__version__ == "3.3.1", paddle.__version__
    paddle.set_device("cpu")
    np.savez_compressed(HERE / "detection.npz",
                        **{f"{e}/{i}": a for e in CASES for i, a in enumerate(run(paddle, e))})
