"""Branches and loops: operators with blocks of their own, which read and compute Values of the same run.

A function that is run to build a block may change a Variable from outside by an op in place; that Variable then is one
more result. Gradients go through both: a branch's gradient is another choice with the same selector, a loop keeps what
its walk back reads of each iteration.
"""
from __future__ import annotations

from copy import copy
from functools import partial
from typing import Any

from gpuflow import dtypes, unique_name
from gpuflow.dispatch import call, recording
from gpuflow.errors import explain
from gpuflow.ops.registry import OPS
from gpuflow.static.backward import Walk
from gpuflow.static.operators import Operator, gradient_of, plus
from gpuflow.static.program import Block, default_main_program, default_startup_program
from gpuflow.static.value import Value, Variable
from gpuflow.structure import filled, leaves
from gpuflow.tensor import Tensor, to_tensor


def computed(block: Block) -> list[Value]:
    """All that the block's operators compute, those of blocks inside it as well."""
    return [v for o in block.ops for v in o.writes()]


def outside(*parts) -> list[Value]:
    """What some (block, results, given) need and do not compute: given are Values that come from elsewhere."""
    found: dict[int, Value] = {}
    for block, results, given in parts:
        made = {id(v) for v in (*computed(block), *given)}
        for v in (*(v for o in block.ops for v in o.needs()), *results):
            if v is not None and id(v) not in made:
                found[id(v)] = v
    return list(found.values())


def walked(own: Block, ends, asked, program) -> tuple[Block, list]:
    """(a block that walks back through the block `own`, what arrives at each Value of `asked` or None). ends: (a Value,
    its gradient or None)."""
    with program.new_block() as way:
        walk = Walk(own.ops, way, asked)
        for v, g in ends:
            if v is not None and g is not None and id(v) in walk.live:
                walk.send(v, g)
        walk.run()
        return way, [walk.whole(x) for x in asked]


def _moved(values, place_of):
    return [place_of.get(id(v), v) for v in values]


class Branches(Operator):
    """Runs one of its blocks, as an integer or bool tells: number choices[k] for k, number `default` for any other.

    parts: (block, its results, None for what it does not give), one result per output.
    """

    def __init__(self, type: str, selector: Value, choices: dict[int, int], default: int, parts, outputs):
        self.parts = [(block, list(results)) for block, results in parts]
        self.choices, self.default = choices, default
        free = [v for v in outside(*((b, r, ()) for b, r in self.parts)) if v is not selector]
        super().__init__(type, [selector, *free], outputs, {"blocks": [block.idx for block, _ in self.parts]})

    @property
    def effect(self) -> bool:    # type: ignore[override]
        return any(o.effect for block, _ in self.parts for o in block.ops)

    def writes(self):
        return [*super().writes(), *(v for block, _ in self.parts for v in computed(block))]

    def bind(self, plan):
        bound = [(plan.bind_block(block.ops, [r for r in results if r is not None]), [plan.at(r) for r in results])
                 for block, results in self.parts]
        selector, outs = plan.at(self.inputs[0]), [plan.at(v) for v in self.outputs]
        choices, default = self.choices, self.default

        def step(env):
            steps, sources = bound[choices.get(int(env[selector].item()), default)]   # waits for a GPU
            for inner in steps:
                inner(env)
            for out, source in zip(outs, sources):
                env[out] = env[source]
        return step

    def ends(self):
        return [*self.outputs, *(v for block, _ in self.parts for v in computed(block))]

    def backward(self, block, grads, wanted):
        asked = [x for x, want in zip(self.inputs, wanted) if want]
        outs = [gradient_of(block, x) for x in asked]
        many, inner = len(self.outputs), self.ends()
        parts = [walked(own, zip([*results, *inner[many:]], grads), asked, block.program)
                 for own, results in self.parts]
        back = Branches(f"{self.type}_grad", self.inputs[0], self.choices, self.default, parts, outs)
        back.training = True
        block.append(back)
        yield from zip(asked, outs)

    def moved(self, place_of, inside):
        twin = copy(self)
        twin.parts = []
        for block, results in self.parts:
            there = inside(block)
            twin.parts.append((there, _moved(results, place_of)))
        twin.inputs = [place_of.get(id(self.inputs[0]), self.inputs[0])]
        twin.inputs += [v for v in outside(*((b, r, ()) for b, r in twin.parts)) if v is not twin.inputs[0]]
        return twin


