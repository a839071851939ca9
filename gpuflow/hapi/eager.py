"""Eager: how a Model takes its steps in eager mode."""
from __future__ import annotations

from gpuflow.amp.auto_cast import auto_cast
from gpuflow.amp.decorate import decorate
from gpuflow.amp.grad_scaler import GradScaler
from gpuflow.autograd.tape import no_grad
from gpuflow.functional.math import add_n
from gpuflow.hapi.engine import Engine, tensors
from gpuflow.hapi.mixed import Mixed
from gpuflow.jit.files import save as save_traced
from gpuflow.structure import listed
from gpuflow.tensor import Tensor


class Eager(Engine):
    """Forward, loss, backward, update, as one writes them in a loop."""

    def prepare(self, optimizer, loss, metrics: list, mixed: Mixed) -> None:
        """Takes what the steps are made of. At level O2 the network's parameters become two-byte floats."""
        super().prepare(optimizer, loss, metrics, mixed)
        if mixed.level == "O2":
            options = {key: value for key, value in mixed.casting.items() if key == "dtype"}
            decorate(self.network, optimizer, level="O2", **options)
        self.scaler = GradScaler(**mixed.scaler) if mixed.level != "O0" else None

    def train_batch(self, inputs, labels, update: bool) -> tuple[list, list]:
        self.ready()
        if not self.network.training:
            self.network.train()
        labels = tensors(labels)
        with self._casting(self.mixed.level != "O0"):
            outputs = listed(self.network(*tensors(inputs)))
        losses = listed(self.loss(*outputs, *labels))
        total = losses[0] if len(losses) == 1 else add_n(losses)
        scaler = self.scaler
        (total if scaler is None else scaler.scale(total)).backward()
        if update:
            if scaler is None:
                self.optimizer.step()
            else:
                scaler.step(self.optimizer)
                scaler.update()
            self.network.clear_gradients()
            self.optimizer.clear_grad()   # a loss may have parameters of its own
        return losses, self._measured(outputs, labels)

    def eval_batch(self, inputs, labels) -> tuple[list, list]:
        if self.network.training:
            self.network.eval()
        labels = tensors(labels)
        with no_grad():
            outputs = self._forward(inputs)
            losses = [] if self.loss is None else listed(self.loss(*outputs, *labels))
        return losses, self._measured(outputs, labels)

    def predict_batch(self, inputs) -> list:
        if self.network.training:
            self.network.eval()
        with no_grad():
            return self._forward(inputs)

    def _forward(self, inputs) -> list:
        with self._casting(self.mixed.level == "O2"):   # whose parameters take no float32
            return listed(self.network(*tensors(inputs)))

    def _casting(self, enable: bool):
        return auto_cast(enable, level=self.mixed.level if enable else "O1", **(self.mixed.casting if enable else {}))

    def _measured(self, outputs, labels) -> list:
        with no_grad():
            return [metric.update(*[x.numpy() if isinstance(x, Tensor) else x
                                    for x in listed(metric.compute(*outputs, *labels))]) for metric in self.metrics]

    def save_for_inference(self, path: str, specs) -> None:
        save_traced(self.network, path, input_spec=specs)
