"""Functions of nn.functional on Variables of an unknown batch give the numbers of eager mode."""
import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import static
from gpuflow.nn import functional as F
from tests.golden import (
    nn_conv_pool_norm_cases as layers,
    nn_loss_cases as losses,
    nn_special_loss_cases as special,
    nn_vision_cases as pictures,
)

NUMBERS = {**losses.CASES, **special.CASES}
NEED_NUMBERS = {"embedding max_norm", "one_hot default"}   # change a table, choose a size by the numbers
WINDOWS = [name for name, (_, tensors, _) in layers.CASES.items() if "running_mean" not in tensors]


def agree(function, args, kwargs, batched):
    """Asserts that function(*args, **kwargs) is the same in a Program; batched: tells of an array if its first size is
    unknown there."""
    feed = {}

    def variable(x):
        if not isinstance(x, np.ndarray):
            return x
        name = f"x{len(feed)}"
        feed[name] = x
        return static.data(name, [None, *x.shape[1:]] if x.ndim and batched(x) else x.shape, str(x.dtype))

    def tensor(x):
        return paddle.to_tensor(x) if isinstance(x, np.ndarray) else x

    def first(x):
        return x[0] if isinstance(x, tuple) else x

    out = first(function(*[variable(x) for x in args], **{k: variable(x) for k, x in kwargs.items()}))
    found, = static.Executor().run(feed=feed, fetch_list=[out])
    paddle.disable_static()
    expected = first(function(*[tensor(x) for x in args], **{k: tensor(x) for k, x in kwargs.items()})).numpy()
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert len(out.shape) == found.ndim and all(s in (-1, t) for s, t in zip(out.shape, found.shape, strict=True))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("name", NUMBERS)
def test_losses_and_activations(name):
    call = NUMBERS[name]
    batch = next(len(x) for x in call.args if isinstance(x, np.ndarray) and x.ndim)
    if name in NEED_NUMBERS:
        with pytest.raises(RuntimeError, match="expected a tensor with numbers"):
            agree(getattr(F, call.function), call.args, call.kwargs, lambda x: len(x) == batch)
        return
    agree(getattr(F, call.function), call.args, call.kwargs, lambda x: len(x) == batch)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_transducer(reduction):
    agree(F.rnnt_loss, special._TRANSDUCER, {"reduction": reduction}, lambda x: True)


@pytest.mark.parametrize("name", WINDOWS)
def test_convolution_pooling_and_normalisation(name):
    function, _, arguments = layers.CASES[name]
    x, *rest = layers.inputs(name).items()
    agree(getattr(F, function), [x[1]], dict(rest) | arguments, lambda a: a is x[1])


@pytest.mark.parametrize("name", [name for name, case in pictures.CASES.items() if hasattr(F, case[0])])
def test_pictures(name):
    function, shapes, arguments = pictures.CASES[name]
    rng = np.random.default_rng(0)
    agree(getattr(F, function), [rng.standard_normal(s).astype(np.float32) for s in shapes.values()], arguments,
          lambda x: True)
