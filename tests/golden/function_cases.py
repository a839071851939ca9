"""Expressions that mean the same in Paddle and in gpuflow; `paddle` and the names below are defined when they run.

x, y: float32 [2, 3]; v, w: float32 [3]; q: float32 [3, 3]; p: float32 [2, 3] in (0, 1); z: float32 [2, 3, 4]; n:
float32 with nan and inf; i, j: int64 [2, 3]; k: int64 [2] of indices; b, c: bool [2, 3]; h: int32 [3].
"""
import numpy as np

FLOATS = ("x", "y", "v", "w", "q", "p", "z")


def inputs() -> dict:
    """The arrays by name."""
    rng = np.random.default_rng(11)

    def normal(*shape):
        return rng.standard_normal(shape).astype("float32")

    return {"x": normal(2, 3), "y": normal(2, 3), "v": normal(3), "w": normal(3), "q": normal(3, 3),
            "p": rng.uniform(0.05, 0.95, (2, 3)).astype("float32"), "z": normal(2, 3, 4),
            "n": np.array([1, np.nan, -np.inf, np.inf, -2, 0], "float32"), "i": np.array([[3, -7, 2], [5, 0, -1]]),
            "j": np.array([[2, 3, -2], [-4, 1, 3]]), "k": np.array([1, 0]), "h": np.array([4, -5, 6], "int32"),
            "b": np.array([[True, False, True], [False, False, True]]),
            "c": np.array([[True, True, False], [False, True, True]])}


