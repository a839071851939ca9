"""Fused: neighbouring elementwise operators of a plan, run as one generated kernel.

`fused` finds them. An operator joins those whose results it reads where it works on the same shape and nobody else
needed any of them before. What only they read never becomes an array. A `linear` takes part with the bias that it adds,
and its gradient with the sum that the bias gets.
"""
import functools
import importlib.util
import math
import os

import numpy as np

from gpuflow.ops.registry import Spec, fit
from gpuflow.static.elements import Cell, Elements, NotElementwise
from gpuflow.static.operators import Apply, Gradient, Operator
from gpuflow.static.value import Value
from gpuflow_kernels.elementwise import Kernel

SHAPES = 64      # choices of shapes that are remembered
PATIENCE = 8     # runs of the operators one by one before their kernel is made, which takes half a second on the CPU
SMALL = 4096     # elements below which the operators one by one are as fast


def switch() -> str:
    """What GPUFLOW_FUSION says: "auto", "never", or "always", which is at once and for any size."""
    return os.environ.get("GPUFLOW_FUSION", "auto")


@functools.cache
def _numba_is_there() -> bool:
    return importlib.util.find_spec("numba") is not None


def fused(operators: list[Operator], everybody: list[Operator], fetches: list[Value], xp) -> list[Operator]:
    """The operators, chains of elementwise ones taken together. everybody: who may read what they compute."""
    if switch() == "never" or (xp is np and not _numba_is_there()):
        return operators
    group_of = _groups(operators, xp)
    if not group_of:
        return operators
    readers: dict[int, set] = {id(v): {None} for v in fetches}    # who reads a Value: groups, None for anybody else
    for o in everybody:
        for v in o.reads():
            readers.setdefault(id(v), set()).add(group_of.get(id(o)))
    for group in group_of.values():
        for v in (v for rest in group.rests for v in rest.reads()):
            readers[id(v)].add(None)
    found: list[Operator] = []
    for o in operators:
        own = group_of.get(id(o))
        if own is None:
            found.append(o)
        elif o is own.members[-1]:
            found.append(Fused(own, [v for v in own.computed if readers.get(id(v), set()) - {own}]))
    return found


# ---- which operators go together -------------------------------------------------------------------------------------


class _Traced:
    """What the groups of some operators have in common: how elements are written down, and the inputs of chains.

    leaves: what each input is: a Value, or an Apply for what it makes without the input that it adds.
    """

    def __init__(self, xp):
        self.xp, self.leaves = Elements(xp), []
        self.cells: dict[int, Cell] = {}

    def leaf(self, x) -> Cell:
        if id(x) not in self.cells:
            kind = x.outputs[0].dtype if isinstance(x, Operator) else x.dtype
            self.cells[id(x)] = self.xp.input(kind.dtype)
            self.leaves.append(x)
        return self.cells[id(x)]


class _Group:
    """Some operators as one chain.

    computed: the Values whose cells they work out. sums: (Cell, operator, k) where output k of the operator is the
    cell's sum down to a smaller shape. rests: what remains of gradients to do afterwards.
    """

    def __init__(self, traced: _Traced, shape, training: bool):
        self.traced, self.shape, self.training = traced, shape, training
        self.members: list[Operator] = []
        self.computed: list[Value] = []
        self.sums: list[tuple[Cell, Gradient, int]] = []
        self.rests: list[Operator] = []
        self.written: set[int] = set()
        self.cells: dict[int, Cell] = {}

    def chain(self):
        """(the chain, the numbers of the leaves that are its inputs)."""
        return self.traced.xp.chain([self.cells[id(v)] for v in self.computed], [cell for cell, *_ in self.sums])

    def take(self, operator: Operator, results: list) -> None:
        """Takes the operator in. results: a Cell for each output, see `_cells_of`."""
        for k, (v, cell) in enumerate(zip(operator.outputs, results)):
            if cell is not None and operator.like(k).shape == self.shape:
                self.computed.append(v)
                self.cells[id(v)] = cell
            elif cell is not None:
                self.sums.append((cell, operator, k))    # type: ignore[arg-type]
        self.members.append(operator)
        self.written |= {id(v) for v in operator.writes()}
        rest = operator.without_added() if isinstance(operator, Gradient) and operator.forward.adds() else None
        self.rests += [] if rest is None else [rest]

    def join(self, other: "_Group") -> None:
        """Takes in a group that needs nothing of this one."""
        self.members += other.members
        self.computed += other.computed
        self.sums += other.sums
        self.written |= other.written
        self.cells |= other.cells

    def pays(self) -> bool:
        """True where one by one there is more than one pass over memory."""
        lines = self.chain()[0].lines
        return len(self.sums) + sum(line.function not in ("number", "fill", "cast") for line in lines) > 1


