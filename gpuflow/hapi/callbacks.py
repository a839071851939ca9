"""Callbacks: what is called while a Model fits, evaluates and predicts, and those that steer it."""
from __future__ import annotations

import math
import os
import warnings
from typing import Any

from gpuflow import structure
from gpuflow.errors import explain
from gpuflow.hapi.logs import one_number
from gpuflow.optimizer import lr


class Callback:
    """Override what you need; `self.model` is the Model, and `self.model.stop_training = True` ends fit.

    self.params: {"batch_size", "epochs", "steps" (None: not known), "verbose", "metrics" (names, "loss" first)}.
    logs: "step", "batch_size", "loss" as a list, the metrics, "ips" (samples per second); while training also "lr",
        "grad_norm" and "skipped_steps", those that there are.
    """

    model: Any = None
    params: dict = {}

    def __init__(self):
        pass

    def set_params(self, params: dict) -> None:
        """Called before the run, with what is known of it."""
        self.params = params

    def set_model(self, model) -> None:
        """Called before the run, with the Model."""
        self.model = model

    def on_train_begin(self, logs=None):
        """fit begins."""

    def on_train_end(self, logs=None):
        """fit ends."""

    def on_eval_begin(self, logs=None):
        """An evaluation begins; logs: "steps", "metrics"."""

    def on_eval_end(self, logs=None):
        """An evaluation ends."""

    def on_predict_begin(self, logs=None):
        """predict begins; logs: "steps"."""

    def on_predict_end(self, logs=None):
        """predict ends."""

    def on_epoch_begin(self, epoch, logs=None):
        """An epoch of fit begins, the first is 0."""

    def on_epoch_end(self, epoch, logs=None):
        """An epoch of fit ends, before its evaluation."""

    def on_train_batch_begin(self, step, logs=None):
        """A training step begins, the first of an epoch is 0."""

    def on_train_batch_end(self, step, logs=None):
        """A training step ends."""

    def on_eval_batch_begin(self, step, logs=None):
        """A batch of an evaluation begins."""

    def on_eval_batch_end(self, step, logs=None):
        """A batch of an evaluation ends."""

    def on_predict_batch_begin(self, step, logs=None):
        """A batch of predict begins."""

    def on_predict_batch_end(self, step, logs=None):
        """A batch of predict ends."""


    def release(self) -> None:
        """Lets go of files and bars: called when fit, evaluate or predict is over, also by an error."""


class CallbackList(Callback):
    """Calls all of them in order."""

    def __init__(self, callbacks):
        super().__init__()
        self.callbacks = list(callbacks)

    def __iter__(self):
        return iter(self.callbacks)

    def append(self, callback: Callback) -> None:
        """One more, called last."""
        self.callbacks.append(callback)

    def set_params(self, params):
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model):
        for callback in self.callbacks:
            callback.set_model(model)

    def release(self):
        for callback in self.callbacks:
            callback.release()

    def call(self, event: str, *args) -> None:
        """`on_<event>(*args)` of each."""
        for callback in self.callbacks:
            getattr(callback, f"on_{event}")(*args)


def listed(callbacks) -> list:
    """One callback, several or None as a list."""
    found = structure.listed(callbacks)
    for callback in found:
        if not isinstance(callback, Callback):
            raise TypeError(explain("callbacks", "instances of gpuflow.callbacks.Callback", repr(callback)))
    return found


class ModelCheckpoint(Callback):
    """Saves the model as save_dir/<epoch> after every save_freq-th epoch, and as save_dir/final when fit ends."""

    def __init__(self, save_freq: int = 1, save_dir: str | None = None):
        super().__init__()
        self.save_freq, self.save_dir = save_freq, save_dir

    def on_epoch_end(self, epoch, logs=None):
        if epoch % self.save_freq == 0:
            self._save(str(epoch))

    def on_train_end(self, logs=None):
        self._save("final")

    def _save(self, name: str) -> None:
        if self.save_dir:
            path = os.path.join(self.save_dir, name)
            self.model.save(path)
            if self.params.get("verbose"):
                print(f"save checkpoint at {os.path.abspath(path)}")


class LRScheduler(Callback):
    """Steps the optimizer's schedule after each batch (by_step) or each epoch (by_epoch).

    By batch it stands still where the optimizer's step was left out, by mixed precision or on_nonfinite="skip".
    """

    def __init__(self, by_step: bool = True, by_epoch: bool = False):
        super().__init__()
        if by_step and by_epoch:
            raise ValueError(explain("callbacks.LRScheduler", "by_step or by_epoch", "both"))
        self.by_step, self.by_epoch = by_step, by_epoch
        self._skipped = 0    # steps left out, as last seen

    def on_train_begin(self, logs=None):
        self._skipped = self._left_out()

    def on_train_batch_end(self, step, logs=None):
        if self.by_step and self._schedule() is not None:
            skipped, self._skipped = self._skipped, self._left_out()
            if self._skipped == skipped:
                self._schedule().step()

    def on_epoch_end(self, epoch, logs=None):
        if self.by_epoch and self._schedule() is not None:
            self._schedule().step()

    def _schedule(self):
        found = getattr(self.model._optimizer, "_learning_rate", None)
        return found if isinstance(found, lr.LRScheduler) else None

    def _left_out(self) -> int:
        """Reading it waits for the device where a step may be left out, and nowhere else."""
        return getattr(self.model._optimizer, "skipped_steps", 0)


