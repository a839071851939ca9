"""What must hold whatever the numbers: order and cut of parameters do not matter, norm clips forget the scale."""
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import gpuflow
from gpuflow import nn, optimizer
from tests.optimizer.helpers import give, parameter
from tests.optimizer.resume_run import EVERY

CLIPPED = [name for name in EVERY if name != "LBFGS"]   # which takes none, and asks for the loss
CUT = [name for name in EVERY if name != "Lamb"]        # which looks at the norm of a parameter
OPTIONS = {name: {"weight_decay": 0.1} for name in EVERY} | {
    "Lamb": {"lamb_weight_decay": 0.1}, "LBFGS": {"max_iter": 3}, "Rprop": {}}
FAST = settings(max_examples=10, deadline=None)
# Norms of the same numbers add up in another order: a few roundings of float32. Some rules divide by small numbers or
# take signs; gradients below are kept away from zero.
NEAR = {"rtol": 3e-6, "atol": 1e-6}

seeds = st.integers(0, 2**16)
sizes = st.lists(st.integers(1, 9), min_size=1, max_size=5)


def numbers(rng, *shape):
    """Away from zero, of either sign."""
    return rng.uniform(0.2, 2.0, shape) * rng.choice([-1, 1], shape)


def run(rule, starts, gradients, clip=None):
    kind = "float32" if rule in CLIPPED else "float64"   # whose memory makes much of roundings
    params = [parameter(a, dtype=kind) for a in starts]
    opt = getattr(optimizer, rule)(0.01, parameters=params, grad_clip=clip, **OPTIONS[rule])
    for step in gradients:
        if rule not in CLIPPED:
            opt.step(partial(squares, opt, params, step))
            continue
        give(*zip(params, step))
        opt.step()
        opt.clear_grad()
    return [p.numpy() for p in params]


def squares(opt, params, centers):
    """The closure of a loss that has its least value at the centers and bends differently in each direction."""
    opt.clear_grad()
    terms = [(gpuflow.to_tensor(abs(c)) * (p - gpuflow.to_tensor(c)) ** 2).sum() for p, c in zip(params, centers)]
    loss = sum(terms[1:], terms[0])
    loss.backward()
    return loss


def drawn(seed, sizes):
    rng = np.random.default_rng(seed)
    return [numbers(rng, n) for n in sizes], [[numbers(rng, n) for n in sizes] for _ in range(3)]


@pytest.mark.parametrize("rule", EVERY)
@FAST
@given(seeds, sizes, st.randoms(use_true_random=False))
def test_the_order_of_parameters_does_not_matter(rule, seed, sizes, shuffle):
    starts, gradients = drawn(seed, sizes)
    order = list(range(len(sizes)))
    shuffle.shuffle(order)
    clip = nn.ClipGradByGlobalNorm(0.7) if rule in CLIPPED else None
    straight = run(rule, starts, gradients, clip)
    mixed = run(rule, [starts[k] for k in order], [[g[k] for k in order] for g in gradients], clip)
    for k, array in zip(order, mixed):
        np.testing.assert_allclose(array, straight[k], **NEAR)


@pytest.mark.parametrize("rule", CUT)
@FAST
@given(seeds, st.integers(2, 40), st.data())
def test_where_a_parameter_is_cut_does_not_matter(rule, seed, size, data):
    at = data.draw(st.integers(1, size - 1))
    (start,), gradients = drawn(seed, [size])
    for clip in (None, nn.ClipGradByValue(0.5), nn.ClipGradByGlobalNorm(0.7))[:3 if rule in CLIPPED else 1]:
        whole, = run(rule, [start], gradients, clip)
        parts = run(rule, np.split(start, [at]), [np.split(g, [at]) for g, in gradients], clip)
        np.testing.assert_allclose(np.concatenate(parts), whole, **NEAR)


@pytest.mark.parametrize("rule", CLIPPED)
@FAST
@given(seeds, sizes, st.floats(1.0, 1e6))
def test_a_norm_clip_that_bites_forgets_the_scale(rule, seed, sizes, scale):
    starts, gradients = drawn(seed, sizes)
    for clip in (nn.ClipGradByNorm(0.1), nn.ClipGradByGlobalNorm(0.1)):   # every norm is 0.2 at least
        plain = run(rule, starts, gradients, clip)
        large = run(rule, starts, [[g * scale for g in step] for step in gradients], clip)
        for a, b in zip(plain, large):
            np.testing.assert_allclose(a, b, **NEAR)


@FAST
@given(seeds, sizes, st.floats(0.0, 3.0), st.floats(0.0, 3.0))
def test_rates_multiply_and_penalties_add(seed, sizes, factor, decay):
    starts, gradients = drawn(seed, sizes)
    params = [parameter(a, learning_rate=factor) for a in starts]
    opt = optimizer.SGD(0.01, parameters=[{"params": params, "learning_rate": 0.5}], weight_decay=decay)
    expected = [np.array(a, np.float64) for a in starts]
    for step in gradients:
        give(*zip(params, step))
        opt.step()
        opt.clear_grad()
        expected = [p - 0.01 * 0.5 * factor * (g + decay * p) for p, g in zip(expected, step)]
    for p, e in zip(params, expected):
        np.testing.assert_allclose(p.numpy(), e, **NEAR)
