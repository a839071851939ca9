"""The kernels' benchmark runs for a GPU, on the stand-in and without Numba; the one beside torch runs without torch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kernels.host import device

ROOT = Path(__file__).parents[2]

# Everything small, and the events, streams and graphs that only a benchmark uses.
ON_THE_STAND_IN = """
import sys, types
from pathlib import Path
sys.modules["numba"] = None
from bench import adamw_steps, bench_kernels, harness
from gpuflow_kernels import registry
from tests import fake_cupy

class Stream:
    def __enter__(self): return self
    def __exit__(self, *exc): return False
    def begin_capture(self): pass
    def end_capture(self): return types.SimpleNamespace(launch=lambda: replayed.append(1))

replayed = []
fake_cupy.MemoryPointer.copy_from_device_async = lambda self, source, size, stream: None
with fake_cupy.installed() as cupy:
    cupy.cuda.Stream, cupy.cuda.get_elapsed_time = Stream, lambda start, end: 2.0
    cupy.get_default_memory_pool = lambda: types.SimpleNamespace(free_all_blocks=lambda: None)
    harness._gpu = lambda: "stand-in"
    harness.RESULTS = Path(sys.argv[1])
    registry.KERNELS[2:] = []
    bench_kernels.Gpu.elements, bench_kernels.PYTHON_CALLS = 100, 1
    adamw_steps.SETS["gpt2"] = lambda: [5, 70]
    sys.argv = ["bench", "--device", "gpu", "--sets", "gpt2", "--rounds", "1"]
    bench_kernels.main()
assert replayed
"""


@pytest.mark.skipif(device.compiler() is None, reason="g++ is missing: apt-get install g++")
def test_the_gpu_benchmark_without_numba(tmp_path):
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", ON_THE_STAND_IN, str(tmp_path)], cwd=ROOT,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    line = json.loads((tmp_path / "kernels.jsonl").read_text())
    assert line["machine"]["gpu"] == "stand-in" and line["results"]["device"] == "gpu"
    # 2 ms by the events for 10 calls
    assert line["results"]["sets"]["gpt2"]["gpuflow, graph"] == {"median": 2e-4, "best": 2e-4}
    assert line["results"]["memory"]["global_norm"]["ms"] == 0.2


WITHOUT_TORCH = """
import sys
from pathlib import Path
from bench import harness, peers_eager as bench
harness.RESULTS = Path(sys.argv[1])
harness.can_import = lambda python, package: False
sys.argv = ["bench", "--rounds", "1", "--cases", "without", "--threads", "1"]
harness.beside_torch("peers_eager", "", bench.CASES, bench.gpuflow_case, bench.torch_case, rounds=9, calls=2)
"""


def test_the_benchmark_beside_torch_runs_alone_where_there_is_none(tmp_path):
    done = subprocess.run([sys.executable, "-W", "error", "-c", WITHOUT_TORCH, str(tmp_path)], cwd=ROOT,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "left out" in done.stdout
    line = json.loads((tmp_path / "peers_eager.jsonl").read_text())
    assert line["machine"]["threads"] == 1
    (times,) = line["results"].values()
    assert set(times) == {"gpuflow"} and 0 < times["gpuflow"]["best"] <= times["gpuflow"]["median"] < 1
