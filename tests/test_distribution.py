"""Distributions against Paddle 3.3.1 (tests/golden/distribution_cases.py); their samples against their own moments."""
import math
from pathlib import Path

import numpy as np
import pytest

import gpuflow
from gpuflow import distribution as D
from tests.golden.distribution_cases import CASES, TRANSFORMS, _arrays, run, run_transform

GOLDEN = dict(np.load(Path(__file__).parent / "golden" / "distribution.npz"))


def _assert_as_paddle(kind, name, found):
    expected = {k.split("/")[2]: v for k, v in GOLDEN.items() if k.startswith(f"{kind}/{name}/")}
    assert expected.keys() <= found.keys()
    for part, value in expected.items():
        if value.shape == () and np.isnan(value):
            continue  # Paddle refuses
        assert np.shape(found[part]) == value.shape, part
        np.testing.assert_allclose(found[part], value, rtol=1e-4, atol=2e-5, err_msg=part)


@pytest.mark.parametrize("name", CASES)
def test_as_paddle(name):
    _assert_as_paddle("d", name, run(gpuflow, name))


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_as_paddle(name):
    _assert_as_paddle("t", name, run_transform(gpuflow, name))


@pytest.mark.parametrize("name", [n for n in CASES if n not in ("cauchy", "student", "categorical", "transformed",
                                                                "stick breaking", "lkj", "lkj of a number")])
def test_samples_have_the_moments(name, device):
    gpuflow.seed(5)
    made, _ = _arrays(gpuflow, CASES[name][0])
    drawn = made.sample([4000]).numpy().astype("float64")
    assert made.sample([4000]).stop_gradient
    mean, variance = made.mean.numpy().astype("float64"), made.variance.numpy().astype("float64")
    assert drawn.shape == (4000, *mean.shape)
    assert (np.abs(drawn.mean(0) - mean) < 5 * np.sqrt(variance / 4000)).all()
    np.testing.assert_allclose(drawn.var(0), variance, rtol=0.5 if name == "lognormal" else 0.25)


def test_samples_of_the_others(device):
    gpuflow.seed(6)
    weights = gpuflow.to_tensor([0.1, 0.2, 0.7])
    drawn = D.Categorical(weights.log()).sample([4000]).numpy()
    np.testing.assert_allclose(np.bincount(drawn) / 4000, [0.1, 0.2, 0.7], atol=0.03)
    assert abs(np.median(D.Cauchy(1.0, 2.0).sample([4001]).numpy()) - 1) < 0.2
    students = D.StudentT(9.0, 1.0, 2.0)
    np.testing.assert_allclose(students.sample([4000]).numpy().var(), students.variance.item(), rtol=0.2)


@pytest.mark.parametrize("method", ["onion", "cvine"])
def test_samples_of_correlations(method, device):
    """Each correlation's variance is 1 / (2 b + 1) with b = concentration + (dim - 2) / 2."""
    gpuflow.seed(6)
    factors = D.LKJCholesky(4, [0.5, 3.0], method).sample([4000]).numpy()
    drawn = factors @ factors.swapaxes(-1, -2)
    np.testing.assert_allclose(np.diagonal(drawn, 0, -2, -1), 1, rtol=1e-5)
    rows, columns = np.tril_indices(4, -1)
    np.testing.assert_allclose(drawn[..., rows, columns].var(0), np.repeat([[1 / 4], [1 / 9]], 6, 1), rtol=0.08)


def test_divergences_and_entropies_of_a_family_have_gradients_where_parameters_want_them():
    a = gpuflow.to_tensor(0.5, stop_gradient=False)
    other = D.Beta(0.3, 0.7)
    assert D.kl_divergence(D.Beta(0.5, 0.5), other).stop_gradient and D.Beta(0.5, 0.5).entropy().stop_gradient
    D.kl_divergence(D.Beta(a, 0.5), other).backward()
    ahead, back = (D.kl_divergence(D.Beta(0.5 + h, 0.5), other).item() for h in (0.01, -0.01))
    np.testing.assert_allclose(a.grad.item(), (ahead - back) / 0.02, rtol=1e-3)


def test_a_seed_repeats_samples():
    def draw():
        gpuflow.seed(3)
        return [D.Gamma(2.0, 1.0).sample([5]).numpy(), D.Poisson(3.0).sample([5]).numpy(),
                D.Binomial(5, 0.3).sample([5]).numpy(), D.Normal(0.0, 1.0).sample([5]).numpy()]

    for first, second in zip(draw(), draw(), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("expression", [
    "D.Normal(t(V), t(W))", "D.Uniform(t(V), t(V) + t(W))", "D.Laplace(t(V), t(W))", "D.Gumbel(t(V), t(W))",
    "D.Cauchy(t(V), t(W))", "D.LogNormal(t(V), t(W))", "D.MultivariateNormal(t(V), covariance_matrix=t(COV))",
    "D.Exponential(t(W))", "D.ContinuousBernoulli(t(P))"])
def test_rsample_has_gradients(expression):
    made, leaves = _arrays(gpuflow, expression)
    made.rsample([3]).sum().backward()
    assert all(np.isfinite(leaf.grad.numpy()).all() and leaf.grad.numpy().any() for leaf in leaves)


def test_divergence_by_the_nearest_classes():
    class Mine(D.Normal):
        pass

    @D.register_kl(Mine, D.Normal)
    def mine(p, q):
        return "mine"

    p, q = Mine(0.0, 1.0), D.Normal(0.0, 1.0)
    assert D.kl_divergence(p, q) == p.kl_divergence(q) == "mine"
    assert q.kl_divergence(p).item() == 0.0
    with pytest.raises(NotImplementedError, match="register_kl"):
        D.kl_divergence(q, D.Uniform(0.0, 1.0))


def test_in_a_program():
    gpuflow.enable_static()
    main = gpuflow.static.Program()
    with gpuflow.static.program_guard(main):
        mean = gpuflow.static.data("mean", [3])
        made = D.Normal(mean, gpuflow.full([3], 2.0))
        out = [made.log_prob(mean), made.sample([5]), made.entropy()]
    feed = {"mean": np.array([1, 2, 3], "float32")}
    density, drawn, entropy = gpuflow.static.Executor().run(main, feed=feed, fetch_list=out)
    np.testing.assert_allclose(density, np.full(3, -math.log(2) - 0.5 * math.log(2 * math.pi)), rtol=1e-6)
    assert drawn.shape == (5, 3) and entropy.shape == (3,)


def test_what_is_refused():
    x = gpuflow.to_tensor([0.5, 0.5])
    for error, call in [(TypeError, lambda: D.Normal("0", 1.0)), (ValueError, lambda: D.Multinomial(0, x)),
                        (ValueError, lambda: D.Dirichlet(gpuflow.to_tensor(1.0))),
                        (ValueError, lambda: D.MultivariateNormal(x)),
                        (ValueError, lambda: D.LKJCholesky(1)), (ValueError, lambda: D.LKJCholesky(2, 1.0, "vine")),
                        (ValueError, lambda: D.Independent(D.Normal(x, x), 2)),
                        (TypeError, lambda: D.Normal(0.0, 1.0).sample(3)),
                        (NotImplementedError, lambda: D.AbsTransform().forward_log_det_jacobian(x)),
                        (TypeError, lambda: D.TransformedDistribution(D.Normal(x, x), "exp")),
                        (ValueError, lambda: D.ReshapeTransform((2, 3), (5,)))]:
        with pytest.raises(error):
            call()
