"""Attention under the names that Paddle gives its kernels for it. Here all of them are one computation.

Those that take packed sequences or spans make a mask of all queries and keys. Where a query may look nowhere, as
padding may not, the result is zero.
"""
from gpuflow import dtypes
from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.nn.functional.common import dropout as drop
from gpuflow.ops.registry import OPS
from gpuflow.tensor import Tensor

# flash_attention and flash_attn_unpadded are found in this module only, as in Paddle
__all__ = ["flash_attention_v3_varlen", "flash_attn_qkvpacked", "flash_attn_varlen_qkvpacked", "flashmask_attention",
           "scaled_dot_product_attention"]

_WEIGHTS, _MATMUL = OPS["attention_weights"], OPS["matmul"]


def attend(q, k, v, mask=None, dropout_p=0.0, is_causal=False, training=True, scale=None):
    """(what the queries see, the weights they see it with): [..., T, Dv] and [..., T, S], heads before T.

    q: [..., T, D]; k: [..., S, D]; v: [..., S, Dv]. mask, is_causal: see the op attention_weights. scale: default
    D ** -0.5. dropout_p: the share of weights that training drops.
    """
    weights = call(_WEIGHTS, (q, k, mask), {"scale": float(q.shape[-1] ** -0.5 if scale is None else scale),
                                            "causal": bool(is_causal)})
    weights = drop(weights, dropout_p, training=training) if dropout_p else weights
    return call(_MATMUL, (weights, v)), weights


def _swapped(x):
    """[B, T, H, D] to [B, H, T, D] and back."""
    return call(OPS["transpose"], (x,), {"perm": (0, 2, 1, 3) if len(x.shape) == 4 else (1, 0, 2)})


