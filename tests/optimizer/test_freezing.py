"""Ways to freeze a part of a network: what moves and what stays, bit for bit, under every optimizer.

Each optimizer runs with weight decay and a shared norm, and after two steps of warming up, so that momentum, moments
and decay would move what a gradient does not. Steps are looked at in pairs: Rprop lets an element whose gradient turned
rest for one.
"""
import numpy as np
import pytest

import gpuflow
from gpuflow import nn, optimizer
from gpuflow.regularizer import L2Decay

NAMES = ("SGD", "Momentum", "Adagrad", "Adadelta", "RMSProp", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "ASGD",
         "Rprop", "Lamb", "Lion")
# Rprop and Lamb take no weight_decay (Lamb has its own decay, on by default); ParamAttr says it for them.
WITHOUT = ("Rprop", "Lamb")
FIRST = {"first.weight", "first.bias"}
NORM = {"norm.weight", "norm.bias"}
STATISTICS = {"norm._mean", "norm._variance"}
LAST = {"last.weight", "last.bias"}
ALL = FIRST | NORM | STATISTICS | LAST


class Net(nn.Layer):
    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(3, 4), nn.BatchNorm1D(4), nn.Linear(4, 2)
        self.cut = False

    def forward(self, x):
        y = self.norm(self.first(x))
        if self.cut:
            y.stop_gradient = True
        return self.last(y.tanh())


def frozen(layer, attribute, value):
    for p in layer.parameters():
        if attribute == "learning_rate":
            p.optimize_attr["learning_rate"] = value
        else:
            setattr(p, attribute, value)


def says(part, attribute, value):
    return lambda net: frozen(getattr(net, part), attribute, value)


def statistics(value):
    return lambda net: setattr(net.norm, "_use_global_stats", value)


# how it is done, how it is undone, what stays
WAYS = {
    "y.stop_gradient": (lambda net: setattr(net, "cut", True), lambda net: setattr(net, "cut", False), FIRST | NORM),
    "p.stop_gradient": (says("first", "stop_gradient", True), says("first", "stop_gradient", False), FIRST),
    "trainable": (says("first", "trainable", False), says("first", "trainable", True), FIRST),
    "learning_rate": (says("first", "learning_rate", 0.0), says("first", "learning_rate", 1.0), FIRST),
    "use_global_stats": (statistics(True), statistics(None), STATISTICS),
    "eval": (lambda net: net.eval(), lambda net: net.train(), STATISTICS),
    "all of batch norm": (lambda net: (statistics(True)(net), says("norm", "trainable", False)(net)),
                          lambda net: (statistics(None)(net), says("norm", "trainable", True)(net)), NORM | STATISTICS),
}


def built(name):
    gpuflow.seed(2)
    net = Net()
    decay = {} if name in WITHOUT else {"weight_decay": 0.1}
    if name in WITHOUT:
        for p in net.parameters():
            p.regularizer = L2Decay(0.1)
    rate = {"Adadelta": 1.0}.get(name, 0.05)
    clip = nn.ClipGradByGlobalNorm(1.0)
    return net, getattr(optimizer, name)(rate, parameters=net.parameters(), grad_clip=clip, **decay)


def moved(net, opt, seed):
    """The names of what one training step changes."""
    before = {key: value.numpy() for key, value in net.state_dict().items()}
    x = gpuflow.to_tensor(np.random.default_rng(seed).normal(size=(8, 3)), dtype="float32")
    (net(x) - 1.0).square().mean().backward()
    opt.step()
    opt.clear_grad()
    return {key for key, value in net.state_dict().items() if value.numpy().tobytes() != before[key].tobytes()}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_what_stays_and_what_moves(name, way):
    freeze, unfreeze, stays = WAYS[way]
    net, opt = built(name)
    assert moved(net, opt, 0) | moved(net, opt, 1) == ALL
    freeze(net)
    assert moved(net, opt, 2) | moved(net, opt, 3) == ALL - stays
    unfreeze(net)
    assert moved(net, opt, 4) | moved(net, opt, 5) == ALL


@pytest.mark.parametrize("name", NAMES)
def test_frozen_from_the_first_step_on(name):
    net, opt = built(name)
    frozen(net.first, "trainable", False)
    frozen(net.norm, "learning_rate", 0.0)
    assert moved(net, opt, 0) == LAST | STATISTICS
    frozen(net.first, "trainable", True)
    frozen(net.norm, "learning_rate", 1.0)
    assert moved(net, opt, 1) | moved(net, opt, 2) == ALL


def test_what_is_frozen_takes_no_part_in_a_shared_norm_and_rate_zero_does():
    """stop_gradient means no gradient; learning_rate=0 means a gradient that counts and an update that does not."""
    norms = {}
    for way in ("none", "trainable", "learning_rate"):
        net, opt = built("SGD")
        if way != "none":
            WAYS[way][0](net)
        moved(net, opt, 0)
        norms[way] = opt.last_grad_norm.item()
    assert norms["learning_rate"] == norms["none"] > norms["trainable"] > 0


def test_what_a_frozen_parameter_knew_is_kept():
    """Momentum goes on where it stopped: a pause equals no pause, when the gradients are those of the other steps."""
    def run(pause):
        net, opt = built("Momentum")
        net.eval()
        for seed in (0, 1, "pause", 2, 3):
            if seed != "pause":
                moved(net, opt, seed)
            elif pause:
                for layer in (net.first, net.norm, net.last):
                    frozen(layer, "trainable", False)
                opt.step()
                for layer in (net.first, net.norm, net.last):
                    frozen(layer, "trainable", True)
        return net.first.weight.numpy()

    np.testing.assert_array_equal(run(True), run(False))
