"""Eager: how a Model takes its steps in eager mode."""
from __future__ import annotations

from gpuflow.autograd.tape import no_grad
from gpuflow.functional.math import add_n
from gpuflow.hapi.engine import Engine, tensors
from gpuflow.jit.files import save as save_traced
from gpuflow.structure import listed
from gpuflow.tensor import Tensor


class Eager(Engine):
    """Forward, loss, backward, update, as one writes them in a loop."""

    def train_batch(self, inputs, labels, update: bool) -> tuple[list, list]:
        self.ready()
        if not self.network.training:
            self.network.train()
        labels = tensors(labels)
        with self.casting(training=True):
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
        with self.casting(training=False):
            return listed(self.network(*tensors(inputs)))

    def _measured(self, outputs, labels) -> list:
        with no_grad():
            return [metric.update(*[x.numpy() if isinstance(x, Tensor) else x
                                    for x in listed(metric.compute(*outputs, *labels))]) for metric in self.metrics]

    def save_for_inference(self, path: str, specs) -> None:
        save_traced(self.network, path, input_spec=specs)
