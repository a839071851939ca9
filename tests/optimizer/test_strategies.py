"""Clips, regularizers, decay, rates and groups: the order and who wins, against a step written by hand in float64."""
import inspect
from xml.etree.ElementTree import fromstring

import numpy as np
import pytest

import gpuflow
from gpuflow import nn, optimizer
from gpuflow.optimizer import strategy
from gpuflow.regularizer import L1Decay, L2Decay
from tests.optimizer.helpers import CLOSE, give, parameter, same, values
from tests.optimizer.reference import Row, step

RNG = np.random.default_rng(11)
STARTS = [RNG.normal(size=shape).astype(np.float32) for shape in ((4, 3), (3,), (2, 2), (5,))]
# Large at first, so that every clip bites, and then small, so that none does.
GRADIENTS = [[(RNG.normal(size=s.shape) * size).astype(np.float32) for s in STARTS] for size in (3.0, 1.0, 0.01)]
VALUE = nn.ClipGradByValue(0.5, -0.2)
OWN = nn.ClipGradByNorm(1.0)
SHARED = nn.ClipGradByGlobalNorm(1.0)
RULES = {"sgd": optimizer.SGD, "adamw": optimizer.AdamW}


def compare(rule, rows, attributes, *, groups=None, missing=(), **kwargs):
    """Three steps of the optimizer and of the reference. rows: keyword arguments of Row, attributes: of parameter."""
    params = [parameter(p, **a) for p, a in zip(STARTS, attributes)]
    expected = [Row(p, **r) for p, r in zip(STARTS, rows)]
    given = params if groups is None else [{**g, "params": [params[k] for k in g["params"]]} for g in groups]
    opt = RULES[rule](0.1, parameters=given, **kwargs)
    for k, gradients in enumerate(GRADIENTS):
        gradients = [None if (k, i) in missing or params[i].stop_gradient else g for i, g in enumerate(gradients)]
        give(*[(p, g) for p, g in zip(params, gradients) if g is not None])
        opt.step()
        opt.clear_grad()
        step(expected, gradients, 0.1, rule)
    for p, row in zip(params, expected):
        np.testing.assert_allclose(p.numpy(), row.p, rtol=2e-6, atol=5e-7)   # three steps of float32 roundings near 1
    return params, opt


NOTHING = [{}] * 4
V = {"clip": "value", "bounds": (-0.2, 0.5)}
N = {"clip": "own norm", "bounds": 1.0}


def G(group=0, bounds=1.0):
    return {"clip": "shared norm", "bounds": bounds, "group": group}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("clip, row", [(VALUE, V), (OWN, N), (SHARED, G())], ids=["value", "own", "shared"])
def test_clips(rule, clip, row):
    compare(rule, [{**row, "decay": 0.01 if rule == "adamw" else 0.0}] * 4, NOTHING, grad_clip=clip)


@pytest.mark.parametrize("clip, row", [(VALUE, V), (OWN, N), (SHARED, G())], ids=["value", "own", "shared"])
@pytest.mark.parametrize("decay, penalty",
                         [(0.3, {"l2": 0.3}), (L2Decay(0.3), {"l2": 0.3}), (L1Decay(0.3), {"l1": 0.3})])
def test_clip_comes_before_regularisation(clip, row, decay, penalty):
    compare("sgd", [{**row, **penalty}] * 4, NOTHING, grad_clip=clip, weight_decay=decay)


@pytest.mark.parametrize("clip, row", [(VALUE, V), (OWN, N), (SHARED, G())], ids=["value", "own", "shared"])
def test_need_clip_false_is_out_of_clip_and_norm(clip, row):
    compare("sgd", [row, {}, row, {}], [{}, {"need_clip": False}] * 2, grad_clip=clip)


def test_parameters_without_gradient_are_out_of_the_norm():
    compare("sgd", [G()] * 4, NOTHING, grad_clip=SHARED, missing={(0, 0), (1, 2), (2, 3)})
    compare("adamw", [{**G(), "decay": 0.01}] * 4, NOTHING, grad_clip=SHARED, missing={(0, 0), (1, 2), (2, 3)})


def test_frozen_parameters_are_out_of_everything():
    params, opt = compare("adamw", [{**G(), "decay": 0.01}] * 3 + [{}], [{}, {}, {}, {"trainable": False}],
                          grad_clip=SHARED)
    same([params[3].numpy()], [STARTS[3]])
    assert [row["parameter"] for row in opt.explain()] == [p.name for p in params[:3]]
    assert opt.explain().frozen == [params[3].name]


