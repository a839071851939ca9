"""ParamAttr, Parameter, and one name for one parameter."""
import copy
import gc
import pickle

import numpy as np
import pytest

import gpuflow
from gpuflow import nn
from gpuflow.nn import initializer as I
from gpuflow.param import Parameter, WeightNormParamAttr, registered
from gpuflow.regularizer import L1Decay, L2Decay
from gpuflow.utils import unique_name


@pytest.fixture(autouse=True)
def names_of_its_own():
    with unique_name.guard():
        yield


# ---- attributes ----------------------------------------------------------------------------------------------------


def test_to_attr_takes_what_paddle_takes():
    to = gpuflow.ParamAttr._to_attr
    attr = gpuflow.ParamAttr("w")
    assert to(attr) is attr and to(False) is False and to("a").name == "a"
    assert to(None).name is None and to(True).trainable is True
    init, decay = I.Constant(1.0), L2Decay(0.1)
    assert isinstance(to(I.KaimingNormal).initializer, I.KaimingNormal)   # a class stands for one without arguments
    assert isinstance(gpuflow.ParamAttr(initializer=I.Normal).initializer, I.Normal)
    assert to(init).initializer is init and to(decay).regularizer is decay
    assert [a if a is False else a.name for a in to(["a", False])] == ["a", False]
    with pytest.raises(TypeError, match="parameter attribute"):
        to(3)


@pytest.mark.parametrize("bad", [
    {"name": 3}, {"initializer": "xavier"}, {"learning_rate": "1"},
    {"learning_rate": True}, {"regularizer": 0.1}, {"trainable": 1}, {"need_clip": None}, {"do_model_average": 0},
    {"learning_rate_": 1.0}])
def test_bad_attributes(bad):
    with pytest.raises(TypeError, match=next(iter(bad))):
        gpuflow.ParamAttr(**bad)


@pytest.mark.parametrize("bad, says", [({"name": ""}, "at least one character")] + [
    ({"learning_rate": rate}, "a finite number >= 0") for rate in (-0.5, float("nan"), float("inf"))])
def test_attributes_that_mean_nothing(bad, says):
    with pytest.raises(ValueError, match=says):
        gpuflow.ParamAttr(**bad)


def test_attributes_reach_the_parameter():
    decay = L1Decay(0.1)
    p = nn.Linear(2, 2, gpuflow.ParamAttr("w", learning_rate=0.5, regularizer=decay, trainable=False, need_clip=False,
                                          do_model_average=False)).weight
    assert (p.name, p.optimize_attr, p.regularizer, p.need_clip) == ("w", {"learning_rate": 0.5}, decay, False)
    assert p.trainable is False and p.stop_gradient is True and p.do_model_average is False and p.persistable
    p.trainable = True
    assert p.stop_gradient is False
    p.stop_gradient = True
    assert p.trainable is False
    with pytest.raises(ValueError, match="trainable"):
        p.trainable = 1
    assert nn.Linear(2, 2).weight.optimize_attr == {"learning_rate": 1.0}


def test_false_leaves_the_parameter_out():
    layer = nn.Linear(2, 2, bias_attr=False)
    assert layer.bias is None and list(layer.state_dict()) == ["weight"]


# ---- Parameter -----------------------------------------------------------------------------------------------------


def test_parameter_from_shape_and_from_tensor():
    a = Parameter([2, 3], "float64")
    assert a.shape == [2, 3] and a.dtype == "float64" and not a.stop_gradient and a.name == "_eager_param_base_0"
    t = gpuflow.to_tensor([1.0, 2.0])
    b = nn.Parameter(t, False)
    assert b.stop_gradient and b._array is t._array and b.is_leaf
    with pytest.raises(ValueError, match="sizes >= 0"):
        Parameter([2, -1], "float32")


def test_repr_deepcopy_and_pickle():
    layer = nn.Linear(2, 3)
    p = layer.weight
    assert repr(p).startswith("Parameter containing:\nTensor(shape=[2, 3], dtype=float32, place=Place(cpu),")
    p.optimize_attr["learning_rate"] = 0.3
    other = copy.deepcopy(layer)
    # Paddle counts deep copies over all parameters
    assert [q.name for q in other.parameters()] == ["linear_0.w_0_deepcopy_0", "linear_0.b_0_deepcopy_1"]
    assert isinstance(other.weight, Parameter) and other.weight.persistable
    assert other.weight.optimize_attr == {"learning_rate": 0.3}
    assert other.weight.optimize_attr is not p.optimize_attr
    assert np.array_equal(other.weight.numpy(), p.numpy()) and not np.shares_memory(other.weight._array, p._array)
    loaded = pickle.loads(pickle.dumps(p))
    assert isinstance(loaded, Parameter) and loaded.name == p.name and np.array_equal(loaded.numpy(), p.numpy())
    assert loaded.optimize_attr == {"learning_rate": 0.3} and loaded.trainable


