"""TensorBoard: a run as event files, written by tensorboardX."""
from __future__ import annotations

from typing import Any

from gpuflow.errors import explain
from gpuflow.hapi.callbacks import Callback
from gpuflow.hapi.logs import one_number
from gpuflow.hapi.progress import EXTRA


class TensorBoard(Callback):
    """Writes the numbers of every step and evaluation as event files in log_dir, `train/<name>` by step and
    `eval/<name>` by epoch: loss, metrics, and while training rate, gradient norm, skipped steps and throughput.

    Needs the extra `tensorboard`.
    """

    def __init__(self, log_dir: str):
        super().__init__()
        self.log_dir, self._writer, self._step, self._epoch = log_dir, None, 0, 0

    def on_train_begin(self, logs=None):
        self._step = 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, step, logs=None):
        self._step += 1
        self._write("train", [*self.params["metrics"], *EXTRA], logs, self._step)

    def on_eval_end(self, logs=None):
        self._write("eval", self.params["metrics"], logs, self._epoch)

    def _write(self, group: str, names, logs, step: int) -> None:
        writer = self.writer
        for name in names:
            value = one_number(logs[name]) if name in logs else None
            if value is not None:
                writer.add_scalar(f"{group}/{name}", value, step)

    @property
    def writer(self) -> Any:
        """The SummaryWriter, for what a callback of your own wants to add."""
        if self._writer is None:
            try:
                from tensorboardX import SummaryWriter
            except ImportError as error:
                raise ImportError(explain("callbacks.TensorBoard", "the package tensorboardX", "none",
                                          "pip install 'gpuflow[tensorboard]'")) from error
            self._writer = SummaryWriter(self.log_dir)
        return self._writer

    def release(self):
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class VisualDL(TensorBoard):
    """TensorBoard under the name that Paddle's callback has."""
