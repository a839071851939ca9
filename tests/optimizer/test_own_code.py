"""Clips and optimizers that users write in Python, and what code written for Paddle calls."""
import numpy as np
import pytest

import gpuflow
from gpuflow import nn, optimizer
from gpuflow.base import framework
from gpuflow.nn.clip import ClipGradBase
from gpuflow.ops.rows import SparseRows
from gpuflow.optimizer import Optimizer
from gpuflow.regularizer import L1Decay, L2Decay
from tests.optimizer.helpers import CLOSE, give, parameter, same, values


class ByMean(ClipGradBase):
    """A joint clip of a user's: all gradients divided by the mean of their absolute values."""

    def __init__(self):
        self.calls = []

    def _dygraph_clip(self, params_grads):
        self.calls.append([p.name for p, _ in params_grads])
        total = sum(float(g.abs().sum()) for _, g in params_grads) / sum(g.size for _, g in params_grads)
        return [(p, g / total) for p, g in params_grads]


class Signs(nn.ClipGradByGlobalNorm):
    """Overrides a clip that has a kernel: its own text counts."""

    def __call__(self, params_grads):
        return [(p, g.sign()) for p, g in params_grads]


# ---- clips ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["SGD", "AdamW", "Momentum"])
def test_a_users_clip_acts_before_the_update(name):
    start = [np.array([1.0, -2.0, 3.0]), np.array([[0.5]]), np.array([2.0])]
    grads = [np.array([4.0, -1.0, 2.0]), np.array([[5.0]]), np.array([7.0])]
    ours = [parameter(a) for a in start[:2]] + [parameter(start[2], need_clip=False)]
    plain = [parameter(a) for a in start]
    clip = ByMean()
    opt = getattr(optimizer, name)(0.1, parameters=ours, weight_decay=0.2, grad_clip=clip)
    twin = getattr(optimizer, name)(0.1, parameters=plain, weight_decay=0.2)
    assert [row["clip"] for row in opt.explain()] == ["ByMean", "ByMean", "none"]
    for k in range(3):
        give(*zip(ours, grads))
        give(*zip(plain, [grads[0] / 3, grads[1] / 3, grads[2]]))   # (4 + 1 + 2 + 5) / 4
        opt.step()
        twin.step()
        if k == 0:
            np.testing.assert_allclose(ours[0].grad.numpy(), grads[0] / 3, rtol=1e-6)
        opt.clear_grad()
        twin.clear_grad()
    assert clip.calls == [[p.name for p in ours[:2]]] * 3
    for a, b in zip(values(ours), values(plain)):
        np.testing.assert_allclose(a, b, **CLOSE)


def test_a_users_clip_is_called_per_group_and_beside_others():
    ours = [parameter([2.0]), parameter([2.0]), parameter([2.0]), parameter([2.0], learning_rate=0.0)]
    clip = ByMean()
    opt = optimizer.SGD(0.1, grad_clip=nn.ClipGradByValue(0.5), parameters=[
        {"params": [ours[0]], "grad_clip": clip}, {"params": [ours[1], ours[3]], "grad_clip": clip},
        {"params": [ours[2]]}])
    give((ours[0], [4.0]), (ours[1], [4.0]), (ours[2], [4.0]), (ours[3], [12.0]))
    opt.step()
    assert clip.calls == [[ours[0].name], [ours[1].name, ours[3].name]]
    np.testing.assert_allclose([p.item() for p in ours], [1.9, 1.95, 1.95, 2.0], rtol=1e-6)   # 4 / ((4 + 12) / 2)


def test_a_subclass_that_overrides_runs_its_own_text():
    p = parameter([1.0, 1.0])
    opt = optimizer.SGD(0.1, parameters=[p], grad_clip=Signs(1.0))
    give((p, [30.0, -40.0]))
    opt.step()
    np.testing.assert_allclose(p.numpy(), [0.9, 1.1], rtol=1e-6)
    assert opt.explain()[0]["clip"] == "Signs"


