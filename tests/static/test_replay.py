"""CUDA graphs in the Executor, on the stand-in for CuPy, whose captures refuse what CUDA's do; and on a GPU."""
import logging

import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import nn, static
from gpuflow.ops.registry import OPS
from gpuflow.static import replay
from gpuflow.static.operators import Apply, Gradient
from tests import fake_cupy
from tests.ops.test_gradients import EACH

REPLAYED = [p for p in EACH if OPS[p.values[0]].room in replay.ROOMS and p.values[0] not in replay.NOT]


@pytest.fixture
def gpu(static_mode, monkeypatch):
    monkeypatch.setattr(replay, "PATIENCE", 0)
    with fake_cupy.installed() as cupy:
        fake_cupy.Graph.launches = 0
        yield cupy


def compiled(program):
    strategy = static.BuildStrategy()
    strategy.allow_cuda_graph_capture = True
    return static.CompiledProgram(program, strategy)


@pytest.mark.parametrize(("name", "case"), REPLAYED)
def test_an_op_and_its_gradient_are_only_launches(name, case, gpu, monkeypatch):
    """The replays of all three runs give the bits of a run without a graph, for other numbers each time."""
    monkeypatch.setattr(replay, "worth", lambda steps, copied: True)
    given = {f"x{k}": x for k, x in enumerate(case.inputs) if isinstance(x, np.ndarray)}
    data = {key: static.data(key, x.shape, str(x.dtype)) for key, x in given.items()}
    for k, x in enumerate(data.values()):
        x.stop_gradient = k in case.constants or not case.order
    inputs = [data.get(f"x{k}", x) for k, x in enumerate(case.inputs)]
    out = paddle.dispatch.call(OPS[name], inputs, case.attrs)
    out = list(out) if isinstance(out, tuple) else [out]
    smooth = [y for y in out if not y.stop_gradient]
    fetches = out + [g for g in (static.gradients(smooth, list(data.values())) if smooth else []) if g is not None]
    program, exe = static.default_main_program(), static.Executor()
    for run in range(4):
        feed = {key: np.roll(x, run) for key, x in given.items()}
        plain = exe.run(program, feed, fetches)
        for a, b in zip(exe.run(compiled(program), feed, fetches), plain, strict=True):
            np.testing.assert_array_equal(a, b)
    assert fake_cupy.Graph.launches > 0


def classifier():
    x, y = static.data("x", [None, 12]), static.data("y", [None], "int64")
    net = nn.Sequential(nn.Linear(12, 16), nn.LayerNorm(16), nn.GELU(), nn.Dropout(0.3), nn.Linear(16, 16),
                        nn.BatchNorm1D(16), nn.Swish(), nn.Linear(16, 5))
    return net, nn.functional.cross_entropy((net(x) * 0.5).tanh() + 1.0, y)


def trained(wrap, place, rows=(8,) * 6):
    """The losses of some steps, a fetched gradient of the last one, and what was trained."""
    with static.program_guard(static.Program(), static.Program()), paddle.utils.unique_name.guard():
        paddle.seed(5)
        net, loss = classifier()
        schedule = paddle.optimizer.lr.ExponentialDecay(0.01, 0.9)
        paddle.optimizer.AdamW(schedule, grad_clip=nn.ClipGradByGlobalNorm(0.5)).minimize(loss)
        exe, program = static.Executor(place), wrap(static.default_main_program())
        exe.run(static.default_startup_program())
        rng, found = np.random.default_rng(0), []
        for n in rows:
            feed = {"x": rng.normal(size=(n, 12)).astype("float32"), "y": rng.integers(0, 5, n)}
            found += exe.run(program, feed, [loss, f"{net[1].weight.name}@GRAD"])
            schedule.step()
        return found + [v.numpy() for v in net.state_dict().values()]


