"""GradScaler: keeps small gradients from vanishing in float16 by scaling the loss, and leaves out steps that overflow.

Whether a step is left out is decided on the device, by the kernels that take it; nothing waits in `step()`. The scale
itself is a number on the host: it is needed when the next loss is scaled, and by then the flag of the last step has
travelled here while the device was busy with the next forward pass.
"""
from __future__ import annotations

import logging
import math
from numbers import Real
from typing import Any

import numpy as np

from gpuflow import device, dispatch, dtypes
from gpuflow.amp.auto_cast import latest_dtype
from gpuflow.device.later import Later
from gpuflow.errors import explain
from gpuflow.ops.registry import OPS
from gpuflow.ops.rows import SparseRows
from gpuflow.tensor import Tensor

log = logging.getLogger("gpuflow")
_LARGEST = float(np.finfo(np.float32).max)
_SMALLEST = float(np.finfo(np.float32).tiny)
CPU_PIECE = 1 << 16   # elements
_SETTINGS = ("incr_ratio", "decr_ratio", "incr_every_n_steps", "decr_every_n_nan_or_inf", "use_dynamic_loss_scaling")


class Stepped:
    """What `GradScaler.step` returns: True where the parameters were updated, False where the step was left out.

    Nobody knows yet when it is made: asking (`if stepped:`) waits for that step, and for nothing launched after it.
    """

    def __init__(self, flag: Later | None):
        self._flag = flag

    def __bool__(self) -> bool:
        return self._flag is None or not self._flag.read()

    def __repr__(self):
        return f"Stepped({bool(self)})" if self._flag is None or self._flag.ready else "Stepped(not known yet)"


class _Turn:
    """What happened to one optimizer since the last update. state: "unscaled" or "stepped"."""

    __slots__ = ("flag", "found", "state")

    def __init__(self, state: str, found=None, flag: Later | None = None):
        self.state, self.found, self.flag = state, found, flag


