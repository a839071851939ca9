"""Adadelta."""
from gpuflow.optimizer.base import Optimizer
from gpuflow.optimizer.lr.arguments import number
from gpuflow_kernels.update import rules


class Adadelta(Optimizer):
    """s = rho s + (1 - rho) g²,  u = g · √(d + epsilon) / √(s + epsilon),  d = rho d + (1 - rho) u²,  p = p - lr · u

    The paper has lr = 1; Paddle's default is 0.001. epsilon: >= 0. rho: in [0, 1]. Others as in `Optimizer`; groups
    may set "epsilon" and "rho".

    Zeiler, 2012 (https://arxiv.org/abs/1212.5701).
    """

    rule = rules.adadelta
    accumulators = {"s": "_avg_squared_grad", "d": "_avg_squared_update"}

    def __init__(self, learning_rate=0.001, epsilon=1e-6, rho=0.95, parameters=None, weight_decay=None, grad_clip=None,
                 name=None, *, multi_precision=False, on_nonfinite="propagate"):
        super().__init__(learning_rate, parameters, weight_decay, grad_clip, name, multi_precision=multi_precision,
                         on_nonfinite=on_nonfinite, options={"rho": rho, "epsilon": epsilon})

    def _checked(self, rho, epsilon):
        return {"rho": number(self._owner, "rho", rho, at_least=0, at_most=1),
                "epsilon": number(self._owner, "epsilon", epsilon, at_least=0)}
