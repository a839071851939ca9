"""Sample inputs for convolution, pooling and normalisation; see cases.py."""
import numpy as np

from tests.ops.cases import ints, normal


def _window(rank, kernel=2, stride=1, padding=(0, 0), **more):
    return {"kernel": (kernel,) * rank, "stride": (stride,) * rank, "padding": (padding,) * rank, **more}


def _conv(rank, stride=1, padding=(0, 0), dilation=1, **more):
    return {"stride": (stride,) * rank, "padding": (padding,) * rank, "dilation": (dilation,) * rank, **more}


_BATCH = {"view": (3, 2, 4), "axes": (0, 2), "affine": (1, 2, 1)}
_LAYER = {"view": (2, 6), "axes": (1,), "affine": (1, 6)}
_GROUP = {"view": (2, 2, 2, 3), "axes": (2, 3), "affine": (1, 2, 2, 1)}
_LAST = {"view": (3, 4, 2), "axes": (0, 1), "affine": (1, 1, 2)}
_NORMS = [(normal(3, 2, 2, 2), 2, _BATCH), (normal(2, 3, 2), 6, _LAYER), (normal(2, 4, 3), 4, _GROUP),
          (normal(3, 4, 2), 2, _LAST)]
_positive = np.abs(normal(2)) + 0.5

