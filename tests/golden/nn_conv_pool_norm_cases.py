"""What is compared with Paddle for convolution, pooling and normalisation (make_nn_conv_pool_norm.py records it).

A case is (function of nn.functional, tensors, arguments). tensors: name -> shape; "running_..." get no gradient and are
looked at afterwards. Numbers come from a generator seeded by the case's name.
"""
import zlib

import numpy as np


def _conv(x, w, bias=True, function="conv2d", **arguments):
    tensors = {"x": x, "weight": w}
    if bias:
        out = w[1] * arguments.get("groups", 1) if "transpose" in function else w[0]
        tensors["bias"] = (out,)
    return function, tensors, arguments


def _pool(function, x, *sizes, **arguments):
    names = ("kernel_size", "stride", "padding") if "adaptive" not in function else ("output_size",)
    return function, {"x": x}, dict(zip(names, sizes, strict=False)) | arguments


def _norm(function, x, channels, running=False, affine=True, **arguments):
    tensors = {"x": x}
    if running:
        tensors |= {"running_mean": (channels,), "running_var": (channels,)}
    if affine:
        tensors |= {"weight": (channels,), "bias": (channels,)}
    return function, tensors, arguments


_X, _W = (2, 4, 7, 6), (6, 4, 3, 3)
CASES = {
    "conv plain": _conv(_X, _W),
    "conv without bias": _conv(_X, _W, False),
    "conv stride, padding": _conv(_X, _W, stride=[2, 1], padding=[1, 2]),
    "conv four paddings": _conv(_X, _W, padding=[1, 0, 2, 1]),
    "conv pairs of padding": _conv(_X, _W, padding=[[0, 0], [0, 0], [1, 0], [0, 2]]),
    "conv SAME": _conv(_X, _W, stride=2, padding="SAME"),
    "conv SAME drops dilation": _conv(_X, _W, padding="same", dilation=2),
    "conv VALID": _conv(_X, _W, padding="VALID"),
    "conv dilation": _conv(_X, _W, padding=2, dilation=[2, 1]),
    "conv groups": _conv(_X, (6, 2, 3, 3), groups=2, padding=1),
    "conv depthwise": _conv(_X, (8, 1, 3, 3), groups=4, padding=1),
    "conv NHWC": _conv((2, 7, 6, 4), _W, padding=[1, 0], data_format="NHWC"),
    "conv 1x1": _conv(_X, (6, 4, 1, 1)),
    "conv 1x1 stride": _conv(_X, (6, 4, 1, 1), stride=2),
    "conv1d": _conv((2, 4, 9), (6, 2, 3), function="conv1d", stride=2, padding=[1, 2], groups=2),
    "conv1d NLC": _conv((2, 9, 4), (6, 4, 3), function="conv1d", padding="SAME", data_format="NLC"),
    "conv3d": _conv((1, 2, 4, 5, 4), (3, 2, 2, 3, 2), function="conv3d", padding=[0, 1, 1], stride=[1, 2, 1]),
    "transpose": _conv((2, 4, 5, 4), (4, 3, 3, 3), function="conv2d_transpose"),
    "transpose stride": _conv((2, 4, 5, 4), (4, 3, 3, 2), function="conv2d_transpose", stride=2, padding=1,
                              output_padding=1),
    "transpose size": _conv((2, 4, 5, 4), (4, 3, 3, 3), function="conv2d_transpose", stride=[2, 3],
                            output_size=[12, 13]),
    "transpose groups": _conv((2, 4, 5, 4), (4, 3, 3, 3), function="conv2d_transpose", groups=2, dilation=2),
    "transpose SAME": _conv((2, 4, 5, 4), (4, 3, 3, 3), function="conv2d_transpose", stride=2, padding="SAME"),
    "transpose paddings": _conv((2, 4, 5, 4), (4, 3, 3, 3), function="conv2d_transpose", padding=[1, 0, 0, 1]),
    "transpose NHWC": _conv((2, 5, 4, 4), (4, 3, 3, 3), function="conv2d_transpose", data_format="NHWC"),
    "transpose1d": _conv((2, 4, 5), (4, 3, 3), function="conv1d_transpose", stride=2, output_padding=1),
    "transpose3d": _conv((1, 2, 3, 3, 2), (2, 2, 2, 3, 2), function="conv3d_transpose", stride=2, padding=[0, 1, 0]),

    "max": _pool("max_pool2d", (2, 3, 6, 8), 2),
    "max padding": _pool("max_pool2d", (2, 3, 7, 6), 3, 2, 1),
    "max ceil": _pool("max_pool2d", (2, 3, 7, 6), 3, 2, ceil_mode=True),
    "max ceil padding": _pool("max_pool2d", (2, 3, 7, 6), [3, 2], 2, [0, 1], ceil_mode=True),
    "max four paddings": _pool("max_pool2d", (2, 3, 7, 6), 3, 2, [1, 0, 0, 1]),
    "max SAME": _pool("max_pool2d", (2, 3, 7, 6), 3, 2, "SAME"),
    "max NHWC": _pool("max_pool2d", (2, 7, 6, 3), 2, 2, data_format="NHWC"),
    "max mask": _pool("max_pool2d", (2, 3, 7, 6), 3, 2, 1, return_mask=True),
    "max1d": _pool("max_pool1d", (2, 3, 9), 3, 2, 1, return_mask=True),
    "max3d": _pool("max_pool3d", (1, 2, 4, 5, 6), 2, return_mask=True),
    "avg": _pool("avg_pool2d", (2, 3, 6, 8), 2),
    "avg padding": _pool("avg_pool2d", (2, 3, 7, 6), 3, 2, 1),
    "avg inclusive": _pool("avg_pool2d", (2, 3, 7, 6), 3, 2, 1, exclusive=False),
    "avg ceil": _pool("avg_pool2d", (2, 3, 7, 6), 3, 2, ceil_mode=True),
    "avg ceil padding": _pool("avg_pool2d", (2, 3, 7, 6), 3, 2, 1, ceil_mode=True),
    "avg ceil inclusive": _pool("avg_pool2d", (2, 3, 6, 6), 3, 2, ceil_mode=True, exclusive=False),
    "avg divisor": _pool("avg_pool2d", (2, 3, 7, 6), 3, 2, 1, divisor_override=5),
    "avg SAME": _pool("avg_pool2d", (2, 3, 7, 6), 3, 2, "SAME"),
    "avg NHWC": _pool("avg_pool2d", (2, 7, 6, 3), [2, 3], data_format="NHWC"),
    "avg1d": _pool("avg_pool1d", (2, 3, 9), 3, 2, 1),
    "avg3d": _pool("avg_pool3d", (1, 2, 4, 5, 6), 2, 2, 1),
    "adaptive avg": _pool("adaptive_avg_pool2d", (2, 3, 7, 6), [3, 4]),
    "adaptive avg 1": _pool("adaptive_avg_pool2d", (2, 3, 7, 6), 1),
    "adaptive avg None": _pool("adaptive_avg_pool2d", (2, 3, 7, 6), [None, 2]),
    "adaptive avg NHWC": _pool("adaptive_avg_pool2d", (2, 7, 6, 3), 2, data_format="NHWC"),
    "adaptive avg 1d": _pool("adaptive_avg_pool1d", (2, 3, 7), 3),
    "adaptive avg 3d": _pool("adaptive_avg_pool3d", (1, 2, 5, 4, 3), [2, 3, 1]),
    "adaptive max": _pool("adaptive_max_pool2d", (2, 3, 7, 6), [3, 4], return_mask=True),
    "adaptive max 1d": _pool("adaptive_max_pool1d", (2, 3, 7), 3, return_mask=True),
    "adaptive max 3d": _pool("adaptive_max_pool3d", (1, 2, 5, 4, 3), 2),
    **{f"fractional max {u}": _pool("fractional_max_pool2d", (2, 3, 11, 7), output_size=[4, 3], random_u=u,
                                    return_mask=True) for u in (0.1, 0.45, 0.95)},
    "fractional max kernel": _pool("fractional_max_pool2d", (2, 3, 9, 7), output_size=[5, None], kernel_size=[2, 1],
                                   random_u=0.7, return_mask=True),
    "fractional max 3d": _pool("fractional_max_pool3d", (1, 2, 5, 6, 7), output_size=[2, 3, 5], random_u=0.3,
                               return_mask=True),
    "lp": _pool("lp_pool2d", (2, 3, 6, 6), 2, norm_type=2.0),

    "batch": _norm("batch_norm", (3, 4, 5, 2), 4, True, training=True),
    "batch eval": _norm("batch_norm", (3, 4, 5, 2), 4, True),
    "batch momentum": _norm("batch_norm", (3, 4, 5, 2), 4, True, training=True, momentum=0.7, epsilon=1e-3),
    "batch global in training": _norm("batch_norm", (3, 4, 5, 2), 4, True, training=True, use_global_stats=True),
    "batch statistics in eval": _norm("batch_norm", (3, 4, 5, 2), 4, True, use_global_stats=False),
    "batch NHWC": _norm("batch_norm", (3, 5, 2, 4), 4, True, training=True, data_format="NHWC"),
    "batch NC": _norm("batch_norm", (6, 4), 4, True, training=True, data_format="NC"),
    "batch NCL": _norm("batch_norm", (3, 4, 6), 4, True, training=True, data_format="NCL"),
    "batch NCDHW": _norm("batch_norm", (2, 4, 2, 3, 2), 4, True, training=True, data_format="NCDHW"),
    "batch without affine": _norm("batch_norm", (3, 4, 5, 2), 4, True, False, training=True),
    "layer": _norm("layer_norm", (3, 4, 6), 6, normalized_shape=6),
    "layer two axes": _norm("layer_norm", (3, 4, 6), 24, normalized_shape=[4, 6], epsilon=1e-3),
    "layer without affine": _norm("layer_norm", (3, 6), 6, affine=False, normalized_shape=[6]),
    "group": _norm("group_norm", (2, 6, 4, 3), 6, num_groups=3),
    "group NHWC": _norm("group_norm", (2, 4, 3, 6), 6, num_groups=2, data_format="NHWC"),
    "group 3 axes": _norm("group_norm", (2, 6, 4), 6, num_groups=2, data_format="NCL"),
    "instance": _norm("instance_norm", (2, 3, 4, 3), 3),
    "instance without affine": _norm("instance_norm", (2, 3, 4, 3), 3, affine=False, eps=1e-3),
    "instance 1d": _norm("instance_norm", (2, 3, 5), 3, data_format="NCL"),
    "local response": _norm("local_response_norm", (2, 7, 4, 3), 0, affine=False, size=3, alpha=0.1, k=2.0),
    "local response even": _norm("local_response_norm", (2, 7, 4), 0, affine=False, size=4, alpha=0.5,
                                 data_format="NCL"),
    "local response NHWC": _norm("local_response_norm", (2, 4, 3, 7), 0, affine=False, size=3, alpha=0.1,
                                 data_format="NHWC"),
    "normalize": _norm("normalize", (3, 4, 2), 0, affine=False),
    "normalize p 3": _norm("normalize", (3, 4, 2), 0, affine=False, p=3, axis=-1),
    "normalize p 1": _norm("normalize", (3, 4), 0, affine=False, p=1),
    "normalize inf": _norm("normalize", (3, 4), 0, affine=False, p=float("inf")),
}


def inputs(name):
    """The case's arrays, float32, in the order of its tensors; variances and the numbers lp_pool takes are positive."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    found = {}
    for tensor, shape in CASES[name][1].items():
        values = rng.standard_normal(shape).astype(np.float32)
        found[tensor] = np.abs(values) + np.float32(0.5) if tensor == "running_var" or name == "lp" else values
    return found


def run(paddle, name):
    """{"out": ..., "mask": ..., "grad x": ..., "running_mean": ...} with Paddle, or with gpuflow in its place."""
    function, _, arguments = CASES[name]
    given = {k: paddle.to_tensor(v, stop_gradient=k.startswith("running")) for k, v in inputs(name).items()}
    out = getattr(paddle.nn.functional, function)(**given, **arguments)
    out, *mask = out if isinstance(out, tuple) else (out,)
    weight = np.random.default_rng(1).standard_normal(out.shape).astype(np.float32)
    (out * paddle.to_tensor(weight)).sum().backward()
    answer = {"out": out.numpy()} | ({"mask": mask[0].numpy()} if mask else {})
    for k, t in given.items():
        answer["grad " + k if not t.stop_gradient else k] = (t.grad if not t.stop_gradient else t).numpy()
    return answer
