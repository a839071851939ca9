"""NVRTC compiles every kernel for every architecture, without spills, within a register bound, with 128-bit access.

Needs no GPU: nvidia-cuda-nvrtc compiles, cuobjdump and nvdisasm read the result back.
"""

import functools
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from gpuflow_kernels import build, rows
from gpuflow_kernels.update import cuda_text, layout, rules
from gpuflow_kernels.update.layout import DTYPES, Variant
from gpuflow_kernels.update.rules import RULES

ARCHITECTURES = ("80", "90", "100", "120")

# 80 registers let 3 blocks of 256 threads live on an SM; AdamW takes 60, four blocks. Two-byte types work on 8 elements
# at a time and float64 on pairs of registers; 128 is what the launch bound of 2 blocks leaves them.
REGISTERS = {"float32": 80, "float64": 128, "bfloat16": 128, "float16": 128}


def _updates():
    for rule in RULES.values():
        for phase in ("prepare", "apply") if rule.layered else ("whole",):
            yield rule, Variant(phase=phase, stages=() if phase == "apply" else Variant().stages)
    for variant in (
        Variant(stages=("scale",)),
        Variant("bfloat16", "bfloat16", master=True, ema=True),
        Variant("bfloat16", "float32", master=True),
        Variant("float16", "float16"),
        Variant("float64", "float64", ema=True),
    ):
        yield rules.adamw, variant


UPDATES = list(_updates())
TEXTS = {
    f"update {r.name} {v.param} {v.grad} {v.phase} {len(v.stages)}": cuda_text.update_text(r, (v,)) for r, v in UPDATES
}
TEXTS |= {f"sumsq {dtype}": cuda_text.sumsq_text((dtype,)) for dtype in DTYPES}
TEXTS["sumsq of all: " + " ".join(DTYPES)] = cuda_text.sumsq_text(DTYPES)
# one launch over parameters of every dtype: no more registers than the widest of them
MIX = (Variant(), Variant("float64", "float64", ema=True), Variant("bfloat16", "bfloat16", master=True, ema=True),
       Variant("float16", "float16"))
TEXTS |= {f"update {rule.name} of all {phase}: {' '.join(DTYPES)}": cuda_text.update_text(
              rule, tuple(replace(v, phase=phase, stages=v.stages if phase != "apply" else ()) for v in MIX))
          for rule, phase in ((rules.adamw, "whole"), (rules.lamb, "prepare"), (rules.lamb, "apply"))}
TEXTS |= {f"merge {dtype}": rows.merge_text(dtype) for dtype in DTYPES}
TEXTS["update.cu alone"] = build.cuda_text("update/update.cu")


@functools.cache
def _nvrtc():
    try:
        from cupy.cuda import nvrtc
    except ImportError:
        pytest.skip("CuPy is missing: pip install 'gpuflow[test]'")
    try:
        nvrtc.getVersion()
    except Exception as error:  # its class lies in a module that need not be there
        pytest.skip(f"NVRTC is missing ({error}): pip install nvidia-cuda-nvrtc")
    return nvrtc


def _compile(text, architecture):
    """(cubin, log): the log holds registers and spills."""
    nvrtc = _nvrtc()
    program = nvrtc.createProgram(text, "kernel.cu", (), ())
    try:
        nvrtc.compileProgram(program, ["--std=c++17", f"-arch=sm_{architecture}", "--ptxas-options=-v"])
    except nvrtc.NVRTCError:
        raise AssertionError(f"sm_{architecture}:\n{nvrtc.getProgramLog(program)}") from None
    return nvrtc.getCUBIN(program) + b"\0", nvrtc.getProgramLog(program)  # CuPy drops the last byte


@pytest.fixture(scope="module")
def compiled():
    _nvrtc()
    wanted = [(name, architecture) for name in TEXTS for architecture in ARCHITECTURES]
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(wanted, pool.map(lambda w: _compile(TEXTS[w[0]], w[1]), wanted)))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_spills_and_few_registers(architecture, compiled):
    problems = []
    for name in TEXTS:
        log = compiled[name, architecture][1]
        spills = [int(n) for n in re.findall(r"(\d+) bytes spill", log)]
        used = [int(n) for n in re.findall(r"Used (\d+) registers", log)]
        assert spills and used, f"the log of {name} does not say; NVRTC changed its wording?\n{log}"
        bound = max([REGISTERS[d] for d in DTYPES if d in name] or [64])
        if any(spills) or max(used) > bound:
            problems.append(f"{name}: {max(used)} registers (at most {bound}), {max(spills)} bytes spilled")
    assert not problems, "\n".join(problems)


def _sass(cubin, folder) -> str:
    folders = [str(Path(p) / "cu13" / "bin") for p in __import__("nvidia").__path__]
    path = os.pathsep.join([*folders, os.environ["PATH"]])
    (folder / "kernel.cubin").write_bytes(cubin)
    try:
        found = subprocess.run(["cuobjdump", "--dump-sass", "kernel.cubin"], cwd=folder,
                               env={**os.environ, "PATH": path}, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("cuobjdump is missing: pip install nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm")
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.mark.parametrize(("name", "architecture"), [*(("adamw", each) for each in ARCHITECTURES),
                                                    ("sgd", "90"), ("radam", "90"), ("lamb", "90")])
def test_the_wide_loop_moves_128_bits_by_global_loads(name, architecture, compiled, tmp_path):
    for (rule, variant), (key, _) in zip(UPDATES, TEXTS.items()):
        if rule.name != name or variant.param != "float32":
            continue
        sass = _sass(compiled[key, architecture][0], tmp_path)
        arrays = layout.arrays(rule, variant)
        stored = len(arrays) - ("grad_" in arrays)
        stored -= {"whole": 0, "prepare": 1, "apply": len(rule.state)}[variant.phase]
        assert len(re.findall(r"\bLDG\.E\.128", sass)) >= len(arrays), key
        assert len(re.findall(r"\bSTG\.E\.128", sass)) >= stored, key
        # a generic address or a spill would read LD., ST., LDL, STL
        assert not re.findall(r"\b(?:LD|ST|LDL|STL)\.", sass), key


def test_the_gate_sees_a_spill_and_a_narrow_load(tmp_path):
    """The checks above can fail: a launch bound that leaves too few, and a pointer to either memory."""
    text = cuda_text.update_text(rules.adamw, (Variant(),))
    assert "__launch_bounds__(THREADS, 2)" in text
    _, log = _compile(text.replace("__launch_bounds__(THREADS, 2)", "__launch_bounds__(THREADS, 8)"), "90")
    assert max(int(n) for n in re.findall(r"(\d+) bytes spill", log)) > 0
    generic = """extern "C" __global__ void f(float* x, int n) {
        __shared__ float here[256];
        here[threadIdx.x] = x[n];
        __syncthreads();
        float* somewhere = n > 3 ? here : x;
        for (int i = 0; i < n; ++i) x[i] = somewhere[i] + 1;
    }"""
    assert re.findall(r"\b(?:LD|ST)\.", _sass(_compile(generic, "90")[0], tmp_path))
