"""Products of matrices. Low-precision operands are multiplied in float32 on the CPU, which has no units for them."""
import numpy as np

from gpuflow.errors import explain
from gpuflow.ops.registry import Spec, broadcast_shapes, op


def product(xp, x, y, out=None):
    """xp.matmul, in float32 for 16-bit types on the CPU; into `out` where given."""
    if xp is np and x.dtype.itemsize == 2 and x.dtype.kind != "i":
        result = np.matmul(x.astype(np.float32), y.astype(np.float32)).astype(x.dtype)
        if out is None:
            return result
        out[...] = result
        return out
    if out is not None:
        return xp.matmul(x, y, out=out)
    if x.ndim > 2 and y.ndim == 2:  # one large product instead of one per batch entry
        return xp.matmul(x.reshape((-1, x.shape[-1])), y).reshape((*x.shape[:-1], y.shape[-1]))
    return xp.matmul(x, y)


def _matmul_spec(x, y, *, transpose_x=False, transpose_y=False):
    if not x.shape or not y.shape:
        raise ValueError(explain("matmul", "at least one axis on both sides", f"{list(x.shape)} and {list(y.shape)}"))
    if x.dtype is not y.dtype:
        raise ValueError(explain("matmul", "tensors of one dtype", f"{x.dtype.name} and {y.dtype.name}",
                                 f"y.astype('{x.dtype.name}')"))
    a = (*x.shape[:-2], x.shape[-1], x.shape[-2]) if transpose_x and len(x.shape) > 1 else x.shape
    b = (*y.shape[:-2], y.shape[-1], y.shape[-2]) if transpose_y and len(y.shape) > 1 else y.shape
    inner = b[-2] if len(b) > 1 else b[0]
    if a[-1] != inner and None not in (a[-1], inner):
        other = y.shape[-1] if not transpose_y and len(y.shape) > 1 else None
        hint = "transpose_y=True" if other == a[-1] else "transpose_x=True" if len(
            x.shape) > 1 and x.shape[-2] == inner else None
        raise ValueError(explain("matmul", f"y's axis {-2 if len(b) > 1 else 0} to be {a[-1]}, as x's last axis",
                                 f"x {list(x.shape)} and y {list(y.shape)}", hint))
    batch = broadcast_shapes("matmul", a[:-2], b[:-2]) if len(a) > 2 or len(b) > 2 else ()
    return Spec((*batch, *((a[-2],) if len(a) > 1 else ()), *((b[-1],) if len(b) > 1 else ())), x.dtype)


@op("matmul", infer=_matmul_spec, saves=("x", "y", "x_shape", "y_shape"), saved_for={"x": "y", "y": "x"},
    writes=("x", "y"))
def matmul(xp, x, y, *, transpose_x=False, transpose_y=False):
    """The matrix product of the last two axes; axes before them broadcast. 1-d operands are vectors.

    transpose_x, transpose_y: swap the last two axes of that operand first (no effect on a vector).
    """
    if x.dtype != y.dtype:
        raise ValueError("dtypes differ")
    a = x.swapaxes(-1, -2) if transpose_x and x.ndim > 1 else x
    b = y.swapaxes(-1, -2) if transpose_y and y.ndim > 1 else y
    return product(xp, a, b)


