"""Beam search and dynamic_decode: what Paddle finds, what the search promises, and errors."""
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import nn
from tests.golden import decode_cases

_FILE = Path(__file__).parents[1] / "golden" / "decode.npz"


def test_as_paddle():
    found = decode_cases.results(paddle)
    with np.load(_FILE) as expected:
        assert list(found) == expected.files
        for name in expected.files:
            assert found[name].dtype == expected[name].dtype, name
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-5, err_msg=name)


class Table(nn.RNNCellBase):
    """Log-probabilities of the next id that depend on the last one."""

    def __init__(self, table):
        super().__init__()
        self.table = paddle.to_tensor(np.log(table / table.sum(1, keepdims=True)).astype(np.float32))

    def forward(self, ids, states):
        return self.table[ids], states


def test_a_wide_beam_finds_the_likeliest_sequence():
    table = np.random.default_rng(5).uniform(0.1, 2, (4, 4))
    cell, steps = Table(table), 3
    decoder = nn.BeamSearchDecoder(cell, start_token=0, end_token=3, beam_size=16)
    ids, states = nn.dynamic_decode(decoder, paddle.zeros([1, 1]), max_step_num=steps - 1)
    log = cell.table.numpy()

    def likelihood(sequence):
        before, total = 0, 0.0
        for token in sequence:
            if before == 3:
                total += 0.0 if token == 3 else -1e9
            else:
                total += log[before, token]
            before = token
        return total

    best = max(product(range(4), repeat=steps), key=likelihood)
    assert tuple(ids.numpy()[0, :, 0]) == best
    assert states.log_probs.numpy()[0, 0] == pytest.approx(likelihood(best), rel=1e-5)


def test_it_stops_when_all_beams_have_ended():
    table = np.array([[1e-6, 1e-6, 1.0], [1, 1, 1], [1, 1, 1]])
    decoder = nn.BeamSearchDecoder(Table(table), 0, 2, 1)
    ids, _, lengths = nn.dynamic_decode(decoder, paddle.zeros([2, 1]), max_step_num=50, return_length=True)
    assert ids.numpy().tolist() == [[[2]], [[2]]] and lengths.numpy().tolist() == [[1], [1]]


def test_errors_say_what_would_fit():
    with pytest.raises(ValueError, match="beam_size above 0"):
        nn.BeamSearchDecoder(None, 0, 1, 0)
    with pytest.raises(ValueError, match="max_step_num=-1"):
        nn.dynamic_decode(nn.BeamSearchDecoder(Table(np.ones((3, 3))), 0, 2, 1), paddle.zeros([1, 1]), -1)
    with pytest.raises(ValueError, match=r"\[time, batch, beam\]"):
        nn.functional.gather_tree(paddle.zeros([2, 3], "int64"), paddle.zeros([2, 3], "int64"))
    paddle.enable_static()
    try:
        with pytest.raises(RuntimeError, match="eager mode"):
            nn.dynamic_decode(None)
    finally:
        paddle.disable_static()
