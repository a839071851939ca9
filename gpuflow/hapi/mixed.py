"""What `Model.prepare(amp_configs=...)` asks for, checked and sorted."""
from __future__ import annotations

from typing import NamedTuple

from gpuflow.errors import explain

LEVELS = ("O0", "O1", "O2")
LISTS = ("custom_white_list", "custom_black_list")
SCALER = ("init_loss_scaling", "incr_ratio", "decr_ratio", "incr_every_n_steps", "decr_every_n_nan_or_inf",
          "use_dynamic_loss_scaling")


class Mixed(NamedTuple):
    """level: of auto_cast; casting: its other arguments; scaler: those of GradScaler."""

    level: str = "O0"
    casting: dict = {}
    scaler: dict = {}


def mixed(configs) -> Mixed:
    """From a level, or a dict of "level" ("O1" unless said), "dtype" and arguments of `auto_cast` and `GradScaler`."""
    where = "Model.prepare(amp_configs=...)"
    if not configs:
        return Mixed()
    given = {"level": configs} if isinstance(configs, str) else dict(configs)
    level = given.pop("level", "O1")
    if level not in LEVELS:
        raise ValueError(explain(where, f"a level of {LEVELS}", repr(level)))
    if given.pop("use_fp16_guard", False):
        raise ValueError(explain(where, "use_fp16_guard=False: the whole network is cast", "True"))
    known = (*LISTS, *SCALER, "dtype")
    unknown = [key for key in given if key not in known]
    if unknown:
        raise ValueError(explain(where, f"keys among {('level', *known)}", f"unknown {unknown}"))
    casting = {key: value for key, value in given.items() if key not in SCALER}
    return Mixed(level, casting, {key: value for key, value in given.items() if key in SCALER})
