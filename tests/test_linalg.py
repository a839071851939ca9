"""paddle.linalg against Paddle 3.3.1: numbers, shapes and gradients, in float64; decompositions put together again."""
import json
from pathlib import Path

import numpy as np
import pytest

import gpuflow as paddle
from tests.golden.linalg_cases import EXPRESSIONS, FLOATS, inputs
from tests.golden.make_functions import evaluate
from tests.ops.expressions import assert_same

GOLDEN = json.loads((Path(__file__).parent / "golden" / "linalg.json").read_text())


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_as_paddle(expression):
    assert_same(evaluate(paddle, expression, inputs(), FLOATS), GOLDEN[expression], lambda dtype: (1e-7, 1e-9))


def random(*shape):
    return paddle.to_tensor(np.random.default_rng(1).standard_normal(shape))


def same(a, b):
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-10)


def test_decompositions_put_together_again():
    x = random(2, 4, 3)
    u, s, vh = paddle.linalg.svd(x, full_matrices=True)
    assert (u.shape, s.shape, vh.shape) == ([2, 4, 4], [2, 3], [2, 3, 3])
    same(u[:, :, :3] * s.unsqueeze(1) @ vh, x)
    q, r = paddle.linalg.qr(x, mode="complete")
    same(q @ r, x)
    p, low, up = paddle.linalg.lu_unpack(*paddle.linalg.lu(x))
    same(p @ low @ up, x)
    square = random(3, 3)
    values, vectors = paddle.linalg.eig(square)
    np.testing.assert_allclose(square.numpy() @ vectors.numpy(), vectors.numpy() * values.numpy(), atol=1e-10)
    b = random(3, 2)
    lu, pivots = paddle.linalg.lu(square)
    for trans, matrix in (("N", square), ("T", square.t())):
        same(matrix @ paddle.linalg.lu_solve(b, lu, pivots, trans), b)


def test_ormqr_multiplies_by_the_product_of_reflections():
    x, tau, y = random(4, 2), random(2), random(4, 3)
    whole = paddle.linalg.ormqr(x, tau, paddle.eye(4, dtype="float64"))
    same(whole[:, :2], paddle.linalg.householder_product(x, tau))
    same(paddle.linalg.ormqr(x, tau, y, transpose=True), whole.t() @ y)
    same(paddle.linalg.ormqr(x, tau, y.t(), left=False), y.t() @ whole)


def test_low_rank_decompositions_of_a_matrix_of_low_rank():
    x = random(8, 2) @ random(2, 6)
    for found, target in ((paddle.linalg.svd_lowrank(x, q=3), x), (paddle.linalg.pca_lowrank(x, q=3), x - x.mean(0)),
                          (paddle.linalg.svd_lowrank(x.t(), q=3), x.t())):
        u, s, v = found
        np.testing.assert_allclose((u * s @ v.t()).numpy(), target.numpy(), atol=1e-9)


@pytest.mark.parametrize(("call", "words"), [
    (lambda: paddle.linalg.inv(random(2, 3)), r"inv: expected square matrices .*\[2, 3\]"),
    (lambda: paddle.linalg.inv(paddle.zeros([2, 2])), "inv: expected matrices that it exists for"),
    (lambda: paddle.linalg.cholesky(-paddle.eye(2)), "cholesky"),
    (lambda: paddle.linalg.solve(random(3, 3), random(2, 2)), "3 rows"),
    (lambda: paddle.linalg.qr(random(3, 3), mode="x"), "mode"),
    (lambda: paddle.linalg.matrix_norm(random(3, 3), 7), "'nuc'"),
])
def test_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call()
