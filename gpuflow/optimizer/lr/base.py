"""LRScheduler: what every learning-rate schedule shares."""

from __future__ import annotations

import math
import warnings
from typing import Any

from gpuflow.errors import explain
from gpuflow.optimizer.lr.arguments import as_python, epoch_index, number, whole


class LRScheduler:
    """A learning rate that depends on how often `step` was called; pass it as an optimizer's `learning_rate`.

    The caller steps it, after `optimizer.step()`: once per epoch or once per batch, whichever unit the schedule's
    arguments are counted in ("epoch" below means that unit). The optimizer reads the rate by calling the scheduler and
    never steps it. The constructor takes the first step, so a fresh scheduler stands at epoch 0. A step that a
    GradScaler leaves out should not move it; see there.

    To write your own, set your attributes, then call `super().__init__`, and override `get_lr`, which computes the rate
    from `base_lr`, `last_epoch` and, if it builds on the previous rate, `last_lr`. If it does, also define
    `_get_closed_form_lr`, the rate from `last_epoch` alone: `step(epoch)` prefers it. Override `state_keys` to have
    more attributes saved.

    Args:
        learning_rate: the rate the schedule starts from, >= 0.
        last_epoch: the epoch before the first one, >= -1. A schedule that builds on the previous rate starts from
            `learning_rate` there; use `set_state_dict` to resume one of those.
        verbose: print a line whenever the rate is set.

    Attributes: `base_lr` (the rate it started from), `last_lr` (the current rate), `last_epoch` (the current epoch).
    """

    def __init__(self, learning_rate: float = 0.1, last_epoch: int = -1, verbose: bool = False) -> None:
        owner = type(self).__name__
        self.base_lr = number(owner, "learning_rate", learning_rate, at_least=0)
        self.last_lr = self.base_lr
        self.last_epoch = whole(owner, "last_epoch", last_epoch, "-1 to start afresh", at_least=-1)
        self.verbose = verbose
        self.step()

    def __call__(self) -> float:
        """The current rate."""
        return self.last_lr

    def get_lr(self) -> float:
        """The rate at `last_epoch`; every schedule overrides this."""
        raise NotImplementedError(
            explain(
                type(self).__name__,
                "a method get_lr",
                "none",
                "def get_lr(self): return self.base_lr * 0.9 ** self.last_epoch",
            )
        )

    def step(self, epoch: float | None = None) -> None:
        """Move to the next epoch, or to `epoch` (>= 0), and set the rate; the optimizer's next step uses it."""
        if epoch is None:
            self.last_epoch += 1
            self._set_rate(self.get_lr())
        else:
            self.last_epoch = epoch_index(type(self).__name__, epoch)
            self._set_rate(getattr(self, "_get_closed_form_lr", self.get_lr)())

    def _set_rate(self, rate: Any) -> None:
        """Takes what get_lr returned: a number, or a one-element array of any device."""
        rate = float(rate)
        if not math.isfinite(rate):
            expected = f"a finite learning rate at epoch {self.last_epoch}"
            hint = "check the function or the subclass that computes it"
            raise ValueError(explain(type(self).__name__, expected, str(rate), hint))
        self.last_lr = rate
        if self.verbose:
            print(f"{type(self).__name__}: epoch {self.last_epoch}, learning rate {rate}")

    def state_keys(self) -> None:
        """Sets `self.keys`, the names of the attributes that `state_dict` saves."""
        self.keys = ["last_epoch", "last_lr"]

    def state_dict(self) -> dict[str, Any]:
        """What is needed to go on from here, as plain Python numbers; attributes that do not exist are left out."""
        self.state_keys()
        return {key: as_python(self.__dict__[key]) for key in self.keys if key in self.__dict__}

    def set_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state. A missing entry is an error and changes nothing; an unknown one is a warning."""
        self.__dict__.update(self._checked_state(state_dict))

    def _checked_state(self, state_dict: dict[str, Any]) -> dict[str, Any]:
        """The entries named by `self.keys`, as plain Python numbers."""
        owner = type(self).__name__
        if not isinstance(state_dict, dict):
            raise TypeError(explain(owner, "a dict", repr(state_dict), f"the result of {owner}.state_dict()"))
        self.state_keys()
        missing = [key for key in self.keys if key not in state_dict]
        if missing:
            got = f"{list(state_dict)} (missing: {missing})"
            raise ValueError(explain(owner, f"{self.keys} in the state", got, f"a state saved by another {owner}"))
        unknown = [key for key in state_dict if key not in self.keys]
        if unknown:
            warnings.warn(f"{owner}: ignored {unknown} in the state; was it saved by another schedule?", stacklevel=3)
        found = {key: as_python(state_dict[key]) for key in self.keys}
        for key in {"last_epoch", "last_lr"} & found.keys():
            number(owner, key, found[key], "a state that was not changed")
        return found

    def set_dict(self, state_dict: dict[str, Any]) -> None:
        """Another name for `set_state_dict`."""
        self.set_state_dict(state_dict)


def linear(start: float, end: float, fraction: float) -> float:
    """From start (fraction 0) to end (fraction 1) on a straight line."""
    return (end - start) * fraction + start


def half_cosine(start: float, end: float, angle: float) -> float:
    """From start (angle 0) to end (angle pi) along half a cosine."""
    return end + (start - end) * (1 + math.cos(angle)) / 2
