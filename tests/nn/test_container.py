"""Sequential, LayerList, LayerDict, ParameterList, ParameterDict."""
from collections import OrderedDict

import numpy as np
import pytest

import gpuflow
from gpuflow import nn


def linears(n):
    return [nn.Linear(1, 1) for _ in range(n)]


def test_sequential_applies_in_order():
    a, b = nn.Linear(2, 3), nn.Linear(3, 1)
    x = gpuflow.to_tensor(np.ones((4, 2), np.float32))
    for net in (nn.Sequential(a, b), nn.Sequential(("first", a), ("second", b)), nn.Sequential(["f", a], ["s", b]),
                nn.Sequential(OrderedDict(f=a, s=b))):
        assert np.array_equal(net(x).numpy(), b(a(x)).numpy()) and len(net) == 2 and list(net) == [a, b]
        assert net[0] is a and net[-1] is b and list(net[1:]) == [b]
    net = nn.Sequential(("first", a))
    assert net["first"] is a
    net["second"] = b
    assert list(net.state_dict())[2:] == ["second.weight", "second.bias"]
    del net["first"]
    assert list(net) == [b]
    with pytest.raises(IndexError, match=r"\[-1, 1\)"):
        net[1]
    for bad in (([a, b],), (a, 3), (3,)):
        with pytest.raises(TypeError, match="Sequential"):
            nn.Sequential(*bad)


def test_sequential_grows():
    a, b, c, d = linears(4)
    net = nn.Sequential(a).append(c).insert(1, b).extend([d])
    assert list(net) == [a, b, c, d] and list(net._sub_layers) == ["0", "1", "2", "3"]
    net[0] = d
    assert net[0] is d
    with pytest.raises(IndexError):
        net.insert(9, a)


def test_layer_list_is_a_list():
    a, b, c, d = linears(4)
    layers = nn.LayerList([a, b])
    assert layers.append(c) is layers and layers.extend([d]) is layers and list(layers) == [a, b, c, d]
    assert layers[-1] is d and list(layers[1:3]) == [b, c] and isinstance(layers[1:3], nn.LayerList)
    del layers[1]
    assert list(layers) == [a, c, d] and list(layers._sub_layers) == ["0", "1", "2"]
    layers.insert(1, b)
    layers.insert(len(layers), a)
    assert list(layers) == [a, b, c, d, a]
    assert layers.pop(-1) is a and layers.pop(0) is a and list(layers) == [b, c, d]
    layers[0] = a
    del layers[1:]
    assert list(layers) == [a]
    layers += [b]
    assert list(layers + [c]) == [a, b, c] and len(layers) == 2
    for bad in (5, -6):
        with pytest.raises(IndexError):
            layers[bad]
    with pytest.raises(TypeError, match="layers"):
        layers.append(3)
    with pytest.raises(NotImplementedError):
        layers(1)


def test_layer_dict_is_a_dict():
    a, b, c = linears(3)
    layers = nn.LayerDict({"a": a})
    layers.update([("b", b)])
    layers["c"] = c
    assert list(layers) == ["a", "b", "c"] == list(layers.keys()) and list(layers.values()) == [a, b, c]
    assert dict(layers.items())["b"] is b and "b" in layers and layers.pop("b") is b and len(layers) == 2
    del layers["a"]
    assert list(nn.LayerDict(layers).state_dict()) == ["c.weight", "c.bias"]
    layers.clear()
    assert len(layers) == 0
    with pytest.raises(ValueError, match="pairs"):
        layers.update([("a", b, c)])


def test_parameter_list_and_dict():
    p, q = (gpuflow.create_parameter([2], "float32") for _ in range(2))
    some = nn.ParameterList([p])
    assert some.append(q) is some and len(some) == 2 and some[1] is q and some[-1] is q and list(some) == [p, q]
    some[0] = gpuflow.to_tensor([5.0, 6.0])   # as in Paddle the parameter stays and takes the numbers
    assert some[0] is p and p.numpy().tolist() == [5, 6]
    named = nn.ParameterDict({"p": p})
    named["q"] = q
    named.update([("r", p)])
    assert list(named) == ["p", "q", "r"] and named["q"] is q and len(named) == 3
    assert len(named.parameters()) == 2 and list(named.state_dict()) == ["p", "q", "r"]
    with pytest.raises(TypeError):
        nn.ParameterList([3])
    with pytest.raises(TypeError):
        named["s"] = gpuflow.to_tensor([1.0])


def test_a_parameter_of_another_shape_takes_the_old_ones_place():
    params = nn.ParameterList([gpuflow.create_parameter([2, 2], "float32") for _ in range(2)])
    first, other = params[0], gpuflow.create_parameter([2, 3], "float32")
    params[0] = gpuflow.ones([2, 2])
    assert params[0] is first and first.numpy().all()
    params[1] = other
    assert params[1] is other and params.parameters() == [first, other]
    with pytest.raises(ValueError, match=r"\[2, 3\]"):
        params[0] = gpuflow.ones([2, 3])