def test_a_users_clip_of_sparse_gradients():
    class Halve(ClipGradBase):
        def _dygraph_clip(self, params_grads):
            return [(p, SparseRows(g.rows, g.values / 2, g.shape)) for p, g in params_grads]

    p = parameter(np.ones((3, 2)))
    p._grad = SparseRows(np.array([2, 2]), np.array([[1.0, 1.0], [3.0, 5.0]], np.float32), (3, 2))
    optimizer.SGD(0.1, parameters=[p], grad_clip=Halve()).step()
    np.testing.assert_allclose(p.numpy(), [[1, 1], [1, 1], [0.8, 0.7]], rtol=1e-6)


def test_a_clip_that_keeps_back_a_gradient():
    class Drop(ClipGradBase):
        def _dygraph_clip(self, params_grads):
            (first, _), *rest = params_grads
            return [(first, None), *[(p, g * 2) for p, g in rest[:1]]]

    params = [parameter([1.0]) for _ in range(3)]
    opt = optimizer.SGD(0.1, parameters=params, grad_clip=Drop(), weight_decay=0.5)
    give(*[(p, [1.0]) for p in params])
    opt.step()   # no gradient: untouched; doubled; left out of the list: as it was
    np.testing.assert_allclose([p.item() for p in params], [1.0, 0.75, 0.85], rtol=1e-6)


def test_adaptive_norm_clips_unit_by_unit():
    w = np.array([[3.0, 0.0], [4.0, 0.0]], np.float32)          # columns of length 5 and 0
    g = np.array([[0.0, 0.003], [1.0, 0.004]], np.float32)      # columns of length 1 and 0.005
    conv, conv_g = np.ones((2, 1, 2, 2), np.float32), np.stack([np.ones((1, 2, 2)), np.zeros((1, 2, 2))])
    bias, bias_g = np.array([3.0, 4.0]), np.array([30.0, -40.0])
    p, q, b, head = (parameter(w), parameter(conv), parameter(bias), parameter(w, name="agc.head"))
    clip = nn.ClipGradByAdaptiveNorm(0.1, eps=0.01, exclude="*.head")
    opt = optimizer.SGD(1.0, parameters=[p, q, b, head], grad_clip=clip)
    give((p, g), (q, conv_g), (b, bias_g), (head, g))
    opt.step()
    held = g * [0.5 / 1.0, 0.001 / 0.005]
    np.testing.assert_allclose(p.numpy(), w - held, rtol=1e-6)
    np.testing.assert_allclose(q.numpy(), conv - conv_g * [[[[0.1]]], [[[1]]]], rtol=1e-6)
    np.testing.assert_allclose(b.numpy(), bias - np.array([30, -40]) * 0.5 / 50, rtol=1e-6)
    np.testing.assert_allclose(head.numpy(), w - g, rtol=1e-6)
    rows = nn.ClipGradByAdaptiveNorm(0.1, exclude=lambda p: False, unit_axis=0)
    (_, clipped), = rows([(parameter([[3.0, 4.0], [0.3, 0.4]]), gpuflow.to_tensor([[6.0, 8.0], [0.0, 0.01]]))])
    np.testing.assert_allclose(clipped.numpy(), [[0.3, 0.4], [0.0, 0.01]], rtol=1e-6)
    for order in (1, 3, np.inf):     # of one unit, of units, of a gradient in which one is inf
        clip = nn.ClipGradByAdaptiveNorm(0.1, norm_type=order)
        pairs = [(b, gpuflow.to_tensor([30.0, -40.0])), (p, gpuflow.to_tensor([[np.inf, 3.0], [1.0, 4.0]]))]
        (_, of_b), (_, of_p) = clip(pairs)
        start = b.numpy().astype(np.float64)
        np.testing.assert_allclose(np.linalg.norm(of_b.numpy(), order), 0.1 * np.linalg.norm(start, order), rtol=1e-5)
        assert of_b.numpy()[1] / of_b.numpy()[0] == pytest.approx(-4 / 3, rel=1e-6)
        np.testing.assert_allclose(np.linalg.norm(of_p.numpy()[:, 1], order), 0.1 * max(np.linalg.norm(
            p.numpy()[:, 1], order), 1e-3), rtol=1e-5)
        assert np.isnan(of_p.numpy()[0, 0]) and of_p.numpy()[1, 0] == 0
    for bad in ({"clip_factor": 0.0}, {"eps": -1.0}, {"clip_factor": float("nan")}, {"norm_type": 0}):
        with pytest.raises(ValueError, match="AdaptiveNorm"):
            nn.ClipGradByAdaptiveNorm(**bad)


