"""Writes hapi.json: the runs of hapi_cases.py as PaddlePaddle 3.3.1 takes them on a CPU.

Run in an environment with paddlepaddle 3.3.1:  python tests/golden/make_hapi.py
"""
import inspect
import json
from pathlib import Path

import paddle
from hapi_cases import PLATEAUS, RUNS, figures, rates, replay

assert paddle.__version__ == "3.3.1", paddle.__version__
paddle.set_device("cpu")
paddle.Tensor.__int__ = lambda self: self.item()   # Paddle's own fails in flops under NumPy 2.4
NAMES = ("Callback", "EarlyStopping", "LRScheduler", "ModelCheckpoint", "ProgBarLogger", "ReduceLROnPlateau",
         "VisualDL")


def arguments(function) -> list:
    """[[name, default], ...]"""
    return [[p.name, None if p.default is p.empty else repr(p.default)]
            for p in inspect.signature(function).parameters.values()]


model = {f"Model.{name}": arguments(getattr(paddle.Model, name))
         for name in dir(paddle.Model) if not name.startswith("_") and inspect.isfunction(getattr(paddle.Model, name))}
golden = {"runs": {case: replay(paddle, case) for case in RUNS},
          "rates": {case: rates(paddle, case) for case in PLATEAUS},
          "figures": figures(paddle),
          "signatures": {**model, "Model": arguments(paddle.Model), "summary": arguments(paddle.summary),
                         "flops": arguments(paddle.flops),
                         **{f"callbacks.{name}": arguments(getattr(paddle.callbacks, name)) for name in NAMES}}}
Path(__file__).with_name("hapi.json").write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")
