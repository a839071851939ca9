"""The cache of generated kernels, and what an import may not pull in."""

import os
import subprocess
import sys
import tempfile

import pytest

from gpuflow_kernels import build

ADD = """\
import numpy as np
from numba import njit

flags = {}


@njit(parallel=False, **flags)
def add(x):
    for i in range(x.size):
        x[i] += 1
"""

USE = f"""
import numpy as np
from gpuflow_kernels import build
x = np.zeros(5)
module = build.numba_module({ADD!r})
module.add(x)
assert (x == 1).all()
print(module.__dict__.get("__file__"),
      sum(module.add.stats.cache_hits.values()) if "__file__" in module.__dict__ else "none")
"""


def run(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_importing_loads_neither_numba_nor_cupy():
    code = (
        "import sys, gpuflow_kernels, gpuflow_kernels.update, gpuflow_kernels.norm, gpuflow_kernels.update.rules\n"
        "print(*sorted({'numba', 'cupy', 'gpuflow'} & set(sys.modules)))"
    )
    assert run(code) == []


def test_the_gpu_path_needs_no_numba():
    """Texts for the GPU are made without Numba, as on a machine where it is not installed."""
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "from gpuflow_kernels.update import cuda, cuda_text, rules, layout\n"
        "print(len(cuda_text.update_text(rules.adamw, (layout.Variant(),))) > 1000)"
    )
    assert run(code) == ["True"]


def test_a_second_process_finds_the_compiled_kernel(tmp_path):
    first, second = (run(USE, GPUFLOW_CACHE_DIR=str(tmp_path)) for _ in range(2))
    assert first[0] == second[0] and first[0].startswith(str(tmp_path))
    assert (first[1], second[1]) == ("0", "1")


def test_several_processes_at_once(tmp_path):
    started = [
        subprocess.Popen(
            [sys.executable, "-c", USE], env={**os.environ, "GPUFLOW_CACHE_DIR": str(tmp_path)}, stderr=subprocess.PIPE
        )
        for _ in range(3)
    ]
    for process in started:
        _, complaint = process.communicate(timeout=60)
        assert not process.returncode, complaint.decode()
    assert not list(tmp_path.rglob("*.draft"))


def test_a_cache_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way of the folder")
    path, _ = run(USE, GPUFLOW_CACHE_DIR=str(tmp_path / "file"), TMPDIR=str(tmp_path))
    assert path.startswith(str(tmp_path / "gpuflow-"))
    # neither folder: the kernel is made in memory
    (tmp_path / f"gpuflow-{os.getuid()}").rename(tmp_path / "away")
    (tmp_path / f"gpuflow-{os.getuid()}").write_text("in the way as well")
    assert run(USE, GPUFLOW_CACHE_DIR=str(tmp_path / "file"), TMPDIR=str(tmp_path)) == ["None", "none"]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="owners and modes are those of Unix")
def test_a_temporary_folder_that_others_may_write_is_not_imported_from(tmp_path, monkeypatch):
    open_to_all = tmp_path / f"gpuflow-{os.getuid()}"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    assert build._private_temp() != open_to_all


def test_cache_dir_follows_the_environment(monkeypatch):
    monkeypatch.setenv("GPUFLOW_CACHE_DIR", "/somewhere")
    assert str(build.cache_dir()) == "/somewhere"
    monkeypatch.delenv("GPUFLOW_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert str(build.cache_dir()) == "/cache/gpuflow"
