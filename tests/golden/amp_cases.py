"""Expressions whose dtype under auto_cast is compared with Paddle's: name -> (expression, shapes of its inputs).

In an expression `paddle` and `F` (paddle.nn.functional) are whoever is asked, `x` is the list of floating inputs and
`ids` an int64 tensor [4] of numbers below 4.
"""

SQUARE, ROW, IMAGE = [4, 4], [4], [2, 4, 6, 6]

_UNARY = ("tan acos asin atan sinh cosh asinh acosh atanh sin cos tanh exp expm1 log log2 log10 log1p reciprocal rsqrt "
          "sqrt square abs sign floor ceil round trunc erf neg sum mean prod max min amax amin logsumexp cumsum var "
          "std median flatten squeeze t numel isnan argmax argsort sort tril triu frac")
_BINARY = "add subtract multiply divide maximum minimum fmax fmin pow atan2 equal less_than matmul dot mm"
_ACTIVATIONS = ("relu relu6 leaky_relu elu selu celu gelu silu mish softsign hardtanh hardsigmoid hardswish hardshrink "
                "softshrink tanhshrink thresholded_relu sigmoid log_sigmoid softplus softmax log_softmax swish glu")
_LOSSES = "mse_loss l1_loss smooth_l1_loss kl_div binary_cross_entropy_with_logits"

