"""Averages of parameters: against Paddle's runs and hand-written sums, swapped in and out, saved."""
from pathlib import Path

import numpy as np
import pytest

import gpuflow
from gpuflow import nn, optimizer
from gpuflow.incubate import ExponentialMovingAverage, LookAhead, ModelAverage
from tests.golden import average_cases
from tests.optimizer.helpers import give, parameter, same, values

GOLDEN = dict(np.load(Path(average_cases.__file__).with_name("average.npz")))


def test_follows_paddle():
    got = average_cases.results(gpuflow)
    assert got.keys() == GOLDEN.keys()
    for name, array in got.items():   # nine float32 steps near 1
        np.testing.assert_allclose(array, GOLDEN[name], rtol=0, atol=1e-6, err_msg=name)


def walk(p, k):
    p.set_value(np.random.default_rng(k).normal(size=p.shape).astype(np.float32))


@pytest.mark.parametrize("thres", [None, lambda t: t])
def test_ema(thres):
    p, out = parameter([0.0, 0.0]), parameter([5.0], do_model_average=False)
    count = [0]
    ema = ExponentialMovingAverage(0.9, None if thres is None else lambda: thres(count[0]), parameters=[p, out])
    expected, weight = np.zeros(2), 1.0
    for k in range(12):
        walk(p, k)
        count[0] = k
        ema.update()
        decay = 0.9 if thres is None else min(0.9, (1 + k) / (10 + k))
        expected, weight = decay * expected + (1 - decay) * p.numpy(), weight * decay
        own = p.numpy()
        with ema.apply():
            np.testing.assert_allclose(p.numpy(), expected / (1 - weight), rtol=1e-5, atol=1e-6)
            assert out.item() == 5
            assert k == 0 or not np.allclose(p.numpy(), own)
        same([p.numpy()], [own])


def test_apply_and_restore_beside_an_optimizer():
    """The arena keeps its place, master weights their digits, and training goes on as if nothing had been."""
    def run(averaging):
        p = parameter([1.0, -2.0, 0.5], dtype="bfloat16")
        opt = optimizer.AdamW(0.01, parameters=[p], multi_precision=True)
        ema = ExponentialMovingAverage(0.5, parameters=[p])
        for k in range(6):
            give((p, np.random.default_rng(k).normal(size=3)))
            opt.step()
            opt.clear_grad()
            ema.update()
            if averaging:
                with ema.apply():
                    assert p.dtype == "bfloat16"
        return [opt.state_dict()["master_weights"][p.name].numpy()]

    same(run(True), run(False))


@pytest.mark.parametrize("make", [lambda m, b: ExponentialMovingAverage(0.5, parameters=m, buffers=b),
                                  lambda m, b: ModelAverage(1.0, m)], ids=["ema", "mean"])
def test_swaps_are_guarded(make):
    p = parameter([1.0])
    average = make([p], False)
    with pytest.raises(RuntimeError, match="before it"), average.apply():
        pass
    update = average.step if isinstance(average, ModelAverage) else average.update
    update()
    p.set_value([3.0])
    update()
    with average.apply(need_restore=False):
        pass
    assert p.item() != 3
    with pytest.raises(RuntimeError, match="restore"):
        update()
    with pytest.raises(RuntimeError, match="restore"), average.apply():
        pass
    average.restore()
    average.restore()
    assert p.item() == 3
    with pytest.raises(ZeroDivisionError), average.apply():
        raise ZeroDivisionError
    assert p.item() == 3
    with pytest.raises(AttributeError, match="parameters"):
        make(None, False)


def test_buffers_stay_or_are_averaged():
    for averaged in (False, True):
        model = nn.BatchNorm1D(2)
        ema = ExponentialMovingAverage(0.5, parameters=model, buffers=averaged)
        for k in range(3):
            model(gpuflow.full([4, 2], float(k)) + gpuflow.randn([4, 2]))
            ema.update()
        now = model._mean.numpy()
        with ema.apply():
            assert np.allclose(model._mean.numpy(), now) is not averaged
        same([model._mean.numpy()], [now])
    with pytest.raises(ValueError, match="a Layer"):
        ExponentialMovingAverage(0.5, parameters=[parameter([1.0])], buffers=True)


def small(kind):
    """(parameters, step, things with a state) of a training with an average."""
    params = [parameter([1.0, -1.0]), parameter([[2.0]])]
    opt = optimizer.Momentum(0.1, 0.9, parameters=params)
    if kind == "ahead":
        ahead = LookAhead(opt, 0.5, 3)
        return params, ahead.step, ahead
    average = ExponentialMovingAverage(0.8, parameters=params) if kind == "ema" else ModelAverage(0.5, params, 1, 3)
    follow = average.update if kind == "ema" else average.step

    def step():
        opt.step()
        follow()

    return params, step, average


@pytest.mark.parametrize("kind", ["ema", "mean", "ahead"])
def test_resumes_bit_for_bit(kind, tmp_path):
    def train(params, step, seeds):
        for k in seeds:
            give(*[(p, np.random.default_rng(k).normal(size=p.shape)) for p in params])
            step()
            for p in params:
                p.clear_grad()

    params, step, average = small(kind)
    train(params, step, range(4))
    gpuflow.save(average.state_dict(), str(tmp_path / "average.pdopt"))
    again, again_step, restored = small(kind)      # other names: in order
    for p, q in zip(params, again):
        q.set_value(p)
    restored.set_state_dict(gpuflow.load(str(tmp_path / "average.pdopt")))
    if kind == "ahead":
        train(params, step, range(4, 9))
        train(again, again_step, range(4, 9))
        same(values(params), values(again))
    else:
        for k in range(4, 9):
            for p, q in zip(params, again):
                walk(p, k)
                walk(q, k)
            for one in (average, restored):
                one.update() if kind == "ema" else one.step()
        same(average.averages(), restored.averages())
    state, before = average.state_dict(), plain(restored)
    bad = [k for k in state if k.endswith(("_ema", "_sum_1_0", "_slow_0"))][-1]
    count = {"ema": "updates", "mean": "num_updates", "ahead": "lookahead_steps"}[kind]
    for key, value, error, says in ((bad, np.zeros(7, np.float32), ValueError, "another shape"),
                                    (bad, np.zeros(state[bad].shape, int), ValueError, "or kind"),
                                    (count, -1, ValueError, f"{count} to be an int >= 0"),
                                    (count, "many", TypeError, f"{count} to be an int >= 0")):
        with pytest.raises(error, match=says):
            restored.set_state_dict({**state, key: value})
    with pytest.raises(ValueError, match=f"an entry '{count}'"):
        restored.set_state_dict({k: v for k, v in state.items() if k != count})
    assert plain(restored) == before


def plain(average):
    """Its state, to compare with a later one."""
    return {k: v.tolist() if hasattr(v, "tolist") else v for k, v in average.state_dict().items()}


def test_look_ahead_passes_on_what_it_does_not_have():
    p = parameter([1.0])
    ahead = LookAhead(optimizer.SGD(0.1, parameters=[p]), alpha=1.0, k=2)
    assert ahead.get_lr() == 0.1 and len(ahead.explain()) == 1
    give((p, [1.0]))
    ahead.minimize((p * 1).sum())
    ahead.clear_grad()
    assert p.item() == pytest.approx(0.9) and p.grad is None
    with pytest.raises(TypeError, match="an optimizer"):
        LookAhead(p)