def test_create_parameter():
    assert gpuflow.create_parameter([2], "float32").name == "create_parameter_0.w_0"
    assert gpuflow.create_parameter([2], "float32", is_bias=True).name == "create_parameter_1.b_0"
    assert gpuflow.create_parameter([2], "float32", name="p").name == "p"
    assert gpuflow.create_parameter([2], "int64", default_initializer=I.Constant(3)).numpy().tolist() == [3, 3]
    with pytest.raises(TypeError, match="an initializer for dtype int64"):
        gpuflow.create_parameter([2], "int64")


# ---- sharing -------------------------------------------------------------------------------------------------------


def test_one_name_is_one_parameter():
    a, b = nn.Linear(3, 3, "w"), nn.Linear(3, 3, gpuflow.ParamAttr(name="w"), bias_attr=False)
    assert a.weight is b.weight
    both = nn.LayerList([a, b])
    assert len(both.parameters()) == 2 and list(both.state_dict()) == ["0.weight", "0.bias", "1.weight"]
    x = gpuflow.to_tensor([[1.0, 2.0, 3.0]])
    (a(x).sum() + b(x).sum()).backward()
    assert a.weight.grad.numpy()[:, 0].tolist() == [2, 4, 6]   # both uses


def test_another_shape_or_dtype_is_refused_naming_both():
    first = nn.Linear(3, 4, "w")
    with pytest.raises(ValueError, match=r"'w'.*\[3, 4\].*float32.*\[3, 5\]") as told:
        nn.Linear(3, 5, "w")
    assert "unique_name.guard" in str(told.value)
    with pytest.raises(ValueError, match=r"float32.*float64"):
        gpuflow.create_parameter([3, 4], "float64", attr=gpuflow.ParamAttr("w"))
    assert first.weight.shape == [3, 4]


@pytest.mark.parametrize(("first", "second", "words"), [
    ({"learning_rate": 0.1}, {"learning_rate": 0.5}, r"learning_rate=0.1.*learning_rate=0.5"),
    ({}, {"learning_rate": 0.5}, r"learning_rate=1.0.*learning_rate=0.5"),
    ({"regularizer": L2Decay(0.1)}, {"regularizer": L1Decay(0.1)}, r"L2Decay.*L1Decay"),
    ({}, {"trainable": False}, r"trainable=True.*trainable=False"),
    ({}, {"need_clip": False}, r"need_clip=True.*need_clip=False"),
    ({"initializer": I.Constant(1.0)}, {"initializer": I.Constant(2.0)},
     r"Constant\(value=1.0\).*Constant\(value=2.0\)"),
    ({"initializer": I.Assign(np.ones((2, 2)))}, {"initializer": I.Assign(np.zeros((2, 2)))}, r"Assign.*Assign"),
    ({}, {"initializer": I.Normal()}, r"initializer=None.*Normal"),
])
def test_conflicting_attributes_are_refused_showing_both(first, second, words):
    keep = nn.Linear(2, 2, gpuflow.ParamAttr("w", **first))
    with pytest.raises(ValueError, match=words):
        nn.Linear(2, 2, gpuflow.ParamAttr("w", **second))
    assert keep is not None


def test_equal_attributes_and_attributes_left_out_agree():
    def attr():
        return gpuflow.ParamAttr("w", I.Assign(np.ones((2, 2))), 0.5, L2Decay(0.1), need_clip=False)

    a, b, c = nn.Linear(2, 2, attr()), nn.Linear(2, 2, attr()), nn.Linear(2, 2, "w")
    assert a.weight is b.weight is c.weight and c.weight.optimize_attr == {"learning_rate": 0.5}


def test_the_registry_holds_nothing_alive():
    gc.disable()   # reference counts alone must do
    try:
        nn.Linear(2, 2, "w")
        assert registered("w") is None
        again = nn.Linear(3, 3, "w")   # another shape: the name is free
        assert registered("w") is again.weight
    finally:
        gc.enable()


def test_guard_separates_models():
    a = nn.Linear(2, 2, "w")
    with unique_name.guard():
        b = nn.Linear(3, 3, "w")
        assert b.full_name() == "linear_0"
    assert a.weight is not b.weight and nn.Linear(2, 2, "w").weight is a.weight
    with unique_name.guard("left_"):
        assert nn.Linear(2, 2).weight.name == "left_left_linear_0.w_0"   # as Paddle: layer and parameter both take it


