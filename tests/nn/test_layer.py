"""Layer: attributes, walks, hooks, modes, conversion, state; names and texts as Paddle 3.3.1 has them."""
import copy
import json
import pickle
import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

import gpuflow
from gpuflow import nn
from gpuflow.utils import unique_name
from tests.golden.initializers_cases import MODELS, described

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "initializers.json").read_text())["models"]


def x(*shape):
    return gpuflow.to_tensor(np.linspace(-1, 1, int(np.prod(shape))).reshape(shape).astype(np.float32))


class Net(nn.Layer):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 3)
        self.scale = self.create_parameter([3])
        self.shift = self.create_parameter([3], is_bias=True)
        self.register_buffer("seen", gpuflow.to_tensor([0.0]))
        self.register_buffer("cache", gpuflow.to_tensor([0.0]), persistable=False)
        self.inner = nn.Sequential(nn.Linear(3, 2), nn.Dropout())

    def forward(self, x, add=0.0):
        return self.inner(self.first(x) * self.scale + self.shift + add)


@pytest.mark.parametrize("name", MODELS)
def test_names_keys_and_texts_are_paddles(name):
    assert described(nn, unique_name, MODELS[name]) == GOLDEN[name]


# ---- attributes ----------------------------------------------------------------------------------------------------


def test_what_is_assigned_is_registered():
    with unique_name.guard():
        net = Net()
    assert [(k, p.name) for k, p in net.named_parameters()] == [
        ("scale", "net_0.w_0"), ("shift", "net_0.b_0"), ("first.weight", "linear_0.w_0"),
        ("first.bias", "linear_0.b_0"), ("inner.0.weight", "linear_1.w_0"), ("inner.0.bias", "linear_1.b_0")]
    assert [k for k, _ in net.named_buffers()] == ["seen", "cache"]
    assert [k for k, _ in net.named_sublayers()] == ["first", "inner", "inner.0", "inner.1"]
    assert list(net.children()) == [net.first, net.inner]
    assert {"scale", "first", "seen"} <= set(dir(net))


def test_reassigning():
    net = Net()
    net.note = gpuflow.to_tensor([1.0])   # a tensor becomes a buffer that is not saved, as in Paddle
    assert "note" in net._buffers and "note" not in net.state_dict()
    net.note = nn.Linear(1, 1)
    assert "note" in net._sub_layers and "note" not in net._buffers
    net.note = None
    assert net.note is None and [k for k, _ in net.named_sublayers()][:1] == ["first"]
    net.turned = gpuflow.to_tensor([1.0])
    net.turned = net.create_parameter([1])
    assert "turned" in net.state_dict()   # it was a buffer that is not saved, and is one no more
    net.plain = 3
    net.plain = net.create_parameter([1])
    assert "plain" not in vars(net) and net.plain is net._parameters["plain"]
    del net.plain
    assert not hasattr(net, "plain")
    with pytest.raises(AttributeError, match="'Net' object has no attribute 'nothing'"):
        _ = net.nothing


@pytest.mark.parametrize("value", [3, np.ones(3), "tensor", "layer"])
def test_a_parameter_is_not_replaced_by_something_else(value):
    net = Net()
    value = {"tensor": x(3), "layer": nn.Linear(1, 1)}.get(value, value) if isinstance(value, str) else value
    with pytest.raises(TypeError, match=r"scale.*Parameter"):
        net.scale = value


def test_a_propertys_setter_is_used():
    class Tied(nn.Layer):
        @property
        def weight(self):
            return self.inner

        @weight.setter
        def weight(self, value):
            self.inner = value

    layer = Tied()
    layer.weight = layer.create_parameter([1])
    assert [name for name, _ in layer.named_parameters()] == ["inner"] and layer.weight is layer.inner


def test_before_super_init():
    class Early(nn.Layer):
        def __init__(self):
            self.part = nn.Linear(1, 1)

    with pytest.raises(ValueError, match=r"super\(\).__init__\(\)"):
        Early()


