"""Updates written in Python, parameter by parameter, as code for Paddle does it by overriding `_append_optimize_op`.

The order is that of every optimizer: clip, regularise, update. It takes a handful of launches per parameter and step; a
declared rule (docs/custom-optimizer.md) does the same in one pass.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from gpuflow import device, dtypes
from gpuflow.autograd.tape import no_grad
from gpuflow.dispatch import call, in_dynamic_mode
from gpuflow.errors import explain
from gpuflow.ops.registry import OPS
from gpuflow.ops.rows import SparseRows
from gpuflow.optimizer import strategy as strategies
from gpuflow.optimizer.arena import common_place
from gpuflow.tensor import Tensor
from gpuflow_kernels.update.reference import apply_rule


class PaddleWay:
    """The part of Optimizer that code written for Paddle calls or overrides."""

    type: Any = None
    rule: Any
    _already_create_accumulator: set   # for `_create_accumulators` of code that notes here which parameters it has seen
    _hand: Any
    _groups: Any
    _arena: Any
    _owner: str
    _weight_decay: Any
    decoupled: bool
    accumulators: dict

    # ---- to override -----------------------------------------------------------------------------------------------

    def _append_optimize_op(self, block, param_and_grad):
        """Updates one parameter in place, without recording. A subclass that overrides this needs no rule.

        block: its `append_op` applies an op by name (static/legacy.py); in a Program too this runs at each step, at
        once. param_and_grad: (parameter, gradient after clip and regularisation, dense); with parameter groups, and
        where the class has a method `_update_param_group`, the group's dict with that pair as "params".

        Here it is one update by the class's rule, in array operations, with that gradient as it is: what a subclass
        gets from `super()`, at the rate that `_create_param_lr` says.
        """
        if self.rule is None:
            raise NotImplementedError(explain(f"{self._owner}._append_optimize_op", "a subclass that defines it",
                                              "none"))
        p, g = param_and_grad["params"] if isinstance(param_and_grad, dict) else param_and_grad
        self._chosen("_append_optimize_op", [p], None)
        row = self._strategy(p)
        if p.stop_gradient or row.rate == 0:
            return
        home = self._home_now(p)
        kind, xp, step = _compute_type(p), device.module_for(p.place), home.steps + 1
        state = {name: home.state[self._key(buffer)] for name, buffer in self._bound(step).items()}
        value, new = apply_rule(
            self.rule, p._array if home.master is None else home.master, g.dense() if isinstance(g, SparseRows)
            else g._array, state, lr=self._create_param_lr(param_and_grad)._array, decay=row.decay,
            numbers=self.numbers(step, **dict(row.options)), kind=kind, xp=xp)
        for name, array in new.items():
            state[name][...] = array
        if home.master is not None:
            home.master[...] = value
        p._write(value.astype(p._array.dtype))
        if self._hand is None:      # else ByHand.step counts
            home.steps, home.seen = step, p._counted()[0]

    def _create_accumulators(self, block, parameters):
        """Makes the states of these parameters by `_add_accumulator`; called before their first update.

        Here it makes those of the class's rule, where a subclass updates in Python.
        """
        if self._hand is not None and self.rule is not None:
            for p in parameters:
                self._add_rule_states(p)

    def _finish_update(self, block, parameters_and_grads):
        """Called once after the parameters of a step."""

    # ---- a rule, one parameter at a time ---------------------------------------------------------------------------

    def _home_now(self, p):
        """The parameter's home with its states and its step count up to date."""
        if self._hand is None:
            self._bring_in()
            self._launch.write_steps()
        else:
            self._add_rule_states(p)
        return self._arena.of[id(p)]

    def _add_rule_states(self: Any, p) -> None:
        """Makes the states that the class's rule asks for, where updates run in Python."""
        first = self._first_states(self._strategy(p))
        for name in self._rule_states():
            self._add_accumulator(self._key(name), p, _compute_type(p).name, first.get(name, 0.0))

    def _key(self, state: str) -> str:
        """What a home calls a state of the rule."""
        return state if self._hand is None else type(self).accumulators.get(state, state)

    # ---- to call ---------------------------------------------------------------------------------------------------

    def _add_accumulator(self, name, param, dtype=None, fill_value=0.0, shape=None, type=None, device=None):
        """A state of the parameter, a Tensor filled with fill_value, of its shape and dtype unless told otherwise.

        A second call gives the same tensor. It is saved as "<parameter>_<name>_0" and to be written in place.
        """
        if self._hand is None:
            raise RuntimeError(explain(f"{self._owner}._add_accumulator", "a class that overrides _append_optimize_op",
                                       "one with a rule", "UpdateRule(state=(...))"))
        return self._hand.add_state(name, param, dtype, fill_value, shape)

    def _get_accumulator(self, name, param):
        """The parameter's state `name`; that of a rule by the name it has in state_dict. It is the live one."""
        home = None if self._arena is None else self._arena.of.get(id(param))
        found = {} if home is None else home.state
        inner = {outer: state for state, outer in self.accumulators.items()}.get(name, name)
        if inner not in found:
            raise KeyError(explain(f"{self._owner}._get_accumulator", f"a state of {param.name} among {list(found)}",
                                   repr(name), "self._add_accumulator(...) in _create_accumulators"))
        return home.tensors[inner] if self._hand is not None else Tensor(found[inner])

    _get_accumulator_master = _get_accumulator

    @property
    def _accumulators(self) -> dict:
        """{state: {parameter's name: the live Tensor}} of all states there are, as Paddle keeps them."""
        found: dict = {}
        for home in () if self._arena is None else self._arena.homes:
            for inner, array in home.state.items():
                tensor = home.tensors[inner] if self._hand is not None else Tensor(array)
                found.setdefault(self.accumulators.get(inner, inner), {})[home.param.name] = tensor
        return found

    @staticmethod
    def _is_dtype_fp16_or_bf16(dtype) -> bool:
        return dtypes.convert(dtype) in (dtypes.float16, dtypes.bfloat16)

    def _global_learning_rate(self):
        """The schedule's rate as a 0-d float32 Tensor."""
        return _scalar(self.get_lr(), np.float32, device.current_place())

    def _create_param_lr(self, param_and_grad):
        """The rate of one parameter with its factors, a 0-d Tensor: float64 beside float64 parameters, else float32."""
        param = (param_and_grad["params"] if isinstance(param_and_grad, dict) else param_and_grad)[0]
        return _scalar(self.get_lr() * self._strategy(param).rate, _compute_type(param), param.place)

    def append_regularization_ops(self, parameters_and_grads, regularization=None):
        """[(parameter, gradient + penalty's gradient)]: the parameter's own regularizer, else `regularization`.

        regularization: L1Decay, L2Decay, a number (L2) or None. Pairs without a gradient stay as they are.
        """
        out = []
        with no_grad():
            for p, g in parameters_and_grads:
                own = strategies.said_by(p)[1]
                own = regularization if own is None else own
                row: dict = {"source": {}}
                if own is not None:
                    strategies.penalise(row, strategies.as_penalty("append_regularization_ops", own), "")
                out.append((p, g if g is None else regularised(p, g, **row)))
        return out

    def backward(self, loss, startup_program=None, parameters=None, no_grad_set=None, callbacks=None):
        """[(parameter, gradient)] of what `loss.backward()` has left, as in Paddle's eager mode. loss: not looked at.

        parameters: default all. no_grad_set: parameters to leave out.
        """
        if not in_dynamic_mode():
            return in_program().backward(self, loss, parameters, no_grad_set)
        if startup_program is not None or callbacks is not None:
            raise ValueError(explain(f"{self._owner}.backward", "startup_program=None and callbacks=None in eager mode",
                                     "one of them"))
        return [(p, p._grad) for p in self._chosen("backward", parameters, no_grad_set)
                if p._grad is not None and not p.stop_gradient]

    def apply_gradients(self, params_grads):
        """A step with these gradients, [(parameter, gradient)], in place of the parameters' own; returns [].

        They are clipped and regularised like any. Parameters that are not listed are not touched.
        """
        pairs = list(params_grads)
        if not in_dynamic_mode():
            return in_program().apply_gradients(self, pairs)
        self._chosen("apply_gradients", [p for p, _ in pairs], None)
        self._step({id(p) for p, _ in pairs}, {id(p): g for p, g in pairs})
        return []

    def _apply_scaled(self, params_grads, scale):
        """`apply_gradients` in a Program with gradients of a loss under a scale; see in_program.Step."""
        return in_program().apply_gradients(self, list(params_grads), scale)

    def _apply_optimize(self, loss, startup_program, params_grads, param_group_idx=0):
        return self.apply_gradients(params_grads)

    def _chosen(self, what, parameters, without) -> list:
        """The parameters (default all) that are not in `without`; ValueError for foreign ones."""
        out = {id(p) for p in without or ()}
        chosen = [p for p in (self._groups.params if parameters is None else parameters) if id(p) not in out]
        foreign = [p.name for p in chosen if id(p) not in self._groups.group_of]
        if foreign:
            raise ValueError(explain(f"{self._owner}.{what}", "parameters of this optimizer", str(foreign)))
        return chosen

    @property
    def _parameter_list(self) -> list:
        """The parameters, or where there are groups, these as dicts."""
        return [dict(g) for g in self._groups.groups] if self._groups.grouped else list(self._groups.params)

    _param_groups = _parameter_list

    @property
    def regularization(self):
        """The penalty on all parameters that have no other: L1Decay, L2Decay or None."""
        given = None if self.decoupled else self._weight_decay
        return None if given is None else strategies.as_penalty(self._owner, given)


