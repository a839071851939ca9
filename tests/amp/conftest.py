"""The devices that mixed precision is tested on."""
import pytest

import gpuflow as paddle
from tests import fake_cupy


@pytest.fixture(params=["cpu", "stand-in for CuPy"])
def place(request):
    """The CPU, and the stand-in for CuPy as gpu:0."""
    if request.param == "cpu":
        yield "cpu"
    else:
        with fake_cupy.installed():
            paddle.set_device("gpu:0")
            yield "gpu:0"