class GradScaler:
    """Scales the loss, divides the gradients again, leaves out steps with an inf or NaN, and adapts the scale.

        scaled = scaler.scale(loss)
        scaled.backward()
        scaler.step(optimizer)      # or, to clip by hand: scaler.unscale_(optimizer), clip, scaler.step(optimizer)
        scaler.update()
        optimizer.clear_grad()

    enable: False makes every method do what the plain training loop does.
    init_loss_scaling: the first scale. incr_ratio: its growth after incr_every_n_steps steps in a row without inf and
        NaN. decr_ratio: its decay after decr_every_n_nan_or_inf steps in a row with one.
    use_dynamic_loss_scaling: False keeps the scale; steps with an inf or NaN are left out all the same.

    While a Program is built, `scaled = scaler.scale(loss)` and `scaler.minimize(optimizer, scaled)` put all of that
    into it; scale and counts are tensors then, which its startup program fills. `state_dict` has the global scope's.

    A step that is left out changes nothing: no moments, step counts, master copies or parameters. For a scheduler:
    `stepped = scaler.step(optimizer)`, and `if stepped: scheduler.step()` before the next step.
    """

    _incr_ratio: float
    _decr_ratio: float
    _incr_every_n_steps: int
    _decr_every_n_nan_or_inf: int

    def __init__(self, enable: bool = True, init_loss_scaling: float = 2.0**16, incr_ratio: float = 2.0,
                 decr_ratio: float = 0.5, incr_every_n_steps: int = 2000, decr_every_n_nan_or_inf: int = 1,
                 use_dynamic_loss_scaling: bool = True):
        self._enable = bool(enable)
        self._use_dynamic_loss_scaling = bool(use_dynamic_loss_scaling) and self._enable
        self._incr_count = self._decr_count = 0
        self._turns: dict[int, tuple[object, _Turn]] = {}    # id of an optimizer: it, and its turn
        self._unread: list[list[Later]] = []                 # of updates that nobody needed to know yet
        self._in_program: Any = None                         # its LossScale, once a Program has it
        self._scale = 1.0
        self.set_init_loss_scaling(init_loss_scaling if self._enable else 1.0)
        self.set_incr_ratio(incr_ratio)
        self.set_decr_ratio(decr_ratio)
        self.set_incr_every_n_steps(incr_every_n_steps)
        self.set_decr_every_n_nan_or_inf(decr_every_n_nan_or_inf)

    # ---- one step --------------------------------------------------------------------------------------------------

    def scale(self, var: Tensor) -> Tensor:
        """var times the scale; float16 and bfloat16 become float32 first, which the product would leave.

        After an auto_cast block in bfloat16 a scaler with a dynamic scale switches itself off with a warning, as
        Paddle's: bfloat16 has the range of float32 and needs none.
        """
        if not isinstance(var, Tensor):
            raise TypeError(explain("GradScaler.scale", "a Tensor", type(var).__name__))
        if self._enable and self._use_dynamic_loss_scaling and latest_dtype() is dtypes.bfloat16:
            log.warning("GradScaler: switched off, since auto_cast computes in bfloat16, which needs no loss scale")
            self._enable = self._use_dynamic_loss_scaling = False
            self._init_loss_scaling = self._scale = 1.0
            self._unread = []
        if not self._enable:
            return var
        if not dispatch.in_dynamic_mode():
            return self.scale_in_program().scaled(var)
        with dispatch.casting(None):
            if var.dtype.itemsize == 2:
                var = dispatch.call(OPS["cast"], (var,), {"dtype": dtypes.float32})
            return dispatch.call(OPS["scale"], (var,), {"scale": self._current(), "bias": 0.0})

    def unscale_(self, optimizer) -> None:
        """Divides the gradients by the scale now, so that they can be looked at or clipped before `step`.

        RuntimeError when it was done already since the last update, or after step().
        """
        if not self._enable:
            return
        _refuse_static("unscale_")
        turn = self._turn_of(optimizer)
        if turn is not None and turn.state == "unscaled":
            raise RuntimeError(explain("GradScaler.unscale_", "one call between updates", "a second one",
                                       "scaler.update() at the end of each step"))
        if turn is not None:
            raise RuntimeError(explain("GradScaler.unscale_", "a call before step()", "one after it"))
        found = _unscale(optimizer, 1 / self._current())
        self._turns[id(optimizer)] = optimizer, _Turn("unscaled", found)

    def step(self, optimizer) -> Stepped | None:
        """`optimizer.step()` with the gradients divided by the scale, left out where one is inf or NaN.

        Returns a Stepped, which says when asked whether it was taken (None when the scaler is off, as step() does). An
        optimizer with `on_nonfinite="raise"` does not raise here. For an optimizer whose steps are its own code, this
        method waits for the device to decide.
        """
        if not self._enable:
            return optimizer.step()
        _refuse_static("step")
        return self._take(optimizer, "step", optimizer.step)[0]

    def minimize(self, optimizer, *args, **kwargs):
        """`step` and `update` in one, with the arguments of `optimizer.minimize`; returns what that returns."""
        if not self._enable:
            return optimizer.minimize(*args, **kwargs)
        if not dispatch.in_dynamic_mode():
            return self.scale_in_program().minimize(optimizer, *args, **kwargs)
        answer = self._take(optimizer, "minimize", lambda: optimizer.minimize(*args, **kwargs))[1]
        self.update()
        return answer

    def update(self) -> None:
        """Adapts the scale to what happened since the last call; what it needs to know is read when it is needed."""
        if not self._enable:
            return
        _refuse_static("update")
        turns, self._turns = self._turns, {}
        if self._use_dynamic_loss_scaling:
            flags = []
            for _, turn in turns.values():
                if turn.flag is not None:
                    flags.append(turn.flag)
                elif turn.found is not None:    # unscaled, and then not stepped
                    flags.append(Later(turn.found))
            if turns:
                self._unread.append(flags)

    def _take(self, optimizer, what: str, go):
        """(Stepped, what go() returns) for a step of `optimizer` under the present scale."""
        turn = self._turn_of(optimizer)
        if turn is not None and turn.state == "stepped":
            raise RuntimeError(explain(f"GradScaler.{what}", "one step between updates", "a second one",
                                       "scaler.update() at the end of each step"))
        found = None if turn is None else turn.found
        factor = 1 / self._current() if turn is None else None
        # asked of the class: an optimizer wrapped around another passes its attributes on, but has work of its own
        taken = optimizer._under_scale(factor, found, go) if hasattr(type(optimizer), "_under_scale") else None
        if taken is None:
            flag: Any = Later(found if factor is None else _unscale(optimizer, factor))
            left_out = bool(flag.read())
            answer = (None, None) if left_out else go()
            if hasattr(optimizer, "_counts"):
                optimizer._counts["skipped"] += left_out
        else:
            flag, answer = taken[0].flag, taken[1]
        if self._use_dynamic_loss_scaling:
            self._turns[id(optimizer)] = optimizer, _Turn("stepped", found, flag)
        else:
            self._turns = {}    # as Paddle: a loop with a fixed scale need not call update()
        return Stepped(flag), answer

    def _turn_of(self, optimizer) -> _Turn | None:
        found = self._turns.get(id(optimizer))
        return None if found is None else found[1]

    # ---- the scale -------------------------------------------------------------------------------------------------

    def scale_in_program(self):
        """What stands for the scale in Programs, a LossScale."""
        if self._in_program is None:
            from gpuflow.amp.in_program import LossScale

            self._in_program = LossScale(self, (self._current(), self._incr_count, self._decr_count))
        return self._in_program

    def _current(self) -> float:
        """The scale after all updates so far. Waits for the last of them if need be."""
        self._catch_up()
        unread, self._unread = self._unread, []
        for flags in unread:
            self._adapt(any([bool(flag.read()) for flag in flags]))
        return self._scale

    def _adapt(self, found: bool) -> None:
        before = self._scale
        numbers = self.adapted(found, before, self._incr_count, self._decr_count, _if)
        self._scale, self._incr_count, self._decr_count = _rounded(numbers[0]), *numbers[1:]
        if self._scale < before:
            log.info("GradScaler: inf or NaN in the gradients, scale %g -> %g", before, self._scale)

    def adapted(self, found, scale, good, bad, where) -> tuple:
        """(scale, steps in a row without inf and NaN, steps in a row with one) after a step in which one was `found`.

        Numbers with `where` a Python choice, or arrays with the `where` of their module; scale in float64.
        """
        good, bad = where(found, 0, good + 1), where(found, bad + 1, 0)
        up, down = good >= self._incr_every_n_steps, bad >= self._decr_every_n_nan_or_inf
        changed = scale * where(up, float(np.float32(self._incr_ratio)), float(np.float32(self._decr_ratio)))
        changed = where(changed > _LARGEST, _LARGEST, where(changed < _SMALLEST, _SMALLEST, changed))
        return where(up, changed, where(down, changed, scale)), where(up, 0, good), where(down, 0, bad)

    def _catch_up(self) -> None:
        """Takes over what Programs made of the numbers."""
        known: list = [] if self._in_program is None else self._in_program.numbers()
        for name, number in zip(("_scale", "_incr_count", "_decr_count"), known):
            setattr(self, name, number)

    def _publish(self) -> None:
        """Lets Programs have the numbers."""
        if self._in_program is not None:
            self._in_program.put((self._scale, self._incr_count, self._decr_count))

    def is_enable(self) -> bool:
        """Whether the scaler does anything."""
        return self._enable

    def is_use_dynamic_loss_scaling(self) -> bool:
        """Whether the scale adapts."""
        return self._use_dynamic_loss_scaling

    def get_init_loss_scaling(self) -> float:
        """The scale as it was set last; `state_dict()` has the present one."""
        return self._init_loss_scaling

    def set_init_loss_scaling(self, new_init_loss_scaling: float) -> None:
        """Sets the scale, from the next loss on."""
        value = _number("init_loss_scaling", new_init_loss_scaling, 0, math.inf)
        self._catch_up()
        self._unread = []
        self._init_loss_scaling, self._scale = new_init_loss_scaling, _rounded(value)
        self._publish()

    def get_incr_ratio(self) -> float:
        return self._incr_ratio

    def set_incr_ratio(self, new_incr_ratio: float) -> None:
        """Sets the factor of growth; ValueError unless it is above 1."""
        _number("incr_ratio", new_incr_ratio, 1, math.inf)
        self._settle_with("_incr_ratio", new_incr_ratio)

    def get_decr_ratio(self) -> float:
        return self._decr_ratio

    def set_decr_ratio(self, new_decr_ratio: float) -> None:
        """Sets the factor of decay; ValueError unless it is between 0 and 1."""
        _number("decr_ratio", new_decr_ratio, 0, 1)
        self._settle_with("_decr_ratio", new_decr_ratio)

    def get_incr_every_n_steps(self) -> int:
        return self._incr_every_n_steps

    def set_incr_every_n_steps(self, new_incr_every_n_steps: int) -> None:
        _number("incr_every_n_steps", new_incr_every_n_steps, 0, math.inf)
        self._settle_with("_incr_every_n_steps", new_incr_every_n_steps)

    def get_decr_every_n_nan_or_inf(self) -> int:
        return self._decr_every_n_nan_or_inf

    def set_decr_every_n_nan_or_inf(self, new_decr_every_n_nan_or_inf: int) -> None:
        _number("decr_every_n_nan_or_inf", new_decr_every_n_nan_or_inf, 0, math.inf)
        self._settle_with("_decr_every_n_nan_or_inf", new_decr_every_n_nan_or_inf)

    def _settle_with(self, name: str, value) -> None:
        """Changes a setting; updates that nobody has read yet still count under the old one."""
        if self._unread:
            self._current()
        setattr(self, name, value)

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state_dict(self) -> dict:
        """Scale, settings and counts under Paddle's keys; empty when the scaler is off."""
        if not self._enable:
            return {}
        *settings, dynamic = ((name, getattr(self, f"_{name}")) for name in _SETTINGS)
        return dict([("scale", np.array([self._current()], np.float32)), *settings, ("incr_count", self._incr_count),
                     ("decr_count", self._decr_count), dynamic])

    def load_state_dict(self, state_dict: dict) -> None:
        """Goes on from a saved state. RuntimeError for an empty one (of a scaler that was off), KeyError when an entry
        is missing, ValueError or TypeError for a setting that means nothing; nothing is changed then."""
        if not self._enable:
            return
        if len(state_dict) == 0:
            raise RuntimeError(explain("GradScaler.load_state_dict", "the state of a scaler that was on",
                                       "an empty one"))
        missing = [key for key in self.state_dict() if key not in state_dict]
        if missing:
            raise KeyError(explain("GradScaler.load_state_dict", "the result of state_dict()",
                                   f"one without {missing}"))
        scale = state_dict["scale"]
        scale = scale.numpy() if isinstance(scale, Tensor) else scale
        counts = [int(_number(name, state_dict[name], -1, math.inf)) for name in ("incr_count", "decr_count")]
        saved = GradScaler(True, float(np.asarray(scale).reshape(-1)[0]), *(state_dict[name] for name in _SETTINGS))
        self.set_init_loss_scaling(saved.get_init_loss_scaling())
        for name in _SETTINGS:
            setattr(self, f"_{name}", getattr(saved, f"_{name}"))
        self._incr_count, self._decr_count = counts
        self._publish()


