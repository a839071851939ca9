"""A line search for the strong Wolfe conditions, on the host: floats in, floats out, gradients passed through.

Nocedal and Wright, Numerical Optimization, 2nd ed., algorithms 3.5 (bracket) and 3.6 (zoom), trial points by the cubic
of (3.59). The safeguards are those of Paddle and torch, so that the same steps come out.
"""
from __future__ import annotations

import math
from typing import Any, NamedTuple

ENOUGH_DECREASE, ENOUGH_FLATTER = 1e-4, 0.9
MOST_TRIALS = 25


class Point(NamedTuple):
    """A trial step: its length, the loss there, the slope along the direction, and the gradient."""

    step: float
    loss: float
    slope: float
    gradient: Any


def strong_wolfe(evaluate, first: float, start: Point, reach: float, smallest: float) -> tuple[Point, int]:
    """The point to go to, and how often the loss was evaluated.

    evaluate: called as evaluate(step), gives a Point. first: the step to try first. start: the Point at step 0, slope
    below 0. reach: largest element of the direction: a bracket whose `width · reach` is below `smallest` is done.
    """
    def too_high(point, best):
        return point.loss > start.loss + ENOUGH_DECREASE * point.step * start.slope or point.loss >= best

    def flat(point):
        return abs(point.slope) <= -ENOUGH_FLATTER * start.slope

    before, now = start, evaluate(first)
    trials = 0
    while trials < MOST_TRIALS:
        if too_high(now, before.loss if trials > 1 else math.inf):
            break
        if flat(now):
            return now, trials + 1
        if now.slope >= 0:
            break
        low, high = now.step + 0.01 * (now.step - before.step), now.step * 10
        before, now = now, evaluate(_cubic_minimum(before, now, low, high))
        trials += 1
    else:
        before = start
    return _zoom(evaluate, before, now, trials, too_high, flat, reach, smallest)


def _zoom(evaluate, one, other, trials, too_high, flat, reach, smallest):
    """Narrows the bracket between two points until one satisfies the conditions."""
    best, rest = (one, other) if one.loss <= other.loss else (other, one)
    evaluations, stuck = trials + 1, False
    while trials < MOST_TRIALS and abs(rest.step - best.step) * reach >= smallest:
        low, high = sorted((best.step, rest.step))
        step = _cubic_minimum(best, rest, low, high)
        margin = 0.1 * (high - low)
        near_an_end = min(high - step, step - low) < margin
        if near_an_end and (stuck or not low < step < high):   # twice in a row, or on it: move inside
            step = high - margin if high - step < step - low else low + margin
            near_an_end = False
        stuck = near_an_end
        now = evaluate(step)
        trials, evaluations = trials + 1, evaluations + 1
        if too_high(now, best.loss):
            best, rest = (best, now) if best.loss <= now.loss else (now, best)
            continue
        if flat(now):
            return now, evaluations
        if now.slope * (rest.step - best.step) >= 0:
            rest = best
        best = now
    return best, evaluations


def _cubic_minimum(a: Point, b: Point, low: float, high: float) -> float:
    """Where the cubic through both losses and slopes is smallest within [low, high]; the middle where it has none."""
    left, right = (a, b) if a.step <= b.step else (b, a)
    width = right.step - left.step
    if width == 0:
        return (low + high) / 2
    d1 = left.slope + right.slope - 3 * (left.loss - right.loss) / -width
    square = d1 * d1 - left.slope * right.slope
    if not square >= 0:
        return (low + high) / 2
    d2 = math.sqrt(square)
    below = right.slope - left.slope + 2 * d2
    if below == 0:
        return (low + high) / 2
    return min(max(right.step - width * ((right.slope + d2 - d1) / below), low), high)
