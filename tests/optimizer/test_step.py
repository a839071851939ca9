"""What a step does beside the update: bad gradients, norms, minimize, its cost in Python; and rules of one's own."""
import statistics
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest

import gpuflow
from gpuflow import nn, optimizer
from gpuflow_kernels.update import FormulaError, UpdateRule
from tests.optimizer.helpers import CLOSE, give, parameter, same, values

SHARED = nn.ClipGradByGlobalNorm(1.0)


# ---- inf and NaN in gradients --------------------------------------------------------------------------------------

def pair(on_nonfinite, clip=None):
    p, q = parameter([1.0, 2.0], name="fine"), parameter([3.0], name="spoilt")
    return p, q, optimizer.AdamW(0.1, parameters=[p, q], grad_clip=clip, on_nonfinite=on_nonfinite)


def test_propagate():
    p, q, opt = pair("propagate")
    give((p, [1.0, 1.0]), (q, [np.inf]))
    opt.step()
    assert np.isfinite(p.numpy()).all() and np.isnan(q.numpy()).all()


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("clip", [None, SHARED], ids=["no clip", "shared norm"])
def test_skip_leaves_everything_and_does_not_count(bad, clip):
    p, q, opt = pair("skip", clip)
    r, s, twin = pair("skip", clip)
    for k in range(5):
        g = float(k + 1)
        if k == 2:
            before = [*values([p, q]), *[t.numpy() for key, t in opt.state_dict().items() if "moment" in key]]
            give((p, [g, g]), (q, [bad]))
            opt.step()
            opt.clear_grad()
            same([*values([p, q]), *[t.numpy() for key, t in opt.state_dict().items() if "moment" in key]], before)
            assert set(opt.state_dict()["steps"].values()) == {2}
        give((p, [g, g]), (q, [g]), (r, [g, g]), (s, [g]))
        for o in (opt, twin):
            o.step()
            o.clear_grad()
    same(values([p, q]), values([r, s]))


def test_raise_names_the_parameter_and_changes_nothing():
    p, q, opt = pair("raise")
    give((p, [1.0, 1.0]), (q, [np.nan]))
    with pytest.raises(FloatingPointError, match=r"inf or NaN in \['spoilt'\]"):
        opt.step()
    same(values([p, q]), [np.array([1, 2], np.float32), np.array([3], np.float32)])
    opt.clear_grad()
    give((p, [1.0, 1.0]), (q, [1.0]))
    opt.step()
    assert opt.state_dict()["steps"] == {"fine": 1, "spoilt": 1}


def test_a_bad_gradient_outside_the_clip_is_seen_as_well():
    p, q = parameter([1.0]), parameter([1.0], need_clip=False)
    opt = optimizer.SGD(0.1, parameters=[p, q], grad_clip=SHARED, on_nonfinite="skip")
    give((p, [1.0]), (q, [np.nan]))
    opt.step()
    assert p.item() == q.item() == 1.0


# ---- the norm ------------------------------------------------------------------------------------------------------

def test_last_grad_norm():
    p, q = parameter([0.0, 0.0]), parameter([0.0], need_clip=False)
    opt = optimizer.SGD(1.0, parameters=[p, q], grad_clip=SHARED, weight_decay=0.1)
    with pytest.raises(RuntimeError, match="a step before it"):
        opt.last_grad_norm  # noqa: B018
    give((p, [3.0, 4.0]), (q, [100.0]))
    opt.step()
    norm = opt.last_grad_norm
    assert isinstance(norm, gpuflow.Tensor) and norm.shape == [] and norm.dtype == "float64"
    assert float(norm) == 5.0
    opt.clear_grad()
    give((p, [0.3, 0.4]))
    opt.step()
    assert float(opt.last_grad_norm) == pytest.approx(0.5, rel=1e-6)
    assert float(norm) == 5.0, "a norm that was read stays what it was"


def test_the_norm_is_taken_without_a_clip_only_when_asked():
    p = parameter([0.0, 0.0])
    opt = optimizer.SGD(1.0, parameters=[p])
    give((p, [3.0, 4.0]))
    opt.step()
    with pytest.raises(RuntimeError, match="measure_grad_norm = True"):
        opt.last_grad_norm  # noqa: B018
    opt.measure_grad_norm = True
    opt.step()
    assert float(opt.last_grad_norm) == 5.0


def test_several_norms_together():
    p, q = parameter([0.0]), parameter([0.0])
    opt = optimizer.SGD(1.0, parameters=[{"params": [p]}, {"params": [q]}], grad_clip=SHARED)
    give((p, [3.0]), (q, [4.0]))
    opt.step()
    assert float(opt.last_grad_norm) == 5.0
    np.testing.assert_allclose([p.item(), q.item()], [-1.0, -1.0], **CLOSE)


# ---- minimize, rates, gradients ------------------------------------------------------------------------------------

