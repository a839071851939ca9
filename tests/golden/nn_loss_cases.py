"""Calls of nn.functional whose results and gradients Paddle 3.3.1 and gpuflow must share: CASES, name -> Call.

make_nn_loss.py runs them with Paddle and keeps the numbers in nn_loss.npz; test_loss.py runs them with gpuflow.
"""
from typing import NamedTuple

import numpy as np


class Call(NamedTuple):
    """function: a name in nn.functional. args: arrays become tensors, the rest is passed on. wanted: positions and
    names of the float arguments whose gradients are compared."""

    function: str
    args: tuple
    kwargs: dict = {}
    wanted: tuple = (0,)


_rng = np.random.default_rng(20)


def f(*shape, low=-2.0, high=2.0):
    return _rng.uniform(low, high, shape).astype(np.float32)


def ids(high, *shape):
    return _rng.integers(0, high, shape)


def rows(*shape):
    """Positive rows that add up to one."""
    x = _rng.uniform(0.1, 1.0, shape)
    return (x / x.sum(-1, keepdims=True)).astype(np.float32)


X, Y = f(6, 5), ids(5, 6)
W = f(5, low=0.5, high=2.0)
MAP, MAP_Y = f(2, 4, 3, 3), ids(4, 2, 3, 3)
SOFT = rows(6, 5)
HOLES = np.array([1, -100, 0, 4, -100, 2])

