"""Sums of products named by letters: einsum."""
from gpuflow.errors import explain
from gpuflow.ops.registry import Spec, op


def _parts(equation, count):
    """The operands' letters and the result's. The public function has written out ... and -> by then."""
    left, arrow, out = equation.partition("->")
    names = left.split(",")
    if not arrow or len(names) != count:
        raise ValueError(explain("einsum", f"an equation for {count} operands", repr(equation)))
    return names, out


def _spec(*xs, equation):
    names, out = _parts(equation, len(xs))
    sizes: dict = {}
    for letters, x in zip(names, xs, strict=True):
        if len(letters) != len(x.shape):
            raise ValueError(explain("einsum", f"{len(letters)} axes for '{letters}'", str(list(x.shape))))
        for letter, n in zip(letters, x.shape, strict=True):
            if sizes.setdefault(letter, n) in (1, None):
                sizes[letter] = n
            elif n not in (1, None, sizes[letter]):
                raise ValueError(explain("einsum", f"one size for '{letter}' in {equation}",
                                         f"{sizes[letter]} and {n}"))
        if x.dtype is not xs[0].dtype:
            raise ValueError(explain("einsum", "tensors of one dtype", f"{xs[0].dtype.name} and {x.dtype.name}"))
    return Spec(tuple(sizes[letter] for letter in out), xs[0].dtype)


@op("einsum", infer=_spec, saves=("xs",))
def einsum(xp, *xs, equation):
    """The sum of products that `equation` names, e.g. "bij,bjk->bik". Each letter at most once per operand."""
    if any(x.dtype != xs[0].dtype for x in xs):
        raise ValueError("dtypes differ")
    kind = xs[0].dtype
    if kind.itemsize == 2 and kind.kind not in "iu":
        return xp.einsum(equation, *[x.astype(xp.float32) for x in xs], optimize=True).astype(kind)
    return xp.array(xp.einsum(equation, *xs, optimize=len(xs) > 1))


@einsum.grad
def einsum_grad(xp, g, saved, *, equation):
    names, out = _parts(equation, len(saved.xs))
    grads = []
    for i, letters in enumerate(names):
        if not saved.needs[i]:
            grads.append(None)
            continue
        others = [x for j, x in enumerate(saved.xs) if j != i]
        others_names = [name for j, name in enumerate(names) if j != i]
        known = set(out).union(*others_names)
        kept = "".join(letter for letter in letters if letter in known)
        one = einsum(xp, g, *others, equation=",".join([out, *others_names]) + "->" + kept)
        shape = saved.xs[i].shape  # letters of this operand alone were summed: the gradient is the same along them
        sizes = iter(one.shape)
        one = one.reshape(tuple(next(sizes) if letter in known else 1 for letter in letters))
        wide = tuple(max(a, b) for a, b in zip(one.shape, shape, strict=True))
        grads.append(xp.broadcast_to(one, wide))
    return grads
