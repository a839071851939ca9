"""An ExponentialMovingAverage in a static Program: `update` appends one operator, which averages in every run.

In the global scope it averages the parameters that the layers hold; any other scope has a twin over its copies.
"""
from __future__ import annotations

from gpuflow.errors import explain
from gpuflow.param import Parameter
from gpuflow.static.operators import Operator
from gpuflow.static.program import default_main_program
from gpuflow.static.scope import Scope, global_scope
from gpuflow.static.value import Variable


class Follow(Operator):
    """Takes the parameters, as they are at this place of a run, into the average. thres_steps: a Value or None."""

    effect = training = True

    def __init__(self, average, values, thres_steps):
        super().__init__("exponential_moving_average", [thres_steps], [], {"parameters": [v.name for v in values]})
        self.average, self.values = average, values

    def bind(self, plan):
        steps = None if self.inputs[0] is None else plan.at(self.inputs[0])

        def step(env):
            run = env[0]
            worker = at_work(self.average, run.scope, [run.tensor(v) for v in self.values])
            worker._take_in(None if steps is None else env[steps].item())
        return step


def follow(average) -> None:
    """See ExponentialMovingAverage.update."""
    program = default_main_program()
    if not average.params:
        average._follow([p for p in program.all_parameters() if isinstance(p, Parameter)])
    if not average.params:
        raise ValueError(explain("ExponentialMovingAverage.update", "a program with parameters", "none",
                                 "update() after optimizer.minimize(loss)"))
    steps = average._thres_steps
    program.block.append(Follow(average, [program.value_of(p) for p in average.params],
                                program.value_of(steps) if isinstance(steps, Variable) else None))


def at_work(average, scope: Scope, tensors):
    """The average over these tensors: itself where they are its own parameters, else its twin in the scope."""
    if all(p is t for p, t in zip(average.params, tensors)):
        return average
    twin = scope.workers.get(id(average))
    if twin is None or any(p is not t for p, t in zip(twin.params, tensors)):
        twin = scope.workers[id(average)] = average._over(tensors)
    return twin


def here(average):
    """The average of the current scope."""
    return global_scope().workers.get(id(average), average)