CASES: dict[str, Call] = {
    "ce": Call("cross_entropy", (X, Y)),
    "ce column": Call("cross_entropy", (X, Y[:, None])),
    "ce int32": Call("cross_entropy", (X, Y.astype(np.int32))),
    **{f"ce {r} {w} {i}": Call("cross_entropy", (X, Y), {"reduction": r, "ignore_index": i} | (
        {"weight": W} if w else {})) for r in ("mean", "sum", "none") for w in (0, 1) for i in (-100, 2)},
    "ce column none": Call("cross_entropy", (X, Y[:, None]), {"reduction": "none"}),
    "ce holes": Call("cross_entropy", (X, HOLES)),
    "ce holes weight": Call("cross_entropy", (X, HOLES), {"weight": W}),
    "ce holes none": Call("cross_entropy", (X, HOLES), {"reduction": "none"}),
    "ce map": Call("cross_entropy", (MAP, MAP_Y), {"axis": 1}),
    "ce map weight": Call("cross_entropy", (MAP, MAP_Y), {"axis": 1, "weight": W[:4]}),
    "ce map none": Call("cross_entropy", (MAP, MAP_Y), {"axis": 1, "reduction": "none"}),
    "ce map ignore": Call("cross_entropy", (MAP, MAP_Y), {"axis": 1, "ignore_index": 0}),
    "ce 3d": Call("cross_entropy", (f(2, 3, 5), ids(5, 2, 3))),
    "ce large logits": Call("cross_entropy", (X * 10, Y)),
    **{f"ce soft {r}": Call("cross_entropy", (X, SOFT), {"soft_label": True, "reduction": r})
       for r in ("mean", "sum", "none")},
    "ce soft weight": Call("cross_entropy", (X, SOFT), {"soft_label": True, "weight": W}),
    "ce soft axis": Call("cross_entropy", (MAP, np.moveaxis(rows(2, 3, 3, 4), -1, 1).copy()),
                         {"soft_label": True, "axis": 1}),
    **{f"ce smooth {r}": Call("cross_entropy", (X, Y), {"label_smoothing": 0.1, "reduction": r})
       for r in ("mean", "sum", "none")},
    "ce smooth weight": Call("cross_entropy", (X, Y), {"label_smoothing": 0.1, "weight": W}),
    "ce smooth soft": Call("cross_entropy", (X, SOFT), {"label_smoothing": 0.1, "soft_label": True}),
    "ce probabilities": Call("cross_entropy", (SOFT, Y), {"use_softmax": False}),
    "ce probabilities weight": Call("cross_entropy", (SOFT, Y), {"use_softmax": False, "weight": W}),
    "ce probabilities none": Call("cross_entropy", (SOFT, Y), {"use_softmax": False, "reduction": "none"}),
    "ce probabilities soft": Call("cross_entropy", (SOFT, rows(6, 5)), {"use_softmax": False, "soft_label": True}),
    "swce": Call("softmax_with_cross_entropy", (X, Y[:, None])),
    "swce soft": Call("softmax_with_cross_entropy", (X, SOFT), {"soft_label": True}),
    **{f"nll {r} {w} {i}": Call("nll_loss", (X, Y), {"reduction": r, "ignore_index": i} | ({"weight": W} if w else {}))
       for r in ("mean", "sum", "none") for w in (0, 1) for i in (-100, 2)},
    "nll map": Call("nll_loss", (MAP, MAP_Y), {"weight": W[:4]}),
    "nll 3d": Call("nll_loss", (f(2, 4, 3), ids(4, 2, 3)), {"reduction": "none"}),
    **{f"{name} {r}": Call(name, (X, f(6, 5)), {"reduction": r}, (0, 1))
       for name in ("mse_loss", "l1_loss", "smooth_l1_loss") for r in ("mean", "sum", "none")},
    "mse broadcast": Call("mse_loss", (X, f(5))),
    "smooth_l1 delta": Call("smooth_l1_loss", (X, f(6, 5)), {"delta": 0.5}),
    "smooth_l1 not huber": Call("smooth_l1_loss", (X, f(6, 5)), {"delta": 0.5, "is_huber": False}),
    **{f"bce {r}": Call("binary_cross_entropy", (SOFT, rows(6, 5)), {"reduction": r}) for r in ("mean", "sum", "none")},
    "bce weight": Call("binary_cross_entropy", (SOFT, rows(6, 5)), {"weight": f(6, 5, low=0, high=1)}),
    "bce ends": Call("binary_cross_entropy", (np.array([0.0, 1.0, 0.0, 1.0, 0.5], np.float32),
                                              np.array([0.0, 0.0, 1.0, 1.0, 1.0], np.float32)),
                     {"reduction": "none"}, ()),
    **{f"bcel {r}": Call("binary_cross_entropy_with_logits", (X, rows(6, 5)), {"reduction": r})
       for r in ("mean", "sum", "none")},
    "bcel weights": Call("binary_cross_entropy_with_logits", (X, rows(6, 5)), {
        "weight": f(6, 5, low=0, high=1), "pos_weight": W}),
    "bcel large": Call("binary_cross_entropy_with_logits", (X * 500, rows(6, 5)), {"pos_weight": W}),
    **{f"kl {r}": Call("kl_div", (X, SOFT), {"reduction": r}, (0,)) for r in ("mean", "sum", "none", "batchmean")},
    "kl zero target": Call("kl_div", (X, np.where(SOFT < 0.2, 0, SOFT).astype(np.float32)), {"reduction": "none"}),
    "kl log target": Call("kl_div", (X, np.log(SOFT)), {"log_target": True}, (0,)),
    "margin ranking": Call("margin_ranking_loss", (X, f(6, 5), np.sign(f(6, 5))), {"margin": 0.3}, (0, 1)),
    "hinge embedding": Call("hinge_embedding_loss", (X, np.sign(f(6, 5))), {"margin": 0.7}),
    "cosine embedding": Call("cosine_embedding_loss", (X, f(6, 5), np.array([1, -1, 1, -1, 1, -1])), {"margin": -0.5},
                             (0, 1)),
    "triplet": Call("triplet_margin_loss", (X, f(6, 5), f(6, 5)), {}, (0, 1, 2)),
    "triplet swap": Call("triplet_margin_loss", (X, f(6, 5), f(6, 5)), {"swap": True, "reduction": "none"}, (0, 1, 2)),
    "triplet distance": Call("triplet_margin_with_distance_loss", (X, f(6, 5), f(6, 5)), {}, (0, 1, 2)),
    "soft margin": Call("soft_margin_loss", (X, np.sign(f(6, 5)))),
    "focal": Call("sigmoid_focal_loss", (X, np.round(SOFT * 2))),
    "focal normalizer": Call("sigmoid_focal_loss", (X, np.round(SOFT * 2), np.array([3.0], np.float32)),
                             {"alpha": 0.4, "gamma": 1.5, "reduction": "mean"}),
    "log loss": Call("log_loss", (SOFT[:, :1], np.round(SOFT[:, 1:2] * 3))),
    "square error": Call("square_error_cost", (X, f(6, 5)), {}, (0, 1)),
    "poisson": Call("poisson_nll_loss", (X, f(6, 5, low=0, high=4))),
    "poisson full": Call("poisson_nll_loss", (SOFT, f(6, 5, low=0.5, high=4)), {"log_input": False, "full": True}),
    "gaussian": Call("gaussian_nll_loss", (X, f(6, 5), rows(6, 5)), {"full": True}, (0, 1)),
    "gaussian column": Call("gaussian_nll_loss", (X, f(6, 5), rows(6, 5)[:, 0].copy()), {"reduction": "none"}, (0,)),
    "multi label": Call("multi_label_soft_margin_loss", (X, np.round(SOFT * 2)), {"weight": W}),
    "multi margin": Call("multi_margin_loss", (X, Y)),
    "multi margin weight": Call("multi_margin_loss", (X, Y), {"weight": W, "p": 2, "reduction": "none"}),
    "dice": Call("dice_loss", (rows(3, 4, 5), ids(5, 3, 4, 1))),
    # functions without chance
    **{name: Call(name, (X,)) for name in (
        "celu", "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log_sigmoid",
        "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softplus", "softshrink",
        "softsign", "swish", "tanh", "tanhshrink", "thresholded_relu")},
    "gelu tanh": Call("gelu", (X,), {"approximate": True}),
    "softmax axis": Call("softmax", (MAP,), {"axis": 1}),
    "softplus settings": Call("softplus", (X,), {"beta": 3, "threshold": 2}),
    "hardsigmoid settings": Call("hardsigmoid", (X,), {"slope": 0.3, "offset": 0.4}),
    "rrelu eval": Call("rrelu", (X,), {"training": False}),
    "glu": Call("glu", (f(3, 6),)),
    "swiglu": Call("swiglu", (f(3, 6),)),
    "swiglu two": Call("swiglu", (f(3, 6), f(3, 6)), {}, (0, 1)),
    "maxout": Call("maxout", (MAP, 2)),
    "maxout last": Call("maxout", (f(2, 3, 3, 6), 3, -1)),
    "prelu one": Call("prelu", (MAP, np.array([0.2], np.float32)), {}, (0, 1)),
    "prelu channels": Call("prelu", (MAP, W[:4]), {}, (0, 1)),
    "prelu last": Call("prelu", (MAP, W[:3]), {"data_format": "NHWC"}, (0, 1)),
    "linear": Call("linear", (X, f(5, 3), f(3)), {}, (0, 1, 2)),
    "bilinear": Call("bilinear", (f(4, 3), f(4, 2), f(5, 3, 2), f(1, 5)), {}, (0, 1, 2, 3)),
    "embedding": Call("embedding", (ids(5, 2, 3), X[:5]), {}, (1,)),
    "embedding padding": Call("embedding", (np.array([[1, 4], [2, 1]]), X), {"padding_idx": 1}, (1,)),
    "embedding padding negative": Call("embedding", (np.array([[1, 4], [2, 1]]), X[:5]), {"padding_idx": -1}, (1,)),
    "embedding max_norm": Call("embedding", (np.array([[1, 4], [2, 1]]), X), {"max_norm": 1.5}, (1,)),
    "embedding frequency": Call("embedding", (np.array([[1, 4], [1, 1]]), X), {"scale_grad_by_freq": True}, (1,)),
    "one_hot": Call("one_hot", (Y, 5), {}, ()),
    "one_hot default": Call("one_hot", (Y,), {}, ()),
    "label_smooth": Call("label_smooth", (SOFT,), {"epsilon": 0.2}),
    "label_smooth prior": Call("label_smooth", (SOFT, rows(1, 5))),
    "sequence_mask": Call("sequence_mask", (np.array([1, 3, 0]),), {"maxlen": 4, "dtype": "float32"}, ()),
    "sequence_mask default": Call("sequence_mask", (np.array([[1, 3], [0, 2]]),), {}, ()),
    "dropout eval": Call("dropout", (X,), {"training": False}),
    "dropout downscale eval": Call("dropout", (X,), {"training": False, "mode": "downscale_in_infer", "p": 0.3}),
    "cosine": Call("cosine_similarity", (X, f(6, 5)), {}, (0, 1)),
    "cosine broadcast": Call("cosine_similarity", (X, f(6, 1)), {}, (0, 1)),
    "cosine axis": Call("cosine_similarity", (X, f(5)), {"axis": -1}, (0,)),
    "distance": Call("pairwise_distance", (X, f(6, 5)), {}, (0, 1)),
    "distance p": Call("pairwise_distance", (X, f(6, 5)), {"p": 1.0, "keepdim": True}, (0, 1)),
    **{f"pad {mode}": Call("pad", (MAP, [1, 2, 2, 1]), {"mode": mode}) for mode in (
        "constant", "reflect", "replicate", "circular")},
    "pad 1d": Call("pad", (f(2, 3, 4), [2, 1]), {"mode": "reflect"}),
    "pad 3d": Call("pad", (f(1, 2, 3, 3, 3), [1, 0, 2, 1, 0, 2]), {"mode": "replicate"}),
    "pad last": Call("pad", (MAP, [1, 2, 2, 1]), {"data_format": "NHWC", "value": 0.5}),
    "pad all": Call("pad", (f(2, 3), [1, 2, 0, 1]), {"value": -1.0}),
    "pad all right": Call("pad", (f(2, 3), [1, 2, 0, 1]), {"pad_from_left_axis": False}),
    "pad some": Call("pad", (MAP, [1, 2])),
    "pad four": Call("pad", (f(2, 3, 4), [1, 2, 0, 1])),
    "zeropad2d": Call("zeropad2d", (MAP, [1, 2, 3, 0])),
    "alpha eval": Call("alpha_dropout", (X,), {"training": False}),
}


def run(paddle, call: Call) -> list:
    """The result and the wanted gradients as NumPy arrays; `paddle` is Paddle or gpuflow.

    The gradient starts from fixed numbers, so that each element counts differently.
    """
    def tensor(x, wanted):
        return paddle.to_tensor(x, stop_gradient=not wanted) if isinstance(x, np.ndarray) else x

    args = [tensor(x, i in call.wanted) for i, x in enumerate(call.args)]
    kwargs = {key: tensor(x, False) for key, x in call.kwargs.items()}
    out = getattr(paddle.nn.functional, call.function)(*args, **kwargs)
    results = [np.asarray(out.numpy())]
    if call.wanted:
        start = np.cos(np.arange(results[0].size)).reshape(results[0].shape).astype(results[0].dtype)
        out.backward(paddle.to_tensor(start))
        results += [np.asarray(args[i].grad.numpy()) for i in call.wanted]
    return results