CASES = {
    "conv": [
        ((normal(2, 2, 4, 3), normal(3, 2, 2, 2), normal(3)), _conv(2)),
        ((normal(2, 4, 5), normal(4, 2, 3), None), _conv(1, 2, (1, 2), groups=2)),
        ((normal(2, 5, 2), normal(2, 1, 2), normal(2)), _conv(1, 1, (1, 0), 2, groups=2, channels_last=True)),
        ((normal(1, 2, 3, 2, 3), normal(2, 2, 2, 1, 2), normal(2)), _conv(3, 1, (0, 1))),
        ((normal(2, 1, 4, 5), normal(2, 1, 3, 2), normal(2)), {**_conv(2, 2), "padding": "SAME"}),
        ((normal(2, 3, 2, 2), normal(2, 3, 1, 1), normal(2)), _conv(2)),
        ((normal(2, 2, 2, 3), normal(2, 3, 1, 1), None), _conv(2, channels_last=True)),
        ((normal(1, 1, 6), normal(1, 1, 2), None), _conv(1, 3)),  # elements that no window reaches
    ],
    "conv_input_grad": [
        ((normal(2, 2, 2, 2), normal(2, 3, 2, 2)), _conv(2, 2, sizes=(4, 4))),
        ((normal(1, 4, 3), normal(4, 1, 3)), _conv(1, 2, (1, 1), sizes=(6,), groups=2)),  # output_padding 1
        ((normal(2, 2, 1), normal(1, 2, 2)), _conv(1, 3, sizes=(7,), channels_last=True)),  # output_padding 2
    ],
    "conv_weight_grad": [
        ((normal(2, 2, 3, 3), normal(2, 2, 2, 2)), _conv(2, kernel=(2, 2))),
        ((normal(2, 5, 2), normal(2, 3, 4)), _conv(1, 2, (1, 0), kernel=(2,), groups=2, channels_last=True)),
        ((normal(1, 1, 6), normal(1, 1, 2)), _conv(1, 3, kernel=(2,))),
    ],
    "max_pool": [
        ((normal(2, 2, 4, 4),), _window(2, 2, 2)), ((normal(2, 2, 5),), _window(1, 3, 2, (1, 1), ceil_mode=True)),
        ((normal(1, 3, 4, 2),), _window(2, 2, 1, (0, 1), channels_last=True)),
        ((normal(1, 1, 3, 4, 3),), _window(3, 2, 2)),
        ((normal(1, 2, 5, 4),), {**_window(2, 3, 2), "padding": "SAME"}),
    ],
    "put_places": [
        ((normal(2, 1, 3), ints(5, 2, 1, 3).astype(np.int32)), {"shape": (2, 1, 5)}),
        ((normal(2, 3, 2), ints(5, 2, 3, 2)), {"shape": (2, 5, 2), "channels_last": True}),
    ],
    "take_places": [
        ((normal(2, 1, 5), ints(5, 2, 1, 3).astype(np.int32)), {}),
        ((normal(2, 5, 2), ints(5, 2, 3, 2)), {"channels_last": True}),
    ],
    "avg_pool": [
        ((normal(2, 2, 4, 4),), _window(2, 2, 2)), ((normal(2, 2, 5),), _window(1, 3, 2, (1, 1), ceil_mode=True)),
        ((normal(2, 2, 5),), _window(1, 3, 2, (1, 1), exclusive=False)),
        ((normal(2, 2, 5),), _window(1, 3, 1, divisor=2)),
        ((normal(1, 3, 4, 2),), _window(2, 2, 1, (0, 1), channels_last=True)),
        ((normal(1, 1, 3, 4, 3),), _window(3, 2, 2)),
    ],
    "avg_pool_input_grad": [
        ((normal(2, 1, 2, 2),), _window(2, 2, 2, shape=(2, 1, 4, 4))),
        ((normal(1, 2, 2),), _window(1, 3, 2, (1, 0), channels_last=True, shape=(1, 4, 2))),
    ],
    "adaptive_avg_pool": [
        ((normal(2, 2, 5, 4),), {"counts": (3, 2)}), ((normal(2, 2, 5),), {"counts": (1,)}),
        ((normal(2, 3, 5, 2),), {"counts": (None, 2), "channels_last": True}),
    ],
    "adaptive_avg_pool_input_grad": [
        ((normal(2, 1, 3),), {"counts": (3,), "shape": (2, 1, 5)}),
        ((normal(2, 1, 1, 2),), {"counts": (1, 1), "shape": (2, 3, 2, 2), "channels_last": True}),
    ],
    "adaptive_max_pool": [((normal(2, 2, 5, 4),), {"counts": (3, None)}), ((normal(2, 1, 4),), {"counts": (2,)})],
    "fractional_max_pool": [
        ((normal(2, 2, 5, 4),), {"counts": (3, None), "u": 0.6}),
        ((normal(2, 1, 6),), {"counts": (3,), "kernel": (2,), "u": 0.3}),
    ],
    "normalize_axes": [
        *[((x, normal(n), normal(n)), {**where, "epsilon": 0.1}) for x, n, where in _NORMS],
        ((normal(3, 2, 2, 2), None, None), {**_BATCH, "epsilon": 0.1}),
        ((normal(2, 3, 2), normal(3, 2), None), {**_LAYER, "epsilon": 0.1}),
    ],
    "normalize_axes_backward": [
        *[((normal(*x.shape), x, normal(n), None, None), {**where, "epsilon": 0.1}) for x, n, where in _NORMS],
        ((normal(3, 2, 2, 2), normal(3, 2, 2, 2), None, None, None), {**_BATCH, "epsilon": 0.1}),
    ],
    "normalize_by": [
        ((normal(3, 2, 2), normal(2), _positive, normal(2), normal(2)), {"view": (3, 2, 2), "affine": (1, 2, 1)}),
        ((normal(3, 2), normal(2), _positive, None, None), {"view": (3, 1, 2), "affine": (1, 1, 2)}),
    ],
    "moving_average": [((normal(3), normal(3)), {"momentum": 0.9})],
    "rms_norm": [
        ((normal(2, 3), normal(3)), {"rank": 1, "epsilon": 0.1}),
        ((normal(2, 2, 3), None), {"rank": 2, "epsilon": 0.1}),
    ],
    "normalize_length": [
        ((normal(2, 3),), {"p": 2.0, "axis": 1, "epsilon": 1e-12}),
        ((normal(2, 3),), {"p": 3.0, "axis": 0, "epsilon": 1e-12}),
        ((normal(2, 3),), {"p": float("inf"), "axis": -1, "epsilon": 1e-12}),
        ((normal(2, 3) * 0.01,), {"p": 2.0, "axis": 1, "epsilon": 1.0}),
    ],
}
