"""paddle.fft against Paddle 3.3.1: numbers, dtypes, shapes and gradients."""
import json
from pathlib import Path

import numpy as np
import pytest

import gpuflow as paddle
from gpuflow.autograd.check import check_gradients
from tests.golden.fft_cases import EXPRESSIONS, FLOATS, inputs
from tests.golden.make_functions import evaluate
from tests.ops.expressions import assert_same

GOLDEN = json.loads((Path(__file__).parent / "golden" / "fft.json").read_text())


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_as_paddle(expression):
    assert_same(evaluate(paddle, expression, inputs(), FLOATS), GOLDEN[expression],
                lambda dtype: (1e-6, 1e-6) if dtype == "float32" else (1e-10, 1e-10))


@pytest.mark.parametrize("n", [1, 4, 5])
def test_the_way_back_leads_home(n):
    x = paddle.to_tensor(np.random.default_rng(0).standard_normal((2, n)))
    z = paddle.complex(x, 2 * x)
    for norm in ("backward", "ortho", "forward"):
        np.testing.assert_allclose(paddle.fft.irfft(paddle.fft.rfft(x, norm=norm), n, norm=norm), x, atol=1e-12)
        np.testing.assert_allclose(paddle.fft.hfft(paddle.fft.ihfft(x, norm=norm), n, norm=norm), x, atol=1e-12)
        np.testing.assert_allclose(paddle.fft.ifftn(paddle.fft.fftn(z, norm=norm), norm=norm), z, atol=1e-12)


@pytest.mark.parametrize("transform", [
    lambda x, y: paddle.as_real(paddle.fft.rfft(x, 5)),
    lambda x, y: paddle.as_real(paddle.fft.ifft(paddle.complex(x, y), 3, norm="ortho")),
    lambda x, y: paddle.fft.irfft(paddle.complex(x, y), 5, axis=0),
    lambda x, y: paddle.fft.irfft(paddle.complex(x, y), 4, norm="forward"),
])
def test_gradients_of_gradients(transform):
    x, y = (paddle.to_tensor(a, stop_gradient=False) for a in list(inputs().values())[:2])
    check_gradients(lambda x, y: transform(x, y) ** 3 + 0 * y.sum(), [x, y], 2)


@pytest.mark.parametrize("axes", [None, [0], [1, 0]])
def test_shifts_as_numpy(axes):
    x = np.arange(15.0).reshape(3, 5)
    for mine, numpys in ((paddle.fft.fftshift, np.fft.fftshift), (paddle.fft.ifftshift, np.fft.ifftshift)):
        np.testing.assert_array_equal(mine(paddle.to_tensor(x), axes), numpys(x, axes))


X = paddle.zeros([2, 3])


@pytest.mark.parametrize(("call", "error", "words"), [
    (lambda: paddle.fft.fft(X, norm="none"), ValueError, "'ortho'"),
    (lambda: paddle.fft.fft(X, 0), ValueError, "at least 1"),
    (lambda: paddle.fft.fft(X, axis=2), ValueError, "an axis in"),
    (lambda: paddle.fft.rfft(paddle.complex(X, X)), TypeError, "real numbers"),
    (lambda: paddle.fft.rfft(X.astype("float16")), TypeError, "float32, float64"),
    (lambda: paddle.fft.fft2(X, axes=[0]), ValueError, "two axes"),
    (lambda: paddle.fft.fftn(X, [2, 2], [0]), ValueError, "one size per axis"),
])
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
