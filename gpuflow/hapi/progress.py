"""ProgBarLogger: what a person sees of a run: a bar on a terminal, a line per epoch anywhere."""
from __future__ import annotations

import sys
import time
from typing import Any

from gpuflow.hapi.callbacks import Callback

EXTRA = ("lr", "grad_norm", "skipped_steps", "ips")   # after loss and metrics, while training


class ProgBarLogger(Callback):
    """Shows a run. verbose: 0 nothing; 1 a bar on a terminal; 2 that, and one line per epoch, evaluation and predict; 3
    that, and a line every log_freq steps. On a terminal the bar's numbers change every log_freq steps.

    The loss is that of the step, metrics are those of the epoch so far.
    """

    def __init__(self, log_freq: int = 1, verbose: int = 2):
        super().__init__()
        self.log_freq, self.verbose = log_freq, verbose
        self._run: Any = None
        self._names: list = []

    # ---- what happens ----------------------------------------------------------------------------------------------

    def on_epoch_begin(self, epoch, logs=None):
        self._names = [*self.params["metrics"], *EXTRA]
        self._begin(f"epoch {epoch + 1}/{self.params['epochs']}", self.params["steps"])

    def on_train_batch_end(self, step, logs=None):
        self._count(logs)

    def on_epoch_end(self, epoch, logs=None):
        self._end(logs)

    def release(self):
        self._close()

    def on_eval_begin(self, logs=None):
        self._names = logs["metrics"]
        self._begin("eval", logs["steps"])

    def on_eval_batch_end(self, step, logs=None):
        self._count(logs)

    def on_eval_end(self, logs=None):
        self._end(logs)

    def on_predict_begin(self, logs=None):
        self._names = []
        self._begin("predict", logs["steps"])

    def on_predict_batch_end(self, step, logs=None):
        self._count(logs)

    def on_predict_end(self, logs=None):
        self._end(logs)

    # ---- showing it ------------------------------------------------------------------------------------------------

    def _begin(self, title: str, steps: int | None) -> None:
        self._close()
        self._run = _Run(title, steps, bool(self.verbose) and sys.stderr.isatty())

    def _count(self, logs) -> None:
        run = self._run
        run.steps += 1
        run.samples += logs["batch_size"]
        shown = run.steps % self.log_freq == 0
        if run.bar is not None:
            if shown:
                run.bar.set_postfix_str(self._text(logs), refresh=False)
            run.bar.update()
        if shown and self.verbose >= 3:
            run.print(f"{run.title}, step {run.steps}{'' if run.total is None else f'/{run.total}'}: "
                      f"{self._text(logs)}")

    def _end(self, logs) -> None:
        run = self._run
        seconds = time.perf_counter() - run.began
        text = self._text(logs)
        self._close()
        if self.verbose >= 2:
            print(f"{run.title}: {text}{', ' if text else ''}{run.steps} steps, {run.samples:,} samples in "
                  f"{seconds:.1f} s")

    def _close(self) -> None:
        if self._run is not None and self._run.bar is not None:
            self._run.bar.close()
        self._run = None

    def _text(self, logs) -> str:
        parts = []
        for name in self._names:
            if name not in logs or (name == "skipped_steps" and not logs[name]):
                continue
            value = logs[name]
            parts.append(f"{value:,.0f} samples/s" if name == "ips" else f"{name} {written(value)}")
        return ", ".join(parts)


class _Run:
    """One epoch, evaluation or predict on the screen."""

    def __init__(self, title: str, total: int | None, with_bar: bool):
        self.title, self.total, self.steps, self.samples = title, total, 0, 0
        self.began = time.perf_counter()
        self.bar: Any = None
        if with_bar:
            from tqdm import tqdm

            self.bar = tqdm(total=total, desc=title, leave=False, dynamic_ncols=True)

    def print(self, text: str) -> None:
        """A line above the bar."""
        if self.bar is None:
            print(text, flush=True)
        else:
            self.bar.write(text)


def written(value) -> str:
    """A number, or the numbers of a list, in as many digits as one reads."""
    if isinstance(value, list | tuple):
        return " ".join(map(written, value))
    if isinstance(value, int):
        return f"{value:,}"
    try:
        return f"{float(value):.4g}"
    except (TypeError, ValueError):
        return str(value)
