"""Averages of parameters over training: kept beside an optimizer, swapped in for evaluation, swapped out again.

    for batch in loader:            with average.apply():
        ...                             evaluate(model)
        optimizer.step()
        average.update()            # .step() of ModelAverage

    average = ExponentialMovingAverage(0.999, parameters=model).attach(optimizer)   # no update(): step() does it

Averages are float32 (float64 of float64 parameters). Buffers, such as the running statistics of batch norm, stay as
they are in the model unless they are averaged as well.
"""
from __future__ import annotations

from contextlib import contextmanager
from copy import copy
from typing import Any

import numpy as np

from gpuflow import device, dtypes
from gpuflow.device.later import Later
from gpuflow.dispatch import in_dynamic_mode
from gpuflow.errors import explain
from gpuflow.optimizer.base import Optimizer
from gpuflow.optimizer.lr.arguments import as_python, number, whole
from gpuflow.tensor import Tensor

MOST_IN_ONE_SUM = 16384   # as in Paddle: float32 sums of more would lose digits


class _Average:
    """Parameters, their averages, and the swap. Subclasses say what the average is."""

    def __init__(self, owner: str, parameters, buffers: bool):
        self._owner = owner
        self._start(_chosen(owner, parameters, buffers))

    def _start(self, params) -> None:
        """Begins to average these parameters."""
        self.params = params
        self._before: list | None = None   # the parameters' own values while averages are in their place

    def _over(self, tensors):
        """A twin that has seen nothing yet, over other tensors: the parameters of a static scope."""
        twin = copy(self)
        twin._start(tensors)
        return twin

    def averages(self) -> list:
        """The averages as arrays of the parameters' dtypes, in order."""
        raise NotImplementedError

    @contextmanager
    def apply(self, executor=None, need_restore: bool = True):
        """Puts the averages into the parameters; on leaving the block the parameters' own values come back.

        need_restore=False leaves them there until `restore()`. executor: taken for Paddle's sake; in static mode they
        are the parameters of the current scope.
        """
        here = self._here()
        if here._before is not None:
            raise RuntimeError(explain(f"{self._owner}.apply", "the parameters' own values in place",
                                       "averages, from an earlier apply", "restore() first"))
        values = here.averages()
        here._before = [p._array.copy() for p in here.params]
        _write(here.params, values)
        try:
            yield
        finally:
            if need_restore:
                here._put_back()

    def restore(self, executor=None) -> None:
        """Brings the parameters' own values back, bit for bit."""
        self._here()._put_back()

    def _put_back(self) -> None:
        if self._before is not None:
            _write(self.params, self._before)
            self._before = None

    def _here(self):
        """What has the averages of the parameters that are meant now: in static mode those of the current scope."""
        return self if in_dynamic_mode() else in_program().here(self)

    def _states(self) -> list:
        """The lists of arrays that go along with the parameters."""
        raise NotImplementedError

    def _check_own_values(self) -> None:
        if self._before is not None:
            raise RuntimeError(explain(self._owner, "the parameters' own values to average",
                                       "averages, from apply(need_restore=False)", "restore() first"))

    def _begin(self) -> None:
        """Refuses to average averages, and follows a model that moved to another device."""
        self._check_own_values()
        for arrays in self._states():
            arrays[:] = [device.move(array, p.place) for p, array in zip(self.params, arrays)]


