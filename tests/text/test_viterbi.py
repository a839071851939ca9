"""The best path of tags against all paths."""
import itertools

import numpy as np
import pytest

import gpuflow as paddle
from gpuflow.text import ViterbiDecoder, viterbi_decode


def best(emissions, transitions, ends):
    def score(path):
        steps = sum(transitions[a, b] for a, b in itertools.pairwise(path))
        return steps + sum(e[k] for e, k in zip(emissions, path)) + (
            transitions[-1, path[0]] + transitions[-2, path[-1]] if ends else 0)

    path = max(itertools.product(range(len(transitions)), repeat=len(emissions)), key=score)
    return score(path), list(path)


@pytest.mark.parametrize("ends", [True, False])
def test_it_is_the_best_of_all_paths(ends, device):
    rng = np.random.default_rng(0)
    emissions, transitions = rng.standard_normal((4, 4, 4)), rng.standard_normal((4, 4))
    lengths = np.array([3, 2, 1, 3])
    scores, paths = ViterbiDecoder(paddle.to_tensor(transitions), ends)(paddle.to_tensor(emissions),
                                                                        paddle.to_tensor(lengths))
    assert paths.shape == [4, 3] and paths.dtype == paddle.int64
    for b, n in enumerate(lengths):
        score, path = best(emissions[b, :n], transitions, ends)
        assert scores[b].item() == pytest.approx(score) and paths[b].tolist() == path + [0] * (3 - n)


def test_shapes_that_do_not_fit_are_said():
    with pytest.raises(ValueError, match="transitions"):
        viterbi_decode(paddle.ones([2, 3, 4]), paddle.ones([3, 3]), paddle.ones([2], "int64"))
