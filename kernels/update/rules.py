"""Every update rule that gpuflow ships: its formula, and the numbers that the host works out at step t = 1, 2, ...

Numbers follow Paddle 3.3.1 (tests/kernels/golden holds its trajectories). `at` returns float64 values; powers and
differences from 1 are taken there, since float32 loses them.
"""

from __future__ import annotations

import math

from gpuflow_kernels.update.rule import UpdateRule


def _nothing(t):
    return {}


sgd = UpdateRule("sgd", formula="p = p - lr * g", at=_nothing)


# -- momentum --------------------------------------------------------------------------------------------------------


def _momentum(t, momentum=0.9):
    return {"mu": momentum}


# Paddle's form: the rate stays outside v, so a change of rate acts at once on the whole velocity.
momentum = UpdateRule(
    "momentum",
    state=("v",),
    numbers=("mu",),
    at=_momentum,
    formula="""
    v = mu * v + g
    p = p - lr * v
""",
)

nesterov = UpdateRule(
    "nesterov",
    state=("v",),
    numbers=("mu",),
    at=_momentum,
    formula="""
    v = mu * v + g
    p = p - lr * (g + mu * v)
""",
)


# -- rates per element -----------------------------------------------------------------------------------------------

adagrad = UpdateRule(
    "adagrad",
    state=("s",),
    numbers=("epsilon",),
    at=lambda t, epsilon=1e-6: {"epsilon": epsilon},
    formula="""
    s = s + g * g
    p = p - lr * g / (sqrt(s) + epsilon)
""",
)


def _rho(t, rho=0.95, epsilon=1e-6):
    return {"rho": rho, "one_minus_rho": 1 - rho, "epsilon": epsilon}


adadelta = UpdateRule(
    "adadelta",
    state=("s", "d"),
    numbers=("rho", "one_minus_rho", "epsilon"),
    at=_rho,
    formula="""
    s = rho * s + one_minus_rho * (g * g)
    u = sqrt(d + epsilon) / sqrt(s + epsilon) * g
    d = rho * d + one_minus_rho * (u * u)
    p = p - lr * u
""",
)

# Paddle's RMSProp: epsilon inside the root, the rate inside the velocity.
rmsprop = UpdateRule(
    "rmsprop",
    state=("s",),
    numbers=("rho", "one_minus_rho", "epsilon"),
    at=_rho,
    formula="""
    s = rho * s + one_minus_rho * (g * g)
    p = p - lr * g / sqrt(s + epsilon)
""",
)

def _rho_centered(t, rho=0.95, epsilon=1e-6, centered=True):
    return {**_rho(t, rho, epsilon), "gain": 1 - rho if centered else 0.0}


# Without a gain the mean stays 0: the plain rule.
rmsprop_centered = UpdateRule(
    "rmsprop_centered",
    state=("s", "a"),
    numbers=("rho", "one_minus_rho", "gain", "epsilon"),
    at=_rho_centered,
    formula="""
    s = rho * s + one_minus_rho * (g * g)
    a = rho * a + gain * g
    p = p - lr * g / sqrt(s - a * a + epsilon)
""",
)


def _rho_momentum(t, rho=0.95, epsilon=1e-6, momentum=0.0):
    return {**_rho(t, rho, epsilon), "mu": momentum}


rmsprop_momentum = UpdateRule(
    "rmsprop_momentum",
    state=("s", "v"),
    numbers=("rho", "one_minus_rho", "epsilon", "mu"),
    at=_rho_momentum,
    formula="""
    s = rho * s + one_minus_rho * (g * g)
    v = mu * v + lr * g / sqrt(s + epsilon)
    p = p - v
""",
)


def _rho_centered_momentum(t, rho=0.95, epsilon=1e-6, momentum=0.0, centered=True):
    return {**_rho_centered(t, rho, epsilon, centered), "mu": momentum}


rmsprop_centered_momentum = UpdateRule(
    "rmsprop_centered_momentum",
    state=("s", "a", "v"),
    numbers=("rho", "one_minus_rho", "gain", "epsilon", "mu"),
    at=_rho_centered_momentum,
    formula="""
    s = rho * s + one_minus_rho * (g * g)
    a = rho * a + gain * g
    v = mu * v + lr * g / sqrt(s - a * a + epsilon)
    p = p - v
""",
)


