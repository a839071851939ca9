"""What a block computed in which type: a look at the casts of auto_cast."""
from __future__ import annotations

import contextlib
from collections import Counter

from gpuflow import dispatch

__all__ = ["collect_operator_stats"]

COLUMNS = ("float16", "bfloat16", "float32", "other")


def column_of(inputs) -> str:
    """The column that a call is counted in."""
    kinds = [x.dtype for x in inputs if hasattr(x, "dtype")]
    kind = next((k for k in kinds if k.is_floating), kinds[0] if kinds else None)
    return kind.name if kind is not None and kind.name in COLUMNS else "other"


def table(calls) -> str:
    """{op: {type: calls}} as lines."""
    return "\n".join([f"{'op':<24}" + "".join(f"{name:>10}" for name in COLUMNS),
                      *(f"{op:<24}" + "".join(f"{found[name]:>10}" for name in COLUMNS)
                        for op, found in sorted(calls.items()))])


class _Counting:
    """A mode that counts calls and leaves the work to the mode below it."""

    def __init__(self, below):
        self._below, self.calls = below, {}

    @property
    def dynamic(self) -> bool:
        return self._below.dynamic

    def __getattr__(self, name):
        return getattr(self._below, name)    # what static mode has beside these

    def _count(self, op, inputs) -> None:
        self.calls.setdefault(op.name, Counter())[column_of(inputs)] += 1

    def run(self, op, inputs, attrs):
        self._count(op, inputs)
        return self._below.run(op, inputs, attrs)

    def run_inplace(self, op, target, inputs, attrs):
        self._count(op, inputs)
        return self._below.run_inplace(op, target, inputs, attrs)


@contextlib.contextmanager
def collect_operator_stats():
    """Counts the op calls of the block by the type of their first floating input, casts included, and prints the table
    at its end. Yields {op: {type: calls}}. Gradients are not counted: they compute in the types of the forward pass."""
    mode = _Counting(dispatch.mode())
    dispatch.push(mode)
    try:
        yield mode.calls
    finally:
        dispatch.pop()
        print(table(mode.calls))
