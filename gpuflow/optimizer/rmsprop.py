"""RMSProp."""
from gpuflow.optimizer.base import Optimizer
from gpuflow.optimizer.lr.arguments import number
from gpuflow_kernels.update import rules

# (centered, with momentum) -> rule
RULES = {(False, False): rules.rmsprop, (True, False): rules.rmsprop_centered, (False, True): rules.rmsprop_momentum,
         (True, True): rules.rmsprop_centered_momentum}


class RMSProp(Optimizer):
    """s = rho s + (1 - rho) g²,  v = momentum v + lr · g / √(s + epsilon),  p = p - v

    centered: a = rho a + (1 - rho) g, and s - a² stands in the root. As in Paddle epsilon is inside the root and the
    rate inside the velocity.

    rho: in [0, 1). epsilon: > 0. momentum: >= 0. Velocities and means are kept where some group wants them. Others as
    in `Optimizer`; groups may set "rho", "epsilon", "momentum", "centered".

    Tieleman and Hinton, 2012, lecture 6.5; centered: Graves, 2013 (https://arxiv.org/abs/1308.0850).
    """

    rule = rules.rmsprop
    accumulators = {"v": "momentum", "s": "mean_square", "a": "mean_grad"}

    def __init__(self, learning_rate, rho=0.95, epsilon=1e-6, momentum=0.0, centered=False, parameters=None,
                 weight_decay=None, grad_clip=None, name=None, *, multi_precision=False, on_nonfinite="propagate"):
        super().__init__(learning_rate, parameters, weight_decay, grad_clip, name, multi_precision=multi_precision,
                         on_nonfinite=on_nonfinite, options={"rho": rho, "epsilon": epsilon, "momentum": momentum,
                                                             "centered": centered})

    def _checked(self, rho, epsilon, momentum, centered):
        return {"rho": number(self._owner, "rho", rho, at_least=0, below=1),
                "epsilon": number(self._owner, "epsilon", epsilon, above=0),
                "momentum": number(self._owner, "momentum", momentum, at_least=0), "centered": bool(centered)}

    def _rule_for(self, options):
        return RULES[any(one["centered"] for one in options), any(one["momentum"] for one in options)]

    def numbers(self, step, rho, epsilon, momentum, centered):
        return rules.rmsprop_centered_momentum.at(step, rho, epsilon, momentum, centered)
