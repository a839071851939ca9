"""Calls of `paddle.static.nn`, as text that means the same in Paddle and in gpuflow, and one step of SGD on each.

x, y, z, i: data of the shapes beside them, the first size unknown; int64 where the name is i.
"""
import numpy as np

ROWS = 3
SAMPLERS = ("nce_0.w_1", "nce_0.w_2", "nce_0.w_3")    # tables of what nce draws from, which Paddle counts as parameters
IMAGE, VOLUME = {"x": [None, 4, 6, 5]}, {"x": [None, 2, 4, 4, 4]}
CASES = {
    "fc": ("nn.fc(x, 4, num_flatten_dims=2, activation='tanh')", {"x": [None, 2, 3]}),
    "fc, flattened": ("nn.fc(x, 4, bias_attr=False)", {"x": [None, 2, 3]}),
    "fc of two": ("nn.fc([x, y], 4, activation='relu')", {"x": [None, 2, 3], "y": [None, 5]}),
    "embedding": ("nn.embedding(i, [10, 4], padding_idx=1)", {"i": [None, 2]}),
    "embedding, sparse": ("nn.embedding(i, [10, 4], is_sparse=True, padding_idx=-1)", {"i": [None, 2]}),
    "conv2d": ("nn.conv2d(x, 6, 3, stride=2, padding=1, groups=2, act='relu')", IMAGE),
    "conv2d, named": ("nn.conv2d(x, 2, [3, 2], name='first', bias_attr=False, dilation=2)", IMAGE),
    "conv3d": ("nn.conv3d(x, 3, 2)", VOLUME),
    "deform_conv2d": ("nn.deform_conv2d(x, y, None, 3, 2, padding=1, stride=2)", {**IMAGE, "y": [None, 8, 4, 3]}),
    "deform_conv2d, mask": ("nn.deform_conv2d(x, y, z, 2, [1, 2], bias_attr=False)",
                            {**IMAGE, "y": [None, 4, 6, 4], "z": [None, 2, 6, 4]}),
    "conv2d_transpose": ("nn.conv2d_transpose(x, 4, filter_size=3, stride=2, groups=2)", IMAGE),
    "conv2d_transpose, size": ("nn.conv2d_transpose(x, 4, output_size=[13, 11], stride=2, padding=1)", IMAGE),
    "conv3d_transpose": ("nn.conv3d_transpose(x, 3, filter_size=2, stride=2)", VOLUME),
    "batch_norm": ("nn.batch_norm(x, act='relu', momentum=0.8)", IMAGE),
    "batch_norm, test": ("nn.batch_norm(x, is_test=True, data_layout='NHWC')", IMAGE),
    "batch_norm of rows": ("nn.batch_norm(x, moving_mean_name='mean', moving_variance_name='var')", {"x": [None, 4]}),
    "layer_norm": ("nn.layer_norm(x, begin_norm_axis=2)", {"x": [None, 2, 3, 4]}),
    "layer_norm, bare": ("nn.layer_norm(x, scale=False, shift=False, act='sigmoid')", {"x": [None, 6]}),
    "group_norm": ("nn.group_norm(x, 2, param_attr=paddle.ParamAttr(name='s'), bias_attr=paddle.ParamAttr(name='b'))",
                   IMAGE),
    "instance_norm": (
        "nn.instance_norm(x, param_attr=paddle.ParamAttr(name='s'), bias_attr=paddle.ParamAttr(name='b'))", IMAGE),
    "prelu, all": ("nn.prelu(x, 'all')", IMAGE),
    "prelu, channel": ("nn.prelu(x, 'channel')", IMAGE),
    "prelu, element": ("nn.prelu(x, 'element')", IMAGE),
    "bilinear_tensor_product": ("nn.bilinear_tensor_product(x, y, 3, act='tanh')", {"x": [None, 2], "y": [None, 4]}),
    "nce": ("nn.nce(x, i, 5, num_neg_samples=3, sampler='custom_dist', custom_dist=[0.0, 0.0, 1.0, 0.0, 0.0])",
            {"x": [None, 4], "i": [None, 1]}),      # where each draw is the third class
    "nce, two labels": ("nn.nce(x, i, 4, sampler='custom_dist', custom_dist=[0.0, 1.0, 0.0, 0.0], bias_attr=False)",
                        {"x": [None, 4], "i": [None, 2]}),
    "row_conv": ("nn.row_conv(x, 2)", {"x": [None, 6, 4]}),
    "spectral_norm": ("nn.spectral_norm(x, dim=1, power_iters=2)", {"x": [3, 4, 2]}),
}


def run(paddle, call, shapes) -> dict:
    """{name: array} of the result and of all parameters after a step, which start as numbers drawn by their order."""
    static, rng = paddle.static, np.random.default_rng(3)
    main, startup = static.Program(), static.Program()
    with static.program_guard(main, startup), paddle.utils.unique_name.guard():
        data = {name: static.data(name, shape, "int64" if name == "i" else "float32")
                for name, shape in shapes.items()}
        for x in data.values():
            x.stop_gradient = False
        out = eval(call, {"paddle": paddle, "nn": static.nn, **data})
        if any(not p.stop_gradient for p in main.all_parameters()):
            paddle.optimizer.SGD(1.0).minimize(paddle.mean(out * out))
        exe = static.Executor(paddle.CPUPlace())
        exe.run(startup)
        state = sorted((v for v in main.list_vars() if v.persistable and v.dtype == paddle.float32
                        and "learning_rate" not in v.name and v.name not in SAMPLERS), key=lambda v: v.name)
        scope = static.global_scope()
        for v in state:
            scope.find_var(v.name).get_tensor().set(rng.uniform(0.2, 1.0, v.shape).astype("float32"), paddle.CPUPlace())
        feed = {}
        for name, shape in shapes.items():
            sizes = [ROWS if s is None else s for s in shape]
            feed[name] = rng.integers(0, 4, sizes) if name == "i" else rng.standard_normal(sizes).astype("float32")
        found, = exe.run(main, feed=feed, fetch_list=[out])
        return {"out": found, **{v.name: np.array(scope.find_var(v.name).get_tensor()) for v in state}}
