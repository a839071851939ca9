"""Schedules that give the rate as a function of the epoch, each in one line: exponential, polynomial, step-wise, ...

`epoch` in the formulas is `last_epoch`: 0 after construction, one more with every `step()`, or what `step(epoch)` set.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from gpuflow.errors import explain
from gpuflow.optimizer.lr.arguments import ascending, function, number, whole
from gpuflow.optimizer.lr.base import LRScheduler


class NoamDecay(LRScheduler):
    """Linear growth, then decay with the inverse square root: the schedule of the first Transformer.

        lr = learning_rate * d_model ** -0.5 * min(epoch ** -0.5, epoch * warmup_steps ** -1.5)

    The rate is 0 at epoch 0 and greatest at warmup_steps. Usually stepped once per batch.
    Source: Vaswani et al. 2017, Attention Is All You Need, arXiv 1706.03762, section 5.3.

    Args:
        d_model: width of the model, > 0.
        warmup_steps: epochs of growth, > 0.
        learning_rate: factor on the whole, >= 0.
    """

    def __init__(
        self,
        d_model: int,
        warmup_steps: int,
        learning_rate: float = 1.0,
        last_epoch: int = -1,
        verbose: bool = False,
    ) -> None:
        number("NoamDecay", "d_model", d_model, above=0)
        number("NoamDecay", "warmup_steps", warmup_steps, "1 for no warm-up", above=0)
        self.d_model = d_model
        self.warmup_steps = warmup_steps
        super().__init__(learning_rate, last_epoch, verbose)

    def get_lr(self) -> float:
        growing = self.warmup_steps**-1.5 * self.last_epoch
        falling = self.last_epoch**-0.5 if self.last_epoch else math.inf
        return self.base_lr * self.d_model**-0.5 * min(growing, falling)


class PiecewiseDecay(LRScheduler):
    """Constant pieces:  lr = values[i] while epoch < boundaries[i], and values[-1] after the last boundary.

    Args:
        boundaries: at least one epoch >= 0, in rising order.
        values: the rate of each piece, >= 0; one more than boundaries.
    """

    def __init__(
        self, boundaries: Sequence[int], values: Sequence[float], last_epoch: int = -1, verbose: bool = False
    ) -> None:
        self.boundaries = ascending("PiecewiseDecay", "boundaries", boundaries, strictly=False)
        if not self.boundaries:
            raise ValueError(explain("PiecewiseDecay", "at least one boundary", "none", "a number as learning_rate"))
        if len(values) != len(self.boundaries) + 1:
            expected = f"{len(self.boundaries) + 1} values for {len(self.boundaries)} boundaries"
            hint = "one rate before each boundary and one after the last"
            raise ValueError(explain("PiecewiseDecay", expected, str(len(values)), hint))
        self.values = [number("PiecewiseDecay", f"values[{i}]", v, at_least=0) for i, v in enumerate(values)]
        super().__init__(self.values[0], last_epoch, verbose)

    def get_lr(self) -> float:
        return self.values[sum(boundary <= self.last_epoch for boundary in self.boundaries)]


class NaturalExpDecay(LRScheduler):
    """lr = learning_rate * exp(-gamma * epoch)

    Args:
        learning_rate: rate at epoch 0, >= 0.
        gamma: speed of decay per epoch, > 0.
    """

    def __init__(self, learning_rate: float, gamma: float, last_epoch: int = -1, verbose: bool = False) -> None:
        self.gamma = number("NaturalExpDecay", "gamma", gamma, above=0)
        super().__init__(learning_rate, last_epoch, verbose)

    def get_lr(self) -> float:
        return self.base_lr * math.exp(-self.gamma * self.last_epoch)


class InverseTimeDecay(LRScheduler):
    """lr = learning_rate / (1 + gamma * epoch)

    Args:
        learning_rate: rate at epoch 0, >= 0.
        gamma: speed of decay per epoch, >= 0.
    """

    def __init__(self, learning_rate: float, gamma: float, last_epoch: int = -1, verbose: bool = False) -> None:
        self.gamma = number("InverseTimeDecay", "gamma", gamma, "a negative gamma makes the rate explode", at_least=0)
        super().__init__(learning_rate, last_epoch, verbose)

    def get_lr(self) -> float:
        return self.base_lr / (1 + self.gamma * self.last_epoch)


class PolynomialDecay(LRScheduler):
    """A power of the remaining time:

        lr = (learning_rate - end_lr) * (1 - epoch / length) ** power + end_lr

    Without cycle, length is decay_steps and the rate stays at end_lr from then on. With cycle, length is the first
    multiple of decay_steps that is >= epoch: after reaching end_lr the rate leaps up and decays again.

    Args:
        learning_rate: rate at epoch 0, >= 0.
        decay_steps: epochs until end_lr, an int > 0.
        end_lr: last rate, >= 0.
        power: 1 is a straight line, > 0.
        cycle: start over instead of staying at end_lr.
    """

    def __init__(
        self,
        learning_rate: float,
        decay_steps: int,
        end_lr: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        last_epoch: int = -1,
        verbose: bool = False,
    ) -> None:
        self.decay_steps = whole("PolynomialDecay", "decay_steps", decay_steps, above=0)
        self.end_lr = number("PolynomialDecay", "end_lr", end_lr, at_least=0)
        self.power = number("PolynomialDecay", "power", power, above=0)
        self.cycle = cycle
        super().__init__(learning_rate, last_epoch, verbose)

    def get_lr(self) -> float:
        if self.cycle:
            epoch, length = self.last_epoch, self.decay_steps * max(1, math.ceil(self.last_epoch / self.decay_steps))
        else:
            epoch, length = min(self.last_epoch, self.decay_steps), self.decay_steps
        return (self.base_lr - self.end_lr) * (1 - epoch / length) ** self.power + self.end_lr


class ExponentialDecay(LRScheduler):
    """lr = learning_rate * gamma ** epoch

    Args:
        learning_rate: rate at epoch 0, >= 0.
        gamma: factor per epoch, 0 < gamma < 1.
    """

    def __init__(self, learning_rate: float, gamma: float, last_epoch: int = -1, verbose: bool = False) -> None:
        self.gamma = number("ExponentialDecay", "gamma", gamma, above=0, below=1)
        super().__init__(learning_rate, last_epoch, verbose)

    def get_lr(self) -> float:
        return self.base_lr * self.gamma**self.last_epoch


class MultiStepDecay(LRScheduler):
    """lr = learning_rate * gamma ** (number of milestones <= epoch)

    Args:
        learning_rate: rate before the first milestone, >= 0.
        milestones: list or tuple of epochs >= 0, strictly rising.
        gamma: factor at each milestone, 0 <= gamma < 1.
    """

    def __init__(
        self,
        learning_rate: float,
        milestones: Sequence[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
        verbose: bool = False,
    ) -> None:
        if not isinstance(milestones, (list, tuple)):
            hint = "milestones=[30, 60]"
            raise TypeError(explain("MultiStepDecay", "milestones as a list or tuple", repr(milestones), hint))
        self.milestones = ascending("MultiStepDecay", "milestones", milestones, strictly=True)
        self.gamma = number("MultiStepDecay", "gamma", gamma, at_least=0, below=1)
        super().__init__(learning_rate, last_epoch, verbose)

    def get_lr(self) -> float:
        return self.base_lr * self.gamma ** sum(milestone <= self.last_epoch for milestone in self.milestones)


class StepDecay(LRScheduler):
    """lr = learning_rate * gamma ** (epoch // step_size)

    Args:
        learning_rate: rate of the first step_size epochs, >= 0.
        step_size: epochs between two drops, an int > 0.
        gamma: factor at each drop, 0 <= gamma < 1.
    """

    def __init__(
        self, learning_rate: float, step_size: int, gamma: float = 0.1, last_epoch: int = -1, verbose: bool = False
    ) -> None:
        self.step_size = whole("StepDecay", "step_size", step_size, above=0)
        self.gamma = number("StepDecay", "gamma", gamma, at_least=0, below=1)
        super().__init__(learning_rate, last_epoch, verbose)

    def get_lr(self) -> float:
        return self.base_lr * self.gamma ** (self.last_epoch // self.step_size)


class LambdaDecay(LRScheduler):
    """lr = learning_rate * lr_lambda(epoch)

    Args:
        learning_rate: factor on the function, >= 0.
        lr_lambda: function of the epoch that returns a number. It is not part of the saved state.
    """

    def __init__(
        self, learning_rate: float, lr_lambda: Callable[[int], float], last_epoch: int = -1, verbose: bool = False
    ) -> None:
        self.lr_lambda = function("LambdaDecay", "lr_lambda", lr_lambda)
        super().__init__(learning_rate, last_epoch, verbose)

    def get_lr(self) -> float:
        return self.base_lr * self.lr_lambda(self.last_epoch)


class MultiplicativeDecay(LRScheduler):
    """lr = learning_rate * lr_lambda(1) * lr_lambda(2) * ... * lr_lambda(epoch)

    lr_lambda must return the same number for the same epoch: the product up to the last epoch is kept, so that a step
    costs one call and not one per past epoch.

    Args:
        learning_rate: rate at epoch 0, >= 0.
        lr_lambda: function of the epoch (1, 2, ...) that returns that epoch's factor.
    """

    def __init__(
        self, learning_rate: float, lr_lambda: Callable[[int], float], last_epoch: int = -1, verbose: bool = False
    ) -> None:
        self.lr_lambda = function("MultiplicativeDecay", "lr_lambda", lr_lambda)
        self._product: tuple[Any, Any, int, float] = (None, None, 0, 0.0)  # rate, function, epochs done, result
        super().__init__(learning_rate, last_epoch, verbose)

    def get_lr(self) -> float:
        epoch = whole("MultiplicativeDecay", "epoch", self.last_epoch)
        base, factor, done, rate = self._product
        if base != self.base_lr or factor is not self.lr_lambda or done > epoch:
            done, rate = 0, self.base_lr
        for past in range(done + 1, epoch + 1):
            rate = rate * self.lr_lambda(past)
        self._product = (self.base_lr, self.lr_lambda, epoch, rate)
        return rate