def test_minimize():
    p, q, frozen = parameter([1.0]), parameter([1.0]), parameter([1.0], trainable=False)
    opt = optimizer.SGD(0.1, parameters=[p, q, frozen])
    loss = (p * 2.0 + q * 3.0).sum()
    loss.backward()
    ops, pairs = opt.minimize(loss)
    assert ops == [] and [(a is b, g.item()) for (a, g), b in zip(pairs, (p, q))] == [(True, 2.0), (True, 3.0)]
    np.testing.assert_allclose([p.item(), q.item()], [0.8, 0.7], **CLOSE)
    opt.minimize(loss, parameters=[p, q], no_grad_set={q})
    np.testing.assert_allclose([p.item(), q.item()], [0.6, 0.7], **CLOSE)
    with pytest.raises(ValueError, match="parameters of this optimizer"):
        opt.minimize(loss, parameters=[parameter([1.0])])
    with pytest.raises(TypeError, match="the loss as a Tensor"):
        opt.minimize(1.0)


@pytest.mark.parametrize("set_to_zero", [True, False])
def test_clear_grad_means_none(set_to_zero):
    """With zeros left behind, as Paddle leaves them, momentum and decay would go on moving p."""
    p, q = parameter([1.0]), parameter([1.0])
    opt = optimizer.Momentum(0.1, parameters=[p, q], weight_decay=0.1)
    give((p, [1.0]), (q, [1.0]))
    opt.step()
    opt.clear_grad(set_to_zero=set_to_zero)
    assert p.grad is None
    held = p.item()
    give((q, [1.0]))
    opt.step()
    assert p.item() == held


def test_set_lr():
    p = parameter([1.0])
    opt = optimizer.SGD(0.1, parameters=[p])
    opt.set_lr(1)
    assert opt.get_lr() == 1.0
    give((p, [1.0]))
    opt.step()
    assert p.item() == 0.0
    schedule = optimizer.lr.StepDecay(0.5, 1)
    opt.set_lr_scheduler(schedule)
    assert opt.get_lr() == 0.5
    with pytest.raises(RuntimeError, match="set_lr_scheduler"):
        opt.set_lr(0.1)
    with pytest.raises(TypeError, match="a scheduler"):
        opt.set_lr_scheduler(0.1)


def test_a_step_without_any_gradient_is_no_step():
    p = parameter([1.0])
    opt = optimizer.AdamW(0.1, parameters=[p])
    opt.step()
    assert p.item() == 1.0 and opt.state_dict()["steps"] == {p.name: 0}
    optimizer.SGD(0.1, parameters=[]).step()


def test_a_wrong_gradient_is_refused():
    p = parameter([1.0, 2.0])
    opt = optimizer.SGD(0.1, parameters=[p])
    p._grad = gpuflow.to_tensor([1.0])
    with pytest.raises(ValueError, match=r"shape \[2\].*\[1\]"):
        opt.step()


def test_the_same_seed_gives_the_same_bits():
    def run():
        gpuflow.seed(7)
        rng = np.random.default_rng(7)
        params = [parameter(rng.normal(size=s)) for s in ((300, 70), (33,), (9000,))]
        opt = optimizer.AdamW(0.01, parameters=params, grad_clip=SHARED)
        for _ in range(3):
            give(*[(p, rng.normal(size=p.shape)) for p in params])
            opt.step()
            opt.clear_grad()
        return [*values(params), opt.last_grad_norm.numpy()]

    same(run(), run())


# ---- arguments of single optimizers --------------------------------------------------------------------------------

@pytest.mark.parametrize("make, error, message", [
    (lambda p: optimizer.Adam(beta1=1.0, parameters=p), ValueError, "beta1"),
    (lambda p: optimizer.Adam(parameters=[{"params": p, "beta2": -0.1}]), ValueError, "beta2"),
    (lambda p: optimizer.AdamW(weight_decay="much", parameters=p), TypeError, "'much'"),
    (lambda p: optimizer.AdamW(lr_ratio=2.0, parameters=p), TypeError, "lr_ratio"),
    (lambda p: optimizer.AdamW(use_lowprecision_moment=True, parameters=p), ValueError, "use_lowprecision_moment"),
    (lambda p: optimizer.Momentum(rescale_grad=0, parameters=p), ValueError, "rescale_grad"),
    (lambda p: optimizer.Rprop(learning_rate=100.0, parameters=p), ValueError, "learning_rate"),
    (lambda p: optimizer.Rprop(etas=(1.5, 2.0), parameters=p), ValueError, "etas"),
    (lambda p: optimizer.Rprop(optimizer.lr.StepDecay(0.1, 1), parameters=p), TypeError, "as a number"),
    (lambda p: optimizer.Rprop(parameters=p).set_lr(0.1), RuntimeError, "no change of rate"),
    (lambda p: optimizer.RMSProp(0.1, parameters=[{"params": p, "momentum": -0.9}]), ValueError, "momentum"),
    (lambda p: optimizer.Lamb(parameters=[{"params": p, "weight_decay": 0.1}]), TypeError, "weight_decay"),
    (lambda p: optimizer.ASGD(batch_num=0, parameters=p), ValueError, "batch_num"),
    (lambda p: optimizer.Optimizer(0.1, p), TypeError, "a class with a rule"),
])
def test_refused(make, error, message):
    with pytest.raises(error, match=message):
        make([parameter([1.0])])


