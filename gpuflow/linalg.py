"""paddle.linalg: norms, solutions and decompositions of matrices, over the last two axes."""
import math

import numpy as np

from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.functional import reduction
from gpuflow.functional.creation import eye, zeros_like
from gpuflow.functional.joining import matrix_transpose
from gpuflow.functional.linalg import matmul
from gpuflow.functional.manipulation import diagonal, reshape, squeeze, tril, triu, unsqueeze
from gpuflow.functional.numeric import cross
from gpuflow.functional.random import randn
from gpuflow.functional.search import where
from gpuflow.ops.registry import OPS, normal_axis
from gpuflow.tensor import Tensor, to_tensor

__all__ = ["cholesky", "cholesky_inverse", "cholesky_solve", "cond", "corrcoef", "cov", "cross", "det", "diagonal",
           "eig", "eigh", "eigvals", "eigvalsh", "householder_product", "inv", "lstsq", "lu", "lu_solve",
           "lu_unpack", "matmul", "matrix_exp", "matrix_norm", "matrix_power", "matrix_rank", "matrix_transpose",
           "multi_dot", "norm", "ormqr", "pca_lowrank", "pinv", "qr", "slogdet", "solve", "svd", "svd_lowrank",
           "svdvals", "triangular_solve", "vecdot", "vector_norm"]


def _do(name, *inputs, **attrs):
    return call(OPS[name], inputs, attrs)


def _total(x, axis=None, keepdim=False):
    return _do("sum", x, axis=axis, keepdim=keepdim)


# ---- norms and products ----------------------------------------------------------------------------------------------


def vector_norm(x, p=2.0, axis=None, keepdim=False, name=None, *, dtype=None, out=None):
    """(sum |x|^p)^(1/p) over `axis` (None: all elements); the largest |x| for inf, the smallest for -inf, the number of
    elements that are not 0 for 0."""
    if out is not None:
        raise ValueError(explain("vector_norm", "out=None", "a tensor"))
    x = x if dtype is None else x.astype(dtype)
    if isinstance(axis, list | tuple):
        axes = [normal_axis("vector_norm", a, x.ndim) for a in axis]
        others = [a for a in range(x.ndim) if a not in axes]
        kept = [1 if i in axes else s for i, s in enumerate(x.shape)]
        flat = reshape(x.transpose([*others, *axes]), [*[x.shape[a] for a in others], -1])
        value = vector_norm(flat, p, -1)
        return reshape(value, kept) if keepdim else value
    if axis is None:
        kept, x, axis = [1] * x.ndim, reshape(x, [-1]), -1
        value = vector_norm(x, p, axis)
        return reshape(value, kept) if keepdim else value
    if p == 0:
        return _total((x != 0).astype(x.dtype), axis, keepdim)
    return _do("norm", x, p=float(p), axis=axis, keepdim=keepdim)


def norm(x, p=None, axis=None, keepdim=False, dtype=None, name=None):
    """The norm of all elements or over one axis, as `vector_norm`; over a pair of axes, as `matrix_norm`.

    p: None is 2 over elements and "fro" over matrices; "nuc" means matrices, of a 2-d x without axis too. dtype: x is
    converted to it first.
    """
    pair = list(range(x.ndim)) if axis is None and p == "nuc" else axis
    if p in ("nuc", 2, -2) and isinstance(pair, list | tuple) and len(pair) == 2:
        return matrix_norm(x if dtype is None else x.astype(dtype), p, pair, keepdim)
    return reduction.norm(x, p, axis, keepdim, dtype)


def matrix_norm(x, p="fro", axis=(-2, -1), keepdim=False, name=None):
    """A norm of the matrices on two axes: "fro", "nuc" (the sum of singular values), 2 and -2 (the largest and smallest
    of them), 1, -1, inf and -inf (sums of |x| down columns or along rows)."""
    first, second = (normal_axis("matrix_norm", a, x.ndim) for a in axis)
    if p in ("fro", 1, -1, math.inf, -math.inf):
        return reduction.norm(x, p, [first, second], keepdim)
    if p not in ("nuc", 2, -2):
        raise ValueError(explain("matrix_norm", "p among 'fro', 'nuc', 1, -1, 2, -2, inf, -inf", repr(p)))
    others = [a for a in range(x.ndim) if a not in (first, second)]
    s = svdvals(x.transpose([*others, first, second]))
    value = _total(s, -1) if p == "nuc" else _do("max" if p == 2 else "min", s, axis=-1, keepdim=False)
    return reshape(value, [1 if i in (first, second) else n for i, n in enumerate(x.shape)]) if keepdim else value


