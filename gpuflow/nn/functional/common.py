"""linear, dropout, padding, similarity and other functions without a family."""
from gpuflow.dispatch import call, call_inplace, trains
from gpuflow.errors import explain
from gpuflow.nn.functional.padding import longer
from gpuflow.ops.registry import OPS, normal_axes
from gpuflow.tensor import Tensor

__all__ = ["alpha_dropout", "bilinear", "cosine_similarity", "dropout", "dropout1d", "dropout2d", "dropout3d",
           "feature_alpha_dropout", "label_smooth", "linear", "pad", "pairwise_distance", "zeropad2d"]

_LINEAR, _DROPOUT, _KEEP = OPS["linear"], OPS["dropout"], OPS["keep_mask"]


def linear(x, weight, bias=None, name=None):
    """x @ weight + bias. x: [..., in]; weight: [in, out] (Paddle's layout); bias: [out] or None; result [..., out]."""
    return call(_LINEAR, (x, weight, bias))


def bilinear(x1, x2, weight, bias=None, name=None):
    """x1 weight[o] x2 for each o. x1: [n, i]; x2: [n, j]; weight: [out, i, j]; bias: [1, out]; result [n, out]."""
    out, i, j = weight.shape
    if x1.shape[-1] != i or x2.shape[-1] != j:
        raise ValueError(explain("bilinear", f"x1 [n, {i}] and x2 [n, {j}] for weight {list(weight.shape)}",
                                 f"{list(x1.shape)} and {list(x2.shape)}"))
    table = call(OPS["reshape"], (call(OPS["transpose"], (weight,), {"perm": (1, 0, 2)}),), {"shape": (i, out * j)})
    left = call(OPS["reshape"], (call(OPS["matmul"], (x1, table)),), {"shape": (-1, out, j)})
    right = call(OPS["unsqueeze"], (x2,), {"axis": 1})
    result = call(OPS["sum"], (left * right,), {"axis": -1, "keepdim": False})
    return result if bias is None else result + bias


# ---- dropout -----------------------------------------------------------------------------------------------------


_MODES = ("upscale_in_train", "downscale_in_infer")


def probability(where, p) -> float:
    """p as a float; TypeError for what is no number, ValueError outside [0, 1]."""
    try:
        number = float(p)
    except (TypeError, ValueError):
        raise TypeError(explain(where, "p as a number", repr(p))) from None
    if not 0 <= number <= 1:
        raise ValueError(explain(where, "p in [0, 1]", repr(p)))
    return number


def check_mode(where, mode) -> None:
    """ValueError for a way of dropout that is not there."""
    if mode not in _MODES:
        raise ValueError(explain(where, f"mode among {list(_MODES)}", repr(mode)))


@trains
def dropout(x, p=0.5, axis=None, training=True, inplace=False, mode="upscale_in_train", name=None):
    """x with each element set to 0 with probability p (Srivastava et al. 2014).

    axis: the axes along which elements are drawn one by one; along the others they fall together.
    mode: "upscale_in_train" divides what is kept by 1 - p and leaves evaluation alone; "downscale_in_infer" multiplies
    by 1 - p in evaluation (training=False) instead. inplace: the result replaces the numbers of x.
    """
    p = probability("dropout", p)
    check_mode("dropout", mode)
    if axis is not None:
        axis = normal_axes("dropout", axis, len(x.shape))
    if p == 0:
        return x
    if not training:
        return x if mode == "upscale_in_train" else call(OPS["scale"], (x,), {"scale": 1 - p})
    mask = call(_KEEP, (x,), {"p": p, "axes": axis})
    attrs = {"scale": 1 / (1 - p) if mode == "upscale_in_train" and p < 1 else 1.0}
    return call_inplace(_DROPOUT, x, (x, mask), attrs) if inplace else call(_DROPOUT, (x, mask), attrs)


def _channel_dropout(where, x, p, training, data_format, formats):
    if len(x.shape) != len(formats[0]):
        raise ValueError(explain(where, f"{len(formats[0])} axes", str(list(x.shape))))
    if data_format not in formats:
        raise ValueError(explain(where, f"data_format {' or '.join(formats)}", repr(data_format)))
    return dropout(x, p, (0, data_format.index("C")), training)


def dropout1d(input, p=0.5, training=True, inplace=False):
    """Drops whole channels of [N, C, L] or [C, L]. inplace: the result replaces the numbers of input."""
    if len(input.shape) not in (2, 3):
        raise ValueError(explain("dropout1d", "2 or 3 axes", str(list(input.shape))))
    return dropout(input, p, tuple(range(len(input.shape) - 1)), training, inplace)


def dropout2d(x, p=0.5, training=True, data_format="NCHW", name=None):
    """Drops whole channels of [N, C, H, W]."""
    return _channel_dropout("dropout2d", x, p, training, data_format, ("NCHW", "NHWC"))


def dropout3d(x, p=0.5, training=True, data_format="NCDHW", name=None):
    """Drops whole channels of [N, C, D, H, W]."""
    return _channel_dropout("dropout3d", x, p, training, data_format, ("NCDHW", "NDHWC"))


_SELU_FLOOR = -1.0507009873554805 * 1.6732632423543772


