"""Losses and other functions against the numbers of Paddle 3.3.1 (tests/golden/nn_loss.npz), and their errors."""
import math
from pathlib import Path

import numpy as np
import pytest

import gpuflow
from gpuflow import nn
from gpuflow.nn import functional as F
from tests.golden.nn_loss_cases import CASES, run

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "nn_loss.npz")


@pytest.mark.parametrize("name", CASES)
def test_numbers_are_paddles(name):
    got = run(gpuflow, CASES[name])
    want = [GOLDEN[f"{name}/{i}"] for i in range(len(got))]
    for a, b in zip(got, want, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        # float32 results of a few operations each: a few units in the last place, in the scale of the largest number
        scale = np.abs(b[np.isfinite(b)]).max(initial=1e-3)
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6 * scale)


def test_every_loss_and_function_of_these_files_has_numbers_or_a_reason():
    without = {"gumbel_softmax", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout",   # drawn: test_dropout
               "logsigmoid"}   # another name
    from gpuflow.nn.functional import activation, common, input, loss

    names = {n for part in (activation, common, input, loss) for n in part.__all__ if not n.endswith("_")}
    assert names - {call.function for call in CASES.values()} == without


def t(x, **kwargs):
    return gpuflow.to_tensor(np.asarray(x), **kwargs)


def test_cross_entropy_of_huge_logits_is_exact_and_quiet():
    x = t(np.array([[3000.0, -3000.0, 0.0]]), stop_gradient=False)
    loss = F.cross_entropy(x, t([1]))
    loss.backward()
    assert loss.item() == 6000 and x.grad.numpy().tolist() == [[1, -1, 0]]   # Paddle's CPU kernel stops at 64


def test_an_ignored_row_counts_for_nothing_even_when_it_is_inf():
    x = t(np.array([[np.inf, 0.0], [1.0, 2.0]], np.float32))
    assert F.cross_entropy(x, t([-100, 0]), reduction="sum").item() == pytest.approx(math.log(1 + math.e), rel=1e-6)


def test_all_rows_ignored():
    x = t(np.ones((2, 3), np.float32), stop_gradient=False)
    loss = F.cross_entropy(x, t([0, 0]), ignore_index=0)
    loss.backward()
    assert loss.item() == 0 and not x.grad.numpy().any()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_low_precision_keeps_its_dtype_and_sums_in_float32(dtype):
    x = t(np.zeros((4096, 4), np.float32)).astype(dtype)
    x.stop_gradient = False
    loss = F.cross_entropy(x, t(np.zeros(4096, np.int64)), reduction="mean")
    loss.backward()
    assert loss.dtype == dtype and x.grad.dtype == dtype
    assert loss.item() == pytest.approx(math.log(4), rel=4e-3)   # one rounding to 8 bits


@pytest.mark.parametrize(("call", "error", "words"), [
    (lambda: F.cross_entropy(t(np.ones((2, 3), np.float32)), t([0, 3])), ValueError, r"labels in \[0, 3\).*got 3"),
    (lambda: F.cross_entropy(t(np.ones((2, 3), np.float32)), t([0, -1])), ValueError, "got -1"),
    (lambda: F.cross_entropy(t(np.ones((2, 3), np.float32)), t([0, 1, 2])), ValueError, "labels of shape"),
    (lambda: F.cross_entropy(t(np.ones((2, 3), np.float32)), t([0.0, 1.0])), TypeError, "soft_label=True"),
    (lambda: F.cross_entropy(t(np.ones((2, 3), np.float32)), t([0, 1]), weight=t(np.ones(2, np.float32))), ValueError,
     r"weight \[3\]"),
    (lambda: F.cross_entropy(t(np.ones((2, 3), np.float32)), t([0, 1]), reduction="avg"), ValueError, "reduction"),
    (lambda: F.cross_entropy(t(np.ones((2, 3), np.float32)), t(np.ones((2, 2), np.float32)), soft_label=True),
     ValueError, "shape"),
    (lambda: F.nll_loss(t(np.ones((2, 3), np.float32)), t([0, 5])), ValueError, "nll_loss.*got 5"),
    (lambda: F.mse_loss(t(np.ones((2, 3))), t(np.ones((4, 3)))), ValueError, "broadcast"),
    (lambda: F.smooth_l1_loss(t(np.ones(2)), t(np.ones(2)), delta=0), ValueError, "delta > 0"),
    (lambda: nn.CrossEntropyLoss(reduction="average"), ValueError, "CrossEntropyLoss"),
    (lambda: nn.MSELoss("batchmean"), ValueError, "reduction among"),
    (lambda: nn.MSELoss(weight=1), TypeError, "weight"),
])
def test_errors_name_what_is_wrong(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_layers_are_their_functions():
    x, y = t(np.linspace(-1, 1, 6).reshape(2, 3).astype(np.float32)), t(np.ones((2, 3), np.float32))
    for layer, function, args in [
            (nn.CrossEntropyLoss(label_smoothing=0.1), lambda a, b: F.cross_entropy(a, b, label_smoothing=0.1),
             (x, t([0, 2]))),
            (nn.SmoothL1Loss(delta=0.3), lambda a, b: F.smooth_l1_loss(a, b, delta=0.3), (x, y)),
            (nn.KLDivLoss("batchmean"), lambda a, b: F.kl_div(a, b, "batchmean"), (x, y)),
            (nn.BCEWithLogitsLoss(pos_weight=t([1.0, 2.0, 3.0], dtype="float32")),
             lambda a, b: F.binary_cross_entropy_with_logits(a, b, pos_weight=t([1.0, 2.0, 3.0], dtype="float32")),
             (x, y)),
            (nn.MarginRankingLoss(0.5), lambda a, b, c: F.margin_ranking_loss(a, b, c, 0.5), (x, y, y)),
            (nn.HingeEmbeddingLoss(), F.hinge_embedding_loss, (x, y)), (nn.L1Loss("sum"), None, (x, y)),
            (nn.NLLLoss(), F.nll_loss, (x, t([0, 2]))), (nn.BCELoss(), F.binary_cross_entropy, (y * 0.5, y))]:
        want = function(*args) if function else F.l1_loss(*args, reduction="sum")
        assert layer(*args).item() == want.item()


def test_class_weights_are_a_buffer_that_is_not_saved_and_moves_along():
    layer = nn.CrossEntropyLoss(weight=t([1.0, 2.0], dtype="float32"))
    assert [name for name, _ in layer.named_buffers()] == ["weight"] and not layer.state_dict()


def test_soft_labels_get_a_gradient():
    x, y = t(np.ones((1, 2))), t(np.array([[0.3, 0.7]]), stop_gradient=False)
    F.cross_entropy(x, y, soft_label=True).backward()
    assert y.grad.numpy() == pytest.approx(math.log(2))


def test_gaussian_nll_can_learn_the_variance():
    v = t(np.array([2.0]), stop_gradient=False)   # Paddle 3.3.1 gives the variance no gradient
    F.gaussian_nll_loss(t(np.array([0.0])), t(np.array([1.0])), v).backward()
    assert v.grad.item() == pytest.approx(0.5 * (1 / 2 - 1 / 4))
