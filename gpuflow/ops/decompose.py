"""Matrices inverted, solved for and decomposed, over the last two axes. Gradients are made of the same ops.

NumPy and CuPy have these for float32 and float64; 16-bit floats are refused by them, with their words.
"""
import numpy as np

from gpuflow import dtypes
from gpuflow.errors import explain
from gpuflow.ops.registry import Spec, broadcast_shapes, op


def _square(where, x):
    if len(x.shape) < 2 or (x.shape[-1] != x.shape[-2] and None not in x.shape[-2:]):
        raise ValueError(explain(where, "square matrices [..., n, n]", str(list(x.shape))))


def _matrices(where, x):
    if len(x.shape) < 2:
        raise ValueError(explain(where, "matrices [..., m, n]", str(list(x.shape))))


def _t(x):
    return x.swapaxes(-1, -2)


def _same_square(where):
    def rule(x, **attrs):
        _square(where, x)
        return Spec(x.shape, x.dtype)

    return rule


def _checked(where, forward):
    """What a routine gives, its LinAlgError as a ValueError in our words."""
    try:
        return forward()
    except np.linalg.LinAlgError as error:
        raise ValueError(explain(where, "matrices that it exists for", str(error))) from error


def _eye(xp, x):
    """The identity beside the matrices x."""
    return xp.asarray(np.eye(x.shape[-1]).astype(x.dtype))


def _lower(xp, x):
    """Ones on and below the diagonal, beside the matrices x."""
    return xp.asarray(np.tri(x.shape[-1]).astype(x.dtype))


@op("inv", infer=_same_square("inv"), saves=("out",))
def inv(xp, x):
    """The inverse of square matrices."""
    return _checked("inv", lambda: xp.linalg.inv(x))


@inv.grad
def inv_grad(xp, g, saved):
    back = _t(saved.out)
    return (-xp.matmul(back, xp.matmul(g, back)),)


def _solve_spec(a, b):
    _square("solve", a)
    if len(b.shape) < 2:
        raise ValueError(explain("solve", "right sides as matrices [..., n, k]", str(list(b.shape))))
    if a.shape[-1] != b.shape[-2] and None not in (a.shape[-1], b.shape[-2]):
        raise ValueError(explain("solve", f"right sides of {a.shape[-1]} rows", str(list(b.shape))))
    return Spec((*broadcast_shapes("solve", a.shape[:-2], b.shape[:-2]), *b.shape[-2:]), b.dtype)


@op("solve", infer=_solve_spec, saves=("a", "out"))
def solve(xp, a, b):
    """The x with a @ x = b: [..., n, n] and [..., n, k] to [..., n, k]."""
    return _checked("solve", lambda: xp.linalg.solve(a, b))


@solve.grad
def solve_grad(xp, g, saved):
    to_b = solve(xp, _t(saved.a), g)
    return (-xp.matmul(to_b, _t(saved.out)) if saved.needs[0] else None), to_b


@op("cholesky", infer=_same_square("cholesky"), saves=("out",))
def cholesky(xp, x):
    """The lower triangular l with l @ l.T = x, for symmetric positive definite x."""
    return _checked("cholesky", lambda: xp.linalg.cholesky(x))


@cholesky.grad
def cholesky_grad(xp, g, saved):
    low = saved.out
    half = xp.matmul(_t(low), g)
    half = half * (_lower(xp, half) - _eye(xp, half) * 0.5)
    inner = solve(xp, _t(low), _t(solve(xp, _t(low), _t(half))))
    return ((inner + _t(inner)) * 0.5,)


@op("det", infer=lambda x: (_square("det", x), Spec(x.shape[:-2], x.dtype))[1], saves=("x", "out"))
def det(xp, x):
    """The determinant of square matrices."""
    return xp.linalg.det(x)


@det.grad
def det_grad(xp, g, saved):
    return ((g * saved.out).reshape((*g.shape, 1, 1)) * _t(inv(xp, saved.x)),)


@op("slogdet", infer=lambda x: (_square("slogdet", x), (Spec(x.shape[:-2], x.dtype),) * 2)[1], saves=("x",),
    outputs=("sign", "log"), no_grad_outputs=(0,))
