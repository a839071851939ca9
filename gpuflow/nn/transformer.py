"""Multi-head attention and the Transformer (Vaswani et al. 2017), with caches for decoding step by step.

Tensors are [batch, length, features]. A mask broadcasts to [batch, heads, queries, keys]: bool or integers say where a
query may look (True, 1), floats are added to the scores.

weight_attr and bias_attr speak for several parameters. A name in them is the beginning of each one's own name, which
ends with the layer's ("encoder_0_q_proj"), so that modules made with one name share their parameters pairwise.
"""
import copy
from collections import namedtuple

from gpuflow import dtypes
from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.functional.creation import full
from gpuflow.nn import functional as F
from gpuflow.nn.common import Dropout, Linear
from gpuflow.nn.container import LayerList
from gpuflow.nn.functional.flash_attention import attend
from gpuflow.nn.layer import Layer
from gpuflow.nn.norm import LayerNorm
from gpuflow.ops.registry import OPS
from gpuflow.param import ParamAttr

__all__ = ["MultiHeadAttention", "Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder",
           "TransformerEncoderLayer"]


# ---- attributes of several parameters ------------------------------------------------------------------------------


def _ending(attr, end):
    """The attribute for one of several parameters: with a name of its own where `attr` has one."""
    attr = ParamAttr._to_attr(attr)
    if attr is False or attr.name is None:
        return attr
    attr = copy.copy(attr)
    attr.name = f"{attr.name}_{end}"
    return attr


def _spread(where, attr, count):
    """`count` attributes: those of a list, or one for all (whose name is numbered)."""
    if not isinstance(attr, list | tuple):
        return [_ending(attr, i) for i in range(count)]
    if len(attr) != count:
        raise ValueError(explain(where, f"{count} attributes, or one for all", str(len(attr))))
    return [ParamAttr._to_attr(a) for a in attr]


def _convert_param_attr_to_list(param_attr, n: int) -> list:
    """n attributes: those of a list, or one for all. Code for Paddle asks for it by this name."""
    return _spread("param_attr", param_attr, n)


def _two_and_three(where, attr):
    """What Transformer's attribute says to encoder layers (two parts) and to decoder layers (three parts)."""
    if not isinstance(attr, list | tuple):
        return _ending(attr, "encoder"), _ending(attr, "decoder")
    if len(attr) not in (1, 2, 3):
        raise ValueError(explain(where, "one to three attributes", str(len(attr))))
    first, last = attr[0], attr[-1]
    return [first, last], [first, attr[1] if len(attr) == 3 else first, last]


def _linear(inside, outside, weight_attr, bias_attr, end):
    return Linear(inside, outside, _ending(weight_attr, end), _ending(bias_attr, end))


def _positive(where, **sizes):
    for name, size in sizes.items():
        if size <= 0:
            raise ValueError(explain(where, f"{name} above 0", repr(size)))


# ---- attention -----------------------------------------------------------------------------------------------------


def _as_bias(mask, dtype):
    """A mask as numbers to add to scores: bool and integers become 0 where a query may look, else -1e9."""
    dtype = dtypes.convert(dtype)
    if mask is None or mask.dtype is dtype:
        return mask
    number = call(OPS["cast"], (mask,), {"dtype": dtype})
    return number if mask.dtype.is_differentiable else call(OPS["scale"], (number,), {"scale": 1e9, "bias": -1e9})


_convert_attention_mask = _as_bias   # as code for Paddle asks for it