# ---- p-norms ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("p", [1, 3, np.inf])
@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_a_p_norm_clips_before_the_update(name, p):
    start, grads = [[1.0, -2.0], [0.5], [2.0], [3.0]], [[3.0, -4.0], [5.0], [7.0], [0.5]]
    ours = [parameter(a, need_clip=k != 2) for k, a in enumerate(start)]
    plain = [parameter(a) for a in start]
    joint, alone = nn.ClipGradByGlobalNorm(2.0, norm_type=p), nn.ClipGradByNorm(0.25, p)
    opt = getattr(optimizer, name)(0.1, weight_decay=0.2, grad_clip=joint, parameters=[
        {"params": ours[:3]}, {"params": ours[3:], "grad_clip": alone}])
    twin = getattr(optimizer, name)(0.1, parameters=plain, weight_decay=0.2)
    joined = np.array([3.0, 4.0, 5.0])
    factor = 2 / (5 if p == np.inf else (joined ** p).sum() ** (1 / p))
    held = [np.array([3.0, -4.0]) * factor, [5 * factor], [7.0], [0.25]]
    for _ in range(3):
        give(*zip(ours, grads))
        give(*zip(plain, held))
        opt.step()
        twin.step()
        opt.clear_grad()
        twin.clear_grad()
    for a, b in zip(values(ours), values(plain)):
        np.testing.assert_allclose(a, b, **CLOSE)
    rows = opt.explain()
    assert [row["clip"] for row in rows] == [f"shared {p:g}-norm"] * 2 + ["none", f"own {p:g}-norm"]
    assert [row["clip_bounds"] for row in rows] == [2, 2, None, 0.25]
    assert f"shared {p:g}-norm 2 of group 0" in str(rows) and f"own {p:g}-norm 0.25" in str(rows)


def test_p_norms_of_one_group_name_are_one_norm():
    def clip(norm, p):
        return nn.ClipGradByGlobalNorm(norm, group_name="all", norm_type=p)

    params = [parameter([0.0]) for _ in range(3)]
    opt = optimizer.SGD(1.0, grad_clip=clip(4.0, 1), parameters=[
        {"params": params[:1]}, {"params": params[1:2], "grad_clip": clip(4.0, 1)},
        {"params": params[2:], "grad_clip": nn.ClipGradByGlobalNorm(4.0, norm_type=1)}])
    give((params[0], [6.0]), (params[1], [-10.0]), (params[2], [8.0]))
    opt.step()
    np.testing.assert_allclose([q.item() for q in params], [-1.5, 2.5, -4.0], rtol=1e-6)
    for other in (clip(4.0, 2), clip(3.0, 1)):
        with pytest.raises(ValueError, match="shared norm 'all', and one norm_type"):
            optimizer.SGD(1.0, grad_clip=clip(4.0, 1), parameters=[
                {"params": params[:1]}, {"params": params[1:], "grad_clip": other}])


# ---- an optimizer written the way Paddle's are ---------------------------------------------------------------------

class HandMomentum(Optimizer):
    """Momentum as one writes it for Paddle."""

    def __init__(self, learning_rate, momentum, parameters=None, weight_decay=None, grad_clip=None, name=None, **more):
        super().__init__(learning_rate, parameters, weight_decay, grad_clip, name, **more)
        self.type = "momentum"
        self._momentum = momentum

    def _create_accumulators(self, block, parameters):
        for p in parameters:
            self._add_accumulator("velocity", p)

    def _append_optimize_op(self, block, param_and_grad):
        param, grad = param_and_grad
        velocity = self._get_accumulator("velocity", param)
        velocity.set_value(self._momentum * velocity + grad)
        gpuflow.assign(param - self._create_param_lr(param_and_grad) * velocity, param)


STARTS = [np.array([[1.0, -2.0], [3.0, 0.5]]), np.array([2.0, -1.0]), np.array([[0.3]]), np.array([4.0])]


