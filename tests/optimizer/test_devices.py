"""The optimizers on arrays that are not NumPy's: the stand-in for CuPy runs the CUDA text on the CPU."""
import numpy as np
import pytest

import gpuflow
from gpuflow import device, nn, optimizer
from gpuflow.ops.rows import SparseRows
from tests import fake_cupy
from tests.optimizer.helpers import parameter, same, values
from tests.optimizer.test_own_code import HandMomentum

SHAPES = ((40, 7), (3,), ())


@pytest.fixture
def gpu():
    with fake_cupy.installed() as cupy:
        yield cupy


def build(place, dtype="float32", cls=optimizer.AdamW, **kwargs):
    rng = np.random.default_rng(1)
    params = [parameter(rng.normal(size=s), dtype=dtype) for s in SHAPES]
    nn.ParameterList(params).to(place)
    return params, cls(0.1, parameters=params, grad_clip=nn.ClipGradByGlobalNorm(1.0), **kwargs)


def train(params, opt, steps, first=0, spoil=()):
    for k in range(first, first + steps):
        rng = np.random.default_rng(300 + k)
        for p in params:
            g = rng.normal(size=p.shape).astype(np.float32)
            g = np.full_like(g, np.nan) if k in spoil else g
            (p * gpuflow.to_tensor(g, dtype=p.dtype, place=p.place)).sum().backward()
        opt.step()
        opt.clear_grad()


# The two devices add up the norm in another order and may round the root otherwise: a few ulps of values near 1.
NEAR = {"rtol": 2e-6, "atol": 5e-7}


def test_a_gpu_follows_the_cpu(gpu):
    here, opt_here = build("gpu:0")
    there, opt_there = build("cpu")
    for params, opt in ((here, opt_here), (there, opt_there)):
        train(params, opt, 4)
    assert all(str(p.place) == "gpu:0" for p in here) and str(opt_here.last_grad_norm.place) == "gpu:0"
    for a, b in zip(values(here), values(there), strict=True):
        np.testing.assert_allclose(a, b, **NEAR)
    assert float(opt_here.last_grad_norm) == pytest.approx(float(opt_there.last_grad_norm), rel=1e-6)


def test_a_model_that_moves_takes_its_moments_along(gpu):
    params, opt = build("cpu")
    train(params, opt, 2)
    nn.ParameterList(params).to("gpu:0")
    train(params, opt, 2, first=2)
    assert all(str(p.place) == "gpu:0" for p in params)
    stayed, other = build("cpu")
    train(stayed, other, 4)
    for a, b in zip(values(params), values(stayed), strict=True):
        np.testing.assert_allclose(a, b, **NEAR)


def test_a_state_from_one_device_is_loaded_on_the_other(gpu):
    params, opt = build("gpu:0")
    train(params, opt, 2)
    again, _ = build("cpu")
    for p, q in zip(again, params, strict=True):
        p.set_value(q.numpy())
        p.name = q.name
    fresh = optimizer.AdamW(0.1, parameters=again, grad_clip=nn.ClipGradByGlobalNorm(1.0))
    fresh.set_state_dict(opt.state_dict())
    for params_, opt_ in ((params, opt), (again, fresh)):
        train(params_, opt_, 1, first=2)
    for a, b in zip(values(params), values(again), strict=True):
        np.testing.assert_allclose(a, b, **NEAR)


def test_a_skipped_step_is_found_out_at_the_next(gpu):
    params, opt = build("gpu:0", on_nonfinite="skip")
    twins, plain = build("gpu:0", on_nonfinite="skip")
    train(params, opt, 2)
    before = values(params)
    train(params, opt, 1, first=2, spoil={2})
    same(values(params), before)
    assert set(opt.state_dict()["steps"].values()) == {2}
    train(params, opt, 1, first=3)
    train(twins, plain, 2)
    train(twins, plain, 1, first=3)
    same(values(params), values(twins))


