"""softmax and log_softmax: one op each, computed in float32 at least, shifted by the maximum so that exp cannot
overflow."""
from gpuflow.ops.registry import floating, normal_axis, op


def _spec(x, *, axis=-1):
    normal_axis("softmax", axis, len(x.shape))
    return floating()(x)


def normalize_exponentials(xp, x, axis=-1):
    """exp(x) / sum(exp(x)) along `axis`, written into x."""
    xp.exp(x, out=x)
    x /= x.sum(axis=axis, keepdims=True)
    return x


@op("softmax", infer=_spec, saves=("out",), quiet=True, as_float=True)
def softmax(xp, x, *, axis=-1):
    """exp(x) / sum(exp(x)) along `axis`: positive numbers that add up to 1."""
    if not x.ndim:
        return xp.ones_like(x)
    return normalize_exponentials(xp, x - x.max(axis=axis, keepdims=True), axis)


@softmax.grad
def softmax_grad(xp, g, saved, *, axis=-1):
    out = saved.out
    if not out.ndim:
        return (g * 0,)
    weighted = g * out
    return (weighted - out * weighted.sum(axis=axis, keepdims=True),)


@op("log_softmax", infer=_spec, saves=("out",), quiet=True, as_float=True)
def log_softmax(xp, x, *, axis=-1):
    """log(softmax(x)) along `axis`, exact also where softmax underflows."""
    if not x.ndim:
        return xp.zeros_like(x)
    out = x - x.max(axis=axis, keepdims=True)
    out -= xp.log(xp.exp(out).sum(axis=axis, keepdims=True))
    return out


@log_softmax.grad
def log_softmax_grad(xp, g, saved, *, axis=-1):
    if not saved.out.ndim:
        return (g * 0,)
    return (g - xp.exp(saved.out) * g.sum(axis=axis, keepdims=True),)
