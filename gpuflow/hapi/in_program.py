"""InProgram: how a Model takes its steps in static mode: a Program for each kind of step, run by an Executor."""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gpuflow import device
from gpuflow.errors import explain
from gpuflow.functional.math import add_n
from gpuflow.hapi import held
from gpuflow.hapi.engine import Engine
from gpuflow.hapi.logs import Logs
from gpuflow.hapi.mixed import Mixed
from gpuflow.static import io as files
from gpuflow.static.build import tracing
from gpuflow.static.executor import Executor
from gpuflow.static.operators import Initialise
from gpuflow.static.program import Program, data, default_startup_program
from gpuflow.static.value import Variable
from gpuflow.structure import listed
from gpuflow.tensor import Tensor


class _Steps(NamedTuple):
    """A Program for one kind of step, and what of it is fed and fetched. measured: of each metric its Variables."""

    program: Program
    feeds: list[Variable]
    outputs: list[Variable]
    losses: list[Variable]
    measured: list[list[Variable]]


class InProgram(Engine):
    """Feeds batches to Programs that are built when a step of their kind is first taken.

    There are four kinds of training: "train", and where gradients add up "hold", which keeps them, and "join", which
    takes a step with those that were kept; "eval" and "predict".
    """

    def __init__(self, network, inputs, labels):
        super().__init__(network)
        if inputs is None:
            raise TypeError(explain("Model", "inputs in static mode", "None",
                                    "Model(network, inputs=[static.InputSpec([None, 8], name='x')])"))
        self._specs = list(inputs), list(labels or ())
        self._startup = default_startup_program()   # which gives the network's parameters their first numbers
        self._executor = Executor()
        self._steps: dict[str, _Steps] = {}
        self._holds = False                         # whether gradients wait for a step
        self._measures, self._norm = False, None

    def prepare(self, optimizer, loss, metrics: list, mixed: Mixed) -> None:
        """Takes what the steps are made of, and gives parameters that have no numbers their first ones."""
        super().prepare(optimizer, loss, metrics, mixed)
        self._steps.clear()
        self._begin()

    def _begin(self) -> None:
        """Runs of the startup program what nobody has run yet: others keep their numbers."""
        first = Program()
        first.global_block().ops += [one for one in self._startup.global_block().ops
                                     if not isinstance(one, Initialise) or one.tensor._pending]
        self._executor.run(first)

    # ---- the programs ----------------------------------------------------------------------------------------------

    def _built(self, mode: str) -> _Steps:
        """The Program of steps of a kind."""
        if mode not in self._steps:
            program = Program()
            self.network.eval() if mode in ("eval", "predict") else self.network.train()
            with tracing(program, self._startup):
                self._steps[mode] = self._build(program, mode)
            self._begin()
        return self._steps[mode]

    def _build(self, program: Program, mode: str) -> _Steps:
        inputs, labels = ([data(spec.name, spec.shape, spec.dtype) for spec in specs] for specs in self._specs)
        with self.casting(training=mode not in ("eval", "predict")):
            outputs = listed(self.network(*inputs))
        if mode == "predict":
            return _Steps(program, inputs, outputs, [], [])
        losses = [] if self.loss is None else listed(self.loss(*outputs, *labels))
        measured = [listed(metric.compute(*outputs, *labels)) for metric in self.metrics]
        if mode != "eval":
            self._train(program, mode, losses[0] if len(losses) == 1 else add_n(losses))
        return _Steps(program, [*inputs, *labels], outputs, losses, measured)

    def _train(self, program: Program, mode: str, loss: Tensor) -> None:
        """Appends what a kind of training does with the loss."""
        optimizer, scaler = self.optimizer, self.scaler
        if scaler is not None:
            loss = scaler.scale(loss)    # may switch it off
        if scaler is not None and not scaler.is_enable():
            scaler = None
        if mode == "train":
            optimizer.minimize(loss) if scaler is None else scaler.minimize(optimizer, loss)
        elif mode == "hold":
            held.hold(program, optimizer.backward(loss))
        else:
            optimizer._apply_scaled(held.join(program, optimizer.backward(loss)),
                                    None if scaler is None else scaler.scale_in_program())

    # ---- steps -----------------------------------------------------------------------------------------------------

    def train_batch(self, inputs, labels, update: bool) -> tuple[list, list]:
        self.ready()
        steps = self._built("hold" if not update else "join" if self._holds else "train")
        norm = ["grad_norm_0"] if self._measures and update else []
        losses, metrics, rest = self._run(steps, inputs, labels, norm)
        self._holds = not update
        if update:
            self._norm = float(rest[0]) if rest else None
        return losses, metrics

    def eval_batch(self, inputs, labels) -> tuple[list, list]:
        losses, metrics, _ = self._run(self._built("eval"), inputs, labels, [])
        return losses, metrics

    def predict_batch(self, inputs) -> list:
        steps = self._built("predict")
        return self._executor.run(steps.program, self._fed(steps, listed(inputs)), steps.outputs)

    def _run(self, steps: _Steps, inputs, labels, more: list) -> tuple[list, list, list]:
        fetches = [*steps.losses, *(variable for one in steps.measured for variable in one), *more]
        found = self._executor.run(steps.program, self._fed(steps, [*listed(inputs), *listed(labels)]), fetches)
        at, results = len(steps.losses), []
        for metric, one in zip(self.metrics, steps.measured):
            results.append(metric.update(*found[at:at + len(one)]))
            at += len(one)
        return found[:len(steps.losses)], results, found[at:]

    @staticmethod
    def _fed(steps: _Steps, fields: list) -> dict:
        if len(fields) != len(steps.feeds):
            raise ValueError(explain("Model", f"{len(steps.feeds)} fields: {[v.name for v in steps.feeds]}",
                                     str(len(fields)), "inputs and labels in Model(network, inputs, labels)"))
        return {variable.name: field if isinstance(field, Tensor) or device.is_array(field) else np.asarray(field)
                for variable, field in zip(steps.feeds, fields)}

    # ---- what a run tells, and files -------------------------------------------------------------------------------

    def measure_norm(self, value: bool) -> bool:
        self._measures = value
        return super().measure_norm(value)

    def vitals(self, logs: Logs, rate: float) -> None:
        logs["lr"] = rate
        if self._norm is not None:
            logs["grad_norm"] = self._norm
        logs.later("skipped_steps", lambda: self.optimizer.skipped_steps)

    def save_for_inference(self, path: str, specs) -> None:
        steps = self._built("predict")
        files.save_inference_model(path, steps.feeds, steps.outputs, self._executor, program=steps.program)
