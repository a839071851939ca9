"""Expressions over paddle.linalg for make_functions.py: a, s (symmetric positive), t (tall), w (wide), y, v, b."""
import numpy as np

FLOATS = ("a", "s", "t", "w", "y", "v", "b")


def inputs() -> dict:
    """The arrays by name, float64: gradients of decompositions lose digits."""
    rng = np.random.default_rng(4)
    a = rng.standard_normal((3, 3))
    return {"a": a, "s": a @ a.T + np.eye(3), "t": rng.standard_normal((4, 2)), "w": rng.standard_normal((2, 4)),
            "y": rng.standard_normal((3, 2)), "v": rng.standard_normal(3), "b": rng.standard_normal((2, 3, 3))}


_L = "paddle.linalg."
EXPRESSIONS = [
    *[f"{_L}{call}" for call in (
        "inv(a)", "inv(b)", "det(a)", "det(b)", "slogdet(a)", "slogdet(b)", "solve(a, y)", "solve(a, v)",
        "solve(b, y.unsqueeze(0).expand([2, 3, 2]))", "solve(a, y.t(), left=False)", "cholesky(s)", "cholesky(s, True)",
        "cholesky_solve(y, paddle.linalg.cholesky(s))", "cholesky_inverse(paddle.linalg.cholesky(s))",
        "triangular_solve(a, y)", "triangular_solve(a, y, upper=False)", "triangular_solve(a, y, True, True)",
        "triangular_solve(a, y, unitriangular=True)", "eigvalsh(s)", "svdvals(t)", "pinv(t)", "pinv(w)",
        "pinv(s, hermitian=True)", "matrix_power(a, 3)", "matrix_power(a, -2)", "matrix_power(a, 0).detach()",
        "matrix_exp(a)", "matrix_exp(b * 3.0)", "multi_dot([t.t(), w.t(), y.t()])", "multi_dot([v, a, y])",
        "vecdot(a, a + 1.0, axis=0)", "vector_norm(a)", "vector_norm(b, 3.0, [0, 2], True)",
        "vector_norm(a, float('inf'), 1)", "matrix_norm(a)", "matrix_norm(b, 'nuc')", "matrix_norm(b, 2, keepdim=True)",
        "matrix_norm(b, -1)", "matrix_norm(a, float('inf'))", "cond(a)", "cond(s, 'fro')", "cond(a, -2)", "cov(a)",
        "cov(t, rowvar=False)", "cov(y, ddof=False)", "corrcoef(a)", "matrix_rank(a).detach()",
        "matrix_rank(t @ w).detach()", "qr(t)", "qr(a)", "lstsq(t, w.t())[0].detach()")],
    # signs of vectors are nobody's business
    "paddle.linalg.eigh(s)[1].abs()", "paddle.linalg.svd(t)[0].abs()", "paddle.linalg.svd(w)[2].abs()",
    "paddle.linalg.lu(a)[0].detach()", "paddle.linalg.lu(a)[1]",
    "paddle.linalg.lu_unpack(*[x.detach() for x in paddle.linalg.lu(b)])",
    "paddle.linalg.eigvals(s.detach()).real().sort()",
    "paddle.linalg.householder_product(t.detach(), y[0].detach())",
]
