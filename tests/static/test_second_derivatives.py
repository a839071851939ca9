"""Gradients of gradients in Programs: the numbers of eager mode's create_graph=True, and of central differences."""
import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import nn, static

F = nn.functional
X = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")


class Exp(paddle.autograd.PyLayer):
    """exp, whose gradient reads its own result."""

    @staticmethod
    def forward(ctx, x):
        y = paddle.exp(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensor()
        return g * y


def towers(x):
    """The first three derivatives of a function, each by way of the one before."""
    def of(function):
        found, y = [], function(x).sum()
        for _ in range(3):
            (g,) = paddle.grad(y, [x], create_graph=True)
            found.append(g)
            y = (g * g).sum()
        return found
    return of


def both_ways(function, array=X):
    """What `towers` gives in a Program of unknown batch, and in eager mode."""
    x = static.data("x", [None, *array.shape[1:]], str(array.dtype))
    x.stop_gradient = False
    found = static.Executor().run(feed={"x": array}, fetch_list=towers(x)(function))
    paddle.disable_static()
    return found, [g.numpy() for g in towers(paddle.to_tensor(array, stop_gradient=False))(function)]


def split(x):
    first, second = paddle.split(x, [1, 3], axis=1)
    return paddle.concat([second * first, second], axis=1) ** 3


def branch(x):
    def inner():
        return static.nn.cond(x.max() > 0.0, lambda: Exp.apply(x) * x, lambda: x * 2.0)
    return static.nn.cond(x.sum() > 0.0, lambda: paddle.exp(x.tanh() * x), inner)


@pytest.mark.parametrize("function", [
    lambda x: x.tanh() * x.sum(),
    lambda x: F.softmax(x) * paddle.logsumexp(x, axis=1, keepdim=True),
    lambda x: paddle.matmul(x, paddle.exp(x), transpose_y=True) ** 2,
    lambda x: F.layer_norm(x, [4]) ** 2,
    lambda x: F.conv2d(x.reshape([-1, 1, 2, 2]), paddle.to_tensor(X[:, :1].reshape(3, 1, 1, 1))).sigmoid(),
    lambda x: F.cross_entropy(x, paddle.to_tensor([0, 2, 1])),
    split,
    lambda x: Exp.apply(x * x) * x,
    branch,
    lambda x: branch(-x),
], ids=["tanh", "softmax", "matmul", "norm", "conv", "loss", "split", "pylayer", "cond", "other_branch"])
def test_three_derivatives_are_those_of_eager_mode(function):
    for found, expected in zip(*both_ways(function), strict=True):    # each mode adds paths up in an order of its own
        assert found.any()
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * abs(expected).max())


def test_a_second_derivative_is_the_slope_of_the_first():
    x = static.data("x", [None, 4], "float64")
    x.stop_gradient = False
    first, second = (paddle.to_tensor(np.random.default_rng(2).normal(size=(4, 4))) for _ in range(2))
    (g,) = static.gradients((x @ first).tanh().matmul(second).prod(axis=1).sum(), x)
    penalty = ((g * g).sum(axis=1).sqrt() - 1.0).square().mean()
    (h,) = static.gradients(penalty, x)
    exe, step = static.Executor(), 1e-5
    point, way = X.astype("float64"), np.random.default_rng(1).normal(size=X.shape)
    above, below = (exe.run(feed={"x": point + sign * step * way}, fetch_list=[penalty])[0] for sign in (1, -1))
    (found,) = exe.run(feed={"x": point}, fetch_list=[h])
    np.testing.assert_allclose((found * way).sum(), (above - below) / (2 * step), rtol=1e-7)


def critic():
    return nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 1))


def critics_loss(net, real, fake, mix):
    """That of a Wasserstein GAN with a gradient penalty."""
    between = mix * real + (1.0 - mix) * fake
    between.stop_gradient = False
    (slope,) = paddle.grad(net(between).sum(), [between], create_graph=True)
    penalty = ((slope * slope).sum(axis=1).sqrt() - 1.0).square().mean()
    return net(fake).mean() - net(real).mean() + 10.0 * penalty


def batches():
    rng = np.random.default_rng(5)
    return [{"real": rng.normal(size=(6, 4)).astype("float32"), "fake": rng.normal(size=(6, 4)).astype("float32"),
             "mix": rng.random((6, 1), "float32")} for _ in range(4)]


def trained_eagerly(wrap=lambda net: net):
    paddle.disable_static()
    with paddle.utils.unique_name.guard():
        paddle.seed(3)
        net = critic()
        adam, losses = paddle.optimizer.Adam(0.01, parameters=net.parameters()), []
        step = wrap(lambda *batch: critics_loss(net, *batch))
        for batch in batches():
            loss = step(*(paddle.to_tensor(a) for a in batch.values()))
            loss.backward()
            adam.step()
            adam.clear_grad()
            losses.append(loss.numpy())
    return losses, [p.numpy() for p in net.parameters()]


def test_a_gradient_penalty_trains_as_in_eager_mode():
    paddle.seed(3)
    net = critic()
    given = [static.data(name, [None, width]) for name, width in (("real", 4), ("fake", 4), ("mix", 1))]
    loss = critics_loss(net, *given)
    paddle.optimizer.Adam(0.01).minimize(loss)
    exe = static.Executor()
    exe.run(static.default_startup_program())
    losses = [exe.run(feed=batch, fetch_list=[loss])[0] for batch in batches()]
    weights = [p.numpy() for p in net.parameters()]
    for found, expected in zip((losses, weights), trained_eagerly(), strict=True):
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def test_a_gradient_inside_a_traced_function():
    for plain, traced in zip(trained_eagerly(), trained_eagerly(paddle.jit.to_static), strict=True):
        for a, b in zip(plain, traced, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def test_what_has_no_second_derivative_says_so():
    x = static.data("x", [4])
    x.stop_gradient = False
    _, y = static.nn.while_loop(lambda i, y: i < 2, lambda i, y: (i + 1, y * x), [paddle.zeros([], "int64"), x])
    (g,) = static.gradients(y, x)
    with pytest.raises(NotImplementedError, match=r"through while_loop.*a second one"):
        static.gradients(g.sum(), x)
    table = nn.Embedding(5, 2, sparse=True)
    (g,) = static.gradients((table(static.data("ids", [3], "int64")) ** 2).sum(), table.weight)
    (h,) = static.gradients(g, table.weight)
    exe = static.Executor()
    exe.run(static.default_startup_program())
    with pytest.raises(RuntimeError, match="sparse=False"):
        exe.run(feed={"ids": np.arange(3)}, fetch_list=[h])


def test_sizes_that_only_the_way_back_asks_for_are_found():
    x, start = static.data("x", [None, 4]), static.data("start", [None, 4])
    x.stop_gradient = False
    (g,) = static.gradients(x * 2.0 + 1.0, x, start)
    np.testing.assert_array_equal(static.Executor().run(feed={"x": X, "start": X}, fetch_list=[g])[0], 2 * X)
    (again,) = static.gradients(g * start, x)
    assert again is None    # the slope of a line does not depend on where one is


def test_an_earlier_gradient_keeps_its_name():
    x = static.data("x", [4])
    x.stop_gradient = False
    (g,) = static.gradients((x ** 3 + x * x).sum(), x)
    name = g.name
    (h,) = static.gradients(g.sum(), x)
    assert (name, g.name, h.name != name) == ("x@GRAD", "x@GRAD", True)
    ones = np.ones(4, "float32")
    found = static.Executor().run(feed={"x": ones}, fetch_list=["x@GRAD", h])
    np.testing.assert_array_equal(found, [5 * ones, 8 * ones])
