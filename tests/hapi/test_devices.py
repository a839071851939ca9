"""Model on arrays that are not NumPy's: the stand-in for CuPy, in both modes, with logs, metrics and files."""
import json
from pathlib import Path

import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import callbacks, nn
from tests import fake_cupy
from tests.golden import hapi_cases
from tests.hapi.test_model import Lines, _alike, specs

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "hapi.json").read_text())


@pytest.fixture
def gpu():
    with fake_cupy.installed() as cupy:
        paddle.set_device("gpu:0")
        yield cupy
        paddle.disable_static()
        paddle.set_device("cpu")


@pytest.mark.parametrize("in_static", [False, True])
def test_a_run_is_paddles(gpu, in_static):
    if in_static:
        paddle.enable_static()
    ours = hapi_cases.replay(paddle, "plain", *(specs(hapi_cases.FEATURES, "int64") if in_static else ()))
    for key, theirs in GOLDEN["runs"]["plain"].items():
        _alike(ours[key], theirs)


def test_logs_and_files(gpu, tmp_path):
    net = nn.Linear(4, 1)
    model = paddle.Model(net)
    model.prepare(paddle.optimizer.Adam(0.05, parameters=net.parameters()), nn.MSELoss(),
                  amp_configs={"level": "O1", "dtype": "bfloat16"})
    model.fit(Lines(), Lines(), batch_size=10, epochs=2, verbose=2, save_dir=str(tmp_path),
              callbacks=callbacks.TrainingLog(tmp_path / "log.jsonl"))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[-2]["step"] == 8 and np.isfinite(lines[-2]["grad_norm"]) and lines[-2]["skipped_steps"] == 0
    before = net.weight.numpy()
    net.weight.set_value(np.zeros_like(before))
    model.load(str(tmp_path / "final"))
    np.testing.assert_array_equal(net.weight.numpy(), before)
    assert str(net.weight.place) == "gpu:0"
