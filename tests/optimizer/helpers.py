"""What the optimizer tests share: parameters, gradients that are known exactly, and a float64 step to compare with."""
import numpy as np

import gpuflow
from gpuflow.param import Parameter

# float32 works with 24 bits: one rounding is 6e-8 of the value, and a step has about ten of them.
CLOSE = {"rtol": 1e-6, "atol": 1e-7}


def parameter(value, name=None, dtype="float32", **attributes):
    """A Parameter with these numbers. attributes: learning_rate, regularizer, need_clip, trainable."""
    if "learning_rate" in attributes:
        attributes["optimize_attr"] = {"learning_rate": attributes.pop("learning_rate")}
    array = np.array(value, gpuflow.to_tensor([0.0], dtype=dtype).numpy().dtype)
    return Parameter(array, name=name, **attributes)


def give(*pairs):
    """Runs a backward whose gradients are exactly the given ones: give((p, g), (q, h))."""
    for p, g in pairs:
        constant = gpuflow.to_tensor(np.broadcast_to(np.asarray(g, np.float32), p.shape).astype(p.numpy().dtype))
        (p * constant).sum().backward()


def random_parameters(rng, *shapes, **attributes):
    return [parameter(rng.normal(size=shape), **attributes) for shape in shapes]


def values(params):
    return [p.numpy() for p in params]


def same(got, expected):
    """Asserts that arrays agree bit for bit."""
    for a, b in zip(got, expected, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.dtype == b.dtype and a.shape == b.shape
        assert a.tobytes() == b.tobytes(), f"largest difference {np.abs(a.astype(float) - b.astype(float)).max()}"
