"""The public names of paddle.nn 3.3.1 and their parameters: all here and alike, but for what the two tables say."""
import inspect
import json
from pathlib import Path

import pytest

from gpuflow import nn

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "nn_signatures.json").read_text())
ROOMS = {"nn": nn, "functional": nn.functional, "initializer": nn.initializer}

MISSING = {   # room -> names left out: sparse attention; the parts of a mixture of experts over several GPUs, which
    # Paddle has for bfloat16 and float8 on Hopper GPUs only
    "nn": "",
    "functional": "moe_permute moe_unpermute sparse_attention",
    "initializer": "",
}
DIFFERENT = {   # name -> why its parameters are not Paddle's
    "nn.ClipGradByNorm": "takes a norm_type", "nn.ClipGradByGlobalNorm": "takes a norm_type",
    "nn.KLDivLoss": "takes a name like every other layer", "nn.MSELoss": "takes a name like every other layer",
    "nn.Parameter": "names what Paddle hides in *args and **kwargs",
    **{f"functional.{name}": "no out=" for name in ("sigmoid", "softmax", "tanh")},
    "functional.softplus": "defaults are floats", "functional.triplet_margin_loss": "p is a float",
    "initializer.Bilinear": "has no __init__",
}
NAMES = [(room, name) for room, names in GOLDEN.items() for name in names if name not in MISSING[room].split()]


def parameters(thing) -> list:
    function = thing.__init__ if inspect.isclass(thing) else thing
    return [[p.name, None if p.default is p.empty else repr(p.default)]
            for p in inspect.signature(function).parameters.values() if p.name != "self"]


@pytest.mark.parametrize(("room", "name"), NAMES)
def test_parameters_are_paddles(room, name):
    thing = getattr(ROOMS[room], name)
    assert name in ROOMS[room].__all__
    if f"{room}.{name}" not in DIFFERENT:
        assert parameters(thing) == GOLDEN[room][name]


def test_the_tables_are_still_needed():
    arrived = [name for room, names in MISSING.items() for name in names.split() if hasattr(ROOMS[room], name)]
    assert not arrived, "no longer missing, delete"
    alike = [f"{room}.{name}" for room, name in NAMES if f"{room}.{name}" in DIFFERENT
             and parameters(getattr(ROOMS[room], name)) == GOLDEN[room][name]]
    assert not alike, "no longer different, delete"
