"""Jacobians and Hessians against derivatives written by hand; what backward needs in a form of the user's choice."""
import numpy as np
import pytest

import gpuflow
from gpuflow.autograd import PyLayer, hessian, jacobian, saved_tensors_hooks


def leaf(*shape, seed=0):
    array = np.random.default_rng(seed).normal(size=shape)
    return gpuflow.to_tensor(array, dtype="float64", stop_gradient=False)


def test_jacobian_of_vectors():
    a, b = leaf(3), leaf(2, seed=1)
    w = gpuflow.to_tensor(np.arange(6.0).reshape(2, 3), dtype="float64")
    y = (w @ a) ** 2 * b
    by_a, by_b = jacobian(y, (a, b))
    expected = 2 * (w.numpy() @ a.numpy() * b.numpy())[:, None] * w.numpy()
    assert by_a.shape == [2, 3] and by_b.shape == [2, 2]
    np.testing.assert_allclose(by_a[:].numpy(), expected)
    np.testing.assert_allclose(by_a[1, 0:2].numpy(), expected[1, 0:2])
    np.testing.assert_allclose(by_b.numpy(), np.diag((w.numpy() @ a.numpy()) ** 2))
    np.testing.assert_allclose((1 + by_a @ a - by_b @ b).numpy(), 1 + expected @ a.numpy() - by_b.numpy() @ b.numpy())
    np.testing.assert_array_equal(jacobian(y, leaf(4))[:].numpy(), np.zeros((2, 4)))   # not a function of it
    nested = jacobian((y, y.sum()), [a])
    assert [[j.shape for j in row] for row in nested] == [[[2, 3]], [[3]]]
    loss = (jacobian(a ** 3, a)[:] ** 2).sum()   # 9 a^4
    np.testing.assert_allclose(gpuflow.grad(loss, a)[0].numpy(), 36 * a.numpy() ** 3)


def test_jacobian_of_samples():
    x = leaf(4, 3)
    rows = jacobian(gpuflow.stack([x.prod(-1), (x ** 2).sum(-1)], 1), x, batch_axis=0)
    assert rows.shape == [4, 2, 3]
    np.testing.assert_allclose(rows[:, 1].numpy(), 2 * x.numpy())
    np.testing.assert_allclose(jacobian((x ** 2).sum(-1), x, batch_axis=0).numpy(), 2 * x.numpy())


def test_hessian():
    a, b = leaf(3), leaf()
    y = (a ** 3).sum() * b
    h = hessian(y, (a, b))
    np.testing.assert_allclose(h[0][0][:].numpy(), np.diag(6 * a.numpy() * b.item()))
    np.testing.assert_allclose(h[0][1][:].numpy(), 3 * a.numpy() ** 2)
    np.testing.assert_allclose(h[1][0][:].numpy(), 3 * a.numpy() ** 2)
    assert h[1][1].shape == [] and h[1][1].item() == 0
    np.testing.assert_array_equal(hessian(a.sum(), a)[:].numpy(), np.zeros((3, 3)))
    x = leaf(4, 3)
    np.testing.assert_allclose(hessian((x ** 3).sum(-1), x, batch_axis=0)[2].numpy(), np.diag(6 * x.numpy()[2]))


@pytest.mark.parametrize("bad", [
    lambda a, m: jacobian(m * 2, m), lambda a, m: jacobian(m * 2, m, batch_axis=1), lambda a, m: hessian(a * 2, a),
    lambda a, m: hessian(m * 2, m, batch_axis=0), lambda a, m: jacobian(a.sum(), a, batch_axis=0)])
def test_refused(bad):
    with pytest.raises(ValueError, match=r"jacobian|hessian"):
        bad(leaf(3), leaf(2, 3))


class Scaled(PyLayer):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b, None)
        return a * b

    @staticmethod
    def backward(ctx, g):
        a, b, nothing = ctx.saved_tensor()
        assert nothing is None
        return g * b, g * a


@pytest.mark.parametrize("function", [
    lambda a, b: a * b, Scaled.apply, lambda a, b: gpuflow.concat([a * b, b.exp()]), lambda a, b: (a @ b).tanh()])
def test_saved_tensors_go_through_the_hooks(function):
    def gradients(packed):
        a, b = leaf(3), leaf(3, seed=1)
        if packed is None:
            y = function(a, b)
        else:
            with saved_tensors_hooks(lambda t: packed.append(t.numpy() * 2) or len(packed) - 1,
                                     lambda k: gpuflow.to_tensor(packed[k], dtype="float64") / 2):
                y = function(a, b)
        y.sum().backward(retain_graph=True)
        first = [a.grad.numpy(), b.grad.numpy()]
        y.sum().backward()
        for x, g in zip((a, b), first, strict=True):
            np.testing.assert_array_equal(x.grad.numpy(), 2 * g)
        return first

    packed = []
    for x, y in zip(gradients(packed), gradients(None), strict=True):
        np.testing.assert_array_equal(x, y)
    assert packed


def test_hooks_end_nest_and_are_checked():
    a = leaf(3)
    seen = []
    outer = saved_tensors_hooks(lambda t: seen.append("outer") or t, lambda t: t)
    with outer:
        with saved_tensors_hooks(lambda t: seen.append("inner") or (t * t).sqrt(), lambda t: t[:2]):
            y = a ** 2
        z = a ** 2
    a.exp()
    assert set(seen) == {"inner", "outer"} and seen == sorted(seen)   # inside first; a.exp() came after both
    z.sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), 2 * a.numpy())
    with pytest.raises(ValueError, match=r"shape \[3\].*\[2\]"):
        y.sum().backward()
    with pytest.raises(TypeError, match="unpack_hook"):
        saved_tensors_hooks(print, None)


def test_second_derivatives_of_packed_tensors():
    a = leaf(3)
    with saved_tensors_hooks(lambda t: t.numpy(), lambda t: gpuflow.to_tensor(t, dtype="float64")):
        y = (a ** 3).sum()
        g, = gpuflow.grad(y, a, create_graph=True)
    np.testing.assert_allclose(gpuflow.grad(g.sum(), a)[0].numpy(), 6 * a.numpy())