class ExponentialMovingAverage(_Average):
    """ema = decay · ema + (1 - decay) · p, starting at 0 and divided by 1 - decay^t where it is applied.

    decay: in [0, 1). thres_steps: a number, a tensor of one number or a function that gives one, t: the decay is then
    min(decay, (1 + t) / (10 + t)), so that a young average follows faster. name: put before the names in state_dict.
    parameters: a Layer, or a list of parameters. Those with do_model_average=False are left out.
    buffers: with a Layer, whether its floating-point buffers are averaged as well.

    Call `update()` after each step of the optimizer, or `attach(optimizer)` once. In static mode one `update()` appends
    to the program what every run then does; parameters may be left out there, for all of the program's.
    """

    def __init__(self, decay=0.999, thres_steps=None, name=None, *, parameters=None, buffers=False):
        self._decay = number("ExponentialMovingAverage", "decay", decay, at_least=0, below=1)
        self._thres_steps, self._name = thres_steps, name or ""
        unknown = parameters is None and not in_dynamic_mode()   # all that the program has when update() is called
        super().__init__("ExponentialMovingAverage", [] if unknown else parameters, buffers)

    def _start(self, params) -> None:
        super()._start(params)
        self._ema: list[Any] = [_zeros(p) for p in params]   # None for one that lives in the optimizer's arena
        self._product = 1.0    # of all decays so far: the weight that the zeros of the start still have
        self._updates = 0
        self._optimizer: Any = None
        self._unsure: Any = None   # (Later: was the last step left out?, its decay), None when that is known

    def attach(self, optimizer) -> ExponentialMovingAverage:
        """Lets `optimizer.step()` update the average in the pass that updates the parameters; returns the average.

        A step that is left out (an overflow under a GradScaler, on_nonfinite="skip") leaves the average out as well.
        What the optimizer does not hold, such as buffers, and the rows that a sparse gradient leaves alone are averaged
        beside the pass. Of two-byte parameters with a
        master copy it is that copy which is averaged. TypeError for an optimizer whose steps are not the kernels'.
        """
        if not isinstance(optimizer, Optimizer):
            raise TypeError(explain("ExponentialMovingAverage.attach", "an optimizer", type(optimizer).__name__))
        if self._optimizer is not None:
            raise RuntimeError(explain("ExponentialMovingAverage.attach", "an average that follows no optimizer yet",
                                       f"one that follows {self._optimizer._owner}"))
        optimizer._take_average(self)
        self._optimizer = optimizer
        return self

    def update(self) -> None:
        """Takes the parameters as they are into the average; call it after each optimizer.step().

        In static mode: appends an operator that does so in every run; call it once, after optimizer.minimize().
        """
        if self._optimizer is not None:
            raise RuntimeError(explain("ExponentialMovingAverage.update", "an average that nobody else updates",
                                       f"one attached to {self._optimizer._owner}, whose step() does it"))
        if in_dynamic_mode():
            self._take_in()
            return
        if not self.params:
            self._start(_chosen(self._owner, in_program().parameters(f"{self._owner}.update"), False))
        in_program().append(self, self._thres_steps)

    def _take_in(self, t=None) -> None:
        """One update. t: of thres_steps, where a program has worked it out."""
        self._begin()
        decay = self._decay_now(t)
        for p, ema in zip(self.params, self._ema):
            _towards(ema, p._array, 1 - decay)
        self._count(decay)

    def _decay_now(self, t=None) -> float:
        t = self._thres_steps if t is None else t
        if t is None:
            return self._decay
        t = float(t() if callable(t) else t)
        return min(self._decay, (1 + t) / (10 + t))

    def _count(self, decay: float) -> None:
        self._product *= decay
        self._updates += 1

    @property
    def updates(self) -> int:
        """How often the parameters were taken in."""
        self._settle()
        return self._updates

    # ---- attached: what the optimizer calls ------------------------------------------------------------------------

    def _before_step(self) -> float:
        """The decay of the step that begins now. RuntimeError while averages are in the parameters' place."""
        self._check_own_values()
        self._settle()
        return self._decay_now()

    def _after_step(self, apart, decay: float, left_out=None, flag: Later | None = None) -> None:
        """Counts the step, and averages what its pass did not see.

        apart: [(home, rows that the pass did see, or None)]. left_out, a 0-d bool array on the device, and flag, the
        same on its way here: the step changed nothing; None where that cannot be.
        """
        rate = 1 - decay if left_out is None else device.module_of(left_out).where(left_out, 0.0, 1 - decay)
        for home, rows in apart:
            if rows is not None and len(rows):   # below 0 is no row; to keep the last one twice does no harm
                rows = device.module_of(rows).where(rows < 0, rows.max(), rows)
            done = None if rows is None else home.ema[rows]
            _towards(home.ema, home.view if home.master is None else home.master, rate)
            if rows is not None:
                home.ema[rows] = done
        for k, (p, ema) in enumerate(zip(self.params, self._ema)):
            if ema is not None:
                self._ema[k] = ema = device.move(ema, p.place)
                _towards(ema, p._array, rate)
        self._unsure = None if flag is None else (flag, decay)
        if flag is None:
            self._count(decay)

    def _settle(self) -> None:
        """Counts the last step, if it was taken; waits for the device where that is not known yet."""
        if self._unsure is not None:
            left_out, decay = self._unsure
            self._unsure = None
            if not left_out.read():
                self._count(decay)

    def _move_into(self, arena) -> None:
        """Hands what was averaged so far over to the arena, for the parameters that live there from now on."""
        for k, (p, ema) in enumerate(zip(self.params, self._ema)):
            if ema is not None and id(p) in arena.of:
                arena.of[id(p)].ema[...] = device.move(ema, arena.place)
                self._ema[k] = None

    def _current(self) -> list:
        """The running averages, in the order of the parameters."""
        return [self._optimizer._arena.of[id(p)].ema if ema is None else ema for p, ema in zip(self.params, self._ema)]

    # ---- as every average ------------------------------------------------------------------------------------------

    def _states(self) -> list:
        return [self._ema]

    def averages(self) -> list:
        if not self.updates:
            raise RuntimeError(explain("ExponentialMovingAverage.apply", "an update() before it", "none"))
        return [(ema / (1 - self._product)).astype(p._array.dtype) for p, ema in zip(self.params, self._current())]

    def state_dict(self) -> dict:
        """{name + parameter + "_ema": live tensor, "updates": count, "decay_product": of all decays}."""
        count = self.updates
        return {**{f"{self._name}{p.name}_ema": Tensor(ema) for p, ema in zip(self.params, self._current())},
                "updates": count, "decay_product": self._product}

    def set_state_dict(self, state_dict: dict) -> None:
        """Goes on from a saved state; by name, or in order where the model was rebuilt. ValueError where it differs."""
        self._settle()
        given = dict(state_dict)
        updates, product = _count(self._owner, given, "updates"), _count(self._owner, given, "decay_product", number)
        _load(self._owner, given, {f"{self._name}{p.name}_ema": ema for p, ema in zip(self.params, self._current())})
        self._updates, self._product = updates, product


