"""Metrics against Paddle 3.3.1 (tests/golden/metric_cases.py), in Programs, and what they refuse."""
import json
from pathlib import Path

import numpy as np
import pytest

import gpuflow
from gpuflow import metric
from tests.golden.metric_cases import run

GOLDEN = json.loads((Path(__file__).parent / "golden" / "metric.json").read_text())


def _flat(value):
    return [x for v in value for x in _flat(v)] if isinstance(value, list | tuple) else [value]


@pytest.mark.parametrize("part", GOLDEN)
def test_as_paddle(part, device):
    got, expected = _flat(run(gpuflow)[part]), _flat(GOLDEN[part])
    if part == "names":
        assert got == expected
    else:
        np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_compute_in_a_program():
    gpuflow.enable_static()
    main = gpuflow.static.Program()
    accuracy = metric.Accuracy(topk=(1, 2))
    with gpuflow.static.program_guard(main):
        scores = gpuflow.static.data("scores", [None, 3])
        label = gpuflow.static.data("label", [None, 1], "int64")
        out = accuracy.compute(scores, label)
    feed = {"scores": np.array([[3, 2, 1], [1, 2, 3]], "float32"), "label": np.array([[1], [2]])}
    correct, = gpuflow.static.Executor().run(main, feed=feed, fetch_list=[out])
    assert accuracy.update(correct) == [0.5, 1.0]


def test_a_metric_of_ones_own():
    class Largest(metric.Metric):
        def __init__(self):
            self.reset()

        def reset(self):
            self.value = 0.0

        def update(self, values):
            self.value = max(self.value, float(values.max()))

        def accumulate(self):
            return self.value

        def name(self):
            return "largest"

    largest = Largest()
    largest.update(*largest.compute(gpuflow.to_tensor([1.0, 7.0])))
    assert largest.accumulate() == 7.0
    with pytest.raises(TypeError, match="abstract"):
        metric.Metric()


def test_what_is_refused():
    with pytest.raises(ValueError, match="a tensor or a NumPy array"):
        metric.Precision().update([0.5], np.array([1]))
    with pytest.raises(ValueError, match=r"probabilities in \[0, 1\]"):
        metric.Auc().update(np.array([[0.1, 1.5]]), np.array([1]))
