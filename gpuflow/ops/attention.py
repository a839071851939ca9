"""Attention (Vaswani et al. 2017): how much each query looks at each key. What it sees there is a matmul after it.

Heads are an axis of their own: q is [..., T, D], k [..., S, D], the weights [..., T, S]. Scores, mask and softmax are
one op because between them lie three arrays of [..., T, S], which nothing else reads.
"""
import numpy as np

from gpuflow import dtypes
from gpuflow.errors import explain
from gpuflow.ops.matmul import product
from gpuflow.ops.registry import Spec, broadcast_shapes, op
from gpuflow.ops.softmax import exponentials, through_softmax


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
    return exponentials(xp, scores, out=scores)[0].astype(q.dtype, copy=False)


@attention_weights.grad
def attention_weights_grad(xp, g, saved, *, scale, causal=False):
    q, k, weights = saved.q, saved.k, saved.out
    kind = q.dtype
    if kind.itemsize == 2:
        g, weights = g.astype(np.float32), weights.astype(np.float32)
    to_scores = through_softmax(xp, g, weights)
    narrow = to_scores.astype(kind) if kind.itemsize == 2 else to_scores
    to_q = product(xp, narrow, k) * scale if saved.needs[0] else None
    to_k = product(xp, narrow.swapaxes(-1, -2), q) * scale if saved.needs[1] else None
    return to_q, to_k, to_scores if saved.needs[2] else None


# ---- who may look where ----------------------------------------------------------------------------------------------


def _spans_spec(q, k, rows=None, *, causal, window=None):
    if rows is not None and (len(rows.shape) != 4 or rows.shape[-1] not in ((1, 2) if causal else (2, 4))):
        raise ValueError(explain("flashmask_attention", "startend_row_indices [batch, heads, keys, "
                                 f"{'1 or 2' if causal else '2 or 4'}] with causal={causal}", str(list(rows.shape))))
    return Spec((*((1, 1) if rows is None else rows.shape[:2]), q.shape[-2], k.shape[-2]), dtypes.bool_)


@op("visible_spans", infer=_spans_spec)
def visible_spans(xp, q, k, rows=None, *, causal, window=None):
    """True where a query [..., T, D] may look at a key [..., S, D]: [batch, heads, T, S] (Wang et al. 2024, FlashMask).

    rows [batch, heads, S, n]: per key, the first query that must not see it and the one after the last; n = 4 has two
    such spans. A span without the other end goes on: with causal and n = 1 to the last query; without causal n = 2 is
    the start of one that goes to the last and the end of one that comes from the first. causal: query t sees keys to t.
    window: (before, after): how many keys a query sees on either side, -1 for all.
    """
    _spans_spec(q, k, rows, causal=causal, window=window)
    here, there = xp.arange(q.shape[-2])[:, None], xp.arange(k.shape[-2])
    before, after = (-1, -1) if window is None else window
    seen = xp.ones((1, 1, q.shape[-2], k.shape[-2]), bool)
    if causal or after >= 0:
        seen &= there <= here + (0 if causal else after)
    if before >= 0:
        seen &= there >= here - before
    if rows is None:
        return seen
    ends = [rows[..., None, :, i] for i in range(rows.shape[-1])]
    if len(ends) == 1:
        return seen & (here < ends[0])
    if len(ends) == 2 and not causal:
        return seen & (here < ends[0]) & (here >= ends[1])
    for first, stop in zip(ends[::2], ends[1::2]):
        seen = seen & ((here < first) | (here >= stop))
    return seen


def _placed(xp, count, ends, stride):
    """For `count` rows of packed sequences: (sequence, place in it, its length, whether it has the row)."""
    row, sizes = xp.arange(count), ends[1:] - ends[:-1]
    which = row // stride if stride else xp.searchsorted(ends, row, side="right") - 1
    known = xp.minimum(which, len(sizes) - 1)
    place = row - (known * stride if stride else ends[known])
    return which, place, sizes[known], (which < len(sizes)) & (place < sizes[known])


@op("visible_in_pack", infer=lambda q, k, ends_q, ends_k, **attrs: Spec((q.shape[-2], k.shape[-2]), dtypes.bool_))
def visible_in_pack(xp, q, k, ends_q, ends_k, *, causal, strides=(None, None)):
    """True where a query may look at a key when sequences lie one after the other: [T, S] for [..., T, D], [..., S, D].

    ends_q, ends_k [sequences + 1]: where each begins and the last one ends. strides: for queries and keys, the rows
    that each sequence takes if it is padded. causal: a sequence's last query sees its last key, those before it less.
    """
    one, here, queries, mine = (a[:, None] for a in _placed(xp, q.shape[-2], ends_q, strides[0]))
    other, there, keys, theirs = _placed(xp, k.shape[-2], ends_k, strides[1])
    seen = (one == other) & mine & theirs
    return seen & (there <= here + keys - queries) if causal else seen
