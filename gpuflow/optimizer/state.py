"""An optimizer's state as a dict with Paddle's keys, and the way back: checked whole before anything is written.

    "<parameter>_<accumulator>_0"   a state, shaped like the parameter; beta powers have shape [1]
    "<parameter>_fp32_master_0_<accumulator>_0"   the same, of a parameter with a master copy
    "master_weights"                {parameter: float32 copy}
    "steps"                         {parameter: updates so far}, in the optimizer's order; Paddle has no such entry
    "LR_Scheduler"                  the scheduler's state
"""
from __future__ import annotations

import math
import re
import warnings

import numpy as np

from gpuflow import device, dtypes
from gpuflow.errors import explain
from gpuflow.optimizer.lr import LRScheduler
from gpuflow.tensor import Tensor

MASTER = "_fp32_master_0"


def state_of(optimizer) -> dict:
    """See Optimizer.state_dict."""
    out: dict = {}
    masters, steps = {}, {}
    for p, home in _homes(optimizer):
        prefix = p.name if home.master is None else p.name + MASTER
        prefix = f"{prefix}_{optimizer._name}" if optimizer._name else prefix
        for state, name in _names(optimizer).items():
            out[f"{prefix}_{name}_0"] = Tensor(home.state[state])
        for name, option in optimizer.powers.items():
            power = np.array([_option(home, option) ** (home.steps + 1)], np.float32)
            out[f"{prefix}_{name}_0"] = Tensor(power)
        if home.master is not None:
            masters[p.name] = Tensor(home.master)
        steps[p.name] = home.steps
    if masters:
        out["master_weights"] = masters
    if steps:
        out["steps"] = steps
    if isinstance(optimizer._learning_rate, LRScheduler):
        out["LR_Scheduler"] = optimizer._learning_rate.state_dict()
    return out


def load_state(optimizer, given) -> None:
    """See Optimizer.set_state_dict."""
    where = f"{optimizer._owner}.set_state_dict"
    if not isinstance(given, dict):
        raise TypeError(explain(where, "a dict", type(given).__name__, "the result of state_dict()"))
    optimizer._bring_in()
    loading = _Loading(optimizer, dict(given), where)
    writes = loading.plan()
    _load_schedule(optimizer, given.get("LR_Scheduler"), where)
    for target, value in writes:
        target[...] = value
    for home, steps in loading.steps_of.items():
        home.steps = steps
    for home in loading.silent:
        optimizer._arena.reset(home)
    loading.warn()


