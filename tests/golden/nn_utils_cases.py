"""What nn.utils does to fixed numbers, run with any framework that has Paddle's API; knows no framework itself."""

import numpy as np

WEIGHT = np.array([[1.0, -2.0, 0.5, 3.0], [0.25, 1.5, -1.0, 2.0], [-0.75, 0.1, 2.5, -1.25]], np.float32)
IMAGE_WEIGHT = np.arange(-12, 12, dtype=np.float32).reshape(2, 3, 2, 2) / 7
ROWS = np.array([[1.0, 2.0, -1.0], [0.5, -0.25, 2.0]], np.float32)
GRADS = [np.array([3.0, 0.0, -4.0], np.float32), np.array([[1.0, -2.0]], np.float32)]
NORMS = [1, 2, float("inf")]
DIMS = [0, 1, None, -1]


def results(paddle):
    """{name: array}."""
    return {name: np.asarray(array) for name, array in _results(paddle)}


def _results(paddle):
    utils = paddle.nn.utils
    for p in NORMS:
        for most in (2.0, 100.0):
            params = _with_grads(paddle)
            norm = utils.clip_grad_norm_(params, most, norm_type=p)
            yield f"clip_grad_norm_/{p}/{most}/norm", norm.numpy()
            for k, x in enumerate(params):
                yield f"clip_grad_norm_/{p}/{most}/{k}", x.grad.numpy()
    params = _with_grads(paddle)
    utils.clip_grad_value_(params, 1.5)
    for k, x in enumerate(params):
        yield f"clip_grad_value_/{k}", x.grad.numpy()
    for dim in DIMS:
        layer = utils.weight_norm(_linear(paddle), dim=dim)
        layer(paddle.to_tensor(ROWS)).square().sum().backward()
        yield f"weight_norm/{dim}/weight", layer.weight.numpy()
        for part in ("weight_v", "weight_g"):
            yield f"weight_norm/{dim}/{part}", getattr(layer, part).numpy()
            yield f"weight_norm/{dim}/{part}_grad", getattr(layer, part).grad.numpy()
    for dim in (0, 1, 3):
        conv = paddle.nn.Conv2D(3, 2, 2)
        conv.weight.set_value(IMAGE_WEIGHT)
        yield f"weight_norm/conv/{dim}", utils.weight_norm(conv, dim=dim).weight_g.numpy()
    layer = utils.spectral_norm(_linear(paddle), n_power_iterations=2)
    layer.weight_u.set_value(np.full(4, 0.5, np.float32))
    layer.weight_v.set_value(np.full(3, 0.6, np.float32))
    layer(paddle.to_tensor(ROWS)).square().sum().backward()
    yield "spectral_norm/weight", layer.weight.numpy()
    yield "spectral_norm/grad", layer.weight_orig.grad.numpy()
    layer.eval()
    yield "spectral_norm/eval", layer(paddle.to_tensor(ROWS)).numpy()
    yield "vector", utils.parameters_to_vector(_linear(paddle).parameters()).numpy()


def _with_grads(paddle):
    params = [paddle.create_parameter(list(g.shape), "float32") for g in GRADS]
    for x, g in zip(params, GRADS):
        (x * paddle.to_tensor(g)).sum().backward()
    return params


def _linear(paddle):
    layer = paddle.nn.Linear(3, 4)
    layer.weight.set_value(WEIGHT)
    return layer
