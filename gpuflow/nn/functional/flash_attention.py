"""Attention under the names that Paddle gives its kernels for it. Here all of them are one computation."""
from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.nn.functional.common import dropout as drop
from gpuflow.ops.registry import OPS

__all__ = ["scaled_dot_product_attention"]   # Paddle leaves flash_attention to this module

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


def flash_attention(query, key, value, dropout=0.0, causal=False, return_softmax=False, *, fixed_seed_offset=None,
                    rng_name="", training=True, name=None, softmax_scale=None):
    """`scaled_dot_product_attention`, as (result, weights or None): weights [batch, heads, T, S] for return_softmax."""
    if fixed_seed_offset is not None or rng_name:
        raise ValueError(explain("flash_attention", "no seed of its own, as numbers come from gpuflow.seed",
                                 f"fixed_seed_offset={fixed_seed_offset}, rng_name={rng_name!r}"))
    q, k, v = _per_head("flash_attention", query, key, value)
    out, weights = attend(q, k, v, None, dropout, causal, training, softmax_scale)
    return _swapped(out), weights if return_softmax else None
