"""Writes static_nn.npz with paddlepaddle 3.3.1 (CPU): `FLAGS_enable_pir_api=0 python tests/golden/make_static_nn.py`.

Most of `paddle.static.nn` works in Paddle's older representation of programs only, hence the flag.
"""
import sys
from pathlib import Path

import numpy as np
import paddle

sys.path.insert(0, str(Path(__file__).parent))
from static_nn_cases import CASES, run

paddle.enable_static()
answers = {}
for case, (call, shapes) in CASES.items():
    with paddle.static.scope_guard(paddle.static.Scope()):
        answers |= {f"{case}/{name}": array for name, array in run(paddle, call, shapes).items()}
np.savez_compressed(Path(__file__).with_name("static_nn.npz"), **answers)