class ModelAverage(_Average):
    """The plain mean of the parameters over the last steps; the window grows with training.

    A window is closed, and a new one begun, when it has min_average_window steps and at least
    min(max_average_window, average_window_rate · steps so far); the mean is over the closed window and the open one.
    parameters: a Layer, or a list of parameters. Those with do_model_average=False are left out. Each `step()` counts
    all parameters, with or without a gradient (Paddle counts those with one). In static mode, to be made after
    optimizer.minimize(), it counts by itself in every run; parameters: default all of the program's.
    """

    def __init__(self, average_window_rate, parameters=None, min_average_window=10000, max_average_window=10000,
                 name=None):
        self.average_window = number("ModelAverage", "average_window_rate", average_window_rate, at_least=0)
        self.min_average_window = whole("ModelAverage", "min_average_window", min_average_window, at_least=1)
        self.max_average_window = whole("ModelAverage", "max_average_window", max_average_window, at_least=1)
        if parameters is None and not in_dynamic_mode():
            parameters = in_program().parameters("ModelAverage")
        super().__init__("ModelAverage", parameters, False)
        if not in_dynamic_mode():
            in_program().append(self)

    def _start(self, params) -> None:
        super()._start(params)
        # sum_1 is being filled; sum_2 holds full ones of this window; sum_3 the window before
        self._sums = {f"sum_{k}": [_zeros(p) for p in params] for k in (1, 2, 3)}
        self._counts = {"num_accumulates": 0, "old_num_accumulates": 0, "num_updates": 0}

    def step(self) -> None:
        """Takes the parameters as they are into the average; call it after each optimizer.step()."""
        if not in_dynamic_mode():
            raise RuntimeError(explain("ModelAverage.step", "eager mode", "static mode, where every run counts"))
        self._take_in()

    def _take_in(self) -> None:
        self._begin()
        counts, (one, two, three) = self._counts, self._sums.values()
        counts["num_updates"] += 1
        counts["num_accumulates"] += 1
        for p, total in zip(self.params, one):
            total += p._array
        if counts["num_updates"] % MOST_IN_ONE_SUM == 0:
            for a, b in zip(one, two):
                b += a
                a[...] = 0
        window = min(self.max_average_window, int(counts["num_updates"] * self.average_window))
        if counts["num_accumulates"] >= max(self.min_average_window, window):
            for a, b, c in zip(one, two, three):
                c[...] = a + b
                a[...] = b[...] = 0
            counts["old_num_accumulates"], counts["num_accumulates"] = counts["num_accumulates"], 0

    def minimize(self, loss=None, startup_program=None, parameters=None, no_grad_set=None) -> None:
        """`step()`, under the name that code for Paddle calls."""
        self.step()

    def clear_grad(self, set_to_zero: bool = True) -> None:
        """Forgets the parameters' gradients."""
        for p in self.params:
            p.clear_grad()

    def _states(self) -> list:
        return list(self._sums.values())

    def averages(self) -> list:
        count = self._counts["num_accumulates"] + self._counts["old_num_accumulates"]
        if not count:
            raise RuntimeError(explain("ModelAverage.apply", "a step() before it", "none"))
        return [((a + b + c) / count).astype(p._array.dtype) for p, a, b, c in zip(self.params, *self._sums.values())]

    def state_dict(self) -> dict:
        """{"<parameter>_sum_1_0": live tensor, ...} as in Paddle, and the three counts once."""
        sums = {f"{p.name}_{name}_0": Tensor(array)
                for name, arrays in self._sums.items() for p, array in zip(self.params, arrays)}
        return {**sums, **self._counts}

    def set_state_dict(self, state_dict: dict) -> None:
        """Goes on from a saved state; by name, or in order where the model was rebuilt. ValueError where it differs."""
        given = dict(state_dict)
        counts = {name: _count(self._owner, given, name) for name in self._counts}
        _load(self._owner, given, {f"{p.name}_{name}_0": array for name, arrays in self._sums.items()
                                   for p, array in zip(self.params, arrays)})
        self._counts = counts