def test_rescale_grad_leaves_the_decay_alone():
    p, q = parameter([1.0, -2.0]), parameter([1.0, -2.0])
    one = optimizer.Momentum(0.1, parameters=[p], rescale_grad=0.25, weight_decay=0.3)
    other = optimizer.Momentum(0.1, parameters=[q], weight_decay=0.3)
    for g in ([1.0, 2.0], [3.0, -1.0]):
        give((p, np.multiply(g, 4.0)), (q, g))
        for opt in (one, other):
            opt.step()
            opt.clear_grad()
    np.testing.assert_allclose(p.numpy(), q.numpy(), **CLOSE)


def test_rprop_starts_from_the_parameters_own_rate():
    p, q = parameter([1.0]), parameter([1.0], learning_rate=0.5)
    opt = optimizer.Rprop(0.1, parameters=[p, q])
    for _ in range(2):                      # the second step is 1.2 times as long
        give((p, [3.0]), (q, [3.0]))
        opt.step()
        opt.clear_grad()
    np.testing.assert_allclose([p.item(), q.item()], [1 - 0.22, 1 - 0.11], **CLOSE)


# ---- a rule of one's own -------------------------------------------------------------------------------------------

class Signed(optimizer.Optimizer):
    """Five lines: a momentum of signs, with decoupled decay."""

    rule = UpdateRule("signed_test", state=("m",), numbers=("keep", "share"), formula="""
        m = keep * m + share * sign(g)
        p = p - lr * (m + decay * p)
    """)
    decoupled = True

    def numbers(self, step, keep=0.5):
        return {"keep": keep, "share": 1 - keep}


def test_a_declared_rule_gets_everything():
    p, q = parameter([1.0, -2.0], name="own.p"), parameter([4.0], name="own.q", learning_rate=0.5)
    opt = Signed(0.1, [{"params": [p]}, {"params": [q], "keep": 0.25}], weight_decay=0.1, grad_clip=SHARED,
                 options={"keep": 0.5})
    x, y, m, n = np.array([1.0, -2.0]), 4.0, 0.0, 0.0
    for g in (3.0, -2.0, 0.5):
        give((p, [g, -g]), (q, [g]))
        opt.step()
        opt.clear_grad()
        m, n = 0.5 * m + 0.5 * np.sign([g, -g]), 0.25 * n + 0.75 * np.sign(g)
        x, y = x - 0.1 * (m + 0.1 * x), y - 0.05 * (n + 0.1 * y)
    np.testing.assert_allclose(p.numpy(), x, **CLOSE)
    np.testing.assert_allclose(q.numpy(), [y], **CLOSE)
    assert {"own.p_m_0", "own.q_m_0", "steps"} == set(opt.state_dict())


def test_a_formula_that_cannot_be_meant_is_refused_where_it_is_written():
    with pytest.raises(FormulaError, match="unknown name 'gradient'"):
        UpdateRule("typo", formula="p = p - lr * gradient")


# ---- cost ----------------------------------------------------------------------------------------------------------

def test_numba_is_imported_by_the_first_step():
    text = ("import sys, numpy, gpuflow\nfrom gpuflow import optimizer\nfrom gpuflow.param import Parameter\n"
            "p = Parameter(numpy.ones(3, 'float32'))\no = optimizer.SGD(0.1, parameters=[p])\n"
            "before = 'numba' in sys.modules\n(p * p).sum().backward()\no.step()\n"
            "print(before, 'numba' in sys.modules)")
    out = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False", "True"]


def many(count=148, size=16):
    params = [parameter(np.ones(size)) for _ in range(count)]
    opt = optimizer.AdamW(1e-3, parameters=params, grad_clip=SHARED)
    for _ in range(3):
        give(*[(p, np.ones(size)) for p in params])
        opt.step()
    return params, opt


def test_python_time_of_a_step():
    """The goal is 150 us for 148 parameters on a quiet machine; the bound is what catches a loop gone wrong."""
    _, opt = many()
    opt._launch.fused.run = lambda *args, **kwargs: None
    times = []
    for _ in range(200):
        start = time.perf_counter()
        opt.step()
        times.append(time.perf_counter() - start)
    assert statistics.median(times) < 600e-6


def test_no_buffers_after_the_first_step():
    _, opt = many(count=3, size=100_000)
    tracemalloc.start()
    opt.step()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000, "a step makes no array of a parameter's size (400,000 bytes)"
