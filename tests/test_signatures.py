"""Public functions and tensor methods take Paddle's parameters: the same names, order and defaults."""
import inspect
import json
from pathlib import Path

import pytest

import gpuflow
from gpuflow.functional import activation, creation, linalg, manipulation, math, random, reduction, search
from tests.golden.make_signatures import parameters

GOLDEN = json.loads((Path(__file__).parent / "golden" / "signatures.json").read_text())

# Functions whose signature is not compared, and why.
DIFFERENT = {
    "swapaxes": "Paddle shows transpose's, and takes axis0 and axis1 like ours",
    "swapdims": "Paddle shows transpose's, and takes axis0 and axis1 like ours",
    "permute": "ours takes the axes one by one as well as in a list",
    "repeat": "ours takes the repeats one by one as well as in a list",
    **dict.fromkeys(("new_empty", "new_ones", "new_zeros"), "ours take the sizes one by one as well as in a list"),
    "softmax": "the method: Paddle shows a wrapper's parameters, and takes axis like ours",
    "true_divide": "the second operand is y in every function here",
    **dict.fromkeys(("deserialize_persistables", "save_inference_model", "serialize_persistables", "serialize_program"),
                    "ours need no executor; Paddle takes program among its keywords"),
    "scatter_": "Paddle shows none", "to": "Paddle shows none",
}


def _functions():
    for family in (creation, linalg, manipulation, math, random, reduction, search):
        yield from (("paddle", name, getattr(gpuflow, name)) for name in family.__all__)
    yield from (("functional", name, getattr(activation, name)) for name in activation.__all__)
    for owner, room in (("static", gpuflow.static), ("static.nn", gpuflow.static.nn)):
        yield from ((owner, name, getattr(room, name)) for name in room.__all__
                    if inspect.isfunction(getattr(room, name)))
    yield from (("Tensor", name, getattr(gpuflow.Tensor, name)) for name in dir(gpuflow.Tensor)
                if not name.startswith("_") and inspect.isfunction(getattr(gpuflow.Tensor, name)))


@pytest.mark.parametrize(("owner", "name", "function"), [pytest.param(*f, id=f"{f[0]}.{f[1]}") for f in _functions()])
def test_parameters(owner, name, function):
    if name not in GOLDEN[owner] or name in DIFFERENT:
        pytest.skip(DIFFERENT.get(name, "Paddle has none, or tells no signature"))
    theirs, ours = GOLDEN[owner][name], parameters(function)
    if owner == "Tensor":  # whatever the tensor itself is called
        theirs, ours = theirs[1:], ours[1:]
    known = dict(theirs)
    unknown = [p for p in ours if p[0] not in known]
    assert not unknown, f"Paddle has no {unknown}; it has {theirs}"
    assert [p for p in theirs if p[0] in dict(ours)] == ours, f"Paddle has {theirs}"
    required = [p for p in theirs if p[1] is None]
    assert required == ours[:len(required)], f"Paddle requires {required}"