_F = "paddle.nn.functional."
EXPRESSIONS = [
    # one operand
    *[f"paddle.{f}(x)" for f in ["abs", "sign", "square", "exp", "expm1", "sin", "cos", "tan", "atan", "sinh", "cosh",
                                 "tanh", "asinh", "floor", "ceil", "round", "trunc", "frac", "erf", "sigmoid", "neg",
                                 "stanh", "deg2rad", "rad2deg", "reciprocal", "isnan", "isinf", "isfinite"]],
    *[f"paddle.{f}(p)" for f in ["sqrt", "rsqrt", "log", "log2", "log10", "log1p", "asin", "acos", "atanh", "logit"]],
    "paddle.acosh(p + 1.5)", "paddle.logit(p, eps=0.3)", "paddle.round(x, decimals=1)", "paddle.clip(x, -0.5, 0.5)",
    "paddle.clip(i, 1.5, 3.7)", "paddle.clip(x, min=0.1)", "paddle.nan_to_num(n)", "paddle.isnan(n)", "paddle.isinf(n)",
    "paddle.scale(x, 2.0, 1.0)", "paddle.scale(x, 2.0, 1.0, bias_after_scale=False)", "paddle.nansum(n[:3])",
    *[f"paddle.{f}(i)" for f in ["exp", "sqrt", "sin", "abs", "sign", "square", "floor", "neg", "tanh", "reciprocal",
                                 "bitwise_not"]],
    "~b", "paddle.logical_not(x)", "paddle.cast(x, 'int64')", "paddle.cast(b, 'float32')", "x.astype('float64')",
    # two operands
    *[f"paddle.{f}(x, y)" for f in ["add", "subtract", "multiply", "divide", "maximum", "minimum", "fmax", "fmin",
                                    "remainder", "floor_divide", "atan2", "heaviside", "equal", "not_equal",
                                    "less_than", "greater_equal", "logical_and", "logical_xor"]],
    "paddle.pow(p, y)", "paddle.pow(x, 2)", "p ** 0.5", "2.0 ** x", "x + v", "x * 2", "2 - x", "1 / p", "x // 0.4",
    "x % 0.7", "i + 1", "i / 2", "i // 2", "i % 3", "i ** 2", "i * 2.5", "1.5 - i", "b + 1", "b * 2.0", "i // j",
               "i % j",
    "i & j", "i | j", "i ^ j", "b & c", "h / 2", "h * 2", "-h", "i > j", "i == 2", "x.maximum(y)",
    "paddle.lerp(x, y, 0.3)", "paddle.add_n([x, y, x])", "paddle.allclose(x, x + 1e-9)",
               "paddle.isclose(x, y, atol=1.0)",
    "paddle.equal_all(x, y)", "x + y.astype('float64')", "x * x.astype('float16')",
    # reductions
    *[f"paddle.{f}(x{a})" for f in ["sum", "mean", "max", "min", "amax", "amin", "prod", "logsumexp"]
      for a in ("", ", axis=1", ", axis=[0, 1], keepdim=True")],
    "paddle.sum(i)", "paddle.sum(b)", "paddle.sum(h)", "paddle.sum(x, dtype='float64')", "paddle.mean(i)",
               "paddle.max(i, axis=0)",
    "paddle.prod(i + 1, axis=1)", "paddle.std(x)", "paddle.var(x, axis=1)", "paddle.var(x, axis=0, unbiased=False)",
    "paddle.std(x, axis=1, keepdim=True)", "paddle.all(b, axis=1)", "paddle.any(b, axis=0)", "paddle.count_nonzero(i)",
    "paddle.norm(x)", "paddle.norm(x, p=1)", "paddle.norm(x, p=3, axis=1)", "paddle.norm(x, p=float('inf'), axis=0)",
    "paddle.norm(q, p=1, axis=[0, 1])", "paddle.norm(q, p=float('inf'), axis=[0, 1])", "paddle.norm(x, p=0, axis=1)",
    "paddle.cumsum(x)", "paddle.cumsum(x, axis=1)", "paddle.cumsum(h)", "paddle.cumprod(x, dim=1)", "paddle.median(x)",
    "paddle.median(x, axis=1)", "paddle.median(q, axis=0, keepdim=True)", "paddle.median(x, axis=1, mode='min')",
    "paddle.nanmean(n[:2])",
    # shape
    "paddle.reshape(z, [0, -1])", "paddle.transpose(z, [2, 0, 1])", "paddle.flatten(z, 1)", "paddle.squeeze(z[:1])",
    "paddle.unsqueeze(x, [0, 2])", "paddle.expand(v, [2, 3])", "paddle.expand_as(v, x)", "paddle.tile(x, [2, 1])",
    "paddle.concat([x, y], axis=1)", "paddle.stack([x, y], axis=-1)", "paddle.split(z, [1, -1], axis=2)",
    "paddle.chunk(z, 2, axis=-1)", "paddle.unbind(x)", "paddle.unstack(x, axis=1)", "paddle.flip(z, [0, 2])",
    "paddle.roll(z, 1)", "paddle.roll(z, [1, -1], axis=[0, 2])", "paddle.tril(q)", "paddle.triu(q, 1)",
               "paddle.diag(v)",
    "paddle.diag(v, 1, padding_value=2)", "paddle.diag(q, -1)", "paddle.diagonal(z, 0, 1, 2)",
               "paddle.moveaxis(z, 0, -1)",
    "paddle.swapaxes(z, 0, 2)", "paddle.repeat_interleave(x, 2, axis=1)", "paddle.repeat_interleave(x, k + 1, axis=0)",
    "paddle.slice(z, [1, 2], [0, -2], [2, 9])", "paddle.strided_slice(z, [2], [3], [0], [-2])", "paddle.rot90(q)",
    "paddle.crop(z, [1, 2, -1], [1, 0, 1])", "paddle.meshgrid(v, w)", "paddle.numel(z)", "paddle.shape(z)",
               "paddle.rank(z)",
    "x.T", "z.mT", "paddle.t(x)", "paddle.broadcast_tensors([v, x])", "paddle.unflatten(z, 2, [2, -1])",
    # products
    "paddle.matmul(x, y, transpose_y=True)", "x @ q", "paddle.mm(x, q)", "paddle.bmm(z, z.transpose([0, 2, 1]))",
    "paddle.dot(v, w)", "paddle.mv(q, v)", "paddle.outer(v, w)", "paddle.inner(x, y)",
               "paddle.addmm(x, y, q, 0.5, 2.0)",
    "paddle.tensordot(z, x, axes=[[0, 1], [0, 1]])", "paddle.einsum('ij,kj->ik', x, y)",
               "paddle.einsum('...ij->...ji', z)",
    "paddle.einsum('ii->i', q)", "paddle.einsum('bij,jk', z.transpose([0, 2, 1]), q)",
    # search and index
    "paddle.argmax(x)", "paddle.argmax(x, axis=1, keepdim=True)", "paddle.argmin(x, axis=0, dtype='int32')",
    "paddle.argsort(x, axis=0)", "paddle.sort(x, descending=True)", "paddle.topk(x, 2)",
               "paddle.topk(z, 2, axis=1, largest=False)",
    "paddle.kthvalue(x, 2, axis=1)", "paddle.unique(i, return_index=True, return_inverse=True, return_counts=True)",
    "paddle.nonzero(b)", "paddle.nonzero(b, as_tuple=True)", "paddle.where(b, x, y)", "paddle.where(b)",
    "paddle.searchsorted(paddle.sort(v), x)", "paddle.searchsorted(paddle.sort(v), x, right=True, out_int32=True)",
    "paddle.masked_select(x, b)", "paddle.masked_fill(x, b, 9.0)", "paddle.index_select(x, k, axis=0)",
               "paddle.gather(z, k, axis=1)",
    "paddle.gather_nd(z, paddle.to_tensor([[1, 2], [0, 0]]))", "paddle.scatter(x, k, y)",
               "paddle.scatter(x, k * 0, y, overwrite=False)",
    "paddle.scatter_nd_add(x, paddle.to_tensor([[1], [1]]), y)",
               "paddle.take_along_axis(x, paddle.to_tensor([[1], [2]]), 1)",
    "paddle.put_along_axis(x, paddle.to_tensor([[1], [2]]), 9.0, 1)",
    "paddle.put_along_axis(x, paddle.to_tensor([[1, 1], [2, 0]]), y[:, :2], 1, reduce='add')",
               "paddle.index_sample(x, b.astype('int64'))",
    "paddle.index_add(x, k, 0, y)", "x[0]", "x[:, 1:]", "x[..., -1]", "x[None, :, 0]", "z[1, ::2, [0, 3]]", "x[b]",
               "x[k]",
    "z[:, k]", "x[[0, 1], [2, 0]]", "z[k, [0, 2]]", "x[0, 1].item() * v",
    # creation
    "paddle.zeros([2])", "paddle.ones([2], 'int32')", "paddle.full([2], 3)", "paddle.full([], 1.5)",
               "paddle.full_like(i, 2)",
    "paddle.zeros_like(b)", "paddle.arange(5)", "paddle.arange(1, 2, 0.25)", "paddle.arange(5, 0, -2, 'float32')",
    "paddle.linspace(0, 1, 4)", "paddle.eye(2, 3)", "paddle.tril_indices(3, 3)", "paddle.triu_indices(2, 3, 1)",
    "paddle.to_tensor([1, 2])", "paddle.to_tensor(1.5)", "paddle.to_tensor([True])", "paddle.assign(x)", "x.clone()",
    # activations
    *[f"{_F}{f}(x)" for f in ["relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "swish", "mish",
                              "softplus", "softsign", "hardtanh", "hardsigmoid", "hardswish", "hardshrink",
                              "softshrink", "tanhshrink", "thresholded_relu", "log_sigmoid", "softmax", "log_softmax"]],
    f"{_F}gelu(x, approximate=True)", f"{_F}softplus(x, beta=3, threshold=1)", f"{_F}softmax(z, axis=1)",
    f"{_F}log_softmax(z, axis=0)", f"{_F}glu(z)", f"{_F}maxout(z.reshape([1, 4, 2, 3]), 2)", f"{_F}prelu(x, w)",
    f"{_F}elu(x, alpha=0.5)", f"{_F}celu(x, alpha=2.0)", f"{_F}one_hot(k, 3)",
    # refused by both
    "x + i", "i + h", "b + x", "x + paddle.ones([5])", "paddle.reshape(x, [4])", "paddle.concat([x, v])", "x.matmul(x)",
    "paddle.sum(x, axis=5)", "paddle.split(x, 2, axis=1)", "x[5]", "x[0, 0, 0]", "paddle.topk(x, 9)",
               "paddle.squeeze(x, 5)",
    "paddle.cast(x, 'foo')", "paddle.stack([x, v])", "len(paddle.to_tensor(1.0))", "paddle.transpose(x, [0, 0])",
               "paddle.t(z)",
]
