"""A step of SGD or AdamW in float64, written from DESIGN's order and from nothing of gpuflow's.

unscale -> clip -> regularise -> rule with lr = schedule x factor; the norm is taken before regularisation.
"""
import numpy as np


class Row:
    """One parameter: p, its strategy, its moments."""

    def __init__(self, p, *, rate=1.0, l1=0.0, l2=0.0, decay=0.0, clip=None, bounds=None, group=None):
        self.p = np.array(p, np.float64)
        self.rate, self.l1, self.l2, self.decay = rate, l1, l2, decay
        self.clip, self.bounds, self.group = clip, bounds, group
        self.m, self.v, self.t = np.zeros_like(self.p), np.zeros_like(self.p), 0


def clipped(rows, gradients):
    """The gradients after clipping; None stays None and is in no norm."""
    squares = {}
    for row, g in zip(rows, gradients):
        if g is not None and row.clip == "shared norm":
            squares[row.group] = squares.get(row.group, 0.0) + (g**2).sum()
    out = []
    for row, g in zip(rows, gradients):
        if g is None:
            out.append(None)
        elif row.clip == "value":
            out.append(np.clip(g, *row.bounds))
        elif row.clip == "own norm":
            out.append(g * row.bounds / max(np.sqrt((g**2).sum()), row.bounds))
        elif row.clip == "shared norm":
            out.append(g * row.bounds / max(np.sqrt(squares[row.group]), row.bounds))
        else:
            out.append(g)
    return out


def step(rows, gradients, lr, rule):
    """Updates rows in place. rule: "sgd" or "adamw" (beta1 0.9, beta2 0.999, epsilon 1e-8)."""
    gradients = [None if g is None else np.array(g, np.float64) for g in gradients]
    for row, g in zip(rows, clipped(rows, gradients)):
        if g is None:
            continue
        g = g + row.l2 * row.p + row.l1 * np.sign(row.p)
        rate = lr * row.rate
        if rule == "sgd":
            row.p = row.p - rate * g
            continue
        row.t += 1
        row.p = row.p - rate * row.decay * row.p
        row.m = 0.9 * row.m + 0.1 * g
        row.v = 0.999 * row.v + 0.001 * g * g
        m, v = row.m / (1 - 0.9**row.t), row.v / (1 - 0.999**row.t)
        row.p = row.p - rate * m / (np.sqrt(v) + 1e-8)
