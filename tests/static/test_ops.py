"""Every op in a Program whose data have unknown sizes, gradient included, beside eager mode: the cases are those of
tests/ops."""
import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import dispatch, static
from gpuflow.ops.registry import OPS
from tests.ops.test_gradients import ALL

# op: from which input on sizes are known, as those of parameters are
KNOWN = {"conv": 1, "conv_input_grad": 1, "linear": 1, "normalize_axes": 1, "normalize_by": 1, "simple_rnn": 1,
         "lstm": 1, "gru": 1, "visible_spans": 1, "conv_weight_grad": 0, "squeeze": 0}
# op and what it says where it cannot be built without sizes
NEEDS_SIZES = {"unbind": "a known size of axis"}

EACH = [pytest.param(name, case, id=f"{name}-{k}") for name, cases in ALL.items() for k, case in enumerate(cases)]


def tensors_of(found):
    return list(found) if isinstance(found, tuple) else [found]


def weighed(outs):
    """A scalar to differentiate: each float result times fixed weights."""
    total = None
    for k, out in enumerate(outs):
        if out.dtype.is_floating and not out.stop_gradient:
            part = (out * (k + 0.5)).sin().sum()
            total = part if total is None else total + part
    return total


INDICES = [np.s_[:, 1], np.s_[..., 0], np.s_[1:3, None], np.s_[0, [0, 1]], np.s_[[0, 1], :, [1, 0]], np.s_[[[0], [1]]],
           np.s_[:, [1, 0], 1], np.s_[[True, False, True]], np.s_[None, ..., -1, None], np.s_[0, :, [1, 0, 1]]]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_an_index_into_unknown_sizes(index):
    array = np.arange(24.0).reshape(3, 2, 4)
    y = static.data("x", [None, None, 4], "float64")[index]
    (found,) = static.Executor().run(feed={"x": array}, fetch_list=[y])
    paddle.disable_static()
    np.testing.assert_array_equal(found, paddle.to_tensor(array)[index].numpy())
    assert len(y.shape) == found.ndim and all(s in (-1, t) for s, t in zip(y.shape, found.shape))


def test_squeeze_takes_an_unknown_size_for_one():
    x = static.data("x", [None, 3, None])
    assert x.squeeze(0).shape == [3, -1] and x.squeeze(1).shape == [-1, 3, -1]
    with pytest.raises(ValueError, match="known sizes, or the axes"):
        x.squeeze()


@pytest.mark.parametrize(("name", "case"), EACH)
def test_with_unknown_sizes(name, case):
    if name in NEEDS_SIZES:
        with pytest.raises(ValueError, match=NEEDS_SIZES[name]):
            dispatch.call(OPS[name], (static.data("x", [None] * case.inputs[0].ndim, "float64"),), case.attrs)
        return
    found = []
    for building in (True, False):
        (paddle.enable_static if building else paddle.disable_static)()
        paddle.seed(3)
        inputs, feed = [], {}
        for k, x in enumerate(case.inputs):
            if not isinstance(x, np.ndarray):
                inputs.append(x)
                continue
            feed[f"x{k}"] = x
            sizes = x.shape if k >= KNOWN.get(name, len(case.inputs)) else [None] * x.ndim
            t = static.data(f"x{k}", sizes, str(x.dtype)) if building else paddle.to_tensor(x)
            t.stop_gradient = x.dtype != np.float64 or k in case.constants
            inputs.append(t)
        inputs += [None] * (len(OPS[name].inputs) - len(inputs))
        outs = tensors_of(dispatch.call(OPS[name], tuple(inputs), dict(case.attrs)))
        loss = weighed(outs) if case.order else None
        smooth = [t for t in inputs if isinstance(t, paddle.Tensor) and not t.stop_gradient]
        if building:
            grads = static.gradients(loss, smooth) if loss is not None and smooth else []
            shapes = [out.shape for out in outs]
            reached = [g is not None for g in grads]
            arrays = static.Executor().run(feed=feed, fetch_list=[*outs, *(g for g in grads if g is not None)])
        else:
            grads = paddle.grad(loss, smooth, allow_unused=True) if loss is not None and smooth else []
            grads = [paddle.zeros_like(x) if g is None else g for g, x in zip(grads, smooth)]
            arrays = [t.numpy() for t in (*outs, *(g for g, there in zip(grads, reached) if there))]
        found.append(arrays)
    for shape, a in zip(shapes, found[0]):
        assert len(shape) == a.ndim and all(s in (-1, t) for s, t in zip(shape, a.shape))
    for a, b in zip(*found, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    paddle.enable_static()
