"""Attention and Transformers: Paddle's numbers and keys, caches, sharing by name, low precision, errors, Programs."""
import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import nn
from gpuflow.nn import functional as F
from tests.golden.attention_cases import CASES, run
from tests.nn.golden import compare_layers, recorded


@pytest.mark.parametrize("name", CASES)
def test_as_paddle(name):
    # float32 sums in another order, through up to three layers with norms
    compare_layers(run(paddle, CASES, name), recorded("attention.npz", name), rtol=1e-4, atol=1e-5)


def _x(*shape, seed=0):
    return paddle.to_tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def test_step_by_step_equals_all_at_once():
    layer = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0), 2)
    x = _x(2, 5, 8)
    whole = layer(x, paddle.tril(paddle.ones([5, 5], "bool"))).numpy()
    caches = layer.gen_cache(x)
    for t in range(5):
        out, caches = layer(x[:, t:t + 1], cache=caches)
        np.testing.assert_allclose(out.numpy()[:, 0], whole[:, t], rtol=1e-5, atol=1e-6)
    assert caches[0].k.shape == [2, 2, 5, 4]


def test_no_gradient_comes_from_what_must_not_be_seen():
    layer = nn.MultiHeadAttention(4, 2)
    x = _x(1, 4, 4)
    x.stop_gradient = False
    layer(x, attn_mask=nn.Transformer(4, 2, 0, 0, 4).generate_square_subsequent_mask(4))[:, 1].sum().backward()
    assert x.grad.numpy()[:, :2].all() and not x.grad.numpy()[:, 2:].any()


class _Turned(nn.MultiHeadAttention):
    """Queries and keys are turned by their place before they meet, as libraries for Paddle do it."""

    def _prepare_qkv(self, query, key, value, cache=None):
        q, k, v, *cache = super()._prepare_qkv(query, key, value, cache)
        return (-q, k, v, *cache)


def test_a_subclass_may_prepare_queries_keys_and_values():
    plain, turned = nn.MultiHeadAttention(4, 2), _Turned(4, 2)
    turned.set_state_dict(plain.state_dict())
    x = paddle.randn([2, 3, 4])
    expected = paddle.nn.functional.scaled_dot_product_attention(
        *(t.transpose([0, 2, 1, 3]) for t in turned._prepare_qkv(x, x, x))).reshape([2, 3, 4])
    np.testing.assert_allclose(turned(x).numpy(), plain.out_proj(expected).numpy(), rtol=1e-5, atol=1e-6)
    assert np.abs((turned(x) - plain(x)).numpy()).max() > 1e-3
    out, cache = turned(x, cache=turned.gen_cache(x))
    np.testing.assert_allclose(out.numpy(), turned(x).numpy(), rtol=1e-5)
    assert cache.k.shape == [2, 2, 3, 2]


def test_dropped_weights_are_seen_by_need_weights_and_only_in_training():
    paddle.seed(3)
    layer = nn.MultiHeadAttention(4, 2, dropout=0.5, need_weights=True)
    x = _x(2, 6, 4)
    _, weights = layer(x)
    dropped = weights.numpy() == 0
    assert 0.2 < dropped.mean() < 0.8
    layer.eval()
    _, kept = layer(x)
    np.testing.assert_allclose(weights.numpy()[~dropped], 2 * kept.numpy()[~dropped], rtol=1e-5)


def test_one_name_shares_the_projections_pairwise():
    first, second = (nn.MultiHeadAttention(4, 2, weight_attr="tower", bias_attr=False) for _ in range(2))
    assert len({id(p) for p in first.parameters()}) == 4
    assert [id(p) for p in first.parameters()] == [id(p) for p in second.parameters()]
    assert first.k_proj.weight.name == "tower_k_proj"
    layers = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 6, weight_attr="w", bias_attr=False), 3).layers
    assert layers[0].linear1.weight is layers[2].linear1.weight and layers[0].linear1.weight.name == "w_1_linear1"
    separate = nn.Transformer(4, 2, 1, 1, 6, weight_attr="t")
    assert separate.encoder.layers[0].linear1.weight is not separate.decoder.layers[0].linear1.weight


