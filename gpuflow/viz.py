"""viz: training logs as a picture. Needs the extra `plot`."""
from __future__ import annotations

import os
from collections.abc import Mapping

from gpuflow.errors import explain
from gpuflow.hapi.training_log import read

# What a picture shows, one panel each, where a log has it: (title, names of the log, logarithmic).
PANELS = (("loss", ("loss", "eval_loss"), False), ("gradient norm", ("grad_norm",), True), ("rate", ("lr",), False))
BESIDE = {"step", "epoch", "seconds", "ips", "skipped_steps"}   # of the log, and no panel of their own


def plot(logs, path: str | None = None, smooth: int = 0):
    """Draws loss, gradient norm, rate and the metrics of training logs over the steps; evaluations are dots.

    logs: the file of a `callbacks.TrainingLog`, a list of such, or {label: file}; several are drawn over each other.
    path: the PNG (or what matplotlib makes of the suffix) to write. smooth: steps that a running mean takes in.
    Returns the matplotlib Figure.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(explain("viz.plot", "the package matplotlib", "none",
                                  "pip install 'gpuflow[plot]'")) from error
    runs = _runs(logs)
    present = [name for run in runs.values() for line in run for name, value in line.items() if value is not None]
    shown = [(title, names, log) for title, names, log in PANELS if not set(names).isdisjoint(present)]
    taken = BESIDE.union(*(names for _, names, _ in PANELS))
    others = dict.fromkeys(name.removeprefix("eval_") for name in present if name not in taken)
    shown[1:1] = [(name, (name, f"eval_{name}"), False) for name in others]
    if not shown:
        raise ValueError(explain("viz.plot", "a log with steps in it", f"nothing to draw in {list(runs)}"))
    figure = Figure(figsize=(8, 2.4 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (title, names, log) in zip(panels, shown):
        for k, (label, run) in enumerate(runs.items()):
            for name in names:
                points = [(line["step"], line[name]) for line in run if line.get(name) is not None]
                if points:
                    _draw(axes, points, f"C{k}", label, name.startswith("eval_"), smooth)
        axes.set_ylabel(title)
        axes.grid(alpha=0.3)
        if log:
            axes.set_yscale("log", nonpositive="mask")
    panels[-1].set_xlabel("step")
    if len(runs) > 1 or any(name.startswith("eval_") for name in present):
        panels[0].legend(fontsize="small")
    if path is not None:
        figure.savefig(path, dpi=120)
    return figure


def _draw(axes, points, colour: str, label: str, dots: bool, smooth: int) -> None:
    steps, values = zip(*points)
    if dots:
        axes.plot(steps, values, "o", color=colour, label=f"{label}, evaluated", markersize=4)
        return
    smoothed = smooth > 1
    axes.plot(steps, values, color=colour, linewidth=0.8 if smoothed else 1.2, alpha=0.3 if smoothed else 1,
              label=None if smoothed else label)
    if smoothed:
        axes.plot(steps, _running_mean(values, smooth), color=colour, linewidth=1.4, label=label)


def _running_mean(values, width: int) -> list[float]:
    """The mean of each value and the width - 1 before it, as many as there are."""
    import numpy as np

    sums = np.cumsum(values, dtype=np.float64)
    before = np.concatenate([np.zeros(min(width, len(sums))), sums[:-width]])
    return list((sums - before) / np.minimum(np.arange(1, len(sums) + 1), width))


def _runs(logs) -> dict[str, list[dict]]:
    """{label: lines}; labels are file names, with their folders where those alone would be the same."""
    if isinstance(logs, Mapping):
        return {str(label): read(path) for label, path in logs.items()}
    paths = [os.fspath(path) for path in (logs if isinstance(logs, list | tuple) else [logs])]
    names = [os.path.splitext(os.path.basename(path))[0] for path in paths]
    return {name if names.count(name) == 1 else path: read(path) for name, path in zip(names, paths)}
