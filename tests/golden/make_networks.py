"""Writes networks.npz: twenty steps of every case of network_cases.py, as PaddlePaddle 3.3.1 takes them on a CPU.

Run in an environment with paddlepaddle 3.3.1:  python tests/golden/make_networks.py
"""
from pathlib import Path

import numpy as np
import paddle
from network_cases import CASES, replay

assert paddle.__version__ == "3.3.1", paddle.__version__
paddle.set_device("cpu")

arrays = {f"{case}/{key}": value for case in CASES for key, value in replay(paddle, case, by_name=False).items()}
for case in CASES:
    loss = arrays[f"{case}/loss"]
    assert np.isfinite(loss).all(), case
    print(f"{case:28} {loss[0]:.3f} -> {loss[-1]:.3f}")
target = Path(__file__).with_name("networks.npz")
np.savez_compressed(target, **arrays)
print(f"{len(CASES)} cases, {target.stat().st_size} bytes")