def _cells_of(operator: Operator, groups: list[_Group], traced: _Traced) -> list:
    """A Cell for each of the operator's outputs, None for one that is None, where it comes after the groups;
    NotElementwise, or what else its function raises over Cells, where it has no place there."""
    def of(x):
        if not isinstance(x, Value | Operator):    # a number
            return x
        for group in groups:
            if id(x) in group.cells:
                return group.cells[id(x)].copy()
            if id(x) in group.written:
                raise NotElementwise("a sum of this chain's own")
        return traced.leaf(x).copy()

    results = operator.formula(traced.xp, of)
    for k, (v, cell) in enumerate(zip(operator.outputs, results, strict=True)):
        if v is None:
            results[k] = None
        elif cell is not None and (type(cell) is not Cell or cell.dtype != v.dtype.dtype or not (
                isinstance(operator, Gradient) or operator.like(k).shape == operator.over())):
            raise NotElementwise(operator.type)
    return results


def _groups(operators, xp) -> dict[int, _Group]:
    """{id(operator): its group} of those that have one."""
    traced = _Traced(xp)
    group_of: dict[int, _Group] = {}
    writer: dict[int, int] = {}       # {id(Value): id of the operator that computes it}
    growing: set[_Group] = set()      # nobody else needs anything of them so far
    position = {id(o): k for k, o in enumerate(operators)}
    for o in operators:
        shape, found = o.over(), [group_of.get(writer.get(id(v), 0)) for v in o.needs()]
        before = [g for g in dict.fromkeys(found) if g in growing]
        growing.difference_update(before)
        writer.update((id(v), id(o)) for v in o.writes())
        if o.effect:
            growing.clear()
        small = shape is not None and None not in shape and math.prod(shape) < SMALL and switch() != "always"
        if o.effect or shape is None or small or not found:
            continue
        starts = isinstance(o, Apply) and o.adds()     # its product has to be there first
        same = [g for g in before if g.shape == shape and g.training == o.training and not starts]
        try:
            results = _cells_of(o, same, traced)
        except Exception:      # a function that is not made for Cells raises whatever it comes to
            continue
        group = max(same, key=lambda g: len(g.members), default=None) or _Group(traced, shape, o.training)
        for other in same:
            if other is not group:
                group.join(other)
                group_of.update((id(m), group) for m in other.members)
        group.take(o, results)
        group_of[id(o)] = group
        if not group.rests:
            growing.add(group)
    groups = [g for g in dict.fromkeys(group_of.values()) if g.pays()]
    for group in groups:
        group.members.sort(key=lambda m: position[id(m)])
    return {id(m): group for group in groups for m in group.members}


# ---- running them ----------------------------------------------------------------------------------------------------


class Fused(Operator):
    """A group as one operator. computed: those of the group's Values that others read or that are fetched."""

    def __init__(self, group: _Group, computed: list[Value]):
        self.group, self.computed, self.training = group, computed, group.training
        self.sums = [(op, k) for _, op, k in group.sums]
        self.dying: set[int] = set()
        outputs = [*computed, *(op.outputs[k] for op, k in self.sums), *(v for r in group.rests for v in r.writes())]
        super().__init__("fused", [v for m in group.members for v in m.reads() if id(v) not in group.written], outputs,
                         {"operators": [m.type for m in group.members]})

    def needs(self):
        return [v for m in self.group.members for v in m.needs() if id(v) not in self.group.written]

    def last_to_read(self, places):
        self.dying.update(places)

    def bind(self, plan):
        return _Bound(self, plan).step


