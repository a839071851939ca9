"""The trainings of rules.py by hand: gradients, clips, decays and rules in float64, from their formulas alone.

A rule is a function (p, g, lr, s, t, decay, **options) -> p: s is a dict that holds the parameter's states from step to
step, t counts its steps from 1, decay is the decoupled one. Schedules are not done here.
"""
import numpy as np
from numpy import sqrt

from tests.oracle.rules import SHAPES, STEPS, THAW, batch, start


def sgd(p, g, lr, s, t, decay):
    return p - lr * g


def momentum(p, g, lr, s, t, decay, *, momentum, use_nesterov=False):
    v = s["v"] = momentum * s.get("v", 0) + g
    return p - lr * (g + momentum * v if use_nesterov else v)


def moments(g, s, beta1, beta2):
    m = s["m"] = beta1 * s.get("m", 0) + (1 - beta1) * g
    v = s["v"] = beta2 * s.get("v", 0) + (1 - beta2) * g * g
    return m, v


def adam(p, g, lr, s, t, decay, *, beta1=0.9, beta2=0.999, epsilon=1e-8, amsgrad=False):
    """AdamW with its decay."""
    m, v = moments(g, s, beta1, beta2)
    if amsgrad:
        v = s["most"] = np.maximum(s.get("most", 0), v)
    return p - lr * decay * p - lr * m / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + epsilon)


def lamb(p, g, lr, s, t, decay, *, beta1=0.9, beta2=0.999, epsilon=1e-6, always_adapt=False):
    m, v = moments(g, s, beta1, beta2)
    u = m / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + epsilon) + decay * p
    adapts = decay or always_adapt
    return p - lr * (np.linalg.norm(p) / np.linalg.norm(u) if adapts else 1) * u


def adamax(p, g, lr, s, t, decay, *, beta1, beta2, epsilon=1e-8):
    m = s["m"] = beta1 * s.get("m", 0) + (1 - beta1) * g
    u = s["u"] = np.maximum(abs(g), beta2 * s.get("u", 0) + epsilon)
    return p - lr / (1 - beta1**t) * m / u


