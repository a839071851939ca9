"""Plan: a Program made ready to run for one choice of feeds and fetches.

Operators that nothing depends on are left out; each of the others becomes a function over `env`, the list of a run's
arrays; an array is let go after the last function that reads it. What a run needs is looked up here, once.
"""
from operator import length_hint
from typing import Any

import numpy as np

from gpuflow import device, dispatch
from gpuflow.static.fusion import fused
from gpuflow.static.operators import Operator
from gpuflow.static.value import Value
from gpuflow.tensor import Tensor


class Run:
    """What one run happens in; operators find it at env[0]. scope: a Scope, or what else knows `tensor(value)`."""

    __slots__ = ("place", "scope", "xp")

    def __init__(self, scope, place, xp):
        self.scope, self.place, self.xp = scope, place, xp

    def tensor(self, value: Value) -> Tensor:
        """The tensor that a captured Value means in this run."""
        return self.scope.tensor(value)


class Plan:
    """operators: those of the block that is run. fetches: the Values whose arrays are wanted at the end. forward: how
    many of the operators come before the way back."""

    def __init__(self, operators: list[Operator], fetches: list[Value], place, forward: int | None = None):
        self.place, self.xp = place, device.module_for(place)
        self.array_type = self.xp.ndarray
        self.template: list = [None]
        self.captured: list[tuple[int, Value]] = []      # filled from the scope at the start of a run
        self.feeds: list[tuple[int, Value]] = []
        self.slots: list[tuple[int, Value]] = []         # where optimizers want gradients written
        self.first: list = []                            # shapes of feeds and captured tensors
        self._places: dict[int, int] = {}
        self._aspects: dict[tuple[int, str], int] = {}
        self._step_of: dict[int, tuple[list, int]] = {}
        self._blocks: list[tuple] = []                   # (steps, operators, kept Values) of sub-blocks
        self._tapes: dict[int, list[int]] = {}
        self._slot_of = {id(g): p for op in operators for p, g in getattr(op, "steps_of", ())}
        self._sizes_asked: dict[int, list] = {}          # of what fused operators compute
        needed, ahead = needed_for(operators, fetches), {id(o) for o in operators[:forward]}
        parts = [[o for o in needed if (id(o) in ahead) is first] for first in (True, False)]
        there, back = (fused(part, needed, fetches, self.xp) for part in parts)
        self.operators, self.forward_steps = there + back, len(there)
        self._read = {id(v) for v in fetches} | {id(v) for op in self.operators for v in op.needs()}
        self.steps = self.bind(self.operators)
        self.replay: Any = None                          # a replay.Replay, where runs are to use CUDA graphs
        self.fetches = [(self.at(v), v) for v in fetches]
        self._shapes = [None if v.source is None else self.aspect(v.source, "shape") for v in fetches]
        for part in [(self.steps, self.operators, fetches), *self._blocks]:
            self._release(*part)

    # ---- what operators ask for while they are bound ---------------------------------------------------------------

    def at(self, x) -> int:
        """The place in env of a Value, or of a constant."""
        if not isinstance(x, Value):
            return self.constant(x)
        found = self._places.get(id(x))
        if found is None:
            found = self._places[id(x)] = self._new(None)
            if x.home is not None:
                self.captured.append((found, x))
            elif x.is_data:
                self.feeds.append((found, x))
        return found

    def constant(self, x) -> int:
        return self._new(x)

    def aspect(self, x, kind: str) -> int:
        """The place that holds the "shape" or the "dtype" that x has in a run."""
        if not isinstance(x, Value):
            return self.constant(() if kind == "shape" else getattr(x, "dtype", None))
        if kind == "dtype":
            return self.constant(x.dtype.dtype)
        if None not in x.shape:
            return self.constant(x.shape)
        key = id(x), kind
        if key not in self._aspects:
            source, place = self.at(x), self._new(None)
            self._aspects[key] = place
            if id(x) in self._sizes_asked:
                self._sizes_asked[id(x)].append((place, source))

            def note(env):
                array = env[source]
                env[place] = None if array is None else array.shape    # None: of a branch that did not run
            if id(x) in self._step_of:
                steps, k = self._step_of[id(x)]
                steps[k] = _then(steps[k], note)
            else:
                self.first.append(note)
        return self._aspects[key]

    def grad_slot(self, gradient: Value) -> int:
        """The place that holds the array which an optimizer wants this gradient written into, or None."""
        param = self._slot_of.get(id(gradient))
        place = self._new(None)
        if param is not None:
            self.slots.append((place, param))
        return place

    def wants(self, value: Value) -> bool:
        """True when the run reads or fetches the Value."""
        return id(value) in self._read

    def bind(self, operators) -> list:
        """The functions of some operators, in their order."""
        steps: list = []
        for operator in operators:
            steps.append(operator.bind(self))
            for v in operator.writes():
                self._step_of.setdefault(id(v), (steps, len(steps) - 1))
        return steps

    def bind_block(self, operators, results) -> list:
        """The functions of a sub-block: of what its results, an effect or an operator elsewhere depend on."""
        kept = [*results, *(v for o in operators for v in o.writes() if self.wants(v))]
        needed = needed_for(operators, kept)
        needed = fused(needed, needed, kept, self.xp)
        self._read |= {id(v) for v in kept} | {id(v) for o in needed for v in o.needs()}
        steps = self.bind(needed)
        self._blocks.append((steps, needed, kept))
        return steps

    def bind_apart(self, operators, kept, dying) -> tuple[list, list]:
        """(the functions of operators that may also be run in another way, which computes only the `kept` Values; the
        sizes that this way has to note: (their place, the place of the Value))."""
        asked: list = []
        self._sizes_asked.update((id(v), asked) for o in operators for v in o.writes())
        steps = self.bind(operators)
        self._blocks.append((steps, operators, kept, dying))
        return steps, asked

    def begins(self, steps: list, value: Value) -> None:
        """Says that the Value is there when steps[0] has run."""
        self._step_of[id(value)] = steps, 0

    def tape_of(self, loop) -> list[int]:
        """The places that a loop keeps of each iteration."""
        return self._tapes.setdefault(id(loop), [])

    def aspects_of(self, values) -> list[int]:
        """The places that hold what is asked of some Values beside their arrays."""
        ids = {id(v) for v in values}
        return [place for (key, _), place in self._aspects.items() if key in ids]

    def _new(self, x) -> int:
        self.template.append(x)
        return len(self.template) - 1

    # ---- letting go ------------------------------------------------------------------------------------------------

    def _release(self, steps, operators, keep, also=()) -> None:
        """Has each array that the operators compute dropped after the step that reads it last."""
        made = {id(v) for o in operators for v in o.writes()} | {id(v) for _, v in self.feeds if steps is self.steps}
        last: dict[int, int] = {}
        for k, operator in enumerate(operators):
            for v in (*operator.reads(), *operator.writes()):
                if id(v) in made or (also and self.at(v) in also):
                    last[self.at(v)] = k
        keep = {self.at(v) for v in keep}
        gone: dict[int, list[int]] = {}
        for place, k in last.items():
            if place not in keep:
                gone.setdefault(k, []).append(place)
        for k, places in gone.items():
            steps[k] = _then(steps[k], _dropping(places))
            operators[k].last_to_read(places)

    # ---- running ---------------------------------------------------------------------------------------------------

    def run(self, feed: dict, scope) -> list:
        """The fetched arrays; zeros for a gradient that nothing reached. feed: {name: array on the plan's device} for
        `self.feeds`."""
        env = self.start(feed, scope)
        self.advance(env, 0, len(self.steps))
        return [self.xp.zeros(env[shape], v.dtype.dtype) if a is None and shape is not None else a
                for a, shape, (_, v) in zip(self.found(env), self._shapes, self.fetches)]

    def start(self, feed: dict, scope) -> list:
        """The env of a new run, in which no step was taken yet."""
        env = self.template.copy()
        env[0] = Run(scope, self.place, self.xp)
        for i, value in self.captured:
            env[i] = scope.tensor(value)._array
        for i, value in self.slots:
            slot = scope.tensor(value)._grad_slot
            env[i] = slot if slot is not None and slot.dtype == value.dtype.dtype else None
        for i, value in self.feeds:
            env[i] = feed.get(value.name)
        for note in self.first:
            note(env)
        return env

    def advance(self, env: list, begin: int, end: int) -> None:
        """Takes the steps [begin, end)."""
        with dispatch.at_once(), np.errstate(all="ignore"):
            if self.replay is not None and end - begin == len(self.steps):
                self.replay.advance(env)
                return
            steps = iter(self.steps[begin:end])
            try:
                for step in steps:
                    step(env)
            except Exception as error:
                failed = self.operators[end - 1 - length_hint(steps)]
                better = failed.explained(error, lambda x: env[self.at(x)])
                if better is error:
                    raise
                raise better from error

    def found(self, env: list) -> list:
        """The fetched arrays, as far as they are computed."""
        return [env[0].tensor(v)._array if v.home is not None else env[i] for i, v in self.fetches]


def needed_for(operators, fetches) -> list[Operator]:
    """The operators that have an effect or that a fetch depends on, in their order."""
    wanted, kept = {id(v) for v in fetches}, []
    for operator in reversed(operators):
        if operator.effect or any(id(v) in wanted for v in operator.writes()):
            kept.append(operator)
            wanted.update(id(v) for v in operator.needs())
    return kept[::-1]


def _then(step, after):
    def both(env):
        step(env)
        after(env)
    return both


def _dropping(places):
    if len(places) == 1:
        place = places[0]

        def drop(env):
            env[place] = None
        return drop

    def drop_all(env):
        for i in places:
            env[i] = None
    return drop_all
