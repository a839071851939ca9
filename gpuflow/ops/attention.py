"""Attention (Vaswani et al. 2017): how much each query looks at each key. What it sees there is a matmul after it.

Heads are an axis of their own: q is [..., T, D], k [..., S, D], the weights [..., T, S]. Scores, mask and softmax are
one op because between them lie three arrays of [..., T, S], which nothing else reads.
"""
import numpy as np

from gpuflow.errors import explain
from gpuflow.ops.matmul import product
from gpuflow.ops.registry import Spec, broadcast_shapes, op
from gpuflow.ops.softmax import normalize_exponentials


def _weights_spec(q, k, mask=None, *, scale, causal=False):
    where = "attention"
    if len(q.shape) < 2 or len(k.shape) < 2 or q.dtype is not k.dtype:
        raise ValueError(explain(where, "queries [..., T, D] and keys [..., S, D] of one dtype", f"{q} and {k}"))
    if q.shape[-1] != k.shape[-1] and None not in (q.shape[-1], k.shape[-1]):
        raise ValueError(explain(where, f"keys with {q.shape[-1]} numbers per head, as the queries",
                                 f"q {list(q.shape)} and k {list(k.shape)}"))
    out = (*broadcast_shapes(where, q.shape[:-2], k.shape[:-2]), q.shape[-2], k.shape[-2])
    if mask is not None and (len(mask.shape) > len(out) or any(
            m != s and m != 1 and None not in (m, s) for m, s in zip(mask.shape[::-1], out[::-1]))):
        raise ValueError(explain(where, f"a mask that broadcasts to {list(out)}, [..., queries, keys]",
                                 str(list(mask.shape))))
    return Spec(out, q.dtype)


@op("attention_weights", infer=_weights_spec, saves=("q", "k", "out"), quiet=True)
def attention_weights(xp, q, k, mask=None, *, scale, causal=False):
    """softmax(scale * q @ k^T + mask) over the keys: [..., T, S]. Computed in float32 at least.

    mask: numbers to add, or bool with True where a query may look, broadcast to the weights. causal: query t sees keys
    0 to t. A query that may look nowhere gets NaN.
    """
    scores = product(xp, q * q.dtype.type(scale), k.swapaxes(-1, -2))   # q is smaller than the scores
    if scores.dtype.itemsize == 2:
        scores = scores.astype(xp.float32)
    if mask is not None:
        scores += xp.where(mask, scores.dtype.type(0), -xp.inf) if mask.dtype == bool else mask
    if causal:
        scores += xp.triu(xp.full(scores.shape[-2:], -xp.inf, scores.dtype), 1)
    scores -= scores.max(axis=-1, keepdims=True)
    return normalize_exponentials(xp, scores).astype(q.dtype, copy=False)


@attention_weights.grad
def attention_weights_grad(xp, g, saved, *, scale, causal=False):
    q, k, weights = saved.q, saved.k, saved.out
    kind = q.dtype
    if kind.itemsize == 2:
        g, weights = g.astype(np.float32), weights.astype(np.float32)
    to_scores = g * weights
    to_scores -= weights * to_scores.sum(axis=-1, keepdims=True)
    narrow = to_scores.astype(kind) if kind.itemsize == 2 else to_scores
    to_q = product(xp, narrow, k) * scale if saved.needs[0] else None
    to_k = product(xp, narrow.swapaxes(-1, -2), q) * scale if saved.needs[1] else None
    return to_q, to_k, to_scores if saved.needs[2] else None