@trains
def _alpha_dropout(where, x, p, training, axes):
    p = probability(where, p)
    if not training or p == 0:
        return x
    if p == 1:
        return call(OPS["scale"], (x,), {"scale": 0.0})
    mask = call(_KEEP, (x,), {"p": p, "axes": axes})
    a = ((1 - p) * (1 + p * _SELU_FLOOR ** 2)) ** -0.5
    return call(OPS["scale"], (call(OPS["where"], (mask, x, _SELU_FLOOR)),),
                {"scale": a, "bias": -a * _SELU_FLOOR * p})


def alpha_dropout(x, p=0.5, training=True, name=None):
    """Dropout that keeps mean and variance after selu: what falls becomes selu's floor (Klambauer et al. 2017)."""
    return _alpha_dropout("alpha_dropout", x, p, training, None)


def feature_alpha_dropout(x, p=0.5, training=True, name=None):
    """`alpha_dropout` of whole channels of [N, C, ...]."""
    if len(x.shape) < 2:
        raise ValueError(explain("feature_alpha_dropout", "at least 2 axes", str(list(x.shape))))
    return _alpha_dropout("feature_alpha_dropout", x, p, training, (0, 1))


# ---- padding -----------------------------------------------------------------------------------------------------


def pad(x, pad, mode="constant", value=0.0, data_format=None, pad_from_left_axis=True, name=None):
    """x with a border. pad: sizes (before, after, before, after, ...), or one int for all sides of the spatial axes.

    2 * (rank - 2) sizes, rank 3 to 5: the spatial axes of `data_format`, the last one first (left, right, top, ...).
    2 * rank sizes, mode "constant": all axes, the first one first (the last one first if not pad_from_left_axis).
    Other numbers of sizes, mode "constant": the last axes, the last one first.
    mode: "constant" (`value`), "reflect" (without the edge), "replicate" (the edge), "circular".
    """
    rank = len(x.shape)
    if mode not in ("constant", "reflect", "replicate", "circular"):
        raise ValueError(explain("pad", "mode constant, reflect, replicate or circular", repr(mode)))
    sizes = [int(pad)] * (2 * (rank - 2)) if isinstance(pad, int) else [int(n) for n in (
        pad.tolist() if isinstance(pad, Tensor) else pad)]
    if len(sizes) % 2 or len(sizes) > 2 * rank:
        raise ValueError(explain("pad", f"an even number of sizes, at most {2 * rank}", str(sizes)))
    pairs = list(zip(sizes[::2], sizes[1::2]))
    if len(pairs) == rank - 2 and rank in (3, 4, 5):
        axes = _spatial_axes(rank, data_format)[::-1]
    elif mode != "constant":
        raise ValueError(explain(f"pad(mode={mode!r})", "3 to 5 axes and two sizes for each spatial one",
                                 f"{rank} axes and {len(sizes)} sizes"))
    else:
        axes = range(rank) if len(pairs) == rank and pad_from_left_axis else range(rank - 1, -1, -1)
    widths = dict(zip(axes, pairs))
    if mode == "constant":
        return call(OPS["pad"], (x,), {"pads": tuple(widths.get(i, (0, 0)) for i in range(rank)), "value": value})
    for axis, (before, after) in widths.items():
        if before or after:
            x = longer(x, axis, before, after, mode)
    return x


def _spatial_axes(rank, data_format):
    formats = {3: ("NCL", "NLC"), 4: ("NCHW", "NHWC"), 5: ("NCDHW", "NDHWC")}[rank]
    data_format = formats[0] if data_format is None else data_format.upper()
    if data_format not in formats:
        raise ValueError(explain("pad", f"data_format {' or '.join(formats)} for {rank} axes", repr(data_format)))
    return [i for i, letter in enumerate(data_format) if letter not in "NC"]


def zeropad2d(x, padding, data_format="NCHW", name=None):
    """Zeros around the images of [N, C, H, W]. padding: an int, or (left, right, top, bottom)."""
    return pad(x, padding, "constant", 0.0, data_format)


# ---- the rest ----------------------------------------------------------------------------------------------------


def cosine_similarity(x1, x2, axis=1, eps=1e-8):
    """The cosine of the angle between x1 and x2 along `axis`; the product of their lengths counts as at least eps."""
    def total(x):
        return call(OPS["sum"], (x,), {"axis": axis, "keepdim": False})

    # an axis of size 1 is broadcast against the other's: its length counts as often as it is repeated
    size = max(x1.shape[axis], x2.shape[axis])
    lengths = total(x1 * x1) * (size / x1.shape[axis]) * (total(x2 * x2) * (size / x2.shape[axis]))
    return total(x1 * x2) / call(OPS["sqrt"], (call(OPS["clip"], (lengths,), {"min": eps * eps}),))


def pairwise_distance(x, y, p=2.0, epsilon=1e-6, keepdim=False, name=None):
    """The p-norm of x - y + epsilon over the last axis: [n, d] to [n]."""
    return call(OPS["norm"], (x - y + epsilon,), {"p": p, "axis": -1, "keepdim": keepdim})


def label_smooth(label, prior_dist=None, epsilon=0.1, name=None):
    """(1 - epsilon) * label + epsilon * prior; the prior is even over the last axis by default (Szegedy 2016)."""
    if not 0 <= epsilon <= 1:
        raise ValueError(explain("label_smooth", "epsilon in [0, 1]", repr(epsilon)))
    kept = call(OPS["scale"], (label,), {"scale": 1 - epsilon,
                                         "bias": epsilon / label.shape[-1] if prior_dist is None else 0.0})
    return kept if prior_dist is None else kept + prior_dist * epsilon