def test_a_parameters_own_regularizer_wins():
    own = [{"regularizer": L1Decay(0.2)}, {"regularizer": L2Decay(0.2)}, {"regularizer": L2Decay(0.0)}, {}]
    compare("sgd", [{"l1": 0.2}, {"l2": 0.2}, {}, {"l2": 0.4}], own, weight_decay=0.4)
    compare("adamw", [{"l1": 0.2}, {"l2": 0.2}, {}, {"decay": 0.4}], own, weight_decay=0.4)
    groups = [{"params": [0, 1, 2, 3], "weight_decay": 0.5}]
    compare("sgd", [{"l1": 0.2}, {"l2": 0.2}, {}, {"l2": 0.5}], own, groups=groups, weight_decay=0.4)
    compare("adamw", [{"l1": 0.2}, {"l2": 0.2}, {}, {"decay": 0.5}], own, groups=groups, weight_decay=0.4)


def test_a_groups_decay_wins_over_the_optimizers():
    groups = [{"params": [0], "weight_decay": 0.5}, {"params": [1], "weight_decay": 0.0}, {"params": [2, 3]}]
    compare("sgd", [{"l2": 0.5}, {}, {"l2": 0.1}, {"l2": 0.1}], NOTHING, groups=groups, weight_decay=0.1)
    compare("adamw", [{"decay": 0.5}, {}, {"decay": 0.1}, {"decay": 0.1}], NOTHING, groups=groups, weight_decay=0.1)


def test_rates_multiply():
    groups = [{"params": [0, 1], "learning_rate": 0.5}, {"params": [2, 3]}]
    attributes = [{"learning_rate": 3.0}, {}, {"learning_rate": 0.2}, {}]
    compare("sgd", [{"rate": 1.5}, {"rate": 0.5}, {"rate": 0.2}, {}], attributes, groups=groups)
    _, opt = compare("adamw", [{"rate": r, "decay": 0.01} for r in (6.0, 0.5, 0.4, 1.0)], attributes, groups=groups,
                     lr_ratio=lambda p: {(4, 3): 4.0, (2, 2): 2.0}.get(tuple(p.shape), 1.0))
    assert [row["rate"] for row in opt.explain()] == pytest.approx([6.0, 0.5, 0.4, 1.0])
    assert opt.explain()[0]["source"]["rate"] == "ParamAttr 3 × group 0 0.5 × lr_ratio 4"


def test_a_scheduler_decides_the_rate():
    p = parameter([1.0])
    schedule = optimizer.lr.StepDecay(0.1, step_size=1, gamma=0.5)
    opt = optimizer.SGD(schedule, parameters=[p])
    for expected in (0.9, 0.85, 0.825):
        give((p, [1.0]))
        opt.step()
        opt.clear_grad()
        schedule.step()
        assert p.item() == pytest.approx(expected, rel=1e-6)
    assert opt.get_lr() == pytest.approx(0.0125)


def test_a_schedule_of_one_parameter():
    p, q = parameter([1.0], learning_rate=optimizer.lr.StepDecay(0.5, step_size=1, gamma=0.5)), parameter([1.0])
    opt = optimizer.SGD(0.1, parameters=[p, q])
    for _ in range(2):
        give((p, [1.0]), (q, [1.0]))
        opt.step()
        opt.clear_grad()
        p.optimize_attr["learning_rate"].step()
    np.testing.assert_allclose([p.item(), q.item()], [1 - 0.05 - 0.025, 0.8], rtol=1e-6)


def test_decay_filter():
    params = [parameter(p, name=f"filter.{k}") for k, p in enumerate(STARTS)]
    opt = optimizer.AdamW(0.1, parameters=params, weight_decay=0.3,
                          apply_decay_param_fun=lambda name: name != "filter.1")
    assert [row["decay"] for row in opt.explain()] == [0.3, 0.0, 0.3, 0.3]
    assert opt.explain()[1]["source"]["decay"] == "off: apply_decay_param_fun"


def test_groups_have_norms_and_clips_of_their_own():
    groups = [{"params": [0, 1]}, {"params": [2]}, {"params": [3], "grad_clip": VALUE}]
    compare("sgd", [G(0), G(0), G(1), V], NOTHING, groups=groups, grad_clip=SHARED)
    only = [{"params": [0, 1], "grad_clip": OWN}, {"params": [2, 3]}]
    compare("sgd", [N, N, {}, {}], NOTHING, groups=only)