class MultiHeadAttention(Layer):
    """Attention with several heads, each over embed_dim / num_heads features; its result is projected to embed_dim.

    kdim, vdim: features of keys and values, default embed_dim. dropout: share of the attention weights that training
    drops. need_weights: the weights [batch, heads, queries, keys] are returned too. weight_attr, bias_attr: of the four
    projections q_proj, k_proj, v_proj, out_proj.
    """

    Cache = namedtuple("Cache", ["k", "v"])              # grows by the keys and values of each call
    StaticCache = namedtuple("StaticCache", ["k", "v"])  # stands for keys and values that stay

    def __init__(self, embed_dim, num_heads, dropout=0.0, kdim=None, vdim=None, need_weights=False, weight_attr=None,
                 bias_attr=None):
        super().__init__()
        _positive("MultiHeadAttention", embed_dim=embed_dim, num_heads=num_heads)
        if embed_dim % num_heads:
            raise ValueError(explain("MultiHeadAttention", f"num_heads that divides embed_dim={embed_dim}",
                                     str(num_heads)))
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.dropout, self.need_weights = dropout, need_weights
        self.q_proj = _linear(embed_dim, embed_dim, weight_attr, bias_attr, "q_proj")
        self.k_proj = _linear(self.kdim, embed_dim, weight_attr, bias_attr, "k_proj")
        self.v_proj = _linear(self.vdim, embed_dim, weight_attr, bias_attr, "v_proj")
        self.out_proj = _linear(embed_dim, embed_dim, weight_attr, bias_attr, "out_proj")

    def _heads(self, x):
        """[B, T, embed_dim] to [B, heads, T, head_dim]."""
        x = call(OPS["reshape"], (x,), {"shape": (0, 0, self.num_heads, self.head_dim)})
        return call(OPS["transpose"], (x,), {"perm": (0, 2, 1, 3)})

    def compute_kv(self, key, value):
        """Keys and values as the heads see them: each [batch, heads, length, head_dim]."""
        return self._heads(self.k_proj(key)), self._heads(self.v_proj(value))

    def _prepare_qkv(self, query, key, value, cache=None):
        """Queries, keys and values as the heads see them, and the cache after this call if one is given. Subclasses
        replace it, for rotary positions say."""
        q = self._heads(self.q_proj(query))
        k, v = cache if isinstance(cache, self.StaticCache) else self.compute_kv(key, value)
        if isinstance(cache, self.Cache):
            k, v = (call(OPS["concat"], (old, new), {"axis": 2}) for old, new in ((cache.k, k), (cache.v, v)))
            cache = self.Cache(k, v)
        return (q, k, v) if cache is None else (q, k, v, cache)

    def gen_cache(self, key, value=None, type=Cache):
        """A cache for `forward`.

        StaticCache: of these keys and values, which `forward` then need not project. Cache: empty, with batch size and
        dtype of `key`; or, given both, holding `key` and `value`, in the shape that `compute_kv` gives.
        """
        if type is self.StaticCache:
            return self.StaticCache(*self.compute_kv(key, key if value is None else value))
        if value is not None:
            return self.Cache(key, value)
        attrs = {"shape": (0, self.num_heads, 0, self.head_dim), "value": 0.0, "dtype": key.dtype}
        return self.Cache(*(call(OPS["full_by_batch"], (key,), attrs) for _ in "kv"))

    def forward(self, query, key=None, value=None, attn_mask=None, cache=None):
        """[batch, queries, embed_dim]; then, in a tuple, the weights if need_weights, and the cache if one is given.

        key, value: default `query`; not looked at when there is a StaticCache.
        """
        key, value = query if key is None else key, query if value is None else value
        q, k, v, *caches = self._prepare_qkv(query, key, value, cache)
        out, weights = attend(q, k, v, _as_bias(attn_mask, q.dtype), self.dropout, training=self.training)
        out = call(OPS["transpose"], (out,), {"perm": (0, 2, 1, 3)})
        out = self.out_proj(call(OPS["reshape"], (out,), {"shape": (0, 0, self.embed_dim)}))
        more = (*([weights] if self.need_weights else ()), *caches)
        return (out, *more) if more else out


# ---- one layer -----------------------------------------------------------------------------------------------------