def cond(x, p=None, name=None):
    """The condition number of matrices: the largest over the smallest singular value (p None, 2; -2 the other way
    round), or matrix_norm(x, p) * matrix_norm(inv(x), p)."""
    if p in (None, 2, -2):
        s = svdvals(x)
        high, low = _do("max", s, axis=-1, keepdim=False), _do("min", s, axis=-1, keepdim=False)
        return low / high if p == -2 else high / low
    return matrix_norm(x, p) * matrix_norm(inv(x), p)


def vecdot(x, y, axis=-1, name=None):
    """The inner products along `axis`, x conjugated where it is complex."""
    if x.dtype.is_complex:
        x = _do("conj", x)
    return _total(x * y, axis)


def multi_dot(x, name=None):
    """The product of two or more matrices, in the cheapest order; the first and last may be vectors."""
    if len(x) < 2:
        raise ValueError(explain("multi_dot", "at least two tensors", str(len(x))))
    first = unsqueeze(x[0], 0) if x[0].ndim == 1 else x[0]
    last = unsqueeze(x[-1], 1) if x[-1].ndim == 1 else x[-1]
    chain = [first, *x[1:-1], last]
    if any(t.ndim != 2 for t in chain):
        raise ValueError(explain("multi_dot", "matrices", str([list(t.shape) for t in x])))
    sizes = [t.shape[0] for t in chain] + [chain[-1].shape[1]]
    best: dict = {}

    def cost(i, j):
        if i == j:
            return 0
        if (i, j) not in best:
            best[i, j] = min((cost(i, k) + cost(k + 1, j) + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                             for k in range(i, j))
        return best[i, j][0]

    def product(i, j):
        if i == j:
            return chain[i]
        cost(i, j)
        k = best[i, j][1]
        return _do("matmul", product(i, k), product(k + 1, j))

    out = product(0, len(chain) - 1)
    out = squeeze(out, 1) if x[-1].ndim == 1 else out
    return squeeze(out, 0) if x[0].ndim == 1 else out


def matrix_power(x, n, name=None):
    """x @ x @ ... n times; the identity for 0, powers of the inverse below."""
    if n < 0:
        return matrix_power(inv(x), -n)
    out = None
    while n:
        if n & 1:
            out = x if out is None else _do("matmul", out, x)
        n >>= 1
        x = _do("matmul", x, x) if n else x
    return zeros_like(x) + eye(x.shape[-1], dtype=x.dtype) if out is None else out


def matrix_exp(x, name=None):
    """1 + x + x @ x / 2 + ... of square matrices."""
    return _do("matrix_exp", x)


# ---- solving ---------------------------------------------------------------------------------------------------------


def inv(x, name=None):
    """The inverse of square matrices; ValueError for a singular one, on the CPU."""
    return _do("inv", x)


def det(x, name=None):
    """The determinant of square matrices."""
    return _do("det", x)


def slogdet(x, name=None):
    """[2, ...]: the sign of the determinant, and the logarithm of its absolute value."""
    return _do("stack", *_do("slogdet", x), axis=0)


def solve(x, y, left=True, name=None, *, out=None):
    """The z with x @ z = y, or z @ x = y where not left. x: [..., n, n]; y: [..., n, k], or a vector [n]."""
    if out is not None:
        raise ValueError(explain("solve", "out=None", "a tensor"))
    vector = y.ndim == 1
    y = unsqueeze(y, -1) if vector else y
    found = _do("solve", x, y) if left else matrix_transpose(_do("solve", matrix_transpose(x), matrix_transpose(y)))
    return squeeze(found, -1) if vector else found


def triangular_solve(x, y, upper=True, transpose=False, unitriangular=False, name=None):
    """The z with x @ z = y (transpose: x.T @ z = y), reading one triangle of x; unitriangular: its diagonal counts as
    ones."""
    x = triu(x) if upper else tril(x)
    if unitriangular:
        x = x - x * eye(x.shape[-1], dtype=x.dtype) + eye(x.shape[-1], dtype=x.dtype)
    return _do("solve", matrix_transpose(x) if transpose else x, y)


def cholesky(x, upper=False, name=None):
    """The lower triangular l with l @ l.T = x (upper: u with u.T @ u = x), for symmetric positive definite x."""
    low = _do("cholesky", x)
    return matrix_transpose(low) if upper else low


def cholesky_solve(x, y, upper=False, name=None):
    """The z with a @ z = x, where y is the Cholesky factor of a."""
    low = matrix_transpose(y) if upper else y
    return _do("solve", matrix_transpose(low), _do("solve", low, x))


def cholesky_inverse(x, upper=False, name=None):
    """The inverse of the matrix whose Cholesky factor is x."""
    return cholesky_solve(eye(x.shape[-1], dtype=x.dtype), x, upper)


def pinv(x, rcond=1e-15, hermitian=False, name=None):
    """The pseudoinverse of matrices (Moore, Penrose); singular values up to rcond times the largest count as 0."""
    if hermitian:
        values, vectors = eigh(x)
        size, left, right = values.abs(), vectors, matrix_transpose(vectors)
    else:
        left, values, right = svd(x)
        size = values
    limit = _do("max", size, axis=-1, keepdim=True) * rcond
    kept = size > limit
    inverse = where(kept, 1.0 / where(kept, values, _do("full_like", values, value=1.0, dtype=values.dtype)),
                    zeros_like(values))
    return _do("matmul", matrix_transpose(right) * unsqueeze(inverse, -2), matrix_transpose(left))


def lstsq(x, y, rcond=None, driver=None, name=None):
    """(the z with the smallest |x @ z - y|, the sums of squares left, the rank, the singular values).

    driver: Paddle's names are taken and mean one way, by singular values; the third and last are empty for "gels".
    """
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise ValueError(explain("lstsq", "driver gels, gelsy, gelsd or gelss", repr(driver)))
    m, n = x.shape[-2:]
    rcond = float(np.finfo(x.dtype.dtype).eps) * max(m, n) if rcond is None else rcond
    found = _do("matmul", pinv(x, rcond), y)
    s = svdvals(x)
    rank = _total((s > _do("max", s, axis=-1, keepdim=True) * rcond).astype("int32"), -1).astype("int32")
    full = bool((rank == n).all()) and m > n
    rest = y - _do("matmul", x, found)
    nothing = to_tensor(np.zeros((0,)), x.dtype, x.place)
    return (found, _total(rest * rest, -2) if full else nothing, rank,
            nothing if driver in ("gels", "gelsy") else s)


# ---- decompositions --------------------------------------------------------------------------------------------------


def qr(x, mode="reduced", name=None):
    """(q, r) with q @ r = x; mode "complete": q is square; "r": r alone."""
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(explain("qr", "mode reduced, complete or r", repr(mode)))
    q, r = _do("qr", x, complete=mode == "complete")
    return r if mode == "r" else (q, r)


def svd(x, full_matrices=False, name=None, *, out=None):
    """(u, s, vh) with x = u @ diag(s) @ vh and s falling; full_matrices: u and vh are square."""
    if out is not None:
        raise ValueError(explain("svd", "out=None", "tensors"))
    return _do("svd", x, full=bool(full_matrices))


def svdvals(x, name=None):
    """The singular values of matrices, falling."""
    return svd(x)[1]


def eigh(x, UPLO="L", name=None):
    """(rising eigenvalues, eigenvectors as columns) of symmetric matrices, of which the lower ("L") or upper ("U")
    triangle is read."""
    if UPLO not in ("L", "U"):
        raise ValueError(explain("eigh", "UPLO 'L' or 'U'", repr(UPLO)))
    return _do("eigh", x, lower=UPLO == "L")


def eigvalsh(x, UPLO="L", name=None):
    """The rising eigenvalues of symmetric matrices."""
    return eigh(x, UPLO)[0]


def eig(x, name=None):
    """(eigenvalues, eigenvectors as columns) of square matrices, both complex. No gradient; computed on the host."""
    return _do("eig", x)


def eigvals(x, name=None):
    """The eigenvalues of square matrices, complex. No gradient."""
    return eig(x)[0]


def lu(x, pivot=True, get_infos=False, name=None):
    """(l and u in one matrix, the rows exchanged at each step, counted from 1); get_infos: also where u has a 0."""
    if not pivot:
        raise ValueError(explain("lu", "pivot=True", "False"))
    found, pivots = _do("lu", x)
    if not get_infos:
        return found, pivots
    zero = (diagonal(found, 0, -2, -1) == 0).astype("int32")
    place = _do("argmax", zero, axis=-1, keepdim=False).astype("int32") + 1
    return found, pivots, place * _do("max", zero, axis=-1, keepdim=False)


def lu_unpack(x, y, unpack_ludata=True, unpack_pivots=True, name=None):
    """(p, l, u) with p @ l @ u the matrix that `lu` was given; None for what is not asked for."""
    m, n = x.shape[-2:]
    k = min(m, n)
    low = up = perm = None
    if unpack_ludata:
        low = tril(x, -1)[..., :, :k] + eye(m, k, x.dtype)
        up = triu(x)[..., :k, :]
    if unpack_pivots:
        pivots = y.numpy().reshape(-1, y.shape[-1]) - 1
        order = np.tile(np.arange(m), (len(pivots), 1))
        for row, exchanged in zip(order, pivots):
            for i, j in enumerate(exchanged):
                row[[i, j]] = row[[j, i]]
        matrices = np.eye(m)[order].swapaxes(-1, -2).reshape(*x.shape[:-2], m, m)
        perm = to_tensor(matrices, x.dtype, x.place)
    return perm, low, up


def lu_solve(b, lu, pivots, trans="N", name=None):
    """The z with a @ z = b for what `lu` made of a; trans "T", "C": with a's transpose."""
    if trans not in ("N", "T", "C"):
        raise ValueError(explain("lu_solve", "trans N, T or C", repr(trans)))
    p, low, up = lu_unpack(lu, pivots)
    if trans == "N":
        return _do("solve", up, _do("solve", low, _do("matmul", p, b, transpose_x=True)))
    inner = _do("solve", matrix_transpose(low), _do("solve", matrix_transpose(up), b))
    return _do("matmul", p, inner)


def householder_product(x, tau, name=None):
    """The first columns of the product of the reflections 1 - tau v v.T, whose v are the columns of x below the
    diagonal: [..., m, n] and [..., k] to [..., m, n]."""
    m, n = x.shape[-2:]
    if m < n or tau.shape[-1] > n:
        raise ValueError(explain("householder_product", "x [..., m, n] with m >= n, and at most n factors",
                                 f"{list(x.shape)} and {list(tau.shape)}"))
    return _reflected(x, tau, zeros_like(x) + eye(m, n, x.dtype), False)


def _reflected(x, tau, out, transpose):
    """The product of the reflections (or its transpose) times `out`."""
    m = x.shape[-2]
    steps = range(tau.shape[-1]) if transpose else reversed(range(tau.shape[-1]))
    for k in steps:
        below = (np.arange(m) > k).astype(x.dtype.dtype)
        unit = to_tensor((np.arange(m) == k).astype(x.dtype.dtype), place=x.place)
        v = unsqueeze(x[..., :, k] * to_tensor(below, place=x.place) + unit, -1)
        factor = unsqueeze(unsqueeze(tau[..., k], -1), -1)
        out = out - factor * _do("matmul", v, _do("matmul", v, out, transpose_x=True))
    return out


def ormqr(x, tau, y, left=True, transpose=False, name=None):
    """q @ y, or y @ q where not left (transpose: with q.T), for the whole square q of reflections in x and tau."""
    if left:
        return _reflected(x, tau, y, transpose)
    return matrix_transpose(_reflected(x, tau, matrix_transpose(y), not transpose))


def matrix_rank(x, tol=None, hermitian=False, atol=None, rtol=None, name=None):
    """How many singular values (hermitian: |eigenvalues|) are above the tolerance: `tol`, else max(atol, rtol times
    the largest), else the largest times epsilon times the larger size. int64."""
    s = eigvalsh(x).abs() if hermitian else svdvals(x)
    high = _do("max", s, axis=-1, keepdim=True)
    if tol is not None:
        limit = unsqueeze(tol, -1) if isinstance(tol, Tensor) else tol
    else:
        floor = 0.0 if atol is None else atol
        if rtol is None:
            rtol = 0.0 if atol is not None else float(np.finfo(x.dtype.dtype).eps) * max(x.shape[-2:])
        limit = _do("maximum", high * rtol, floor) if not isinstance(floor, Tensor) else _do(
            "maximum", high * rtol, unsqueeze(floor, -1))
    return _total((s > limit).astype("int64"), -1)


def cov(x, rowvar=True, ddof=True, fweights=None, aweights=None, name=None):
    """The covariances of variables in the rows of x (rowvar False: in the columns), over n - 1 (ddof False: n).

    fweights: how often each observation counts, whole numbers; aweights: how much, positive numbers.
    """
    if x.ndim > 2:
        raise ValueError(explain("cov", "x of at most two axes", str(list(x.shape))))
    x = unsqueeze(x, 0) if x.ndim < 2 else x if rowvar else x.t()
    weights = None
    for given in (fweights, aweights):
        if given is not None:
            given = given.astype(x.dtype)
            weights = given if weights is None else weights * given
    if weights is None:
        count, mean = x.shape[1], _do("mean", x, axis=1, keepdim=True)
        centred = x - mean
        out = _do("matmul", centred, centred, transpose_y=True)
        return _squeezed(out / max(count - int(ddof), 0))
    total = _total(weights)
    mean = _total(x * weights, 1, True) / total
    centred = x - mean
    norm_by = total if not ddof else total - (1.0 if aweights is None else
                                              _total(weights * aweights.astype(x.dtype)) / total)
    return _squeezed(_do("matmul", centred * weights, centred, transpose_y=True) / norm_by)


def _squeezed(x):
    """x without its axes of size 1."""
    return squeeze(x) if 1 in list(x.shape) else x


def corrcoef(x, rowvar=True, name=None):
    """The correlations of variables in the rows of x (rowvar False: in the columns), in [-1, 1]."""
    c = cov(x, rowvar)
    if c.ndim == 0:
        return c / c
    scale = diagonal(c).sqrt()
    return (c / unsqueeze(scale, 1) / unsqueeze(scale, 0)).clip(-1.0, 1.0)


def svd_lowrank(x, q=None, niter=2, M=None, name=None):
    """(u, s, v) with x - M close to u @ diag(s) @ v.T, by random projections on q directions (Halko et al., 2009)."""
    m, n = x.shape[-2:]
    q = min(6, m, n) if q is None else q
    if not 0 <= q <= min(m, n) or niter < 0:
        raise ValueError(explain("svd_lowrank", f"q in [0, {min(m, n)}] and niter >= 0", f"{q} and {niter}"))
    x = x if M is None else x - M
    turned = m < n
    a = matrix_transpose(x) if turned else x
    basis = qr(matmul(a, randn([*x.shape[:-2], a.shape[-1], q], x.dtype)))[0]
    for _ in range(niter):
        basis = qr(matmul(a, qr(matmul(a, basis, transpose_x=True))[0]))[0]
    u, s, vh = svd(matmul(basis, a, transpose_x=True))
    u, v = matmul(basis, u), matrix_transpose(vh)
    return (v, s, u) if turned else (u, s, v)


def pca_lowrank(x, q=None, center=True, niter=2, name=None):
    """`svd_lowrank` of x less its columns' means (where center): the principal components are v's columns."""
    if center:
        x = x - _do("mean", x, axis=-2, keepdim=True)
    return svd_lowrank(x, q, niter)


