"""An ExponentialMovingAverage that is attached to an optimizer: the same numbers as update(), in the same launches."""
import contextlib

import numpy as np
import pytest

import gpuflow
from gpuflow import device, nn, optimizer
from gpuflow.ops.rows import SparseRows
from gpuflow.optimizer import ExponentialMovingAverage, average
from gpuflow_kernels.update.cpu import CpuEngine
from tests import fake_cupy
from tests.optimizer.helpers import give, parameter, same, values
from tests.optimizer.test_own_code import HandMomentum

# The kernels may round the product and the sum of decay and value at once, NumPy rounds each.
NEAR = {"rtol": 1e-6, "atol": 1e-7}


def everything():
    """Trained, without a gradient in every other step, kept by a rate of 0 though counted in the norm, frozen."""
    rng = np.random.default_rng(4)
    return [parameter(rng.normal(size=(4, 3))), parameter(rng.normal(size=5)),
            parameter([2.0, -1.0], learning_rate=0.0), parameter([3.0], trainable=False)]


def train(params, opt, follow, steps, first=0):
    for k in range(first, first + steps):
        rng = np.random.default_rng(k)
        wanted = [p for i, p in enumerate(params) if not p.stop_gradient and (i != 1 or k % 2)]
        give(*[(p, rng.normal(size=p.shape)) for p in wanted])
        opt.step()
        opt.clear_grad()
        follow()


def both(make, steps=6, decay=0.8, **options):
    """(params, optimizer, average) with update() after each step, and attached; both trained."""
    found = []
    for attached in (False, True):
        params = everything()
        opt = make(params)
        ema = ExponentialMovingAverage(decay, parameters=params, **options)
        follow = (lambda: None) if attached else ema.update
        if attached:
            assert ema.attach(opt) is ema
        train(params, opt, follow, steps)
        found.append((params, opt, ema))
    return found


@pytest.mark.parametrize("name", ["Momentum", "AdamW", "Lamb"])   # Lamb updates in two passes
def test_the_same_numbers_as_by_update(name):
    (params, _, plain), (fused_params, _, fused) = both(lambda params: getattr(optimizer, name)(
        learning_rate=0.05, parameters=params, grad_clip=nn.ClipGradByGlobalNorm(1.0)))
    same(values(params), values(fused_params))
    for a, b in zip(plain.averages(), fused.averages(), strict=True):
        np.testing.assert_allclose(a, b, **NEAR)
    assert plain.updates == fused.updates == 6
    with fused.apply():
        assert np.abs(fused_params[0].numpy() - params[0].numpy()).max() > 1e-3


def test_no_launch_more(monkeypatch):
    counts = {"update": 0, "take_norms": 0, "beside": 0}

    def counted(name, function):
        def inner(*args, **kwargs):
            counts[name] += 1
            return function(*args, **kwargs)

        return inner

    for name in ("update", "take_norms"):
        monkeypatch.setattr(CpuEngine, name, counted(name, getattr(CpuEngine, name)))
    monkeypatch.setattr(average, "_towards", counted("beside", average._towards))
    params = [parameter(np.ones(9)), parameter(np.ones((3, 3))), parameter([2.0])]
    opt = optimizer.Momentum(0.1, 0.9, parameters=params, grad_clip=nn.ClipGradByGlobalNorm(1.0))
    ExponentialMovingAverage(0.9, parameters=params).attach(opt)
    give(*[(p, np.ones(p.shape)) for p in params[:2]])   # the third has no gradient, and an average all the same
    opt.step()
    assert counts == {"update": 1, "take_norms": 1, "beside": 0}


def test_a_young_average_follows_faster():
    def thres():
        thres.t += 1
        return thres.t

    found = []
    for attached in (False, True):
        thres.t = 0
        params = everything()
        opt = optimizer.SGD(0.1, parameters=params)
        ema = ExponentialMovingAverage(0.99, thres, parameters=params)
        ema = ema.attach(opt) if attached else ema
        train(params, opt, (lambda: None) if attached else ema.update, 5)
        found.append(ema)
    for a, b in zip(*(ema.averages() for ema in found), strict=True):
        np.testing.assert_allclose(a, b, **NEAR)


def test_attached_in_mid_training_and_unfrozen_later():
    found = []
    for attached in (False, True):
        params = everything()
        opt = optimizer.Momentum(0.1, 0.9, parameters=params)
        ema = ExponentialMovingAverage(0.8, parameters=params)
        train(params, opt, ema.update, 3)
        if attached:
            ema.attach(opt)
        follow = (lambda: None) if attached else ema.update
        train(params, opt, follow, 2, first=3)
        params[3].stop_gradient = False
        train(params, opt, follow, 2, first=5)
        opt.step()                       # moves nothing, and is a step for the average as update() after it would be
        follow()
        found.append(ema)
    assert found[0].updates == found[1].updates == 8
    for a, b in zip(*(ema.averages() for ema in found), strict=True):
        np.testing.assert_allclose(a, b, **NEAR)


def test_rows_of_a_sparse_gradient():
    """The pass sees the rows that have a gradient; the others are averaged beside it."""
    found = []
    for attached in (False, True):
        p = parameter(np.random.default_rng(1).normal(size=(6, 3)))
        opt = optimizer.SGD(0.5, parameters=[p])
        ema = ExponentialMovingAverage(0.7, parameters=[p])
        ema = ema.attach(opt) if attached else ema
        for k in range(4):
            rng = np.random.default_rng(k)
            p._grad = SparseRows(np.array([k, 5, k]), rng.normal(size=(3, 3)).astype(np.float32), (6, 3))
            opt.step()
            opt.clear_grad()
            if not attached:
                ema.update()
        found.append(ema.averages()[0])
    np.testing.assert_allclose(*found, **NEAR)