def _rprop(t, learning_rate_range=(1e-5, 50.0), etas=(0.5, 1.2)):
    return {"smallest": learning_rate_range[0], "largest": learning_rate_range[1], "shrink": etas[0], "grow": etas[1]}


# `rate` starts at the learning rate; lr itself is not read. A sign change stops the element for one step.
rprop = UpdateRule(
    "rprop",
    state=("before", "rate"),
    numbers=("smallest", "largest", "shrink", "grow"),
    at=_rprop,
    formula="""
    turn = sign(g) * sign(before)
    rate = where(turn > 0, rate * grow, where(turn < 0, rate * shrink, rate))
    rate = fmin(fmax(rate, smallest), largest)
    before = where(turn < 0, 0, g)
    p = p - rate * sign(before)
""",
)


def _asgd(t, batch_num=1):
    return {"share": 1 / min(t, batch_num)}


# d is the sum of the last batch_num gradients; y is the one that drops out, a ring of buffers bound by `rebind`.
asgd = UpdateRule(
    "asgd",
    state=("d", "y"),
    numbers=("share",),
    at=_asgd,
    formula="""
    d = d - y + g
    y = g
    p = p - lr * share * d
""",
)


# -- the Adam family -------------------------------------------------------------------------------------------------

_MOMENTS = ("beta1", "one_minus_beta1", "beta2", "one_minus_beta2")


def _moments(t, beta1, beta2):
    return {"beta1": beta1, "one_minus_beta1": 1 - beta1, "beta2": beta2, "one_minus_beta2": 1 - beta2}


def _adam(t, beta1=0.9, beta2=0.999, epsilon=1e-8):
    root = math.sqrt(1 - beta2**t)
    return {**_moments(t, beta1, beta2), "step_size": root / (1 - beta1**t), "epsilon": epsilon * root}


def _adam_rule(name, amsgrad=False, decoupled=False):
    """Adam with both corrections in step_size: p -= lr * root/(1 - beta1^t) * m / (sqrt(v) + epsilon * root)."""
    return UpdateRule(
        name,
        state=("m", "v", "largest") if amsgrad else ("m", "v"),
        numbers=(*_MOMENTS, "step_size", "epsilon"),
        at=_adam,
        formula="\n".join(
            [
                "p = p - lr * decay * p" if decoupled else "",
                "m = beta1 * m + one_minus_beta1 * g",
                "v = beta2 * v + one_minus_beta2 * (g * g)",
                "largest = fmax(largest, v)" if amsgrad else "",
                f"p = p - lr * step_size * (m / (sqrt({'largest' if amsgrad else 'v'}) + epsilon))",
            ]
        ),
    )


adam = _adam_rule("adam")
adam_amsgrad = _adam_rule("adam_amsgrad", amsgrad=True)
adamw = _adam_rule("adamw", decoupled=True)
adamw_amsgrad = _adam_rule("adamw_amsgrad", amsgrad=True, decoupled=True)


def _adamax(t, beta1=0.9, beta2=0.999, epsilon=1e-8):
    return {"beta1": beta1, "one_minus_beta1": 1 - beta1, "beta2": beta2, "epsilon": epsilon,
            "step_size": 1 / (1 - beta1**t)}


adamax = UpdateRule(
    "adamax",
    state=("m", "u"),
    numbers=("beta1", "one_minus_beta1", "beta2", "epsilon", "step_size"),
    at=_adamax,
    formula="""
    m = beta1 * m + one_minus_beta1 * g
    u = fmax(fabs(g), beta2 * u + epsilon)
    p = p - lr * step_size * (m / u)
""",
)

_products: dict[tuple[float, float], list[float]] = {}  # NAdam's running product of mu_t, per (beta1, momentum_decay)