def test_master_weights_on_a_gpu(gpu):
    params, opt = build("gpu:0", dtype="float16", multi_precision=True)
    train(params, opt, 2)
    params[1].set_value(np.array([1.0, 2.0, 3.0]))
    train(params, opt, 1, first=2)
    assert {p.dtype.name for p in params} == {"float16"}
    assert (np.abs(params[1].numpy() - [1.0, 2.0, 3.0]) < 0.3).all()


def test_sparse_gradients_on_a_gpu(gpu):
    ends = []
    for place in ("gpu:0", "cpu"):
        params, opt = build(place, cls=optimizer.SGD)
        xp = device.module_of(params[0]._array)
        rows, block = xp.asarray(np.array([4, 1, 4])), xp.asarray(np.ones((3, 7), np.float32))
        for _ in range(2):
            params[0]._grad = SparseRows(rows, block, params[0].shape)
            opt.step()
        ends.append(params[0].numpy())
    np.testing.assert_allclose(*ends, **NEAR)


@pytest.fixture
def no_waiting(gpu, monkeypatch):
    """Called, it lets whatever would wait for a GPU raise."""
    def refuse(*args, **kwargs):
        raise AssertionError("the host waited for the device")

    def begin():
        for name in ("__bool__", "__int__", "__float__", "__index__", "__iter__", "item", "tolist", "get"):
            monkeypatch.setattr(fake_cupy.ndarray, name, refuse)
        for name in ("unique", "nonzero", "flatnonzero", "argwhere", "asnumpy"):
            monkeypatch.setattr(gpu, name, refuse)

    return begin


@pytest.mark.parametrize(("cls", "dtype", "options"), [
    (optimizer.SGD, "float32", {}), (optimizer.Adam, "float32", {"lazy_mode": True}), (optimizer.Adam, "float32", {}),
    (optimizer.AdamW, "bfloat16", {"multi_precision": True}), (optimizer.Lamb, "float16", {}),
], ids=["SGD", "lazy", "not lazy", "master weights", "Lamb"])
def test_a_step_waits_for_nothing(gpu, no_waiting, cls, dtype, options):
    """With rows that come several times, a norm over all that is asked for, an average that follows, and a parameter
    left out."""
    params, opt = build("gpu:0", dtype, cls, **options)
    optimizer.ExponentialMovingAverage(0.5, parameters=params).attach(opt)
    rows = gpu.asarray(np.array([4, 1, 4, 39]))
    block = gpu.asarray(np.ones((4, 7)).astype(params[0]._array.dtype))
    dense = gpu.asarray(np.ones(3).astype(params[1]._array.dtype))
    for k in range(4):
        params[0]._grad = SparseRows(rows, block, params[0].shape)
        params[1]._grad = gpuflow.Tensor(dense)
        if k == 1:
            no_waiting()
        opt.step()
        assert str(opt.last_grad_norm.place) == "gpu:0"


@pytest.mark.parametrize("lazy", [True, False])
def test_rows_that_come_twice_on_a_gpu(gpu, lazy):
    """As on the CPU, the average of each row and that of the last one too."""
    ends = []
    for place in ("gpu:0", "cpu"):
        params, opt = build(place, cls=optimizer.Adam, lazy_mode=lazy)
        average = optimizer.ExponentialMovingAverage(0.5, parameters=params)
        average.attach(opt)
        xp = device.module_of(params[0]._array)
        for k in range(3):
            values = np.random.default_rng(k).normal(size=(4, 7)).astype(np.float32)
            params[0]._grad = SparseRows(xp.asarray(np.array([4, 1, 4, 2])), xp.asarray(values), params[0].shape)
            opt.step()
        ends.append(params[0].numpy())
        with average.apply():
            ends.append(params[0].numpy())
    np.testing.assert_allclose(ends[0], ends[2], **NEAR)
    np.testing.assert_allclose(ends[1], ends[3], **NEAR)


