"""The tape: what backward adds up, what it refuses, and what it leaves behind."""
import gc
import threading
import weakref

import numpy as np
import pytest

import gpuflow
from gpuflow.autograd.py_layer import PyLayer
from gpuflow.autograd.tape import backward, retain_grads


def leaf(*numbers):
    return gpuflow.to_tensor(list(numbers), dtype="float64", stop_gradient=False)


def test_gradients_add_up_over_uses_and_over_backwards():
    x = leaf(2.0, 3.0)
    (x * x + x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [5, 7])
    (x * 10.0).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [15, 17])
    x.clear_grad()
    assert x.grad is None


def test_two_leaves_do_not_share_one_gradient_array():
    x, y = leaf(1.0), leaf(1.0)
    (x + y).sum().backward()
    x.grad._array[...] = 7
    assert y.grad.item() == 1


def test_stop_gradient_cuts_the_graph_where_it_is_set():
    x = leaf(3.0)
    y = x * 2.0
    y.stop_gradient = True
    z = y * x
    z.sum().backward()
    assert x.grad.item() == 6  # only the direct use; through y it would be 12


def test_no_grad_as_context_decorator_and_generator():
    x = leaf(1.0)

    @gpuflow.no_grad()
    def quietly(v):
        assert not gpuflow.is_grad_enabled()
        return v * 2.0

    @gpuflow.no_grad
    def bare(v):
        return v * 2.0

    @gpuflow.no_grad()
    def steps(v):
        yield v * 2.0
        yield v * 3.0

    assert quietly(x).stop_gradient and bare(x).stop_gradient
    generator = steps(x)
    assert next(generator).stop_gradient
    assert not (x * 2.0).stop_gradient  # the generator rests between its values
    assert next(generator).stop_gradient
    with gpuflow.no_grad():
        assert (x * 2.0).stop_gradient
        with gpuflow.enable_grad():
            assert not (x * 2.0).stop_gradient
        assert (x * 2.0).stop_gradient
    with gpuflow.set_grad_enabled(False):
        assert (x * 2.0).stop_gradient
    assert gpuflow.is_grad_enabled()
    gpuflow.set_grad_enabled(False)
    assert not gpuflow.is_grad_enabled()
    gpuflow.set_grad_enabled(True)


def test_no_grad_ends_with_an_exception():
    with pytest.raises(KeyError), gpuflow.no_grad():
        raise KeyError
    assert gpuflow.is_grad_enabled()


