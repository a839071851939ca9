"""Every case of every op on the stand-in for CuPy: what the GPU path must not do is caught without a GPU.

The numbers come from NumPy on both sides, so they must be equal to the bit, but for ops with a body of their own for
NumPy; see fake_cupy.py for what the stand-in refuses.
"""
import numpy as np
import pytest

import gpuflow
from gpuflow import device, dispatch
from gpuflow.autograd import tape
from gpuflow.ops.registry import OPS
from tests import fake_cupy
from tests.kernels.host import device as device_of_kernels
from tests.ops.test_gradients import EACH

# draws differ between devices, and empty promises nothing
UNLIKE = {"uniform", "gaussian", "randint", "randperm", "bernoulli", "multinomial", "keep_mask", "uniform_like",
          "empty"}


@pytest.fixture
def gpu():
    with fake_cupy.installed() as cupy:
        yield cupy


def outputs_and_gradients(name, case, place):
    """Results and gradients of one case, computed on `place`, as NumPy arrays."""
    gpuflow.set_device(place)
    gpuflow.seed(1)
    inputs = [gpuflow.to_tensor(x) if isinstance(x, np.ndarray) else x for x in case.inputs]
    wanted = []
    for i, x in enumerate(inputs):
        if isinstance(x, gpuflow.Tensor) and x.dtype.is_floating and i not in case.constants and case.order:
            x.stop_gradient = False
            wanted.append(x)
    out = dispatch.call(OPS[name], inputs, case.attrs)
    out = out if isinstance(out, tuple) else (out,)
    roots = [t for t in out if not t.stop_gradient]
    grads = tape.grad(roots, wanted, allow_unused=True, create_graph=case.order == 2) if roots else []
    for t in (*out, *(g for g in grads if g is not None)):
        assert str(t.place) == place, f"{name} left its device"
    return [t.numpy() for t in out], [None if g is None else g.numpy() for g in grads]


