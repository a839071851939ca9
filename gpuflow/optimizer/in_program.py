"""An optimizer in a static Program: `minimize` appends the way back and one operator, the step.

The step runs the same kernels over the same arena as eager mode. In the global scope it works on the parameters that
the layers hold; for any other scope the optimizer has a twin over that scope's copies.
"""
from __future__ import annotations

from typing import Any, NamedTuple

from gpuflow.dtypes import float32
from gpuflow.errors import explain
from gpuflow.ops.rows import SparseRows
from gpuflow.optimizer import strategy as strategies
from gpuflow.static.backward import append_backward
from gpuflow.static.operators import Operator
from gpuflow.static.program import Program, default_main_program
from gpuflow.static.scope import Scope
from gpuflow.static.value import Value, Variable
from gpuflow.tensor import Tensor


class Scaled(NamedTuple):
    """What a step knows of the loss's scale. scale: an amp.in_program.LossScale; used: the scale that the loss was
    multiplied by; tensors: what its own mean here."""

    scale: Any
    used: Value
    tensors: list[Value]


class Step(Operator):
    """One step of an optimizer: its inputs are the gradients.

    outputs: the rate and the norm of the gradients as they were in this step, then each gradient after the clip. Only
    those that somebody fetches are worked out.
    scaled: None where the loss is not.
    """

    effect = training = True

    def __init__(self, optimizer, pairs, outputs, scaled: Scaled | None = None):
        super().__init__(optimizer.type, [g for _, g in pairs], outputs,
                         {"parameters": [p.name for p, _ in pairs]})
        self.optimizer, self.steps_of, self.scaled = optimizer, pairs, scaled

    def reads(self):
        return [*super().reads(), *(() if self.scaled is None else (self.scaled.used, *self.scaled.tensors))]

    def __str__(self):
        return f"- = {self.type} step({', '.join(f'{p.name} by {g.name}' for p, g in self.steps_of)})"

    def worker(self, scope: Scope):
        """The optimizer that works in a scope."""
        return at_work(self.optimizer, scope, [scope.tensor(p) for p, _ in self.steps_of])

    def bind(self, plan):
        optimizer, params = self.optimizer, [p for p, _ in self.steps_of]
        grads = [plan.at(g) for g in self.inputs]
        rate, norm, *clipped = [plan.at(v) if plan.wants(v) else None for v in self.outputs]
        fetches_clipped = any(i is not None for i in clipped)
        scaled = self.scaled
        used = None if scaled is None else plan.at(scaled.used)

        def step(env):
            run = env[0]
            tensors = [run.tensor(p) for p in params]
            worker = at_work(optimizer, run.scope, tensors)
            given = {id(t): _gradient(env[i]) for t, i in zip(tensors, grads)}
            if rate is not None:
                env[rate] = run.xp.asarray(worker.get_lr(), "float32")
            if norm is not None:
                worker.measure_grad_norm = True
            if fetches_clipped:
                factor = 1.0 if used is None else 1.0 / float(env[used].item())
                true = {k: g if g is None else strategies.scaled(g, factor) for k, g in given.items()}
                for i, g in zip(clipped, _clipped(worker, tensors, true)):
                    if i is not None:
                        env[i] = g
            if scaled is None:
                worker._step(set(given), given)
            else:
                scaled.scale.step(worker, given, env[used], [run.tensor(v) for v in scaled.tensors])
            if norm is not None:
                env[norm] = worker.last_grad_norm._array.astype("float32")
        return step


def _gradient(g):
    return g if g is None or isinstance(g, SparseRows) else Tensor(g)


def _clipped(worker, tensors, given):
    """The gradients as arrays after the clip, in the order of the tensors."""
    worker._bring_in()
    rows = [(t, Tensor(g._array.copy()) if isinstance(g, Tensor) else g, worker._strategy(t))
            for t, g in ((t, given[id(t)]) for t in tensors) if g is not None]
    after = strategies.clipped(rows)
    for t in tensors:
        g = after.get(id(t), given[id(t)])
        yield g._array.copy() if isinstance(g, Tensor) else g


def at_work(optimizer, scope: Scope, tensors):
    """The optimizer that moves these tensors: itself where they are its own parameters, else its twin in the scope."""
    own = optimizer._groups.named
    if all(own.get(t.name) is t for t in tensors):
        return optimizer
    twin = scope.workers.get(optimizer)
    if twin is None or any(twin._groups.named.get(t.name) is not t for t in tensors):
        twin = scope.workers[optimizer] = optimizer._over({id(own[t.name]): t for t in tensors})
        average = optimizer._average
        if average is not None:
            of = {t.name: t for t in tensors}
            scope.workers[average] = average._over([of.get(p.name, p) for p in average.params]).attach(twin)
    twin._learning_rate = optimizer._learning_rate
    return twin


def minimize(optimizer, loss, parameters=None, no_grad_set=None):
    """(operators, [(parameter, Variable of its gradient)]): see Optimizer.minimize."""
    pairs = backward(optimizer, loss, parameters, no_grad_set)
    return apply_gradients(optimizer, pairs), pairs


def backward(optimizer, loss, parameters=None, no_grad_set=None) -> list:
    """[(parameter, Variable of its gradient)] of the optimizer's parameters, default all of the program's."""
    if not isinstance(loss, Variable):
        raise TypeError(explain(f"{optimizer._owner}.minimize", "the loss as a Variable of a Program",
                                type(loss).__name__))
    if parameters is None and optimizer._groups.params:
        known = loss.block.program.all_parameters()
        parameters = [p for p in optimizer._groups.params if not p.stop_gradient and any(p is q for q in known)]
    return append_backward(loss, parameters, no_grad_set)


def apply_gradients(optimizer, pairs, scale=None) -> list:
    """Appends a step with these gradients, [(parameter, Variable)]; returns [its operator]. scale: that of the loss.

    Beside the gradients a run can fetch "learning_rate_<k>", "grad_norm_<k>" (before the clip) and
    "<parameter>@GRAD@CLIP", k counting a program's optimizers.
    """
    pairs = [(p, g) for p, g in pairs if g is not None]
    if not pairs:
        raise ValueError(explain(f"{optimizer._owner}.apply_gradients", "gradients", "none"))
    program: Program = pairs[0][1].block.program if isinstance(pairs[0][1], Variable) else default_main_program()
    fresh = [p for p, _ in pairs if id(p) not in optimizer._groups.group_of]
    if fresh:
        optimizer.add_param_group({"params": fresh})
    values = [(program.value_of(p), program.value_of(g)) for p, g in pairs]
    k = sum(isinstance(o, Step) for o in program.operators())
    outputs = [program.variable(f"{name}_{k}", (), float32, exact=True)._value
               for name in ("learning_rate", "grad_norm")]
    for p, g in values:
        name = f"{p.name}@GRAD@CLIP"
        outputs.append(program.variable(program.free(name) if name in program.values else name, g.shape, g.dtype,
                                        exact=True)._value)
    scaled = None if scale is None else Scaled(scale, program.value_of(scale.used),
                                               [program.capture(tensor) for tensor in scale.tensors])
    return [program.current_block().append(Step(optimizer, values, outputs, scaled))]