@pytest.mark.parametrize("fusion", ["never", "always"])
@pytest.mark.parametrize("rows", [(8,) * 6, (8, 4, 8, 4, 8, 4, 8, 8)], ids=["one batch size", "two batch sizes"])
def test_training_gives_the_same_bits(rows, fusion, gpu, monkeypatch):
    monkeypatch.setenv("GPUFLOW_FUSION", fusion)
    plain = trained(lambda program: program, "gpu:0", rows)
    assert fake_cupy.Graph.launches == 0
    for a, b in zip(trained(compiled, "gpu:0", rows), plain, strict=True):
        np.testing.assert_array_equal(a, b)
    assert fake_cupy.Graph.launches >= len(rows) - 2


@pytest.mark.gpu
def test_training_gives_the_same_bits_on_a_gpu(caplog):
    paddle.set_device("gpu:0")
    with caplog.at_level(logging.INFO, "gpuflow"):
        for a, b in zip(trained(compiled, "gpu:0"), trained(lambda program: program, "gpu:0"), strict=True):
            np.testing.assert_array_equal(a, b)
    assert "without a CUDA graph" not in caplog.text


def test_what_cannot_be_captured_runs_as_before_and_says_so(gpu, monkeypatch, caplog):
    plain = trained(lambda program: program, "gpu:0")
    monkeypatch.setattr(replay, "only_launches", lambda operator: isinstance(operator, Apply | Gradient))
    with caplog.at_level(logging.INFO, "gpuflow"):
        for a, b in zip(trained(compiled, "gpu:0"), plain, strict=True):
            np.testing.assert_array_equal(a, b)
    assert caplog.text.count("without a CUDA graph: ") > 0 and fake_cupy.Graph.launches == 0


def test_a_graph_that_gives_other_numbers_is_never_used(gpu, monkeypatch, caplog):
    plain = trained(lambda program: program, "gpu:0")
    monkeypatch.setattr(fake_cupy.Graph, "launch", lambda self, stream=None: None)
    with caplog.at_level(logging.INFO, "gpuflow"):
        for a, b in zip(trained(compiled, "gpu:0"), plain, strict=True):
            np.testing.assert_array_equal(a, b)
    assert "a replay gave other numbers" in caplog.text


def test_python_in_a_program_keeps_its_arrays(gpu):
    x, kept = static.data("x", [4]), []
    out = static.default_main_program().current_block().create_var("out", [4], "float32")
    static.py_func(lambda a: kept.append(a) or a, ((x + 1.0) * 2.0 - 1.0).exp(), out)
    exe, program = static.Executor(), compiled(static.default_main_program())
    for k in range(4):
        exe.run(program, {"x": np.full(4, k, "float32")}, [out])
    assert fake_cupy.Graph.launches == 0 and len({float(a.numpy()[0]) for a in kept}) == 4


def test_the_stand_in_captures_as_cuda_does(gpu):
    x, total = gpu.asarray(np.arange(3.0)), gpu.zeros(3)
    pool, stream = gpu.cuda.MemoryPool(), gpu.cuda.Stream(non_blocking=True)
    with gpu.cuda.using_allocator(pool.malloc), stream:
        stream.begin_capture()
        doubled = x * 2.0
        total += doubled
        for refused in (x.get, x.sum().item, lambda: bool(x.sum()), lambda: x @ x, lambda: x[x > 1],
                        lambda: gpu.asarray(1.0), lambda: gpu.nonzero(x), stream.synchronize):
            with pytest.raises(RuntimeError):
                refused()
        graph = stream.end_capture()
    assert not total.get().any() and (doubled.get() == 77).all()    # nothing was done yet
    for launches in (1, 2):
        graph.launch()
        np.testing.assert_array_equal(total.get(), [0, 2 * launches, 4 * launches])
    x[...] = 1.0
    graph.launch()
    np.testing.assert_array_equal(doubled.get(), [2, 2, 2])
    with stream, pytest.raises(RuntimeError, match="outside of a pool"):
        stream.begin_capture()
        try:
            x + 1.0
        finally:
            stream.end_capture()