def test_attributes_reach_their_parameters():
    rate = [paddle.ParamAttr(learning_rate=2.0), False, paddle.ParamAttr(trainable=False)]
    layer = nn.TransformerDecoderLayer(4, 2, 6, bias_attr=rate)
    assert layer.self_attn.out_proj.bias.optimize_attr == {"learning_rate": 2.0}
    assert layer.cross_attn.q_proj.bias is None and layer.linear2.bias.stop_gradient


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_low_precision_keeps_its_type_and_sums_in_float32(dtype):
    q, k, v = (_x(1, 300, 2, 8, seed=i) for i in range(3))
    exact = F.scaled_dot_product_attention(q, k, v).numpy()
    narrow = [t.astype(dtype) for t in (q, k, v)]
    for t in narrow:
        t.stop_gradient = False
    out = F.scaled_dot_product_attention(*narrow)
    out.sum().backward()
    assert out.dtype == dtype and narrow[0].grad.dtype == dtype
    assert np.abs(out.astype("float32").numpy() - exact).max() < (2e-3 if dtype == "float16" else 2e-2)


def test_auto_cast_multiplies_in_the_low_type():
    layer, x = nn.TransformerEncoderLayer(8, 2, 16), _x(2, 3, 8)
    mask = paddle.tril(paddle.ones([3, 3], "bool"))
    with paddle.amp.auto_cast(dtype="bfloat16"):
        assert F.scaled_dot_product_attention(*[x.reshape([2, 3, 2, 4])] * 3).dtype == "bfloat16"
        out = layer(x, mask)
    out.sum().backward()
    assert out.dtype == "float32" and layer.self_attn.q_proj.weight.grad.dtype == "float32"


def test_in_a_program_with_any_batch_size():
    model = nn.Transformer(4, 2, 1, 1, 6, dropout=0.0)
    mask = model.generate_square_subsequent_mask(3)
    src, tgt = _x(3, 5, 4), _x(3, 3, 4, seed=1)
    expected = model(src, tgt, tgt_mask=mask).numpy()
    paddle.enable_static()
    try:
        main = paddle.static.Program()
        with paddle.static.program_guard(main, paddle.static.Program()):
            inputs = [paddle.static.data("src", [-1, 5, 4]), paddle.static.data("tgt", [-1, 3, 4])]
            out = model(*inputs, tgt_mask=mask)
            assert out.shape == [-1, 3, 4]
            found, = paddle.static.Executor().run(main, feed={"src": src.numpy(), "tgt": tgt.numpy()},
                                                  fetch_list=[out])
    finally:
        paddle.disable_static()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def _packed(causal, sizes=((2, 3), (4, 4), (1, 2))):
    """Queries, keys and values of three sequences one after the other, where they end, and each one's attention."""
    ends = [np.concatenate([[0], np.cumsum(column)]).astype(np.int32) for column in zip(*sizes)]
    q, k, v = _x(int(ends[0][-1]), 4, 3), _x(int(ends[1][-1]), 2, 3, seed=1), _x(int(ends[1][-1]), 2, 3, seed=2)
    alone = []
    for i in range(len(sizes)):
        (a, b), (c, d) = ends[0][i:i + 2], ends[1][i:i + 2]
        look = np.tril(np.ones((b - a, d - c), bool), (d - c) - (b - a)) if causal else np.ones((b - a, d - c), bool)
        alone.append(F.scaled_dot_product_attention(q[a:b], k[c:d], v[c:d], paddle.to_tensor(look), scale=0.5).numpy())
    return (q, k, v), [paddle.to_tensor(e) for e in ends], np.concatenate(alone)


@pytest.mark.parametrize("causal", [False, True])
def test_packed_sequences_are_as_if_each_were_alone(causal):
    qkv, ends, expected = _packed(causal)
    for t in qkv:
        t.stop_gradient = False
    out, weights = F.flash_attention.flash_attn_unpadded(*qkv, *ends, 4, 4, 0.5, causal=causal, return_softmax=True)
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-5, atol=1e-6)
    assert weights.shape == [4, 7, 9]
    again, _ = F.flash_attention_v3_varlen(*qkv, *ends, 4, 4, softmax_scale=0.5, causal=causal)
    np.testing.assert_array_equal(again.numpy(), out.numpy())


