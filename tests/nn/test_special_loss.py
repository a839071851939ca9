"""Losses over alignments, many classes and pairs: Paddle's numbers, and definitions written out."""
import itertools
from pathlib import Path

import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import nn, static
from gpuflow.nn import functional as F
from tests.golden.nn_special_loss_cases import CASES, TRANSDUCERS, run

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "nn_special_loss.npz")


@pytest.mark.parametrize("name", [*CASES, *TRANSDUCERS])
def test_numbers_are_paddles(name):
    got = run(paddle, name)
    for i, a in enumerate(got):
        b = GOLDEN[f"{name}/{i}"]
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=3e-6)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_ctc_is_the_sum_over_all_alignments():
    logits = np.random.default_rng(0).standard_normal((4, 1, 3))
    p, total = softmax(logits[:, 0]), 0.0
    for path in itertools.product(range(3), repeat=4):
        folded = [a for a, _ in itertools.groupby(path) if a != 0]
        total += np.prod([p[t, c] for t, c in enumerate(path)]) * (folded == [2, 1])
    found = F.ctc_loss(paddle.to_tensor(logits), paddle.to_tensor([[2, 1]]), paddle.to_tensor([4]),
                       paddle.to_tensor([2]), reduction="none")
    np.testing.assert_allclose(found.numpy(), [-np.log(total)], rtol=1e-12)


def test_ctc_of_labels_that_cannot_be():
    args = paddle.zeros([2, 1, 3]), paddle.to_tensor([[1, 1]]), paddle.to_tensor([2]), paddle.to_tensor([2])
    args[0].stop_gradient = False
    assert F.ctc_loss(*args, reduction="sum").item() > 1e29
    loss = F.ctc_loss(*args, reduction="sum", zero_infinity=True)
    loss.backward()
    assert loss.item() == 0 and not args[0].grad.numpy().any()


def test_ctc_without_labels_and_with_labels_out_of_range():
    p = softmax(np.arange(6.0).reshape(2, 1, 3))[:, 0, 0]
    args = paddle.to_tensor(np.arange(6.0).reshape(2, 1, 3)), paddle.to_tensor([[1]]), paddle.to_tensor([2])
    found = F.ctc_loss(*args, paddle.to_tensor([0]), reduction="none")
    np.testing.assert_allclose(found.numpy(), [-np.log(p.prod())], rtol=1e-6)
    with pytest.raises(ValueError, match="below 3, got 7"):
        F.ctc_loss(args[0], paddle.to_tensor([[7]]), args[2], paddle.to_tensor([1]))


def test_adaptive_softmax_sums_to_one_and_tells_its_labels():
    layer = nn.AdaptiveLogSoftmaxWithLoss(8, 10, [3, 6], head_bias=True)
    x, y = paddle.randn([7, 8]), paddle.to_tensor([0, 2, 3, 5, 6, 9, 1])
    every = layer.log_prob(x)
    np.testing.assert_allclose(every.exp().sum(axis=1).numpy(), np.ones(7), rtol=1e-5)
    out, loss = layer(x, y)
    np.testing.assert_allclose(out.numpy(), every.numpy()[np.arange(7), y.numpy()], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(loss.item(), -out.numpy().mean(), rtol=1e-5)
    loss.backward()
    assert all(p.grad is not None for p in layer.parameters())
    np.testing.assert_array_equal(layer.predict(x).numpy(), every.numpy().argmax(axis=1))


def test_margin_cross_entropy_by_its_definition():
    cosines, label = np.tanh(np.random.default_rng(2).standard_normal((4, 5))), np.array([0, 3, 2, 4])
    harder = cosines.copy()
    own = np.arange(4), label
    harder[own] = np.cos(0.9 * np.arccos(cosines[own]) + 0.3) - 0.1
    expected = -np.log(softmax(8 * harder)[own])
    found, soft = F.margin_cross_entropy(paddle.to_tensor(cosines), paddle.to_tensor(label), 0.9, 0.3, 0.1, 8.0,
                                         return_softmax=True, reduction=None)
    np.testing.assert_allclose(found.numpy()[:, 0], expected, rtol=1e-9)
    np.testing.assert_allclose(soft.numpy(), softmax(8 * harder), rtol=1e-9)


def test_class_center_sample_keeps_the_labels_and_draws_the_rest():
    label = paddle.to_tensor([3, 5, 1, 5], "int32")
    paddle.seed(4)
    draws = set()
    for _ in range(20):
        among, kept = F.class_center_sample(label, 8, 5)
        assert among.tolist() == [1, 2, 0, 2] and kept.tolist()[:3] == [1, 3, 5] and len(set(kept.tolist())) == 5
        assert among.dtype == kept.dtype == "int32"
        draws |= set(kept.tolist())
    assert draws == set(range(8))
    paddle.seed(4)
    assert [F.class_center_sample(label, 8, 5)[1].tolist() for _ in range(20)][-1] == kept.tolist()
    assert F.class_center_sample(label, 8, 2)[1].tolist() == [1, 3, 5]
    for wrong in ((label, 4, 3), (label, 8, 9), (label.reshape([2, 2]), 8, 5), (label.astype("float32"), 8, 5)):
        with pytest.raises(ValueError, match="class_center_sample"):
            F.class_center_sample(*wrong)
    paddle.enable_static()
    with pytest.raises(RuntimeError, match="eager mode"):
        F.class_center_sample(static.data("y", [None], "int64"), 8, 5)


def test_they_take_a_batch_of_unknown_size():
    paddle.enable_static()
    x, y = static.data("x", [None, 8]), static.data("y", [None], "int64")
    layer, margin = nn.HSigmoidLoss(8, 6), nn.MultiLabelMarginLoss()
    loss = layer(x, y).mean() + margin(x, static.data("labels", [None, 8], "int64"))
    static.append_backward(loss)
    exe = static.Executor()
    exe.run(static.default_startup_program())
    labels = np.full((5, 8), -1)
    labels[:, 0] = 2
    found = exe.run(feed={"x": np.ones((5, 8), "float32"), "y": np.arange(5), "labels": labels},
                    fetch_list=[loss, f"{layer.weight.name}@GRAD"])
    assert np.isfinite(found[0]) and found[1].any()
