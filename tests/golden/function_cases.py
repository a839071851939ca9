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
    "paddle.nanmean(n[:2])", "paddle.median(n.reshape([3, 2]).detach(), axis=1, mode='min')",
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
    # joined, cut, laid on diagonals
    "paddle.atleast_1d(x)", "paddle.atleast_2d(v)", "paddle.atleast_3d(v)", "paddle.atleast_3d(x)",
    "paddle.hstack([x, y])",
    "paddle.hstack([v, w])", "paddle.vstack([v, w])", "paddle.dstack([x, y])", "paddle.column_stack([v, q])",
    "paddle.row_stack([v, w])", "paddle.tensor_split(z, 3, axis=2)", "paddle.tensor_split(z, [1, 3], axis=2)",
    "paddle.hsplit(x, 3)", "paddle.vsplit(x, 2)", "paddle.dsplit(z, [1])", "paddle.block_diag([x, v, q])",
    "paddle.cartesian_prod([v, w])", "paddle.combinations(v, 2)", "paddle.combinations(v, 2, True)",
    "paddle.diag_embed(x)", "paddle.diag_embed(x, 1, 0, 2)", "paddle.diagflat(x, -1)", "paddle.trace(q)",
    "paddle.trace(z, 1, 1, 2)", "paddle.matrix_transpose(z)", "paddle.as_strided(x, [2, 2], [1, 2], 1)",
    "paddle.unfold(z, 2, 2, 1)", "z.unfold(1, 2, 1)",
    # placed
    "paddle.argwhere(b)", "paddle.select_scatter(x, v, 0, 1)",
    "paddle.slice_scatter(z, x[:, :1, None], [1, 2], [0, 1], [1, 2], [1, 1])",
    "paddle.diagonal_scatter(q, v)", "paddle.masked_scatter(x, b, v)", "paddle.take(z, i % 5)",
    "paddle.take(z, i, mode='wrap')", "paddle.take(z, i * 9, mode='clip')",
    "paddle.multiplex([x, y], k.unsqueeze(1).astype('int32'))",
    "paddle.shard_index(k.unsqueeze(1) * 9, 20, 2, 0)", "paddle.unique_consecutive(h // 7)",
    "paddle.unique_consecutive(i % 2, return_inverse=True, return_counts=True, axis=1)",
    *[f"paddle.put_along_axis(x, paddle.to_tensor([[1, 1], [2, 0]]), y[:, :2], 1, reduce='{r}'{s})"
      for r in ("mul", "mean", "amax", "amin") for s in ("", ", include_self=False")],
    "paddle.put_along_axis(x, paddle.to_tensor([[1, 1], [2, 0]]), y[:, :2], 1, reduce='add', include_self=False)",
    # numeric
    "paddle.baddbmm(z[:, :, :3], z, z.transpose([0, 2, 1]), 0.5, 2.0)", "paddle.bitwise_left_shift(i, k.sum() + 1)",
    "paddle.bitwise_right_shift(i, k.sum())", "paddle.bitwise_right_shift(i, k.sum(), False)",
    "paddle.cross(x, y, axis=1)",
    "paddle.cross(q, q + 1)", "paddle.cummax(x, axis=1)", "paddle.cummin(x, axis=0)", "paddle.cummax(i % 3)",
    "paddle.diff(x)", "paddle.diff(z, 2, 1)", "paddle.diff(v, prepend=w, append=w)", "paddle.trapezoid(x)",
    "paddle.trapezoid(x, dx=0.5, axis=0)", "paddle.trapezoid(x, y)", "paddle.cumulative_trapezoid(z, axis=1)",
    "paddle.dist(x, y)", "paddle.dist(x, y, 1)", "paddle.dist(x, y, float('inf'))",
    "paddle.cdist(x, q)", "paddle.cdist(x, q, 1.0)", "paddle.cdist(x, q, 3.0)", "paddle.pdist(q)", "paddle.hypot(x, y)",
    "paddle.copysign(x, y.detach())", "paddle.signbit(x)", "paddle.positive(x)", "paddle.isposinf(n)",
    "paddle.isneginf(n)",
    "paddle.logaddexp(x, y)", "paddle.logcumsumexp(x, axis=1)", "paddle.logcumsumexp(x)", "paddle.logspace(0, 2, 5)",
    "paddle.logspace(0, 3, 4, base=2)", "paddle.kron(x, q)", "paddle.kron(z, x)", "paddle.gcd(i, j)",
    "paddle.lcm(i, j)",
    "paddle.ldexp(x, i)", "paddle.frexp(x)", "paddle.nextafter(x, y)", "paddle.sinc(x)",
    "paddle.reduce_as(z, z[0, :, :1])",
    "paddle.renorm(z, 2.0, 1, 1.0)", "paddle.vander(v)", "paddle.vander(v, 2, True)", "paddle.sgn(x)",
    # statistics
    "paddle.bincount(k)", "paddle.bincount(k, weights=v[:2], minlength=4)", "paddle.histogram(x, 4)",
    "paddle.histogram(x, 4, -1, 1)", "paddle.histogram(x, 4, density=True)", "paddle.histogram_bin_edges(x, 3)",
    "paddle.isin(i, k)", "paddle.isin(i, k, invert=True)", "paddle.mode(i % 3)",
    "paddle.mode(i % 2, axis=0, keepdim=True)",
    "paddle.quantile(x, 0.3)", "paddle.quantile(x, [0.1, 0.9], axis=1)",
    "paddle.quantile(z, 0.5, axis=[0, 2], keepdim=True)",
    *[f"paddle.quantile(x, 0.35, axis=1, interpolation='{w}')" for w in ("lower", "higher", "midpoint", "nearest")],
    "paddle.nanquantile(n[:2], 0.4)", "paddle.nanmedian(n[:2])", "paddle.nanmedian(x, axis=1)",
    "paddle.quantile(n, 0.5)",
    # complex numbers
    "paddle.as_real(paddle.complex(x, y))", "paddle.real(paddle.complex(x, y) * paddle.complex(y, x))",
    "paddle.imag(paddle.complex(x, y) * 2.0)", "paddle.as_real(paddle.conj(paddle.complex(x, y)))",
    "paddle.abs(paddle.complex(x, y))", "paddle.angle(paddle.complex(x, y)).detach()",
    "paddle.as_real(paddle.polar(p, x))",
    "paddle.as_real(paddle.as_complex(z[:, :, :2]))", "paddle.isreal(paddle.complex(x, x * 0))", "paddle.isreal(x)",
    "paddle.as_real(paddle.sgn(paddle.complex(x, y)))", "paddle.real(paddle.complex(x, y) / paddle.complex(y, p))",
    "paddle.as_real(paddle.exp(paddle.complex(x, y)))",
    "paddle.as_real(paddle.matmul(paddle.complex(x, y), paddle.complex(q, q)))",
    # other names, and results in place
    "paddle.range(0, 5)", "paddle.range(1, 2, 0.5)", "paddle.range(4, 0, -1.5, 'float64')", "paddle.range(3)",
    "paddle.msort(x)", "paddle.ger(v, w)", "paddle.ravel(z)", "paddle.reverse(z, [0, 2])",
    "paddle.permute(z, [2, 0, 1])", "paddle.take_along_dim(x, k.unsqueeze(1), 1)", "paddle.as_tensor([1, 2], 'int32')",
    "paddle.asarray([1.5])", "x.repeat(2, 2)", "x.repeat([2, 1, 1])", "x.split_with_sizes([1, 2], 1)",
    "x.cfloat().real()",
    "(x * 1).addmm_(x, q, 0.5, 2.0)", "(z[:, :, :3] * 1).baddbmm_(z, z.transpose([0, 2, 1]))",
    "(x * 1).masked_scatter_(b, v)", "z.detach().clone().renorm_(2.0, 1, 1.0)", "paddle.where_(b, x * 1, y)",
    "(x * 1).scatter_add_(0, k.unsqueeze(0), y[:1, :2])", "(i * 1).less_equal_(j)", "x.detach().clone().equal_(y)",
    "paddle.bitwise_invert_(i * 1)", "(i * 1).floor_mod_(j)", "x.detach().clone().resize_([2, 2])",
    "x.detach().clone().resize_([4, 2], True)", "paddle.conv1d(z, q[:, :, None])",
    "paddle.softmax(x)", "paddle.softmax(z)", "paddle.softmax(x, -2, 'float64')", "paddle.softmax(v[0])",
    *[f"paddle.linalg.norm({a})" for a in ("x, 2, [0, 1]", "z, -2, [0, 2]", "z, 'nuc', [1, 2], True", "q, 'nuc'",
                                           "z, 2, [1]", "z, 2")], "paddle.norm(x, p=-2, axis=[0, 1])",
    "q.detach().clone().fill_diagonal_tensor_(v.detach())", "q.detach().fill_diagonal_tensor(v[:2].detach(), 1)",
    "q.inverse()",
    # refused by both
    "paddle.linalg.norm(x, 3, [0, 1])", "paddle.norm(z, 'nuc')",
    "x + i", "i + h", "b + x", "x + paddle.ones([5])", "paddle.reshape(x, [4])", "paddle.concat([x, v])", "x.matmul(x)",
    "paddle.sum(x, axis=5)", "paddle.split(x, 2, axis=1)", "x[5]", "x[0, 0, 0]", "paddle.topk(x, 9)",
               "paddle.squeeze(x, 5)",
    "paddle.cast(x, 'foo')", "paddle.stack([x, v])", "len(paddle.to_tensor(1.0))", "paddle.transpose(x, [0, 0])",
               "paddle.t(z)",
]
