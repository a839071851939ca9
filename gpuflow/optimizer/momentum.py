"""SGD with momentum."""
from dataclasses import replace

from gpuflow.optimizer.base import Optimizer
from gpuflow.optimizer.lr.arguments import number
from gpuflow_kernels.update import UpdateRule, rules

# for groups of which some use Nesterov's form
EITHER = UpdateRule("momentum_or_nesterov", ("v",), ("mu", "ahead"), """
    v = mu * v + g
    p = p - lr * where(ahead > 0, g + mu * v, v)
""")


def _rescaled(rule):
    """The rule with its gradient multiplied by the number `rescale` first."""
    return UpdateRule(f"{rule.name}_rescaled", rule.state, (*rule.numbers, "rescale"),
                      "g = rescale * g\n" + rule.formula)


class Momentum(Optimizer):
    """v = momentum * v + g,  p = p - lr * v;  with use_nesterov  p = p - lr * (g + momentum * v)

    The rate stays outside v (Paddle's form), so a change of rate acts on the whole velocity at once.

    momentum: a number >= 0. rescale_grad: a factor > 0 on the clipped gradient, e.g. 1 / batch size; L2 decay is not
    multiplied by it. use_multi_tensor: taken for Paddle's sake; the update is always one pass over all parameters.
    Others as in `Optimizer`; groups may set "momentum", "use_nesterov", "rescale_grad".

    Polyak 1964; Nesterov's form after Sutskever et al., 2013 (https://proceedings.mlr.press/v28/sutskever13.html).
    """

    rule = rules.momentum
    accumulators = {"v": "velocity"}

    def __init__(self, learning_rate=0.001, momentum=0.9, parameters=None, use_nesterov=False, weight_decay=None,
                 grad_clip=None, multi_precision=False, rescale_grad=1.0, use_multi_tensor=False, name=None, *,
                 on_nonfinite="propagate"):
        super().__init__(learning_rate, parameters, weight_decay, grad_clip, name, multi_precision=multi_precision,
                         on_nonfinite=on_nonfinite, options={"momentum": momentum, "use_nesterov": use_nesterov,
                                                             "rescale_grad": rescale_grad})

    def _checked(self, momentum, use_nesterov, rescale_grad):
        return {"momentum": number("Momentum", "momentum", momentum, at_least=0), "use_nesterov": bool(use_nesterov),
                "rescale_grad": number("Momentum", "rescale_grad", rescale_grad, above=0)}

    def _rule_for(self, options):
        kinds = {one["use_nesterov"] for one in options}
        rule = EITHER if len(kinds) == 2 else rules.nesterov if kinds == {True} else rules.momentum
        return rule if all(one["rescale_grad"] == 1 for one in options) else _rescaled(rule)

    def numbers(self, step, momentum, use_nesterov, rescale_grad):
        return {"mu": momentum, "ahead": float(use_nesterov), "rescale": rescale_grad}

    def _adjusted(self, strategy):
        rescale = dict(strategy.options)["rescale_grad"]
        return strategy if rescale == 1 else replace(strategy, l2=strategy.l2 / rescale)
