"""Schedules made of ramps and waves: cosine, warm restarts, one cycle, triangles, a straight line."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from gpuflow.errors import explain
from gpuflow.optimizer.lr.arguments import choice, epoch_index, function, number, whole
from gpuflow.optimizer.lr.base import LRScheduler, half_cosine, linear


class CosineAnnealingDecay(LRScheduler):
    """Half a cosine down to eta_min in T_max epochs, then up again in as many, and so on:

        lr = eta_min + (learning_rate - eta_min) * (1 + cos(pi * epoch / T_max)) / 2

    `step()` gets there from the previous rate: what is left above eta_min is scaled by the ratio of two neighbouring
    values of the formula. So a rate that was changed by hand stays changed. `step(epoch)` uses the formula itself.
    Source: Loshchilov and Hutter 2017, SGDR, arXiv 1608.03983, without the restarts.

    Args:
        learning_rate: rate at epoch 0, >= 0.
        T_max: epochs from the top to the bottom, an int > 0.
        eta_min: the bottom, >= 0.
    """

    def __init__(
        self, learning_rate: float, T_max: int, eta_min: float = 0, last_epoch: int = -1, verbose: bool = False
    ) -> None:
        self.T_max = whole("CosineAnnealingDecay", "T_max", T_max, above=0)
        self.eta_min = number("CosineAnnealingDecay", "eta_min", eta_min, at_least=0)
        super().__init__(learning_rate, last_epoch, verbose)

    def _get_closed_form_lr(self) -> float:
        return half_cosine(self.base_lr, self.eta_min, math.pi * self.last_epoch / self.T_max)

    def get_lr(self) -> float:
        epoch, period = self.last_epoch, self.T_max
        if epoch == 0:
            return self.base_lr
        if (epoch - 1 - period) % (2 * period) == 0:  # the previous epoch was a bottom: there is nothing to scale
            return self.last_lr + (self.base_lr - self.eta_min) * (1 - math.cos(math.pi / period)) / 2
        now, before = (1 + math.cos(math.pi * e / period) for e in (epoch, epoch - 1))
        return now / before * (self.last_lr - self.eta_min) + self.eta_min


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine down to eta_min, then a leap back to the top, each cycle T_mult times as long as the one before:

        lr = eta_min + (learning_rate - eta_min) * (1 + cos(pi * T_cur / T_i)) / 2

    T_cur counts epochs since the last restart and T_i is the length of the present cycle. `step(epoch)` takes
    fractions of an epoch, `step(epoch + batch / batches)`, for a smooth curve; `last_epoch` is then rounded down.
    Source: Loshchilov and Hutter 2017, SGDR, arXiv 1608.03983.

    T_cur and T_i are saved as well, so a resumed run stays in its cycle. (Paddle 3.3.1 saves only the epoch and the
    rate and starts the cycle over; a state of that kind is accepted, and the cycle worked out from its epoch.)

    Args:
        learning_rate: the top, >= 0.
        T_0: epochs in the first cycle, an int > 0.
        T_mult: growth of the cycles, an int >= 1.
        eta_min: the bottom, >= 0.
    """

    def __init__(
        self,
        learning_rate: float,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0,
        last_epoch: int = -1,
        verbose: bool = False,
    ) -> None:
        self.T_0 = whole("CosineAnnealingWarmRestarts", "T_0", T_0, above=0)
        self.T_mult = whole("CosineAnnealingWarmRestarts", "T_mult", T_mult, at_least=1)
        self.eta_min = number("CosineAnnealingWarmRestarts", "eta_min", eta_min, at_least=0)
        self.T_cur: float = last_epoch
        self.T_i = self.T_0
        super().__init__(learning_rate, last_epoch, verbose)

    def get_lr(self) -> float:
        return half_cosine(self.base_lr, self.eta_min, math.pi * self.T_cur / self.T_i)

    def step(self, epoch: float | None = None) -> None:
        if epoch is None:
            epoch = self.last_epoch + 1
            self._enter_cycle(self.T_cur + 1, self.T_i)
        else:
            epoch = epoch_index("CosineAnnealingWarmRestarts", epoch)
            self._enter_cycle(epoch, self.T_0)
        self.last_epoch = math.floor(epoch)
        self._set_rate(self.get_lr())

    def _enter_cycle(self, position: float, length: int) -> None:
        """Sets T_cur and T_i for `position` epochs after the start of a cycle that is `length` epochs long."""
        if self.T_mult == 1:
            position %= length
        while position >= length:
            position -= length
            length *= self.T_mult
        self.T_cur, self.T_i = position, length

    def state_keys(self) -> None:
        self.keys = ["last_epoch", "last_lr", "T_cur", "T_i"]

    def set_state_dict(self, state_dict: dict[str, Any]) -> None:
        if isinstance(state_dict, dict) and "last_epoch" in state_dict and "T_cur" not in state_dict:
            twin = CosineAnnealingWarmRestarts(self.base_lr, self.T_0, self.T_mult, self.eta_min)
            twin.step(state_dict["last_epoch"])
            state_dict = {**state_dict, "T_cur": twin.T_cur, "T_i": twin.T_i}
        super().set_state_dict(state_dict)


