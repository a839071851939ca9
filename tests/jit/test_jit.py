"""Traced functions and layers compute, train and travel as they did before they were traced."""
import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import jit, nn
from gpuflow.static import InputSpec


class Net(nn.Layer):
    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(6, 8), nn.BatchNorm1D(8), nn.Linear(8, 3)

    def forward(self, x, scale=1.0):
        return self.last(nn.functional.relu(self.norm(self.first(x)))) * scale


def data(rows=5, seed=0):
    return paddle.to_tensor(np.random.default_rng(seed).standard_normal((rows, 6)).astype("float32"))


def trained(net, steps=3):
    optimizer = paddle.optimizer.Adam(0.01, parameters=net.parameters())
    for step in range(steps):
        (net(data(seed=step)) ** 2).mean().backward()
        optimizer.step()
        optimizer.clear_grad()
    return {name: t.numpy() for name, t in net.state_dict().items()}


def net():
    paddle.seed(2)
    with paddle.utils.unique_name.guard():
        return Net()


def test_a_traced_layer_trains_to_the_same_bits():
    plain, traced = trained(net()), trained(jit.to_static(net()))
    for name, array in plain.items():
        np.testing.assert_array_equal(traced[name], array, err_msg=name)


def test_the_gradient_of_an_input_and_a_second_backward():
    @jit.to_static
    def f(x, y):
        return x * y + x, {"sum": y.sum()}

    x, y = paddle.to_tensor([1.0, 2.0], stop_gradient=False), paddle.to_tensor([3.0, 4.0])
    out, more = f(x, y)
    assert more["sum"].item() == 7.0 and more["sum"].stop_gradient
    out.sum().backward(retain_graph=True)
    out.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [8.0, 10.0])


def test_one_trace_for_each_kind_of_arguments():
    calls = []

    @jit.to_static
    def f(x, scale):
        calls.append(scale)
        return x * scale

    for rows in (2, 2, 3):
        for scale in (1.0, 2.0):
            np.testing.assert_array_equal(f(paddle.ones([rows]), scale).numpy(), np.full(rows, scale))
    assert calls == [1.0, 2.0, 1.0, 2.0]


def test_an_unknown_batch_is_traced_once_and_others_are_refused():
    layer = jit.to_static(net(), input_spec=[InputSpec([None, 6], "float32", "x")])
    layer.eval()
    for rows in (1, 4):
        assert layer(data(rows)).shape == [rows, 3]
    assert len(layer.forward._traced) == 1
    with pytest.raises(ValueError, match=r"\(-1, 6\).*\[2, 5\]"):
        layer(paddle.ones([2, 5]))


def test_train_and_eval_are_traced_apart():
    layer, plain = jit.to_static(net()), net()
    for mode in ("train", "eval", "train"):
        getattr(layer, mode)()
        getattr(plain, mode)()
        np.testing.assert_array_equal(layer(data()).numpy(), plain(data()).numpy())
    np.testing.assert_array_equal(layer.norm._mean.numpy(), plain.norm._mean.numpy())


def test_a_decision_on_numbers_says_what_to_use():
    @jit.to_static
    def f(x):
        return x if x.sum() > 0 else -x

    with pytest.raises(TypeError, match=r"static\.nn\.cond"):
        f(paddle.ones([2]))
    jit.enable_to_static(False)
    try:
        np.testing.assert_array_equal(f(paddle.ones([2])).numpy(), [1, 1])
    finally:
        jit.enable_to_static(True)


def test_a_saved_layer_computes_the_same_and_trains_on(tmp_path):
    layer = net()
    trained(layer)
    jit.save(layer, str(tmp_path / "net"), input_spec=[InputSpec([None, 6])])
    assert layer.training
    loaded = jit.load(str(tmp_path / "net"))
    layer.eval()
    for rows in (1, 7):
        np.testing.assert_array_equal(loaded(data(rows)).numpy(), layer(data(rows)).numpy())
    assert len(loaded.parameters()) == len(layer.parameters())
    before = loaded(data()).numpy()
    trained(loaded)
    assert not np.array_equal(loaded(data()).numpy(), before)


def test_unknown_options_are_refused():
    with pytest.raises(TypeError, match="no_such"):
        jit.to_static(lambda x: x, no_such=True)


def test_switches_of_paddles_rewriting_are_taken():
    assert jit.set_code_level(3) is jit.set_verbosity(1, also_to_stdout=True) is jit.ignore_module([np]) is None