def built(cls, clip=None, decay=None, groups=False, rate=0.1, **more):
    attributes = [{"learning_rate": 2.0}, {"regularizer": L1Decay(0.05)}, {"need_clip": False}, {"learning_rate": 0.0}]
    params = [parameter(a, **b) for a, b in zip(STARTS, attributes)]
    given = params if not groups else [{"params": params[:2], "learning_rate": 0.5}, {
        "params": params[2:], "weight_decay": 0.3, "grad_clip": nn.ClipGradByNorm(0.5)}]
    return params, cls(rate, 0.9, parameters=given, weight_decay=decay, grad_clip=clip, **more)


def train(params, opt, steps=4, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        give(*[(p, rng.normal(size=p.shape)) for p in params])
        opt.step()
        opt.clear_grad()


@pytest.mark.parametrize("clip", [None, nn.ClipGradByValue(0.3), nn.ClipGradByNorm(0.7), nn.ClipGradByGlobalNorm(0.7),
                                  nn.ClipGradByGlobalNorm(0.7, norm_type=3), nn.ClipGradByNorm(0.7, norm_type=1),
                                  ByMean()])
@pytest.mark.parametrize("decay", [None, 0.2, L1Decay(0.2)])
@pytest.mark.parametrize("groups", [False, True])
def test_written_for_paddle_equals_the_rule(clip, decay, groups):
    """Clip, then regulariser, then the update, with ParamAttr, groups, and parameters at rate 0."""
    hand, hand_opt = built(HandMomentum, clip, decay, groups)
    rule, rule_opt = built(optimizer.Momentum, clip, decay, groups)
    train(hand, hand_opt)
    train(rule, rule_opt)
    for a, b in zip(values(hand), values(rule)):
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=5e-7)   # four steps of float32 roundings near 1
    same([hand[3].numpy()], [STARTS[3].astype(np.float32)])
    assert [r["rate"] for r in hand_opt.explain()] == [r["rate"] for r in rule_opt.explain()]


def test_a_schedule_and_parameters_without_gradient():
    schedule = optimizer.lr.StepDecay(0.1, step_size=1, gamma=0.5)
    p, q, frozen = parameter([1.0]), parameter([1.0]), parameter([1.0], trainable=False)
    opt = HandMomentum(schedule, 0.0, parameters=[p, q, frozen], weight_decay=1.0)
    for _ in range(2):
        give((p, [0.0]))
        opt.step()
        opt.clear_grad()
        schedule.step()
    np.testing.assert_allclose([p.item(), q.item(), frozen.item()], [0.9 * 0.95, 1, 1], rtol=1e-6)
    frozen.trainable = True
    give((frozen, [1.0]))
    opt.step()
    assert frozen.item() == pytest.approx(1 - 0.025 * 2, rel=1e-6)


def test_state_goes_on_bit_for_bit(tmp_path):
    clip = nn.ClipGradByGlobalNorm(0.7)
    params, opt = built(HandMomentum, clip, 0.2)
    train(params, opt, 3)
    assert f"{params[0].name}_velocity_0" in opt.state_dict()
    gpuflow.save(opt.state_dict(), str(tmp_path / "hand.pdopt"))
    weights = values(params)
    train(params, opt, 3, seed=5)
    again, fresh = built(HandMomentum, clip, 0.2)     # other names: matched in order
    for p, w in zip(again, weights):
        p.set_value(w)
    fresh.set_state_dict(gpuflow.load(str(tmp_path / "hand.pdopt")))
    train(again, fresh, 3, seed=5)
    same(values(again), values(params))
    assert fresh.state_dict()["steps"][again[0].name] == 6
    with pytest.raises(ValueError, match="does not fit"):
        state = opt.state_dict()
        state[f"{params[0].name}_velocity_0"] = np.zeros((9,), np.float32)
        opt.set_state_dict(state)