def _refuse_static(method: str) -> None:
    if not dispatch.in_dynamic_mode():
        raise RuntimeError(explain(f"GradScaler.{method}", "eager mode", "static mode",
                                   "scaler.minimize(optimizer, scaler.scale(loss))"))


class AmpScaler(GradScaler):
    """GradScaler with the first scale and the patience that Paddle's older class has."""

    def __init__(self, enable: bool = True, init_loss_scaling: float = 2.0**15, incr_ratio: float = 2.0,
                 decr_ratio: float = 0.5, incr_every_n_steps: int = 1000, decr_every_n_nan_or_inf: int = 1,
                 use_dynamic_loss_scaling: bool = True):
        super().__init__(enable, init_loss_scaling, incr_ratio, decr_ratio, incr_every_n_steps,
                         decr_every_n_nan_or_inf, use_dynamic_loss_scaling)


def _rounded(scale: float) -> float:
    """The scale as a float32 that is neither zero nor infinite, which is what it will be multiplied as."""
    return float(np.float32(min(max(scale, _SMALLEST), _LARGEST)))


def _if(condition, this, that):
    return this if condition else that


def _number(name: str, value, above, below) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(explain(f"GradScaler({name}=...)", "a number", repr(value)))
    if not above < value < below:
        raise ValueError(explain(f"GradScaler({name}=...)", f"a number above {above}" + (
            "" if below == math.inf else f" and below {below}"), repr(value)))
    return float(value)