def in_program():
    """The module for static Programs, imported when one is built."""
    from gpuflow.optimizer import in_program

    return in_program


def _block():
    """What these optimizers get as the block that they append to, imported when one is at work."""
    from gpuflow.static.legacy import AtOnce

    return AtOnce()


def _compute_type(p) -> np.dtype:
    return np.dtype(np.float64 if p.dtype is dtypes.float64 else np.float32)


def _scalar(value: float, kind, place) -> Tensor:
    return Tensor(device.module_for(place).asarray(value, kind))


def regularised(p, g, l1=0.0, l2=0.0, source=None):
    """g + l2 p + l1 sign(p), with the dtype of g; a sparse gradient becomes dense."""
    g = Tensor(g.dense()) if isinstance(g, SparseRows) else g
    value = p.detach()
    if l2:
        g = g + value * l2
    return g + call(OPS["sign"], (value,)) * l1 if l1 else g


class HandHome:
    """One parameter and its states: tensors {name: Tensor}, first {name: value it starts from}."""

    __slots__ = ("first", "master", "param", "steps", "strategy", "tensors")

    def __init__(self, param):
        self.param, self.master, self.steps, self.strategy = param, None, 0, None
        self.tensors: dict[str, Tensor] = {}
        self.first: dict[str, float] = {}

    @property
    def state(self) -> dict:
        """{name: array}, as state_dict reads and writes it."""
        return {name: tensor._array for name, tensor in self.tensors.items()}