def test_a_group_name_joins_norms():
    together = nn.ClipGradByGlobalNorm(1.0, group_name="all")
    groups = [{"params": [0, 1]}, {"params": [2], "grad_clip": nn.ClipGradByGlobalNorm(1.0, group_name="all")},
              {"params": [3], "grad_clip": SHARED}]
    compare("sgd", [G("all"), G("all"), G("all"), G(2)], NOTHING, groups=groups, grad_clip=together)
    other = nn.ClipGradByGlobalNorm(2.0, group_name="all")
    with pytest.raises(ValueError, match="one clip_norm for the shared norm 'all'"):
        optimizer.SGD(0.1, parameters=[{"params": [parameter([1.0])], "grad_clip": together},
                                       {"params": [parameter([1.0])], "grad_clip": other}])


# What Paddle's groups may say of each rule, and for ours as well: {optimizer: options of one group}.
OPTIONS = {
    "Momentum": {"momentum": 0.5, "use_nesterov": True, "rescale_grad": 0.25}, "Adagrad": {
        "epsilon": 0.1, "initial_accumulator_value": 0.3}, "Adadelta": {"rho": 0.5, "epsilon": 1e-2},
    "RMSProp": {"rho": 0.5, "epsilon": 1e-2, "momentum": 0.9, "centered": True}, "Adam": {
        "beta1": 0.5, "beta2": 0.8, "epsilon": 1e-2}, "AdamW": {
        "beta1": 0.5, "beta2": 0.8, "epsilon": 1e-2, "weight_decay": 0.3}, "Adamax": {
        "beta1": 0.5, "beta2": 0.8, "epsilon": 1e-2}, "NAdam": {
        "beta1": 0.5, "beta2": 0.8, "epsilon": 1e-2, "momentum_decay": 0.1}, "RAdam": {
        "beta1": 0.5, "beta2": 0.8, "epsilon": 1e-2}, "Lamb": {
        "beta1": 0.5, "beta2": 0.8, "epsilon": 1e-2, "lamb_weight_decay": 0.3, "always_adapt": True}, "Lion": {
        "beta1": 0.95, "beta2": 0.2}}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("late", [False, True])
def test_rule_options_of_a_group(name, late):
    """Two groups of one optimizer do what an optimizer for each does; the second may join in mid-training."""
    cls, options, start = getattr(optimizer, name), OPTIONS[name], np.array([1.0, -2.0, 3.0])
    decay = {"weight_decay": 0.1} if "weight_decay" in inspect.signature(cls).parameters else {}
    p, q, r, s = (parameter(start) for _ in range(4))
    special = {"params": [p], **options}
    both = cls(learning_rate=0.1, parameters=[{"params": [q]}] if late else [special, {"params": [q]}], **decay)
    alone = [cls(learning_rate=0.1, parameters=[r], **{**decay, **options}),
             cls(learning_rate=0.1, parameters=[s], **decay)]
    for k in range(5):
        if late and k == 2:
            both.add_param_group(special)
        given = (q, s) if late and k < 2 else (p, q, r, s)
        g = np.random.default_rng(k).normal(size=3)
        give(*[(x, g) for x in given])
        for opt in (both, *alone):
            opt.step()
            opt.clear_grad()
    for mine, theirs in ((p, r), (q, s)):
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), **CLOSE)
    assert not np.allclose(p.numpy(), q.numpy(), atol=1e-3)
    told = {row["parameter"]: row["options"] for row in both.explain()}
    assert told == {p.name: alone[0].explain()[0]["options"], q.name: alone[1].explain()[0]["options"]}


def test_a_group_of_lamb_says_what_has_no_decay():
    p, q = parameter([1.0, 2.0]), parameter([1.0, 2.0])
    opt = optimizer.Lamb(0.1, parameters=[{"params": [p], "exclude_from_weight_decay_fn": lambda x: x is p}, {
        "params": [q]}])
    assert [row["decay"] for row in opt.explain()] == [0, 0.01]
    with pytest.raises(TypeError, match="a function or None"):
        optimizer.Lamb(0.1, parameters=[{"params": [p], "exclude_from_weight_decay_fn": "bias"}])


