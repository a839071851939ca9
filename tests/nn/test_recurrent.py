"""Recurrent layers: Paddle's numbers and keys, the op beside the step-by-step walk, lengths, Programs, errors."""
import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import nn
from gpuflow.nn.nested import leaves
from tests.golden.attention_cases import run
from tests.golden.recurrent_cases import CASES, Leaky
from tests.nn.golden import compare_layers, recorded


@pytest.mark.parametrize("name", CASES)
def test_as_paddle(name):
    # float32 sums in another order, over five steps
    compare_layers(run(paddle, CASES, name), recorded("recurrent.npz", name), rtol=5e-5, atol=5e-6)


def _x(*shape, seed=0):
    values = np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)
    return paddle.to_tensor(values, stop_gradient=False)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("make", [nn.SimpleRNNCell, nn.LSTMCell, nn.GRUCell,
                                  lambda i, h: nn.LSTMCell(i, h, proj_size=2)])
def test_the_op_walks_as_the_cell_does_step_by_step(make, reverse):
    class Stepwise(type(make(3, 4))):
        def forward(self, inputs, states=None):   # one of its own: then RNN calls it step by step
            return super().forward(inputs, states)

    cell, x = make(3, 4), _x(2, 5, 3)
    other = Stepwise(3, 4, **({"proj_size": 2} if getattr(cell, "proj_size", 0) else {}))
    other.set_state_dict(cell.state_dict())
    found = []
    for each in (cell, other):
        out, states = nn.RNN(each, reverse)(x)
        h = states[0] if isinstance(states, tuple) else states
        ((out * out).sum() + h.sum()).backward()
        found.append([out.numpy(), h.numpy(), x.grad.numpy(), *(p.grad.numpy() for p in each.parameters())])
        x.clear_grad()
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_lengths_are_as_if_each_sequence_ran_alone(kind):
    """With states as well, in both directions, where Paddle's gradients are wrong."""
    net = getattr(nn, kind)(3, 4, 2, "bidirect")
    x, lengths, states = _x(3, 5, 3), [5, 2, 3], (_x(4, 3, 4, seed=1), _x(4, 3, 4, seed=2))
    pair = kind == "LSTM"
    out, last = net(x, states if pair else states[0], paddle.to_tensor(lengths))
    (out * out).sum().backward()
    together = [x.grad.numpy(), *(p.grad.numpy() for p in net.parameters())]
    for leaf in (x, *net.parameters()):
        leaf.clear_grad()
    for b, length in enumerate(lengths):
        part = [s[:, b:b + 1] for s in states]
        alone, end = net(x[b:b + 1, :length], part if pair else part[0])
        (alone * alone).sum().backward()
        np.testing.assert_allclose(out.numpy()[b, :length], alone.numpy()[0], rtol=1e-5, atol=1e-6)
        assert not out.numpy()[b, length:].any()
        for a, e in zip(last if pair else (last,), end if pair else (end,), strict=True):
            np.testing.assert_allclose(a.numpy()[:, b], e.numpy()[:, 0], rtol=1e-5, atol=1e-6)
    for a, b in zip(together, [x.grad, *(p.grad for p in net.parameters())], strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-4, atol=1e-6)


def test_a_sequence_of_length_zero_keeps_its_state():
    h = _x(1, 2, 4)
    out, last = nn.GRU(3, 4)(_x(2, 3, 3), h, paddle.to_tensor([0, 3]))
    assert not out.numpy()[0].any() and (last.numpy()[0, 0] == h.numpy()[0, 0]).all()


def test_dropout_lies_between_layers_and_in_training_only():
    net, x = nn.GRU(3, 8, num_layers=2, dropout=0.5), _x(2, 4, 3)
    one = nn.GRU(3, 8, dropout=0.5)
    assert (net(x)[0].numpy() != net(x)[0].numpy()).any() and (one(x)[0].numpy() == one(x)[0].numpy()).all()
    net.eval()
    assert (net(x)[0].numpy() == net(x)[0].numpy()).all()


def test_a_name_shares_the_weights_of_directions():
    net = nn.SimpleRNN(3, 4, direction="bidirect", weight_hh_attr="inner")
    assert net[0].cell_fw.weight_hh is net[0].cell_bw.weight_hh and len(net.parameters()) == 7
    net(_x(2, 3, 3))[0].sum().backward()
    assert net[0].cell_fw.weight_hh.grad.shape == [4, 4]


