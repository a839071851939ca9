"""Adagrad."""
from gpuflow.optimizer.base import Optimizer
from gpuflow.optimizer.lr.arguments import number
from gpuflow_kernels.update import rules


class Adagrad(Optimizer):
    """s = s + g²,  p = p - lr · g / (√s + epsilon)

    epsilon: >= 0. initial_accumulator_value: what s starts from, >= 0. Others as in `Optimizer`; groups may set
    "epsilon", "initial_accumulator_value". A sparse gradient updates its rows alone unless a penalty acts on the whole
    table.

    Duchi, Hazan and Singer, 2011 (https://jmlr.org/papers/v12/duchi11a.html).
    """

    rule = rules.adagrad
    accumulators = {"s": "moment"}

    def __init__(self, learning_rate, epsilon=1e-6, parameters=None, weight_decay=None, grad_clip=None, name=None,
                 initial_accumulator_value=0.0, *, multi_precision=False, on_nonfinite="propagate"):
        super().__init__(learning_rate, parameters, weight_decay, grad_clip, name, multi_precision=multi_precision,
                         on_nonfinite=on_nonfinite, options={
                             "epsilon": epsilon, "initial_accumulator_value": initial_accumulator_value})

    def _checked(self, **options):
        return {name: number(self._owner, name, value, at_least=0) for name, value in options.items()}

    def numbers(self, step, epsilon, initial_accumulator_value):
        return self.rule.at(step, epsilon=epsilon)

    def _first_states(self, strategy):
        return {"s": dict(strategy.options)["initial_accumulator_value"]}

    def _by_rows(self, strategy):
        return not (strategy.l1 or strategy.l2)
