"""A run that stops, saves and goes on in a fresh process ends with the bits of one that did not stop."""
import os
import subprocess
import sys

import numpy as np

import gpuflow
from gpuflow import optimizer
from tests.optimizer import resume_run


def test_every_optimizer_resumes_in_a_fresh_process(tmp_path):
    """With a scheduler, a running average, and a loss scale that changes on both sides of the break."""
    for part in ("first", "rest", "whole"):
        done = subprocess.run([sys.executable, "-W", "error", resume_run.__file__, str(tmp_path), part],
                              capture_output=True, text=True, env={**os.environ, "GPUFLOW_DEVICE": "cpu"})
        assert done.returncode == 0, done.stderr
    for name in resume_run.EVERY:
        first, rest, whole = (resume_run.files(tmp_path, name, part) for part in ("first", "rest", "whole"))
        for a, b in zip(rest, whole, strict=True):
            assert a.read_bytes() == b.read_bytes(), a   # weights, averages, states, counts, rate and scale
        before, weights, states, averages, scaler = (gpuflow.load(str(path)) for path in (first[0], *whole))
        for key, array in weights.items():
            assert np.isfinite(array.numpy()).all() and (array.numpy() != before[key].numpy()).any()
        assert ("LR_Scheduler" in states) == (name != "Rprop")
        taken, scale = (8, 256) if name == "LBFGS" else (7, 512)   # 256, halved by step 1, doubled after 4 and 7
        assert averages["updates"] == taken and scaler["scale"] == scale


def test_none_is_forgotten():
    classes = {name for name in optimizer.__all__ if isinstance(getattr(optimizer, name), type)
               and issubclass(getattr(optimizer, name), optimizer.Optimizer)}
    assert classes == {*resume_run.EVERY, "Optimizer"}
