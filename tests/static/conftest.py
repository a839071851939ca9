"""Every test here starts in static mode with empty programs; the root conftest leaves it again."""
import pytest

import gpuflow


@pytest.fixture(autouse=True)
def static_mode(known_state):
    gpuflow.enable_static()
    yield
    gpuflow.disable_static()