CASES = {
    **{name: (f"paddle.{name}(x[0])", [SQUARE]) for name in _UNARY.split()},
    **{name: (f"paddle.{name}(x[0], x[1])", [SQUARE, SQUARE]) for name in _BINARY.split()},
    **{name: (f"F.{name}(x[0])", [SQUARE]) for name in _ACTIVATIONS.split()},
    **{name: (f"F.{name}(x[0], x[1])", [SQUARE, SQUARE]) for name in _LOSSES.split()},
    "pow number": ("paddle.pow(x[0], 2.0)", [SQUARE]),
    "scale": ("paddle.scale(x[0], 2.0)", [SQUARE]),
    "plus number": ("x[0] + 1.5", [SQUARE]),
    "clip": ("paddle.clip(x[0], -1.0, 1.0)", [SQUARE]),
    "cast": ("paddle.cast(x[0], 'float64')", [SQUARE]),
    "reshape": ("paddle.reshape(x[0], [16])", [SQUARE]),
    "transpose": ("paddle.transpose(x[0], [1, 0])", [SQUARE]),
    "concat": ("paddle.concat([x[0], x[1]])", [SQUARE, SQUARE]),
    "stack": ("paddle.stack([x[0], x[1]])", [SQUARE, SQUARE]),
    "where": ("paddle.where(x[0] > 0, x[0], x[1])", [SQUARE, SQUARE]),
    "gather": ("paddle.gather(x[0], ids)", [SQUARE]),
    "index_select": ("paddle.index_select(x[0], ids)", [SQUARE]),
    "scatter": ("paddle.scatter(x[0], ids, x[1])", [SQUARE, SQUARE]),
    "slice": ("x[0][1:3]", [SQUARE]),
    "cumprod": ("paddle.cumprod(x[0], dim=0)", [SQUARE]),
    "norm": ("paddle.norm(x[0])", [SQUARE]),
    "norm p": ("paddle.norm(x[0], p=3, axis=1)", [SQUARE]),
    "einsum": ("paddle.einsum('ij,jk->ik', x[0], x[1])", [SQUARE, SQUARE]),
    "bmm": ("paddle.bmm(x[0], x[1])", [[2, 4, 4], [2, 4, 4]]),
    "mv": ("paddle.mv(x[0], x[1])", [SQUARE, ROW]),
    "addmm": ("paddle.addmm(x[0], x[1], x[2])", [SQUARE, SQUARE, SQUARE]),
    "linear": ("F.linear(x[0], x[1])", [SQUARE, SQUARE]),
    "linear with bias": ("F.linear(x[0], x[1], x[2])", [SQUARE, SQUARE, ROW]),
    "embedding": ("F.embedding(ids, x[0])", [SQUARE]),
    "one_hot": ("F.one_hot(ids, 4)", []),
    "dropout": ("F.dropout(x[0], 0.5)", [SQUARE]),
    "layer_norm": ("F.layer_norm(x[0], [4], x[1], x[2])", [SQUARE, ROW, ROW]),
    "layer_norm of x": ("F.layer_norm(x[0], [4])", [SQUARE]),
    "group_norm": ("F.group_norm(x[0], 2, weight=x[1], bias=x[2])", [IMAGE, ROW, ROW]),
    "instance_norm": ("F.instance_norm(x[0])", [IMAGE]),
    "batch_norm": ("F.batch_norm(x[0], x[1], x[2], x[3], x[4], training=False)", [IMAGE, ROW, ROW, ROW, ROW]),
    "normalize": ("F.normalize(x[0])", [SQUARE]),
    "conv1d": ("F.conv1d(x[0], x[1])", [[2, 4, 6], [4, 4, 3]]),
    "conv2d": ("F.conv2d(x[0], x[1])", [IMAGE, [4, 4, 3, 3]]),
    "conv2d with bias": ("F.conv2d(x[0], x[1], x[2])", [IMAGE, [4, 4, 3, 3], ROW]),
    "conv2d depthwise": ("F.conv2d(x[0], x[1], groups=4)", [IMAGE, [4, 1, 3, 3]]),
    "conv3d": ("F.conv3d(x[0], x[1])", [[2, 4, 6, 6, 6], [4, 4, 3, 3, 3]]),
    "conv2d_transpose": ("F.conv2d_transpose(x[0], x[1])", [IMAGE, [4, 4, 3, 3]]),
    "max_pool2d": ("F.max_pool2d(x[0], 2)", [IMAGE]),
    "max_pool2d mask": ("F.max_pool2d(x[0], 2, return_mask=True)", [IMAGE]),
    "avg_pool2d": ("F.avg_pool2d(x[0], 2)", [IMAGE]),
    "adaptive_avg_pool2d": ("F.adaptive_avg_pool2d(x[0], 2)", [IMAGE]),
    "cross_entropy": ("F.cross_entropy(x[0], ids)", [SQUARE]),
    "cross_entropy soft": ("F.cross_entropy(x[0], x[1], soft_label=True)", [SQUARE, SQUARE]),
    "nll_loss": ("F.nll_loss(x[0], ids)", [SQUARE]),
    "pad": ("F.pad(x[0], [1, 1, 1, 1])", [IMAGE]),
    "prelu": ("F.prelu(x[0], x[1])", [IMAGE, [1]]),
    "take_along_axis": ("paddle.take_along_axis(x[0], ids.reshape([4, 1]), 1)", [SQUARE]),
    "topk": ("paddle.topk(x[0], 2)", [SQUARE]),
    "split": ("paddle.split(x[0], 2)", [SQUARE]),
    "expand": ("paddle.expand(x[0], [3, 4])", [[1, 4]]),
    "roll": ("paddle.roll(x[0], 1)", [SQUARE]),
    "lerp": ("paddle.lerp(x[0], x[1], 0.5)", [SQUARE, SQUARE]),
}

LEVELS = ("O1", "O2", "OD")
WIDE, LOW = "float32", "bfloat16"

# Steps without (".") and with ("x") an inf, and settings of the scaler beside init_loss_scaling 8.
SCALES = [("..x...", {"incr_every_n_steps": 3}), ("xx.xx", {"decr_every_n_nan_or_inf": 2}),
          ("x.x.", {"decr_every_n_nan_or_inf": 2}), ("..", {"incr_every_n_steps": 1, "incr_ratio": 3.0}),
          ("xxx", {"decr_ratio": 0.3}), ("..x..x.....", {"incr_every_n_steps": 2, "incr_ratio": 1.7})]


def mixtures(count: int) -> dict[str, list[str]]:
    """The dtypes of `count` inputs: all wide, all low, the first low and the rest wide."""
    found = {"wide": [WIDE] * count, "low": [LOW] * count}
    if count > 1:
        found["mixed"] = [LOW] + [WIDE] * (count - 1)
    return found