def test_generated_names_never_collide():
    mine = nn.Linear(2, 2, "linear_1.w_0")
    other = nn.Linear(2, 2)
    assert other.full_name() == "linear_1" and other.weight.name != "linear_1.w_0"
    assert other.weight is not mine.weight


def test_a_renamed_parameter_is_no_longer_found_under_its_old_name():
    a = nn.Linear(2, 2, "w")
    a.weight.name = "v"
    assert nn.Linear(2, 2, "w").weight is not a.weight


# ---- weights made of two parameters ----------------------------------------------------------------------------------

def split(dim=1, **said):
    return nn.Linear(3, 4, weight_attr=WeightNormParamAttr(dim, **said))


@pytest.mark.parametrize("dim", [None, 0, 1])
def test_weight_norm_attr_does_what_weight_norm_does_to_a_layer(dim):
    start = I.Assign(np.arange(12, dtype=np.float32).reshape(3, 4) - 4)
    ours, theirs = split(dim, initializer=start), nn.Linear(3, 4, weight_attr=start)
    np.testing.assert_allclose(ours.weight.numpy(), theirs.weight.numpy(), rtol=1e-6)
    theirs = nn.utils.weight_norm(theirs, dim=dim)
    x = gpuflow.ones([2, 3])
    for layer in (ours, theirs):
        opt = gpuflow.optimizer.Momentum(0.1, parameters=layer.parameters())
        for _ in range(3):
            layer(x).square().mean().backward()
            opt.step()
            opt.clear_grad()
    assert sorted(ours.state_dict()) == sorted(theirs.state_dict()) == ["bias", "weight_g", "weight_v"]
    for key, value in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[key].numpy(), value.numpy())


def test_weight_norm_attr_trains_as_in_paddles_static_mode():
    """Four steps of Momentum with rate factor and penalty; Paddle 3.3.1 (dim=None, its
    old program format)."""
    start = I.Assign(np.arange(12, dtype=np.float32).reshape(3, 4) / 7 - 0.6)
    layer = split(None, initializer=start, learning_rate=0.5, regularizer=L2Decay(0.1))
    opt = gpuflow.optimizer.Momentum(0.02, parameters=layer.parameters())
    x = gpuflow.to_tensor(np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3))
    for _ in range(4):
        loss = layer(x).square().sum()
        loss.backward()
        opt.step()
        opt.clear_grad()
    np.testing.assert_allclose([loss.item(), layer.weight_g.item()], [1.3652173, 1.5259141], rtol=1e-6)
    np.testing.assert_allclose(layer.weight_v.numpy()[[0, -1], [0, -1]], [-0.6200829, 0.9106024], rtol=1e-6)


def test_both_parts_of_a_weight_norm_have_what_the_attr_says():
    layer = split(name="w", learning_rate=0.5, regularizer=L2Decay(0.1), need_clip=False)
    v, g, bias = layer.parameters()
    assert [v.name, g.name] == ["w_v", "w_g"] and [v.shape, g.shape, bias.shape] == [[3, 4], [4], [4]]
    for p in (v, g):
        assert p.optimize_attr == {"learning_rate": 0.5} and p.regularizer == L2Decay(0.1)
        assert not p.need_clip and not p.do_model_average and p.trainable
    assert all(not p.trainable for p in split(trainable=False).parameters()[:2])
    assert repr(WeightNormParamAttr(0, "w")) == "WeightNormParamAttr(name='w', do_model_average=False, dim=0)"


def test_layers_share_both_parts_by_name():
    one, two, other = split(name="w"), split(name="w"), split()
    assert one.weight_v is two.weight_v and one.weight_g is two.weight_g is not other.weight_g
    assert other.weight_v.name.removesuffix("_v") == other.weight_g.name.removesuffix("_g")
    assert copy.deepcopy(one)(gpuflow.ones([1, 3])).shape == [1, 4]
    with pytest.raises(ValueError, match=r"dim=1.*dim=0"):
        split(0, name="w")
    with pytest.raises(ValueError, match=r"rate=1\.0.*rate=2\.0"):
        split(name="w", learning_rate=2.0)


@pytest.mark.parametrize("bad, error", [
    (lambda: split(2), ValueError), (lambda: split(-1), TypeError), (lambda: split("1"), TypeError),
    (lambda: gpuflow.create_parameter([2], "float32", attr=WeightNormParamAttr(0)), TypeError)])
def test_weight_norm_attr_refuses(bad, error):
    with pytest.raises(error, match=r"dim|layer"):
        bad()