def test_accumulators_of_other_shapes_and_types():
    class Counting(HandMomentum):
        def _create_accumulators(self, block, parameters):
            for p in parameters:
                self._add_accumulator("count", p, dtype="int64", shape=[1], fill_value=3)
                assert self._add_accumulator("count", p) is self._get_accumulator("count", p)

        def _append_optimize_op(self, block, param_and_grad):
            count = self._get_accumulator("count", param_and_grad[0])
            count.set_value(count + 1)

    p = parameter([1.0, 2.0])
    opt = Counting(0.1, 0.9, parameters=[p], name="mine")
    give((p, [1.0, 1.0]))
    opt.step()
    state = opt.state_dict()
    assert state[f"{p.name}_mine_count_0"].tolist() == [4]
    again = Counting(0.1, 0.9, parameters=[p], name="mine")
    again.set_state_dict(state)
    again.step()
    assert again._get_accumulator("count", p).tolist() == [5]
    with pytest.raises(KeyError, match="among"):
        again._get_accumulator("velocity", p)


def test_nonfinite_gradients():
    for policy in ("skip", "raise"):
        p, q = parameter([1.0], name=f"hand.{policy}"), parameter([1.0])
        opt = HandMomentum(0.1, 0.9, parameters=[p, q], on_nonfinite=policy)
        give((p, [np.inf]), (q, [1.0]))
        if policy == "raise":
            with pytest.raises(FloatingPointError, match=r"hand\.raise"):
                opt.step()
        else:
            opt.step()
        assert p.item() == q.item() == 1
        opt.clear_grad()
        give((p, [3.0]), (q, [4.0]))
        opt.step()
        assert opt.last_grad_norm.item() == 5 and p.item() == pytest.approx(0.7)


def test_a_groups_options_reach_the_subclass():
    class Grouped(HandMomentum):
        def _update_param_group(self, group):
            self._momentum = group.get("momentum", 0.9)
            return group["params"]

        def _append_optimize_op(self, block, param_and_grad):
            super()._append_optimize_op(block, self._update_param_group(param_and_grad))

    p, q = parameter([1.0]), parameter([1.0])
    opt = Grouped(0.1, 0.9, parameters=[{"params": [p], "momentum": 0.0}, {"params": [q]}])
    for _ in range(2):
        give((p, [1.0]), (q, [1.0]))
        opt.step()
        opt.clear_grad()
    np.testing.assert_allclose([p.item(), q.item()], [0.8, 1 - 0.1 - 0.19], rtol=1e-6)
    with pytest.raises(TypeError, match="momentum"):
        HandMomentum(0.1, 0.9, parameters=[{"params": [p], "momentum": 0.0}])


class AsPaddlesOwn(Optimizer):
    """Momentum as Paddle's own optimizers are written, group by group."""

    _velocity_acc_str = "velocity"

    def __init__(self, learning_rate=0.001, momentum=0.9, parameters=None, weight_decay=None, grad_clip=None):
        super().__init__(learning_rate=learning_rate, parameters=parameters, weight_decay=weight_decay,
                         grad_clip=grad_clip)
        self._multi_precision, self._default_dict = False, {"momentum": momentum}
        self._momentum = momentum

    def _create_accumulators(self, block, parameters):
        assert isinstance(block, framework.Block)
        for p in parameters:
            if p.name in self._already_create_accumulator:
                continue
            assert not (self._multi_precision and self._is_dtype_fp16_or_bf16(p.dtype))
            self._add_accumulator(self._velocity_acc_str, p)
            self._already_create_accumulator.add(p.name)

    def _append_optimize_op(self, block, param_and_grad):
        if isinstance(param_and_grad, dict):
            param_and_grad = self._update_param_group(param_and_grad)
        param, grad = param_and_grad
        velocity = self._get_accumulator_master(self._velocity_acc_str, param)
        block.append_op(type="momentum", inputs={"Param": [param], "Grad": [grad], "Velocity": [velocity],
                                                 "LearningRate": [self._create_param_lr(param_and_grad)]},
                        outputs={"ParamOut": [param], "VelocityOut": [velocity]}, attrs={"mu": self._momentum})

    def _update_param_group(self, parameters):
        self._momentum = parameters.get("momentum", self._default_dict["momentum"])
        return parameters.get("params")


@pytest.mark.parametrize("grouped, weight, bias", [(False, [0.60549, 1.69799], -0.33889),
                                                   (True, [0.63581, 1.721], -0.2793)])