class Loop(Operator):
    """Runs `body` while `test` gives True.

    test: (block, its bool). body: (block, its results). carried: the Values that both read; they start as `start` and
    become the body's results. tape: what is kept of the iterations.
    """

    def __init__(self, test: tuple[Block, Value], body: tuple[Block, list[Value]], carried, start, outputs, tape):
        self.test, self.body, self.carried, self.tape = test, body, carried, tape
        free = outside((test[0], [test[1]], carried), (*body, carried))
        super().__init__("while", [*start, *free], outputs, {"blocks": [test[0].idx, body[0].idx]})

    @property
    def effect(self) -> bool:    # type: ignore[override]
        return any(o.effect for block, _ in (self.test, self.body) for o in block.ops)

    def inner(self) -> list[Value]:
        """What each iteration computes anew."""
        return [*self.carried, *computed(self.test[0]), *computed(self.body[0])]

    def writes(self):
        return [*super().writes(), *self.inner(), self.tape]

    def bind(self, plan):
        enter = [lambda env: None]
        for v in self.carried:
            plan.begins(enter, v)
        (test, pred), (body, results) = self.test, self.body
        begin = [plan.at(x) for x in self.inputs[:len(self.carried)]]
        ask = plan.bind_block(test.ops, [pred])
        work = plan.bind_block(body.ops, results)
        carried, outs, sources = ([plan.at(v) for v in some] for some in (self.carried, self.outputs, results))
        again, tape, kept = plan.at(pred), plan.at(self.tape), plan.tape_of(self)

        def step(env):
            now, entries = [env[i] for i in begin], []
            while True:
                for i, a in zip(carried, now):
                    env[i] = a
                for steps in (enter, ask):
                    for inner in steps:
                        inner(env)
                if not env[again].item():    # waits for a GPU
                    break
                for inner in work:
                    inner(env)
                if kept:
                    entries.append([env[i] for i in kept])
                now = [env[i] for i in sources]
            for i, a in zip(outs, now):
                env[i] = a
            env[tape] = entries
        return step

    def backward(self, block, grads, wanted):
        many = len(self.carried)
        smooth = [k for k, v in enumerate(self.carried) if v.dtype.is_differentiable]
        free = [x for x, want in zip(self.inputs[many:], wanted[many:]) if want]
        starts = [k for k in smooth if wanted[k]]
        outs = [gradient_of(block, x) for x in (*(self.inputs[k] for k in starts), *free)]
        with block.program.new_block() as way:
            walk = Walk(self.body[0].ops, way, [self.carried[k] for k in smooth] + free)
            come = {k: gradient_of(block, self.outputs[k]) for k in smooth}
            for k in smooth:
                if id(self.body[1][k]) in walk.live:
                    walk.send(self.body[1][k], come[k])
            walk.run()
            go = {k: walk.whole(self.carried[k]) for k in smooth}
            parts = [walk.whole(x) for x in free]
        block.append(LoopGradient(self, way, {k: (grads[k], come[k], go[k]) for k in smooth}, parts, starts, outs))
        yield from zip([*(self.inputs[k] for k in starts), *free], outs)

    def moved(self, place_of, inside):
        twin = copy(self)
        test, body = inside(self.test[0]), inside(self.body[0])
        twin.test = test, place_of.get(id(self.test[1]), self.test[1])
        twin.body = body, _moved(self.body[1], place_of)
        twin.inputs = _moved(self.inputs[:len(self.carried)], place_of) + outside(
            (test, [twin.test[1]], self.carried), (*twin.body, self.carried))
        return twin


class LoopGradient(Operator):
    """The walk back through a loop, one run of `way` per iteration.

    carried: {k: (gradient of output k or None, where an iteration's comes in, where it goes out or None)}. parts: an
    iteration's gradient of each Value from outside. outputs: the gradients of what the carried ones in `starts` started
    as, then of the Values from outside.
    """

    training = True

    def __init__(self, loop: Loop, way: Block, carried: dict, parts, starts, outputs):
        self.loop, self.way, self.carried, self.parts, self.starts = loop, way, carried, parts, starts
        come = [c for _, c, _ in carried.values()]
        used = outside((way, [], come))
        inner = {id(v) for v in loop.inner()}
        self.kept = [v for v in used if id(v) in inner]
        super().__init__("while_grad", [g for g, _, _ in carried.values() if g is not None] + [loop.tape, *used],
                         outputs, {"blocks": [way.idx]})

    def writes(self):
        return [*super().writes(), *computed(self.way), *(c for _, c, _ in self.carried.values())]

    def backward(self, block, grads, wanted):
        raise NotImplementedError(explain("a gradient through while_loop", "one derivative", "a second one",
                                          "a Python loop, which appends every iteration"))

    def bind(self, plan):
        work = plan.bind_block(self.way.ops, [v for v in (*self.parts, *(go for *_, go in self.carried.values()))
                                              if v is not None])
        kept = plan.tape_of(self.loop)
        # never empty, which would mean that nobody walks back
        kept += [plan.constant(None), *(plan.at(v) for v in self.kept), *plan.aspects_of(self.loop.inner())]
        first, come, go = ([plan.at(v) for v in some] for some in zip(*self.carried.values()))
        keys = list(self.carried)
        starts = [keys.index(k) for k in self.starts]
        parts, outs = [plan.at(v) for v in self.parts], [plan.at(v) for v in self.outputs]
        tape = plan.at(self.loop.tape)

        def step(env):
            now, totals = [env[i] for i in first], [None] * len(parts)
            for entry in reversed(env[tape]):
                for i, a in zip(kept, entry):
                    env[i] = a
                for i, g in zip(come, now):
                    env[i] = g
                for inner in work:
                    inner(env)
                totals = [plus(total, env[i]) for total, i in zip(totals, parts)]
                now = [env[i] for i in go]
            for i, g in zip(outs, [*(now[k] for k in starts), *totals]):
                env[i] = g
        return step