def nadam_mu(t, beta1, momentum_decay):
    """The momentum of step t and the product of those of steps 1 to t."""
    def mu(k):
        return beta1 * (1 - 0.5 * 0.96 ** (k * momentum_decay))

    products = _products.setdefault((beta1, momentum_decay), [1.0])
    while len(products) <= t:
        products.append(products[-1] * mu(len(products)))
    return mu(t), products[t]


def _nadam(t, beta1=0.9, beta2=0.999, epsilon=1e-8, momentum_decay=0.004):
    mu, product = nadam_mu(t, beta1, momentum_decay)
    next_mu, _ = nadam_mu(t + 1, beta1, momentum_decay)
    return {**_moments(t, beta1, beta2), "epsilon": epsilon, "v_correction": 1 / (1 - beta2**t),
            "m_share": next_mu / (1 - product * next_mu), "g_share": (1 - mu) / (1 - product)}


nadam = UpdateRule(
    "nadam",
    state=("m", "v"),
    numbers=(*_MOMENTS, "epsilon", "v_correction", "m_share", "g_share"),
    at=_nadam,
    formula="""
    m = beta1 * m + one_minus_beta1 * g
    v = beta2 * v + one_minus_beta2 * (g * g)
    p = p - lr * (m_share * m + g_share * g) / (sqrt(v * v_correction) + epsilon)
""",
)


def _radam(t, beta1=0.9, beta2=0.999, epsilon=1e-8):
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * t * beta2**t / (1 - beta2**t)
    rectify = length > 5
    factor = (
        math.sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)) if rectify else 0.0
    )
    return {**_moments(t, beta1, beta2), "epsilon": epsilon, "rectify": float(rectify),
            "plain_size": 1 / (1 - beta1**t), "rectified_size": factor * math.sqrt(1 - beta2**t) / (1 - beta1**t)}


radam = UpdateRule(
    "radam",
    state=("m", "v"),
    numbers=(*_MOMENTS, "epsilon", "rectify", "plain_size", "rectified_size"),
    at=_radam,
    formula="""
    m = beta1 * m + one_minus_beta1 * g
    v = beta2 * v + one_minus_beta2 * (g * g)
    p = p - lr * m * where(rectify > 0, rectified_size / (sqrt(v) + epsilon), plain_size)
""",
)


def _lamb(t, beta1=0.9, beta2=0.999, epsilon=1e-6, always_adapt=False):
    return {**_moments(t, beta1, beta2), "epsilon": epsilon, "m_correction": 1 / (1 - beta1**t),
            "v_correction": 1 / (1 - beta2**t), "always_adapt": float(always_adapt)}


# Parameters without decay move by the plain rate unless always_adapt, as in Paddle.
lamb = UpdateRule(
    "lamb",
    state=("m", "v"),
    numbers=(*_MOMENTS, "epsilon", "m_correction", "v_correction", "always_adapt"),
    at=_lamb,
    prepare="""
    m = beta1 * m + one_minus_beta1 * g
    v = beta2 * v + one_minus_beta2 * (g * g)
""",
    direction="""
    u = m * m_correction / (sqrt(v * v_correction) + epsilon) + decay * p
""",
    norms={"p_norm": "p", "u_norm": "u"},
    formula="""
    ratio = where(p_norm > 0, where(u_norm > 0, p_norm / u_norm, 1), 1)
    p = p - lr * where(decay + always_adapt > 0, ratio, 1) * u
""",
)


def _lion(t, beta1=0.9, beta2=0.99):
    return _moments(t, beta1, beta2)


lion = UpdateRule(
    "lion",
    state=("m",),
    numbers=_MOMENTS,
    at=_lion,
    formula="""
    p = p - lr * decay * p
    p = p - lr * sign(beta1 * m + one_minus_beta1 * g)
    m = beta2 * m + one_minus_beta2 * g
""",
)

RULES = {
    rule.name: rule
    for rule in (sgd, momentum, nesterov, adagrad, adadelta, rmsprop, rmsprop_centered, rmsprop_momentum,
                 rmsprop_centered_momentum, rprop, asgd, adam, adam_amsgrad, adamw, adamw_amsgrad, adamax, nadam, radam,
                 lamb, lion)
}
