"""GPUFLOW_LOG and GPUFLOW_DETERMINISTIC; the other variables are tested where what they govern is."""
import os
import subprocess
import sys

import numpy as np
import pytest

import gpuflow
from gpuflow import device, geometric
from gpuflow.nn import functional as F
from tests import fake_cupy

IDS = np.array([3, 0, 3, 3, -2, 0])
VALUES = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)


@pytest.fixture
def in_order(monkeypatch):
    monkeypatch.setenv("GPUFLOW_DETERMINISTIC", "1")
    device.deterministic.cache_clear()
    yield
    device.deterministic.cache_clear()


def to(array):
    return gpuflow.to_tensor(array, stop_gradient=False)


def gradient_of(function, start):
    x = to(start)
    (function(x) * to(VALUES).detach()).sum().backward()
    return x.grad


def unpooled():
    places = np.array([[[0, 1, 1, 5, 5, 5], [2, 2, 2, 2, 3, 0]]])
    return F.max_unpool1d(to(VALUES.reshape(1, 2, 6)), gpuflow.to_tensor(places), 2, output_size=[12])


TABLE, UP = np.zeros((5, 2), np.float32), np.where(IDS < 0, IDS + 5, IDS)
SUMS = {
    "indexing": lambda: gradient_of(lambda x: x[gpuflow.to_tensor(IDS)], TABLE),
    "indexing by two": lambda: gradient_of(lambda x: x[gpuflow.to_tensor(UP), 1].reshape([6, 1]), TABLE),
    "gather": lambda: gradient_of(lambda x: gpuflow.gather(x, gpuflow.to_tensor(UP)), TABLE),
    "embedding": lambda: gradient_of(lambda x: F.embedding(gpuflow.to_tensor(UP), x), TABLE),
    "float16": lambda: gradient_of(lambda x: x.astype("float16")[gpuflow.to_tensor(UP)].astype("float32"), TABLE),
    "put_along_axis": lambda: gpuflow.put_along_axis(to(TABLE), gpuflow.to_tensor(np.stack([UP, UP], 1)), to(VALUES), 0,
                                                     reduce="add"),
    "index_put": lambda: gpuflow.index_put(to(TABLE), (gpuflow.to_tensor(IDS),), to(VALUES), accumulate=True),
    "complex": lambda: gpuflow.index_put(to(TABLE.astype("complex64")), (gpuflow.to_tensor(UP),),
                                         to(VALUES * np.complex64(1 + 2j)), accumulate=True),
    "a scalar for all": lambda: gpuflow.index_put(to(TABLE), (gpuflow.to_tensor(UP),), to(np.float32(0.1)),
                                                  accumulate=True),
    "nothing": lambda: gpuflow.index_put(to(TABLE), (gpuflow.to_tensor(UP[:0]),), to(VALUES[:0]), accumulate=True),
    "segments": lambda: geometric.segment_sum(to(VALUES), gpuflow.to_tensor(np.sort(UP))),
    "unpooling": unpooled,
    "bincount": lambda: gpuflow.bincount(gpuflow.to_tensor(UP), to(VALUES[:, 0]), minlength=7),
}


@pytest.mark.parametrize("name", SUMS)
def test_sums_on_a_gpu_name_each_place_once(name, in_order, monkeypatch):
    expected = SUMS[name]().numpy()
    with fake_cupy.installed():
        cupyx, most = sys.modules["cupyx"], []
        add = cupyx.scatter_add

        def watched(target, index, values):
            places = tuple(map(device.to_numpy, index)) if isinstance(index, tuple) else device.to_numpy(index)
            times = np.zeros(target.shape)
            np.add.at(times, places, device.to_numpy(values) != 0)
            most.append(times.max())
            add(target, index, values)

        monkeypatch.setattr(cupyx, "scatter_add", watched)
        found = SUMS[name]().numpy()
    assert most and max(most) <= 1
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_it_is_0_or_1(monkeypatch):
    device.deterministic.cache_clear()
    monkeypatch.setenv("GPUFLOW_DETERMINISTIC", "yes")
    with pytest.raises(ValueError, match="GPUFLOW_DETERMINISTIC: expected 0 or 1, got 'yes'"):
        device.deterministic()
    monkeypatch.setenv("GPUFLOW_DETERMINISTIC", "0")
    assert device.deterministic() is False
    device.deterministic.cache_clear()


def run(code, **variables):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env={**os.environ, "GPUFLOW_DEVICE": "cpu", **variables})


def test_the_log_prints_from_its_level_on():
    code = "import logging, gpuflow; log = logging.getLogger('gpuflow'); log.info('the scale falls'); log.debug('more')"
    assert run(code).stderr == ""
    told = run(code, GPUFLOW_LOG="INFO")
    assert told.stderr.count("gpuflow INFO: the scale falls") == 1 and "more" not in told.stderr
    assert "more" in run(code, GPUFLOW_LOG="debug").stderr
    assert "expected one of debug, info, warning, error, got 'loud'" in run(code, GPUFLOW_LOG="loud").stderr
