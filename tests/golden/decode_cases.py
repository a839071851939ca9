"""Beam search and a decoder of one's own under fixed weights: `results(paddle)` gives {name: array}."""
import numpy as np

from tests.golden.attention_cases import flat, with_weights

VOCABULARY, END = 7, 1


def _search(paddle, kind, batch, beams, steps, time_major):
    nn = paddle.nn

    class Parts(nn.Layer):
        def __init__(self):
            super().__init__()
            self.cell = getattr(nn, kind)(5, 6)
            self.embedding, self.out = nn.Embedding(VOCABULARY, 5), nn.Linear(6, VOCABULARY)

    parts = with_weights(Parts())
    parts.out.weight.set_value(parts.out.weight.numpy() * 6)   # far apart enough that no two beams tie
    decoder = nn.BeamSearchDecoder(parts.cell, 0, END, beams, parts.embedding, parts.out)
    h = paddle.to_tensor(np.random.default_rng(batch).uniform(-1, 1, (batch, 6)).astype(np.float32))
    found = nn.dynamic_decode(decoder, (h, h * 0.5) if kind == "LSTMCell" else h, steps, time_major, return_length=True)
    return flat(found[0], *found[1], found[2])


def _counting(paddle, impute):
    """A decoder that adds to a number until it passes the sample's limit."""
    class Counting(paddle.nn.decode.Decoder):
        def __init__(self):
            self.limit = paddle.to_tensor(np.array([[1.0], [3.0], [2.0]], np.float32))

        def initialize(self, inits):
            return inits, inits, inits.squeeze(1) > 99

        def step(self, time, inputs, states):
            following = states + inputs + time.astype("float32")
            return following, following, inputs, (following >= self.limit).squeeze(1)

        def finalize(self, outputs, final_states, sequence_lengths):
            return outputs + 1, final_states

    start = paddle.to_tensor(np.array([[0.5], [0.25], [0.125]], np.float32))
    return flat(*paddle.nn.dynamic_decode(Counting(), start, 9, impute_finished=impute, return_length=True))


def _cases(paddle):
    yield "gru", _search(paddle, "GRUCell", 3, 4, 6, False)
    yield "lstm", _search(paddle, "LSTMCell", 2, 3, 20, True)
    yield "one beam", _search(paddle, "SimpleRNNCell", 2, 1, 4, False)
    ids, parents = (np.random.default_rng(k).integers(0, high, (4, 2, 3)) for k, high in ((0, 9), (1, 3)))
    yield "tree", [paddle.nn.functional.gather_tree(paddle.to_tensor(ids), paddle.to_tensor(parents))]
    yield "rows", [paddle.nn.BeamSearchDecoder.tile_beam_merge_with_batch(paddle.to_tensor(ids), 2)]
    yield "counting", _counting(paddle, False)
    yield "counting, imputed", _counting(paddle, True)


def results(paddle):
    return {f"{name}/{k}": array.numpy() for name, arrays in _cases(paddle) for k, array in enumerate(arrays)}