def test_recording_is_per_thread():
    seen = []
    with gpuflow.no_grad():
        thread = threading.Thread(target=lambda: seen.append(gpuflow.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_grad_returns_gradients_and_touches_nothing():
    x, y = leaf(2.0), leaf(5.0)
    z = x * x * y
    to_x, to_y = gpuflow.grad(z, [x, y])
    assert (to_x.item(), to_y.item()) == (20, 4)
    assert x.grad is None and y.grad is None


def test_grad_of_an_inner_tensor_and_with_given_outer_gradient():
    x = leaf(2.0, 3.0)
    y = x * x
    z = y * 3.0
    (to_y,) = gpuflow.grad(z, y, grad_outputs=gpuflow.to_tensor([1.0, 10.0], dtype="float64"))
    np.testing.assert_array_equal(to_y.numpy(), [3, 30])


def test_third_derivative():
    x = leaf(2.0)
    y = x * x * x * x
    for expected in (32.0, 48.0, 48.0):
        (y,) = gpuflow.grad(y.sum(), x, create_graph=True)
        assert y.item() == expected


def test_create_graph_then_backward_gives_a_gradient_penalty():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (to_x,) = gpuflow.grad((w * x * x).sum(), x, create_graph=True)  # 2 w x
    (to_x * to_x).sum().backward()                                   # d/dw 4 w^2 x^2 = 8 w x^2
    np.testing.assert_array_equal(w.grad.numpy(), [24, 128])


def test_grad_of_an_unused_input():
    x, y = leaf(1.0), leaf(1.0)
    with pytest.raises(ValueError, match="allow_unused"):
        gpuflow.grad((x * 2.0).sum(), [y])
    assert gpuflow.grad((x * 2.0).sum(), [y], allow_unused=True) == [None]


def test_no_grad_vars_are_constants():
    x = leaf(3.0)
    y = x * x
    (to_x,) = gpuflow.grad(y * x, x, no_grad_vars=[y])
    assert to_x.item() == 9


def test_backward_twice_needs_retain_graph():
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 8
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()


def test_a_loss_of_several_elements_starts_from_ones_and_says_so():
    x = leaf(1.0, 2.0)
    with pytest.warns(UserWarning, match=r"one element.*shape.*\[2\].*mean") as told:
        (x * x).backward()
    assert x.grad.tolist() == [2, 4] and told[0].filename == __file__
    (x * 3.0).backward(gpuflow.ones_like(x))   # said: nothing to warn of
    assert x.grad.tolist() == [5, 7]


def test_messages_of_a_wrong_backward():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="stop_gradient=False"):
        gpuflow.to_tensor([1.0]).backward()
    with pytest.raises(ValueError, match=r"shape.*\[2\].*\[3\]"):
        (x * 2.0).backward(gpuflow.to_tensor([1.0, 1.0, 1.0], dtype="float64"))
    with pytest.raises(ValueError, match="one per tensor"):
        backward([x.sum()], [None, None])


def test_a_changed_saved_tensor_is_an_error_and_not_a_wrong_gradient():
    x = leaf(2.0)
    y = x * 1.0
    z = y * y
    y.add_(gpuflow.to_tensor([1.0], dtype="float64"))
    with pytest.raises(RuntimeError, match="changed in place 1 time"):
        z.backward()


def test_a_change_nobody_saved_is_allowed():
    x = leaf(2.0)
    y = x + 1.0
    z = y + 1.0
    y.add_(gpuflow.to_tensor([1.0], dtype="float64"))
    z.backward()
    assert x.grad.item() == 1


def test_in_place_results_carry_their_history():
    x = leaf(2.0)
    y = x + 0.0
    y.multiply_(gpuflow.to_tensor([5.0], dtype="float64"))
    (y * 1.0).backward()
    assert x.grad.item() == 5


def test_in_place_on_a_leaf_or_a_view_is_refused_while_recording():
    x = leaf(2.0, 3.0)
    with pytest.raises(RuntimeError, match="leaf"):
        x.add_(gpuflow.to_tensor([1.0], dtype="float64"))
    view = (x * 1.0).reshape([2, 1])
    with pytest.raises(RuntimeError, match="view"):
        view.add_(gpuflow.to_tensor([1.0], dtype="float64"))
    with gpuflow.no_grad():
        x.add_(gpuflow.to_tensor([1.0], dtype="float64"))
    np.testing.assert_array_equal(x.numpy(), [3, 4])


def test_a_base_that_changed_after_a_view_was_recorded_is_an_error():
    x = leaf(2.0, 3.0)
    y = x * 1.0
    view = y.reshape([2, 1])
    y.add_(gpuflow.to_tensor([1.0], dtype="float64"))
    with pytest.raises(RuntimeError, match="changed in place"):
        view.sum().backward()


def test_hooks_see_and_replace_gradients():
    x = leaf(1.0)
    seen = []
    y = x * 2.0
    handle = y.register_hook(lambda g: seen.append(g.item()))
    y.register_hook(lambda g: g * 10.0)
    x.register_hook(lambda g: g + 1.0)
    (y * 3.0).backward(retain_graph=True)
    assert seen == [3] and x.grad.item() == 61
    assert handle.remove() and not handle.remove()
    x.clear_grad()
    (y * 3.0).backward()
    assert seen == [3] and x.grad.item() == 61
    with pytest.raises(RuntimeError, match="stop_gradient=True"):
        gpuflow.to_tensor([1.0]).register_hook(lambda g: g)
    z = x * 1.0
    z.register_hook(lambda g: 5)
    with pytest.raises(TypeError, match="Tensor or None"):
        z.backward()


def test_retained_gradients_of_inner_tensors():
    x = leaf(2.0)
    y = x * 3.0
    retain_grads(y)
    (y * y).backward()
    assert y.grad.item() == 12


def test_ten_thousand_ops_in_a_row_go_back_and_are_freed():
    x = leaf(1.0)
    y = x
    for _ in range(10_000):
        y = y + 1.0
    y.backward()
    assert x.grad.item() == 1
    z = x
    for _ in range(10_000):
        z = z * 1.0
    del z  # a graph that is never walked: freed link by link, without recursion


def test_a_graph_is_freed_without_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        x = leaf(1.0)
        y = (x * 2.0).exp() * x  # exp saves its own output
        node = weakref.ref(y._node)
        del y
        assert node() is None
        y = (x * 2.0).exp()
        node = weakref.ref(y._node)
        y.backward()
        del y
        assert node() is None
    finally:
        gc.enable()


def test_backward_frees_what_ops_saved():
    x = leaf(1.0)
    y = x * 2.0
    saved = weakref.ref(y)
    z = y * y
    z.backward()
    del y
    assert saved() is None


class Cube(PyLayer):
    @staticmethod
    def forward(ctx, x, power=3):
        y = x * x
        ctx.save_for_backward(x, y)
        ctx.power = power
        return y * x

    @staticmethod
    def backward(ctx, g):
        y = ctx.saved_tensor()[1]
        return g * ctx.power * y


def test_py_layer_first_and_second_order():
    x = leaf(2.0)
    Cube.apply(x).backward()
    assert x.grad.item() == 12
    x = leaf(2.0)
    y = Cube.apply(x)
    with gpuflow.no_grad():
        assert Cube.apply(x).stop_gradient
    (g,) = gpuflow.grad(y, x, create_graph=True)
    assert g.item() == 12


class ExpWithSavedOutput(PyLayer):
    @staticmethod
    def forward(ctx, x):
        out = x.exp()
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, g):
        (out,) = ctx.saved_tensor()
        return g * out