def test_written_as_paddles_own(grouped, weight, bias):
    """The numbers are those of Paddle 3.3.1 with this class (which updated by assign there)."""
    layer = nn.Linear(2, 1)
    layer.weight.set_value(np.array([[1], [2]], np.float32))
    groups = [{"params": [layer.weight], "momentum": 0.5}, {"params": [layer.bias], "learning_rate": 0.5}]
    opt = AsPaddlesOwn(0.1, parameters=groups if grouped else layer.parameters(), weight_decay=0.1,
                       grad_clip=nn.ClipGradByGlobalNorm(1.0))
    assert opt._accumulators == {}
    for k in range(3):
        layer(gpuflow.to_tensor([[1.0, k]])).sum().backward()
        opt.step()
        opt.clear_grad()
    np.testing.assert_allclose([*layer.weight.numpy().ravel(), layer.bias.item()], [*weight, bias], atol=6e-6)
    assert opt._accumulators == {"velocity": {p.name: opt._get_accumulator("velocity", p) for p in layer.parameters()}}
    fused = optimizer.Adam(0.1, parameters=layer.parameters())
    layer(gpuflow.to_tensor([[1.0, 1.0]])).sum().backward()
    fused.step()
    assert sorted(fused._accumulators) == ["moment1", "moment2"]
    fused._accumulators["moment1"][layer.bias.name].set_value(np.array([7.0], np.float32))
    assert fused.state_dict()[f"{layer.bias.name}_moment1_0"].item() == 7


# ---- an optimizer of ours, one parameter at a time -----------------------------------------------------------------

EVERY = {"SGD": {}, "Momentum": {"use_nesterov": True, "rescale_grad": 0.5}, "Adagrad": {
    "initial_accumulator_value": 0.1}, "Adadelta": {}, "RMSProp": {"momentum": 0.9, "centered": True}, "Adam": {
    "amsgrad": True}, "AdamW": {}, "Adamax": {}, "NAdam": {}, "RAdam": {}, "ASGD": {"batch_num": 3}, "Rprop": {},
    "Lamb": {}, "Lion": {}}


def passing_on(name):
    """A subclass that leaves the update to `super()`."""
    def update(self, block, param_and_grad):
        super(cls, self)._append_optimize_op(block, param_and_grad)

    cls = type("PassesOn", (getattr(optimizer, name),), {"_append_optimize_op": update})
    return cls


def each(name, cls=None):
    params = [parameter(a, **b) for a, b in zip(STARTS, ({}, {"learning_rate": 2.0}, {}, {"learning_rate": 0.0}))]
    return params, (cls or getattr(optimizer, name))(learning_rate=0.05, parameters=params, **EVERY[name])


@pytest.mark.parametrize("name", EVERY)
def test_a_rule_one_parameter_at_a_time(name, tmp_path):
    """Called directly, in turn with whole steps, and by a subclass through `super()`: what step() does."""
    params, opt = each(name)
    direct, direct_opt = each(name)
    above, above_opt = each(name, passing_on(name))
    for k in range(6):
        for some, one in ((params, opt), (direct, direct_opt), (above, above_opt)):
            give(*[(p, np.random.default_rng(k).normal(size=p.shape)) for p in some])
            if one is direct_opt and k % 2:
                for p in direct:
                    one._append_optimize_op(None, (p, p.grad))
            else:
                one.step()
            one.clear_grad()
    for a, b, c in zip(values(params), values(direct), values(above)):
        np.testing.assert_allclose(b, a, rtol=2e-6, atol=5e-7)
        np.testing.assert_allclose(c, a, rtol=2e-6, atol=5e-7)
    assert direct_opt.state_dict()["steps"] == {p.name: 6 * (p is not direct[3]) for p in direct}
    named = {key.replace(p.name, q.name) for key in opt.state_dict() for p, q in zip(params, above) if p.name in key}
    assert named == {key for key in above_opt.state_dict() if any(q.name in key for q in above)}
    gpuflow.save(above_opt.state_dict(), str(tmp_path / "above.pdopt"))
    again, fresh = each(name, passing_on(name))
    for p, q in zip(again, above):
        p.set_value(q)
    fresh.set_state_dict(gpuflow.load(str(tmp_path / "above.pdopt")))
    for some, one in ((above, above_opt), (again, fresh)):
        give(*[(p, np.full(p.shape, 0.5)) for p in some])
        one.step()
    same(values(again), values(above))


