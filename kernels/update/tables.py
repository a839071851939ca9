"""The small tables a step reads: one block of bytes, so that one copy brings them to a device."""

from __future__ import annotations

import numpy as np

from gpuflow_kernels.update.layout import CLIP_GROUP, CLIP_NONE, CLIP_NORM, CLIP_VALUE, COLUMNS, DENSE, SCALARS, TAGS

_CLIPS = (CLIP_NONE, CLIP_VALUE, CLIP_NORM, CLIP_GROUP)


class Tables:
    """Host side of the tables, as views of one uint8 block.

    scalars  float64 [4]               see layout.SCALARS
    numbers  float64 [sets, 1 + n]     column 0 is the learning rate, the rest the rule's numbers
    columns  float64 [rows, 6]         see layout.COLUMNS
    tags     int32   [rows, 4]         see layout.TAGS

    scalars and numbers come first: they change at every step and are copied alone when the rest stayed as it was.
    """

    def __init__(self, rows: int, sets: int, numbers: int, groups: int, empty=np.zeros):
        self.rows, self.sets, self.groups = rows, sets, groups
        self._shapes = {"scalars": (len(SCALARS),), "numbers": (sets, 1 + numbers), "columns": (rows, len(COLUMNS))}
        self.hot_bytes = 8 * (len(SCALARS) + sets * (1 + numbers))
        self.bytes = self.hot_bytes + rows * (8 * len(COLUMNS) + 4 * len(TAGS))
        self.block = empty(self.bytes, np.uint8)
        for name, view in self.views(self.block).items():
            setattr(self, name, view)
        self.scalars[SCALARS.index("unscale")] = 1.0
        self.columns[:, COLUMNS.index("lr_scale")] = 1.0
        self.tags[:, TAGS.index("active")] = DENSE
        self.wanted_group = np.zeros(rows, np.int32)
        self._settle_groups()

    def views(self, block) -> dict:
        """The four tables as views of a uint8 block of `self.bytes`, NumPy or CuPy."""
        found, offset = {}, 0
        for name, shape in self._shapes.items():
            size = 8 * int(np.prod(shape))
            found[name] = block[offset : offset + size].view(np.float64).reshape(shape)
            offset += size
        found["tags"] = block[offset:].view(np.int32).reshape(self.rows, len(TAGS))
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
