"""Writes strategy_signatures.json: what paddle.optimizer, its schedules, regularizers, amp and nn.utils take.

    python -m tests.golden.make_strategy_signatures     (with paddlepaddle==3.3.1, from the repository's root)
"""
import inspect
import json
from pathlib import Path

import paddle

from tests.golden.make_nn_signatures import parameters

ROOMS = {"optimizer": paddle.optimizer, "optimizer.lr": paddle.optimizer.lr, "regularizer": paddle.regularizer,
         "amp": paddle.amp, "nn.utils": paddle.nn.utils}
CLASSES = {"optimizer.Optimizer": paddle.optimizer.Optimizer,
           "optimizer.lr.LRScheduler": paddle.optimizer.lr.LRScheduler, "amp.GradScaler": paddle.amp.GradScaler}


def main():
    found = {f"{room}.{name}": parameters(getattr(module, name))
             for room, module in ROOMS.items() for name in sorted(module.__all__)}
    for title, cls in CLASSES.items():
        methods = [name for name in dir(cls) if not name.startswith("_") and inspect.isroutine(getattr(cls, name))]
        found |= {f"{title}.{name}": [p for p in parameters(getattr(cls, name)) if p[0] != "self"] for name in methods}
    text = ",\n".join(f"{json.dumps(name)}: {json.dumps(given)}" for name, given in found.items())
    Path(__file__).with_name("strategy_signatures.json").write_text("{\n" + text + "\n}\n")


if __name__ == "__main__":
    main()