class LookAhead:
    """Every k steps of inner_optimizer the parameters go back along the way: p = slow = slow + alpha · (p - slow).

    As in Paddle the slow weights start as the parameters are after the first step (the paper: before it).
    alpha: in [0, 1]. k: >= 1. What is not found here is asked of inner_optimizer.

    Zhang, Lucas, Hinton and Ba, 2019 (https://arxiv.org/abs/1907.08610).
    """

    def __init__(self, inner_optimizer, alpha=0.5, k=5, name=None):
        if not hasattr(inner_optimizer, "_groups"):
            raise TypeError(explain("LookAhead", "an optimizer", type(inner_optimizer).__name__))
        self.alpha = number("LookAhead", "alpha", alpha, at_least=0, at_most=1)
        self.k = whole("LookAhead", "k", k, at_least=1)
        self.inner_optimizer = inner_optimizer
        self._stand_ins: list | None = None   # for the optimizer's parameters, in a static scope
        self._slow: dict[int, object] = {}    # id(parameter) -> array
        self._steps = 0

    def __getattr__(self, name):
        if name == "inner_optimizer":
            raise AttributeError(name)
        return getattr(self.inner_optimizer, name)

    def step(self) -> None:
        """A step of the inner optimizer, and every k-th time the way back."""
        self.inner_optimizer.step()
        self._take_in()

    def minimize(self, loss, startup_program=None, parameters=None, no_grad_set=None):
        """`minimize` of the inner optimizer, and every k-th time the way back."""
        out = self.inner_optimizer.minimize(loss, startup_program, parameters, no_grad_set)
        if in_dynamic_mode():
            self._take_in()
        else:
            in_program().append(self)
        return out

    def _take_in(self) -> None:
        """Counts a step, and goes back where it is the k-th."""
        self._steps += 1
        back = self._steps % self.k == 0
        for p in self.params:
            slow = self._slow.get(id(p))
            if slow is None:
                slow = self._slow[id(p)] = _zeros(p)
                slow[...] = p._array
            if back:
                slow = self._slow[id(p)] = device.move(slow, p.place)
                slow += self.alpha * (p._array.astype(slow.dtype, copy=False) - slow)
                _write([p], [slow.astype(p._array.dtype)])

    def state_dict(self) -> dict:
        """The inner optimizer's, "<parameter>_slow_0", and "lookahead_steps"."""
        return {**self.inner_optimizer.state_dict(), "lookahead_steps": self._steps, **{
            f"{p.name}_slow_0": Tensor(self._slow[id(p)]) for p in self.params if id(p) in self._slow}}

    def set_state_dict(self, state_dict: dict) -> None:
        """Goes on from a saved state; by name, or in order where the model was rebuilt. ValueError where it differs."""
        inner = dict(state_dict)
        steps = _count("LookAhead", inner, "lookahead_steps")
        given = {key: inner.pop(key) for key in list(inner) if key.endswith("_slow_0")}
        fresh = {id(p): _zeros(p) for p in self.params if given}
        _load("LookAhead", given, {f"{p.name}_slow_0": fresh[id(p)] for p in self.params if id(p) in fresh})
        self.inner_optimizer.set_state_dict(inner)
        self._slow, self._steps = fresh, steps

    @property
    def params(self) -> list:
        """The parameters that are trained."""
        known = self.inner_optimizer._groups.params if self._stand_ins is None else self._stand_ins
        return [p for p in known if not p.stop_gradient]

    def _over(self, tensors) -> LookAhead:
        """A twin that has seen nothing yet, over a static scope's tensors; it takes no steps of its own."""
        twin = LookAhead(self.inner_optimizer, self.alpha, self.k)
        twin._stand_ins = tensors
        return twin


