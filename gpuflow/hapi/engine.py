"""Engine: what a Model's steps have in common in both modes: what they are made of, what they tell, their files."""
from __future__ import annotations

import abc
import os
import warnings
from typing import Any

import numpy as np

from gpuflow.amp.auto_cast import auto_cast
from gpuflow.amp.decorate import decorate
from gpuflow.amp.grad_scaler import GradScaler
from gpuflow.errors import explain
from gpuflow.hapi.logs import Logs
from gpuflow.hapi.mixed import Mixed
from gpuflow.io.checkpoint import load, save_together
from gpuflow.nn.layer import Layer
from gpuflow.structure import listed
from gpuflow.tensor import Tensor, to_tensor


def tensors(values) -> list[Tensor]:
    """Arrays and numbers as tensors on the current device; tensors as they are."""
    return [value if isinstance(value, Tensor) else to_tensor(value) for value in listed(values)]


class Engine(abc.ABC):
    """Takes the steps of a network; metrics stay the Model's. See `Eager` and `InProgram`."""

    def __init__(self, network: Layer):
        self.network = network
        self.loss: Any = None
        self.optimizer: Any = None
        self.scaler: GradScaler | None = None
        self.metrics: list = []
        self.mixed = Mixed()

    def prepare(self, optimizer, loss, metrics: list, mixed: Mixed) -> None:
        """Takes what the steps are made of. At level O2 the network's parameters become two-byte floats."""
        self.optimizer, self.loss, self.metrics, self.mixed = optimizer, loss, metrics, mixed
        if mixed.level == "O2":
            options = {key: value for key, value in mixed.casting.items() if key == "dtype"}
            decorate(self.network, optimizer, level="O2", **options)
        self.scaler = GradScaler(**mixed.scaler) if mixed.level != "O0" else None

    def casting(self, training: bool):
        """The block that the network is called in. Without training only level O2 casts: its parameters take no
        float32."""
        level = self.mixed.level
        enable = level == "O2" or (training and level != "O0")
        return auto_cast(enable, level=level if enable else "O1", **(self.mixed.casting if enable else {}))

    @abc.abstractmethod
    def train_batch(self, inputs, labels, update: bool) -> tuple[list, list]:
        """(losses, results of the metrics' updates) of one step. update=False: the gradients only add up."""

    @abc.abstractmethod
    def eval_batch(self, inputs, labels) -> tuple[list, list]:
        """(losses, results of the metrics' updates) without training."""

    @abc.abstractmethod
    def predict_batch(self, inputs) -> list:
        """The network's outputs in evaluation mode."""

    @abc.abstractmethod
    def save_for_inference(self, path: str, specs) -> None:
        """path.pdmodel and path.pdiparams: the network in its evaluation form."""

    def ready(self) -> None:
        """RuntimeError unless there is what training needs."""
        if self.optimizer is None or self.loss is None:
            raise RuntimeError(explain("Model.train_batch", "an optimizer and a loss", "none", "model.prepare("
                                       "optimizer, loss) first"))

    # ---- what a run tells of itself --------------------------------------------------------------------------------

    def measure_norm(self, value: bool) -> bool:
        """Has the optimizer take the gradients' norm in every step; returns whether it did so before."""
        before = getattr(self.optimizer, "measure_grad_norm", False)
        if hasattr(self.optimizer, "measure_grad_norm"):
            self.optimizer.measure_grad_norm = value
        return before

    def vitals(self, logs: Logs, rate: float) -> None:
        """Enters rate, gradient norm and skipped steps of a step that has been taken."""
        optimizer = self.optimizer
        logs["lr"] = rate
        if hasattr(optimizer, "skipped_steps"):
            logs.later("skipped_steps", lambda: optimizer.skipped_steps)
        try:
            norm = optimizer.last_grad_norm
        except (AttributeError, RuntimeError):   # no such optimizer, or none of its parameters had a gradient
            return
        logs.later("grad_norm", lambda: float(norm))

    # ---- files -----------------------------------------------------------------------------------------------------

    def save(self, path: str) -> None:
        """path.pdparams, and where there is something to say path.pdopt and path.pdscaler.

        They appear together: whatever happens meanwhile leaves all of the old ones or all of the new ones.
        """
        states = {suffix: {} if owner is None else owner.state_dict() for suffix, owner in (
            (".pdparams", self.network), (".pdopt", self.optimizer), (".pdscaler", self.scaler))}
        states = {suffix: state for suffix, state in states.items() if state or suffix == ".pdparams"}
        save_together(path, states)

    def load(self, path: str, skip_mismatch: bool, reset_optimizer: bool) -> None:
        """The way back of `save`. What does not fit is refused, and everything is then as it was before."""
        params, fits = load(path + ".pdparams", return_numpy=True), {}
        if not isinstance(params, dict):
            raise ValueError(explain("Model.load", "a dict of names and arrays", type(params).__name__))
        for key, tensor in self.network.state_dict(use_hook=False).items():
            there = params.get(key)
            wrong = f"{key} is not found in {path}.pdparams" if there is None else (
                None if tuple(np.shape(there)) == tuple(tensor.shape) else
                f"{key} has shape {list(np.shape(there))} in {path}.pdparams, and {list(tensor.shape)} in the network")
            if wrong is None:
                fits[key] = there
            elif skip_mismatch:
                warnings.warn(f"Model.load: skipped, {wrong}", stacklevel=3)
                reset_optimizer = True
            else:
                raise ValueError(f"Model.load: nothing was loaded, since {wrong}. Try: skip_mismatch=True.")
        state = self._state(path + ".pdopt", self.optimizer) if not reset_optimizer else None
        scale = self._state(path + ".pdscaler", self.scaler)
        before = {key: tensor.numpy() for key, tensor in self.network.state_dict(use_hook=False).items() if state}
        self._write(fits)
        try:
            if state:
                self.optimizer.set_state_dict(state)
            if scale and self.scaler is not None:
                self.scaler.load_state_dict(scale)
        except Exception:
            self._write(before)
            raise

    def _write(self, arrays: dict) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")   # of keys that were skipped on purpose
            self.network.set_state_dict(arrays)

    @staticmethod
    def _state(path: str, owner):
        return load(path) if owner is not None and os.path.isfile(path) else None
