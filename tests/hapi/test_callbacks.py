"""What callbacks write and show: bars and lines, logs, pictures, event files, checkpoints."""
import json
import re
import sys

import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import callbacks, viz
from gpuflow.hapi.logs import Logs
from gpuflow.hapi.training_log import read
from tests.hapi.test_model import Lines, linear_model


class Terminal:
    """stderr that says it is one."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text
        return len(text)

    def flush(self):
        pass

    def isatty(self):
        return True


@pytest.mark.parametrize(("verbose", "lines"), [(0, 0), (1, 0), (2, 4), (3, 4 + 8)])
def test_a_terminal_shows_a_bar_and_the_rest_a_line_per_epoch(verbose, lines, capsys, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    linear_model().fit(Lines(), Lines(), batch_size=10, epochs=2, verbose=verbose, log_freq=2)
    assert ("\repoch 1/2:   0%" in terminal.text) == (verbose > 0)
    assert len(capsys.readouterr().out.splitlines()) == lines

    monkeypatch.undo()
    linear_model().fit(Lines(), Lines(), batch_size=10, epochs=2, verbose=verbose, log_freq=2)
    out, err = capsys.readouterr()
    assert err == ""
    assert len(out.splitlines()) == lines
    if verbose >= 2:
        assert re.search(r"^epoch 2/2: loss [\d.]+, lr 0.05, grad_norm [\d.]+, [\d,]+ samples/s, 4 steps, 40 samples",
                         out, re.MULTILINE)
        assert re.search(r"^eval: loss [\d.e-]+, 4 steps", out, re.MULTILINE)


def test_a_step_nobody_looks_at_reads_nothing():
    logs, reads = Logs(step=1), []
    logs.later("loss", lambda: reads.append(1) or [0.5])
    assert "loss" in logs and logs["step"] == 1 and not reads
    assert logs.get("loss") == [0.5] and logs.copy() == {"step": 1, "loss": [0.5]} and reads == [1]
    assert dict(logs.items())["loss"] == logs["loss"] and logs.get("none", 3) == 3


def test_training_log_goes_on_where_it_ends(tmp_path):
    path = tmp_path / "runs" / "a.jsonl"
    for _ in range(2):
        linear_model().fit(Lines(), Lines(), batch_size=10, epochs=2, verbose=0,
                           callbacks=callbacks.TrainingLog(path, log_freq=2))
    lines = read(path)
    assert [line["step"] for line in lines if "loss" in line] == [2, 4, 6, 8, 10, 12, 14, 16]
    assert [line["epoch"] for line in lines if "eval_loss" in line] == [1, 2, 3, 4]
    assert {"loss", "lr", "grad_norm", "skipped_steps", "ips"} <= set(lines[0])
    with open(path, "a") as file:
        file.write('{"step": 17, "lo')     # killed in mid-line
    linear_model().fit(Lines(), batch_size=40, verbose=0, callbacks=callbacks.TrainingLog(path))
    assert read(path)[-1]["step"] == 17 and len(read(path)) == len(lines) + 1


def test_a_log_becomes_a_picture(tmp_path):
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for path, shift in zip(paths, (0, 1)):
        path.write_text("".join(json.dumps({"step": k, "epoch": 1, "seconds": k, "loss": 1 / k + shift, "acc": 0.5,
                                            "lr": 0.1, "grad_norm": 2.0, "eval_loss": 1.0 if k == 9 else None}) + "\n"
                                for k in range(1, 10)))
    figure = viz.plot(paths, tmp_path / "runs.png", smooth=3)
    assert (tmp_path / "runs.png").read_bytes()[:4] == b"\x89PNG"
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "acc", "gradient norm", "rate"]
    smoothed = figure.axes[0].lines[1].get_ydata()
    np.testing.assert_allclose(smoothed[:4], [1, 0.75, (1 + 1 / 2 + 1 / 3) / 3, (1 / 2 + 1 / 3 + 1 / 4) / 3])
    assert len(viz.plot({"one": paths[0]}).axes) == 4
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(ValueError, match="nothing to draw"):
        viz.plot(tmp_path / "empty.jsonl")


@pytest.mark.parametrize("name", ["TensorBoard", "VisualDL"])
def test_event_files(name, tmp_path):
    pytest.importorskip("tensorboardX")
    linear_model().fit(Lines(), Lines(), batch_size=20, epochs=2, verbose=0,
                       callbacks=getattr(callbacks, name)(str(tmp_path)))
    contents = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for tag in (b"train/loss", b"train/lr", b"train/grad_norm", b"train/skipped_steps", b"train/ips", b"eval/loss"):
        assert tag in contents


def test_an_error_lets_go_of_bars_and_files(tmp_path, monkeypatch):
    pytest.importorskip("tensorboardX")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    class Breaks(Lines):
        def __getitem__(self, index):
            if index == 15:
                raise ValueError("broken sample")
            return super().__getitem__(index)

    board = callbacks.TensorBoard(str(tmp_path))
    with pytest.raises(ValueError, match="broken sample"):
        linear_model().fit(Breaks(), batch_size=10, shuffle=False, callbacks=board)
    assert board._writer is None and terminal.text.endswith("\r")   # the bar is gone from the line


def test_early_stopping_keeps_the_best(tmp_path, capsys):
    model = linear_model(rate=0.0)
    stop = callbacks.EarlyStopping(patience=2)
    model.fit(Lines(), Lines(), batch_size=10, epochs=9, verbose=0, callbacks=stop, save_dir=str(tmp_path))
    assert "Epoch 3: Early stopping." in capsys.readouterr().out
    assert (tmp_path / "best_model.pdparams").exists() and not (tmp_path / "3.pdparams").exists()
    model.fit(Lines(), batch_size=10, epochs=1, verbose=0)
    assert not model.stop_training


def test_wrong_callbacks_are_refused():
    with pytest.raises(TypeError, match="Callback"):
        linear_model().fit(Lines(), verbose=0, callbacks=[print])
    with pytest.raises(ValueError, match="by_step or by_epoch"):
        callbacks.LRScheduler(by_step=True, by_epoch=True)
    with pytest.raises(ValueError, match="factor < 1"):
        callbacks.ReduceLROnPlateau(factor=1.0)
    with pytest.warns(UserWarning, match="needs validation data"):
        linear_model().fit(Lines(), verbose=0, callbacks=callbacks.EarlyStopping())
    with pytest.warns(UserWarning, match="Monitor of EarlyStopping"):
        linear_model().fit(Lines(), Lines(), verbose=0, callbacks=callbacks.EarlyStopping("accuracy"))


def test_schedule_by_epoch():
    model = linear_model(paddle.optimizer.lr.StepDecay(0.1, 1, gamma=0.5))
    by_epoch = callbacks.LRScheduler(by_step=False, by_epoch=True)
    model.fit(Lines(), batch_size=10, epochs=2, verbose=0, callbacks=by_epoch)
    assert model._optimizer.get_lr() == pytest.approx(0.025)


@pytest.mark.parametrize("amp", [None, {"level": "O1", "dtype": "float16"}])
def test_schedule_stands_still_where_a_step_is_left_out(amp):
    data = Lines()
    data.y[3] = np.nan     # one of the four batches of an epoch
    policy = {"on_nonfinite": "skip"} if amp is None else {}
    model = linear_model(paddle.optimizer.lr.StepDecay(0.1, 1, gamma=0.5), amp, **policy)
    for _ in range(2):
        model.fit(data, batch_size=10, epochs=1, shuffle=False, verbose=0)
    skipped = model._optimizer.skipped_steps     # float16 overflows at the first scales as well
    assert (2 if amp is None else 3) <= skipped <= 4 and model._optimizer._learning_rate.last_epoch == 8 - skipped
