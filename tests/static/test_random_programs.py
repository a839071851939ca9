"""A fetch never changes what a run computes: programs made at random, each run for several lists of fetches."""
import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import nn, static
from gpuflow_kernels import build
from tests.static.plain_kernels import module_of

F = nn.functional
ROWS, WIDE = 5, 24

# What a program may do with two of its Variables, both [None, WIDE], and a parameter [WIDE, WIDE].
STEPS = [
    lambda x, y, w: x * y + 1.0,
    lambda x, y, w: F.relu(x) - y,
    lambda x, y, w: paddle.maximum(x, y * 0.5),
    lambda x, y, w: paddle.where(x > y, x, y * y),
    lambda x, y, w: F.leaky_relu(x + w[0]),
    lambda x, y, w: x.tanh() * y,
    lambda x, y, w: x / (y.abs() + 1.0),
    lambda x, y, w: F.linear(x, w, w[1]),
    lambda x, y, w: F.relu(paddle.matmul(x, w)),
    lambda x, y, w: x - y.mean(axis=1, keepdim=True),
    lambda x, y, w: x * y.sum(),
    lambda x, y, w: x.reshape([-1, 2, WIDE // 2]).transpose([0, 2, 1]).reshape([-1, WIDE]) + y,
    lambda x, y, w: paddle.concat([x[:, 3:], y[:, :3]], axis=1),
    lambda x, y, w: F.softmax(x) + y,
    lambda x, y, w: x.astype("float64").astype("float32") * 0.5 - y,
    lambda x, y, w: (x + 0.0).add_(y).multiply_(x),
    lambda x, y, w: static.nn.cond(x.sum() > y.sum(), lambda: F.relu(x) * 2.0 + y, lambda: x - y * w[2]),
]


def made(rng):
    """(main, startup, the names of everything that can be fetched) of a program with an optimizer's step."""
    main, startup = static.Program(), static.Program()
    with static.program_guard(main, startup), paddle.utils.unique_name.guard():
        found = [static.data(name, [None, WIDE]) for name in "xy"]
        for x in found:
            x.stop_gradient = False
        w = paddle.create_parameter([WIDE, WIDE], "float32", name="w")
        for _ in range(8):
            step = STEPS[rng.integers(len(STEPS))]
            x, y = (found[k] for k in rng.integers(max(0, len(found) - 4), len(found), 2))
            found.append(step(x, y, w))
        loss = sum(x.mean() for x in found[-3:]) + w.square().mean()
        paddle.optimizer.Momentum(0.1, grad_clip=nn.ClipGradByGlobalNorm(1.0)).minimize(loss)
    inside = {id(v) for block in main.blocks[1:] for o in block.ops for v in o.writes()}
    names = {v.name for v in main.values.values() if id(v) not in inside}
    return main, startup, sorted(name for name in names if main.values[name].dtype.is_differentiable)


def run(main, startup, fetches):
    """({name: the arrays of two steps}, what is learned) in a scope of its own."""
    exe, scope, found = static.Executor(), static.Scope(), []
    paddle.seed(1)
    exe.run(startup, scope=scope)
    for seed in range(2):
        arrays = np.random.default_rng(seed).standard_normal((2, ROWS, WIDE)).astype("float32")
        found.append(exe.run(main, dict(zip("xy", arrays)), fetches, scope=scope))
    return dict(zip(fetches, zip(*found))), np.array(scope.find_var("w").get_tensor())


@pytest.mark.parametrize("seed", range(24))
def test_no_fetch_changes_another_number(seed, monkeypatch):
    monkeypatch.setattr(build, "numba_module", module_of)
    rng = np.random.default_rng(seed)
    main, startup, names = made(rng)
    monkeypatch.setenv("GPUFLOW_FUSION", "never")
    everything, learned = run(main, startup, names)
    monkeypatch.setenv("GPUFLOW_FUSION", "always")
    main.plans.clear()
    for count in (0, 1, 2, len(names) // 2, len(names)):
        some, after = run(main, startup, list(rng.permutation(names)[:count]))
        np.testing.assert_array_equal(after, learned)
        for name, arrays in some.items():
            np.testing.assert_array_equal(arrays, everything[name], err_msg=name)
