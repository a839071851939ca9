"""Sample inputs for resizing, sampling, shuffles and patches; see cases.py."""
import numpy as np

from tests.ops.cases import normal

_patches = {"kernel": (2, 2), "stride": (1, 2), "padding": (1, 0, 0, 1), "dilation": (1, 1)}
_grid = np.random.default_rng(5).uniform(-1.2, 1.2, (2, 2, 3, 2))


def _resize(rank, **more):
    return {"axes": tuple(range(2, 2 + rank)), **more}


def _offset(*shape):
    """Ways of any length, none of which ends on a pixel, where there is a kink."""
    rng = np.random.default_rng(6)
    return rng.integers(-2, 3, shape) + rng.uniform(0.1, 0.9, shape)


def _windows(kernel, padding=((0, 0), (0, 0)), stride=(1, 1), dilation=(1, 1), groups=1):
    return {"kernel": kernel, "padding": padding, "stride": stride, "dilation": dilation, "groups": groups}


_boxes = (np.array([[1, 0.5, 4.2, 3], [-1, 2, 2.5, 6], [0.2, 0.4, 0.6, 3.9]], "float32"), np.array([2, 1], "int32"))

CASES = {
    "region_mean": [((normal(2, 2, 4, 5), *_boxes), {"size": (2, 3)}),
                    ((normal(2, 1, 4, 5), *_boxes), {"size": (1, 2), "scale": 0.8, "ratio": 2, "aligned": False}),
                    ((normal(2, 4, 4, 5), *_boxes), {"size": (2, 1), "kind": "position"})],
    "region_mean_back": [((normal(3, 2, 2, 2), *_boxes), {"shape": (2, 2, 4, 5), "size": (2, 2)}),
                         ((normal(3, 1, 2, 2), *_boxes), {"shape": (2, 4, 4, 5), "size": (2, 2), "kind": "position"})],
    "region_max": [((normal(2, 2, 4, 5), *_boxes), {"size": (2, 2)}), ((normal(2, 1, 4, 5), *_boxes),
                                                                     {"size": (1, 3), "scale": 0.6})],
    "nms": [((np.array([[0, 0, 2, 2], [0, 0, 2, 1.9], [3, 3, 4, 4]], "float32"),), {"threshold": 0.5}, (), 0, (),
             True)],
    "pixel_shuffle": [((normal(2, 4, 2, 3),), {"factor": 2}),
                      ((normal(1, 2, 3, 8),), {"factor": 2, "channels_last": True})],
    "pixel_unshuffle": [((normal(2, 1, 4, 6),), {"factor": 2}),
                        ((normal(1, 4, 6, 2),), {"factor": 2, "channels_last": True})],
    "channel_shuffle": [((normal(2, 6, 2, 1),), {"groups": 3}),
                        ((normal(2, 1, 2, 6),), {"groups": 2, "channels_last": True})],
    "temporal_shift": [((normal(4, 4, 1, 2),), {"segments": 2, "ratio": 0.25}),
                       ((normal(3, 1, 2, 4),), {"segments": 3, "ratio": 0.5, "channels_last": True}),
                       ((normal(4, 4, 1, 2),), {"segments": 4, "ratio": 0.25, "back": True})],
    "unfold": [((normal(2, 2, 3, 4),), _patches)],
    "fold": [((normal(2, 8, 6),), {**_patches, "sizes": (3, 3)})],
    "resize": [
        ((normal(2, 1, 4),), _resize(1, mode="linear", counts=(7,))),
        ((normal(1, 2, 3, 4),), _resize(2, mode="linear", counts=(5, 2), align_corners=True)),
        ((normal(1, 2, 3, 4),), _resize(2, mode="linear", scales=(1.5, 2.0), align_mode=1)),
        ((normal(1, 1, 4, 4),), _resize(2, mode="cubic", counts=(6, 3))),
        ((normal(1, 1, 3, 2),), _resize(2, mode="nearest", scales=(2.0, 1.5))),
        ((normal(1, 2, 3, 1),), {"axes": (1, 2), "mode": "linear", "counts": (3, 4)}),
    ],
    "resize_back": [((normal(1, 2, 5, 4),), _resize(2, mode="linear", sizes=(3, 2))),
                    ((normal(1, 2, 6),), _resize(1, mode="cubic", sizes=(4,), align_corners=True))],
    "grid_sample": [
        ((normal(2, 2, 4, 3), _grid), {}, (), 1),
        ((normal(2, 1, 3, 3), _grid), {"padding": "border", "align_corners": False}, (), 1),
        ((normal(2, 1, 3, 3), _grid), {"padding": "reflection"}, (), 1),
        ((normal(2, 1, 3, 4), _grid), {"mode": "nearest"}, (), 1),
        ((normal(1, 1, 2, 3, 2), _grid[:1, :, :, [0, 1, 0]][:, None]), {}, (), 1),
    ],
    "deform_columns": [
        ((normal(2, 4, 4, 5), _offset(2, 24, 6, 3), normal(2, 12, 6, 3)),
         _windows((3, 2), ((2, 2), (1, 1)), (1, 2), groups=2)),
        ((normal(1, 2, 3, 4), _offset(1, 8, 1, 2), None), _windows((2, 2), dilation=(2, 2))),
    ],
    "grid_sample_back": [((normal(2, 2, 2, 3), normal(2, 2, 4, 3), _grid), {}, (), 0)],
}