class OneCycleLR(LRScheduler):
    """One rise and one long fall over a whole training run, usually stepped once per batch.

    The rate goes  initial -> max_learning_rate -> end_learning_rate  with initial = max_learning_rate / divide_factor;
    with three_phase it goes  initial -> max_learning_rate -> initial -> end_learning_rate. With P = phase_pct *
    total_steps and T = total_steps, the turning points are the epochs 0, P - 1, T - 1, or 0, P - 1, 2P - 2, T - 1.
    Between two of them the rate follows half a cosine or a straight line.

    `step()` may be called total_steps times, so that a loop which steps after every batch ends well; once more is an
    error. The last of those steps, which no batch uses, lies one epoch beyond the end: the cosine goes on there, the
    line stays at end_learning_rate. (Paddle's line goes on as well, often to a negative rate.)
    Source: Smith and Topin 2018, Super-Convergence, arXiv 1708.07120.

    Args:
        max_learning_rate: the peak, >= 0.
        total_steps: length of the run, an int > 0.
        divide_factor: peak / first rate, > 0.
        end_learning_rate: last rate, >= 0.
        phase_pct: share of the run in which the rate rises, 0 to 1; with three_phase less than 0.5.
        anneal_strategy: "cos" or "linear".
        three_phase: fall as symmetrically as it rose, then down to end_learning_rate.
    """

    def __init__(
        self,
        max_learning_rate: float,
        total_steps: int,
        divide_factor: float = 25.0,
        end_learning_rate: float = 0.0001,
        phase_pct: float = 0.3,
        anneal_strategy: str = "cos",
        three_phase: bool = False,
        last_epoch: int = -1,
        verbose: bool = False,
    ) -> None:
        owner = "OneCycleLR"
        peak = number(owner, "max_learning_rate", max_learning_rate, at_least=0)
        end = number(owner, "end_learning_rate", end_learning_rate, at_least=0)
        first = peak / number(owner, "divide_factor", divide_factor, above=0)
        self.total_steps = whole(owner, "total_steps", total_steps, above=0)
        share = number(owner, "phase_pct", phase_pct, at_least=0, at_most=1)
        self.anneal_strategy = choice(owner, "anneal_strategy", anneal_strategy, ("cos", "linear"))
        if three_phase:
            number(owner, "phase_pct with three_phase", share, below=0.5)
            turns = [0, share * total_steps - 1, 2 * share * total_steps - 2, total_steps - 1]
            rates = [first, peak, first, end]
        else:
            turns = [0, share * total_steps - 1, total_steps - 1]
            rates = [first, peak, end]
        self._phases = list(zip(turns[:-1], turns[1:], rates[:-1], rates[1:], strict=True))
        super().__init__(first, last_epoch, verbose)

    def get_lr(self) -> float:
        epoch = self.last_epoch
        if epoch > self.total_steps:
            hint = "total_steps = epochs * batches per epoch"
            raise ValueError(explain("OneCycleLR", f"at most {self.total_steps} steps", f"step {epoch}", hint))
        *earlier, last = self._phases
        begin, stop, rate, next_rate = next((phase for phase in earlier if epoch <= phase[1]), last)
        fraction = (epoch - begin) / (stop - begin) if stop > begin else 1.0
        if self.anneal_strategy == "cos":
            return half_cosine(rate, next_rate, math.pi * fraction)
        # A fraction above 1 belongs to the one epoch beyond the end.
        return linear(rate, next_rate, min(fraction, 1.0))