def nadam(p, g, lr, s, t, decay, *, momentum_decay, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m, v = moments(g, s, beta1, beta2)
    now, after = (beta1 * (1 - 0.5 * 0.96 ** (k * momentum_decay)) for k in (t, t + 1))
    product = s["product"] = s.get("product", 1) * now
    step = after * m / (1 - product * after) + (1 - now) * g / (1 - product)
    return p - lr * step / (sqrt(v / (1 - beta2**t)) + epsilon)


def radam(p, g, lr, s, t, decay, *, beta2, beta1=0.9, epsilon=1e-8):
    m, v = moments(g, s, beta1, beta2)
    limit = 2 / (1 - beta2) - 1
    length = limit - 2 * t * beta2**t / (1 - beta2**t)
    step = m / (1 - beta1**t)
    if length > 5:
        step = (step * sqrt(1 - beta2**t) / (sqrt(v) + epsilon)
                * sqrt((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length)))
    return p - lr * step


def adagrad(p, g, lr, s, t, decay, *, initial_accumulator_value, epsilon=1e-6):
    v = s["v"] = s.get("v", initial_accumulator_value) + g * g
    return p - lr * g / (sqrt(v) + epsilon)


def adadelta(p, g, lr, s, t, decay, *, epsilon, rho):
    squares = s["g"] = rho * s.get("g", 0) + (1 - rho) * g * g
    step = g * sqrt((s.get("d", 0) + epsilon) / (squares + epsilon))
    s["d"] = rho * s.get("d", 0) + (1 - rho) * step * step
    return p - lr * step


def rmsprop(p, g, lr, s, t, decay, *, epsilon, rho=0.95, momentum=0.0, centered=False):
    squares = s["v"] = rho * s.get("v", 0) + (1 - rho) * g * g
    mean = s["m"] = rho * s.get("m", 0) + (1 - rho) * g
    v = s["step"] = momentum * s.get("step", 0) + lr * g / sqrt(squares - (mean * mean if centered else 0) + epsilon)
    return p - v


def asgd(p, g, lr, s, t, decay, *, batch_num):
    last = s.setdefault("last", [0] * batch_num)
    last[(t - 1) % batch_num] = g
    return p - lr * sum(last) / min(t, batch_num)


def rprop(p, g, lr, s, t, decay, *, learning_rate_range, etas):
    turn = s.get("g", 0) * g
    rate = s.get("rate", lr) * np.where(turn > 0, etas[1], np.where(turn < 0, etas[0], 1))
    s["rate"] = rate = np.clip(rate, *learning_rate_range)
    s["g"] = g = np.where(turn < 0, 0, g)
    return p - rate * np.sign(g)


RULES = {"SGD": sgd, "Momentum": momentum, "Adam": adam, "AdamW": adam, "Lamb": lamb, "Adamax": adamax, "NAdam": nadam,
         "RAdam": radam, "Adagrad": adagrad, "Adadelta": adadelta, "RMSProp": rmsprop, "ASGD": asgd, "Rprop": rprop}
DECOUPLED = {"AdamW": ("weight_decay", 0.01, "decay_only"), "Lamb": ("lamb_weight_decay", 0.01, "no_decay")}


class Row:
    """A parameter and what a case says about it."""

    def __init__(self, case, name):
        group = next((g for g in case.get("groups", ()) if name in g["params"]), {})
        attr, args = case.get("attr", {}).get(name, {}), dict(case["args"])
        self.p, self.s, self.t = start()[name].astype(np.float64), {}, 0
        self.base = args.pop("learning_rate", None)
        self.rate = attr.get("learning_rate", 1.0) * group.get("learning_rate", 1.0)
        self.lazy = args.pop("lazy_mode", False) and name == "table"
        self.frozen_until = 0 if attr.get("trainable", True) else THAW if name in case.get("thawed", ()) else STEPS
        self.clip = group.get("clip", case.get("clip")) if attr.get("need_clip", True) else None
        self.together = tuple(group.get("params", SHAPES))   # norms are shared within a group
        key, usual, which = DECOUPLED.get(case["optimizer"], ("weight_decay", None, None))
        decay = args.pop(key, usual)
        decay, own = group.get(key, decay), attr.get("regularizer")
        self.decay, self.penalty = 0.0, own
        if which is None:
            self.penalty = own or decay
        elif own is None and (which not in case or (name in case[which]) == (which == "decay_only")):
            self.decay = decay
        self.options = args | {key: value for key, value in group.items() if key.startswith("beta")}

    def penalized(self, g):
        kind, by = self.penalty if isinstance(self.penalty, list) else ("L2Decay", self.penalty or 0.0)
        return g + by * (np.sign(self.p) if kind == "L1Decay" else self.p)


    def take(self, rule, g):
        """A step; of a lazy row what was not looked up keeps its numbers and states."""
        before, self.t = dict(self.s), self.t + 1
        after = rule(self.p, self.penalized(g), self.base * self.rate, self.s, self.t, self.decay, **self.options)
        if self.lazy:
            found = (g != 0).any(1, keepdims=True)
            after = np.where(found, after, self.p)
            self.s = {name: np.where(found, state, before.get(name, 0)) for name, state in self.s.items()}
        self.p = after


def loss_and_gradients(case, rows, step):
    """(loss, one gradient per row or None)."""
    x, ids, y = batch(step)
    x, y = x.astype(np.float64), y.astype(np.float64)
    w, b, table = (row.p for row in rows)
    biased = "b" not in case.get("idle", ()) or step % 2 == 0
    out = np.tanh(x @ w + table[ids] + (b if biased else 0))
    d = 2 * (out - y) / y.size * (1 - out * out)
    of_table = np.zeros_like(table)
    np.add.at(of_table, ids, d)
    return ((out - y) ** 2).mean(), [x.T @ d, d.sum(0) if biased else None, of_table]


def clipped(due):
    """The pairs (row, gradient) after clipping."""
    squares = {}
    for row, g in due:
        squares[row.together] = squares.get(row.together, 0) + ((g * g).sum() if row.clip else 0)
    for row, g in due:
        kind, *bounds = row.clip or (None,)
        if kind == "ClipGradByValue":
            g = np.clip(g, bounds[1] if len(bounds) > 1 else -bounds[0], bounds[0])
        elif kind is not None:
            norm = sqrt((g * g).sum() if kind == "ClipGradByNorm" else squares[row.together])
            g = g * bounds[0] / max(norm, bounds[0])
        yield row, g


def train(case):
    """As rules.train, in float64; not for schedules and LBFGS."""
    rows, rule = [Row(case, name) for name in SHAPES], RULES[case["optimizer"]]
    out = np.zeros((STEPS, 1 + sum(row.p.size for row in rows)))
    for step in range(STEPS):
        losses, gradients = zip(*[loss_and_gradients(case, rows, step + k) for k in range(case.get("accumulate", 1))])
        due = [(row, sum(parts)) for row, parts in zip(rows, zip(*gradients))
               if parts[0] is not None and step >= row.frozen_until]
        for row, g in clipped(due):
            if row.rate:   # one without counts in the norm all the same
                row.take(rule, g)
        out[step] = np.concatenate([[sum(losses)], *[row.p.ravel() for row in rows]])
    return out
