"""An optimizer's state as a dict with Paddle's keys, and the way back: checked whole before anything is written.

    "<parameter>_<accumulator>_0"   a state, shaped like the parameter; beta powers have shape [1] (NAdam, RAdam: whole)
    "<parameter>_fp32_master_0_<accumulator>_0"   the same, of a parameter with a master copy
    "master_weights"                {parameter: float32 copy}
    "steps"                         {parameter: updates so far}, in the optimizer's order; Paddle has no such entry
    "LR_Scheduler"                  the scheduler's state
    "LR_Schedulers"                 {"group 1": state, parameter: state} of schedulers of groups and of ParamAttr
"""
from __future__ import annotations

import math
import re
import warnings

import numpy as np

from gpuflow import device, dtypes
from gpuflow.errors import explain
from gpuflow.optimizer.lr import LRScheduler
from gpuflow.optimizer.lr.arguments import as_python, whole
from gpuflow.tensor import Tensor

MASTER = "_fp32_master_0"


def state_of(optimizer) -> dict:
    """See Optimizer.state_dict."""
    out: dict = {}
    masters, steps = {}, {}
    for p, home in _homes(optimizer):
        prefix = p.name if home.master is None else p.name + MASTER
        prefix = f"{prefix}_{optimizer._name}" if optimizer._name else prefix
        # by hand, a parameter may have fewer states than others
        arrays = {name: home.state[state] for state, name in _names(optimizer).items() if state in home.state}
        for name, option in optimizer.powers.items():
            whole = optimizer.whole_powers
            power = _option(home, option) ** (home.steps if whole else home.steps + 1)
            arrays[name] = np.full(p.shape if whole else [1], power, np.float32)
        for name, value in optimizer.counted.items():
            arrays[name] = np.full(p.shape, value(home.steps, **dict(home.strategy.options)), np.float32)
        for name, array in optimizer._to_paddle(arrays, home.steps).items():
            key = f"{prefix}_{name}_0"
            out[key] = named(key, array)
        if home.master is not None:
            masters[p.name] = named(p.name + MASTER, home.master)
        steps[p.name] = home.steps
    if masters:
        out["master_weights"] = masters
    if steps:
        out["steps"] = steps
    if isinstance(optimizer._learning_rate, LRScheduler):
        out["LR_Scheduler"] = optimizer._learning_rate.state_dict()
    more = _more_schedules(optimizer)
    if more:
        out["LR_Schedulers"] = {name: schedule.state_dict() for name, schedule in more.items()}
    return out


def named(name: str, array) -> Tensor:
    """A tensor over the array. Names are stored in files: with these, two files of the same state are alike."""
    tensor = Tensor(array)
    tensor.name = name
    return tensor


def _more_schedules(optimizer) -> dict:
    """{"group <number>" or parameter's name: scheduler} of the schedules that are factors on the rate."""
    groups = {f"group {number}": schedule for number, schedule in optimizer._groups.schedules.items()}
    own = {p.name: p.__dict__.get("optimize_attr", {}).get("learning_rate") for p in optimizer._groups.params}
    return groups | {name: rate for name, rate in own.items() if isinstance(rate, LRScheduler)}