def test_one_parameter_at_a_time_takes_the_gradient_as_it_is():
    """No clip, no penalty; the rate is what a subclass says of it; what is frozen, or of others, stays."""
    class Slower(optimizer.SGD):
        def _append_optimize_op(self, block, param_and_grad):
            param_and_grad[0].optimize_attr["learning_rate"] = 0.5
            super()._append_optimize_op(block, param_and_grad)

    g = gpuflow.to_tensor([4.0])
    for cls, to in ((optimizer.SGD, 1 - 0.1 * 4), (Slower, 1 - 0.05 * (1 + 0.2))):
        p, frozen = parameter([1.0]), parameter([1.0], trainable=False)
        opt = cls(0.1, parameters=[p, frozen], weight_decay=0.2, grad_clip=nn.ClipGradByNorm(1.0))
        if cls is Slower:
            give((p, [4.0]))
            opt.step()
        else:
            opt._append_optimize_op(None, (p, g))
            opt._append_optimize_op(None, (frozen, g))
            with pytest.raises(ValueError, match="parameters of this optimizer"):
                opt._append_optimize_op(None, (parameter([1.0]), g))
        assert p.item() == pytest.approx(to, rel=1e-6) and frozen.item() == 1
    half = parameter([1.0], dtype="float16")
    opt = optimizer.SGD(1.0, parameters=[half], multi_precision=True)
    opt._append_optimize_op(None, (half, gpuflow.to_tensor([2.0**-14], dtype="float16")))
    assert half.item() == 1 and opt.state_dict()["master_weights"][half.name].item() == 1 - 2.0**-14
    with pytest.raises(NotImplementedError, match="subclass"):
        optimizer.LBFGS(parameters=[frozen])._append_optimize_op(None, (frozen, g))


def test_what_has_neither_rule_nor_update_is_refused():
    with pytest.raises(TypeError, match="_append_optimize_op"):
        Optimizer(0.1, parameters=[parameter([1.0])])
    with pytest.raises(ValueError, match="multi_precision=False"):
        HandMomentum(0.1, 0.9, parameters=[parameter([1.0])], multi_precision=True)


# ---- what code written for Paddle calls ----------------------------------------------------------------------------

def test_backward_and_apply_gradients():
    for cls in (HandMomentum, optimizer.Momentum):
        p, q, frozen = parameter([1.0]), parameter([1.0]), parameter([1.0], trainable=False)
        opt = cls(0.1, 0.9, parameters=[p, q, frozen], weight_decay=0.5)
        loss = (p * 2 + q * 3).sum()
        loss.backward()
        pairs = opt.backward(loss)
        assert [(a.name, g.item()) for a, g in pairs] == [(p.name, 2), (q.name, 3)]
        assert [a.name for a, _ in opt.backward(loss, no_grad_set={p})] == [q.name]
        assert opt.apply_gradients([(p, pairs[0][1] * 10)]) == []   # changed by the caller, clipped and decayed by us
        np.testing.assert_allclose([p.item(), q.item()], [1 - 0.1 * 20.5, 1], rtol=1e-6)
        with pytest.raises(ValueError, match="parameters of this optimizer"):
            opt.apply_gradients([(parameter([1.0]), pairs[0][1])])


def test_append_regularization_ops():
    p, own, none = parameter([-2.0]), parameter([3.0], regularizer=L1Decay(0.5)), parameter([1.0])
    opt = optimizer.SGD(0.1, parameters=[p, own, none])
    g = gpuflow.to_tensor([1.0])
    pairs = opt.append_regularization_ops([(p, g), (own, g), (none, None)], L2Decay(0.1))
    assert pairs[0][1].item() == pytest.approx(0.8) and pairs[1][1].item() == 1.5 and pairs[2][1] is None
    assert opt.append_regularization_ops([(p, g)])[0][1].item() == 1 == g.item()