def test_py_layer_that_saves_its_output_has_derivatives_of_every_order_and_no_cycle():
    x = leaf(0.5)
    y = ExpWithSavedOutput.apply(x)
    for _ in range(3):
        (y,) = gpuflow.grad(y, x, create_graph=True)
        np.testing.assert_allclose(y.item(), np.exp(0.5), rtol=1e-15)
    gc.collect()
    gc.disable()
    try:
        y = ExpWithSavedOutput.apply(x)
        node = weakref.ref(y._node)
        del y
        assert node() is None
    finally:
        gc.enable()


class TwoOutputs(PyLayer):
    @staticmethod
    def forward(ctx, x, y, materialize):
        ctx.set_materialize_grads(materialize)
        return x * 2.0, y * 3.0

    @staticmethod
    def backward(ctx, to_first, to_second):
        TwoOutputs.got = to_second
        return to_first * 2.0, None if to_second is None else to_second * 3.0


def test_py_layer_with_several_outputs_materializes_missing_gradients_when_asked():
    x, y = leaf(1.0), leaf(1.0)
    TwoOutputs.apply(x, y, True)[0].backward()
    assert x.grad.item() == 2 and y.grad.item() == 0 and TwoOutputs.got.item() == 0
    x, y = leaf(1.0), leaf(1.0)
    TwoOutputs.apply(x, y, False)[0].backward()
    assert y.grad is None and TwoOutputs.got is None


class Wrong(PyLayer):
    @staticmethod
    def forward(ctx, x, y):
        return x + y

    @staticmethod
    def backward(ctx, g):
        return g, g, g


def test_py_layer_with_a_wrong_number_of_gradients():
    with pytest.raises(ValueError, match=r"Wrong.backward.*2 gradients.*got 3"):
        Wrong.apply(leaf(1.0), leaf(1.0)).backward()


def test_gradient_dtype_and_shape_are_the_inputs():
    x = gpuflow.to_tensor(np.ones((2, 1), np.float32), stop_gradient=False)
    y = gpuflow.to_tensor(np.ones((1, 3), np.float64), stop_gradient=False)
    (x * y).sum().backward()
    assert x.grad.shape == [2, 1] and x.grad.dtype is gpuflow.float32
    assert y.grad.shape == [1, 3] and y.grad.dtype is gpuflow.float64


@pytest.mark.parametrize("layer", [lambda: gpuflow.nn.Conv2D(1, 2, 3), lambda: gpuflow.nn.Linear(6, 4)])
def test_a_frozen_layer_keeps_no_activations_and_a_first_layer_no_weights(layer):
    layer = layer()
    rank = layer.weight.ndim
    x = gpuflow.ones([2, 1, 6, 6] if rank == 4 else [2, 6])
    assert layer(x)._node.saved.weight is None and layer(x)._node.saved.x is not None
    layer.weight.stop_gradient = True
    x.stop_gradient = False
    out = layer(x)
    assert out._node.saved.x is None and out._node.saved.weight is not None
    out.sum().backward()
    assert x.grad is not None and layer.weight.grad is None and layer.bias.grad is not None
