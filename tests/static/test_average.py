"""Averages and LookAhead in Programs: the numbers of eager mode and Paddle's, in the global scope and in another."""
import numpy as np
import pytest

import gpuflow
from gpuflow import nn, optimizer, static
from gpuflow.optimizer import ExponentialMovingAverage

X = np.random.default_rng(3).normal(size=(5, 4, 3)).astype(np.float32)
STEPS = len(X)


def layer():
    start = nn.initializer.Assign(np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2))
    return nn.Linear(3, 2, weight_attr=gpuflow.ParamAttr(initializer=start))


def eager(**options):
    """(weight, its average) after all steps."""
    static.disable_static()
    model = layer()
    opt = optimizer.Momentum(0.1, 0.9, parameters=model.parameters())
    ema = ExponentialMovingAverage(0.8, parameters=model, **options)
    for x in X:
        model(gpuflow.to_tensor(x)).square().mean().backward()
        opt.step()
        opt.clear_grad()
        ema.update()
    own = model.weight.numpy()
    with ema.apply():
        return own, model.weight.numpy()


def built(attached, **options):
    """(program, startup, program for testing, loss, output, average)."""
    main, startup = static.Program(), static.Program()
    with static.program_guard(main, startup):
        x = static.data("x", [None, 3], "float32")
        out = layer()(x)
        loss = out.square().mean()
        testing = main.clone(for_test=True)
        opt = optimizer.Momentum(0.1, 0.9)
        opt.minimize(loss)
        if attached:
            ema = ExponentialMovingAverage(0.8, parameters=main.all_parameters(), **options).attach(opt)
        else:
            ema = ExponentialMovingAverage(0.8, **options)
            ema.update()
    return main, startup, testing, loss, out, ema


@pytest.mark.parametrize("attached", [False, True])
@pytest.mark.parametrize("scoped", [False, True])
def test_every_run_averages_as_eager_mode_does(attached, scoped):
    main, startup, testing, loss, out, ema = built(attached)
    executor = static.Executor()
    unit = {"x": np.eye(3, dtype=np.float32)}
    with static.scope_guard(static.Scope() if scoped else static.global_scope()):
        def weight():
            return executor.run(testing, feed=unit, fetch_list=[out])[0]   # and the bias on every row

        executor.run(startup)
        for x in X:
            executor.run(main, feed={"x": x}, fetch_list=[loss])
        before = weight()
        with ema.apply(executor):
            averaged = weight()
        np.testing.assert_array_equal(weight(), before)
        with ema.apply(executor, need_restore=False):
            pass
        np.testing.assert_array_equal(weight(), averaged)
        ema.restore(executor)
        np.testing.assert_array_equal(weight(), before)
    assert sum(o.type == "ExponentialMovingAverage" for o in main.global_block().ops) == (not attached)
    own, expected = eager()
    assert not np.allclose(own, expected)
    np.testing.assert_allclose(before - before[0], own - own[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(averaged - averaged[0], expected - expected[0], rtol=1e-5, atol=1e-6)


def test_thres_steps_may_be_a_variable_of_the_program():
    main, startup = static.Program(), static.Program()
    with static.program_guard(main, startup):
        x = static.data("x", [None, 3], "float32")
        t = static.data("t", [1], "float32")
        loss = layer()(x).square().mean()
        optimizer.Momentum(0.1, 0.9).minimize(loss)
        ema = ExponentialMovingAverage(0.8, t)
        ema.update()
    executor = static.Executor()
    executor.run(startup)
    for k, one in enumerate(X):
        executor.run(main, feed={"x": one, "t": np.full(1, k, np.float32)}, fetch_list=[loss])
    count = iter(range(STEPS))
    found = ema.averages()[0]
    _, expected = eager(thres_steps=lambda: next(count))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


# The weights after seven runs as Paddle 3.3.1 has them in its static mode; the mean is over four of them.
MEAN = [0.81710464, 0.5745724, -0.1086963, -0.09675959, 0.12358624, 0.10688434]
LAST = [0.8071871, 0.57970715, 0.05064937, -0.05308913, -0.02011715, -0.12593998]
AHEAD = [0.5049825, 0.37678578, -0.09315485, -0.01363395, 0.16999604, 0.23361847]


@pytest.mark.parametrize("scoped", [False, True])
@pytest.mark.parametrize("ahead", [False, True])
def test_model_average_and_look_ahead_follow_paddle(ahead, scoped):
    main, startup = static.Program(), static.Program()
    with static.program_guard(main, startup):
        model = layer()
        loss = model(static.data("x", [None, 3], "float32")).square().mean()
        opt = optimizer.Momentum(0.1, 0.9)
        if ahead:
            optimizer.LookAhead(opt, 0.5, 3).minimize(loss)
        else:
            opt.minimize(loss)
            mean = optimizer.ModelAverage(0.5, min_average_window=2, max_average_window=3)
    executor = static.Executor()
    with static.scope_guard(static.Scope() if scoped else static.global_scope()):
        def weight():
            return static.global_scope().find_var(model.weight.name).numpy().ravel()

        executor.run(startup)
        for x in np.random.default_rng(3).normal(size=(7, 4, 3)).astype(np.float32):
            executor.run(main, feed={"x": x}, fetch_list=[loss])
        if not ahead:
            with mean.apply(executor):
                np.testing.assert_allclose(weight(), MEAN, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(weight(), AHEAD if ahead else LAST, rtol=1e-5, atol=1e-6)


def test_refused():
    with static.program_guard(static.Program(), static.Program()):
        layer()
        mean = optimizer.ModelAverage(0.5)
        with pytest.raises(RuntimeError, match="every run counts"):
            mean.step()
    with pytest.raises(ValueError, match="a program with parameters"):
        optimizer.ModelAverage(0.5)
    with pytest.raises(ValueError, match="a program with parameters"):
        ExponentialMovingAverage(0.5).update()