class CyclicLR(LRScheduler):
    """Triangles between two rates, usually stepped once per batch.

        cycle  = 1 + epoch // (step_size_up + step_size_down)
        height = 0 ... 1 ... 0, rising in step_size_up epochs, falling in step_size_down
        lr     = base_learning_rate + (max_learning_rate - base_learning_rate) * height * scale

        mode "triangular"   scale = 1
        mode "triangular2"  scale = 0.5 ** (cycle - 1)
        mode "exp_range"    scale = exp_gamma ** epoch
        scale_fn given      scale = scale_fn(cycle), or scale_fn(epoch) when scale_mode is "iterations"

    Source: Smith 2017, Cyclical Learning Rates for Training Neural Networks, arXiv 1506.01186.

    Args:
        base_learning_rate: the lower rate, >= 0.
        max_learning_rate: the upper rate, >= base_learning_rate.
        step_size_up: epochs of the rise, an int > 0.
        step_size_down: epochs of the fall, an int > 0; as step_size_up when None.
        mode: "triangular", "triangular2" or "exp_range"; not read when scale_fn is given.
        exp_gamma: factor per epoch of "exp_range", > 0.
        scale_fn: function of one number that returns the scale.
        scale_mode: "cycle" or "iterations", what scale_fn is given.
    """

    def __init__(
        self,
        base_learning_rate: float,
        max_learning_rate: float,
        step_size_up: int,
        step_size_down: int | None = None,
        mode: str = "triangular",
        exp_gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        last_epoch: int = -1,
        verbose: bool = False,
    ) -> None:
        owner = "CyclicLR"
        low = number(owner, "base_learning_rate", base_learning_rate, at_least=0)
        self.max_lr = number(owner, "max_learning_rate", max_learning_rate, at_least=low)
        self.amplitude = self.max_lr - low
        up = whole(owner, "step_size_up", step_size_up, above=0)
        down = up if step_size_down is None else whole(owner, "step_size_down", step_size_down, above=0)
        self.cycle_size = float(up + down)
        self.step_up_pct = up / self.cycle_size
        self.mode = mode
        self.gamma = number(owner, "exp_gamma", exp_gamma, above=0)
        self.scale_mode = choice(owner, "scale_mode", scale_mode, ("cycle", "iterations"))
        if scale_fn is not None:
            self.scale_fn = function(owner, "scale_fn", scale_fn)
        else:
            choice(owner, "mode", mode, ("triangular", "triangular2", "exp_range"))
            self.scale_mode = "iterations" if mode == "exp_range" else "cycle"
            self.scale_fn = self._scale_of_mode
        super().__init__(low, last_epoch, verbose)

    def _scale_of_mode(self, count: float) -> float:
        if self.mode == "triangular":
            return 1.0
        return 0.5 ** (count - 1) if self.mode == "triangular2" else self.gamma**count

    def get_lr(self) -> float:
        cycle = 1 + self.last_epoch // self.cycle_size
        position = 1.0 + self.last_epoch / self.cycle_size - cycle  # 0 to 1 within the cycle
        up = self.step_up_pct
        height = position / up if position <= up else (1 - position) / (1 - up)
        return self.base_lr + self.amplitude * height * self.scale_fn(
            cycle if self.scale_mode == "cycle" else self.last_epoch
        )


class LinearLR(LRScheduler):
    """A straight line between two factors, then constant:

        lr = learning_rate * (start_factor + (end_factor - start_factor) * min(epoch, total_steps) / total_steps)

    It is reached from the previous rate, by the ratio of two neighbouring values of the formula, for `step()` and
    `step(epoch)` alike (as Paddle does it). So epochs must be visited one by one, starting at 0: a leap multiplies
    the rate by one ratio only.

    Args:
        learning_rate: the rate that the factors scale, >= 0.
        total_steps: epochs until end_factor, > 0.
        start_factor: factor at epoch 0, 0 < start_factor <= 1.
        end_factor: factor from total_steps on, 0 to 1.
    """

    def __init__(
        self,
        learning_rate: float,
        total_steps: int,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        last_epoch: int = -1,
        verbose: bool = False,
    ) -> None:
        self.total_steps = total_steps
        number("LinearLR", "total_steps", total_steps, above=0)
        self.start_factor = number("LinearLR", "start_factor", start_factor, above=0, at_most=1)
        self.end_factor = number("LinearLR", "end_factor", end_factor, at_least=0, at_most=1)
        super().__init__(learning_rate, last_epoch, verbose)

    def get_lr(self) -> float:
        if self.last_epoch == 0:
            return self.base_lr * self.start_factor
        if self.last_epoch > self.total_steps:
            return self.last_lr
        slope = self.end_factor - self.start_factor
        before = self.total_steps * self.start_factor + (self.last_epoch - 1) * slope
        return self.last_lr * (1.0 + slope / before)
