"""Model: a network with its loss, optimizer and metrics, and the loops over data that one writes again and again."""
from __future__ import annotations

import inspect
import os
import warnings

import numpy as np

from gpuflow.dispatch import in_dynamic_mode
from gpuflow.errors import explain
from gpuflow.hapi.callbacks import (
    CallbackList,
    EarlyStopping,
    LRScheduler,
    ModelCheckpoint,
    listed as callbacks_of,
)
from gpuflow.hapi.eager import Eager
from gpuflow.hapi.engine import Engine, tensors
from gpuflow.hapi.interrupt import Interrupts
from gpuflow.hapi.logs import Logs, Pace
from gpuflow.hapi.mixed import mixed
from gpuflow.hapi.progress import ProgBarLogger
from gpuflow.hapi.summary import summary
from gpuflow.io.dataset import Dataset
from gpuflow.io.loader import DataLoader
from gpuflow.io.sampler import DistributedBatchSampler
from gpuflow.metric import Metric
from gpuflow.nn.layer import Layer
from gpuflow.static.input_spec import InputSpec
from gpuflow.structure import listed
from gpuflow.tensor import Tensor


class Model:
    """A network with `fit`, `evaluate`, `predict`, and the single steps they are made of.

    network: a Layer. inputs: InputSpecs (with names) of its inputs, as a list, a dict or one; only needed to save for
    inference before anything has run. labels: the same of what the loss gets beside the outputs. In static mode both
    are needed: a Program for training, one for evaluation and one for prediction are built of them.

    A batch is a list of fields: as many as the network has inputs go there, the others to loss and metrics.
    """

    def __init__(self, network: Layer, inputs=None, labels=None):
        if not isinstance(network, Layer):
            raise TypeError(explain("Model", "a Layer", type(network).__name__))
        self.network, self.mode, self.stop_training = network, "train", False
        self._inputs, self._labels = self._specs(inputs), self._specs(labels)
        self._seen: list[InputSpec] | None = None    # of the inputs that came, where none were told
        self._optimizer, self._loss, self._metrics = None, None, []
        self._engine: Engine = Eager(network)
        if not in_dynamic_mode():
            from gpuflow.hapi.in_program import InProgram

            self._engine = InProgram(network, self._inputs, self._labels)

    def prepare(self, optimizer=None, loss=None, metrics=None, amp_configs=None) -> None:
        """Says what training is made of.

        optimizer: needed to train. loss: a Layer or function of (*outputs, *labels); a list of losses is added up.
        metrics: one of `gpuflow.metric`, or a list. amp_configs: "O1", "O2", or a dict with "level" and arguments of
        `amp.auto_cast` and `amp.GradScaler`.
        """
        if loss is not None and not callable(loss):
            raise TypeError(explain("Model.prepare(loss=...)", "a Layer or a function", type(loss).__name__))
        for metric in listed(metrics):
            if not isinstance(metric, Metric):
                raise TypeError(explain("Model.prepare(metrics=...)", "instances of gpuflow.metric.Metric",
                                        type(metric).__name__))
        self._optimizer, self._loss, self._metrics = optimizer, loss, listed(metrics)
        self._engine.prepare(optimizer, loss, self._metrics, mixed(amp_configs))

    # ---- single steps ----------------------------------------------------------------------------------------------

    def train_batch(self, inputs, labels=None, update: bool = True):
        """One training step. Returns the losses as arrays; with metrics (losses, what their updates returned).

        inputs, labels: an array or tensor, or a list. update=False: gradients add up for a later step.
        """
        self.network.train()
        return self._answer(self._step("train", inputs, labels, update))

    def eval_batch(self, inputs, labels=None):
        """Losses and metrics of one batch, without training, as train_batch returns them; without loss the metrics."""
        self.network.eval()
        return self._answer(self._step("eval", inputs, labels))

    def predict_batch(self, inputs) -> list[np.ndarray]:
        """The outputs of one batch as arrays."""
        self.network.eval()
        return [_array(out) for out in self._step("predict", inputs)]

    def _step(self, mode: str, *args):
        self.mode = "test" if mode == "predict" else mode
        result = getattr(self._engine, f"{mode}_batch")(*args)
        if self._inputs is None and self._seen is None:
            self._seen = [InputSpec.from_tensor(x, name) for x, name in zip(tensors(args[0]), self._names())]
        return result

    def _answer(self, result):
        losses, metrics = result
        losses = [_array(loss) for loss in losses]
        return (losses, metrics) if self._metrics and losses else losses or metrics

    # ---- loops -----------------------------------------------------------------------------------------------------

    def fit(self, train_data=None, eval_data=None, batch_size=1, epochs: int = 1, eval_freq: int = 1,
            log_freq: int = 10, save_dir: str | None = None, save_freq: int = 1, verbose: int = 2,
            drop_last: bool = False, shuffle: bool = True, num_workers: int = 0, callbacks=None,
            accumulate_grad_batches: int = 1, num_iters: int | None = None) -> None:
        """Trains for `epochs` passes over train_data.

        train_data, eval_data: a Dataset, of which batch_size (a number, or one for each), shuffle, drop_last and
            num_workers make batches; or a DataLoader, or anything that yields batches.
        eval_freq: evaluates after every eval_freq-th epoch. log_freq: steps between numbers on the screen.
        save_dir: where every save_freq-th epoch is saved as <epoch>, the end as `final`.
        verbose: 0 nothing; 1 a bar on a terminal; 2 that, and a line per epoch; 3 that, and a line per log_freq steps.
        callbacks: beside them run ProgBarLogger, ModelCheckpoint and LRScheduler, unless they are among them.
        accumulate_grad_batches: batches whose gradients add up to one step. num_iters: steps in all, instead of epochs.

        Ctrl-C ends fit between two steps; with save_dir what was learned is then in save_dir/interrupted. A second one
        ends it at once.
        """
        if train_data is None:
            raise ValueError(explain("Model.fit", "train_data", "None"))
        sizes = list(batch_size) if isinstance(batch_size, list | tuple) else [batch_size, batch_size]
        if len(sizes) != 2:
            raise ValueError(explain("Model.fit", "batch_size for train_data and eval_data", repr(batch_size)))
        loader = _loader(train_data, sizes[0], num_workers, shuffle, drop_last)
        eval_loader = _loader(eval_data, sizes[1], num_workers)
        steps = _length(loader)
        _positive("Model.fit", accumulate_grad_batches=accumulate_grad_batches, num_iters=num_iters)
        if num_iters is not None and steps:
            epochs, steps = -(-num_iters // steps), min(num_iters, steps)
        cbks = self._callbacks(callbacks, log_freq, verbose, save_freq, save_dir, epochs=epochs, steps=steps)
        if eval_loader is None and any(isinstance(one, EarlyStopping) for one in cbks):
            warnings.warn("EarlyStopping needs validation data.", stacklevel=2)

        self.stop_training = False
        run = _Run("train", num_iters, accumulate_grad_batches)
        measured = self._engine.measure_norm(True) if verbose or callbacks else None
        try:
            with Interrupts() as run.interrupts:
                cbks.call("train_begin", None)
                logs = Logs()
                for epoch in range(epochs):
                    cbks.call("epoch_begin", epoch, None)
                    run.epoch = epoch
                    logs = self._run(loader, cbks, run)
                    cbks.call("epoch_end", epoch, logs)
                    if eval_loader is not None and epoch % eval_freq == 0:
                        self._evaluate(eval_loader, cbks, _Run("eval", interrupts=run.interrupts))
                    if self.stop_training:
                        break
                cbks.call("train_end", logs)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(self._interrupted(run, save_dir)) from None
        finally:
            cbks.release()
            if measured is not None:
                self._engine.measure_norm(measured)

    def _interrupted(self, run: _Run, save_dir: str | None) -> str:
        text = f"fit stopped in epoch {run.epoch + 1} after {run.done} steps of it"
        if save_dir is None:
            return f"{text}; nothing was saved, since fit had no save_dir"
        if not run.whole:
            return f"{text}, in the middle of one; nothing more was saved, {save_dir} has the epochs before"
        path = os.path.join(save_dir, "interrupted")
        self.save(path)
        return f"{text}; model.load({path!r}) goes on from there"

    def evaluate(self, eval_data, batch_size: int = 1, log_freq: int = 10, verbose: int = 2, num_workers: int = 0,
                 callbacks=None, num_iters: int | None = None) -> dict:
        """{"loss": [of the last batch], metric: value} over eval_data. Arguments as in `fit`."""
        _positive("Model.evaluate", num_iters=num_iters)
        cbks = self._callbacks(callbacks, log_freq, verbose)
        try:
            logs = self._evaluate(_loader(eval_data, batch_size, num_workers), cbks, _Run("eval", num_iters))
        finally:
            cbks.release()
        return {name: logs[name] for name in self._metrics_name()}

    def predict(self, test_data, batch_size: int = 1, num_workers: int = 0, stack_outputs: bool = False,
                verbose: int = 1, callbacks=None) -> list:
        """For each output of the network the list of its arrays, one per batch; stack_outputs: one array of all."""
        loader = _loader(test_data, batch_size, num_workers)
        cbks = self._callbacks(callbacks, 1, verbose)
        run = _Run("predict")
        try:
            cbks.call("predict_begin", {"steps": _length(loader)})
            logs = self._run(loader, cbks, run)
            outputs = list(zip(*run.outputs))
            cbks.call("predict_end", logs)
        finally:
            cbks.release()
        return [np.vstack(one) for one in outputs] if stack_outputs else outputs

    def _evaluate(self, loader, cbks: CallbackList, run: _Run) -> Logs:
        steps = _length(loader)
        steps = steps if steps is None or run.left is None else min(steps, run.left)
        cbks.call("eval_begin", {"steps": steps, "metrics": self._metrics_name()})
        logs = self._run(loader, cbks, run)
        cbks.call("eval_end", logs)
        return logs

    def _run(self, loader, cbks: CallbackList, run: _Run) -> Logs:
        """One pass over the loader; returns the logs of its last batch."""
        mode, logs, pace, length = run.mode, Logs(), Pace(), _length(loader)
        run.done, arguments = 0, self._arguments()
        # all layers, as in Paddle; the steps look at the network's own flag alone
        self.network.train() if mode == "train" else self.network.eval()
        for step, batch in enumerate(loader):
            fields = _fields(batch)
            split = self._split(len(fields), *arguments) if mode != "predict" else min(len(fields), arguments[0])
            cbks.call(f"{mode}_batch_begin", step, logs)
            logs = Logs(step=step, batch_size=len(fields[0]))
            run.whole = False
            if mode == "train":
                update = (step + 1) % run.accumulate == 0 or step + 1 == length
                rate = self._optimizer.get_lr() if self._optimizer is not None else 0.0
                losses, _ = self._step("train", fields[:split], fields[split:], update)
                self._engine.vitals(logs, rate)
            elif mode == "eval":
                losses, _ = self._step("eval", fields[:split], fields[split:])
            else:
                losses = []
                run.outputs.append(self.predict_batch(fields[:split]))
            run.whole, run.done = True, step + 1
            if losses:
                logs.later("loss", lambda losses=losses: [float(loss) for loss in losses])
            if mode != "predict":
                for metric in self._metrics:
                    logs.update(zip(listed(metric.name()), listed(metric.accumulate())))
            pace.count(logs["batch_size"])
            logs.later("ips", pace.read)
            cbks.call(f"{mode}_batch_end", step, logs)
            if run.interrupts is not None:
                run.interrupts.check()
            if run.left is not None:
                run.left -= 1
                if run.left <= 0:
                    self.stop_training = self.stop_training or mode == "train"
                    break
        for metric in self._metrics:
            metric.reset()
        return logs

    def _callbacks(self, callbacks, log_freq: int, verbose: int, save_freq: int = 1, save_dir: str | None = None, *,
                   epochs=None, steps=None) -> CallbackList:
        found = callbacks_of(callbacks)
        if verbose and not any(isinstance(one, ProgBarLogger) for one in found):
            found = [ProgBarLogger(log_freq, verbose), *found]
        if not any(isinstance(one, ModelCheckpoint) for one in found):
            found.append(ModelCheckpoint(save_freq, save_dir))
        if not any(isinstance(one, LRScheduler) for one in found):
            found.append(LRScheduler())
        for one in found:
            if isinstance(one, EarlyStopping):
                one.save_dir = save_dir
        out = CallbackList(found)
        out.set_model(self)
        out.set_params({"batch_size": None, "epochs": epochs, "steps": steps, "verbose": verbose,
                        "metrics": self._metrics_name()})
        return out

    def _metrics_name(self) -> list[str]:
        return [*(["loss"] if self._loss is not None else []),
                *(name for metric in self._metrics for name in listed(metric.name()))]

    # ---- which field goes where ------------------------------------------------------------------------------------

    def _specs(self, given) -> list[InputSpec] | None:
        if isinstance(given, dict):
            given = [given[name] for name in inspect.signature(self.network.forward).parameters if name in given]
        specs = None if given is None else listed(given)
        for spec in specs or ():
            if not isinstance(spec, InputSpec):
                raise TypeError(explain("Model", "InputSpecs", type(spec).__name__))
            if spec.name is None:
                raise ValueError(explain("Model", "InputSpecs with names", repr(spec)))
        return specs

    def _arguments(self) -> tuple[int, int]:
        """How many fields the network takes at most, and at least."""
        if self._inputs is not None:
            return len(self._inputs), len(self._inputs)
        parameters = inspect.signature(self.network.forward).parameters.values()
        plain = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        many = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        return (1 << 30 if many else len(plain)), sum(p.default is p.empty for p in plain)

    def _split(self, count: int, most: int, least: int) -> int:
        """How many of `count` fields are inputs: as many as forward takes, but where it can do without them, one is
        left for the loss."""
        return most if most < count or self._loss is None else max(min(most, count - 1), least)

    def _names(self):
        yield from inspect.signature(self.network.forward).parameters

    # ---- parameters, files, figures --------------------------------------------------------------------------------

    def parameters(self, *args, **kwargs) -> list:
        """The network's parameters."""
        return self.network.parameters(*args, **kwargs)

    def save(self, path: str, training: bool = True) -> None:
        """Saves path.pdparams and path.pdopt (and path.pdscaler), each whole or not at all.

        training=False: path.pdmodel and path.pdiparams for inference (see `jit.save`).
        """
        if not os.path.basename(path):
            raise ValueError(explain("Model.save", "folder/name", repr(path)))
        if training:
            self._engine.save(path)
            return
        specs = self._inputs or self._seen
        if specs is None:
            raise RuntimeError(explain("Model.save(training=False)", "inputs in Model(network, inputs), or a step "
                                       "before it", "neither"))
        self._engine.save_for_inference(path, specs)

    def load(self, path: str, skip_mismatch: bool = False, reset_optimizer: bool = False) -> None:
        """Loads what `save(path)` wrote; what does not fit is refused and leaves the model as it is.

        path: with or without .pdparams. skip_mismatch: parameters that are missing or have another shape stay as they
        are, with a warning, and the optimizer starts afresh. reset_optimizer: it does so in any case.
        """
        stem, suffix = os.path.splitext(path)
        self._engine.load(stem if suffix in (".pdparams", ".pdopt", ".pdmodel") else path, skip_mismatch,
                          reset_optimizer)

    def summary(self, input_size=None, dtype=None) -> dict:
        """Prints a table of the layers; see `gpuflow.summary`. input_size: default the `inputs` of this Model."""
        if input_size is None and self._inputs is None:
            raise ValueError(explain("Model.summary", "input_size, or inputs in Model(network, inputs)", "neither"))
        return summary(self.network, self._inputs if input_size is None else input_size, dtypes=dtype)


class _Run:
    """A pass over data. left: steps that may still be taken; done: steps of this epoch; whole: none is half done."""

    def __init__(self, mode: str, left: int | None = None, accumulate: int = 1, interrupts: Interrupts | None = None):
        self.mode, self.left, self.accumulate, self.interrupts = mode, left, accumulate, interrupts
        self.epoch, self.done, self.whole = 0, 0, True
        self.outputs: list = []


def _array(x) -> np.ndarray:
    return x.numpy() if isinstance(x, Tensor) else np.asarray(x)


def _loader(data, batch_size: int, num_workers: int, shuffle: bool = False, drop_last: bool = False):
    """A DataLoader for a Dataset; anything else as it is."""
    if not isinstance(data, Dataset):
        return data
    sampler = DistributedBatchSampler(data, batch_size, shuffle=shuffle, drop_last=drop_last)
    return DataLoader(data, batch_sampler=sampler, num_workers=num_workers)


def _length(loader) -> int | None:
    try:
        return len(loader)
    except (TypeError, RuntimeError, NotImplementedError):
        return None


def _fields(batch) -> list:
    """The leaves of nested lists, tuples and dicts."""
    if isinstance(batch, dict):
        batch = list(batch.values())
    return [leaf for part in batch for leaf in _fields(part)] if isinstance(batch, list | tuple) else [batch]


def _positive(where: str, **given) -> None:
    for name, value in given.items():
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ValueError(explain(where, f"{name} >= 1", repr(value)))
