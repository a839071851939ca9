"""Recurrent cells, walks and stacks under fixed weights, for `attention_cases.run`: CASES."""
import numpy as np

from tests.golden.attention_cases import flat, with_weights


def _cell(kind, features, states, **arguments):
    """Two steps of a cell."""
    def case(paddle, tensor):
        layer = with_weights(getattr(paddle.nn, kind)(3, 4, **arguments))
        starts = tuple(tensor(f"state{k}", 2, size) for k, size in enumerate(states))
        out, after = layer(tensor("x", 2, features), starts if len(starts) > 1 else starts[0] if starts else None)
        return layer, flat(out, layer(tensor("y", 2, features), after))

    return case


def _walk(make, features=3, lengths=None, state=None):
    def case(paddle, tensor):
        layer = with_weights(make(paddle.nn), training=True)   # Paddle's stacks have no gradient in evaluation
        lengths_ = None if lengths is None else paddle.to_tensor(lengths)
        return layer, flat(layer(tensor("x", *features) if isinstance(features, tuple) else tensor("x", 3, 5, features),
                                 None if state is None else state(tensor), lengths_))

    return case


def _stack(kind, lengths=None, state=None, size=(3, 5, 3), **arguments):
    return _walk(lambda nn: getattr(nn, kind)(3, 4, **arguments), size, lengths, state)


class Leaky:
    """A cell of a user's own, with two states of other sizes and a keyword."""

    def __new__(cls, paddle):
        class LeakyCell(paddle.nn.RNNCellBase):
            def __init__(self):
                super().__init__()
                self.line = paddle.nn.Linear(3 + 2, 2)

            def forward(self, x, states):
                h, count = states
                h = 0.5 * h + paddle.tanh(self.line(paddle.concat([x, h], -1)))
                return h * 2, (h, count + 1)

            @property
            def state_shape(self):
                return ((2,), (1,))

        return LeakyCell()


def _leaky(paddle, tensor):
    layer = with_weights(paddle.nn.RNN(Leaky(paddle), is_reverse=True))
    out, (h, count) = layer(tensor("x", 2, 4, 3), sequence_length=paddle.to_tensor(np.array([2, 4])))
    return layer, [out, h, count]


def _h(layers, size=4):
    return lambda tensor: tensor("h", layers, 3, size)


def _hc(layers, size=4):
    return lambda tensor: (tensor("h", layers, 3, size), tensor("c", layers, 3, 4))


_LENGTHS = np.array([5, 2, 3], np.int32)   # Paddle reads int64 wrongly
CASES = {
    "simple cell": _cell("SimpleRNNCell", 3, (4,)),
    "simple cell relu": _cell("SimpleRNNCell", 3, (), activation="relu", bias_ih_attr=False),
    "lstm cell": _cell("LSTMCell", 3, (4, 4)),
    "lstm cell without states": _cell("LSTMCell", 3, (), weight_ih_attr=False),
    "lstm cell projected": _cell("LSTMCell", 3, (2, 4), proj_size=2),
    "gru cell": _cell("GRUCell", 3, (4,), bias_hh_attr=False),
    "walk": _walk(lambda nn: nn.RNN(nn.LSTMCell(3, 4))),
    "walk back, time major": _walk(lambda nn: nn.RNN(nn.GRUCell(3, 4), True, True)),
    "walk lengths": _walk(lambda nn: nn.RNN(nn.LSTMCell(3, 4), True), lengths=_LENGTHS),
    "walk both ways": _walk(lambda nn: nn.BiRNN(nn.GRUCell(3, 4), nn.SimpleRNNCell(3, 4)), lengths=_LENGTHS),
    "walk both ways, states": _walk(lambda nn: nn.BiRNN(nn.GRUCell(3, 4), nn.GRUCell(3, 4)),
                                    state=lambda tensor: (tensor("a", 3, 4), tensor("b", 3, 4))),
    "own cell": _leaky,
    **{f"{kind}": _stack(kind) for kind in ("SimpleRNN", "LSTM", "GRU")},
    # not both at once: there Paddle's gradients of the way back are wrong (they differ from its own differences)
    **{f"{kind} {what}": _stack(kind, lengths, state, num_layers=2, direction="bidirect")
       for kind in ("SimpleRNN", "LSTM", "GRU")
       for what, lengths, state in (("lengths", _LENGTHS, None), ("states", None, (_hc if kind == "LSTM" else _h)(4)))},
    "SimpleRNN relu": _stack("SimpleRNN", activation="relu", num_layers=2),
    "LSTM time major": _stack("LSTM", np.array([2, 5, 1], np.int32), size=(5, 3, 3), time_major=True),
    "LSTM projected": _stack("LSTM", state=_hc(2, 2), num_layers=2, proj_size=2),
}