def test_names_that_paddle_code_reads():
    p = parameter([1.0, 2.0], learning_rate=0.5)
    opt = optimizer.Adam(0.1, parameters=[p], weight_decay=0.2)
    assert opt.type == "adam" and opt._parameter_list == [p] and opt._param_groups == [p]
    assert opt.regularization == L2Decay(0.2) and opt._learning_rate == 0.1
    assert opt._global_learning_rate().item() == pytest.approx(0.1) and opt._global_learning_rate().shape == []
    assert opt._create_param_lr((p, None)).item() == pytest.approx(0.05)
    give((p, [1.0, 1.0]))
    opt.step()
    same([opt._get_accumulator("moment1", p).numpy()], [opt.state_dict()[f"{p.name}_moment1_0"].numpy()])
    assert optimizer.AdamW(0.1, parameters=[p]).regularization is None
    grouped = optimizer.SGD(0.1, parameters=[{"params": [p], "learning_rate": 0.5}])
    assert grouped._parameter_list == [{"params": (p,), "learning_rate": 0.5}]


# ---- with a loss scale, and on another device ----------------------------------------------------------------------

class ToOne(ClipGradBase):
    """Hides every inf."""

    def _dygraph_clip(self, params_grads):
        return [(p, g.clip(-1.0, 1.0)) for p, g in params_grads]


@pytest.mark.parametrize("policy", ["skip", "raise"])
def test_an_inf_is_seen_though_the_clip_hides_it(policy):
    p = parameter([1.0], name=f"hidden.{policy}")
    opt = optimizer.SGD(0.1, parameters=[p], grad_clip=ToOne(), on_nonfinite=policy)
    give((p, [np.inf]))
    if policy == "raise":
        with pytest.raises(FloatingPointError, match=r"hidden\.raise"):
            opt.step()
    else:
        opt.step()
        assert opt.state_dict()["steps"][p.name] == 0
    assert p.item() == 1
    opt.clear_grad()
    give((p, [5.0]))
    opt.step()
    assert p.item() == pytest.approx(0.9)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("cls", [HandMomentum, optimizer.Momentum])
def test_under_a_loss_scale(cls, dtype):
    from gpuflow import amp

    p = parameter([1.0, 2.0], dtype=dtype)
    clip = ToOne() if cls is optimizer.Momentum else nn.ClipGradByValue(1.0)
    opt = cls(0.25, 0.0, parameters=[p], grad_clip=clip)
    scaler = amp.GradScaler(init_loss_scaling=1024.0)
    for g in ([0.5, 4.0], [np.inf, 1.0], [2.0**-20, 1.0]):   # the last is nothing in float16 without the scale
        p._grad = None
        (p * gpuflow.to_tensor(np.array(g), dtype=dtype)).sum().backward()
        p._grad._array[...] = np.array(g) * 1024              # what a scaled loss leaves
        stepped = scaler.step(opt)
        scaler.update()
        assert bool(stepped) is (g[0] != np.inf)
    np.testing.assert_allclose(p.numpy().astype(float), [0.875, 1.5], rtol=1e-3)   # 1 - 0.25 / 2, 2 - 0.25 - 0.25


def test_on_the_stand_in_gpu():
    from tests import fake_cupy

    results = []
    with fake_cupy.installed():
        for place in ("cpu", "gpu:0"):
            for cls, clip in ((HandMomentum, nn.ClipGradByGlobalNorm(0.7)), (optimizer.Momentum, ByMean()),
                              (optimizer.Momentum, nn.ClipGradByGlobalNorm(0.7, norm_type=3)),
                              (optimizer.Momentum, nn.ClipGradByAdaptiveNorm(0.1, norm_type=3)),
                              (passing_on("Momentum"), nn.ClipGradByGlobalNorm(0.7))):
                params, opt = built(cls, clip, 0.2)
                nn.ParameterList(params).to(place)
                for k in range(3):
                    for p in params:
                        g = np.random.default_rng(k).normal(size=p.shape)
                        (p * gpuflow.to_tensor(g, dtype="float32", place=p.place)).sum().backward()
                    opt.step()
                    opt.clear_grad()
                results.append(values(params))
    half = len(results) // 2
    for here, there in zip(results[:half], results[half:]):
        for a, b in zip(here, there):
            np.testing.assert_allclose(a, b, rtol=2e-6, atol=5e-7)   # norms add up in another order