def _parameters(optimizer) -> list:
    """The parameters of an optimizer, or of one that is wrapped around it."""
    groups = getattr(optimizer, "_groups", None)
    if groups is not None:
        return groups.params
    found = getattr(optimizer, "_parameter_list", None)
    inner = getattr(optimizer, "inner_optimizer", None)
    if found is None and inner is not None:
        return _parameters(inner)
    if found is None:
        raise TypeError(explain("GradScaler", "an optimizer of gpuflow, or one with _parameter_list",
                                type(optimizer).__name__))
    return [p for entry in found for p in (entry["params"] if isinstance(entry, dict) else [entry])]


def _unscale(optimizer, factor: float):
    """Multiplies the gradients by `factor` in place; a 0-d bool array on their device: was an inf or NaN among them?"""
    whole = getattr(optimizer, "_whole_gradients", None)
    arrays, params = ([], _parameters(optimizer)) if whole is None else whole()
    arrays = [piece for array in arrays for piece in _pieces(array)]
    for array in arrays:
        array[...] = _times(array, factor)
    for p in params:
        g = p._grad
        if isinstance(g, SparseRows):   # its values may be another gradient's too
            p._grad = SparseRows(g.rows, _times(g.values, factor), g.shape)
            arrays.append(p._grad.values)
        elif g is not None:
            g._write(_times(g._array, factor))
            arrays.append(g._array)
    found = np.asarray(False)
    for k, array in enumerate(arrays):
        bad = ~device.module_of(array).isfinite(array).all()
        found = found | bad if k else bad
    return found


def _pieces(array) -> list:
    """A flat buffer as parts to work on: the whole on a GPU, which is one launch for all parameters of a type; on the
    CPU what stays in its caches (10 million float32 gradients: 14 ms instead of 26 ms on two cores)."""
    return [array] if not isinstance(array, np.ndarray) else [
        array[k:k + CPU_PIECE] for k in range(0, array.size, CPU_PIECE)]


def _times(array, factor: float):
    """array * factor in its own type, two-byte floats rounded once."""
    if array.dtype.itemsize == 2:
        return (array.astype("float32") * factor).astype(array.dtype)
    return array * factor
