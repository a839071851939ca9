"""What must hold whatever the numbers: order and cut of parameters do not matter, norm clips forget the scale."""
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from gpuflow import nn, optimizer
from tests.optimizer.helpers import give, parameter

RULES = ("SGD", "Momentum", "Adam", "AdamW", "RMSProp", "Adagrad", "NAdam", "Lion")   # element by element
FAST = settings(max_examples=15, deadline=None)
# Norms of the same numbers add up in another order: a few roundings of float32. Lion and Adam divide by small numbers
# or take signs; gradients below are kept away from zero.
NEAR = {"rtol": 3e-6, "atol": 1e-6}

seeds = st.integers(0, 2**16)
sizes = st.lists(st.integers(1, 9), min_size=1, max_size=5)


def numbers(rng, *shape):
    """Away from zero, of either sign."""
    return rng.uniform(0.2, 2.0, shape) * rng.choice([-1, 1], shape)


def run(rule, starts, gradients, **settings_):
    params = [parameter(a) for a in starts]
    opt = getattr(optimizer, rule)(0.01, parameters=params, **settings_)
    for step in gradients:
        give(*zip(params, step))
        opt.step()
        opt.clear_grad()
    return [p.numpy() for p in params]


def drawn(seed, sizes):
    rng = np.random.default_rng(seed)
    return [numbers(rng, n) for n in sizes], [[numbers(rng, n) for n in sizes] for _ in range(3)]


@pytest.mark.parametrize("rule", RULES)
@FAST
@given(seeds, sizes, st.randoms(use_true_random=False))
def test_the_order_of_parameters_does_not_matter(rule, seed, sizes, shuffle):
    starts, gradients = drawn(seed, sizes)
    order = list(range(len(sizes)))
    shuffle.shuffle(order)
    clip = nn.ClipGradByGlobalNorm(0.7)
    straight = run(rule, starts, gradients, grad_clip=clip, weight_decay=0.1)
    mixed = run(rule, [starts[k] for k in order], [[g[k] for k in order] for g in gradients], grad_clip=clip,
                weight_decay=0.1)
    for k, array in zip(order, mixed):
        np.testing.assert_allclose(array, straight[k], **NEAR)


@pytest.mark.parametrize("rule", RULES)
@FAST
@given(seeds, st.integers(2, 40), st.data())
def test_where_a_parameter_is_cut_does_not_matter(rule, seed, size, data):
    at = data.draw(st.integers(1, size - 1))
    (start,), gradients = drawn(seed, [size])
    for clip in (None, nn.ClipGradByValue(0.5), nn.ClipGradByGlobalNorm(0.7)):
        whole, = run(rule, [start], gradients, grad_clip=clip, weight_decay=0.1)
        parts = run(rule, np.split(start, [at]), [np.split(g, [at]) for g, in gradients], grad_clip=clip,
                    weight_decay=0.1)
        np.testing.assert_allclose(np.concatenate(parts), whole, **NEAR)


@pytest.mark.parametrize("rule", RULES)
@FAST
@given(seeds, sizes, st.floats(1.0, 1e6))
def test_a_norm_clip_that_bites_forgets_the_scale(rule, seed, sizes, scale):
    starts, gradients = drawn(seed, sizes)
    for clip in (nn.ClipGradByNorm(0.1), nn.ClipGradByGlobalNorm(0.1)):   # every norm is 0.2 at least
        plain = run(rule, starts, gradients, grad_clip=clip, weight_decay=0.1)
        large = run(rule, starts, [[g * scale for g in step] for step in gradients], grad_clip=clip, weight_decay=0.1)
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