def slogdet(xp, x):
    """(the sign, log |determinant|) of square matrices; (0, -inf) of singular ones."""
    return tuple(xp.linalg.slogdet(x))


@slogdet.grad
def slogdet_grad(xp, g, saved):
    return (g[1].reshape((*g[1].shape, 1, 1)) * _t(inv(xp, saved.x)),)


def _eigh_spec(x, *, lower=True):
    _square("eigh", x)
    return Spec(x.shape[:-1], x.dtype), Spec(x.shape, x.dtype)


def _gaps(xp, s):
    """1 / (s_j - s_i) off the diagonal, 0 on it and between equal ones."""
    d = s.reshape((*s.shape[:-1], 1, s.shape[-1])) - s.reshape((*s.shape, 1))
    return xp.where(d == 0, 0.0, 1 / xp.where(d == 0, 1.0, d))


@op("eigh", infer=_eigh_spec, saves=("values", "vectors"), outputs=("values", "vectors"))
def eigh(xp, x, *, lower=True):
    """(rising eigenvalues [..., n], eigenvectors as columns [..., n, n]) of symmetric matrices, of which one triangle
    is read."""
    return tuple(_checked("eigh", lambda: xp.linalg.eigh(x, "L" if lower else "U")))


@eigh.grad
def eigh_grad(xp, g, saved, *, lower=True):
    to_values, to_vectors = g
    v = saved.vectors
    inner = xp.matmul(_t(v), to_vectors) * _gaps(xp, saved.values)
    inner = inner + to_values.reshape((*to_values.shape, 1)) * _eye(xp, v)
    out = xp.matmul(v, xp.matmul(inner, _t(v)))
    return ((out + _t(out)) * 0.5,)


def _svd_spec(x, *, full=False):
    _matrices("svd", x)
    *batch, m, n = x.shape
    k = None if None in (m, n) else min(m, n)
    return (Spec((*batch, m, m if full else k), x.dtype), Spec((*batch, k), x.dtype),
            Spec((*batch, n if full else k, n), x.dtype))


@op("svd", infer=_svd_spec, saves=("u", "s", "vh"), outputs=("u", "s", "vh"))
def svd(xp, x, *, full=False):
    """(u, s, vh) with x = u @ diag(s) @ vh, s falling. full: u and vh are square."""
    return tuple(_checked("svd", lambda: xp.linalg.svd(x, full_matrices=full)))


@svd.grad
def svd_grad(xp, g, saved, *, full=False):
    u, s, vh = saved.u, saved.s, saved.vh
    if u.shape[-1] != s.shape[-1] or vh.shape[-2] != s.shape[-1]:
        raise ValueError(explain("svd", "full_matrices=False where a gradient is wanted", "True"))
    to_u, to_s, to_v = g[0], g[1], _t(g[2])
    v, gaps = _t(vh), _gaps(xp, s * s)
    row, column = s.reshape((*s.shape[:-1], 1, s.shape[-1])), s.reshape((*s.shape, 1))
    j = gaps * xp.matmul(_t(u), to_u)
    k = gaps * xp.matmul(vh, to_v)
    inner = (j + _t(j)) * row + column * (k + _t(k)) + to_s.reshape((*s.shape, 1)) * _eye(xp, s)
    out = xp.matmul(xp.matmul(u, inner), vh)
    if u.shape[-2] > s.shape[-1]:
        rest = to_u / row
        out = out + xp.matmul(rest - xp.matmul(u, xp.matmul(_t(u), rest)), vh)
    if vh.shape[-1] > s.shape[-1]:
        rest = to_v / row
        out = out + xp.matmul(u, _t(rest - xp.matmul(v, xp.matmul(vh, rest))))
    return (out,)


def _qr_spec(x, *, complete=False):
    _matrices("qr", x)
    *batch, m, n = x.shape
    k = m if complete else None if None in (m, n) else min(m, n)
    return Spec((*batch, m, k), x.dtype), Spec((*batch, k, n), x.dtype)


@op("qr", infer=_qr_spec, saves=("q", "r"), outputs=("q", "r"))
def qr(xp, x, *, complete=False):
    """(q with orthonormal columns, r upper triangular) with q @ r = x."""
    return tuple(xp.linalg.qr(x, mode="complete" if complete else "reduced"))


