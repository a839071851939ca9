"""ReduceOnPlateau: the one schedule that looks at a metric instead of the epoch."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

from gpuflow.errors import explain
from gpuflow.optimizer.lr.arguments import choice, epoch_index, number, whole
from gpuflow.optimizer.lr.base import LRScheduler


class ReduceOnPlateau(LRScheduler):
    """Multiplies the rate by factor when a metric has not become better for more than patience steps.

    With `best` as the best metric so far, a new one is better when

        mode "min":  metric < best - best * threshold  (threshold_mode "rel"),  metric < best - threshold  ("abs")
        mode "max":  metric > best + best * threshold  (threshold_mode "rel"),  metric > best + threshold  ("abs")

    A metric that is NaN or infinite is never better and never becomes `best`. After a reduction, the next cooldown
    steps are not judged. The rate changes to max(rate * factor, min_lr) if that lowers it by more than epsilon.
    The caller steps it with the metric, `step(loss)`, usually once per epoch after evaluation.

    Args:
        learning_rate: first rate, >= 0.
        mode: "min" when smaller metrics are better, "max" when greater ones are.
        factor: 0 <= factor < 1.
        patience: steps without progress that are forgiven, an int >= 0.
        threshold: least change that counts as progress, >= 0.
        threshold_mode: "rel" (share of best) or "abs".
        cooldown: steps of rest after a reduction, an int >= 0.
        min_lr: floor of the rate, >= 0.
        epsilon: least reduction that is carried out, >= 0.
    """

    def __init__(
        self,
        learning_rate: float,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0,
        epsilon: float = 1e-8,
        verbose: bool = False,
    ) -> None:
        owner = "ReduceOnPlateau"
        self.mode = choice(owner, "mode", _lower(mode), ("min", "max"))
        self.threshold_mode = choice(owner, "threshold_mode", _lower(threshold_mode), ("rel", "abs"))
        self.factor = number(owner, "factor", factor, at_least=0, below=1)
        self.patience = whole(owner, "patience", patience, at_least=0)
        self.threshold = number(owner, "threshold", threshold, at_least=0)
        self.cooldown = whole(owner, "cooldown", cooldown, at_least=0)
        self.min_lr = number(owner, "min_lr", min_lr, at_least=0)
        self.epsilon = number(owner, "epsilon", epsilon, at_least=0)
        self.best: float | None = None
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        # No call of the base's constructor: it takes a step, and there is no metric yet.
        self.base_lr = self.last_lr = number(owner, "learning_rate", learning_rate, at_least=0)
        self.last_epoch = 0
        self.verbose = verbose

    def get_lr(self) -> float:
        return self.last_lr

    def state_keys(self) -> None:
        self.keys = ["cooldown_counter", "best", "num_bad_epochs", "last_epoch", "last_lr"]

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Judge metrics, a number or a tensor or array of one element. A tensor is copied to the host here."""
        metric = _as_float(metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch_index("ReduceOnPlateau", epoch)
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            return
        if math.isfinite(metric) and (self.best is None or self._is_better(metric, self.best)):
            self.best = metric
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
            reduced = max(self.last_lr * self.factor, self.min_lr)
            if self.last_lr - reduced > self.epsilon:
                self._set_rate(reduced)

    def _is_better(self, metric: float, best: float) -> bool:
        margin = best * self.threshold if self.threshold_mode == "rel" else self.threshold
        return metric < best - margin if self.mode == "min" else metric > best + margin


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _as_float(metrics: Any) -> float:
    if isinstance(metrics, Real):
        return float(metrics)
    if not hasattr(metrics, "item"):
        expected = "metrics as a number or a one-element tensor"
        raise TypeError(explain("ReduceOnPlateau", expected, repr(metrics), "step(loss)"))
    shape = list(getattr(metrics, "shape", []))
    if math.prod(shape) != 1:
        raise ValueError(explain("ReduceOnPlateau", "one number as metrics", f"shape {shape}", "step(loss.mean())"))
    return float(metrics.item())