class _Block(Layer):
    """What encoder and decoder layers have in common: attentions and a feed-forward, each with residual and norm."""

    attentions: tuple[str, ...] = ()

    def __init__(self, d_model, nhead, dim_feedforward, dropout=0.1, activation="relu", attn_dropout=None,
                 act_dropout=None, normalize_before=False, weight_attr=None, bias_attr=None, layer_norm_eps=1e-5):
        super().__init__()
        where = type(self).__name__
        self._config = {"d_model": d_model, "nhead": nhead, "dim_feedforward": dim_feedforward, "dropout": dropout,
                        "activation": activation, "attn_dropout": attn_dropout, "act_dropout": act_dropout,
                        "normalize_before": normalize_before, "weight_attr": weight_attr, "bias_attr": bias_attr,
                        "layer_norm_eps": layer_norm_eps}
        _positive(where, d_model=d_model, nhead=nhead, dim_feedforward=dim_feedforward)
        if not hasattr(F, activation):
            raise ValueError(explain(where, "activation as the name of one in nn.functional", repr(activation)))
        count = len(self.attentions) + 1
        weights, biases = _spread(where, weight_attr, count), _spread(where, bias_attr, count)
        self.normalize_before = normalize_before
        for name, weight, bias in zip(self.attentions, weights, biases):
            setattr(self, name, MultiHeadAttention(d_model, nhead, dropout if attn_dropout is None else attn_dropout,
                                                   weight_attr=weight, bias_attr=bias))
        self.linear1 = _linear(d_model, dim_feedforward, weights[-1], biases[-1], "linear1")
        self.dropout = Dropout(dropout if act_dropout is None else act_dropout)
        self.linear2 = _linear(dim_feedforward, d_model, weights[-1], biases[-1], "linear2")
        for i in range(1, count + 1):
            setattr(self, f"norm{i}", LayerNorm(d_model, layer_norm_eps))
        for i in range(1, count + 1):
            setattr(self, f"dropout{i}", Dropout(dropout))
        self.activation = getattr(F, activation)

    def _around(self, i, x, part):
        """x + dropout(part(x)) with the i-th norm before `part` or after the sum; and what else `part` returns."""
        norm, drop = getattr(self, f"norm{i}"), getattr(self, f"dropout{i}")
        out = part(norm(x) if self.normalize_before else x)
        out, more = out if isinstance(out, tuple) else (out, None)
        out = x + drop(out)
        return (out if self.normalize_before else norm(out)), more

    def _feed_forward(self, x):
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


class TransformerEncoderLayer(_Block):
    """Self-attention and a feed-forward, each with a residual connection and layer norm.

    dropout: after each of the two; attn_dropout, act_dropout: of attention weights and after the activation, default
    the same. activation: a name in nn.functional. normalize_before: norms before each part, not after the sums.
    weight_attr, bias_attr: of the attention and of the feed-forward (a list of two), or one for both.
    """

    attentions = ("self_attn",)

    def forward(self, src, src_mask=None, cache=None):
        """[batch, length, d_model], like src; with a cache (result, the cache grown by src)."""
        src_mask = _as_bias(src_mask, src.dtype)
        out, cache = self._around(1, src, lambda x: self.self_attn(x, x, x, src_mask, cache))
        out, _ = self._around(2, out, self._feed_forward)
        return out if cache is None else (out, cache)

    def gen_cache(self, src):
        """An empty cache for batches like src."""
        return self.self_attn.gen_cache(src)


class TransformerDecoderLayer(_Block):
    """Self-attention, attention to the encoder's result and a feed-forward, each with residual and layer norm.

    weight_attr, bias_attr: of the two attentions and the feed-forward (a list of three), or one for all. Others as in
    TransformerEncoderLayer.
    """

    attentions = ("self_attn", "cross_attn")

    def forward(self, tgt, memory, tgt_mask=None, memory_mask=None, cache=None):
        """[batch, length, d_model], like tgt; with a cache (result, (that of tgt, grown, and that of memory))."""
        tgt_mask, memory_mask = _as_bias(tgt_mask, tgt.dtype), _as_bias(memory_mask, memory.dtype)
        growing, static = (None, None) if cache is None else cache
        out, growing = self._around(1, tgt, lambda x: self.self_attn(x, x, x, tgt_mask, growing))
        out, static = self._around(2, out, lambda x: self.cross_attn(x, memory, memory, memory_mask, static))
        out, _ = self._around(3, out, self._feed_forward)
        return out if cache is None else (out, (growing, static))

    def gen_cache(self, memory):
        """(an empty cache for the targets, one that holds the keys and values of memory)."""
        return (self.self_attn.gen_cache(memory),
                self.cross_attn.gen_cache(memory, memory, type=self.cross_attn.StaticCache))


# ---- stacks --------------------------------------------------------------------------------------------------------


class _Stack(Layer):
    """A layer and others made like it, one after the other, then `norm`."""

    def __init__(self, layer, num_layers, norm=None):
        super().__init__()
        self.layers = LayerList([layer if i == 0 else type(layer)(**layer._config) for i in range(num_layers)])
        self.num_layers, self.norm = num_layers, norm

    def _run(self, x, cache, *rest):
        caches = []
        for i, layer in enumerate(self.layers):
            if cache is None:
                x = layer(x, *rest)
            else:
                x, new = layer(x, *rest, cache=cache[i])
                caches.append(new)
        x = x if self.norm is None else self.norm(x)
        return x if cache is None else (x, caches)