@pytest.mark.parametrize("scaled, place", [(True, "cpu"), (False, "cpu"), (True, "gpu:0")])
def test_a_step_that_is_left_out_leaves_the_average_out(scaled, place):
    with contextlib.nullcontext() if place == "cpu" else fake_cupy.installed():
        gpuflow.set_device(place)
        leaves_out(scaled)


def leaves_out(scaled):
    model = nn.BatchNorm1D(3)             # its buffers are averaged beside the pass
    opt = optimizer.Momentum(0.1, parameters=model.parameters(), on_nonfinite="propagate" if scaled else "skip")
    ema = ExponentialMovingAverage(0.8, parameters=model, buffers=True).attach(opt)
    scaler = gpuflow.amp.GradScaler(enable=scaled, init_loss_scaling=8.0)
    for k in range(4):
        loss = (model(gpuflow.to_tensor(np.random.default_rng(k).normal(size=(4, 3)), dtype="float32")) ** 3).mean()
        scaler.scale(loss).backward()
        if k == 2:
            model.bias.grad = np.full(3, np.inf, np.float32)
            before = [array.copy() for array in ema._current()]
        scaler.step(opt)
        scaler.update()
        opt.clear_grad()
        if k == 2:
            same(map(device.to_numpy, before), map(device.to_numpy, ema._current()))
            assert ema._updates == 2 and ema.updates == 2
    assert ema.updates == 3 and ema.state_dict()["decay_product"] == pytest.approx(0.8 ** 3)


def test_of_two_byte_parameters_the_master_copy_is_averaged():
    p = parameter([1.0, -2.0], dtype="bfloat16")
    opt = optimizer.SGD(0.001, parameters=[p], multi_precision=True)
    ema = ExponentialMovingAverage(0.5, parameters=[p]).attach(opt)
    expected, weight = np.zeros(2), 1.0
    for _ in range(3):
        give((p, [1.0, 0.5]))
        opt.step()
        opt.clear_grad()
        expected, weight = 0.5 * expected + 0.5 * opt.state_dict()["master_weights"][p.name].numpy(), 0.5 * weight
    np.testing.assert_allclose(ema.state_dict()[f"{p.name}_ema"].numpy(), expected, **NEAR)
    with ema.apply():
        assert p.dtype == "bfloat16"


def test_saved_and_resumed_bit_for_bit(tmp_path):
    def made():
        params = everything()
        opt = optimizer.Momentum(0.1, 0.9, parameters=params)
        return params, opt, ExponentialMovingAverage(0.8, parameters=params).attach(opt)

    params, opt, ema = made()
    train(params, opt, lambda: None, 3)
    for thing, name in ((opt, "o.pdopt"), (ema, "e.pdopt")):
        gpuflow.save(thing.state_dict(), str(tmp_path / name))
    again, other, restored = made()
    for p, q in zip(params, again):
        q.set_value(p)
    other.set_state_dict(gpuflow.load(str(tmp_path / "o.pdopt")))
    restored.set_state_dict(gpuflow.load(str(tmp_path / "e.pdopt")))
    train(params, opt, lambda: None, 3, first=3)
    train(again, other, lambda: None, 3, first=3)
    same(ema.averages(), restored.averages())


def test_a_model_that_moves_takes_its_average_along():
    def run(moves):
        params = everything()
        opt = optimizer.Momentum(0.1, 0.9, parameters=params)
        ema = ExponentialMovingAverage(0.8, parameters=params).attach(opt)
        for k in range(4):
            if k == 2 and moves:
                nn.ParameterList(params).to("gpu:0")
            for p in params[:2 + k % 2]:
                p.grad = gpuflow.to_tensor(np.random.default_rng(k).normal(size=p.shape), "float32", place=p.place)
            opt.step()
            opt.clear_grad()
        with ema.apply():
            return values(params)

    with fake_cupy.installed():
        moved = run(True)
    for a, b in zip(moved, run(False), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=5e-7)


def test_refused():
    params = everything()
    opt = optimizer.SGD(0.1, parameters=params)
    ema = ExponentialMovingAverage(0.5, parameters=params).attach(opt)
    fresh = ExponentialMovingAverage(0.5, parameters=params)
    with pytest.raises(RuntimeError, match="attached to SGD"):
        ema.update()
    with pytest.raises(RuntimeError, match="follows SGD"):
        ema.attach(opt)
    with pytest.raises(ValueError, match="one average per optimizer"):
        fresh.attach(opt)
    for other in (optimizer.LBFGS(parameters=params), HandMomentum(0.1, 0.9, parameters=params)):
        with pytest.raises(TypeError, match="the kernels'"):
            fresh.attach(other)
    for other in (optimizer.LookAhead(opt), params):
        with pytest.raises(TypeError, match="an optimizer"):
            fresh.attach(other)
    train(params, opt, lambda: None, 1)
    with ema.apply():
        give((params[0], np.ones((4, 3))))
        with pytest.raises(RuntimeError, match="restore"):
            opt.step()