def test_what_a_parameter_says_may_change_between_steps():
    p, q = parameter([1.0, -1.0]), parameter([2.0])
    opt = optimizer.SGD(0.1, parameters=[p, q], grad_clip=nn.ClipGradByValue(0.5))
    rows = [Row([1.0, -1.0], clip="value", bounds=(-0.5, 0.5)), Row([2.0], clip="value", bounds=(-0.5, 0.5))]
    changes = [lambda: None, lambda: p.optimize_attr.update(learning_rate=3.0),
               lambda: setattr(p, "regularizer", L2Decay(0.3)), lambda: setattr(q, "need_clip", False)]
    mirrored = [lambda: None, lambda: setattr(rows[0], "rate", 3.0), lambda: setattr(rows[0], "l2", 0.3),
                lambda: setattr(rows[1], "clip", None)]
    for change, mirror in zip(changes, mirrored):
        change()
        mirror()
        give((p, [1.0, 2.0]), (q, [-3.0]))
        opt.step()
        opt.clear_grad()
        step(rows, [[1.0, 2.0], [-3.0]], 0.1, "sgd")
        np.testing.assert_allclose(p.numpy(), rows[0].p, **CLOSE)
        np.testing.assert_allclose(q.numpy(), rows[1].p, **CLOSE)


# ---- a rate of 0 ---------------------------------------------------------------------------------------------------

RATED = {"SGD": {}, "Momentum": {}, "Adagrad": {}, "Adadelta": {}, "RMSProp": {"momentum": 0.9}, "Adam": {},
         "AdamW": {}, "Adamax": {}, "NAdam": {}, "RAdam": {}, "ASGD": {}, "Rprop": {}, "Lamb": {}, "Lion": {}}


@pytest.mark.parametrize("name, clip", [*((name, SHARED) for name in RATED), ("SGD", None), ("AdamW", None)])
def test_rate_zero_never_moves(name, clip):
    """From the start, and also when the rate becomes 0 while moments and velocity are on their way."""
    p, q = parameter([1.0, -2.0]), parameter([1.0, -2.0], learning_rate=0.0)
    opt = getattr(optimizer, name)(0.1, parameters=[p, q], grad_clip=clip, **RATED[name])
    give((p, [1.0, 2.0]), (q, [1.0, 2.0]))
    opt.step()
    same([q.numpy()], [np.array([1.0, -2.0], np.float32)])
    assert opt.state_dict()["steps"][q.name] == 0   # with a norm that its gradient counts in, and without
    moved = p.numpy()
    assert (moved != [1.0, -2.0]).all()
    p.optimize_attr["learning_rate"] = 0.0
    opt.step()
    same([p.numpy(), q.numpy()], [moved, np.array([1.0, -2.0], np.float32)])
    q.optimize_attr["learning_rate"] = 1.0
    opt.step()
    assert (q.numpy() != [1.0, -2.0]).all()


def test_rate_zero_counts_in_the_shared_norm():
    compare("sgd", [{**G(), "rate": 0.0}, G(), G(), G()], [{"learning_rate": 0.0}, {}, {}, {}], grad_clip=SHARED)


def test_numbers_may_come_in_a_tensor():
    def trained(number):
        p = parameter(STARTS[0])
        opt = optimizer.AdamW(0.1, number(0.5), number(0.75), number(0.25), weight_decay=number(0.125), parameters=[p])
        give((p, GRADIENTS[0][0]))
        opt.step()
        return values(p)

    same(trained(float), trained(lambda x: gpuflow.to_tensor([x])))
    with pytest.raises(ValueError, match="beta1"):
        optimizer.Adam(beta1=gpuflow.to_tensor(1.5), parameters=[])
    with pytest.raises(TypeError, match="beta1"):
        optimizer.Adam(beta1=gpuflow.ones([2]), parameters=[])


# ---- explain -------------------------------------------------------------------------------------------------------