def test_registration_by_name_and_its_errors():
    layer = nn.Layer()
    p = layer.create_parameter([1])
    assert layer.add_parameter("p", p) is p and layer.p is p
    part = nn.Linear(1, 1)
    assert layer.add_sublayer("part", part) is part and layer.get_sublayer("part") is part
    for bad, error in ((3, TypeError), ("a.b", KeyError), ("", KeyError), ("forward", KeyError)):
        with pytest.raises(error):
            layer.add_parameter(bad, p)
        with pytest.raises(error):
            layer.register_buffer(bad, x(1))
    with pytest.raises(TypeError, match="a Parameter or None"):
        layer.add_parameter("q", x(1))
    with pytest.raises(TypeError, match="a Tensor or None"):
        layer.register_buffer("q", p)
    with pytest.raises(TypeError, match="a Layer or None"):
        layer.add_sublayer("q", 3)


def test_paths():
    net = Net()
    assert net.get_sublayer("inner.0") is net.inner[0] and net.get_sublayer("") is net
    assert net.get_parameter("inner.0.weight") is net.inner[0].weight and net.get_buffer("seen") is net.seen
    net.set_sublayer("inner.1", nn.ReLU())
    assert isinstance(net.inner[1], nn.ReLU)
    for bad in (lambda: net.get_sublayer("scale"), lambda: net.get_sublayer("none"), lambda: net.get_buffer("scale"),
                lambda: net.set_sublayer("none", nn.ReLU(), strict=True)):
        with pytest.raises(AttributeError):
            bad()


def test_a_layer_used_twice_is_listed_once():
    shared = nn.Linear(2, 2)
    net = nn.Sequential(shared, nn.ReLU(), shared)
    assert len(net.parameters()) == 2 and len(net.sublayers()) == 2 and len(list(net.children())) == 2
    assert [k for k, _ in net.named_parameters(remove_duplicate=False)] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_include_sublayers():
    net = Net()
    assert [k for k, _ in net.named_parameters(include_sublayers=False)] == ["scale", "shift"]
    assert len(net.parameters(recurse=False)) == 2 and len(net.buffers(False)) == 2
    assert [k for k, _ in net.named_parameters("net", False)] == ["net.scale", "net.shift"]
    assert list(net.state_dict(include_sublayers=False)) == ["scale", "shift", "seen"]


# ---- calling -------------------------------------------------------------------------------------------------------


def test_hooks_see_and_replace():
    layer = nn.Linear(2, 2)
    seen = []
    pre = layer.register_forward_pre_hook(lambda l, args: seen.append("pre") or (args[0] * 0,))
    post = layer.register_forward_post_hook(lambda l, args, out: seen.append("post") or out + 1)
    first = layer.register_forward_pre_hook(lambda l, args: seen.append("first"), prepend=True)
    assert (layer(x(1, 2)).numpy() == 1).all() and seen == ["first", "pre", "post"]
    assert pre.remove() and post.remove() and first.remove() and not pre.remove()
    assert not (layer(x(1, 2)).numpy() == 1).all() and len(seen) == 3


def test_hooks_with_kwargs():
    net = Net().eval()
    net.register_forward_pre_hook(lambda l, args, kwargs: (args, {"add": kwargs["add"] * 0}), with_kwargs=True)
    plain = Net.forward(net, x(1, 2))
    assert np.array_equal(net(x(1, 2), add=5.0).numpy(), plain.numpy())
    kept = []
    net.register_forward_post_hook(lambda l, args, kwargs, out: kept.append(kwargs), with_kwargs=True)
    net(x(1, 2), add=5.0)
    assert kept == [{"add": 0.0}]
    net.register_forward_pre_hook(lambda l, args, kwargs: args, with_kwargs=True)
    with pytest.raises(RuntimeError, match=r"None or \(args, kwargs\)"):
        net(x(1, 2), add=1.0)


def test_always_called_hooks_run_after_an_error():
    layer, seen = nn.Linear(2, 2), []
    layer.register_forward_post_hook(lambda l, args, out: seen.append(out), always_call=True)
    layer.register_forward_post_hook(lambda l, args, out: seen.append("never"))
    with pytest.raises(ValueError, match="linear"):
        layer(x(1, 3))
    assert seen == [None]


