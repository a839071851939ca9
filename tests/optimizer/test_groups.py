"""Groups by name pattern, and schedules of groups and parameters."""
import numpy as np
import pytest

from gpuflow import nn, optimizer
from gpuflow.optimizer import groups_by_name
from tests.optimizer.helpers import give, parameter, same, values


def model():
    return nn.LayerDict({"encoder": nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)), "head": nn.Linear(2, 1)})


def test_first_match_wins_and_the_rest_comes_last():
    net = model()
    groups = groups_by_name(net, {("*.bias", "*.1.weight"): {"weight_decay": 0.0}, "encoder.*": {"learning_rate": 0.1}})
    of = {id(p): name for name, p in net.named_parameters()}
    assert [[of[id(p)] for p in g["params"]] for g in groups] == [
        ["encoder.0.bias", "encoder.1.bias", "head.bias", "encoder.1.weight"], ["encoder.0.weight"], ["head.weight"]]
    assert groups_by_name(net.named_parameters(), {"*": {}})[0].keys() == {"params", "name"}   # none left: no group
    opt = optimizer.AdamW(0.1, parameters=groups, weight_decay=0.3)
    rows = {of[id(p)]: row for p, row in zip(opt._groups.params, opt.explain())}
    assert {name: row["decay"] for name, row in rows.items()} == {
        "encoder.0.weight": 0.3, "encoder.1.weight": 0.0, "head.weight": 0.3, "encoder.0.bias": 0.0,
        "encoder.1.bias": 0.0, "head.bias": 0.0}
    assert rows["encoder.0.weight"]["rate"] == pytest.approx(0.1)
    assert rows["encoder.0.weight"]["source"]["rate"] == "group 'encoder.*' 0.1"
    assert rows["head.bias"]["source"]["decay"] == "group '*.bias, *.1.weight'"


def test_a_shared_parameter_goes_by_any_of_its_names():
    net = model()
    net["tied"] = nn.Linear(2, 1)
    net["tied"].weight = net["head"].weight
    first, rest = groups_by_name(net, {"tied.weight": {"learning_rate": 0.0}})
    assert [p is net["head"].weight for p in first["params"]] == [True]
    assert len(rest["params"]) == len(net.parameters()) - 1


@pytest.mark.parametrize("patterns, message", [
    ({"*.biases": {}}, r"'\*\.biases'"), ({"*": {}, "head.*": {}}, "earlier patterns have taken"),
    ({"*.bias": {"params": []}}, "options of a group")])
def test_patterns_without_effect_are_refused(patterns, message):
    with pytest.raises(ValueError, match=message):
        groups_by_name(model(), patterns)


def test_what_is_no_named_parameter_is_refused():
    with pytest.raises(TypeError, match="named_parameters"):
        groups_by_name([parameter([1.0])], {"*": {}})


def scheduled(seed=None):
    """A group whose factor is a schedule, a parameter whose factor is one, and a schedule of the rate itself."""
    lr = optimizer.lr
    main, group, own = lr.ExponentialDecay(0.1, 0.5), lr.StepDecay(1.0, 2, 0.1), lr.LinearWarmup(1.0, 4, 0.0, 1.0)
    p, q, r = parameter([1.0, 2.0]), parameter([1.0, 2.0], learning_rate=own), parameter([1.0, 2.0])
    opt = optimizer.Momentum(main, 0.9, parameters=[
        {"params": [p], "learning_rate": group, "name": "slow"}, {"params": [q, r]}])
    return [p, q, r], opt, (main, group, own)


def run(params, opt, schedules, steps):
    moved = []
    for _ in range(steps):
        before = values(params)
        give(*[(p, [1.0, -1.0]) for p in params])
        opt.step()
        opt.clear_grad()
        moved.append([a[0] - b[0] for a, b in zip(before, values(params))])
        for schedule in schedules:
            schedule.step()
    return np.array(moved)


def test_schedules_of_groups_and_parameters_are_factors():
    params, opt, schedules = scheduled()
    assert opt.explain()[0]["source"]["rate"] == "group 'slow' StepDecay 1"
    rates = np.array([0.1, 0.05, 0.025, 0.0125])
    velocity = np.cumsum(0.9 ** np.arange(4))
    factors = np.array([[1, 0, 1], [1, 0.25, 1], [0.1, 0.5, 1], [0.1, 0.75, 1]])
    moved = run(params, opt, schedules, 4)
    started = np.array([[v, v, v] for v in velocity])
    started[:, 1] = [0, *velocity[:3]]   # at factor 0 a parameter takes no part: its velocity starts a step later
    np.testing.assert_allclose(moved, rates[:, None] * factors * started, rtol=1e-5, atol=3e-7)
    assert opt.explain()[0]["rate"] == pytest.approx(0.01)


def test_all_schedules_are_saved():
    params, opt, schedules = scheduled()
    run(params, opt, schedules, 3)
    state, weights = opt.state_dict(), values(params)
    state = {k: (v.clone() if hasattr(v, "clone") else v) for k, v in state.items()}
    assert set(state["LR_Schedulers"]) == {"group 0", params[1].name}
    rest = run(params, opt, schedules, 3)
    again, fresh, fresh_schedules = scheduled()
    for p, w in zip(again, weights):
        p.set_value(w)
    fresh.set_state_dict(state)
    same([run(again, fresh, fresh_schedules, 3)], [rest])
    last = state.pop("LR_Schedulers")
    _, fresh, schedules = scheduled()
    before = [schedule.state_dict() for schedule in schedules]
    with pytest.raises(ValueError, match=r"LR_Schedulers\['group 0'\]"):
        fresh.set_state_dict(state)
    with pytest.raises(ValueError, match="missing"):     # the first two fit, and are taken back
        fresh.set_state_dict({**state, "LR_Schedulers": {**last, params[1].name: {}}})
    assert [schedule.state_dict() for schedule in schedules] == before


def test_a_new_group_may_bring_a_schedule():
    p, q = parameter([1.0]), parameter([1.0])
    opt = optimizer.SGD(0.1, parameters=[p])
    give((p, [1.0]))
    opt.step()
    schedule = optimizer.lr.StepDecay(1.0, 1, 0.5)
    opt.add_param_group({"params": [q], "learning_rate": schedule})
    for _ in range(2):
        give((q, [1.0]))
        opt.step()
        q.clear_grad()
        schedule.step()
    assert q.item() == pytest.approx(0.85, rel=1e-6)