@qr.grad
def qr_grad(xp, g, saved, *, complete=False):
    q, r = saved.q, saved.r
    if r.shape[-1] != r.shape[-2]:
        raise ValueError(explain("qr", "at least as many rows as columns, and mode 'reduced', where a gradient is "
                                 "wanted", f"q {list(q.shape)} and r {list(r.shape)}"))
    to_q, to_r = g
    inner = xp.matmul(r, _t(to_r)) - xp.matmul(_t(to_q), q)
    low = inner * _lower(xp, inner)
    both = low + _t(low) - inner * _eye(xp, inner)
    return (_t(solve(xp, r, _t(to_q + xp.matmul(q, both)))),)


_COMPLEX = {dtypes.float32: dtypes.complex64, dtypes.float64: dtypes.complex128}


def _eig_spec(x):
    _square("eig", x)
    kind = _COMPLEX.get(x.dtype, x.dtype)
    return Spec(x.shape[:-1], kind), Spec(x.shape, kind)


@op("eig", infer=_eig_spec, outputs=("values", "vectors"))
def eig(xp, x):
    """(eigenvalues [..., n], eigenvectors as columns [..., n, n]) of square matrices, both complex. No gradient."""
    kind = xp.complex64 if (x.dtype.itemsize == 4 and x.dtype.kind == "f") or x.dtype == xp.complex64 else xp.complex128
    values, vectors = _checked("eig", lambda: np.linalg.eig(x if xp is np else x.get()))
    return xp.asarray(values).astype(kind), xp.asarray(vectors).astype(kind)


@op("matrix_exp", infer=_same_square("matrix_exp"), saves=("x",))
def matrix_exp(xp, x):
    """1 + x + x @ x / 2 + ...: by scaling, a Taylor series of 18 terms, and squaring."""
    if not x.size:
        return x.copy()
    size = float(xp.abs(x).sum(axis=-2).max())
    times = max(0, int(np.ceil(np.log2(size))) + 1) if size > 0.5 else 0
    step = x / 2 ** times
    out = xp.broadcast_to(xp.eye(x.shape[-1], dtype=x.dtype), x.shape)
    for k in range(18, 0, -1):
        out = xp.eye(x.shape[-1], dtype=x.dtype) + xp.matmul(step, out) / k
    for _ in range(times):
        out = xp.matmul(out, out)
    return out


@matrix_exp.grad
def matrix_exp_grad(xp, g, saved):
    back, n = _t(saved.x), saved.x.shape[-1]
    top = xp.concatenate([back, g], axis=-1)          # the upper right block of exp([[x', g], [0, x']])
    bottom = xp.concatenate([xp.zeros_like(back), back], axis=-1)
    return (matrix_exp(xp, xp.concatenate([top, bottom], axis=-2))[..., :n, n:],)


def _lu_spec(x):
    _matrices("lu", x)
    m, n = x.shape[-2:]
    return Spec(x.shape, x.dtype), Spec((*x.shape[:-2], None if None in (m, n) else min(m, n)), dtypes.int32)


@op("lu", infer=_lu_spec, outputs=("lu", "pivots"))
def lu(xp, x):
    """(l and u in one matrix, the rows exchanged at each step, counted from 1), by partial pivoting. No gradient."""
    out, (m, n) = x.copy(), x.shape[-2:]
    flat = out.reshape((-1, m, n))
    pivots = xp.empty((len(flat), min(m, n)), xp.int32)
    each = xp.arange(len(flat))
    for k in range(min(m, n)):
        best = xp.abs(flat[:, k:, k]).argmax(axis=1) + k
        pivots[:, k] = best + 1
        rows = flat[each, best].copy()
        flat[each, best] = flat[:, k]
        flat[:, k] = rows
        head = flat[:, k, k][:, None]
        flat[:, k + 1:, k] = xp.where(head == 0, 0, flat[:, k + 1:, k] / xp.where(head == 0, 1, head))
        flat[:, k + 1:, k + 1:] -= flat[:, k + 1:, k, None] * flat[:, k, None, k + 1:]
    return flat.reshape(x.shape), pivots.reshape((*x.shape[:-2], min(m, n)))
