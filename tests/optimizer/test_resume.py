"""A run that stops, saves and goes on in a fresh process ends with the bits of one that did not stop."""
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from gpuflow import optimizer
from tests.optimizer import resume_run


def test_every_optimizer_resumes_in_a_fresh_process(tmp_path):
    """With a scheduler, a running average, and a loss scale that changes on both sides of the break."""
    for part in ("first", "rest", "whole"):
        done = subprocess.run([sys.executable, "-W", "error", resume_run.__file__, str(tmp_path), part],
                              capture_output=True, text=True, env={**os.environ, "GPUFLOW_DEVICE": "cpu"})
        assert done.returncode == 0, done.stderr
    for name in resume_run.EVERY:
        rest, whole = (dict(np.load(Path(tmp_path) / f"{name}.{part}.npz")) for part in ("rest", "whole"))
        assert rest.keys() == whole.keys() and len(rest) == 9
        assert whole["scale"] == (256 if name == "LBFGS" else 512)   # 256, halved by step 1, doubled after 4 and 7
        for key, array in whole.items():
            assert array.tobytes() == rest[key].tobytes(), (name, key)
            assert np.isfinite(array).all()


def test_none_is_forgotten():
    classes = {name for name in optimizer.__all__ if isinstance(getattr(optimizer, name), type)
               and issubclass(getattr(optimizer, name), optimizer.Optimizer)}
    assert classes == {*resume_run.EVERY, "Optimizer"}
