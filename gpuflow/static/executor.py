"""Executor: runs Programs."""
import numpy as np

from gpuflow import device
from gpuflow.errors import explain
from gpuflow.ops.rows import SparseRows
from gpuflow.static.plan import Plan
from gpuflow.static.program import Program, default_main_program
from gpuflow.static.replay import Replay, can_replay
from gpuflow.static.scope import Scope, global_scope
from gpuflow.static.value import Value, Variable
from gpuflow.tensor import Tensor, to_tensor

PLANS = 16   # that a program keeps: one for each choice of feeds and fetches


class CompiledProgram:
    """A Program with a BuildStrategy, of which `allow_cuda_graph_capture` counts; the Executor plans by itself."""

    def __init__(self, program_or_graph, build_strategy=None):
        if not isinstance(program_or_graph, Program):
            raise TypeError(explain("CompiledProgram", "a Program", type(program_or_graph).__name__))
        self._program, self._build_strategy = program_or_graph, build_strategy


class Executor:
    """Runs Programs on one device. place: default the current device."""

    def __init__(self, place=None):
        self.place = device.current_place() if place is None else device.parse(place)

    def run(self, program=None, feed=None, fetch_list=None, feed_var_name="feed", fetch_var_name="fetch", scope=None,
            return_numpy=True, use_program_cache=False, use_prune=False) -> list:
        """Runs a program once and returns what was fetched; with an optimizer in it, that is one step.

        feed: {name of a `static.data`: array, list or Tensor}. fetch_list: Variables, parameters or names, also of
        gradients ("<name>@GRAD"). scope: default `global_scope()`. return_numpy: NumPy arrays, else Tensors. The last
        arguments of Paddle's are taken and change nothing: plans are always cached, and only what is needed runs.

        ValueError for a missing or unknown feed, another shape and an unknown fetch, TypeError for another dtype,
        RuntimeError for a parameter without numbers; each names the variable.
        """
        strategy = getattr(program, "_build_strategy", None)
        program = default_main_program() if program is None else getattr(program, "_program", program)
        if not isinstance(program, Program):
            raise TypeError(explain("Executor.run", "a Program", type(program).__name__))
        scope = global_scope() if scope is None else scope
        if not isinstance(scope, Scope):
            raise TypeError(explain("Executor.run", "a static.Scope", type(scope).__name__))
        replays = strategy is not None and strategy.allow_cuda_graph_capture
        if not isinstance(feed, dict | None):
            raise TypeError(explain("Executor.run", "feed as a dict of names and arrays", type(feed).__name__))
        plan = self._plan(program, [] if fetch_list is None else fetch_list, replays)
        given = self._fed(program, plan, feed or {})
        if program.random_seed:
            _seed_once(program)
        found = [a.dense() if isinstance(a, SparseRows) else a for a in plan.run(given, scope)]
        if not return_numpy:
            return [Tensor(a.copy()) for a in found]
        return [a.copy() if type(a) is np.ndarray else device.to_numpy(a) for a in found]

    def close(self) -> None:
        """Nothing to let go of: programs hold their plans, scopes their numbers."""

    def _plan(self, program: Program, fetch_list, replays: bool = False) -> Plan:
        fetch_list = fetch_list if isinstance(fetch_list, list | tuple) else [fetch_list]
        fetches = [program.capture(x) if _is_constant(x, program) else program.value_of(x) for x in fetch_list]
        key = (program.version, self.place, replays, *map(id, fetches))
        plan = program.plans.pop(key, None)
        if plan is None:
            plan = Plan(program.global_block().ops, fetches, self.place)
            plan.replay = Replay(plan) if replays and can_replay(plan) else None
            while len(program.plans) >= PLANS:
                del program.plans[next(iter(program.plans))]
        program.plans[key] = plan    # the last in the dict is the one used last
        return plan

    def _fed(self, program: Program, plan: Plan, feed: dict) -> dict:
        unknown = [name for name in feed if name not in program.values or not program.values[name].is_data]
        if unknown:
            raise ValueError(explain("Executor.run(feed=...)", f"names among {_data_names(program)}", str(unknown)))
        missing = [value.name for _, value in plan.feeds if value.name not in feed]
        if missing:
            raise ValueError(explain("Executor.run(feed=...)", f"an array for each of {_data_names(program)}",
                                     f"none for {missing}"))
        return {value.name: self._checked(value, feed[value.name]) for _, value in plan.feeds}

    def _checked(self, value: Value, given):
        """The array that a feed means, on the executor's device."""
        where = f"feed of {value.name!r}"
        if isinstance(given, Tensor):
            array = given._array
        elif device.is_array(given):
            array = given
        else:
            try:
                array = np.asarray(given)
            except ValueError as error:    # of a ragged list
                raise ValueError(explain(where, "numbers in the shape of an array", str(error))) from None
            if array.dtype.kind in "biuf" and not isinstance(given, np.generic):   # plain numbers are of any dtype
                array = array.astype(value.dtype.dtype)
        if array.dtype != value.dtype.dtype:
            raise TypeError(explain(where, f"dtype {value.dtype.name}", str(array.dtype),
                                    f"array.astype({value.dtype.name!r})"))
        if len(array.shape) != len(value.shape) or any(
                s is not None and s != t for s, t in zip(value.shape, array.shape)):
            raise ValueError(explain(where, f"shape {[-1 if s is None else s for s in value.shape]}",
                                     str(list(array.shape))))
        if device.place_of(array) == self.place:
            return array
        return to_tensor(array, place=self.place)._array


def _is_constant(x, program: Program) -> bool:
    """True for a tensor with numbers that no operator of the program reads, and that is no parameter."""
    return (isinstance(x, Tensor) and not isinstance(x, Variable) and not x.persistable and not x._pending
            and x.name not in program.values)


def _data_names(program: Program) -> list[str]:
    return [value.name for value in program.values.values() if value.is_data]


def _seed_once(program: Program) -> None:
    """Paddle's `random_seed`: the program's draws repeat from its first run on."""
    from gpuflow import random

    if program.seeded_with != program.random_seed:
        program.seeded_with = program.random_seed
        random.seed(program.random_seed)
