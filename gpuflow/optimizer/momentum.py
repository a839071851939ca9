"""SGD with momentum."""
from dataclasses import replace

from gpuflow.optimizer.base import Optimizer
from gpuflow.optimizer.lr.arguments import number
from gpuflow_kernels.update import UpdateRule, rules


def _rescaled(rule):
    """The rule with its gradient multiplied by the number `rescale` first."""
    return UpdateRule(f"{rule.name}_rescaled", rule.state, (*rule.numbers, "rescale"),
                      "g = rescale * g\n" + rule.formula)


class Momentum(Optimizer):
    """v = momentum * v + g,  p = p - lr * v;  with use_nesterov  p = p - lr * (g + momentum * v)

    The rate stays outside v (Paddle's form), so a change of rate acts on the whole velocity at once.

    momentum: a number >= 0. rescale_grad: a factor > 0 on the clipped gradient, e.g. 1 / batch size; L2 decay is not
    multiplied by it. use_multi_tensor: taken for Paddle's sake; the update is always one pass over all parameters.
    Others as in `Optimizer`; groups may set "momentum".

    Polyak 1964; Nesterov's form after Sutskever et al., 2013 (https://proceedings.mlr.press/v28/sutskever13.html).
    """

    accumulators = {"v": "velocity"}

    def __init__(self, learning_rate=0.001, momentum=0.9, parameters=None, use_nesterov=False, weight_decay=None,
                 grad_clip=None, multi_precision=False, rescale_grad=1.0, use_multi_tensor=False, name=None, *,
                 on_nonfinite="propagate"):
        self._rescale = number("Momentum", "rescale_grad", rescale_grad, above=0)
        rule = rules.nesterov if use_nesterov else rules.momentum
        self.rule = rule if self._rescale == 1 else _rescaled(rule)
        super().__init__(learning_rate, parameters, weight_decay, grad_clip, name, multi_precision=multi_precision,
                         on_nonfinite=on_nonfinite, options={"momentum": momentum})

    def _checked(self, momentum):
        return {"momentum": number("Momentum", "momentum", momentum, at_least=0)}

    def numbers(self, step, momentum):
        return {"mu": momentum, "rescale": self._rescale}

    def _adjusted(self, strategy):
        return strategy if self._rescale == 1 else replace(strategy, l2=strategy.l2 / self._rescale)
