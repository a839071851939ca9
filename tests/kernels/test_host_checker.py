"""The checker is checked: each fault that GPU code tends to have is planted, and each is caught."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gpuflow_kernels.update import CLIP_GROUP, rules
from gpuflow_kernels.update.cases import Problem
from tests.kernels.host import device

pytestmark = pytest.mark.skipif(device.compiler() is None, reason="g++ is missing: apt-get install g++")

HEAD = "#define THREADS 128\n"
SUM = """
extern "C" __global__ void total(const float* x, double* out, int n) {
  __shared__ double of_warp[THREADS / 32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  double sum = 0;
  for (int i = threadIdx.x; i < n; i += THREADS) sum += x[i];
  EARLY
  for (int step = 16; step > 0; step /= 2) sum += SHUFFLE(sum, step);
  if (lane == 0) of_warp[warp] = sum;
  BARRIER
  if (threadIdx.x == 0) {
    for (int w = 1; w < THREADS / 32; ++w) sum += of_warp[w];
    *out = sum;
  }
}
"""
GOOD = {"EARLY": "", "SHUFFLE(x, by)": "__shfl_down_sync(0xffffffffu, x, by)", "BARRIER": "__syncthreads();"}


def _total(change, order, n=1000):
    macros = "".join(f"#define {name} {text}\n" for name, text in {**GOOD, **change}.items())
    x, out = np.arange(n, dtype=np.float32), np.zeros(1)
    arguments = (np.uint64(x.ctypes.data), np.uint64(out.ctypes.data), np.int32(n))
    device.launch(HEAD + macros + SUM, "total", 1, 128, arguments, order)
    return out[0]


@pytest.mark.parametrize("order", device.ORDERS)
def test_the_sound_kernel_passes(order):
    assert _total({}, order) == 499500


def test_missing_barrier_is_caught():
    results = [_total({"BARRIER": ""}, order) for order in device.ORDERS]
    assert any(r != 499500 for r in results), "shared memory read before it was written looked right in every order"
    assert np.isnan(results[0])  # warp 0 reads what no warp has written yet


@pytest.mark.parametrize(
    "change",
    [{"EARLY": "if (lane == 3) return;"}, {"SHUFFLE(x, by)": "(lane < 16 ? __shfl_down_sync(0xffffffffu, x, by) : 0)"}],
    ids=["early return", "divergent shuffle"],
)
@pytest.mark.parametrize("order", device.ORDERS)
def test_shuffle_without_all_lanes_is_caught(change, order):
    with pytest.raises(device.KernelFault, match="warp primitive not reached"):
        _total(change, order)


@pytest.mark.parametrize("order", device.ORDERS)
def test_divergent_barrier_is_caught(order):
    with pytest.raises(device.KernelFault, match="__syncthreads not reached"):
        _total({"BARRIER": "if (threadIdx.x < 64) __syncthreads();"}, order)


def test_the_device_goes_on_after_a_fault():
    with pytest.raises(device.KernelFault):
        _total({"EARLY": "if (lane == 3) return;"}, 0)
    assert _total({}, 0) == 499500


# -- the sum by the block that arrives last ----------------------------------------------------------------------------


class Faulty(device.HostDevice):
    """Runs the kernels with one piece of their text replaced."""

    def __init__(self, order, old, new):
        super().__init__(order)
        self.old, self.new = old, new

    def function(self, text, name):
        assert self.old in text
        return super().function(text.replace(self.old, self.new), name)


def _norms_of_three_steps(engine):
    """[(found, expected)]; between the steps the partial sums become NaN, as memory that nobody has written yet."""
    problem = Problem(rules.sgd, sizes=(3, 30000, 64, 20000), columns={"clip": CLIP_GROUP, "hi": 1.0}, engine=engine)
    found = []
    for _ in range(3):
        problem.step.sums.partials[:] = np.nan
        problem.new_gradients()
        problem.step.run(0.0)
        found.append((float(problem.step.norm(0)), float(np.linalg.norm(problem.bucket.grad.astype(float)))))
    return found


@pytest.mark.parametrize("order", device.ORDERS)
@pytest.mark.parametrize(("old", "new"), [
    ("", ""),
    ("if (last && expected > 1) *arrived = 0u;", ""),
    ("atomicAdd(arrived, 1u) == expected - 1", "atomicAdd(arrived, 1u) == expected - 2"),
], ids=["sound", "counter not reset", "sum before the last block"])
def test_sums_of_the_last_block(order, old, new):
    found = _norms_of_three_steps(Faulty(order, old, new))
    assert all(np.isclose(norm, expected, rtol=1e-12) for norm, expected in found) == (not old)


# -- under the sanitizers, in a process of their own -------------------------------------------------------------------

COPY = """
struct alignas(16) Four { float at[4]; };
extern "C" __global__ void copy(const float* x, float* y, int n) {
  const int whole = CHECK ? n - n % 4 : 0;
  for (int i = threadIdx.x * 4; i < whole; i += THREADS * 4) *(Four*)(y + i) = *(const Four*)(x + i);
  for (int i = whole + threadIdx.x; i < END; i += THREADS) y[i] = x[i];
}
"""
COPY_GOOD = {"CHECK": "((unsigned long long)x % 16 == 0 && (unsigned long long)y % 16 == 0)", "END": "n"}


def copy(macros, skew):
    """Copies 1001 floats under the sanitizers; both buffers start `skew` floats after a multiple of 16 bytes."""
    text = HEAD + "".join(f"#define {k} {v}\n" for k, v in macros.items()) + COPY
    raw = [np.zeros(1001 + skew, np.float32) for _ in range(2)]
    raw[0][:] = 1
    x, y = (r[skew:] for r in raw)
    arguments = (np.uint64(x.ctypes.data), np.uint64(y.ctypes.data), np.int32(1001))
    for order in device.ORDERS:
        device.launch(text, "copy", 1, 128, arguments, order, sanitize=True)
    assert (y == 1).all()


def sanitized(code, timeout=300):
    """Runs Python code with the sanitizers' runtime loaded first; returns (exit status, output)."""
    runtime = subprocess.run([device.compiler(), "-print-file-name=libasan.so"], capture_output=True, text=True)
    if not Path(runtime.stdout.strip()).is_absolute():
        pytest.skip("the address sanitizer's runtime (libasan.so) is missing: apt-get install libasan8")
    environment = {
        **os.environ,
        "LD_PRELOAD": runtime.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=0",
        "PYTHONMALLOC": "malloc",
        "NUMBA_DISABLE_JIT": "1",
    }
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True, timeout=timeout
    )
    return done.returncode, done.stdout + done.stderr