def test_explain():
    w = parameter(STARTS[0], name="explain.w", regularizer=L1Decay(0.2))
    b = parameter(STARTS[1], name="explain.b", need_clip=False)
    f = parameter(STARTS[2], name="explain.f", trainable=False)
    opt = optimizer.AdamW(0.1, parameters=[{"params": [w, f], "learning_rate": 0.5}, {"params": [b], "beta1": 0.5}],
                          weight_decay=0.3, grad_clip=SHARED)
    table = opt.explain()
    assert [row["parameter"] for row in table] == ["explain.w", "explain.b"] and table.frozen == ["explain.f"]
    first, second = table
    assert first | {"options": None, "source": None} == {
        "parameter": "explain.w", "shape": [4, 3], "dtype": "float32", "rate": 0.5, "l1": 0.2, "l2": 0.0, "decay": 0.0,
        "clip": "shared norm", "clip_bounds": 1.0, "norm_group": 0, "options": None, "lazy": False, "source": None}
    assert first["source"] == {"rate": "group 0 0.5", "l1": "ParamAttr", "decay": "off: ParamAttr has a regularizer",
                               "clip": "optimizer", "options": "optimizer"}
    assert second["decay"] == 0.3 and second["clip"] == "none" and second["options"]["beta1"] == 0.5
    assert second["source"] == {"rate": "default", "decay": "optimizer", "clip": "off: need_clip=False",
                                "options": "group 1: beta1"}
    text = str(table)
    assert text.splitlines()[0].split()[:4] == ["parameter", "shape", "dtype", "rate"]
    assert "shared norm 1 of group 0" in text and "beta1=0.5 beta2=0.999" in text
    assert "off: need_clip=False" in text and "frozen, no row: explain.f" in text
    page = fromstring(f"<body>{table._repr_html_()}</body>")
    assert [[cell.text or "" for cell in line] for line in page.iter("tr")] == [
        [*table.HEADER], *[[cell.strip() for cell in strategy._cells(row)] for row in table]]
    assert page.find("p").text == "frozen, no row: explain.f"


def test_explain_in_a_notebook_escapes_names():
    w = parameter(STARTS[0], name="<b>&w")
    assert "&lt;b&gt;&amp;w" in optimizer.SGD(0.1, parameters=[w]).explain()._repr_html_()


# ---- what is refused -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("arguments, error, message", [
    (lambda p: {"parameters": None}, AttributeError, "parameters=model.parameters()"),
    (lambda p: {"parameters": p}, TypeError, "a list of parameters"),
    (lambda p: {"parameters": {p}}, TypeError, "a list of parameters"),
    (lambda p: {"parameters": {"params": [p]}}, TypeError, "a list of parameters"),
    (lambda p: {"parameters": [p, "w"]}, TypeError, "got str"),
    (lambda p: {"parameters": [{"lr": 0.1}]}, TypeError, "'params'"),
    (lambda p: {"parameters": [{"params": [p], "lr": 0.1}]}, TypeError, r"unknown \['lr'\]"),
    (lambda p: {"parameters": [{"params": [p], "beta1": 0.1}]}, TypeError, r"unknown \['beta1'\]"),
    (lambda p: {"parameters": [{"params": [p], "learning_rate": "slow"}]}, TypeError, "'slow'"),
    (lambda p: {"parameters": [{"params": [p], "grad_clip": 1.0}]}, TypeError, "ClipGradByValue"),
    (lambda p: {"parameters": [{"params": [p], "weight_decay": -0.1}]}, ValueError, "-0.1"),
    (lambda p: {"parameters": [p * 2]}, ValueError, "leaves of the graph"),
    (lambda p: {"parameters": [gpuflow.to_tensor([1, 2])]}, TypeError, "int64"),
    (lambda p: {"parameters": [p], "learning_rate": -1.0}, ValueError, "-1.0"),
    (lambda p: {"parameters": [p], "learning_rate": "fast"}, TypeError, "'fast'"),
    (lambda p: {"parameters": [p], "weight_decay": "much"}, TypeError, "'much'"),
    (lambda p: {"parameters": [p], "weight_decay": float("nan")}, ValueError, "nan"),
    (lambda p: {"parameters": [p], "grad_clip": 1.0}, TypeError, "ClipGradByValue"),
    (lambda p: {"parameters": [p], "on_nonfinite": "ignore"}, ValueError, "'skip'"),
])
def test_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        optimizer.SGD(**{"learning_rate": 0.1, **arguments(parameter([1.0]))})


def test_a_rate_scales_the_steps_of_rprop():
    """Paddle does not look at it there."""
    p, q = parameter([1.0]), parameter([1.0], learning_rate=0.5)
    opt = optimizer.Rprop(0.1, learning_rate_range=(0.01, 1.0), parameters=[p, q])
    for _ in range(2):
        give((p, [2.0]), (q, [2.0]))
        opt.step()
        opt.clear_grad()
    np.testing.assert_allclose([p.item(), q.item()], [0.78, 0.89], rtol=1e-6)   # 0.1, then 0.1 · 1.2