def load_state(optimizer, given) -> None:
    """See Optimizer.set_state_dict."""
    where = f"{optimizer._owner}.set_state_dict"
    if not isinstance(given, dict):
        raise TypeError(explain(where, "a dict", type(given).__name__, "the result of state_dict()"))
    optimizer._bring_in()
    loading = _Loading(optimizer, dict(given), where)
    writes = loading.plan()
    _set_schedules([*_main_schedule(optimizer, given.get("LR_Scheduler"), where), *loading.schedules])
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
        entries.pop("LR_Scheduler", None)
        self.more, self.masters, self.steps = (
            self._dict(entries, key) for key in ("LR_Schedulers", "master_weights", "steps"))
        self.schedules: list = []
        self.saved: dict[str, dict] = {name: {} for name in (*self.steps, *self.masters)}   # name -> accumulators
        self.unknown: list[str] = []
        self.missing: list[str] = []
        self.mismatched: list[str] = []
        self.silent: list = []
        self.steps_of: dict = {}
        names = [*_names(optimizer).values(), *optimizer.powers, *optimizer.counted, *optimizer.also_reads]
        middle = f"(?:_{re.escape(optimizer._name)})?" if optimizer._name else ""
        key_form = re.compile(rf"(.+?)(?:_fp32_master_\d+)?{middle}_({'|'.join(map(re.escape, names)) or '(?!)'})_\d+")
        for key, value in entries.items():
            found = key_form.fullmatch(str(key))
            if found is None:
                self.unknown.append(str(key))
            else:
                self.saved.setdefault(found[1], {})[found[2]] = value
        for name, saved in self.saved.items():
            steps = optimizer._from_paddle(saved)
            if steps is not None:
                self.steps.setdefault(name, steps)

    def _dict(self, entries: dict, key: str) -> dict:
        """Takes a dict that is an entry out of the entries; empty where there is none."""
        found = entries.pop(key, {})
        if not isinstance(found, dict):
            raise TypeError(explain(f"{self.where}, entry {key!r}", "a dict", type(found).__name__))
        return dict(found)

    def plan(self) -> list:
        """[(array to write, values)]. ValueError when the state does not fit."""
        of = self._matched()
        self._plan_schedules(of)
        asleep = [p for p in self.optimizer._outside if p.name in of]
        if asleep:      # frozen now, but trained when the state was saved: it goes on from there once unfrozen
            self.optimizer._rebuild(also=asleep)
        writes: list = []
        for p, home in _homes(self.optimizer):
            if p.name in of:
                self._parameter(writes, home, of[p.name])
            else:
                self.silent.append(home)
        if self.missing or self.mismatched:
            wrong = (("missing", self.missing), ("does not fit", self.mismatched), ("of no use", self.unknown))
            raise ValueError(explain(self.where, "the state of such an optimizer and model",
                                     "; ".join(f"{kind}: {', '.join(found)}" for kind, found in wrong if found)))
        return writes

    def _plan_schedules(self, of: dict) -> None:
        for name, schedule in _more_schedules(self.optimizer).items():
            state = self.more.pop(of.get(name, name), None)
            if state is None:
                self.missing.append(f"LR_Schedulers[{name!r}]")
            else:
                self.schedules.append((schedule, state))
        self.unknown += [f"LR_Schedulers[{name!r}]" for name in self.more]

    def _parameter(self, writes: list, home, name: str) -> None:
        """Plans the writing of what was saved of the parameter `name` into `home`."""
        entries = self.saved[name]
        arrays = home.state
        for state, accumulator in _names(self.optimizer).items():
            if state in arrays:
                self._one(writes, arrays[state], entries.get(accumulator), f"{name}_{accumulator}_0")
        if home.master is not None and name in self.masters:
            self._one(writes, home.master, self.masters[name], f"master_weights[{name!r}]")
        self.steps_of[home] = self._steps(home, name, entries)

    def _matched(self) -> dict[str, str]:
        """{our name: saved name}: by name where all saved are ours, else in order where number and shapes agree."""
        params = self.optimizer._groups.params
        ours = {p.name for p in params}
        if ours.issuperset(self.saved):
            return {name: name for name in self.saved}
        for candidates in ([p for p, _ in _homes(self.optimizer)], params):
            if len(candidates) == len(self.saved) and all(map(self._alike, candidates, self.saved)):
                return {p.name: name for p, name in zip(candidates, self.saved)}
        foreign = [name for name in self.saved if name not in ours]
        raise ValueError(explain(
            self.where, f"states of this optimizer's {len(params)} parameters, by name or in their order and shapes",
            f"{len(self.saved)}, of which {foreign[:5]} are not among {[p.name for p in params][:5]} ...",
            "the parameters in the order in which they were when the state was saved"))

    def _alike(self, p, saved_name: str) -> bool:
        """True unless a saved state shows that it belongs to a parameter of another shape."""
        home = self.optimizer._arena.of.get(id(p))
        states = {name: self.saved[saved_name].get(name) for name in _names(self.optimizer).values()}
        if self.optimizer._hand is not None and home is not None:   # states may have shapes of their own
            return all(value is None or name not in home.state or _array(value).shape == home.state[name].shape
                       for name, value in states.items())
        return all(value is None or tuple(_array(value).shape) == tuple(p.shape) for value in states.values())

    def _one(self, writes: list, target, value, key: str) -> None:
        if value is None:
            self.missing.append(key)
            return
        array = _array(value)
        if tuple(array.shape) != tuple(target.shape):
            self.mismatched.append(f"{key} {list(array.shape)} instead of {list(target.shape)}")
        elif dtypes.of(array).is_floating != dtypes.of(target).is_floating:
            self.mismatched.append(f"{key} of dtype {array.dtype}")
        else:
            writes.append((target, device.move(array, device.place_of(target))))

    def _steps(self, home, saved_name: str, entries: dict) -> int:
        """Updates so far: as said, or for a file of Paddle's worked out from a beta power."""
        if saved_name in self.steps:
            return whole(self.where, f"steps[{saved_name!r}]", as_python(self.steps[saved_name]), at_least=0)
        for name, option in self.optimizer.powers.items():
            if name in entries:
                power = float(_array(entries[name]).reshape(-1)[0])
                base = _option(home, option)
                if 1e-30 < power < 1 and 0 < base < 1:   # below that float32 has too few digits left
                    return max(round(math.log(power) / math.log(base)) - (not self.optimizer.whole_powers), 0)
                if power == 1 and self.optimizer.whole_powers:
                    return 0
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


def _main_schedule(optimizer, given, where: str) -> list:
    """[(the optimizer's scheduler, its state)], or nothing where the rate is a number."""
    schedule = optimizer._learning_rate
    if not isinstance(schedule, LRScheduler):
        if given:
            warnings.warn(f"{where}: ignored LR_Scheduler, since the learning rate is a number here", stacklevel=4)
        return []
    if given is None:
        raise ValueError(explain(where, "an entry 'LR_Scheduler', since a scheduler decides the rate here", "none",
                                 "state['LR_Scheduler'] = scheduler.state_dict() to keep it as it stands"))
    return [(schedule, given)]


def _set_schedules(pairs) -> None:
    """Brings schedulers to their states, [(scheduler, state)]: all of them, or none where one refuses its own."""
    before = [(schedule, schedule.state_dict()) for schedule, _ in pairs]
    try:
        for schedule, state in pairs:
            schedule.set_state_dict(state)
    except Exception:
        for schedule, state in before:
            schedule.set_state_dict(state)
        raise


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