def test_padding_gives_zeros_and_takes_no_gradient():
    qkv = _x(8, 4, 2, 3)   # two sequences of 4 rows, 3 and 2 of them used; two groups of two query heads
    qkv.stop_gradient = False
    ends = paddle.to_tensor([0, 3, 5], dtype="int32")
    out, _ = F.flash_attn_varlen_qkvpacked(qkv, ends, ends, 4, 4, 0.5, causal=True)
    padding = [3, 6, 7]
    assert out.shape == [8, 4, 3] and not out.numpy()[padding].any()
    out.sum().backward()
    assert np.isfinite(qkv.grad.numpy()).all() and not qkv.grad.numpy()[padding].any()
    alone, _ = F.flash_attn_qkvpacked(qkv[4:6].unsqueeze(0), causal=True)
    scaled, _ = F.flash_attn_varlen_qkvpacked(qkv, ends, ends, 4, 4, 3 ** -0.5, causal=True)
    np.testing.assert_allclose(scaled.numpy()[4:6], alone.numpy()[0], rtol=1e-5, atol=1e-6)


def _hidden(query, ends, causal):
    """Whether a key with these entries of startend_row_indices is hidden from a query."""
    if len(ends) == 2 and not causal:
        return query >= ends[0] or query < ends[1]
    spans = zip(ends[::2], ends[1::2] if len(ends) > 1 else [6])
    return any(first <= query < stop for first, stop in spans)


@pytest.mark.parametrize(("causal", "columns", "window"), [
    (True, 1, None), (True, 2, None), (False, 2, None), (False, 4, None), (True, 1, 1), (False, 2, (2, 1)),
    (True, 0, None)])
def test_flashmask_hides_spans_of_queries_from_each_key(causal, columns, window):
    q, k, v = _x(2, 6, 4, 3), _x(2, 6, 2, 3, seed=1), _x(2, 6, 2, 3, seed=2)
    rows = np.sort(np.random.default_rng(3).integers(0, 7, (2, 2, 6, columns)), -1).astype(np.int32)
    if columns == 2 and not causal:
        rows = rows[..., ::-1].copy()   # hidden from the larger one on and before the smaller one
    seen = np.ones((2, 4, 6, 6), bool)
    before, after = (window, window) if isinstance(window, int) else window or (6, 6)
    for b, h, i, j in np.ndindex(*seen.shape):
        hidden = _hidden(i, rows[b, h // 2, j].tolist(), causal)
        seen[b, h, i, j] = not hidden and i - before <= j <= (i if causal else i + after)
    expected = F.scaled_dot_product_attention(q, k, v, paddle.to_tensor(seen)).numpy()
    expected = np.where(np.swapaxes(seen.any(-1, keepdims=True), 1, 2), expected, 0)
    out = F.flashmask_attention(q, k, v, paddle.to_tensor(rows) if columns else None, causal=causal, window_size=window)
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("call", "parts"), [
    (lambda: F.flashmask_attention(*[_x(1, 3, 2, 4)] * 3, paddle.zeros([1, 2, 3, 4], "int32"), causal=True),
     ["[batch, heads, keys, 1 or 2]", "[1, 2, 3, 4]"]),
    (lambda: F.flashmask_attention(*[_x(1, 3, 2, 4)] * 3, block_mask=paddle.ones([1, 2, 1, 1])), ["block_mask=None"]),
    (lambda: F.flash_attn_qkvpacked(_x(1, 3, 3, 2, 4), rng_name="local"), ["rng_name=''"]),
    (lambda: nn.MultiHeadAttention(4, 3), ["num_heads that divides embed_dim=4", "3"]),
    (lambda: nn.TransformerEncoderLayer(4, 0, 8), ["nhead above 0"]),
    (lambda: nn.TransformerEncoderLayer(4, 2, 8, activation="rellu"), ["activation", "'rellu'"]),
    (lambda: nn.TransformerDecoderLayer(4, 2, 8, weight_attr=[None, None]), ["3 attributes", "2"]),
    (lambda: nn.Transformer(4, 2, 1, 1, 8, bias_attr=[None] * 4), ["one to three attributes", "4"]),
    (lambda: nn.MultiHeadAttention(4, 2)(_x(2, 3, 4), attn_mask=paddle.ones([2, 1, 3, 5])),
     ["mask that broadcasts to [2, 2, 3, 3]", "[2, 1, 3, 5]"]),
    (lambda: F.scaled_dot_product_attention(*[_x(2, 3, 4, 2), _x(2, 3, 3, 2), _x(2, 3, 3, 2)]), ["divides", "4"]),
    (lambda: F.scaled_dot_product_attention(*[_x(2, 3, 2, 4)] * 3, backend="p2p"), ["backend=None"]),
])
def test_errors_say_what_would_fit(call, parts):
    with pytest.raises(ValueError) as error:
        call()
    for part in parts:
        assert part in str(error.value)
