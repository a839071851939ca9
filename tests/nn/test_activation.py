"""Activation layers and functions: numbers are in test_loss.py; here settings, in-place twins, errors, PReLU."""
import inspect
import math

import numpy as np
import pytest

import gpuflow
from gpuflow import nn
from gpuflow.nn import functional as F
from gpuflow.nn.functional import activation as functions

LAYERS = {  # layer -> (settings, the function with those settings)
    "CELU": ({"alpha": 2.0}, lambda x: F.celu(x, 2.0)), "ELU": ({"alpha": 2.0}, lambda x: F.elu(x, 2.0)),
    "GELU": ({"approximate": True}, lambda x: F.gelu(x, True)), "GLU": ({"axis": 0}, lambda x: F.glu(x, 0)),
    "Hardshrink": ({"threshold": 0.2}, lambda x: F.hardshrink(x, 0.2)), "Hardsigmoid": ({}, F.hardsigmoid),
    "Hardswish": ({}, F.hardswish), "Hardtanh": ({"min": -0.2, "max": 0.4}, lambda x: F.hardtanh(x, -0.2, 0.4)),
    "LeakyReLU": ({"negative_slope": 0.3}, lambda x: F.leaky_relu(x, 0.3)), "LogSigmoid": ({}, F.log_sigmoid),
    "LogSoftmax": ({"axis": 0}, lambda x: F.log_softmax(x, 0)), "Maxout": ({"groups": 2}, lambda x: F.maxout(x, 2)),
    "Mish": ({}, F.mish), "ReLU": ({}, F.relu), "ReLU6": ({}, F.relu6),
    "SELU": ({"scale": 1.5, "alpha": 2.0}, lambda x: F.selu(x, 1.5, 2.0)), "Sigmoid": ({}, F.sigmoid),
    "Silu": ({}, F.silu), "SiLU": ({}, F.silu), "Softmax": ({"axis": 1}, lambda x: F.softmax(x, 1)),
    "Softmax2D": ({}, lambda x: F.softmax(x, -3)),
    "Softplus": ({"beta": 2, "threshold": 1}, lambda x: F.softplus(x, 2, 1)),
    "Softshrink": ({"threshold": 0.2}, lambda x: F.softshrink(x, 0.2)), "Softsign": ({}, F.softsign),
    "Swish": ({}, F.swish), "Tanh": ({}, F.tanh), "Tanhshrink": ({}, F.tanhshrink),
    "ThresholdedReLU": ({"threshold": 0.2, "value": 0.1}, lambda x: F.thresholded_relu(x, 0.2, 0.1)),
    "PReLU": ({"init": 0.3}, lambda x: F.leaky_relu(x, 0.3)),
}


def x():
    return gpuflow.to_tensor(np.linspace(-2, 2, 2 * 4 * 3 * 2).reshape(2, 4, 3, 2).astype(np.float32))


def test_every_layer_is_checked():
    assert set(LAYERS) == set(nn.activation.__all__) - {"RReLU"}   # RReLU draws: test_dropout.py


@pytest.mark.parametrize("name", LAYERS)
def test_layers_pass_their_settings_on(name):
    settings, function = LAYERS[name]
    layer = getattr(nn, name)(**settings)
    np.testing.assert_array_equal(layer(x()).numpy(), function(x()).numpy())
    if name != "PReLU":
        assert getattr(nn, name)(*settings.values())(x()).shape == function(x()).shape   # by position as well
    assert list(inspect.signature(getattr(nn, name)).parameters)[-1] == "name"
    assert repr(getattr(nn, name)(**settings, name="mine")).endswith("name=mine)")
    with pytest.raises(TypeError):
        getattr(nn, name)(**settings, speed=3)


@pytest.mark.parametrize("name", sorted(n for n in functions.__all__ if n.endswith("_")))
def test_in_place_twins(name):
    value, settings = x(), {"max": 0.5} if "hardtanh" in name else {}
    want = getattr(F, name[:-1])(x(), **settings).numpy()
    array = value._array
    assert getattr(F, name)(value, **settings) is value and value._array is array
    np.testing.assert_array_equal(value.numpy(), want)


def test_silu_in_place():
    value = x()
    assert F.silu(value, inplace=True) is value and np.array_equal(value.numpy(), F.silu(x()).numpy())
    assert nn.Silu(inplace=True)(value) is value


def test_softmax_in_another_dtype():
    assert F.softmax(x(), dtype="float64").dtype == "float64" and F.log_softmax(x(), 1, "float64").dtype == "float64"
    with pytest.raises(ValueError, match="softmax_"):
        F.softmax_(x(), dtype="float64")


def test_prelu_weight_is_a_parameter_per_channel():
    layer = nn.PReLU(4, init=0.1, weight_attr=gpuflow.ParamAttr(name="slope of its own"))
    assert [p.name for p in layer.parameters()] == ["slope of its own"]
    layer(x()).sum().backward()
    assert layer._weight.grad.shape == [4]


@pytest.mark.parametrize(("call", "words"), [
    (lambda: F.gelu(x(), "fast"), "approximate"), (lambda: F.maxout(x(), 3), "groups"),
    (lambda: F.prelu(x(), x(), "HW"), "data_format"), (lambda: F.prelu(x(), gpuflow.to_tensor([0.1, 0.2])), "prelu"),
    (lambda: F.rrelu(x(), 0.5, 0.1), "lower"), (lambda: F.glu(x(), 2), "even size"),
    (lambda: F.swiglu(gpuflow.to_tensor([1.0, 2.0, 3.0])), "even size"),
    (lambda: nn.Softmax2D()(gpuflow.to_tensor([1.0])), "Softmax2D"), (lambda: F.softmax(x(), 4), "axis"),
])
def test_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_gelu_in_float32_is_the_normal_distributions_everywhere():
    x = np.linspace(-12, 12, 20001)
    exact = np.array([v * 0.5 * math.erfc(-v / math.sqrt(2)) for v in x])
    slope = exact / np.where(x == 0, 1, x) + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi) + np.where(x == 0, 0.5, 0)
    t = gpuflow.to_tensor(x, "float32", stop_gradient=False)
    out = gpuflow.nn.functional.gelu(t)
    out.sum().backward()
    np.testing.assert_allclose(out.numpy(), exact, rtol=1e-6, atol=1.5e-6)
    np.testing.assert_allclose(t.grad.numpy(), slope, rtol=1e-6, atol=1e-6)
    far = gpuflow.nn.functional.gelu(gpuflow.to_tensor([-1e4, -30.0, 30.0, 1e4])).numpy()
    np.testing.assert_array_equal(far, [0, 0, 30, 1e4])