def _sanitized_copy(change, skew):
    macros = {**COPY_GOOD, **change}
    return sanitized(f"from tests.kernels.test_host_checker import copy; copy({macros!r}, {skew}); print('copied')")


@pytest.mark.slow_check
def test_sanitizers_pass_the_sound_copy():
    for skew in (0, 1):
        status, output = _sanitized_copy({}, skew)
        assert status == 0 and "copied" in output, output


@pytest.mark.slow_check
def test_misaligned_vector_access_is_caught():
    status, output = _sanitized_copy({"CHECK": "true"}, 1)
    assert status != 0 and "misaligned address" in output, output


@pytest.mark.slow_check
def test_tail_one_too_far_is_caught():
    status, output = _sanitized_copy({"END": "n + 1"}, 0)
    assert status != 0 and "AddressSanitizer" in output, output


def every_kernel_sanitized():
    """Every rule with every strategy, each dtype, sparse rows and the norms, under the sanitizers, in three orders."""
    from gpuflow_kernels.update import SPARSE
    from gpuflow_kernels.update.cases import every_strategy
    from gpuflow_kernels.update.rules import RULES

    wide = (("bfloat16", True, True), ("float16", False, False), ("float64", False, True))
    sizes = (0, 1, 7, 64, 65, 8192 + 77)
    for order in device.ORDERS:
        engine = device.HostDevice(order, sanitize=True)
        problems = [Problem(rule, sizes, columns=every_strategy(6), engine=engine) for rule in RULES.values()]
        problems += [Problem(rules.adamw, sizes, dtype=dtype, master=master, ema=ema, columns=every_strategy(6),
                             engine=engine) for dtype, master, ema in wide]
        sparse = Problem(rules.adam, (5, 600), columns=every_strategy(2), engine=engine)
        device.prepare([kernel for p in (*problems, sparse) for kernel in device.kernels_of(p.step)], sanitize=True)
        for problem in problems:
            problem.check_step(ema_decay=0.9 if problem.ema else None)
        sparse.step.set_active([1, SPARSE])
        for width in (12, 5):
            values = np.ones((2, width), np.float32)
            sparse.step.run(0.1, rules.adam.at(1), sparse=[(1, np.array([0, 600 // width - 1]), values)])
    print("all sound")


@pytest.mark.slow_check
def test_every_kernel_under_the_sanitizers():
    status, output = sanitized("from tests.kernels.test_host_checker import every_kernel_sanitized as f; f()", 600)
    assert status == 0 and "all sound" in output, output[-4000:]
