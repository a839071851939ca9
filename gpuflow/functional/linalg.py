"""Products of matrices and vectors."""
import math

from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.functional.arguments import integers
from gpuflow.ops.registry import OPS, normal_axis

__all__ = ["addmm", "bmm", "dot", "einsum", "inner", "matmul", "mm", "mv", "outer", "tensordot"]


def matmul(x, y, transpose_x=False, transpose_y=False, name=None):
    """The matrix product of the last two axes; axes before them broadcast, 1-d operands are vectors.

    transpose_x, transpose_y: swap the last two axes of that operand first. Dtypes must be equal.
    """
    return call(OPS["matmul"], (x, y), {"transpose_x": bool(transpose_x), "transpose_y": bool(transpose_y)})


def mm(input, mat2, name=None):
    """The matrix product of `input` and `mat2`, as `matmul` without transposes."""
    return call(OPS["matmul"], (input, mat2))


def bmm(x, y, name=None):
    """The products of the matrices of two batches: [b, n, k] times [b, k, m] is [b, n, m]."""
    if x.ndim != 3 or y.ndim != 3 or x.shape[0] != y.shape[0]:
        raise ValueError(explain("bmm", "x [b, n, k] and y [b, k, m]", f"{list(x.shape)} and {list(y.shape)}"))
    return call(OPS["matmul"], (x, y))


def mv(x, vec, name=None):
    """The product of the matrix x [n, k] and the vector vec [k]."""
    if x.ndim != 2 or vec.ndim != 1:
        raise ValueError(explain("mv", "x [n, k] and vec [k]", f"{list(x.shape)} and {list(vec.shape)}"))
    return call(OPS["matmul"], (x, vec))


def dot(x, y, name=None):
    """The inner product of two vectors [n], or of the rows of two matrices [b, n]."""
    if x.ndim not in (1, 2) or list(x.shape) != list(y.shape):
        raise ValueError(explain("dot", "two tensors [n] or two [b, n]", f"{list(x.shape)} and {list(y.shape)}"))
    return call(OPS["sum"], (call(OPS["multiply"], (x, y)),), {"axis": -1, "keepdim": False})


def outer(x, y, name=None):
    """Every element of x times every element of y: [x.size, y.size]; both are flattened first."""
    column = call(OPS["reshape"], (x,), {"shape": (-1, 1)})
    return call(OPS["multiply"], (column, call(OPS["reshape"], (y,), {"shape": (1, -1)})))


def inner(x, y, name=None):
    """The products summed over the last axis of both: [..., n] and [___, n] give [..., ___]; 0-d operands scale."""
    if not x.ndim or not y.ndim:
        return call(OPS["multiply"], (x, y))
    return tensordot(x, y, ([-1], [-1]))


def addmm(input, x, y, beta=1.0, alpha=1.0, name=None):
    """beta * input + alpha * (x @ y) for matrices x and y; input broadcasts to their product."""
    if x.ndim != 2 or y.ndim != 2:
        raise ValueError(explain("addmm", "matrices x and y", f"{list(x.shape)} and {list(y.shape)}"))
    product = call(OPS["matmul"], (x, y))
    return (input if beta == 1 else input * beta) + (product if alpha == 1 else product * alpha)


def tensordot(x, y, axes=2, name=None):
    """The products summed over pairs of axes; the result has x's other axes, then y's.

    axes: n for the last n axes of x with the first n of y; a list of axes for both; or a pair of lists, of which a
    shorter one is continued by the longer one.
    """
    if isinstance(axes, int):
        if axes < 0:
            raise ValueError(explain("tensordot", "axes >= 0", str(axes)))
        of_x, of_y = tuple(range(x.ndim - axes, x.ndim)), tuple(range(axes))
    else:
        parts = list(axes.tolist() if hasattr(axes, "tolist") else axes)
        if any(isinstance(p, int) for p in parts):
            of_x = of_y = integers("tensordot", parts)
        else:
            pair = [integers("tensordot", p) for p in parts]
            of_x, of_y = pair[0], pair[1] if len(pair) > 1 else pair[0]
            of_x, of_y = of_x + of_y[len(of_x):], of_y + of_x[len(of_y):]
    of_x = tuple(normal_axis("tensordot", a, x.ndim) for a in of_x)
    of_y = tuple(normal_axis("tensordot", a, y.ndim) for a in of_y)
    free_x = tuple(i for i in range(x.ndim) if i not in of_x)
    free_y = tuple(i for i in range(y.ndim) if i not in of_y)
    xs, ys = x.shape, y.shape
    if [xs[a] for a in of_x] != [ys[a] for a in of_y]:
        raise ValueError(explain("tensordot", "equal sizes along the summed axes", f"{list(xs)} over {list(of_x)} and "
                                 f"{list(ys)} over {list(of_y)}"))
    count = math.prod(xs[a] for a in of_x)
    left = call(OPS["reshape"], (call(OPS["transpose"], (x,), {"perm": free_x + of_x}),),
                {"shape": (math.prod(xs[a] for a in free_x), count)})
    right = call(OPS["reshape"], (call(OPS["transpose"], (y,), {"perm": of_y + free_y}),),
                 {"shape": (count, math.prod(ys[a] for a in free_y))})
    out = call(OPS["matmul"], (left, right))
    return call(OPS["reshape"], (out,), {"shape": tuple(xs[a] for a in free_x) + tuple(ys[a] for a in free_y)})


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def einsum(equation, *operands):
    """The sum of products that `equation` names: einsum("bij,bjk->bik", x, y) is a batch of matrix products.

    One letter per axis, `...` for axes that broadcast. Without "->" the result has the letters that occur once, in
    alphabetical order, after those of `...`. A letter twice in one operand takes its diagonal.
    """
    operands = list(operands[0]) if len(operands) == 1 and isinstance(operands[0], list | tuple) else list(operands)
    left, arrow, out = equation.replace(" ", "").partition("->")
    names = left.split(",")
    if len(names) != len(operands):
        raise ValueError(explain("einsum", f"{len(names)} operands for {equation!r}", str(len(operands))))
    spare = [c for c in _LETTERS if c not in equation]
    ranks = [x.ndim - len(n.replace("...", "")) if "..." in n else 0 for n, x in zip(names, operands, strict=True)]
    dots = "".join(spare[:max(ranks)])
    names = [n.replace("...", dots[len(dots) - r:]) for n, r in zip(names, ranks, strict=True)]
    for i, (n, x) in enumerate(zip(names, operands, strict=True)):
        if len(n) != x.ndim:
            raise ValueError(explain("einsum", f"{len(n)} axes for operand {i} in {equation!r}", str(list(x.shape))))
    if arrow:
        out = out.replace("...", dots)
    else:
        letters = "".join(names)
        out = dots + "".join(sorted(c for c in set(letters) if letters.count(c) == 1 and c not in dots))
    for i, n in enumerate(names):
        while len(set(n)) < len(n):
            c = next(c for c in n if n.count(c) > 1)
            a = n.index(c)
            b = n.index(c, a + 1)
            operands[i] = call(OPS["diagonal"], (operands[i],), {"offset": 0, "axis1": a, "axis2": b})
            n = n[:a] + n[a + 1:b] + n[b + 1:] + c
        names[i] = n
    return call(OPS["einsum"], tuple(operands), {"equation": ",".join(names) + "->" + out})
