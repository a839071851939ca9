"""Layout: the loop that arrays of some shapes need, as at most three axes, over which each array is walked by steps."""

from __future__ import annotations

import math
from typing import NamedTuple

SHORT = 16  # a last axis below this, beside others, is left to NumPy: the loop over it would cost more than its work


class Layout(NamedTuple):
    """sizes: of the three axes, the last one runs fastest. steps: how many elements an input moves on along each."""

    shape: tuple[int, ...]
    sizes: tuple[int, int, int]
    steps: tuple[tuple[int, int, int], ...]

    @property
    def along(self) -> tuple[bool, ...]:
        """True for inputs that move on along the last axis, else they are one number there."""
        return tuple(step[2] == 1 for step in self.steps)


def layout_of(shapes, sums=()) -> Layout | None:
    """The layout for inputs of these shapes, C-contiguous, and sums of those; None where three axes do not suffice."""
    rank = max(map(len, (*shapes, *sums)))
    padded = [(1,) * (rank - len(s)) + tuple(s) for s in (*shapes, *sums)]
    shape = tuple(0 if 0 in sizes else max(sizes) for sizes in zip(*padded))
    merged: list[tuple[int, tuple]] = []    # (size, who has that axis) of neighbours that the same arrays have
    for axis, size in enumerate(shape):
        if size != 1:
            have = tuple(p[axis] != 1 for p in padded)
            if merged and merged[-1][1] == have:
                merged[-1] = merged[-1][0] * size, have
            else:
                merged.append((size, have))
    if len(merged) > 3 or (len(merged) > 1 and merged[-1][0] < SHORT):
        return None
    merged = [(1, (False,) * len(padded))] * (3 - len(merged)) + merged
    if sums and any(tuple(have[len(shapes):]) != (k == 2,) * len(sums) for k, (size, have) in enumerate(merged)
                    if size != 1):
        return None
    sizes = tuple(size for size, _ in merged)
    steps = tuple(tuple(math.prod(n for n, h in merged[k + 1:] if h[a]) if merged[k][1][a] else 0 for k in range(3))
                  for a in range(len(shapes)))
    return Layout(shape, sizes, steps)    # type: ignore[arg-type]
