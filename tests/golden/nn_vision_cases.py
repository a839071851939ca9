"""What is compared with Paddle for pictures (make_nn_vision.py records it); a case as in nn_conv_pool_norm_cases.py."""
import zlib

import numpy as np

_X = (2, 3, 5, 4)


def _resized(mode, x=_X, **arguments):
    return "interpolate", {"x": x}, {"mode": mode, **arguments}


CASES = {
    "nearest": _resized("nearest", size=[7, 3]),
    "nearest scaled": _resized("nearest", scale_factor=[1.7, 0.6]),
    "nearest NHWC": _resized("nearest", size=[10, 2], data_format="NHWC"),
    "nearest 3d": _resized("nearest", (1, 2, 3, 4, 2), scale_factor=2, data_format="NCDHW"),
    "linear": _resized("linear", (2, 3, 5), size=[8], data_format="NCW"),
    "bilinear": _resized("bilinear", size=[7, 3]),
    "bilinear scaled": _resized("bilinear", scale_factor=1.7),
    "bilinear corners": _resized("bilinear", size=[9, 6], align_corners=True),
    "bilinear mode 1": _resized("bilinear", size=[9, 6], align_mode=1),
    "bilinear to one": _resized("bilinear", size=[1, 1], align_corners=True),
    "bilinear NHWC": _resized("bilinear", (2, 5, 4, 3), size=[8, 9], data_format="NHWC"),
    "trilinear": _resized("trilinear", (1, 2, 3, 4, 2), size=[5, 3, 4], data_format="NCDHW"),
    "bicubic": _resized("bicubic", size=[8, 9]),
    "bicubic smaller": _resized("bicubic", size=[3, 2]),
    "bicubic corners": _resized("bicubic", size=[8, 9], align_corners=True),
    "bicubic scaled": _resized("bicubic", scale_factor=[1.5, 2.0]),
    "area": _resized("area", size=[3, 2]),
    "affine grid": ("affine_grid", {"theta": (2, 2, 3)}, {"out_shape": [2, 3, 4, 5]}),
    "affine grid edges": ("affine_grid", {"theta": (2, 2, 3)}, {"out_shape": [2, 3, 4, 5], "align_corners": False}),
    "affine grid 3d": ("affine_grid", {"theta": (1, 3, 4)}, {"out_shape": [1, 1, 2, 3, 4]}),
    "sample": ("grid_sample", {"x": _X, "grid": (2, 3, 3, 2)}, {}),
    "sample edges": ("grid_sample", {"x": _X, "grid": (2, 3, 3, 2)}, {"align_corners": False}),
    "sample border": ("grid_sample", {"x": _X, "grid": (2, 3, 3, 2)}, {"padding_mode": "border"}),
    "sample reflection": ("grid_sample", {"x": _X, "grid": (2, 3, 3, 2)}, {"padding_mode": "reflection"}),
    "sample reflection edges": ("grid_sample", {"x": _X, "grid": (2, 3, 3, 2)}, {
        "padding_mode": "reflection", "align_corners": False}),
    "sample nearest": ("grid_sample", {"x": _X, "grid": (2, 3, 3, 2)}, {"mode": "nearest"}),
    "sample 3d": ("grid_sample", {"x": (1, 2, 3, 4, 2), "grid": (1, 2, 2, 3, 3)}, {}),
    "pixel shuffle": ("pixel_shuffle", {"x": (2, 8, 3, 2)}, {"upscale_factor": 2}),
    "pixel shuffle NHWC": ("pixel_shuffle", {"x": (2, 3, 2, 9)}, {"upscale_factor": 3, "data_format": "NHWC"}),
    "pixel unshuffle": ("pixel_unshuffle", {"x": (2, 2, 6, 4)}, {"downscale_factor": 2}),
    "pixel unshuffle NHWC": ("pixel_unshuffle", {"x": (2, 6, 4, 2)}, {"downscale_factor": 2, "data_format": "NHWC"}),
    "channel shuffle": ("channel_shuffle", {"x": (2, 6, 2, 3)}, {"groups": 3}),
    "channel shuffle NHWC": ("channel_shuffle", {"x": (2, 2, 3, 6)}, {"groups": 2, "data_format": "NHWC"}),
    "temporal shift": ("temporal_shift", {"x": (6, 8, 2, 2)}, {"seg_num": 3, "shift_ratio": 0.25}),
    "temporal shift NHWC": ("temporal_shift", {"x": (4, 2, 2, 5)}, {"seg_num": 2, "shift_ratio": 0.3,
                                                                    "data_format": "NHWC"}),
    "unfold": ("unfold", {"x": (2, 3, 6, 5)}, {"kernel_sizes": [2, 3], "strides": [2, 1], "paddings": [1, 0, 2, 1],
                                               "dilations": [2, 1]}),
    "unfold one number": ("unfold", {"x": (2, 3, 6, 5)}, {"kernel_sizes": 3, "paddings": 1}),
    "fold": ("fold", {"x": (2, 12, 12)}, {"output_sizes": [4, 5], "kernel_sizes": 2}),
    "fold strides": ("fold", {"x": (2, 8, 9)}, {"output_sizes": [5, 5], "kernel_sizes": 2, "strides": 2,
                                                "paddings": 1}),
    "deformed": ("deform_conv2d", {"x": _X, "offset": (2, 18, 5, 4), "weight": (4, 3, 3, 3), "bias": (4,),
                                   "mask": (2, 9, 5, 4)}, {"padding": 1}),
    "deformed groups": ("deform_conv2d", {"x": (2, 4, 5, 6), "offset": (2, 24, 4, 3), "weight": (6, 2, 3, 2)},
                        {"stride": [2, 2], "padding": [2, 1], "dilation": [1, 2], "deformable_groups": 2, "groups": 2}),
}


def run(paddle, name):
    """{"out": ..., "grad x": ...} with Paddle, or with gpuflow in its place."""
    function, shapes, arguments = CASES[name]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    given = {k: paddle.to_tensor(rng.standard_normal(shape).astype(np.float32), stop_gradient=False)
             for k, shape in shapes.items()}
    room = paddle.nn.functional if hasattr(paddle.nn.functional, function) else paddle.vision.ops
    out = getattr(room, function)(**given, **arguments)
    weight = np.random.default_rng(1).standard_normal(out.shape).astype(np.float32)
    (out * paddle.to_tensor(weight)).sum().backward()
    return {"out": out.numpy()} | {f"grad {k}": t.grad.numpy() for k, t in given.items() if t.grad is not None}