@pytest.mark.parametrize(("name", "case"), [p for p in EACH if p.values[0] != "transfer"])   # it leaves its device
def test_op_computes_the_same_on_arrays_that_are_not_numpys(name, case, gpu):
    here, here_grads = outputs_and_gradients(name, case, "gpu:0")
    there, there_grads = outputs_and_gradients(name, case, "cpu")
    for a, b in zip([*here, *here_grads], [*there, *there_grads], strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dtype == b.dtype and a.shape == b.shape
            if name not in UNLIKE:
                close = 1e-12 if a.dtype == np.float64 else 1e-6  # another order of sums, another erf
                np.testing.assert_allclose(a, b, rtol=close, atol=close)


def test_the_stand_in_refuses_what_cupy_refuses(gpu):
    x = gpuflow.to_tensor([1.0, 2.0])
    with pytest.raises(TypeError, match="Implicit conversion"):
        np.exp(x._array)
    with pytest.raises(TypeError, match="Unsupported type"):
        gpu.add(x._array, np.ones(2))
    with pytest.raises(TypeError, match="Unsupported type"):
        x._array * np.ones(2)
    with pytest.raises(AttributeError):
        gpu.busday_count  # noqa: B018  NumPy has it, CuPy does not
    with pytest.raises(TypeError):
        gpu.sum(x._array, where=True)


def test_devices_do_not_mix_and_copies_cross(gpu):
    x, y = gpuflow.to_tensor([1.0]), gpuflow.to_tensor([2.0], place="cpu")
    assert str(x.place) == "gpu:0" and str(y.place) == "cpu"
    with pytest.raises(RuntimeError, match=r"gpu:0.*cpu"):
        x + y
    with pytest.raises(TypeError, match=r"tensor.numpy\(\)"):
        np.asarray(x)
    np.testing.assert_array_equal(x.numpy(), [1])
    with pytest.raises(ValueError, match="gpu:0"):
        gpuflow.set_device("gpu:1")
    assert device.get_available_device() == ["cpu", "gpu:0"]


def test_a_network_trains_as_it_does_on_the_cpu(gpu):
    """Layers, autograd, DataLoader, and the optimizer's own CUDA text, three steps of the small network."""
    if device_of_kernels.compiler() is None:
        pytest.skip("g++ is missing: the CUDA text is run under it; install it (apt-get install g++)")
    from tests import test_tiny

    gpuflow.set_device("cpu")
    start = test_tiny.Net().state_dict()
    start = {name: value.numpy() for name, value in start.items()}
    result = {}
    for place in ("cpu", "gpu:0"):
        gpuflow.set_device(place)
        net = test_tiny.Net()
        net.set_state_dict(start)
        images, labels = (gpuflow.to_tensor(x[:8]) for x in test_tiny.three_patterns())
        optimizer = gpuflow.optimizer.AdamW(0.01, parameters=net.parameters(),
                                            grad_clip=gpuflow.nn.ClipGradByGlobalNorm(0.5))
        for _ in range(3):
            gpuflow.nn.functional.cross_entropy(net(images), labels).backward()
            optimizer.step()
            optimizer.clear_grad()
        assert all(str(p.place) == place for p in net.state_dict().values())
        result[place] = {name: value.numpy() for name, value in net.state_dict().items()}
    for name, value in result["cpu"].items():
        assert not np.array_equal(value, start[name]), f"{name} did not move"
        np.testing.assert_allclose(result["gpu:0"][name], value, rtol=1e-4, atol=1e-6)  # Adam divides small by small


def test_tensors_move_there_and_back_with_their_gradients(gpu):
    gpuflow.set_device("cpu")
    x = gpuflow.to_tensor([1.0, 2.0], stop_gradient=False)
    for there in (x.cuda(), x.cuda(0), x.to("gpu:0"), x.to(gpuflow.CUDAPlace(0), "float64"), x.cuda().cpu().cuda()):
        assert str(there.place) == "gpu:0"
        (there * there).sum().backward()
        assert str(x.grad.place) == "cpu"
        np.testing.assert_array_equal(x.grad.numpy(), [2, 4])
        x.clear_grad()
    slope, = tape.grad((x.cuda() ** 3).sum(), x, create_graph=True)
    slope.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [6, 12], rtol=1e-6)


MIXED = {
    "add": lambda x, y: x + y,
    "linear": lambda x, y: gpuflow.nn.Linear(2, 2)(x),
    "batch_norm": lambda x, y: gpuflow.nn.BatchNorm1D(2)(x),
    "embedding": lambda x, y: gpuflow.nn.Embedding(3, 2)(x.astype("int64")),
    "mse_loss": gpuflow.nn.functional.mse_loss,
    "concat": lambda x, y: gpuflow.concat([x, y]),
    "getitem": lambda x, y: x[y[0].astype("int64")],
    "tensor[index] = value": lambda x, y: x.__setitem__(0, y[0]),
}


@pytest.mark.parametrize("where", MIXED)
def test_mixed_devices_are_named(where, gpu):
    gpuflow.set_device("cpu")
    x, y = gpuflow.ones([2, 2]).cuda(), gpuflow.ones([2, 2])
    with pytest.raises(RuntimeError) as caught:
        MIXED[where](x, y)
    assert where in str(caught.value) and "gpu:0" in str(caught.value) and "cpu" in str(caught.value)


def test_every_gpus_draws_start_again_from_a_state(gpu):
    gpuflow.seed(3)
    states = gpuflow.get_cuda_rng_state()
    drawn = gpuflow.rand([4]).numpy()
    gpuflow.set_cuda_rng_state(states)
    np.testing.assert_array_equal(gpuflow.rand([4]).numpy(), drawn)
    with pytest.raises(ValueError, match="one state per GPU, 1"):
        gpuflow.set_cuda_rng_state([])
