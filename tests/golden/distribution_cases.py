"""Distributions that mean the same in Paddle and in gpuflow: how each is made, and where its density is asked for."""
import numpy as np

V, W, P = [0.3, -1.2, 2.0], [0.7, 1.5, 0.4], [0.2, 0.5, 0.9]
ROWS = [[0.5, 1.5, 2.0], [3.0, 0.8, 1.0]]
CORRELATION = [[1.0, 0.0, 0.0], [0.3, 0.954, 0.0], [0.2, -0.5, 0.843]]
TRIANGLE = [[1.0, 0.0, 0.0], [-0.6, 0.8, 0.0], [0.36, 0.48, 0.8]]

# name: (expression over D and t (a float32 tensor), the same for the second of a pair or None, values, more methods)
CASES = {
    "normal": ("D.Normal(t(V), t(W))", "D.Normal(t(W), t(W) + 0.5)", V, ()),
    "normal of numbers": ("D.Normal(0.5, 2.0)", None, V, ()),
    "uniform": ("D.Uniform(t(V), t(V) + t(W))", None, [0.5, -1.0, 9.0], ()),
    "laplace": ("D.Laplace(t(V), t(W))", "D.Laplace(t(W), t(W) + 0.5)", W, ("cdf",)),
    "gumbel": ("D.Gumbel(t(V), t(W))", None, W, ("cdf",)),
    "cauchy": ("D.Cauchy(t(V), t(W))", "D.Cauchy(t(W), t(W) + 0.5)", W, ("cdf",)),
    "exponential": ("D.Exponential(t(W))", "D.Exponential(t(W) + 0.5)", W, ("cdf",)),
    "gamma": ("D.Gamma(t(W), t(P))", "D.Gamma(t(P), t(W) + 1.0)", W, ()),
    "chi2": ("D.Chi2(t(W) * 3)", None, W, ()),
    "beta": ("D.Beta(t(W), t(P))", "D.Beta(t(P), t(W))", P, ()),
    "dirichlet": ("D.Dirichlet(t(ROWS))", "D.Dirichlet(t(ROWS) + 1.0)", [[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]], ()),
    "student": ("D.StudentT(t([0.8, 1.5, 4.0]), t(V), t(W))", None, W, ()),
    "lognormal": ("D.LogNormal(t(V), t(W))", "D.LogNormal(t(W), t(W) + 0.5)", W, ()),
    "continuous bernoulli": ("D.ContinuousBernoulli(t(P))", "D.ContinuousBernoulli(t([0.3, 0.4, 0.6]))",
                             [0.1, 0.6, 0.9], ("cdf", "icdf")),
    "bernoulli": ("D.Bernoulli(t(P))", "D.Bernoulli(t([0.3, 0.4, 0.6]))", [0.0, 1.0, 1.0], ("cdf",)),
    "geometric": ("D.Geometric(t(P))", "D.Geometric(t([0.3, 0.4, 0.6]))", [0.0, 2.0, 5.0], ("cdf", "pmf", "log_pmf")),
    "poisson": ("D.Poisson(t(W) * 4)", "D.Poisson(t(W) + 3)", [0.0, 2.0, 5.0], ()),
    "binomial": ("D.Binomial(6, t(P))", "D.Binomial(6, t([0.3, 0.4, 0.6]))", [0.0, 2.0, 5.0], ()),
    "multinomial": ("D.Multinomial(4, t(ROWS))", None, [[1.0, 1.0, 2.0], [4.0, 0.0, 0.0]], ()),
    "independent": ("D.Independent(D.Normal(t(ROWS), t(ROWS)), 1)", None, ROWS, ()),
    "transformed": ("D.TransformedDistribution(D.Normal(t(V), t(W)), [D.AffineTransform(t(1.0), t(2.0)), "
                    "D.SigmoidTransform()])", None, P, ()),
    "stick breaking": ("D.TransformedDistribution(D.Normal(t(ROWS), t(ROWS)), [D.StickBreakingTransform()])", None,
                       [[0.2, 0.3, 0.1, 0.4], [0.1, 0.1, 0.2, 0.6]], ()),
    "multivariate": ("D.MultivariateNormal(t(V), covariance_matrix=t(COV))",
                     "D.MultivariateNormal(t(W), precision_matrix=t(COV))", [W, V], ()),
    "multivariate rows": ("D.MultivariateNormal(t(ROWS), scale_tril=t(TRIL))", None, ROWS, ()),
    "lkj": ("D.LKJCholesky(3, t(W))", None, [CORRELATION, TRIANGLE, CORRELATION], ()),
    "lkj of a number": ("D.LKJCholesky(3, 2.5, 'cvine')", None, CORRELATION, ()),
    "categorical": ("D.Categorical(t(ROWS))", "D.Categorical(t(ROWS) * 2 + t(W))", None, ()),
}
COV = [[2.0, 0.3, 0.1], [0.3, 1.0, -0.2], [0.1, -0.2, 0.5]]
TRIL = [[1.0, 0.0, 0.0], [0.3, 0.8, 0.0], [0.1, -0.2, 0.5]]