class _Loading:
    """One state dict on its way into one optimizer: what goes where, and what is wrong with it."""

    def __init__(self, optimizer, entries: dict, where: str):
        self.optimizer, self.where = optimizer, where
        self.homes = {p.name: home for p, home in _homes(optimizer)}
        entries.pop("LR_Scheduler", None)
        self.masters, self.steps = dict(entries.pop("master_weights", {})), dict(entries.pop("steps", {}))
        self.saved: dict[str, dict] = {name: {} for name in self.steps}
        self.unknown, self.missing, self.mismatched = [], [], []
        self.silent, self.steps_of = [], {}
        names = [*_names(optimizer).values(), *optimizer.powers]
        middle = f"(?:_{re.escape(optimizer._name)})?" if optimizer._name else ""
        key_form = re.compile(rf"(.+?)(?:_fp32_master_\d+)?{middle}_({'|'.join(map(re.escape, names)) or '(?!)'})_\d+")
        for key, value in entries.items():
            found = key_form.fullmatch(key)
            if found is None:
                self.unknown.append(key)
            else:
                self.saved.setdefault(found[1], {})[found[2]] = value
        for name in self.masters:
            self.saved.setdefault(name, {})

    def plan(self) -> list:
        """[(array to write, values)]. ValueError when the state does not fit."""
        writes = []
        of = self._matched()
        for name, home in self.homes.items():
            saved_name = of.get(name)
            if saved_name is None:
                self.silent.append(home)
                continue
            entries = self.saved[saved_name]
            for state, accumulator in _names(self.optimizer).items():
                target = home.state[state]
                self._one(writes, target, entries.get(accumulator), f"{saved_name}_{accumulator}_0")
            if home.master is not None and saved_name in self.masters:
                self._one(writes, home.master, self.masters[saved_name], f"master_weights[{saved_name!r}]")
            self.steps_of[home] = self._steps(home, saved_name, entries)
        if self.missing or self.mismatched:
            wrong = (("missing", self.missing), ("does not fit", self.mismatched), ("of no use", self.unknown))
            raise ValueError(explain(self.where, "the state of such an optimizer and model",
                                     "; ".join(f"{kind}: {', '.join(found)}" for kind, found in wrong if found)))
        return writes

    def _matched(self) -> dict[str, str]:
        """{our name: saved name}: by name where all saved are ours, else in order where number and shapes agree."""
        if all(name in self.homes for name in self.saved):
            return {name: name for name in self.saved}
        ours, theirs = list(self.homes), list(self.saved)
        foreign = [name for name in theirs if name not in self.homes]
        pairs = dict(zip(ours, theirs))
        if len(ours) != len(theirs) or not all(self._alike(self.homes[a], b) for a, b in pairs.items()):
            raise ValueError(explain(
                self.where, f"states of this optimizer's {len(ours)} parameters, by name or in their order and shapes",
                f"{len(theirs)}, of which {foreign[:5]} are not among {ours[:5]} ...",
                "the parameters in the order in which they were when the state was saved"))
        return pairs

    def _alike(self, home, saved_name: str) -> bool:
        """True unless a saved state shows that it belongs to a parameter of another shape."""
        shapes = [(home.state[state].shape, self.saved[saved_name].get(name))
                  for state, name in _names(self.optimizer).items()]
        return all(value is None or tuple(np.shape(_array(value))) == tuple(shape) for shape, value in shapes)

    def _one(self, writes: list, target, value, key: str) -> None:
        if value is None:
            self.missing.append(key)
            return
        array = _array(value)
        if tuple(array.shape) != tuple(target.shape):
            self.mismatched.append(f"{key} {list(array.shape)} instead of {list(target.shape)}")
        elif not dtypes.of(array).is_floating:
            self.mismatched.append(f"{key} of dtype {array.dtype}")
        else:
            writes.append((target, device.move(array, self.optimizer._arena.place)))

    def _steps(self, home, saved_name: str, entries: dict) -> int:
        """Updates so far: as said, or for a file of Paddle's worked out from a beta power."""
        if saved_name in self.steps:
            return int(self.steps[saved_name])
        for name, option in self.optimizer.powers.items():
            if name in entries:
                power = float(_array(entries[name]).reshape(-1)[0])
                base = _option(home, option)
                if 1e-30 < power < 1 and 0 < base < 1:   # below that float32 has too few digits left
                    return max(round(math.log(power) / math.log(base)) - 1, 0)
        options = dict(home.strategy.options)
        if self.optimizer.numbers(1, **options) != self.optimizer.numbers(1000, **options):
            self.missing.append(f"steps[{saved_name!r}]")
        return 0

    def warn(self) -> None:
        """Tells what was left over on either side."""
        if self.unknown:
            warnings.warn(f"{self.where}: ignored {self.unknown}, which this optimizer has no use for", stacklevel=4)
        if self.silent and self.saved:
            names = [home.param.name for home in self.silent]
            warnings.warn(f"{self.where}: the state says nothing of {names}; they start afresh", stacklevel=4)


def _load_schedule(optimizer, given, where: str) -> None:
    schedule = optimizer._learning_rate
    if not isinstance(schedule, LRScheduler):
        if given:
            warnings.warn(f"{where}: ignored LR_Scheduler, since the learning rate is a number here", stacklevel=4)
    elif given is None:
        raise ValueError(explain(where, "an entry 'LR_Scheduler', since a scheduler decides the rate here", "none",
                                 "state['LR_Scheduler'] = scheduler.state_dict() to keep it as it stands"))
    else:
        schedule.set_state_dict(given)


def _homes(optimizer):
    """(parameter, home) in the optimizer's order, step counts up to date."""
    if optimizer._launch is not None:
        optimizer._launch.write_steps()
    if optimizer._arena is None:
        return []
    return [(p, optimizer._arena.of[id(p)]) for p in optimizer._groups.params if id(p) in optimizer._arena.of]


def _names(optimizer) -> dict[str, str]:
    """{state: name in the dict}."""
    return {state: optimizer.accumulators.get(state, state) for state in optimizer._states()}


def _option(home, option: str) -> float:
    return dict(home.strategy.options)[option]


def _array(value):
    """The array of a tensor, an array, or nested lists."""
    return value._array if isinstance(value, Tensor) else value if device.is_array(value) else np.asarray(value)