# ---- building ------------------------------------------------------------------------------------------------------


def run_in_block(function, args=tuple) -> tuple[Block, Any, dict]:
    """(block, result, {id: (Variable, what it was, what it became)}) of a function that builds a block of its own.

    args(): what it is called with, made in the block.
    """
    program = default_main_program()
    program.leave_to_memory()
    with program.new_block() as block:
        result = function(*args())
        changed = {key: (variable, was, variable._value) for key, (variable, was) in block.overwritten.items()}
        for variable, was, _ in changed.values():
            variable._value = program.values[was.name] = was
    return block, result, changed


def choose(where: str, selector: Variable, functions, choices: dict[int, int], default: int):
    """The result of one of some functions without arguments, as `selector` tells in a run (see Branches).

    Their results have one structure; at its leaves tensors of one dtype and rank, or things that are equal. Sizes that
    differ are unknown afterwards. An outer Variable that one of them changes in place is changed afterwards.
    """
    program = default_main_program()
    built = [run_in_block(f) for f in functions]
    shape = _outline(built[0][1])
    for _, result, _ in built[1:]:
        if _outline(result) != shape:
            raise TypeError(explain(where, f"results of one structure from every branch: {shape}",
                                    str(_outline(result))))
    columns = [_alike(where, column) for column in zip(*(leaves(result) for _, result, _ in built))]
    tensors = [column for column in columns if isinstance(column[0], Value)]
    changed = {key: pair for _, _, ones in built for key, pair in ones.items()}
    for key, (_, was, _) in changed.items():
        tensors.append([ones[key][2] if key in ones else was for _, _, ones in built])
    outs = []
    for column in tensors:
        stop = not recording() or all(v.stop_gradient for v in column)
        outs.append(program.variable(f"{where}.out", _merged(where, column), column[0].dtype, stop))
    parts = [(block, [column[k] for column in tensors]) for k, (block, _, _) in enumerate(built)]
    program.current_block().append(Branches(where, program.value_of(selector), choices, default, parts,
                                  [out._value for out in outs]))
    found = iter(outs)
    result = iter([next(found) if isinstance(column[0], Value) else column[0] for column in columns])
    filled_in = filled(built[0][1], lambda leaf: next(result))
    for (variable, _, _), out in zip(changed.values(), found, strict=True):
        program.rebind(variable, out._value)
    return filled_in


def _outline(x) -> str:
    """The structure, as text in which every leaf but None is an x."""
    return repr(filled(x, lambda leaf: leaf if leaf is None else ...)).replace("Ellipsis", "x")


def _value(x, like=None) -> Value:
    """The Value of a tensor, or of a number in the dtype of the Value `like`."""
    program = default_main_program()
    if isinstance(x, Variable):
        return x._value
    return program.capture(x if isinstance(x, Tensor) else to_tensor(x, dtype=like and like.dtype))


def _alike(where: str, column) -> list:
    """One leaf of all branches: Values, or things that are no tensors and equal."""
    like = next((_value(x) for x in column if isinstance(x, Tensor)), None)
    if like is None and not isinstance(column[0], bool | int | float):
        if any(x != column[0] for x in column):
            raise TypeError(explain(where, "tensors or numbers where branches differ", str([*column])))
        return list(column)
    for x in column:
        if not isinstance(x, Tensor | bool | int | float):
            raise TypeError(explain(where, "a tensor or number from every branch", type(x).__name__))
    values = [_value(x, like) for x in column]
    if any(v.dtype is not values[0].dtype for v in values):
        raise TypeError(explain(where, "one dtype from every branch", str([v.dtype.name for v in values]),
                                "cast() in the branches"))
    return values


