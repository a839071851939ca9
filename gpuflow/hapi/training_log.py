"""TrainingLog: a run as one JSON object per line, which tables, `gpuflow.viz` and people read while it goes on."""
from __future__ import annotations

import json
import os
import time

from gpuflow.hapi.callbacks import Callback
from gpuflow.hapi.logs import one_number
from gpuflow.hapi.progress import EXTRA


class TrainingLog(Callback):
    """Writes every log_freq-th training step, and every evaluation, as a line of the file `path`.

        {"step": 40, "epoch": 1, "seconds": 0.8, "loss": 0.31, "acc": 0.9, "lr": 0.001, "grad_norm": 0.52, ...}
        {"step": 57, "epoch": 1, "seconds": 1.1, "eval_loss": 0.35, "eval_acc": 0.88}

    step: taken in all. A file that is there goes on where it ends. Each line is in the file when its step is done:
    what a run that was killed leaves can be read.
    """

    def __init__(self, path: str, log_freq: int = 1):
        super().__init__()
        self.path, self.log_freq = os.fspath(path), log_freq
        self.step, self.epoch = 0, 0
        self._began, self._torn = time.perf_counter(), False

    def on_train_begin(self, logs=None):
        last = read(self.path)[-1:] if os.path.exists(self.path) else []
        self.step, self.epoch = (last[0].get("step", 0), last[0].get("epoch", 0)) if last else (0, 0)
        os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
        self._torn = os.path.exists(self.path) and not _ends_whole(self.path)
        self._began = time.perf_counter()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch += 1

    def on_train_batch_end(self, step, logs=None):
        self.step += 1
        if self.step % self.log_freq == 0:
            self._write("", [*self.params["metrics"], *EXTRA], logs)

    def on_eval_end(self, logs=None):
        self._write("eval_", self.params["metrics"], logs)

    def _write(self, prefix: str, names, logs) -> None:
        line = {"step": self.step, "epoch": self.epoch, "seconds": round(time.perf_counter() - self._began, 3)}
        values = {prefix + name: one_number(logs[name]) for name in names if name in logs}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write("\n" * self._torn + json.dumps({**line, **values}) + "\n")
        self._torn = False


def read(path: str) -> list[dict]:
    """The lines of a TrainingLog as dicts; one that is not whole, as a killed run leaves it, is left out."""
    out = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(entry, dict):
                out.append(entry)
    return out


def _ends_whole(path: str) -> bool:
    with open(path, "rb") as file:
        if not file.seek(0, os.SEEK_END):
            return True
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"