class _Watcher(Callback):
    """What watches a number of the evaluations. mode: "min", "max", or "auto", which is "max" for names with "acc"."""

    def __init__(self, monitor: str, mode: str, min_delta: float):
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(f"{type(self).__name__} mode {mode} is unknown, fallback to auto mode.", stacklevel=3)
            mode = "auto"
        self.monitor, self.mode, self.min_delta = monitor, mode, abs(min_delta)
        self.sign = 1 if mode == "max" or (mode == "auto" and "acc" in monitor) else -1

    def value(self, logs) -> float | None:
        """The watched number; None, with a warning where the name is unknown."""
        if logs is None or self.monitor not in logs:
            warnings.warn(f"Monitor of {type(self).__name__} should be loss or metric name.", stacklevel=3)
            return None
        return one_number(logs[self.monitor])

    def better(self, value: float, best: float) -> bool:
        """Better by more than min_delta."""
        return self.sign * (value - best) > self.min_delta

    @property
    def worst(self) -> float:
        return -self.sign * math.inf


class EarlyStopping(_Watcher):
    """Ends fit when the watched number has not improved by more than min_delta in `patience` evaluations.

    baseline: what the first evaluation has to beat. save_best_model: with fit's save_dir, the best model is saved there
    as best_model.
    """

    def __init__(self, monitor: str = "loss", mode: str = "auto", patience: int = 0, verbose: int = 1,
                 min_delta: float = 0, baseline: float | None = None, save_best_model: bool = True):
        super().__init__(monitor, mode, min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.save_best_model = save_best_model
        self.save_dir: str | None = None   # fit says where
        self.wait_epoch, self.stopped_epoch = 0, 0
        self.best_value = self.worst if baseline is None else baseline

    def on_train_begin(self, logs=None):
        self.wait_epoch = 0
        self.best_value = self.worst if self.baseline is None else self.baseline

    def on_eval_end(self, logs=None):
        current = self.value(logs)
        if current is None:
            return
        best = None if self.save_dir is None or not self.save_best_model else os.path.join(self.save_dir, "best_model")
        if self.better(current, self.best_value):
            self.best_value, self.wait_epoch = current, 0
            if best is not None:
                self.model.save(best)
        else:
            self.wait_epoch += 1
        if self.wait_epoch >= self.patience:
            self.model.stop_training = True
            if self.verbose > 0:
                print(f"Epoch {self.stopped_epoch + 1}: Early stopping.")
                if best is not None:
                    print(f"Best checkpoint has been saved at {os.path.abspath(best)}")
        self.stopped_epoch += 1


class ReduceLROnPlateau(_Watcher):
    """Multiplies a rate that is a number by `factor` after `patience` evaluations that did not improve the watched one.

    cooldown: evaluations after a reduction that do not count. min_lr: the rate stays above it.
    """

    def __init__(self, monitor: str = "loss", factor: float = 0.1, patience: int = 10, verbose: int = 1,
                 mode: str = "auto", min_delta: float = 1e-4, cooldown: int = 0, min_lr: float = 0):
        if factor >= 1:
            raise ValueError(explain("ReduceLROnPlateau", "factor < 1", repr(factor)))
        super().__init__(monitor, mode, min_delta)
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr
        self.epoch = 0
        self.on_train_begin()

    def on_train_begin(self, logs=None):
        self.best, self.wait, self.cooldown_counter = self.worst, 0, 0

    def on_eval_end(self, logs=None):
        current = self.value(logs)
        if current is None:
            return
        optimizer = self.model._optimizer
        if optimizer is None or isinstance(optimizer._learning_rate, lr.LRScheduler):
            warnings.warn("ReduceLROnPlateau: needs an optimizer whose learning rate is a number", stacklevel=2)
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.better(current, self.best):
            self.best, self.wait = current, 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and optimizer.get_lr() > self.min_lr:
                rate = max(optimizer.get_lr() * self.factor, self.min_lr)
                optimizer.set_lr(rate)
                self.cooldown_counter, self.wait = self.cooldown, 0
                if self.verbose > 0:
                    print(f"Epoch {self.epoch + 1}: ReduceLROnPlateau reducing learning rate to {rate}.")
        self.epoch += 1

    def in_cooldown(self) -> bool:
        """Whether evaluations do not count at present."""
        return self.cooldown_counter > 0
