"""`gpuflow doctor`, `bench`, `precompile` and `demo`: what they find, write and refuse."""
import json
import sys

import pytest

from gpuflow import cli
from gpuflow.cli import doctor
from gpuflow.hapi.training_log import read
from gpuflow_kernels.build import cache_dir
from tests import fake_cupy


def test_doctor_finds_what_the_cpu_needs(capsys):
    code = cli.main(["doctor", "--json"])
    found = {finding["part"]: finding for finding in json.loads(capsys.readouterr().out)}
    assert {"Numba", "CPU threads", "cache folder", "NVIDIA driver", "CuPy", "GPUs", "NVRTC", "CUDA headers", "NCCL",
            "cuDNN", "tensorboardX", "matplotlib"} <= set(found)
    assert all(found[part]["state"] == "ok" for part in ("gpuflow", "Numba", "CPU threads", "cache folder"))
    assert all(finding["mend"] for finding in found.values() if finding["state"] != "ok")
    assert code == int(any(finding["state"] == "missing" for finding in found.values()))


def test_doctor_says_how_to_mend(capsys, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GPUFLOW_CACHE_DIR", str(tmp_path / "file" / "below"))   # no folder can be made there
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr(doctor, "_driver", lambda: "CUDA 12.4")
    assert cli.main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "✗ cache folder" in out and "→ export GPUFLOW_CACHE_DIR=" in out
    assert "✗ CuPy" in out and "→ pip install 'gpuflow[cuda12x]'" in out


@pytest.fixture
def gpu(monkeypatch):
    """The stand-in for CuPy beside a driver."""
    with fake_cupy.installed() as cupy:
        monkeypatch.setattr(doctor, "_driver", lambda: "CUDA 13.0")
        yield cupy


def test_doctor_beside_a_gpu(gpu, capsys, monkeypatch):
    def examined():
        code = cli.main(["doctor", "--json"])
        return code, {finding["part"]: finding for finding in json.loads(capsys.readouterr().out)}

    code, found = examined()
    assert found["GPUs"]["says"] == "Stand-in, compute capability 9.0, 80 GiB"
    assert code == int(any(finding["state"] == "missing" for finding in found.values()))

    def none():
        raise gpu.cuda.runtime.CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")

    monkeypatch.setattr(gpu.cuda.runtime, "getDeviceCount", none)
    code, found = examined()
    assert code == 1 and found["GPUs"]["state"] == "missing"
    assert "cudaErrorNoDevice" in found["GPUs"]["says"] and "CUDA_VISIBLE_DEVICES" in found["GPUs"]["mend"]


def test_bench_and_precompile_beside_a_gpu(gpu, capsys):
    assert cli.main(["bench", "--rounds", "1", "--elements", "1000", "--kernels", "clip + sgd"]) == 0
    assert "of a copy at" in capsys.readouterr().out
    assert cli.main(["precompile", "--optimizers", "SGD"]) == 0
    assert "5 steps on gpu:0" in capsys.readouterr().out


def test_bench_prints_shares_of_the_memorys_speed(capsys):
    assert cli.main(["bench", "--device", "cpu", "--rounds", "1", "--elements", "1000", "--kernels", "clip + sgd"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["kernel", "ms", "bytes", "GB/s"] and "of a copy at" in row
    assert cli.main(["bench", "--device", "cpu", "--kernels", "nonesuch"]) == 2
    assert "no row" in capsys.readouterr().err


def test_precompile_fills_the_cache(capsys):
    assert cli.main(["precompile", "--optimizers", "SGD", "--device", "cpu"]) == 0
    assert "5 steps on cpu" in capsys.readouterr().out
    assert list((cache_dir() / "numba").glob("**/kernel_*"))   # compiled now, or in an earlier run
    assert cli.main(["precompile", "--optimizers", "Adamm"]) == 2
    assert "AdamW" in capsys.readouterr().err


def test_demo_tells_spirals_apart(capsys, tmp_path):
    assert cli.main(["demo", "--device", "cpu", "--epochs", "20", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert float(out.split("% of 500")[0].split()[-1]) > 95
    assert len(read(tmp_path / "log.jsonl")) == 20 * 20
    assert {"model.pdparams", "model.pdopt"} <= {file.name for file in tmp_path.iterdir()}