class _Bound:
    """A Fused in a plan. What a run needs is found once for each choice of shapes."""

    def __init__(self, operator: Fused, plan):
        xp, group = plan.xp, operator.group
        self.xp, self.array_type, self.on_cpu = xp, plan.array_type, xp is np
        self.one_by_one, self.asked = plan.bind_apart(group.members, operator.outputs, operator.dying)
        self.outputs = [(plan.at(v), v.dtype.dtype) for v in operator.computed]
        self.sums = [(plan.at(op.outputs[k]), op.outputs[k].dtype.dtype,
                      plan.grad_slot(op.outputs[k]) if k in op.forward.op.writes else 0) for op, k in operator.sums]
        chain, used = group.chain()
        wanted = {id(v) for v in operator.computed}
        self.whole, kept = chain, [n for n, v in zip(chain.outputs, group.computed) if id(v) in wanted]
        self.kernel = Kernel(chain._replace(outputs=tuple(kept)) if self.on_cpu else     # a GPU sums up afterwards
                             chain._replace(outputs=(*kept, *chain.sums), sums=()))
        self.leaves = [_Leaf(group.traced.leaves[k], plan) for k in used]
        self.rests = [rest.bind(plan) for rest in group.rests]
        self.dying = operator.dying      # places that nobody reads afterwards, but those kept for the rests
        self.kept = {plan.at(v) for rest in group.rests for v in rest.reads()} | {i for i, *_ in self.outputs}
        self.places = [i for leaf in self.leaves for i in leaf.places]
        self.sum_sizes = [plan.aspect(op.like(k), "shape") for op, k in operator.sums]
        self.sizes = [plan.aspect(m.like(k), "shape") for m in group.members if isinstance(m, Gradient)
                      for k, v in enumerate(m.outputs) if any(v is c for c in group.computed)]
        self.always, self.runs, self.found = switch() == "always", 0, {}

    def step(self, env):
        run = self.ready(env)
        if run is None:
            for step in self.one_by_one:
                step(env)
            return
        xp = self.xp
        arrays = [leaf.array(env, xp) for leaf in self.leaves]
        outputs = [xp.empty(run.shape, kind) for _, kind in self.outputs]
        if self.on_cpu:
            slots = [env[slot] if slot else None for _, _, slot in self.sums]
            sums = [xp.empty(env[size], kind) if slot is None else slot
                    for (_, kind, _), size, slot in zip(self.sums, self.sum_sizes, slots)]
            run(arrays, outputs, sums)
        else:
            whole = [xp.empty(run.shape, kind) for _, kind, _ in self.sums]
            run(arrays, [*outputs, *whole], ())
            sums = [fit(xp, a, env[size], a.dtype) for a, size in zip(whole, self.sum_sizes)]
        del arrays
        for (place, *_), a in zip((*self.outputs, *self.sums), (*outputs, *sums)):
            env[place] = a
        for place in self.dying:
            if place not in self.kept:
                env[place] = None
        for rest in self.rests:
            rest(env)
        for place, source in self.asked:
            env[place] = run.shape if env[source] is None else env[source].shape

    def ready(self, env):
        """The kernel for the arrays as they are in this run; None where the operators do it one by one."""
        if self.runs < PATIENCE and not self.always:
            self.runs += 1
            return None
        arrays = [env[i] for i in self.places]
        for a in arrays:
            if type(a) is not self.array_type:
                return None
        key = tuple([a.shape for a in arrays] + [env[i] for i in self.sizes] + [env[i] for i in self.sum_sizes])
        if key not in self.found:
            while len(self.found) >= SHAPES:
                del self.found[next(iter(self.found))]
            self.found[key] = self.find(env)
        return self.found[key]

    def find(self, env):
        """The kernel for a choice of shapes; None where they are small, and where something on the way is smaller."""
        shapes, sums = [leaf.shape(env) for leaf in self.leaves], [env[i] for i in self.sum_sizes]
        run = self.kernel.for_shapes(self.xp, tuple(shapes), tuple(sums) if self.on_cpu else ())
        if run is None or (math.prod(run.shape) < SMALL and not self.always):
            return None
        made = {np.broadcast_shapes(*(shapes[k] for k in self.whole.needed([value]) if k < len(shapes)))
                for value in (*self.whole.outputs, *self.whole.sums)} | {env[i] for i in self.sizes}
        return run if made == {run.shape} else None


class _Leaf:
    """An input of the kernel: a Value, or what an operator makes without the input that it adds."""

    def __init__(self, source, plan):
        self.operator = source.without_added() if isinstance(source, Operator) else None
        self.inputs = [source] if self.operator is None else self.operator.inputs
        self.at = [None if x is None else plan.at(x) for x in self.inputs]
        self.places = [i for i in self.at if i is not None]

    def shape(self, env):
        if self.operator is None:
            return env[self.at[0]].shape
        given = [None if i is None else Spec(env[i].shape, x.dtype) for i, x in zip(self.at, self.inputs)]
        return self.operator.op.infer(*given, **self.operator.attrs).shape

    def array(self, env, xp):
        given = [None if i is None else env[i] for i in self.at]
        a = given[0] if self.operator is None else self.operator.op.forward(xp, *given, **self.operator.attrs)
        return a if a.flags.c_contiguous else xp.ascontiguousarray(a)
