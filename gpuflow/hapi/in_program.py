"""InProgram: how a Model takes its steps in static mode: a Program for each kind of step, run by an Executor."""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gpuflow import device
from gpuflow.amp.auto_cast import auto_cast
from gpuflow.errors import explain
from gpuflow.functional.math import add_n
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
    """Feeds batches to Programs that are built when a step of their kind is first taken."""

    def __init__(self, network, inputs, labels):
        super().__init__(network)
        if inputs is None:
            raise TypeError(explain("Model", "inputs in static mode", "None",
                                    "Model(network, inputs=[static.InputSpec([None, 8], name='x')])"))
        self._specs = list(inputs), list(labels or ())
        self._startup = default_startup_program()   # which gives the network's parameters their first numbers
        self._executor = Executor()
        self._steps: dict[str, _Steps] = {}
        self._measures, self._norm = False, None

    def prepare(self, optimizer, loss, metrics: list, mixed: Mixed) -> None:
        """Takes what the steps are made of, and gives parameters that have no numbers their first ones."""
        if mixed.level != "O0" and (mixed.level, mixed.casting.get("dtype")) != ("O1", "bfloat16"):
            raise ValueError(explain("Model.prepare(amp_configs=...)", "level O1 in bfloat16 in static mode",
                                     repr(mixed.level), "{'level': 'O1', 'dtype': 'bfloat16'}"))
        super().prepare(optimizer, loss, metrics, mixed)
        self._steps.clear()
        first = Program()   # of the startup program what nobody has run yet: others keep their numbers
        first.global_block().ops += [one for one in self._startup.global_block().ops
                                     if not isinstance(one, Initialise) or one.tensor._pending]
        self._executor.run(first)

    # ---- the programs ----------------------------------------------------------------------------------------------

    def _built(self, mode: str) -> _Steps:
        """The Program of "train", "eval" or "predict" steps."""
        if mode not in self._steps:
            program = Program()
            self.network.train() if mode == "train" else self.network.eval()
            with tracing(program, self._startup):
                self._steps[mode] = self._build(program, mode)
        return self._steps[mode]

    def _build(self, program: Program, mode: str) -> _Steps:
        inputs, labels = ([data(spec.name, spec.shape, spec.dtype) for spec in specs] for specs in self._specs)
        casts = self.mixed.level != "O0" and mode == "train"
        with auto_cast(casts, **(self.mixed.casting if casts else {})):
            outputs = listed(self.network(*inputs))
        if mode == "predict":
            return _Steps(program, inputs, outputs, [], [])
        losses = [] if self.loss is None else listed(self.loss(*outputs, *labels))
        measured = [listed(metric.compute(*outputs, *labels)) for metric in self.metrics]
        if mode == "train":
            self.optimizer.minimize(losses[0] if len(losses) == 1 else add_n(losses))
        return _Steps(program, [*inputs, *labels], outputs, losses, measured)

    # ---- steps -----------------------------------------------------------------------------------------------------

    def train_batch(self, inputs, labels, update: bool) -> tuple[list, list]:
        self.ready()
        if not update:
            raise ValueError(explain("Model in static mode", "a step per batch", "update=False or "
                                     "accumulate_grad_batches > 1", "eager mode, which adds gradients up"))
        steps = self._built("train")
        norm = ["grad_norm_0"] if self._measures else []
        losses, metrics, rest = self._run(steps, inputs, labels, norm)
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
        before, self._measures = self._measures, value
        return before

    def vitals(self, logs: Logs, rate: float) -> None:
        logs["lr"] = rate
        if self._norm is not None:
            logs["grad_norm"] = self._norm
        logs.later("skipped_steps", lambda: self.optimizer.skipped_steps)

    def save_for_inference(self, path: str, specs) -> None:
        steps = self._built("predict")
        files.save_inference_model(path, steps.feeds, steps.outputs, self._executor, program=steps.program)