def _chosen(owner: str, parameters, buffers: bool) -> list:
    """The tensors to average, each once."""
    if parameters is None:
        raise AttributeError(explain(owner, "parameters=model, or model.parameters()", "None"))
    layer = hasattr(parameters, "named_parameters")
    if buffers and not layer:
        raise ValueError(explain(owner, "a Layer, whose buffers could be averaged", "a list of parameters"))
    found = list(parameters.parameters()) if layer else list(parameters)
    for p in found:
        if not isinstance(p, Tensor):
            raise TypeError(explain(owner, "parameters", type(p).__name__))
    found = [p for p in found if p.__dict__.get("do_model_average") is not False]
    if buffers:
        found += [b for b in parameters.buffers() if b.dtype.is_floating]
    return list({id(p): p for p in found}.values())


def in_program():
    """The module for static Programs, imported when one is built."""
    from gpuflow.optimizer import average_in_program

    return average_in_program


def _towards(ema, value, rate) -> None:
    """ema += rate · (value - ema), in place. rate: a number, or a 0-d array on the device."""
    change = value.astype(ema.dtype, copy=False) - ema
    change *= rate
    ema += change


def _zeros(p):
    kind = np.float64 if p.dtype is dtypes.float64 else np.float32
    return device.module_for(p.place).zeros(p._array.shape, kind)


def _write(params, arrays) -> None:
    for p, array in zip(params, arrays):
        p._write(array)


def _count(owner: str, given: dict, name: str, check=whole):
    """Takes a number >= 0 out of a saved state."""
    if name not in given:
        raise ValueError(explain(f"{owner}.set_state_dict", f"an entry {name!r}", "none", "what state_dict() gave"))
    return check(f"{owner}.set_state_dict", name, as_python(given.pop(name)), at_least=0)


def _load(owner: str, given: dict, targets: dict) -> None:
    """Writes given into targets: by name, else in order. ValueError, with nothing written, where they do not fit."""
    if given.keys() != targets.keys():
        given = dict(zip(targets, given.values())) if len(given) == len(targets) else given
    arrays = {name: value._array if isinstance(value, Tensor) else np.asarray(value) for name, value in given.items()}
    wrong = [name for name in {**targets, **arrays}
             if name not in arrays or name not in targets or arrays[name].shape != targets[name].shape
             or not dtypes.of(arrays[name]).is_floating]
    if wrong:
        raise ValueError(explain(f"{owner}.set_state_dict", f"floats for {list(targets)[:3]} ... of their shapes",
                                 f"missing, unknown, of another shape or kind: {wrong[:5]}"))
    for name, target in targets.items():
        target[...] = device.move(arrays[name], device.place_of(target))
