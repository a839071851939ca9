"""Checks of scheduler arguments; each returns the value as a plain Python number or says what was expected.

A rate schedule is set up once and then trusted for days, so a bad argument must stop at the constructor: a wrong type
is a TypeError, a right type out of range a ValueError, both naming the class and the argument.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral, Real
from typing import Any

from gpuflow.errors import explain
from gpuflow.tensor import Tensor

_BOUNDS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "above": (">", operator.gt),
    "at_least": (">=", operator.ge),
    "below": ("<", operator.lt),
    "at_most": ("<=", operator.le),
}


def number(owner: str, name: str, value: Any, hint: str | None = None, **bounds: float) -> float:
    """value as a float. bounds: any of above, at_least, below, at_most. bool, NaN and infinity are refused.

    A tensor of one number is read here, once; a later change of it counts for nothing.
    """
    return float(_bounded(owner, name, told(value), Real, "a finite number", hint, bounds))


def told(value: Any) -> Any:
    """The number in a tensor of one floating-point element, anything else as it is."""
    return value.item() if isinstance(value, Tensor) and value.size == 1 and value.dtype.is_floating else value


def as_python(value: Any) -> Any:
    """Arrays and tensors of one element become numbers, so that a saved state needs no array library to be read."""
    return value.item() if hasattr(value, "item") else value


def whole(owner: str, name: str, value: Any, hint: str | None = None, **bounds: int) -> int:
    """value as an int; 3.0 is refused, a NumPy integer is taken. bounds as in number()."""
    return int(_bounded(owner, name, value, Integral, "an int", hint, bounds))


def choice(owner: str, name: str, value: Any, options: Sequence[str]) -> str:
    """value, which must be one of the strings in options."""
    if not isinstance(value, str):
        raise TypeError(explain(owner, f"{name} as a string", repr(value), f"{name}={options[0]!r}"))
    if value not in options:
        listed = ", ".join(map(repr, options))
        raise ValueError(explain(owner, f"{name} to be one of {listed}", repr(value), f"{name}={options[0]!r}"))
    return value


def function(owner: str, name: str, value: Any) -> Callable[..., Any]:
    """value, which must be callable."""
    if not callable(value):
        hint = f"{name}=lambda epoch: 0.95 ** epoch"
        raise TypeError(explain(owner, f"{name} to be a function", repr(value), hint))
    return value


def ascending(owner: str, name: str, values: Iterable[Any], *, strictly: bool) -> list[float]:
    """values as a list of epochs >= 0 in rising order; equal neighbours pass unless strictly."""
    epochs = [
        _plain(_bounded(owner, f"{name}[{i}]", value, Real, "a finite number", None, {"at_least": 0}))
        for i, value in enumerate(values)
    ]
    in_order = operator.lt if strictly else operator.le
    if not all(map(in_order, epochs, epochs[1:])):
        raise ValueError(explain(owner, f"{name} in rising order", str(epochs), f"{name}={sorted(set(epochs))}"))
    return epochs


def epoch_index(owner: str, value: Any) -> Any:
    """The epoch handed to step(): an int stays an int, a fraction of an epoch stays a float; both are >= 0."""
    hint = "step() without an epoch moves on by one"
    return _plain(_bounded(owner, "epoch", value, Real, "a finite number", hint, {"at_least": 0}))


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, Integral) else float(value)


def _bounded(owner: str, name: str, value: Any, kind: Any, noun: str, hint: str | None, bounds: dict[str, Any]) -> Any:
    wanted = " and ".join(f"{_BOUNDS[bound][0]} {limit}" for bound, limit in bounds.items())
    expected = f"{name} to be {noun} {wanted}".rstrip()
    if isinstance(value, bool) or not isinstance(value, kind):
        raise TypeError(explain(owner, expected, f"{value!r} of type {type(value).__name__}", hint))
    if not math.isfinite(value) or not all(_BOUNDS[bound][1](value, limit) for bound, limit in bounds.items()):
        raise ValueError(explain(owner, expected, repr(value), hint))
    return value
