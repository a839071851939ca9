"""The public names of paddle.optimizer 3.3.1, its schedules, regularizers, amp and nn.utils: here, and called alike."""
import inspect
import json
from functools import reduce
from pathlib import Path

import pytest

import gpuflow
from tests.nn.test_names import parameters

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "strategy_signatures.json").read_text())

NOT_HERE = {f"optimizer.Optimizer.{name}": why for name, why in {
    "get_opti_var_name_list": "names of a static program's variables", "need_refuse": "of Paddle's fused storage",
    "reset_need_refuse": "of Paddle's fused storage", "set_merged_model_params": "of Paddle's fused storage",
    "use_fusion_storage": "of Paddle's fused storage; here storage is always fused"}.items()}
WIDER = {"optimizer.Optimizer": "the rate has the default that its subclasses give it"}


@pytest.mark.parametrize("name", [name for name in GOLDEN if name not in NOT_HERE])
def test_it_is_called_as_in_paddle(name):
    """Ours may take more by keyword."""
    thing = reduce(getattr, name.split("."), gpuflow)
    function = thing.__init__ if inspect.isclass(thing) else thing
    own = {p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY}
    ours = [p for p in parameters(thing) if p[0] not in own]
    expected = GOLDEN[name]
    if name in WIDER:
        ours, expected = ours[1:], expected[1:]
    assert ours == expected


def test_all_are_public():
    rooms = {name.rpartition(".")[0] for name in GOLDEN}
    for room in (room for room in rooms if not room.rpartition(".")[2][0].isupper()):   # the others are classes
        theirs = {name.removeprefix(f"{room}.") for name in GOLDEN if name.rpartition(".")[0] == room}
        assert theirs <= set(reduce(getattr, room.split("."), gpuflow).__all__), room


def test_framework_has_what_lives_elsewhere():
    from gpuflow import framework

    assert framework.ParamAttr is gpuflow.ParamAttr and framework.save is gpuflow.save
    assert all(getattr(framework, name) is not None for name in framework.__all__)