def test_states_of_other_structures():
    cell = Leaky(paddle)
    h, count = cell.get_initial_states(_x(3, 2), init_value=0.5, dtype=["float64", "int32"])
    assert (h.shape, h.dtype, count.dtype) == ([3, 2], "float64", "int32") and (h.numpy() == 0.5).all()
    assert cell.get_initial_states(_x(5, 3, 2), shape=[-1, 7], batch_dim_idx=1).shape == [3, 7]
    with pytest.raises(NotImplementedError, match="state_shape"):
        nn.RNNCellBase().get_initial_states(_x(3, 2))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_low_precision_is_added_up_in_float32(dtype):
    net = nn.LSTM(3, 4)
    x = _x(2, 50, 3)
    exact = net(x)[0].numpy()
    net.to(dtype=dtype)
    out, (h, c) = net(x.astype(dtype))
    out.sum().backward()
    assert (out.dtype, h.dtype, c.dtype, net[0].cell.weight_hh.grad.dtype) == (dtype,) * 4
    assert np.abs(out.astype("float32").numpy() - exact).max() < (2e-3 if dtype == "float16" else 2e-2)


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_auto_cast_goes_by_the_inputs_unless_rnn_is_listed(kind):
    net, x, lengths = getattr(nn, kind)(3, 4), _x(2, 5, 3), paddle.to_tensor([2, 5])
    with paddle.amp.auto_cast(dtype="bfloat16"):
        assert net(x.astype("bfloat16"), None, lengths)[0].dtype == "float32"   # the weights are
    with paddle.amp.auto_cast(dtype="bfloat16", custom_white_list={"rnn"}):
        out, _ = net(x, None, lengths)
    out.sum().backward()
    assert out.dtype == "bfloat16" and net[0].cell.weight_hh.grad.dtype == "float32"


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_in_a_program_with_any_batch_and_length(kind):
    net, x, lengths = getattr(nn, kind)(3, 4, 2, "bidirect"), _x(3, 5, 3), np.array([5, 2, 3])
    out, last = net(x, None, paddle.to_tensor(lengths))
    (out * out).sum().backward()
    expected = [out.numpy(), leaves(last)[0].numpy(), net[0].cell_fw.weight_ih.grad.numpy()]
    paddle.enable_static()
    try:
        main = paddle.static.Program()
        with paddle.static.program_guard(main, paddle.static.Program()):
            out, last = net(paddle.static.data("x", [-1, -1, 3]), None, paddle.static.data("n", [-1], "int64"))
            assert out.shape == [-1, -1, 8] and leaves(last)[0].shape == [4, -1, 4]
            gradients = dict((p.name, g) for p, g in paddle.static.append_backward((out * out).sum()))
            wanted = [out, leaves(last)[0], gradients[net[0].cell_fw.weight_ih.name]]
            found = paddle.static.Executor().run(main, feed={"x": x.numpy(), "n": lengths}, fetch_list=wanted)
    finally:
        paddle.disable_static()
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_model_of_sequences_is_saved_and_runs_for_any_batch(tmp_path):
    class Model(nn.Layer):
        def __init__(self):
            super().__init__()
            self.read = nn.LSTM(3, 4, 2, "bidirect")
            self.look = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 1)
            self.walk = nn.RNN(nn.GRUCell(8, 4))

        def forward(self, x):
            return self.walk(self.look(self.read(x)[0]))[0]

    model, x = Model(), _x(2, 5, 3)
    model.eval()
    expected = model(x).numpy()
    paddle.jit.save(model, str(tmp_path / "model"), [paddle.static.InputSpec([None, 5, 3], "float32")])
    found = paddle.jit.load(str(tmp_path / "model"))(paddle.concat([x, x])).numpy()
    np.testing.assert_allclose(found, np.concatenate([expected, expected]), rtol=1e-5, atol=1e-6)


def test_a_cell_of_ones_own_needs_to_know_the_steps():
    paddle.enable_static()
    try:
        with paddle.static.program_guard(paddle.static.Program(), paddle.static.Program()):
            x = paddle.static.data("x", [-1, 4, 3])
            assert nn.RNN(Leaky(paddle))(x)[0].shape == [-1, 4, 2]
            with pytest.raises(ValueError, match="a number of steps that is known"):
                nn.RNN(Leaky(paddle))(paddle.static.data("y", [2, -1, 3]))
    finally:
        paddle.disable_static()


@pytest.mark.parametrize(("call", "parts"), [
    (lambda: nn.LSTM(3, 4)(_x(2, 5, 2)), ["3 features per step", "2"]),
    (lambda: nn.LSTM(3, 4)(_x(2, 3)), ["a batch, features", "[3, 2], time first"]),
    (lambda: nn.GRU(3, 4)(_x(2, 5, 3), _x(2, 2, 4)), ["1 layers and directions", "2"]),
    (lambda: nn.GRU(3, 4)(_x(2, 5, 3), _x(1, 3, 4)), ["a state h", "[2, 4]", "[3, 4]"]),
    (lambda: nn.LSTM(3, 4)(_x(2, 5, 3), (_x(1, 2, 4), _x(1, 2, 3))), ["a state c", "[2, 4]", "[2, 3]"]),
    (lambda: nn.GRU(3, 4)(_x(2, 5, 3), None, paddle.to_tensor([9, 5])), ["lengths in [0, 5]", "9"]),
    (lambda: nn.GRU(3, 4)(_x(2, 5, 3), None, paddle.to_tensor([5])), ["lengths of shape [2]"]),
    (lambda: nn.GRU(3, 4, direction="backward"), ["direction", "'backward'"]),
    (lambda: nn.LSTMCell(3, 4, proj_size=4), ["proj_size in [0, 4)"]),
    (lambda: nn.SimpleRNNCell(3, 4, activation="gelu"), ["'tanh' or 'relu'"]),
    (lambda: nn.BiRNN(nn.GRUCell(3, 4), nn.GRUCell(2, 4)), ["one input_size", "3 and 2"]),
])
def test_errors_say_what_would_fit(call, parts):
    with pytest.raises(ValueError) as error:
        call()
    for part in parts:
        assert part in str(error.value)
