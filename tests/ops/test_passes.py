"""Ops on arrays that are large enough for the compiled passes (kernels/passes), in float32 beside float64."""

import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import nn
from gpuflow_kernels import passes

F = nn.functional


def _seen(q, k, v):
    past = paddle.tril(paddle.ones([40, 40], "bool"))
    return F.scaled_dot_product_attention(q, k, v, past) + F.scaled_dot_product_attention(q, k, v, is_causal=True)


def _recurrent(direction):
    def run(x, h, c):
        paddle.seed(1)
        net = nn.LSTM(6, 40, direction=direction)
        if x.dtype == paddle.float64:
            net = net.astype("float64")
        weights = net.parameters()
        out, (last, cell) = net(x, (h, c))
        losses = [out.square().sum(), last.sum(), (cell * cell).sum()]
        gradients = paddle.grad(sum(losses), weights, retain_graph=True)
        return paddle.stack([*losses, *(g.square().sum() for g in gradients)])

    return run


CASES = {
    "gelu": (F.gelu, [(40, 120)]),
    "softmax": (F.softmax, [(40, 120)]),
    "softmax of the first axis": (lambda x: F.softmax(x, 0), [(40, 120)]),
    "cross entropy": (lambda x: F.cross_entropy(x, paddle.arange(40) * 3, label_smoothing=0.1), [(40, 120)]),
    "attention": (_seen, [(2, 40, 4, 20)] * 3),
    "lstm": (_recurrent("forward"), [(3, 7, 6), (1, 3, 40), (1, 3, 40)]),
    "lstm both ways": (_recurrent("bidirect"), [(3, 7, 6), (2, 3, 40), (2, 3, 40)]),
}


@pytest.mark.parametrize("name", CASES)
def test_float32_beside_float64(name):
    function, shapes = CASES[name]
    given = [np.random.default_rng(i).standard_normal(shape).astype(np.float32) for i, shape in enumerate(shapes)]

    def answers(dtype):
        inputs = [paddle.to_tensor(a.astype(dtype), stop_gradient=False) for a in given]
        out = function(*inputs)
        return [out, *paddle.grad((out * out).sum(), inputs)]

    for found, wanted in zip(answers("float32"), answers("float64"), strict=True):
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=2e-5, atol=2e-6 * np.abs(wanted.numpy()).max())


def test_dropout_drops_the_same_elements_of_the_gradient_and_repeats_with_the_seed():
    x = paddle.full([64, 128], 2.0)
    x.stop_gradient = False
    paddle.seed(3)
    out = F.dropout(x, 0.25)
    g, = paddle.grad(out.sum(), [x])
    assert set(np.unique(out.numpy()).tolist()) == {0.0, float(np.float32(2) * np.float32(1 / 0.75))}
    np.testing.assert_array_equal(out.numpy(), g.numpy() * 2)
    assert not np.array_equal(F.dropout(x, 0.25).numpy(), out.numpy())
    paddle.seed(3)
    np.testing.assert_array_equal(F.dropout(x, 0.25).numpy(), out.numpy())
    assert x.size >= passes.SMALL