@matmul.grad
def matmul_grad(xp, g, saved, *, transpose_x=False, transpose_y=False):
    x_rank, y_rank = len(saved.x_shape), len(saved.y_shape)
    into = saved.into or (None, None)
    if x_rank == 1 or y_rank == 1:  # vectors become matrices with one row or column, so that one formula serves
        batch = g.shape[:g.ndim - (x_rank > 1) - (y_rank > 1)]
        g = g.reshape((*batch, g.shape[len(batch)] if x_rank > 1 else 1, g.shape[-1] if y_rank > 1 else 1))
    to_x = to_y = None
    if saved.needs[0]:
        b = saved.y.reshape((1, -1)) if y_rank == 1 else saved.y if transpose_y else _t(saved.y)
        pair = (_t(b), _t(g)) if transpose_x and x_rank > 1 else (g, b)
        to_x = _joined(xp, *pair, max(x_rank, 2), into[0])
        to_x = to_x.reshape(saved.x_shape) if x_rank == 1 else to_x
    if saved.needs[1]:
        a = saved.x.reshape((-1, 1)) if x_rank == 1 else saved.x if transpose_x else _t(saved.x)
        pair = (_t(g), _t(a)) if transpose_y and y_rank > 1 else (a, g)
        to_y = _joined(xp, *pair, max(y_rank, 2), into[1])
        to_y = to_y.reshape(saved.y_shape) if y_rank == 1 else to_y
    return to_x, to_y


def _t(x):
    return x.swapaxes(-1, -2)


def _joined(xp, a, b, rank, out):
    """a @ b as the gradient of an operand of `rank` axes: a batch that broadcasting added is summed in one product."""
    if rank == 2 and a.ndim > 2 and a.shape[:-2] == b.shape[:-2]:
        a = _t(_t(a).reshape((-1, a.shape[-2])))
        b = b.reshape((-1, b.shape[-1]))
    return product(xp, a, b, out if a.ndim == b.ndim == rank == 2 else None)


def _linear_spec(x, weight, bias=None):
    if len(weight.shape) != 2:
        raise ValueError(explain("linear", "weight [in_features, out_features]", str(list(weight.shape))))
    if not x.shape or (x.shape[-1] != weight.shape[0] and None not in (x.shape[-1], weight.shape[0])):
        raise ValueError(explain("linear", f"x's last axis to be {weight.shape[0]} (weight {list(weight.shape)})",
                                 f"x {list(x.shape)}", "x.flatten(1) before it" if len(x.shape) > 2 else None))
    if bias is not None and tuple(bias.shape) not in ((weight.shape[1],), (1, weight.shape[1])):
        raise ValueError(explain("linear", f"bias [{weight.shape[1]}]", str(list(bias.shape))))
    for other in (weight, bias):
        if other is not None and other.dtype is not x.dtype:
            raise ValueError(explain("linear", f"weight and bias of x's dtype {x.dtype.name}", other.dtype.name,
                                     f"x.astype('{other.dtype.name}')"))
    return Spec((*x.shape[:-1], weight.shape[1]), x.dtype)


@op("linear", infer=_linear_spec, saves=("x", "weight", "bias_shape"), saved_for={"x": "weight", "weight": "x"},
    writes=("weight", "bias"), added="bias")
def linear(xp, x, weight, bias=None):
    """x @ weight + bias. x: [..., in]; weight: [in, out]; bias: [out] or None; result [..., out]."""
    if x.dtype != weight.dtype:
        raise ValueError("dtypes differ")
    out = product(xp, x, weight)
    if bias is not None:
        out += bias
    return out


@linear.grad
def linear_grad(xp, g, saved):
    rows = g.reshape((-1, g.shape[-1])) if g.ndim != 2 else g
    into = saved.into or (None, None, None)
    to_x = product(xp, g, saved.weight.T) if saved.needs[0] else None
    to_weight = to_bias = None
    if saved.needs[1]:
        x = saved.x.reshape((-1, saved.x.shape[-1])) if saved.x.ndim != 2 else saved.x
        to_weight = product(xp, x.T, rows, into[1])
    if saved.needs[2]:
        to_bias = column_sums(xp, rows, into[2])
        to_bias = to_bias if to_bias.shape == saved.bias_shape else to_bias.reshape(saved.bias_shape)
    return to_x, to_weight, to_bias


def column_sums(xp, rows, out=None):
    """The sum of a matrix over its first axis, into `out` where given: a bias's gradient."""
    if out is None or out.dtype.itemsize == 2:
        return rows.sum(axis=0)
    return rows.sum(axis=0, out=out) if out.ndim == 1 else xp.sum(rows, axis=0, keepdims=True, out=out)
