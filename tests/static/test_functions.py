"""Public functions on Variables of unknown sizes: what eager mode gives, or an error, and never other numbers."""
import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import static
from tests.golden.function_cases import EXPRESSIONS, inputs

REFUSALS = (ValueError, TypeError, RuntimeError, IndexError)    # some need sizes or numbers when they are built


def leaves(found):
    if isinstance(found, list | tuple):
        return [leaf for x in found for leaf in leaves(x)]
    return [found] if isinstance(found, paddle.Tensor) else []


def draws(expression):
    return any(word in expression for word in ("rand", "normal", "uniform", "bernoulli", "multinomial", "poisson"))


@pytest.mark.parametrize("expression", [e for e in EXPRESSIONS if not draws(e)])
def test_as_in_eager_mode_or_refused(expression):
    arrays = inputs()
    names = {"paddle": paddle, "np": np}
    variables = {name: static.data(name, [None] * a.ndim, str(a.dtype)) for name, a in arrays.items()}
    try:
        built = leaves(eval(expression, names | variables))
        if not all(isinstance(x, static.Variable) for x in built):
            return    # a constant
        found = static.Executor().run(feed=arrays, fetch_list=built)
    except REFUSALS:
        return
    paddle.disable_static()
    direct = leaves(eval(expression, names | {name: paddle.to_tensor(a) for name, a in arrays.items()}))
    for variable, a, b in zip(built, found, direct, strict=True):
        assert (a.shape, a.dtype) == (tuple(b.shape), b.numpy().dtype)
        assert len(variable.shape) == a.ndim and all(s in (-1, t) for s, t in zip(variable.shape, a.shape))
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-6)


def test_the_functions_that_programs_need_are_not_refused():
    x, y = static.data("x", [None, 3]), static.data("y", [None, 4, 3])
    shape, pieces, rest = paddle.shape(x), paddle.split(x, 2, axis=0), paddle.split(x, [1, -1], axis=0)
    fetches = [shape, paddle.numel(x), *pieces, rest[1], paddle.expand_as(x.unsqueeze(1), y),
               *paddle.meshgrid(x[:, 0], x[0])]
    array = np.arange(12, dtype="float32").reshape(4, 3)
    found = static.Executor().run(feed={"x": array, "y": np.zeros((4, 4, 3), "float32")}, fetch_list=fetches)
    expected = [[4, 3], 12, array[:2], array[2:], array[1:], np.repeat(array[:, None], 4, 1),
                *np.meshgrid(array[:, 0], array[0], indexing="ij")]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="median: expected a known size"):
        paddle.median(x, axis=0)
