"""L-BFGS: quasi-Newton steps from the last few gradients, for full batches."""
from __future__ import annotations

from typing import Any

import numpy as np

from gpuflow import device
from gpuflow.autograd.tape import enable_grad
from gpuflow.errors import explain
from gpuflow.optimizer.arena import common_place
from gpuflow.optimizer.base import Optimizer
from gpuflow.optimizer.line_search import Point, strong_wolfe
from gpuflow.optimizer.lr.arguments import choice, number, whole
from gpuflow.optimizer.state import named
from gpuflow.tensor import Tensor

CURVATURE = 1e-10   # y · s below this says nothing about the curvature


class LBFGS(Optimizer):
    """Steps along -H g, where H approximates the inverse Hessian from the last `history_size` changes of the gradient.

    `step(closure)` evaluates the loss several times: closure() clears the gradients, computes the loss, calls
    `backward()` and returns the loss. It returns the loss before the step. Decisions are taken on the host, so each
    iteration waits for the device.

    learning_rate: the step length, and the line search's first; the very first step is scaled by min(1, 1 / sum|g|).
    max_iter, max_eval: most iterations and evaluations per `step`; max_eval defaults to 1.25 max_iter.
    tolerance_grad: done when no element of the gradient is larger. tolerance_change: done when a step moves no element,
    or the loss, by more. history_size: pairs of vectors kept, each as large as all parameters. line_search_fn: None or
    "strong_wolfe".
    weight_decay and grad_clip must be None and rate factors 1 or 0 (0: the parameter stays where it is): the line
    search needs gradients that belong to the loss. Add a penalty to the loss instead.

    Nocedal and Wright, Numerical Optimization, 2nd ed., algorithm 7.5.
    """

    _ruled = False

    def __init__(self, learning_rate=1.0, max_iter=20, max_eval=None, tolerance_grad=1e-7, tolerance_change=1e-9,
                 history_size=100, line_search_fn=None, parameters=None, weight_decay=None, grad_clip=None, name=None):
        if weight_decay is not None or grad_clip is not None:
            raise ValueError(explain("LBFGS", "weight_decay=None and grad_clip=None", "one of them",
                                     "a penalty that is part of the loss"))
        self._most = (whole("LBFGS", "max_iter", max_iter, at_least=1),
                      max_iter * 5 // 4 if max_eval is None else whole("LBFGS", "max_eval", max_eval, at_least=1))
        self._tolerance = (number("LBFGS", "tolerance_grad", tolerance_grad, at_least=0),
                           number("LBFGS", "tolerance_change", tolerance_change, at_least=0))
        self._keeps = whole("LBFGS", "history_size", history_size, at_least=1)
        self._searches = line_search_fn is not None and bool(
            choice("LBFGS", "line_search_fn", line_search_fn, ("strong_wolfe",)))
        super().__init__(learning_rate, parameters, None, None, name)
        self._memory = _Memory()

    def _adjusted(self, strategy):
        if strategy.rate not in (0, 1) or strategy.l1 or strategy.l2 or strategy.clip != "none":
            raise ValueError(explain("LBFGS", "parameters without clip, regularizer and rate factor (but 0)",
                                     f"one with {strategy.source}"))
        return strategy

    def minimize(self, loss, startup_program=None, parameters=None, no_grad_set=None):
        """NotImplementedError: one loss is not enough; see `step`."""
        raise NotImplementedError(explain("LBFGS.minimize", "step(closure)", "a call of minimize"))

    def _step(self, only, given=None):
        raise NotImplementedError(explain("LBFGS", "step(closure)", "gradients alone"))

    def step(self, closure) -> Tensor:  # type: ignore[override]  # it has to ask for the loss again
        """Up to max_iter iterations; returns the loss before them, as `closure` gave it."""
        if not callable(closure):
            raise TypeError(explain("LBFGS.step", "a function that computes the loss and its gradients",
                                    type(closure).__name__))
        params = self._groups.params
        common_place("LBFGS", params)
        walk = _Walk(params, [not p.stop_gradient and self._strategy(p).rate != 0 for p in params], closure)
        first, gradient = walk.evaluate()
        memory, (most, evaluations) = self._memory, self._most
        memory.evaluations += 1
        loss, done = float(first), 1
        if walk.largest(gradient) <= self._tolerance[0]:
            return first
        for k in range(most):
            memory.iterations += 1
            direction = walk.along(memory.direction(gradient, self._keeps))
            length = self.get_lr()
            if memory.iterations == 1:
                length *= min(1.0, 1.0 / float(abs(gradient).sum()))
            slope = _dot(gradient, direction)
            memory.note(direction, length, gradient)
            if slope > -self._tolerance[1]:
                break
            before, spent = loss, 0
            if self._searches:
                found, spent = walk.search(direction, length, Point(0.0, loss, slope, gradient), self._tolerance[1])
                walk.move(found.step, direction)
                loss, gradient = found.loss, found.gradient
                memory.length = length = found.step
            else:
                walk.move(length, direction)
                if k + 1 < most:
                    value, gradient = walk.evaluate()
                    loss, spent = float(value), 1
            done += spent
            memory.evaluations += spent
            if (walk.largest(gradient) <= self._tolerance[0] or done >= evaluations
                    or walk.largest(direction) * abs(length) <= self._tolerance[1]
                    or abs(loss - before) < self._tolerance[1]):
                break
        return first

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def state_dict(self) -> dict:
        """{"state": ...} under Paddle's names; vectors are over all parameters in order. With a scheduler's state."""
        out: dict = {"state": self._memory.state()}
        if hasattr(self._learning_rate, "state_dict"):
            out["LR_Scheduler"] = self._learning_rate.state_dict()
        return out

    def set_state_dict(self, state_dict: dict) -> None:
        """Goes on from a saved state. ValueError when its vectors do not have as many numbers as the parameters."""
        if not isinstance(state_dict, dict) or "state" not in state_dict:
            raise ValueError(explain("LBFGS.set_state_dict", "a dict with an entry 'state'", repr(state_dict)[:80]))
        params = self._groups.params
        memory = _Memory.from_state(state_dict["state"], common_place("LBFGS", params), sum(p.size for p in params))
        if hasattr(self._learning_rate, "set_state_dict"):
            self._learning_rate.set_state_dict(state_dict["LR_Scheduler"])
        self._memory = memory

    set_dict = load_state_dict = set_state_dict


class _Walk:
    """Loss and gradient as functions of one vector over all parameters as they stand; zeros where one does not move,
    so that freezing and unfreezing leave the vectors of earlier steps usable."""

    def __init__(self, params, moves, closure):
        self.params, self.closure = params, closure
        ends = np.cumsum([p.size for p in params]).tolist()
        self.moving = [(p, slice(end - p.size, end)) for p, end, one in zip(params, ends, moves) if one]

    def evaluate(self):
        """(loss as the closure returns it, flat gradient)."""
        with enable_grad():
            loss = self.closure()
        xp = device.module_of(self.params[0]._array)
        parts = [xp.zeros_like(p._array) if p._grad is None else _dense(p._grad) for p in self.params]
        return loss, self.along(xp.concatenate([part.reshape(-1) for part in parts]))

    def along(self, vector):
        """The vector with zeros for what does not move, which its gradient, or memory of other days, would move."""
        out = device.module_of(vector).zeros_like(vector)
        for _, at in self.moving:
            out[at] = vector[at]
        return out

    def move(self, step: float, direction) -> None:
        for p, at in self.moving:
            p._write(p._array + (step * direction[at]).astype(p._array.dtype).reshape(p._array.shape))

    def search(self, direction, first, start, smallest):
        here = [p._array.copy() for p, _ in self.moving]

        def evaluate(step):
            self.move(step, direction)
            loss, gradient = self.evaluate()
            for (p, _), array in zip(self.moving, here):
                p._write(array)
            return Point(step, float(loss), _dot(gradient, direction), gradient)

        return strong_wolfe(evaluate, first, start, self.largest(direction), smallest)

    @staticmethod
    def largest(vector) -> float:
        return float(abs(vector).max())


class _Memory:
    """What is kept from iteration to iteration: the last move, and pairs (change of gradient, move)."""

    def __init__(self):
        self.iterations = self.evaluations = 0
        self.last: Any = None      # (direction, gradient) of the iteration before
        self.length = 0.0          # how far it went along that direction
        self.pairs: list = []      # (y, s, 1 / y·s), oldest first
        self.scale = 1.0           # of the first approximation of the inverse Hessian

    def note(self, direction, length, gradient) -> None:
        self.last, self.length = (direction, gradient), length

    def direction(self, gradient, keeps: int):
        """-H g by the two-loop recursion."""
        if self.last is None:
            return -gradient
        direction, before = self.last
        y, s = gradient - before, direction * self.length
        along = _dot(y, s)
        if along > CURVATURE:
            self.pairs = [*self.pairs, (y, s, 1 / along)][-keeps:]
            self.scale = along / _dot(y, y)
        out, weights = -gradient, []
        for y, s, rho in reversed(self.pairs):
            weights.append(_dot(s, out) * rho)
            out = out - weights[-1] * y
        out = out * self.scale
        for y, s, rho in self.pairs:
            out = out + (weights.pop() - _dot(y, out) * rho) * s
        return out

    def state(self) -> dict:
        """Under Paddle's names."""
        out: dict = {"func_evals": self.evaluations, "n_iter": self.iterations}
        if self.last is not None:
            changes, moves, rho = zip(*self.pairs, strict=True) if self.pairs else ((), (), ())
            out |= {"d": named("lbfgs_d", self.last[0]), "prev_flat_grad": named("lbfgs_prev_flat_grad", self.last[1]),
                    "old_yk": [named(f"lbfgs_old_yk_{k}", y) for k, y in enumerate(changes)],
                    "old_sk": [named(f"lbfgs_old_sk_{k}", s) for k, s in enumerate(moves)],
                    "ro": list(rho), "H_diag": self.scale, "alpha": self.length}
        return out

    @classmethod
    def from_state(cls, state: dict, place, size: int) -> _Memory:
        """The way back; checks that vectors have `size` numbers."""
        def vector(value):
            array = value._array if isinstance(value, Tensor) else np.asarray(value)
            if array.shape != (size,):
                raise ValueError(explain("LBFGS.set_state_dict", f"vectors of {size} numbers", str(array.shape)))
            return device.move(array, place).copy()

        out = cls()
        out.evaluations, out.iterations = int(state["func_evals"]), int(state["n_iter"])
        if state.get("d") is not None:
            out.last = vector(state["d"]), vector(state["prev_flat_grad"])
            out.length, out.scale = float(state["alpha"]), float(state["H_diag"])
            out.pairs = [(vector(y), vector(s), float(rho))
                         for y, s, rho in zip(state["old_yk"], state["old_sk"], state["ro"], strict=True)]
        return out


def _dense(g):
    return g._array if isinstance(g, Tensor) else g.dense()


def _dot(x, y) -> float:
    """x · y in float64: sums of float32 products would decide about steps."""
    return float((x.astype(np.float64) * y).sum())
