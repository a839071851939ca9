"""The small tables a step reads: one block of bytes, so that one copy brings them to a device."""

from __future__ import annotations

import numpy as np

from gpuflow_kernels.update.layout import (
    CLIP_GROUP,
    CLIP_NONE,
    CLIP_NORM,
    CLIP_VALUE,
    COLUMNS,
    DENSE,
    SCALARS,
    SPARSE_FIELDS,
    TAGS,
)

_CLIPS = (CLIP_NONE, CLIP_VALUE, CLIP_NORM, CLIP_GROUP)


class Tables:
    """Host side of the tables, as views of one uint8 block.

    scalars  float64 [4]               see layout.SCALARS
    numbers  float64 [sets, 1 + n]     column 0 is the learning rate, the rest the rule's numbers
    sparse   int64   [rows, 7]         see layout.SPARSE_FIELDS
    columns  float64 [rows, 6]         see layout.COLUMNS
    tags     int32   [rows, 4]         see layout.TAGS

    scalars, numbers and the used lines of sparse come first: they change at every step and are copied alone when the
    rest stayed as it was.
    """

    def __init__(self, rows: int, sets: int, numbers: int, groups: int, empty=np.zeros):
        self.rows, self.sets, self.groups = rows, sets, groups
        self._layout = {"scalars": (np.float64, (len(SCALARS),)), "numbers": (np.float64, (sets, 1 + numbers)),
                        "sparse": (np.int64, (rows, len(SPARSE_FIELDS))), "columns": (np.float64, (rows, len(COLUMNS))),
                        "tags": (np.int32, (rows, len(TAGS)))}
        self.bytes = sum(_bytes(*one) for one in self._layout.values())
        self.block = empty(self.bytes, np.uint8)
        for name, view in self.views(self.block).items():
            setattr(self, name, view)
        self.scalars[SCALARS.index("unscale")] = 1.0
        self.columns[:, COLUMNS.index("lr_scale")] = 1.0
        self.tags[:, TAGS.index("active")] = DENSE
        self.wanted_group = np.zeros(rows, np.int32)
        self._settle_groups()

    def hot_bytes(self, sparse: int) -> int:
        """How much changes at every step, with so many sparse gradients."""
        return 8 * (self.scalars.size + self.numbers.size + sparse * len(SPARSE_FIELDS))

    def views(self, block) -> dict:
        """The tables as views of a uint8 block of `self.bytes`, NumPy or CuPy."""
        found, offset = {}, 0
        for name, (dtype, shape) in self._layout.items():
            size = _bytes(dtype, shape)
            found[name] = block[offset : offset + size].view(dtype).reshape(shape)
            offset += size
        return found

    def set_columns(self, **given):
        """Writes whole columns or tags: each value is a scalar or an array [rows]. Raises ValueError on a name,
        length or value that cannot be meant."""
        for name, value in given.items():
            if name not in COLUMNS and name not in TAGS[:3]:
                raise ValueError(f"no column {name!r}; expected one of {', '.join((*COLUMNS, *TAGS[:3]))}")
            value = np.asarray(value)
            if value.shape not in ((), (self.rows,)):
                raise ValueError(
                    f"column {name!r}: expected a scalar or one value for each of the {self.rows} rows, "
                    f"got shape {value.shape}"
                )
            if name in COLUMNS:
                if np.isnan(value).any():
                    raise ValueError(f"column {name!r}: NaN in row(s) {np.flatnonzero(np.isnan(value))[:5].tolist()}")
                self.columns[:, COLUMNS.index(name)] = value
            else:
                limit = {"clip": len(_CLIPS), "group": self.groups, "set": self.sets}[name]
                if value.size and (value.min() < 0 or value.max() >= limit):
                    raise ValueError(
                        f"tag {name!r}: expected values in 0..{limit - 1}, got {value.min()}..{value.max()}; "
                        "sets and groups are counted when the step is built"
                    )
                if name == "group":
                    self.wanted_group[:] = value
                else:
                    self.tags[:, TAGS.index(name)] = value
        clip, high = self.tags[:, 0], self.columns[:, COLUMNS.index("hi")]
        bad = (clip >= CLIP_NORM) & ~(high >= 0)
        if bad.any():
            raise ValueError(f"hi, the largest norm allowed, is negative in row(s) {np.flatnonzero(bad)[:5].tolist()}")
        self._settle_groups()

    def _settle_groups(self):
        """Rows outside every norm group share the last slot of group_sumsq: only finiteness is read from it."""
        inside = self.tags[:, TAGS.index("clip")] == CLIP_GROUP
        self.tags[:, TAGS.index("group")] = np.where(inside, self.wanted_group, self.groups)


def _bytes(dtype, shape) -> int:
    return np.dtype(dtype).itemsize * int(np.prod(shape))
