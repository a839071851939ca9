"""What is settled about the process before the first CPU kernel (docs/decisions/0008 and 0009)."""

import os
import platform
import subprocess
import sys

import pytest

STEPS = """
import os, resource
import numpy as np
from gpuflow_kernels import process
process.prepare()

def step():
    arrays = [np.full(size, 1.0) for size in (500_000, 300_000) * 5]   # 32 MB

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

for _ in range(3):
    step()
before = faults()
for _ in range(20):
    step()
print(os.environ["OMP_WAIT_POLICY"], faults() - before)
"""
GLIBC = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")


def after(**environment):
    """(the wait policy, page faults of twenty steps) in a process with these variables."""
    said = ("MALLOC_", "GLIBC_", "OMP_", "GOMP_", "GPUFLOW_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(said)}
    done = subprocess.run([sys.executable, "-c", STEPS], env=clean | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    policy, faults = done.stdout.split()
    return policy, int(faults)


@GLIBC
def test_the_memory_of_one_step_serves_the_next():
    assert after()[1] < 100


@GLIBC
@pytest.mark.parametrize("said", [{"GPUFLOW_KEEP_MEMORY": "0"}, {"MALLOC_MMAP_THRESHOLD_": "65536"},
                                  {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=65536"}], ids=" ".join)
def test_a_user_who_decides_about_malloc_is_left_alone(said):
    assert after(**said)[1] > 1000


def test_threads_sleep_unless_the_user_says_otherwise():
    assert after()[0] == "PASSIVE"
    assert after(OMP_WAIT_POLICY="ACTIVE")[0] == "ACTIVE"
