"""What follows an optimizer in a static Program, averages and LookAhead: one operator, which acts in every run.

In the global scope it works on the parameters that the layers hold; any other scope has a twin over its copies.
"""
from __future__ import annotations

from gpuflow.errors import explain
from gpuflow.static.operators import Operator
from gpuflow.static.program import default_main_program
from gpuflow.static.scope import Scope, global_scope
from gpuflow.static.value import Variable


class Follow(Operator):
    """Hands the parameters, as they are at this place of a run, to `follower._take_in`.

    follower: an average or LookAhead; it has `params` and makes a twin by `_over(tensors)`. inputs: a Value with one
    number for `_take_in`, or None.
    """

    effect = training = True

    def __init__(self, follower, values, number=None):
        super().__init__(type(follower).__name__, [number], [], {"parameters": [v.name for v in values]})
        self.follower, self.values = follower, values

    def bind(self, plan):
        number = None if self.inputs[0] is None else plan.at(self.inputs[0])

        def step(env):
            run = env[0]
            worker = at_work(self.follower, run.scope, [run.tensor(v) for v in self.values])
            worker._take_in(*([] if number is None else [env[number].item()]))
        return step


def append(follower, number=None) -> None:
    """Lets every run of the default main program hand its parameters to `follower` at this place."""
    program = default_main_program()
    program.current_block().append(Follow(follower, [program.value_of(p) for p in follower.params],
                                          program.value_of(number) if isinstance(number, Variable) else None))


def parameters(owner: str) -> list:
    """Those of the default main program; ValueError where it has none yet."""
    found = default_main_program().all_parameters()
    if not found:
        raise ValueError(explain(owner, "a program with parameters", "none", f"{owner} after optimizer.minimize(loss)"))
    return found


def at_work(follower, scope: Scope, tensors):
    """What follows these tensors: itself where they are its own parameters, else its twin in the scope."""
    if all(p is t for p, t in zip(follower.params, tensors)):
        return follower
    twin = scope.workers.get(follower)
    if twin is None or any(p is not t for p, t in zip(twin.params, tensors)):
        twin = scope.workers[follower] = follower._over(tensors)
    return twin


def here(follower):
    """What follows the parameters of the current scope."""
    return global_scope().workers.get(follower, follower)
