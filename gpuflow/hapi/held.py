"""Gradients that wait for a later step of a Program: operators that keep them in `p.grad`, as eager mode does."""
from __future__ import annotations

from gpuflow.static.operators import Operator, plus
from gpuflow.static.program import Program
from gpuflow.tensor import Tensor


class Hold(Operator):
    """Adds gradients to those that their parameters hold."""

    effect = training = True

    def __init__(self, type: str, pairs, outputs=()):
        super().__init__(type, [g for _, g in pairs], outputs, {"parameters": [p.name for p, _ in pairs]})
        self.params = [p for p, _ in pairs]

    def bind(self, plan):
        pairs, array_type = [(p, plan.at(g)) for p, g in zip(self.params, self.inputs)], plan.array_type

        def step(env):
            for p, i in pairs:
                tensor, g = env[0].tensor(p), env[i]
                held = _held(tensor)
                total = g.copy() if held is None and isinstance(g, array_type) else plus(held, g)
                tensor._grad = Tensor(total) if isinstance(total, array_type) else total
        return step


class Join(Hold):
    """Gives each gradient with what its parameter holds, and lets go of that."""

    def bind(self, plan):
        triples = [(p, plan.at(g), plan.at(out)) for p, g, out in zip(self.params, self.inputs, self.outputs)]

        def step(env):
            for p, i, out in triples:
                tensor = env[0].tensor(p)
                env[out] = plus(_held(tensor), env[i])
                tensor._grad = None
        return step


def _held(tensor):
    return tensor._grad._array if isinstance(tensor._grad, Tensor) else tensor._grad


def hold(program: Program, pairs) -> None:
    """Appends that the gradients, [(parameter, Variable)], are kept for a later step."""
    program.current_block().append(Hold("hold", _values(program, pairs)))


def join(program: Program, pairs) -> list:
    """Appends that the gradients get what was kept; [(parameter, Variable of the sum)]."""
    values = _values(program, pairs)
    sums = [program.variable("gradients.sum", g.shape, g.dtype) for _, g in values]
    program.current_block().append(Join("join", values, [v._value for v in sums]))
    return [(p, v) for (p, _), v in zip(pairs, sums)]


def _values(program: Program, pairs) -> list:
    return [(program.value_of(p), program.value_of(g)) for p, g in pairs]
