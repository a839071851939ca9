"""Stochastic gradient descent."""
from gpuflow.optimizer.base import Optimizer
from gpuflow_kernels.update import rules


class SGD(Optimizer):
    """p = p - lr * g

    g is the gradient after clipping and regularisation, lr the schedule's rate times the parameter's factor.
    Arguments as in `Optimizer`. A sparse gradient updates its rows alone unless a penalty acts on the whole table.
    """

    rule = rules.sgd

    def __init__(self, learning_rate=0.001, parameters=None, weight_decay=None, grad_clip=None, multi_precision=False,
                 name=None, *, on_nonfinite="propagate"):
        super().__init__(learning_rate, parameters, weight_decay, grad_clip, name, multi_precision=multi_precision,
                         on_nonfinite=on_nonfinite)

    def _by_rows(self, strategy):
        return not (strategy.l1 or strategy.l2)