# Of the others Paddle crashes on the way back through broadcast_tensors.
GRADIENTS = ("normal", "exponential", "gamma", "chi2", "dirichlet", "lognormal", "continuous bernoulli", "poisson",
             "independent", "transformed", "stick breaking", "multivariate", "lkj")

TRANSFORMS = {  # name: (expression, inputs)
    "affine": ("D.AffineTransform(t(V), t(W))", V), "exp": ("D.ExpTransform()", V), "tanh": ("D.TanhTransform()", W),
    "sigmoid": ("D.SigmoidTransform()", V), "power": ("D.PowerTransform(t(2.0))", W),
    "reshape": ("D.ReshapeTransform((2, 3), (3, 2))", ROWS), "stick": ("D.StickBreakingTransform()", ROWS),
    "chain": ("D.ChainTransform([D.AffineTransform(t(V), t(W)), D.ExpTransform()])", V),
    "independent": ("D.IndependentTransform(D.ExpTransform(), 1)", ROWS),
    "stack": ("D.StackTransform([D.ExpTransform(), D.TanhTransform()], 0)", ROWS),
}


def _arrays(paddle, expression):
    names = {k: globals()[k] for k in ("V", "W", "P", "ROWS", "COV", "TRIL")}
    leaves = []

    def t(x):
        leaves.append(paddle.to_tensor(np.array(x, "float32"), stop_gradient=False))
        return leaves[-1]

    return eval(expression, {"D": paddle.distribution, "t": t, **names}), leaves


def _told(function):
    """What a call gives as an array, or the kind of its refusal."""
    try:
        return np.asarray(function().numpy(), "float64")
    except (NotImplementedError, ValueError, AttributeError):
        return np.array(np.nan)


def run(paddle, name) -> dict:
    """The numbers of one distribution of CASES, and the gradient of its parameters."""
    expression, other, values, methods = CASES[name]
    made, leaves = _arrays(paddle, expression)
    found = {"sample": np.array(made.sample([2, 4]).shape)}
    if name != "categorical":  # Paddle's has no shapes
        found |= {"batch": np.array(made.batch_shape), "event": np.array(made.event_shape)}
    for what in ("mean", "variance"):
        found[what] = _told(lambda what=what: getattr(made, what))
    found["entropy"] = _told(made.entropy)
    if other is not None:
        found["kl"] = _told(lambda: paddle.distribution.kl_divergence(made, _arrays(paddle, other)[0]))
    at = paddle.to_tensor(np.array(values, "float32")) if values is not None else paddle.to_tensor([2, 0])
    if name in GRADIENTS:
        density = made.log_prob(at)
        density.sum().backward()
        found |= {f"grad{i}": np.asarray(leaf.grad.numpy()) for i, leaf in enumerate(leaves) if leaf.grad is not None}
    found["log_prob"], found["prob"] = _told(lambda: made.log_prob(at)), _told(lambda: made.prob(at))
    for method in methods:
        found[method] = _told(lambda method=method: getattr(made, method)(at))
    return found


def run_transform(paddle, name) -> dict:
    expression, inputs = TRANSFORMS[name]
    (made, _), x = _arrays(paddle, expression), paddle.to_tensor(np.array(inputs, "float32"))
    y = made.forward(x)
    return {"forward": y.numpy(), "inverse": made.inverse(y).numpy(),
            "slope": made.forward_log_det_jacobian(x).numpy(), "back": made.inverse_log_det_jacobian(y).numpy(),
            "shape": np.array(made.forward_shape(list(x.shape)))}