class TransformerEncoder(_Stack):
    """num_layers layers made like `encoder_layer`, which is the first of them; then `norm`, a layer or None.

    The others have weights of their own, unless encoder_layer's attributes have names: then all share one set.
    """

    def __init__(self, encoder_layer, num_layers, norm=None):
        super().__init__(encoder_layer, num_layers, norm)

    def forward(self, src, src_mask=None, cache=None):
        """[batch, length, d_model], like src; with caches (result, a list of them, grown)."""
        return self._run(src, cache, _as_bias(src_mask, src.dtype))

    def gen_cache(self, src):
        """An empty cache per layer, for batches like src."""
        return [layer.gen_cache(src) for layer in self.layers]


class TransformerDecoder(_Stack):
    """num_layers layers made like `decoder_layer`, which is the first of them; then `norm`, a layer or None."""

    def __init__(self, decoder_layer, num_layers, norm=None):
        super().__init__(decoder_layer, num_layers, norm)

    def forward(self, tgt, memory, tgt_mask=None, memory_mask=None, cache=None):
        """[batch, length, d_model], like tgt; with caches (result, a list of them, grown)."""
        return self._run(tgt, cache, memory, _as_bias(tgt_mask, tgt.dtype), _as_bias(memory_mask, memory.dtype))

    def gen_cache(self, memory, do_zip=False):
        """A cache per layer as TransformerDecoderLayer makes it; do_zip: [all the growing ones, all static ones]."""
        caches = [layer.gen_cache(memory) for layer in self.layers]
        return list(zip(*caches)) if do_zip else caches


class Transformer(Layer):
    """Encoder and decoder: from src and tgt, both [batch, length, d_model], to [batch, target length, d_model].

    weight_attr, bias_attr: one for all, or a list: [all], [attentions, feed-forwards] or [self-attentions,
    cross-attention, feed-forwards]. custom_encoder, custom_decoder: layers to use instead. Others as in
    TransformerEncoderLayer. Embeddings and the projection to classes are up to the model.
    """

    def __init__(self, d_model=512, nhead=8, num_encoder_layers=6, num_decoder_layers=6, dim_feedforward=2048,
                 dropout=0.1, activation="relu", attn_dropout=None, act_dropout=None, normalize_before=False,
                 weight_attr=None, bias_attr=None, custom_encoder=None, custom_decoder=None):
        super().__init__()
        _positive("Transformer", d_model=d_model, nhead=nhead, dim_feedforward=dim_feedforward)
        weights = _two_and_three("Transformer(weight_attr=...)", weight_attr)
        biases = _two_and_three("Transformer(bias_attr=...)", bias_attr)
        shared = (d_model, nhead, dim_feedforward, dropout, activation, attn_dropout, act_dropout, normalize_before)
        self.encoder = TransformerEncoder(TransformerEncoderLayer(*shared, weights[0], biases[0]), num_encoder_layers,
                                          LayerNorm(d_model)) if custom_encoder is None else custom_encoder
        self.decoder = TransformerDecoder(TransformerDecoderLayer(*shared, weights[1], biases[1]), num_decoder_layers,
                                          LayerNorm(d_model)) if custom_decoder is None else custom_decoder
        self.d_model, self.nhead = d_model, nhead

    def forward(self, src, tgt, src_mask=None, tgt_mask=None, memory_mask=None):
        """[batch, target length, d_model]. memory_mask: where targets may look in the encoder's result."""
        memory = self.encoder(src, src_mask=_as_bias(src_mask, src.dtype))
        return self.decoder(tgt, memory, tgt_mask=_as_bias(tgt_mask, tgt.dtype),
                            memory_mask=_as_bias(memory_mask, memory.dtype))

    def generate_square_subsequent_mask(self, length):
        """[length, length] for masks: 0 on and below the diagonal, -inf above it, so that no one looks ahead."""
        return call(OPS["triu"], (full((length, length), float("-inf"), dtypes.default_float()),), {"diagonal": 1})
