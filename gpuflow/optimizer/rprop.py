"""Rprop: only the signs of gradients count."""
from gpuflow.errors import explain
from gpuflow.optimizer.base import Optimizer
from gpuflow.optimizer.lr import LRScheduler
from gpuflow.optimizer.lr.arguments import number
from gpuflow_kernels.update import rules


class Rprop(Optimizer):
    """Each element has a rate of its own: × etas[1] while its gradient keeps its sign, × etas[0] when it turns, and
    then the element rests for a step.  p = p - rate · sign(g)

    learning_rate: where the rates start (times each parameter's factor; 0 keeps a parameter where it is). A number: a
    schedule could not act. learning_rate_range: (smallest, largest) rate, 0 < smallest <= learning_rate <= largest.
    etas: (shrink, grow), 0 < shrink < 1 < grow. For full batches. Others as in `Optimizer`.

    Riedmiller and Braun, 1993 (https://doi.org/10.1109/ICNN.1993.298623).
    """

    rule = rules.rprop
    accumulators = {"before": "prevs", "rate": "learning_rates"}

    def __init__(self, learning_rate=0.001, learning_rate_range=(1e-5, 50), parameters=None, etas=(0.5, 1.2),
                 grad_clip=None, multi_precision=False, name=None, *, on_nonfinite="propagate"):
        if isinstance(learning_rate, LRScheduler):
            raise TypeError(explain("Rprop", "learning_rate as a number", type(learning_rate).__name__,
                                    "the rates adapt by themselves; give the rate to start from"))
        low, high = (number("Rprop", "learning_rate_range", value, above=0) for value in learning_rate_range)
        number("Rprop", "learning_rate", learning_rate, at_least=low, at_most=high)
        shrink, grow = (number("Rprop", "etas", value, above=0) for value in etas)
        if not shrink < 1 < grow:
            raise ValueError(explain("Rprop", "etas = (shrink, grow) with 0 < shrink < 1 < grow", repr(etas)))
        self._settings = {"learning_rate_range": (low, high), "etas": (shrink, grow)}
        super().__init__(learning_rate, parameters, None, grad_clip, name, multi_precision=multi_precision,
                         on_nonfinite=on_nonfinite)

    def numbers(self, step):
        return self.rule.at(step, **self._settings)

    def _first_states(self, strategy):
        return {"rate": self.get_lr() * strategy.rate}

    def set_lr(self, value):
        """RuntimeError: the rates adapt by themselves."""
        raise RuntimeError(explain("Rprop.set_lr", "no change of rate", repr(value), "a new optimizer to start afresh"))

    def set_lr_scheduler(self, scheduler):
        """RuntimeError: the rates adapt by themselves."""
        self.set_lr(scheduler)
