"""paddle.signal against Paddle 3.3.1: numbers, dtypes, shapes and gradients."""
import json
from pathlib import Path

import numpy as np
import pytest

import gpuflow as paddle
from tests.golden.make_functions import evaluate
from tests.golden.signal_cases import EXPRESSIONS, FLOATS, inputs
from tests.ops.expressions import assert_same

GOLDEN = json.loads((Path(__file__).parent / "golden" / "signal.json").read_text())


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_as_paddle(expression):
    assert_same(evaluate(paddle, expression, inputs(), FLOATS), GOLDEN[expression], lambda dtype: (1e-9, 1e-9))


def test_the_way_back_leads_home():
    x = paddle.to_tensor(np.random.default_rng(1).standard_normal((2, 40)))
    window = paddle.to_tensor(np.hanning(14)[1:-1])
    spectrum = x.stft(16, 4, 12, window)
    assert spectrum.shape == [2, 9, 11]
    np.testing.assert_allclose(spectrum.istft(16, 4, 12, window), x, atol=1e-12)


def test_in_a_program():
    x = np.random.default_rng(1).standard_normal((2, 40)).astype("float32")
    expected = paddle.as_real(paddle.signal.stft(paddle.to_tensor(x), 8)).numpy()
    paddle.enable_static()
    main = paddle.static.Program()
    with paddle.static.program_guard(main):
        out = paddle.as_real(paddle.signal.stft(paddle.static.data("x", [None, 40]), 8))
    found, = paddle.static.Executor().run(main, feed={"x": x}, fetch_list=[out])
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("call", [
    lambda x: paddle.signal.frame(x, 9, 1), lambda x: paddle.signal.frame(x, 2, 0),
    lambda x: paddle.signal.frame(x, 2, 1, 1), lambda x: paddle.signal.overlap_add(x, 1),
    lambda x: x.stft(4, window=paddle.ones([3])), lambda x: x.stft(4, win_length=5), lambda x: x.stft(16),
    lambda x: x.stft(4, pad_mode="edge"), lambda x: x.istft(4), lambda x: x.stft(4).istft(6),
    lambda x: x.stft(4).istft(4, window=paddle.to_tensor([0.0, 1, 0, 0]), hop_length=3)])
def test_what_is_refused(call):
    with pytest.raises((ValueError, TypeError), match="expected"):
        call(paddle.arange(8, dtype="float32"))
