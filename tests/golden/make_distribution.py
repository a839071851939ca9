"""Writes distribution.npz: what Paddle says in distribution_cases.py.

    /path/to/a/python/with/paddlepaddle==3.3.1 tests/golden/make_distribution.py
"""
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    import paddle

    sys.path.insert(0, str(HERE))
    from distribution_cases import CASES, TRANSFORMS, run, run_transform

    assert paddle.__version__ == "3.3.1", paddle.__version__
    paddle.set_device("cpu")
    found = {}
    for kind, cases, runner in (("d", CASES, run), ("t", TRANSFORMS, run_transform)):
        for name in cases:
            for part, array in runner(paddle, name).items():
                found[f"{kind}/{name}/{part}"] = array
    np.savez_compressed(HERE / "distribution.npz", **found)
    print(len(found), "arrays")
