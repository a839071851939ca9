"""Writes rules.npz and networks.npz: the trainings of rules.py and networks.py, as PaddlePaddle 3.3.1 takes them.

In an environment with paddlepaddle 3.3.1, from the repository's root:  python -m tests.oracle.make
"""
from pathlib import Path

import numpy as np
import paddle

from tests.oracle import networks, rules


def write(name, **arrays):
    target = Path(__file__).with_name(name)
    np.savez_compressed(target, **arrays)
    print(name, target.stat().st_size, "bytes")


def same(a, b):
    return np.abs(a - b).max() < 1e-5


def make_rules():
    runs = {name: rules.train(paddle, case) for name, case in rules.CASES.items() if "differs" not in case}
    for name, run in runs.items():
        assert run.dtype == np.float32 and np.isfinite(run).all(), name
    # gpuflow refuses what has no effect
    lbfgs, ignored = rules.CASES["lbfgs/plain"], {"weight_decay": 0.5, "grad_clip": paddle.nn.ClipGradByNorm(1e-3)}
    assert same(rules.train(paddle, lbfgs | {"args": lbfgs["args"] | ignored}), runs["lbfgs/plain"])
    write("rules.npz", cases=list(runs), runs=np.stack(list(runs.values())))


def make_networks():
    runs = {case: networks.train(paddle, case, by_name=False) for case in networks.CASES}
    for case, run in runs.items():
        assert np.isfinite(run["loss"]).all(), case
        print(f"{case:28} {run['loss'][0]:.3f} -> {run['loss'][-1]:.3f}")
    write("networks.npz", **{f"{case}/{key}": value for case, run in runs.items() for key, value in run.items()})


def check_differences():
    """That Paddle's numbers are others where a case says so: an excuse that is none would hide a fault of ours."""
    from tests.oracle import reference

    for name, case in rules.CASES.items():
        if case.get("differs", rules.CRASHES) != rules.CRASHES:
            assert not same(rules.train(paddle, case), reference.train(case)), name


assert paddle.__version__ == "3.3.1", paddle.__version__
paddle.set_device("cpu")
check_differences()
make_rules()
make_networks()