def test_forward_must_be_defined():
    with pytest.raises(NotImplementedError, match="a method forward"):
        nn.Layer()(1)


def test_modes_and_apply():
    net = Net()
    assert net.training and net.eval() is net
    assert not any(layer.training for layer in net.sublayers(include_self=True))
    net.train()
    assert all(layer.training for layer in net.sublayers(include_self=True))
    with pytest.raises(ValueError, match="True or False"):
        net.train(1)
    order = []
    assert net.apply(lambda layer: order.append(layer)) is net
    assert order[-1] is net and order[0] is net.first


def test_gradients_are_forgotten():
    net = Net()
    net(x(1, 2)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.clear_gradients()
    assert all(not p.grad.numpy().any() for p in net.parameters())
    net.clear_gradients(set_to_zero=False)
    assert all(p.grad is None for p in net.parameters())
    net.requires_grad_(False)
    assert not any(p.trainable for p in net.parameters())


# ---- conversion ----------------------------------------------------------------------------------------------------


def test_to_keeps_the_objects():
    net = Net()
    before = net.parameters()
    assert net.to(dtype="float64") is net
    assert all(a is b for a, b in zip(before, net.parameters(), strict=True))
    assert all(p.dtype == "float64" for p in (*net.parameters(), *net.buffers()))
    assert net.first._dtype == "float64"
    assert net.astype("float32").first.weight.dtype == "float32" and net.half().first.weight.dtype == "float16"
    assert net.float().first.weight.dtype == "float32" and net.bfloat16().first.weight.dtype == "bfloat16"
    assert net.double().to("cpu").cpu().first.weight.dtype == "float64"
    with pytest.raises(ValueError, match="device"):
        net.to("tpu")


def test_float16_leaves_integers_and_excluded_layers_alone():
    net = Net()
    net.register_buffer("steps", gpuflow.to_tensor([3]))
    net.float16(excluded_layers=[nn.Linear])
    assert net.scale.dtype == "float16" and net.first.weight.dtype == "float32" and net.steps.dtype == "int64"


def test_conversion_takes_the_gradient_along_and_leaves_the_arena():
    layer = nn.Linear(2, 2)
    layer.weight._grad_slot = np.zeros((2, 2), np.float32)
    layer(x(1, 2)).sum().backward()
    layer.to(dtype="float64")
    assert layer.weight.grad.dtype == "float64" and layer.weight._grad_slot is None


# ---- state ---------------------------------------------------------------------------------------------------------


def test_state_dict_holds_the_parameters_themselves():
    net = Net()
    state = net.state_dict()
    assert isinstance(state, OrderedDict) and state["scale"] is net.scale
    assert list(state) == ["scale", "shift", "seen", "first.weight", "first.bias", "inner.0.weight", "inner.0.bias"]
    assert "cache" in net.to_static_state_dict()
    loose = net.state_dict(keep_vars=False)["scale"]
    assert loose is not net.scale and loose.stop_gradient and np.shares_memory(loose._array, net.scale._array)
    mine = {"other": 1}
    assert net.state_dict(mine, structured_name_prefix="net.") is mine and "net.first.bias" in mine


def test_state_dict_hooks():
    net = nn.Linear(1, 1)
    handle = net.register_state_dict_hook(lambda state: OrderedDict((k.upper(), v) for k, v in state.items()))
    assert list(net.state_dict()) == ["WEIGHT", "BIAS"] and list(net.state_dict(use_hook=False)) == ["weight", "bias"]
    handle.remove()
    assert list(net.state_dict()) == ["weight", "bias"]


def test_round_trip():
    a, b = Net(), Net()
    missing, unexpected = b.set_state_dict(a.state_dict())
    assert not missing and not unexpected
    for p, q in zip(a.state_dict().values(), b.state_dict().values(), strict=True):
        assert np.array_equal(p.numpy(), q.numpy()) and p is not q
    arrays = {k: v.numpy().astype(np.float64) for k, v in a.state_dict().items()}
    assert Net().set_dict(arrays) == ([], []) and Net.load_dict is Net.set_state_dict
    by_name = {p.name: p.numpy() for p in a.parameters()}
    with pytest.warns(UserWarning, match="Skip loading for seen"):
        assert a.set_state_dict(by_name, use_structured_name=False) == ([a.seen.name], [])


def test_what_does_not_fit_is_reported_as_paddle_does():
    layer = nn.Linear(3, 4)
    before = layer.weight.numpy()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        answer = layer.set_state_dict({"weight": x(3, 5), "other": x(1)})
    assert tuple(answer) == (["weight", "bias"], ["weight", "other"])
    assert [str(w.message) for w in told] == [
        "Skip loading for weight. weight receives a shape [3, 5], but the expected shape is [3, 4].",
        "Skip loading for bias. bias is not found in the provided dict."]
    assert told[0].filename == __file__ and np.array_equal(layer.weight.numpy(), before)


def test_strict_loading_loads_all_or_nothing():
    layer = nn.Linear(2, 2)
    before = layer.weight.numpy()
    with pytest.raises(RuntimeError, match=r"nothing was loaded(.|\n)*bias is not found(.|\n)*extra is not"):
        layer.load_state_dict({"weight": x(2, 2), "extra": x(1)})
    assert np.array_equal(layer.weight.numpy(), before)
    report = layer.load_state_dict({"weight": x(2, 2), "bias": x(2)})
    assert report.missing_keys == [] and report.unexpected_keys == []


def test_nothing_is_written_when_one_entry_is_no_array():
    layer = nn.Linear(2, 2)
    before = layer.weight.numpy()
    with pytest.raises(TypeError, match=r"set_state_dict\['bias'\]"):
        layer.set_state_dict({"weight": x(2, 2), "bias": "text"})
    assert np.array_equal(layer.weight.numpy(), before)


def test_a_shared_parameter_loads_from_equal_arrays_only():
    with unique_name.guard():
        net = nn.LayerList([nn.Linear(2, 2, "w", False), nn.Linear(2, 2, "w", False)])
    state = {"0.weight": np.ones((2, 2)), "1.weight": np.ones((2, 2))}
    assert net.set_state_dict(state) == ([], []) and (net[0].weight.numpy() == 1).all()
    state["1.weight"] = np.zeros((2, 2))
    with pytest.raises(ValueError, match=r"'0.weight' and '1.weight'"):
        net.set_state_dict(state)


def test_loading_is_seen_by_a_graph_that_saved_the_weight():
    layer = nn.Linear(2, 2)
    out = layer(gpuflow.to_tensor([[1.0, 1.0]], stop_gradient=False)).sum()
    layer.set_state_dict(layer.state_dict(keep_vars=False))
    with pytest.raises(RuntimeError, match="changed in place"):
        out.backward()


def test_deepcopy_and_pickle_of_a_model():
    net = Net()
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert list(other.state_dict()) == list(net.state_dict()) and other.full_name() == net.full_name()
        assert np.array_equal(other.eval()(x(2, 2)).numpy(), net.eval()(x(2, 2)).numpy())
        assert other.scale is not net.scale and other.parameters()[0] is other.scale


def test_deepcopy_keeps_sharing_inside():
    with unique_name.guard():
        net = nn.LayerList([nn.Linear(2, 2, "w"), nn.Linear(2, 2, "w")])
    other = copy.deepcopy(net)
    assert other[0].weight is other[1].weight and other[0].weight is not net[0].weight


def test_default_dtype_is_the_parameters():
    gpuflow.set_default_dtype("float64")
    layer = nn.Linear(2, 2)
    assert layer.weight.dtype == "float64" and "dtype=float64" in repr(layer)


def test_names_that_torch_users_know_do_the_same():
    net = nn.Sequential(nn.Linear(2, 2))
    net.register_module("more", nn.Linear(2, 3))
    assert net.get_submodule("more") is net.more
    net.set_submodule("more", nn.ReLU())
    assert isinstance(net.more, nn.ReLU)