def test_parameters_on_two_devices_are_refused(gpu):
    params, opt = build("cpu")
    nn.ParameterList(params[:1]).to("gpu:0")
    for p in params:
        p.grad = gpuflow.to_tensor(np.ones(p.shape, np.float32), place=p.place)
    with pytest.raises(RuntimeError, match=r"on gpu:0 and .* on cpu"):
        opt.step()


@pytest.mark.parametrize("cls", [optimizer.Momentum, HandMomentum])
def test_averages_and_python_code_follow_a_model_that_moves(gpu, cls):
    """Two steps on the CPU and two on the GPU equal four on the CPU."""
    def run(moves):
        params = [parameter(np.random.default_rng(1).normal(size=s)) for s in SHAPES]
        opt = optimizer.LookAhead(cls(0.1, 0.9, parameters=params), alpha=0.5, k=2)
        averages = [optimizer.ExponentialMovingAverage(0.5, parameters=params),
                    optimizer.ModelAverage(1.0, params, 1, 3)]
        for k in range(4):
            if k == 2 and moves:
                nn.ParameterList(params).to("gpu:0")
            train(params, opt, 1, first=k)
            averages[0].update()
            averages[1].step()
        assert str(params[0].place) == ("gpu:0" if moves else "cpu")
        seen = [values(params)]
        for average in averages:
            with average.apply():
                seen.append(values(params))
        return [a for arrays in seen for a in arrays]

    for a, b in zip(run(True), run(False), strict=True):
        np.testing.assert_allclose(a, b, **NEAR)


def test_lbfgs_on_a_gpu(gpu):
    def run(place):
        p = parameter([-0.5, 0.4])
        nn.ParameterList([p]).to(place)
        opt = optimizer.LBFGS(1.0, max_iter=5, line_search_fn="strong_wolfe", parameters=[p])

        def closure():
            opt.clear_grad()
            loss = ((p - 1.0) ** 2).sum() + (p.prod() - 2.0) ** 2
            loss.backward()
            return loss

        opt.step(closure)
        return p.numpy()

    np.testing.assert_allclose(run("gpu:0"), run("cpu"), rtol=1e-5)   # a search from losses rounded to float32


def test_nn_utils_on_a_gpu(gpu):
    p = parameter([3.0, 0.0])
    nn.ParameterList([p]).to("gpu:0")
    (p * gpuflow.to_tensor([3.0, 4.0], place=p.place)).sum().backward()
    norm = nn.utils.clip_grad_norm_(p, 2.5)
    assert norm.item() == 5 and str(norm.place) == str(p.grad.place) == "gpu:0"
    np.testing.assert_allclose(p.grad.numpy(), [1.5, 2.0], rtol=1e-6)
    nn.utils.clip_grad_value_(p, 1.75)
    assert p.grad.numpy()[1] == 1.75
    assert str(nn.utils.parameters_to_vector([p]).place) == "gpu:0"
    for wrap in (nn.utils.weight_norm, nn.utils.spectral_norm):
        gpuflow.seed(1)
        layer = wrap(nn.Linear(3, 4))
        x = gpuflow.to_tensor(np.ones((2, 3), np.float32))
        layer.eval()
        here = layer(x).numpy()
        layer.to("gpu:0")
        np.testing.assert_allclose(layer(x.to("gpu:0")).numpy(), here, rtol=1e-6)


def test_a_scalars_gradient_stays_on_its_device(gpu):
    """NumPy makes scalars of 0-d results; on a machine with a GPU those would have become tensors there."""
    for place in ("cpu", "gpu:0"):
        p = parameter(1.5)
        nn.ParameterList([p]).to(place)
        for _ in range(3):
            (p * gpuflow.to_tensor(2.0, place=p.place)).backward()
            assert str(p.grad.place) == place
        assert p.grad.item() == 6
