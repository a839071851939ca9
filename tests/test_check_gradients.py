"""The gradient check finds wrong gradients, of first and second order, and names kinks."""
import numpy as np
import pytest

import gpuflow
from gpuflow.autograd import PyLayer
from gpuflow.autograd.check import check_gradients
from gpuflow.functional.activation import relu

X = np.array([0.5, -1.5, 2.0])


class _Cube(PyLayer):
    """x ** 3 with a gradient that is off by `error`."""

    error = 0.0

    @classmethod
    def forward(cls, ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @classmethod
    def backward(cls, ctx, g):
        x, = ctx.saved_tensor()
        return g * (3 + cls.error) * x * x


class _Wrong(_Cube):
    error = 1e-3


def test_right_gradients_pass():
    check_gradients(lambda x, y: (x * y).tanh(), [X, X[::-1].copy()])
    check_gradients(lambda x: (x.exp(), x * 2), [X])  # several outputs; one of them linear


def test_a_wrong_gradient_is_found():
    with pytest.raises(AssertionError, match="first order, input 0"):
        check_gradients(_Wrong.apply, [X], order=1)
    check_gradients(_Cube.apply, [X], order=1)


def test_a_gradient_without_history_is_found_by_the_second_order():
    def cube(x):
        frozen = gpuflow.to_tensor(x.numpy())
        return x * frozen * frozen * 3 - 2 * frozen ** 3  # value and slope of x^3, but no second derivative

    check_gradients(cube, [X], order=1)
    with pytest.raises(AssertionError, match="second order, input 0"):
        check_gradients(cube, [X])


def test_the_wrong_input_is_named():
    with pytest.raises(AssertionError, match="input 1"):
        check_gradients(lambda x, y: x * y + (y * y).detach(), [X, X + 1], order=1)


def test_a_kink_is_named():
    with pytest.raises(AssertionError, match="kink"):
        check_gradients(relu, [np.array([0.0, 1.0])])


@pytest.mark.parametrize(("inputs", "error"), [
    ([gpuflow.to_tensor(X.astype("float32"), stop_gradient=False)], TypeError), ([np.array([1, 2])], ValueError)])
def test_refused(inputs, error):
    with pytest.raises(error):
        check_gradients(lambda x: x * 1, inputs)


def test_a_function_without_gradient_is_refused():
    with pytest.raises(AssertionError, match="no output"):
        check_gradients(lambda x: x.detach(), [X])
