"""Fixtures for the kernel tests: the engines that can run here."""

import pytest

from tests.kernels.host import device


def _host(order):
    if device.compiler() is None:
        pytest.skip("g++ is missing: the CUDA text is run under it; install it (apt-get install g++)")
    return device.HostDevice(order)


@pytest.fixture(params=["cpu", "host"])
def engine(request):
    """The Numba engine, and the CUDA text under the host header."""
    if request.param == "host":
        return _host(0)
    from gpuflow_kernels.update.cpu import CpuEngine

    return CpuEngine()


@pytest.fixture
def host_device():
    return _host(0)
