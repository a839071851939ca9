"""L-BFGS beside its trainings in tests/oracle: it converges, resumes, and refuses what it cannot honour."""
import numpy as np
import pytest

import gpuflow
from gpuflow import nn, optimizer
from gpuflow.optimizer.line_search import Point, strong_wolfe
from gpuflow.regularizer import L2Decay
from tests.optimizer.helpers import parameter, same


def rosenbrock(p, opt, calls=None):
    def closure():
        opt.clear_grad()
        x, y = p[0], p[1]
        loss = 100 * (y - x * x) ** 2 + (1 - x) ** 2
        loss.backward()
        if calls is not None:
            calls.append(loss.item())
        return loss

    return closure


def test_finds_the_bottom_of_a_curved_valley():
    p = parameter([-1.2, 1.0], dtype="float64")
    opt = optimizer.LBFGS(1.0, max_iter=100, tolerance_change=1e-14, line_search_fn="strong_wolfe",
                          parameters=[p])
    calls = []
    first = opt.step(rosenbrock(p, opt, calls))
    np.testing.assert_allclose(p.numpy(), [1, 1], atol=1e-6)
    assert first.item() == pytest.approx(24.2) and len(calls) == opt.state_dict()["state"]["func_evals"] < 80


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_resumes_bit_for_bit(search, tmp_path):
    def made(start):
        p = parameter(start)
        return p, optimizer.LBFGS(0.5, max_iter=3, history_size=2, line_search_fn=search, parameters=[p])

    p, opt = made([-0.5, 0.4])
    for _ in range(2):
        opt.step(rosenbrock(p, opt))
    gpuflow.save(opt.state_dict(), str(tmp_path / "l.pdopt"))
    q, again = made(p.numpy())
    again.set_state_dict(gpuflow.load(str(tmp_path / "l.pdopt")))
    for _ in range(3):
        opt.step(rosenbrock(p, opt))
        again.step(rosenbrock(q, again))
    same([p.numpy()], [q.numpy()])
    files = [tmp_path / name for name in ("one.pdopt", "two.pdopt")]
    for file, one in zip(files, (opt, again), strict=True):
        gpuflow.save(one.state_dict(), str(file))
    assert files[0].read_bytes() == files[1].read_bytes()   # names included
    assert again.state_dict()["state"]["n_iter"] == opt.state_dict()["state"]["n_iter"] > 6
    with pytest.raises(ValueError, match="vectors of 3 numbers"):
        optimizer.LBFGS(parameters=[parameter([1.0, 2.0, 3.0])]).set_state_dict(opt.state_dict())


def test_what_is_frozen_stays():
    p, still, frozen = parameter([3.0]), parameter([1.0], learning_rate=0.0), parameter([1.0], trainable=False)
    opt = optimizer.LBFGS(1.0, parameters=[p, still, frozen])

    def closure():
        opt.clear_grad()
        loss = ((p * still * frozen) ** 2).sum()
        loss.backward()
        return loss

    opt.step(closure)
    assert abs(p.item()) < 1e-4 and still.item() == frozen.item() == 1


@pytest.mark.parametrize("way", ["stop_gradient", "rate"])
@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_freezing_and_unfreezing_in_mid_training(search, way, tmp_path):
    def made():
        pair = [parameter([3.0, 1.0]), parameter([2.0])]
        return pair, optimizer.LBFGS(0.3, max_iter=3, line_search_fn=search, parameters=pair)

    def freeze(p, frozen):
        if way == "rate":
            p.optimize_attr = {"learning_rate": float(not frozen)}
        else:
            p.stop_gradient = frozen

    def step(pair, opt):
        def closure():
            opt.clear_grad()
            p, q = pair
            loss = ((p * q - 1.0) ** 2).sum() + (q**2).sum()
            loss.backward()
            return loss

        before = [p.numpy() for p in pair]
        opt.step(closure)
        return [bool((p.numpy() != b).any()) for p, b in zip(pair, before)]

    (p, q), opt = made()
    assert step((p, q), opt) == [True, True]
    freeze(q, True)
    assert step((p, q), opt) == [True, False] and step((p, q), opt) == [True, False]
    gpuflow.save(opt.state_dict(), str(tmp_path / "l.pdopt"))
    (r, s), again = made()
    r.set_value(p.numpy()), s.set_value(q.numpy())
    again.set_state_dict(gpuflow.load(str(tmp_path / "l.pdopt")))   # frozen here, not there
    freeze(q, False)
    assert step((p, q), opt) == step((r, s), again) == [True, True]
    same([p.numpy(), q.numpy()], [r.numpy(), s.numpy()])


@pytest.mark.parametrize("bad", [
    lambda p: optimizer.LBFGS(parameters=[p], weight_decay=0.1),
    lambda p: optimizer.LBFGS(parameters=[p], grad_clip=nn.ClipGradByNorm(1.0)),
    lambda p: optimizer.LBFGS(parameters=[p], line_search_fn="weak"),
    lambda p: optimizer.LBFGS(parameters=[p], max_iter=0),
    lambda p: optimizer.LBFGS(parameters=[parameter([1.0], learning_rate=0.5)]),
    lambda p: optimizer.LBFGS(parameters=[parameter([1.0], regularizer=L2Decay(0.1))])])
def test_refused(bad):
    with pytest.raises(ValueError):
        bad(parameter([1.0]))


def test_other_ways_to_step_say_so():
    opt = optimizer.LBFGS(parameters=[parameter([1.0])])
    for call in (lambda: opt.minimize(None), lambda: opt.apply_gradients([])):
        with pytest.raises(NotImplementedError, match="closure"):
            call()
    with pytest.raises(TypeError):
        opt.step(None)


@pytest.mark.parametrize("first", [1e-3, 0.1, 1.0, 40.0, 1e4])
@pytest.mark.parametrize("loss, slope", [
    (lambda t: (t - 3) ** 2, lambda t: 2 * (t - 3)), (lambda t: np.cos(t), lambda t: -np.sin(t)),
    (lambda t: -t / (t * t + 2), lambda t: (t * t - 2) / (t * t + 2) ** 2)])
def test_the_line_search_keeps_its_word(loss, slope, first):
    """Sufficient decrease and flatness at the point it returns, from near and far."""
    shift = 0.1   # cos has slope 0 at 0
    start = Point(0.0, float(loss(shift)), float(slope(shift)), None)
    found, spent = strong_wolfe(lambda t: Point(t, float(loss(t + shift)), float(slope(t + shift)), None), first, start,
                                1.0, 1e-9)
    assert found.loss <= start.loss + 1e-4 * found.step * start.slope
    assert abs(found.slope) <= 0.9 * abs(start.slope) and spent <= 26