def _merged(where: str, column) -> tuple:
    """The sizes that all have, None where they differ."""
    if len({len(v.shape) for v in column}) > 1:
        raise ValueError(explain(where, "as many axes everywhere", str([list(v.shape) for v in column]),
                                 "reshape or unsqueeze"))
    return tuple(sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*(v.shape for v in column)))


def repeat(test, body, start: list, is_test: bool = False) -> list:
    """What `start` is after ``x = body(*x)`` as long as test(*x) gives True in a run.

    A first draft of the body shows which sizes change from iteration to iteration and which Variables from outside it
    changes in place; with such, it is built a second time.
    """
    where, program = "while_loop", default_main_program()
    for x in leaves(start):
        if not isinstance(x, Tensor | bool | int | float):
            raise TypeError(explain(where, "loop_vars that are tensors or numbers", type(x).__name__))
    begin = [_value(x) for x in leaves(start)]
    sizes: list = [v.shape for v in begin]
    also: dict = {}     # id -> (Variable from outside, what it was)
    while True:
        undo = program.mark(), default_startup_program().mark()
        origin = begin + [was for _, was in also.values()]
        frozen = is_test or not recording()
        carried = [Value(unique_name.generate("while.var"), s, v.dtype, frozen or not v.dtype.is_differentiable)
                   for v, s in zip(origin, sizes)]
        stand_ins = carried[len(begin):]
        for (variable, _), v in zip(also.values(), stand_ins):
            variable._value = v
        try:
            asked, pred, early = run_in_block(test, partial(_entered, start, carried))
            block, result, changed = run_in_block(body, partial(_entered, start, carried))
        finally:
            for variable, was in also.values():
                variable._value = was
        if early:
            raise ValueError(explain(where, "a cond that changes nothing in place",
                                     f"another value for {[v.name for v, _, _ in early.values()]}"))
        result = list(result) if isinstance(result, list | tuple) else [result]
        if _outline(result) != _outline(start):
            raise ValueError(explain(where, f"a body that returns the structure of loop_vars, {_outline(start)}",
                                     _outline(result)))
        ends = [_value(x, v) for x, v in zip(leaves(result), carried)]
        ends += [changed.pop(key)[2] if key in changed else v for key, v in zip(also, stand_ins)]
        for v, first, end in zip(carried, origin, ends):
            if end.dtype is not v.dtype:
                raise TypeError(explain(where, f"{v.dtype.name} again from the body, as {first.name} is",
                                        end.dtype.name, "cast() in the body"))
        now = [_merged(where, pair) for pair in zip(carried, ends)]
        if now == sizes and not changed:
            break
        sizes = now + [was.shape for _, was, _ in changed.values()]
        also |= {key: (variable, was) for key, (variable, was, _) in changed.items()}
        for back in undo:
            back()
    predicate(where, pred)
    operator = Loop((asked, pred._value), (block, ends), carried, origin, [],
                    Value(f"{where}.tape_{block.idx}", (), dtypes.int64))
    stop = frozen or all(v.stop_gradient for v in operator.inputs)
    outs = [program.variable(f"{where}.out", s, v.dtype, stop or v.stop_gradient) for v, s in zip(carried, sizes)]
    operator.outputs = [out._value for out in outs]
    program.current_block().append(operator)
    found = iter(outs)
    structure = filled(start, lambda leaf: next(found))
    for (variable, _), out in zip(also.values(), found, strict=True):
        program.rebind(variable, out._value)
    return structure


def _entered(structure, values):
    """The structure with Variables of the block that is being built, over these Values."""
    made = iter([default_main_program().entered(v) for v in values])
    return filled(structure, lambda leaf: next(made))


def predicate(where: str, pred) -> Variable:
    """What a branch or loop asks, a Variable of one bool (a captured tensor becomes one)."""
    if isinstance(pred, Tensor) and not isinstance(pred, Variable):
        pred = call(OPS["assign"], (pred,))
    expected = "a condition that is a tensor of one bool"
    if not isinstance(pred, Variable):
        raise TypeError(explain(where, expected, type(pred).__name__))
    if pred.dtype is not dtypes.bool_ or pred.size not in (1, -1):
        raise TypeError(explain(where, expected, f"{list(pred.shape)} {pred.dtype.name}",
                                "x.any(), x.all() or a comparison of single numbers"))
    return pred
