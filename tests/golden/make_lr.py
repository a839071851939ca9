"""Writes lr.json: the rates of every case of lr_cases.py, and the state half-way, as PaddlePaddle 3.3.1 has them.

Run in an environment with paddlepaddle 3.3.1:  python tests/golden/make_lr.py

Per case: "rates", the first one and then one per step; "state", state_dict() half-way; "resumed", the rates of the
second half after a fresh schedule took that state.
"""

import copy
import json
import warnings
from pathlib import Path

import paddle
from lr_cases import CASES, build, walk

assert paddle.__version__ == "3.3.1", paddle.__version__
warnings.simplefilter("ignore")  # Paddle warns about the inner state of every LinearWarmup


def record(kind, args, path):
    lr = paddle.optimizer.lr
    schedule = build(lr, kind, args)
    rates = [schedule()]
    half = len(path) // 2
    rates += walk(schedule, path[:half])
    state = copy.deepcopy(schedule.state_dict())
    rates += walk(schedule, path[half:])
    fresh = build(lr, kind, args)
    fresh.set_state_dict(copy.deepcopy(state))
    return {"rates": rates, "state": state, "resumed": walk(fresh, path[half:])}


golden = {name: record(*case) for name, case in CASES.items()}
lines = [f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in golden.items()]
target = Path(__file__).with_name("lr.json")
target.write_text("{\n" + ",\n".join(lines) + "\n}\n")
print(f"{len(golden)} cases, {target.stat().st_size} bytes")
