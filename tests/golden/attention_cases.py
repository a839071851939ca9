"""Attention and Transformer layers under fixed weights, run with Paddle or with gpuflow in its place: CASES.

A case takes the framework and a function that makes tensors and gives the results whose gradients are compared.
"""
import zlib

import numpy as np


def _values(seed, shape):
    return np.random.default_rng(zlib.crc32(seed.encode())).uniform(-1, 1, shape).astype(np.float32)


def with_weights(layer, training=False):
    """The layer with numbers that depend on nothing but their structured names, in evaluation mode by default."""
    for name, p in layer.named_parameters():
        p.set_value(_values(name, p.shape) * 0.5)
    layer.train() if training else layer.eval()
    return layer


def run(paddle, cases, name):
    """{key: array}: results "out0", ..., gradients "grad x" of inputs and "grad linear1.weight" of parameters, and
    the names of parameters and of the state."""
    given = {}

    def tensor(key, *shape):
        given[key] = paddle.to_tensor(_values(f"{name} {key}", shape), stop_gradient=False)
        return given[key]

    layer, outs = cases[name](paddle, tensor)
    answer, total = {}, None
    for i, out in enumerate(outs):
        answer[f"out{i}"] = out.numpy()
        part = (out * paddle.to_tensor(_values(f"{name} out{i}", out.shape))).sum()
        total = part if total is None else total + part
    total.backward()
    parameters = [] if layer is None else list(layer.named_parameters())
    answer |= {f"grad {key}": t.grad.numpy() for key, t in [*given.items(), *parameters] if t.grad is not None}
    if layer is not None:
        answer["state"] = np.array(list(layer.state_dict()))
    return answer


def flat(*results):
    """The tensors in nested tuples and lists."""
    for r in results:
        if isinstance(r, tuple | list):
            yield from flat(*r)
        elif r is not None:
            yield r


def _mask(paddle, kind):
    """[2, 1, 3, 5]: the last two keys are hidden from the first sample, another from one query of the second."""
    allowed = np.ones((2, 1, 3, 5), bool)
    allowed[0, :, :, 3:] = allowed[1, 0, 1, 2] = False
    return paddle.to_tensor(np.where(allowed, 0, -3).astype(np.float32) if kind == "float32" else allowed.astype(kind))


def _heads(mask=None, features=(6, 6), **arguments):
    def case(paddle, tensor):
        layer = with_weights(paddle.nn.MultiHeadAttention(6, 3, kdim=features[0], vdim=features[1], **arguments))
        q, k, v = tensor("q", 2, 3, 6), tensor("k", 2, 5, features[0]), tensor("v", 2, 5, features[1])
        return layer, flat(layer(q, k, v, None if mask is None else _mask(paddle, mask)))

    return case


def _self_attention(paddle, tensor):
    layer = with_weights(paddle.nn.MultiHeadAttention(6, 2))
    return layer, [layer(tensor("x", 2, 3, 6))]


def _cached_attention(paddle, tensor):
    layer = with_weights(paddle.nn.MultiHeadAttention(6, 2))
    x, memory = tensor("x", 2, 3, 6), tensor("memory", 2, 4, 6)
    cache, outs = layer.gen_cache(x), []
    for t in range(3):
        out, cache = layer(x[:, t:t + 1], x[:, t:t + 1], x[:, t:t + 1], None, cache)
        outs.append(out)
    static = layer.gen_cache(memory, memory, type=layer.StaticCache)
    full = layer.gen_cache(*layer.compute_kv(memory, memory))
    return layer, flat(outs, layer(x, cache=static), layer(x, cache=full))


def _block(kind, **arguments):
    def case(paddle, tensor):
        layer = with_weights(getattr(paddle.nn, f"Transformer{kind}Layer")(6, 2, 4, **arguments))
        x, memory = tensor("x", 2, 3, 6), [tensor("memory", 2, 5, 6)] if kind == "Decoder" else []
        look = paddle.to_tensor(np.tril(np.ones((3, 3), bool)))
        masks = [look, _mask(paddle, "int64")] if memory else [look]
        return layer, [layer(x, *memory, *masks)]

    return case


def _encoder(paddle, tensor):
    nn = paddle.nn
    layer = with_weights(nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 3), 2, nn.LayerNorm(4)))
    x = tensor("x", 2, 3, 4)
    out, caches = layer(x[:, 2:], None, layer(x[:, :2], None, layer.gen_cache(x))[1])
    return layer, [layer(x), out, caches[1].k]


def _decoder(paddle, tensor):
    nn = paddle.nn
    layer = with_weights(nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 3, normalize_before=True), 2))
    x, memory = tensor("x", 2, 3, 4), tensor("memory", 2, 5, 4)
    _, caches = layer(x[:, :2], memory, cache=layer.gen_cache(memory))
    out, caches = layer(x[:, 2:], memory, cache=caches)
    return layer, [layer(x, memory), out, caches[0][0].v, layer.gen_cache(memory, do_zip=True)[1][0].k]


def _transformer(**arguments):
    def case(paddle, tensor):
        layer = with_weights(paddle.nn.Transformer(4, 2, 1, 2, 5, **arguments))
        src, tgt = tensor("src", 2, 5, 4), tensor("tgt", 2, 3, 4)
        look = layer.generate_square_subsequent_mask(3)
        return layer, [layer(src, tgt, None, look, _mask(paddle, "bool"))]

    return case


def _product(shapes=((2, 3, 4, 2), (2, 5, 4, 2), (2, 5, 4, 2)), mask=None, **arguments):
    def case(paddle, tensor):
        q, k, v = (tensor(key, *shape) for key, shape in zip("qkv", shapes))
        allowed = {} if mask is None else {"attn_mask": _mask(paddle, mask)}
        return None, [paddle.nn.functional.scaled_dot_product_attention(q, k, v, **allowed, **arguments)]

    return case


def _flash(paddle, tensor):
    q, k, v = (tensor(key, 2, 3, 2, 4) for key in "qkv")
    return None, paddle.nn.functional.flash_attention.flash_attention(q, k, v, causal=True, return_softmax=True)


CASES = {
    "heads": _heads(),
    "heads of self": _self_attention,
    "heads kdim": _heads(features=(4, 5), need_weights=True),
    **{f"heads {kind} mask": _heads(kind) for kind in ("bool", "int64", "float32")},
    "heads without bias": _heads(bias_attr=False),
    "heads cached": _cached_attention,
    "encoder layer": _block("Encoder"),
    "encoder layer before": _block("Encoder", normalize_before=True, activation="gelu", bias_attr=False),
    "decoder layer": _block("Decoder"),
    "decoder layer before": _block("Decoder", normalize_before=True, activation="gelu", bias_attr=[False, None, True],
                                   layer_norm_eps=1e-3),
    "encoder": _encoder,
    "decoder": _decoder,
    "transformer": _transformer(),
    "transformer attributes": _transformer(bias_attr=[False, None, False], normalize_before=True),
    "product": _product(),
    "product scale": _product(scale=0.3),
    "product causal": _product(is_causal=True),
    "product bool mask": _product(mask="bool"),
    "product float mask": _product(mask="float32"),
    "product shared heads": _product(((2, 3, 4, 2), (2, 5, 2, 2), (2, 5, 2, 2))),
    "product no batch": _product(((3, 2, 4), (5, 2, 4), (5, 2, 4))),
    "flash": _flash,
}
