"""WeightNormParamAttr in a Program: g starts from v in the startup program, and both are trained as in eager mode."""
import numpy as np
import pytest

import gpuflow
from gpuflow import nn, optimizer, static
from gpuflow.param import WeightNormParamAttr
from gpuflow.regularizer import L2Decay

START = np.arange(12, dtype=np.float32).reshape(3, 4) / 7 - 0.6
X = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)


def attr(dim):
    return WeightNormParamAttr(dim, name=f"wn{dim}", initializer=nn.initializer.Assign(START), learning_rate=0.5,
                               regularizer=L2Decay(0.1))


@pytest.mark.parametrize("dim", [None, 0, 1])
def test_trains_as_in_eager_mode(dim):
    main, startup = static.Program(), static.Program()
    with static.program_guard(main, startup):
        x = static.data("x", [None, 3], "float32")
        loss = nn.Linear(3, 4, weight_attr=attr(dim))(x).square().sum()
        optimizer.Momentum(0.02).minimize(loss)
    executor, scope = static.Executor(), static.Scope()
    executor.run(startup, scope=scope)
    losses = [executor.run(main, feed={"x": X}, fetch_list=[loss], scope=scope)[0].item() for _ in range(4)]
    lengths = scope.find_var(f"wn{dim}_g").numpy()
    static.disable_static()
    layer = nn.Linear(3, 4, weight_attr=attr(dim))
    opt = optimizer.Momentum(0.02, parameters=layer.parameters())
    for expected in losses:
        loss = layer(gpuflow.to_tensor(X)).square().sum()
        loss.backward()
        opt.step()
        opt.clear_grad()
        assert loss.item() == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(lengths, layer.weight_g.numpy(), rtol=1e-6)