class ByHand:
    """What stands in for arena and kernels where an optimizer updates in Python."""

    def __init__(self, optimizer):
        self.optimizer = optimizer
        self.homes: list[HandHome] = []
        self.of: dict[int, HandHome] = {}
        self._norm: Any = None

    def names(self) -> tuple:
        """Names of all states."""
        return tuple(dict.fromkeys(name for home in self.homes for name in home.tensors))

    def add_state(self, name: str, param, dtype, fill_value, shape) -> Tensor:
        """See PaddleWay._add_accumulator."""
        home = self.of[id(param)]
        if name not in home.tensors:
            kind = param.dtype if dtype is None else dtypes.convert(dtype)
            size = tuple(param.shape) if shape is None else tuple(shape)
            home.tensors[name] = Tensor(device.module_for(param.place).full(size, fill_value, kind.dtype))
            home.first[name] = fill_value
        return home.tensors[name]

    def reset(self, home: HandHome) -> None:
        """The states of a parameter that was never updated."""
        home.steps = 0
        for name, tensor in home.tensors.items():
            tensor._array[...] = home.first[name]

    def bring_in(self, also=()) -> None:
        """Makes states for parameters that have none yet, and works out all strategies."""
        opt = self.optimizer
        chosen = {id(p) for p in also}
        fresh = [p for p in opt._groups.params
                 if id(p) not in self.of and (not p.stop_gradient or id(p) in chosen)]
        for p in fresh:
            self.of[id(p)] = HandHome(p)
        if fresh:
            self.homes = [self.of[id(p)] for p in opt._groups.params if id(p) in self.of]
            opt._outside = [p for p in opt._groups.params if id(p) not in self.of]
            with no_grad():
                opt._create_accumulators(_block(), fresh)
        for home in self.homes:
            home.strategy = opt._strategy(home.param)
            for tensor in home.tensors.values():   # a model that moved takes its states along
                tensor._array = device.move(tensor._array, home.param.place)

    def step(self, only, given) -> None:
        """One update of the parameters that have gradients; see Optimizer._step."""
        opt = self.optimizer
        opt._bring_in()
        common_place(opt._owner, [home.param for home in self.homes])
        rows = []
        for home in self.homes:
            p = home.param
            g = given.get(id(p), p._grad)
            if g is not None and not (p.stop_gradient or home.strategy.fixed
                                      or (only is not None and id(p) not in only)):
                rows.append((home, g))
        if not rows or self._stopped(rows):
            return
        with no_grad():
            clipped = strategies.clipped([(home.param, g, home.strategy) for home, g in rows])
            pairs, block = [], _block()
            for home, g in rows:
                p, row = home.param, home.strategy
                g = clipped.get(id(p), g)
                if g is None or row.rate == 0:   # the latter counted in a shared norm, and stays where it is
                    continue
                pair = (p, regularised(p, g, row.l1, row.l2))
                opt._append_optimize_op(block, self._handed(pair))
                home.steps += 1
                pairs.append(pair)
            opt._finish_update(block, pairs)

    def _handed(self, pair):
        opt = self.optimizer
        if not opt._groups.grouped or not hasattr(opt, "_update_param_group"):
            return pair
        return {**opt._groups.groups[opt._groups.group_of[id(pair[0])]], "params": pair}

    def _stopped(self, rows) -> bool:
        """Whether an inf or NaN gradient ends the step. Takes the norm where it is wanted; only then it waits."""
        opt = self.optimizer
        watched = opt._on_nonfinite != "propagate"
        if not (watched or opt._measure or any("norm" in home.strategy.clip for home, _ in rows)):
            self._norm = None
            return False
        squares = {home.param.name: _squares(g) for home, g in rows}
        self._norm = sum(squares.values()) ** 0.5
        bad = [name for name, one in squares.items() if watched and not np.isfinite(float(one))]
        if bad and opt._on_nonfinite == "raise":
            opt._refuse_nonfinite(bad)
        opt._counts["skipped"] += bool(bad)
        return bool(bad)

    def norm(self):
        """See Optimizer.last_grad_norm; None when the last step took none."""
        return self._norm


def _squares(g):
    """The sum of squares of a gradient in float64, 0-d, on the device."""
    values = g.merged()[1] if isinstance(g, SparseRows) else g._array
    wide = values.astype(np.float64)
    return (wide * wide).sum()
