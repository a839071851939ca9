"""What every test gets: a known starting state, and each device that is present through the fixture `device`."""

import sys

import hypothesis
import numpy as np
import pytest

# The same examples in every run, so that a failure belongs to the change under test; no deadline, since a first call
# compiles. Other examples: pytest --hypothesis-profile=default
hypothesis.settings.register_profile("gpuflow", derandomize=True, deadline=None)
hypothesis.settings.load_profile("gpuflow")


def why_no_gpu() -> str | None:
    """None where a CUDA device answers, else the reason for a skip."""
    try:
        import cupy
    except ImportError as error:
        return f"no GPU: CuPy cannot be imported ({error}); pip install 'gpuflow[cuda13x]'"
    if not cupy.cuda.is_available():
        return "no GPU: CuPy is here, but cupy.cuda.is_available() is False (no driver or no device)"
    return None


def pytest_collection_modifyitems(items):
    marked = [item for item in items if item.get_closest_marker("gpu")]
    reason = why_no_gpu() if marked else None   # CuPy is imported only where a test could use it
    if reason:
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def known_state():
    """The same seeds, device, default dtype and free names for every test, whatever ran before; put back afterwards.

    A test that asks for no device runs on the CPU, so that its result does not depend on the machine. Tests of kernels
    do not import gpuflow, and this fixture does not do it for them.
    """
    before = np.random.get_state()
    np.random.seed(0)
    gpuflow = sys.modules.get("gpuflow")
    if gpuflow is None:
        yield
    else:
        from gpuflow import unique_name

        device, dtype, grad = gpuflow.get_device(), gpuflow.get_default_dtype(), gpuflow.is_grad_enabled()
        gpuflow.set_device("cpu")
        gpuflow.seed(0)
        with unique_name.guard():
            yield
        if "gpuflow.static" in sys.modules:
            _leave_static_mode()
        if "gpuflow.amp.auto_cast" in sys.modules:   # what the last block computed in decides about scalers
            sys.modules["gpuflow.amp.auto_cast"]._latest = None
        gpuflow.set_grad_enabled(grad)
        gpuflow.set_default_dtype(dtype)
        gpuflow.set_device(device)
    np.random.set_state(before)


def _leave_static_mode():
    """Eager mode, empty default programs and an empty global scope."""
    from gpuflow.static import build, program, scope

    build.disable_static()
    program._main, program._startup = program.Program(), program.Program()
    scope._global._tensors.clear()
    scope._global.workers.clear()


@pytest.fixture(params=["cpu", pytest.param("gpu:0", marks=pytest.mark.gpu)])
def device(request, known_state) -> str:
    """The current device's name, "cpu" and then "gpu:0": a test that takes it runs on each device present."""
    import gpuflow

    gpuflow.set_device(request.param)
    gpuflow.seed(0)
    return request.param
