"""Logs: what callbacks are told after a batch; numbers that live on the device are read when somebody looks."""
from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable


class _Unread:
    __slots__ = ("read",)

    def __init__(self, read: Callable):
        self.read = read


class Logs(dict):
    """A dict whose late entries are worked out at the first look: a step nobody looks at waits for no device."""

    def later(self, key: str, read: Callable) -> None:
        """Enters what `read()` returns; called when somebody asks for the key, or never."""
        self[key] = _Unread(read)

    def __getitem__(self, key):
        value = super().__getitem__(key)
        if isinstance(value, _Unread):
            value = self[key] = value.read()
        return value

    def get(self, key, default=None):
        return self[key] if key in self else default   # noqa: SIM401  (dict.get gives what is not read yet)

    def items(self):
        return [(key, self[key]) for key in self]

    def values(self):
        return [self[key] for key in self]

    def copy(self):
        return dict(self.items())

    def __repr__(self):
        return repr(self.copy())


class Pace:
    """Samples per second over the last batches."""

    def __init__(self, batches: int = 20):
        self._seen: deque = deque([(time.perf_counter(), 0)], batches + 1)

    def count(self, samples: int) -> None:
        """A batch is done."""
        self._seen.append((time.perf_counter(), samples))

    def read(self) -> float:
        """Samples of the last batches by the time they took."""
        first, last = self._seen[0][0], self._seen[-1][0]
        return sum(samples for _, samples in list(self._seen)[1:]) / max(last - first, 1e-9)


def one_number(value) -> float | None:
    """A log entry as one number: of a list its first; None for what is none."""
    if isinstance(value, list | tuple) and value:
        value = value[0]
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
