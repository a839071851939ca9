"""The kernels' benchmark runs on both devices; for a GPU on the stand-in, and without Numba."""

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
