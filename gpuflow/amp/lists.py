"""In which type an op computes under auto_cast: Paddle's lists, and Paddle's names for our ops.

    white   always the low type: products, which gain most from it
    black   always float32: exponentials, sums and losses, whose range or rounding hurts
    neither as it comes: float32 when an input is float32, else the low type (level OD: always float32)

The lists name Paddle's ops, as users' own lists do. An op of ours that goes by none of these names is in neither.
"""
from __future__ import annotations

WHITE = {"conv2d", "einsum", "linear_v2", "matmul", "matmul_v2", "max_pool2d_with_index", "mul"}
BLACK = {
    "acos", "asin", "atanh", "cosh", "sinh", "tan", "tanh_shrink",
    "erfinv", "exp", "expm1", "log", "log10", "log2", "pow", "reciprocal", "rsqrt", "square",
    "cumprod", "cumsum", "mean", "reduce_mean", "reduce_prod", "reduce_sum",
    "dist", "frobenius_norm", "pnorm", "renorm", "group_norm", "layer_norm",
    "log_softmax", "softmax", "softmin", "softplus",
    "cross_entropy", "cross_entropy2", "hsigmoid_loss", "huber_loss", "log_loss", "margin_cross_entropy", "nll_loss",
    "sigmoid_cross_entropy_with_logits", "softmax_with_cross_entropy", "triplet_margin_loss",
}
# Black at level O2 as well, where all else goes by its inputs: gradients that add up many rows in one place.
ALWAYS_BLACK = {
    "bicubic_interp_v2", "bilinear_interp_v2", "linear_interp_v2", "nearest_interp_v2", "trilinear_interp_v2",
    "lookup_table", "lookup_table_v2", "scatter",
}

LEVELS = ("O0", "OD", "O1", "O2")
DTYPES = ("float16", "bfloat16")

# Our op -> Paddle's names for what it does. Where it does what several of theirs do, the first that is listed counts.
PADDLE_NAMES: dict[str, tuple[str, ...]] = {
    "add": ("elementwise_add",),
    "additem": ("scatter", "index_add", "scatter_nd_add"),
    "add_n": ("sum",),
    "adaptive_avg_pool": ("pool2d",),
    "all": ("reduce_all",),
    "amax": ("reduce_amax",),
    "amin": ("reduce_amin",),
    "any": ("reduce_any",),
    "argmax": ("arg_max",),
    "argmin": ("arg_min",),
    "attention_weights": ("matmul_v2", "matmul"),   # its exponentials are computed in float32 anyway
    "avg_pool": ("pool2d",),
    "bce_with_logits": ("sigmoid_cross_entropy_with_logits",),
    "conv": ("conv2d", "conv3d", "depthwise_conv2d"),
    "conv_input_grad": ("conv2d_transpose", "conv3d_transpose", "depthwise_conv2d_transpose"),
    "cross_entropy": ("softmax_with_cross_entropy", "cross_entropy", "cross_entropy2"),
    "divide": ("elementwise_div",),
    "embedding": ("lookup_table_v2", "lookup_table"),
    "expand": ("expand_v2",),
    "floor_divide": ("elementwise_floordiv",),
    "fmax": ("elementwise_fmax",),
    "fmin": ("elementwise_fmin",),
    "getitem": ("slice", "strided_slice", "gather", "gather_nd", "index_select"),
    "gru": ("rnn",),
    "hardshrink": ("hard_shrink",),
    "hardsigmoid": ("hard_sigmoid",),
    "hardswish": ("hard_swish",),
    "hardtanh": ("brelu",),
    "heaviside": ("elementwise_heaviside",),
    "kl_div": ("kldiv_loss",),
    "linear": ("linear_v2", "matmul_v2", "matmul", "mul"),
    "log_sigmoid": ("logsigmoid",),
    "lstm": ("rnn",),
    "matmul": ("matmul_v2", "matmul", "mul", "bmm", "mv"),
    "max": ("reduce_max",),
    "max_pool": ("pool2d",),
    "maximum": ("elementwise_max",),
    "mean": ("reduce_mean", "mean"),
    "min": ("reduce_min",),
    "minimum": ("elementwise_min",),
    "multiply": ("elementwise_mul",),
    "norm": ("p_norm",),
    "prod": ("reduce_prod",),
    "remainder": ("elementwise_mod",),
    "reshape": ("reshape2", "flatten_contiguous_range"),
    "setitem": ("set_value",),
    "simple_rnn": ("rnn",),
    "softshrink": ("softshrink",),
    "split": ("split", "split_with_num"),
    "squeeze": ("squeeze2",),
    "subtract": ("elementwise_sub",),
    "sum": ("reduce_sum",),
    "tanhshrink": ("tanh_shrink",),
    "topk": ("top_k_v2",),
    "transpose": ("transpose2",),
    "tril": ("tril_triu",),
    "triu": ("tril_triu",),
    "uniform": ("uniform_random",),
    "unsqueeze": ("unsqueeze2",),
    "var": ("reduce_mean", "square"),   # Paddle's variance is made of these
}

# Ops that are several of Paddle's, told apart by what they are called with: op -> function(inputs, attrs) -> name.
NAMED_BY_CALL = {
    "normalize_axes": lambda inputs, attrs: attrs["where"],
    "normalize_by": lambda inputs, attrs: attrs["where"],
    "pow": lambda inputs, attrs: "elementwise_pow" if hasattr(inputs[1], "dtype") else "pow",
}
NAMES_BY_CALL = {"batch_norm", "layer_norm", "group_norm", "instance_norm", "elementwise_pow", "pow"}

# Only the first input is looked at and cast: statistics, weight and bias stay in float32.
FIRST_ONLY = {"batch_norm", "layer_norm"}
# Never cast: they say themselves which type they want. batch_norm computes in float32 inside, whatever comes.
AS_IS = {"assign", "batch_norm", "cast", "moving_average", "transfer"}


def names_of(op: str) -> tuple[str, ...]:
    """The names a list may use for an op of ours: Paddle's and our own."""
    return (*PADDLE_NAMES.get(op, ()), op)


def white_list() -> dict[str, dict[str, set[str]]]:
    """{dtype: {level: names}} of the ops that compute in the low type, as `paddle.amp.white_list`."""
    return {dtype: {level: set(WHITE) for level in LEVELS[1:]} for dtype in DTYPES}


def black_list() -> dict[str, dict[str, set[str]]]:
    """{dtype: {level: names}} of the ops that compute in float32, as `paddle.amp.black_list`."""
    levels = {"OD": set(), "O1": BLACK | ALWAYS_BLACK, "O2": ALWAYS_BLACK}
    return {dtype: {level: set(names) for level, names in levels.items()} for dtype in DTYPES}
