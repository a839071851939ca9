"""Schedules that begin with a linear rise: around another schedule, or as warm-up, plateau and decay in one."""

from __future__ import annotations

import math
from typing import Any

from gpuflow.errors import explain
from gpuflow.optimizer.lr.arguments import choice, number, whole
from gpuflow.optimizer.lr.base import LRScheduler, half_cosine, linear
from gpuflow.optimizer.lr.plateau import ReduceOnPlateau


class LinearWarmup(LRScheduler):
    """A straight line from start_lr towards end_lr, then another rate or schedule:

        lr = start_lr + (end_lr - start_lr) * epoch / warmup_steps    while epoch < warmup_steps
        lr = learning_rate at (epoch - warmup_steps)                  from then on

    The inner schedule is stepped by this one; step only the outer.
    Source: Goyal et al. 2017, Accurate, Large Minibatch SGD, arXiv 1706.02677, section 2.2.

    Args:
        learning_rate: what follows, a number >= 0 or an LRScheduler driven by the epoch (so not ReduceOnPlateau).
        warmup_steps: epochs of the rise, an int > 0.
        start_lr: rate at epoch 0, >= 0.
        end_lr: the rate the line leads to, > start_lr.
    """

    def __init__(
        self,
        learning_rate: float | LRScheduler,
        warmup_steps: int,
        start_lr: float,
        end_lr: float,
        last_epoch: int = -1,
        verbose: bool = False,
    ) -> None:
        owner = "LinearWarmup"
        if isinstance(learning_rate, ReduceOnPlateau):
            hint = "LinearWarmup around a number, and a ReduceOnPlateau once the warm-up is over"
            got = "ReduceOnPlateau, which waits for a metric"
            raise TypeError(explain(owner, "a schedule driven by the epoch", got, hint))
        if not isinstance(learning_rate, LRScheduler):
            learning_rate = number(owner, "learning_rate", learning_rate, "a number or an LRScheduler", at_least=0)
        self.learning_rate = learning_rate
        self.warmup_steps = whole(owner, "warmup_steps", warmup_steps, "no LinearWarmup for no warm-up", above=0)
        self.start_lr = number(owner, "start_lr", start_lr, at_least=0)
        self.end_lr = number(owner, "end_lr", end_lr, above=self.start_lr)
        super().__init__(self.start_lr, last_epoch, verbose)

    def get_lr(self) -> float:
        if self.last_epoch < self.warmup_steps:
            return linear(self.start_lr, self.end_lr, self.last_epoch / self.warmup_steps)
        if isinstance(self.learning_rate, LRScheduler):
            self.learning_rate.step(self.last_epoch - self.warmup_steps)
            return self.learning_rate()
        return self.learning_rate

    def state_dict(self) -> dict[str, Any]:
        state = super().state_dict()
        if isinstance(self.learning_rate, LRScheduler):
            state["LinearWarmup_LR"] = self.learning_rate.state_dict()
        return state

    def set_state_dict(self, state_dict: dict[str, Any]) -> None:
        if not isinstance(self.learning_rate, LRScheduler) or not isinstance(state_dict, dict):
            super().set_state_dict(state_dict)
            return
        own = self._checked_state({key: value for key, value in state_dict.items() if key != "LinearWarmup_LR"})
        if "LinearWarmup_LR" not in state_dict:
            hint = f"a state saved by a LinearWarmup around a {type(self.learning_rate).__name__}"
            raise ValueError(explain("LinearWarmup", "'LinearWarmup_LR' in the state", str(list(state_dict)), hint))
        self.learning_rate.set_state_dict(state_dict["LinearWarmup_LR"])
        self.__dict__.update(own)


_FALL = {
    "linear": linear,
    "cosine": lambda start, end, u: half_cosine(start, end, math.pi * u),
    "1-sqrt": lambda start, end, u: linear(start, end, math.sqrt(u)),
}


class WarmupStableDecay(LRScheduler):
    """Warm-up, a long constant stretch, a short decay (WSD), usually stepped once per batch:

        lr = start_lr + (learning_rate - start_lr) * epoch / warmup_steps    while epoch < warmup_steps
        lr = learning_rate                                                   for the next stable_steps epochs
        lr = end_lr + (learning_rate - end_lr) * fall(u)                     u = share of decay_steps gone, at most 1

        fall(u) = 1 - u ("linear"), (1 + cos(pi * u)) / 2 ("cosine"), 1 - sqrt(u) ("1-sqrt")

    The rate before the decay does not depend on when the decay begins, so one long run can be continued, or decayed
    from any of its checkpoints. After the decay the rate stays at end_lr. Paddle has no schedule of this kind.
    Source: Hu et al. 2024, MiniCPM, arXiv 2404.06395; "1-sqrt": Hägele et al. 2024, arXiv 2405.18392.

    Args:
        learning_rate: rate of the constant stretch, >= 0.
        warmup_steps: epochs of the rise, an int >= 0.
        stable_steps: epochs at learning_rate, an int >= 0.
        decay_steps: epochs of the fall, an int > 0.
        start_lr: rate at epoch 0, 0 to learning_rate; not read when warmup_steps is 0.
        end_lr: the floor, 0 to learning_rate.
        decay: "linear", "cosine" or "1-sqrt".
    """

    def __init__(
        self,
        learning_rate: float,
        warmup_steps: int,
        stable_steps: int,
        decay_steps: int,
        start_lr: float = 0.0,
        end_lr: float = 0.0,
        decay: str = "linear",
        last_epoch: int = -1,
        verbose: bool = False,
    ) -> None:
        owner = "WarmupStableDecay"
        top = number(owner, "learning_rate", learning_rate, at_least=0)
        self.warmup_steps = whole(owner, "warmup_steps", warmup_steps, "0 for no warm-up", at_least=0)
        self.stable_steps = whole(owner, "stable_steps", stable_steps, "0 for no constant stretch", at_least=0)
        self.decay_steps = whole(owner, "decay_steps", decay_steps, above=0)
        self.start_lr = number(owner, "start_lr", start_lr, at_least=0, at_most=top)
        self.end_lr = number(owner, "end_lr", end_lr, at_least=0, at_most=top)
        self.decay = choice(owner, "decay", decay, tuple(_FALL))
        super().__init__(top, last_epoch, verbose)

    def get_lr(self) -> float:
        if self.last_epoch < self.warmup_steps:
            return linear(self.start_lr, self.base_lr, self.last_epoch / self.warmup_steps)
        decaying = max(self.last_epoch - self.warmup_steps - self.stable_steps, 0)
        return _FALL[self.decay](self.base_lr, self.end_lr, min(decaying / self.decay_steps, 1.0))
