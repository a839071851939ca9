"""Optimizer: what all optimizers share. A step is: look at the parameters, then two kernel passes over the arena.

The order is fixed: unscale, clip, regularise (g += l2 p + l1 sign(p)), rule with lr = schedule × rate scale.
"""
from __future__ import annotations

from collections import Counter
from numbers import Real
from typing import Any

from gpuflow import device
from gpuflow.autograd.tape import no_grad
from gpuflow.dispatch import in_dynamic_mode
from gpuflow.errors import explain
from gpuflow.ops.rows import SparseRows
from gpuflow.optimizer import strategy as strategies
from gpuflow.optimizer.arena import Arena, Home
from gpuflow.optimizer.by_hand import ByHand, PaddleWay, in_program
from gpuflow.optimizer.groups import Groups
from gpuflow.optimizer.launch import Launch, Scaling
from gpuflow.optimizer.lr import LRScheduler
from gpuflow.optimizer.lr.arguments import choice, number
from gpuflow.optimizer.state import load_state, state_of
from gpuflow.tensor import Tensor
from gpuflow_kernels.update import DENSE, INACTIVE, SPARSE, STILL

ON_NONFINITE = ("propagate", "skip", "raise")


class Optimizer(PaddleWay):
    """Updates parameters from their gradients. Subclasses declare a rule; see `SGD` for the shortest.

    learning_rate: a number >= 0, or a scheduler of `optimizer.lr` (you step it; see LRScheduler).
    parameters: a list of parameters, or of groups: dicts with "params" and any of "learning_rate" (a factor on the
        rate, or a scheduler of `optimizer.lr` that gives the factor and that you step), "weight_decay", "grad_clip",
        "name" (for explain()) and the rule's own options, e.g. "beta1". See `groups_by_name` for patterns.
    weight_decay: a number (L2), L1Decay, L2Decay or None. ParamAttr(regularizer=...) wins over it and over a group's.
    grad_clip: ClipGradByValue, ClipGradByNorm, ClipGradByGlobalNorm or None. A shared norm is taken per parameter
        group, as in Paddle; clips with the same group_name (not the default one) share one across groups. Norms
        but the 2-norm and any other `nn.ClipGradBase` run in Python before the kernels, once per group over the
        gradients that want clipping; as in Paddle `p.grad` is then what the clip returned.
    multi_precision: keep a float32 master copy of float16 and bfloat16 parameters and update that.
    on_nonfinite: what an inf or NaN gradient does: "propagate" it as Paddle does, "skip" the whole step (decided on the
        device; on a GPU the next step waits for that decision), or "raise" FloatingPointError naming the parameters;
        nothing was changed then.

    A parameter whose `grad` is None is not touched by `step()`: no decay, no moments, no part in a norm. A rate factor
    of 0 keeps a parameter where it is under every rule. From the first step on, parameters and gradients are views of
    the optimizer's flat buffers; a `p.detach()` from before that keeps the old memory.

    A rule of your own gets clips, groups, decay, AMP and checkpoints in a few lines: docs/custom-optimizer.md.
    A subclass written for Paddle, which overrides `_append_optimize_op`, needs no rule; it updates in Python, and may
    leave that to the optimizer that it is made of by `super()`.
    """

    rule: Any = None            # an UpdateRule of gpuflow_kernels; may be chosen in __init__
    accumulators: dict = {}     # state of the rule -> its name in state_dict; by default the state's own name
    powers: dict = {}           # name in state_dict -> option b whose power b ** (steps + 1) Paddle keeps there
    whole_powers = False        # True: it is b ** steps there, in an array as large as the parameter
    counted: dict = {}          # name in state_dict -> function(steps, **options) that Paddle keeps there, as large
    also_reads: tuple = ()      # other names in Paddle's files, for _from_paddle
    decoupled = False           # True: a numeric weight_decay is the rule's `decay`, not an L2 penalty
    _ruled = True               # False for a class that takes its steps in its own way
    _decay_key = "weight_decay"
    _decay_filter: str | None = None   # the argument that excludes parameters from decay, for explain()
    _lazy = False

    def __init__(self, learning_rate=0.001, parameters=None, weight_decay=None, grad_clip=None, name=None, *,
                 multi_precision=False, on_nonfinite="propagate", options=None):
        """options: {name: value} for the rule's numbers; groups may set each of them for themselves."""
        self._owner = type(self).__name__
        self.type = self._owner.lower()
        self._hand, self._already_create_accumulator = None, set()
        if type(self)._append_optimize_op is not PaddleWay._append_optimize_op:
            self._hand, self.accumulators = ByHand(self), {}   # states go by the names that code for Paddle gives them
            if multi_precision:
                raise ValueError(explain(self._owner, "multi_precision=False where Python updates", "True"))
        elif self.rule is None and self._ruled:
            raise TypeError(explain(self._owner, "a class with a rule", "none", "rule = UpdateRule(...), or override "
                                    "_append_optimize_op"))
        self._learning_rate = self._rate_of(learning_rate)
        self._weight_decay, self._grad_clip, self._name = weight_decay, grad_clip, name
        if grad_clip is not None:
            strategies.clip_kind(f"{self._owner}(grad_clip=...)", grad_clip)
        self._multi_precision = bool(multi_precision)
        self._on_nonfinite = choice(self._owner, "on_nonfinite", on_nonfinite, ON_NONFINITE)
        self._options = self._checked(**(options or {}))
        self._measure, self._counts = False, Counter()
        self._scaling: Any = None        # a Scaling while a GradScaler takes the step
        self._average: Any = None        # an ExponentialMovingAverage that follows in the same pass
        known = (self._decay_key, *self._options, *self._group_keys())
        anything = self._hand is not None and hasattr(self, "_update_param_group")   # which reads the group itself
        self._groups = Groups(self._owner, parameters, None if anything else known)
        self._arena: Any = self._hand    # an Arena, and its Launch, from the first step on; or what stands in for them
        self._launch: Any = None
        self._outside: list[Tensor] = []
        self._own_code: list[Home] = []  # clipped in Python
        self._factors: list[float] = []  # of the groups whose rate is scheduled, as last seen
        self._check_settings()           # what means nothing is refused now, not at the first step

    # ---- what a subclass may say -----------------------------------------------------------------------------------

    def numbers(self, step: int, **options) -> dict:
        """The rule's numbers at step = 1, 2, ..., worked out in float64 on the host."""
        return {} if self.rule is None or self.rule.at is None else self.rule.at(step, **options)

    def _checked(self, **options) -> dict:
        """The options as they are kept; raises for a value that cannot be meant. Called for each group's as well."""
        return options

    def _rule_for(self, options: list[dict]):
        """The rule that serves groups with these options, where it depends on them."""
        return self.rule

    def _first_states(self, strategy) -> dict:
        """{state: first value} for states that do not start at zero."""
        return {}

    def _group_keys(self) -> tuple:
        """Keys that parameter groups may have beside the common ones and the rule's options."""
        return ()

    def _adjusted(self, strategy):
        """The last word on a resolved strategy."""
        return strategy

    def _decays(self, param) -> bool:
        """Whether decoupled decay acts on the parameter."""
        return True

    def _ratio_of(self, param):
        """A further factor on the parameter's rate, or None."""
        return None

    def _by_rows(self, strategy) -> bool:
        """True when a sparse gradient may update its rows alone; otherwise it is made dense first."""
        return strategy.lazy

    def _states(self) -> tuple:
        """Names of the buffers in the arena, or what a subclass that updates in Python has made."""
        return self._hand.names() if self._hand is not None else self._rule_states()

    def _rule_states(self) -> tuple:
        """Names of the buffers of the rule: its states, and more where a subclass binds them in turn."""
        return self.rule.state

    def _bound(self, step: int) -> dict:
        """{state of the rule: buffer} at step = 1, 2, ..."""
        return {name: name for name in self.rule.state}

    def _before_run(self, launch) -> None:
        """The last moment before the kernels."""

    # ---- the learning rate -----------------------------------------------------------------------------------------

    def _rate_of(self, value):
        return value if isinstance(value, LRScheduler) else number(self._owner, "learning_rate", value, at_least=0)

    def get_lr(self) -> float:
        """The rate of the next step, before each parameter's factor."""
        rate = self._learning_rate
        return rate() if isinstance(rate, LRScheduler) else rate

    def set_lr(self, value: float) -> None:
        """Sets the rate. RuntimeError while a scheduler decides it."""
        if isinstance(self._learning_rate, LRScheduler):
            raise RuntimeError(explain(f"{self._owner}.set_lr", "a learning rate that is a number",
                                       f"a {type(self._learning_rate).__name__}",
                                       "set_lr_scheduler, which replaces it"))
        if not isinstance(value, Real):
            raise TypeError(explain(f"{self._owner}.set_lr", "a number >= 0", repr(value)))
        self._learning_rate = self._rate_of(value)

    def set_lr_scheduler(self, scheduler: LRScheduler) -> None:
        """Lets `scheduler` decide the rate from now on."""
        if not isinstance(scheduler, LRScheduler):
            raise TypeError(explain(f"{self._owner}.set_lr_scheduler", "a scheduler of optimizer.lr", repr(scheduler)))
        self._learning_rate = scheduler

    # ---- a step ----------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Updates every parameter that has a gradient, once."""
        self._step(None)

    def minimize(self, loss, startup_program=None, parameters=None, no_grad_set=None):
        """A step, as Paddle's eager mode takes it: from gradients that `loss.backward()` has already left.

        parameters: only these are updated. no_grad_set: these are not. Returns ([], [(parameter, gradient)]).
        """
        if not in_dynamic_mode():
            return in_program().minimize(self, loss, parameters, no_grad_set)
        if startup_program is not None:
            raise ValueError(explain(f"{self._owner}.minimize", "startup_program=None in eager mode", "a program"))
        if not isinstance(loss, Tensor):
            raise TypeError(explain(f"{self._owner}.minimize", "the loss as a Tensor", type(loss).__name__))
        chosen = self._chosen("minimize", parameters, no_grad_set)
        pairs = [(p, p._grad) for p in chosen if p._grad is not None and not p.stop_gradient]
        self._step({id(p) for p in chosen})
        return [], pairs

    def _over(self, stand_ins: dict) -> Optimizer:
        """A twin that does as this one does to other tensors, {id(param): tensor}: what works in a static scope."""
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._groups = self._groups.over(stand_ins)
        twin._hand = None if self._hand is None else ByHand(twin)
        twin._arena, twin._launch, twin._factors = twin._hand, None, []
        twin._outside, twin._own_code, twin._average, twin._already_create_accumulator = [], [], None, set()
        return twin

    def _step(self, only, given=None) -> None:
        """only: ids of the parameters to update, None for all. given: {id: gradient} in place of parameters' own."""
        given = {} if given is None else given
        if self._hand is not None:
            self._hand.step(only, given)
            return
        self._bring_in()
        scaling = self._scaling
        if self._own_code:
            given, found = self._clip_in_python(only, given)
            if found is not None and scaling is None:
                scaling = Scaling(None, found)
            elif found is not None:
                scaling.found = found if scaling.found is None else scaling.found | found
        pattern, sparse = self._look(only, given)
        launch = self._launch
        average = self._average
        decay = None if average is None else average._before_step()
        if not any(pattern):
            if average is not None:
                average._after_step([(home, None) for home in self._arena.homes], decay)
            return
        launch.run(self.get_lr(), pattern, sparse, self._before_run, scaling, decay)
        if average is not None:
            apart = [(self._arena.homes[row], ids) for row, ids, _ in sparse]
            average._after_step(apart, decay, launch.left_out, launch.flag)
        for home in launch.moved:
            version = home.param._version
            if version is not None:
                version[0] = home.seen = version[0] + 1   # a graph that saved the old values must not be walked back
        if self._on_nonfinite == "raise" and self._scaling is None and launch.settle():
            names = launch.nonfinite_names()   # none where a clip in Python hid them from the norms
            self._refuse_nonfinite(names or [home.param.name for home in self._own_code])

    def _refuse_nonfinite(self, names) -> None:
        raise FloatingPointError(explain(f"{self._owner}.step", "finite gradients", f"inf or NaN in {names}",
                                         "a lower rate, a clip, or on_nonfinite='skip'"))

    def _clip_in_python(self, only, given: dict):
        """given, with what clips of a user's own make of the gradients, which they see without the loss scale; and
        where it matters whether there was an inf or NaN among those (0-d bool array), else None."""
        factor = 1.0 if self._scaling is None or self._scaling.factor is None else float(self._scaling.factor)
        rows = []
        for home in self._own_code:
            p = home.param
            g = given.get(id(p), p._grad)
            if g is not None and not p.stop_gradient and (only is None or id(p) in only):
                rows.append((p, strategies.scaled(g, factor), home.strategy))
        found = None
        if rows and (self._scaling is not None or self._on_nonfinite != "propagate"):
            found = strategies.any_nonfinite([g for _, g, _ in rows])
        with no_grad():
            clipped = strategies.clipped(rows)
        out = {**given, **{k: g if g is None else strategies.scaled(g, 1 / factor) for k, g in clipped.items()}}
        for home in self._own_code:
            g = out.get(id(home.param))
            if isinstance(g, Tensor):   # from the first step on, p.grad is what the update saw
                home.slot[...] = g._array
                home.param._grad = out[id(home.param)] = Tensor(home.slot)
        return out, found

    def _look(self, only, given: dict) -> tuple[list[int], list]:
        """What each row does in this step, and the sparse gradients."""
        pattern: list[int] = []
        sparse: list[tuple] = []
        for home in self._arena.homes:
            p = home.param
            g = given.get(id(p), p._grad) if given else p._grad
            if g is None or p.stop_gradient or not home.role or (only is not None and id(p) not in only):
                pattern.append(INACTIVE)
            elif g.__class__ is Tensor and g._array is home.slot:
                pattern.append(home.role)
            else:
                pattern.append(self._take_in(home, g, len(pattern), sparse))
        return pattern, sparse

    def _bring_in(self) -> None:
        """Takes notice of what changed since the last step: arrays, parameters, and what is said about them."""
        if self._hand is not None:
            self._hand.bring_in()
            return
        if self._arena is None or any([not p.stop_gradient for p in self._outside]):
            self._rebuild()
        changed = False
        factors = [schedule() for schedule in self._groups.schedules.values()]
        if factors != self._factors:
            self._factors, changed = factors, True
            for home in self._arena.homes:
                if self._groups.group_of[id(home.param)] in self._groups.schedules:
                    self._resolve(home)
        for home in self._arena.homes:
            p = home.param
            if p._array is not home.view or p._grad_slot is not home.slot:
                if not self._arena.fits(home):
                    self._rebuild()
                    break
                home.adopt()
            elif home.master is not None and home.seen != p._version[0]:
                home.trust_parameter()
            if strategies.said_by(p) != home.said:
                self._resolve(home)
                changed = True
        if changed:
            self._write_strategies()
        if self._launch is None:
            self._launch = Launch(self.rule, self._arena, self.numbers, skip=self._on_nonfinite != "propagate",
                                  measure=self._measure, counts=self._counts)

    def _take_in(self, home, g, row: int, sparse: list) -> int:
        """Brings a gradient that autograd did not write into its range there, or enters it as a sparse one."""
        if isinstance(g, SparseRows):
            if home.role == DENSE and self._by_rows(home.strategy):
                rows, values = g.merged()
                sparse.append((row, rows, values.reshape(len(rows), -1)))
                return SPARSE
            g.write_to(home.slot)
            return home.role
        if g._array.shape != home.slot.shape:
            raise ValueError(explain(f"{self._owner}.step", f"a gradient of {home.param.name}'s shape "
                                     f"{list(home.slot.shape)}", str(g.shape)))
        home.slot[...] = device.move(g._array, self._arena.place)
        return home.role

    def _rebuild(self, also=()) -> None:
        """A new arena for all parameters that are, or ever were, trained here; what was learned comes along.

        also: parameters that get a place although they are frozen.
        """
        if self._hand is not None:
            self._hand.bring_in(also)
            return
        old = self._arena
        if self._launch is not None:
            self._launch.write_steps()
        chosen = {id(p) for p in also} | set(() if old is None else old.of)
        inside = [p for p in self._groups.params if not p.stop_gradient or id(p) in chosen]
        self._arena = Arena(self._owner, [(p, self._strategy(p)) for p in inside], self._states(),
                            self._multi_precision, self._first_states, self._average is not None, carry=old)
        if self._average is not None:
            self._average._move_into(self._arena)
        for home in self._arena.homes:
            self._heed(home)
        self._outside = [p for p in self._groups.params if id(p) not in self._arena.of]
        self._launch = None
        self._write_strategies()

    def _strategy(self, param) -> strategies.Strategy:
        k = self._groups.group_of[id(param)]
        return strategies.resolve(self, param, k, self._groups.groups[k])

    def _resolve(self, home) -> None:
        """The parameter says something new about itself."""
        home.strategy = self._strategy(home.param)
        self._heed(home)

    def _heed(self, home) -> None:
        """Notes what the strategy was resolved from, and what follows for each step."""
        home.said = strategies.said_by(home.param)
        home.role = INACTIVE if home.strategy.fixed else DENSE if home.strategy.rate else STILL

    def _write_strategies(self) -> None:
        self._own_code = [home for home in self._arena.homes if home.strategy.clip == "own code"]
        if self._launch is not None:
            self._launch.write_columns()

    # ---- gradients -------------------------------------------------------------------------------------------------

    def clear_grad(self, set_to_zero: bool = True) -> None:
        """Forgets the gradients: `p.grad` is None until the next backward.

        set_to_zero: both values do the same here. Paddle's default leaves zeros behind, with which a later `step()`
        decays and moves parameters that got no gradient at all; here such a parameter stays as it is.
        """
        for p in self._groups.params:
            p._grad = None

    clear_gradients = clear_grad

    def zero_grad(self, set_to_none: bool = True) -> None:
        """`clear_grad`, by its other name; both values do the same."""
        self.clear_grad()

    @property
    def measure_grad_norm(self) -> bool:
        """Whether the norm is taken even where no clip needs it: one more read of the gradients. False at first."""
        return self._measure

    @measure_grad_norm.setter
    def measure_grad_norm(self, value: bool):
        if bool(value) != self._measure:
            self._measure = bool(value)
            if self._launch is not None:
                self._launch.write_steps()
                self._launch = None

    @property
    def last_grad_norm(self) -> Tensor:
        """2-norm of the last step's gradients before clipping, a 0-d float64 Tensor on the device; reading it waits.

        It is the norm of the gradients that a global-norm clip looked at (where there are several norms, of all those
        together), or without such a clip of all. A clip that runs in Python has done its work before the norm is
        taken. RuntimeError when no step was taken or none took a norm.
        """
        launch = self._launch
        if self._hand is not None and self._hand.norm() is not None:
            return Tensor(self._hand.norm())
        if launch is None or launch.fused is None:
            raise RuntimeError(explain(f"{self._owner}.last_grad_norm", "a step before it", "none"))
        if not launch.measures():
            raise RuntimeError(explain(f"{self._owner}.last_grad_norm", "a step that took the norm", "one without",
                                       "optimizer.measure_grad_norm = True, or a clip by norm"))
        return Tensor(launch.norm())

    @property
    def skipped_steps(self) -> int:
        """How many steps were left out so far, by a GradScaler or on_nonfinite="skip"; it waits for the last."""
        if self._launch is not None:
            self._launch.settle()
        return self._counts["skipped"]

    # ---- mixed precision -------------------------------------------------------------------------------------------

    def _set_multi_precision(self, value: bool) -> None:
        """Turns master copies on or off; what was learned so far stays."""
        if value != self._multi_precision:
            self._multi_precision = value
            if self._arena is not None:
                self._rebuild()

    def _whole_gradients(self) -> tuple[list, list]:
        """(the arena's gradient buffers in which each parameter has its gradient, the parameters of the others)."""
        flats = [flat for flat in getattr(self._arena, "flats", ())
                 if all(h.param._grad.__class__ is Tensor and h.param._grad._array is h.slot for h in flat.homes)]
        inside = {id(home.param) for flat in flats for home in flat.homes}
        return [flat.grad for flat in flats], [p for p in self._groups.params if id(p) not in inside]

    def _under_scale(self, factor, found, go):
        """(Scaling, what go() returns), where go takes a step of this optimizer whose gradients are multiplied by
        `factor` and that is left out where one is inf or NaN, or where `found` is true (a 0-d bool array, or None).
        None for an optimizer whose steps are its own code and not the kernels'."""
        own = type(self)
        if (self._hand is not None or not self._ruled or own.step is not Optimizer.step
                or own.minimize is not Optimizer.minimize or own._step is not Optimizer._step):
            return None
        self._scaling = scaling = Scaling(factor, found)
        try:
            answer = go()
        finally:
            self._scaling = None
        return scaling, answer

    def _step_under(self, factor, given: dict):
        """A step with these gradients times `factor` (0-d float64 array), {id(parameter): gradient}; it is left out
        where one is inf or NaN. A 0-d bool array on the device, or False: was it?"""
        taken = self._under_scale(factor, None, lambda: self._step(set(given), given))
        if taken is not None:
            return False if taken[0].left_out is None else taken[0].left_out
        given = {k: strategies.scaled(g, float(factor)) for k, g in given.items() if g is not None}
        found = strategies.any_nonfinite(given.values()) if given else False
        if not found:    # waits for a GPU, as own code does anyway
            self._step(set(given), given)
        self._counts["skipped"] += bool(found)
        return found

    # ---- averages --------------------------------------------------------------------------------------------------

    def _take_average(self, average) -> None:
        """Lets `average` follow in the pass of each step; see ExponentialMovingAverage.attach."""
        where = "ExponentialMovingAverage.attach"
        if self._hand is not None or not self._ruled:
            raise TypeError(explain(where, "an optimizer whose steps are the kernels'", self._owner,
                                    "average.update() after each step"))
        if self._average is not None:
            raise ValueError(explain(where, "one average per optimizer", f"a second for this {self._owner}",
                                     "average.update() after each step"))
        self._average = average
        if self._arena is not None:
            self._rebuild()

    # ---- parameters and strategies ---------------------------------------------------------------------------------

    @property
    def on_nonfinite(self) -> str:
        """What an inf or NaN gradient does, as the optimizer was built."""
        return self._on_nonfinite

    @property
    def param_groups(self) -> list:
        """The groups as read-only dicts; a plain list of parameters is one group."""
        return list(self._groups.groups)

    def add_param_group(self, group: dict) -> None:
        """Adds a group to those the optimizer was built with, e.g. a layer that joins in mid-training."""
        self._groups.add(group)
        try:
            self._check_settings()
        except Exception:
            self._groups.drop_last()
            raise
        self._outside += self._groups.groups[-1]["params"]

    _add_param_group = add_param_group

    def _check_settings(self) -> None:
        """Raises for settings that mean nothing, of any parameter, frozen or not."""
        strategies.check_norm_groups(self._owner, [(p, self._strategy(p)) for p in self._groups.params])
        options = [strategies.options_of(self, group) for group in self._groups.groups]
        self.rule = self._rule_for(options or [self._options])

    def __reduce__(self):
        """TypeError: a copy would update buffers that its parameters do not look into."""
        raise TypeError(explain(f"copying or pickling {self._owner}", "an optimizer built over the copied parameters",
                                "the optimizer itself", "a new one, and new.set_state_dict(old.state_dict())"))

    def explain(self) -> strategies.StrategyTable:
        """The strategy table: a list with one dict per trained parameter, in order; `print` shows it as a table.

        Each dict holds the effective values and, under "source", where each was said.
        """
        trained = [p for p in self._groups.params if not p.stop_gradient]
        return strategies.StrategyTable([strategies.as_data(p, self._strategy(p)) for p in trained],
                                        [p.name for p in self._groups.params if p.stop_gradient])

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state_dict(self) -> dict:
        """States, master weights, step counts and the scheduler's state under Paddle's keys; see optimizer/state.py.

        The tensors are the live ones: copy them to keep a snapshot in memory. No states before the first step.
        """
        return state_of(self)

    def set_state_dict(self, state_dict: dict) -> None:
        """Goes on from a saved state, bit for bit. Nothing is changed when it raises.

        Entries are matched by parameter name. Where the saved names are not this model's (it was rebuilt, and generated
        names differ), they are matched in order if number and shapes agree. ValueError lists what is missing, has
        another shape or cannot be placed. Entries that this optimizer has no use for are ignored with a warning, and a
        parameter of which the state says nothing (it was frozen, say) starts afresh with one.
        """
        load_state(self, state_dict)

    set_dict = load_state_dict = set_state_dict

    def _to_paddle(self, entries: dict, steps: int) -> dict:
        """One parameter's entries {name: array} in the form of Paddle's files, for rules of which it keeps others."""
        return entries

    def _from_paddle(self, entries: dict):
        """The way back, in place. Returns how many steps the entries show, or None."""
        return None