def _per_head(where, query, key, value, gqa=True):
    """The three with heads in front, keys and values repeated where several heads of queries share one."""
    if len({len(x.shape) for x in (query, key, value)}) != 1 or len(query.shape) not in (3, 4):
        raise ValueError(explain(where, "query, key and value [batch, length, heads, size], or all without batch",
                                 ", ".join(str(list(x.shape)) for x in (query, key, value))))
    heads, kept = query.shape[-2], key.shape[-2]
    if value.shape[-2] != kept or (heads != kept and (not gqa or not kept or heads % kept)):
        raise ValueError(explain(where, f"as many heads in key and value, a number that divides the query's {heads}"
                                 if gqa else f"{heads} heads in key and value, as in query",
                                 f"{kept} in key and {value.shape[-2]} in value"))
    q, k, v = _swapped(query), _swapped(key), _swapped(value)
    if heads != kept:
        k, v = (call(OPS["repeat_interleave"], (x,), {"repeats": heads // kept, "axis": -3}) for x in (k, v))
    return q, k, v


def scaled_dot_product_attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, training=True,
                                 backend=None, scale=None, enable_gqa=True, name=None):
    """softmax(scale * q @ k^T + mask) @ v for each head: [batch, T, heads, D], like query (Vaswani et al. 2017).

    query: [batch, T, heads, D]; key, value: [batch, S, heads, D], or with fewer heads that several of the query's
    share (enable_gqa). All three may come without batch.
    attn_mask: added to [batch, heads, T, S], which it broadcasts to; bool: True where a query may look.
    is_causal: query t sees keys 0 to t. scale: default D ** -0.5. dropout_p: share of the weights that training drops.
    """
    if backend is not None:
        raise ValueError(explain("scaled_dot_product_attention", "backend=None, as there is one", repr(backend)))
    q, k, v = _per_head("scaled_dot_product_attention", query, key, value, enable_gqa)
    return _swapped(attend(q, k, v, attn_mask, dropout_p, is_causal, training, scale)[0])


def _refuse(where, **arguments):
    """ValueError for an argument that is set and would change nothing here. Each: (value, what it may be)."""
    for name, (value, fine) in arguments.items():
        if value is not fine and (isinstance(value, Tensor) or value != fine):
            raise ValueError(explain(where, f"{name}={fine!r}", repr(value)))


def flash_attention(query, key, value, dropout=0.0, causal=False, return_softmax=False, *, fixed_seed_offset=None,
                    rng_name="", training=True, name=None, softmax_scale=None):
    """`scaled_dot_product_attention`, as (result, weights or None): weights [batch, heads, T, S] for return_softmax."""
    _refuse("flash_attention", fixed_seed_offset=(fixed_seed_offset, None), rng_name=(rng_name, ""))
    q, k, v = _per_head("flash_attention", query, key, value)
    out, weights = attend(q, k, v, None, dropout, causal, training, softmax_scale)
    return _swapped(out), weights if return_softmax else None


def _unpacked(qkv):
    """Queries, keys and values of [..., groups + 2, heads, D]: `groups` of query heads, then keys, then values."""
    *queries, key, value = call(OPS["unbind"], (qkv,), {"axis": -3})
    return queries[0] if len(queries) == 1 else call(OPS["concat"], tuple(queries), {"axis": -2}), key, value


def flash_attn_qkvpacked(qkv, dropout=0.0, causal=False, return_softmax=False, *, fixed_seed_offset=None, rng_name="",
                         training=True, name=None):
    """`flash_attention` of one tensor [batch, T, groups + 2, heads, D]: `groups` of query heads, then keys, values."""
    return flash_attention(*_unpacked(qkv), dropout, causal, return_softmax, fixed_seed_offset=fixed_seed_offset,
                           rng_name=rng_name, training=training)


def _attend_seen(q, k, v, seen, dropout_p, training, scale):
    """`attend` where `seen` is True, with zeros for queries that see nothing."""
    some = call(OPS["any"], (seen,), {"axis": -1, "keepdim": True})
    mask = call(OPS["where"], (seen, call(OPS["cast"], (some,), {"dtype": dtypes.float32}) * 0, -1e9))
    out, weights = attend(q, k, v, mask, dropout_p, False, training, scale)
    return out * call(OPS["cast"], (some,), {"dtype": out.dtype}), weights


def flash_attn_unpadded(query, key, value, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, scale, dropout=0.0,
                        causal=False, return_softmax=False, fixed_seed_offset=None, rng_name="", training=True,
                        name=None):
    """Attention within each of several sequences that lie one after the other: (result [T, heads, D], weights or None).

    query: [T, heads, D]; key, value: [S, heads, D], T and S all sequences' lengths together. cu_seqlens_q and
    cu_seqlens_k: integers [sequences + 1], 0 and where each sequence ends. max_seqlen_q, max_seqlen_k change nothing.
    causal: a sequence's last query sees its last key, the ones before it one less each.
    """
    return _in_packs("flash_attn_unpadded", (query, key, value), (cu_seqlens_q, cu_seqlens_k), (None, None), scale,
                     dropout, causal, return_softmax, training, fixed_seed_offset, rng_name)


def _in_packs(where, qkv, ends, strides, scale, dropout, causal, return_softmax, training, fixed_seed_offset, rng_name):
    _refuse(where, fixed_seed_offset=(fixed_seed_offset, None), rng_name=(rng_name, ""))
    q, k, v = _per_head(where, *qkv)
    seen = call(OPS["visible_in_pack"], (q, k, *ends), {"causal": bool(causal), "strides": strides})
    out, weights = _attend_seen(q, k, v, seen, dropout, training, scale)
    return _swapped(out), weights if return_softmax else None


def flash_attn_varlen_qkvpacked(qkv, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, scale, dropout=0.0,
                                causal=False, return_softmax=False, fixed_seed_offset=None, rng_name="",
                                varlen_padded=True, training=True, name=None):
    """`flash_attn_unpadded` of one tensor [T, groups + 2, heads, D]; see `flash_attn_qkvpacked`.

    varlen_padded: each sequence takes max_seqlen rows, of which the last may be padding, and gets zeros there.
    """
    strides = (int(max_seqlen_q), int(max_seqlen_k)) if varlen_padded else (None, None)
    return _in_packs("flash_attn_varlen_qkvpacked", _unpacked(qkv), (cu_seqlens_q, cu_seqlens_k), strides, scale,
                     dropout, causal, return_softmax, training, fixed_seed_offset, rng_name)


def flash_attention_v3_varlen(query, key, value, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, seqused_q=None,
                              seqused_k=None, softmax_scale=None, causal=False, qv=None, q_descale=None, k_descale=None,
                              v_descale=None, window_size=(-1, -1), softcap=0.0, num_splits=1, pack_gqa=None,
                              sm_margin=0):
    """`flash_attn_unpadded` under the arguments of a later kernel: (result [T, heads, D], None). scale D ** -0.5."""
    _refuse("flash_attention_v3_varlen", seqused_q=(seqused_q, None), seqused_k=(seqused_k, None), qv=(qv, None),
            q_descale=(q_descale, None), k_descale=(k_descale, None), v_descale=(v_descale, None),
            window_size=(tuple(window_size), (-1, -1)), softcap=(softcap, 0.0))
    return _in_packs("flash_attention_v3_varlen", (query, key, value), (cu_seqlens_q, cu_seqlens_k), (None, None),
                     softmax_scale, 0.0, causal, False, False, None, "")


def flashmask_attention(query, key, value, startend_row_indices=None, *, dropout=0.0, causal=False, window_size=None,
                        return_softmax_lse=False, return_seed_offset=False, fixed_seed_offset=None, rng_name="",
                        training=True, name=None, softmax_scale=None, block_mask=None):
    """Attention in which each key is hidden from spans of queries: [batch, T, heads, D], like query.

    startend_row_indices: integers [batch, heads of key or 1, S, n]; with causal n = 1 (hidden from that query on) or 2
    (up to another), else 2 (hidden from the first on, and before the second) or 4 (from the first up to the second,
    and from the third up to the fourth). causal: query t sees keys 0 to t. window_size: how many keys to either side a
    query sees, one number or (before, after).
    """
    where = "flashmask_attention"
    _refuse(where, return_softmax_lse=(return_softmax_lse, False), return_seed_offset=(return_seed_offset, False),
            fixed_seed_offset=(fixed_seed_offset, None), rng_name=(rng_name, ""), block_mask=(block_mask, None))
    window = (window_size, window_size) if isinstance(window_size, int) else window_size
    q, k, v = _per_head(where, query, key, value)
    seen = call(OPS["visible_spans"], (q, k, startend_row_indices),
                {"causal": bool(causal), "window": None if window is None else tuple(window)})
    if seen.shape[1] not in (1, q.shape[1]):
        seen = call(OPS["repeat_interleave"], (seen,), {"repeats": q.shape[1] // seen.shape[1], "axis": 1})
    return _swapped(_attend_seen(q, k, v, seen, dropout, training, softmax_scale)[0])
