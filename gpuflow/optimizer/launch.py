"""Launch: an arena and its strategies as the tables of gpuflow_kernels' fused step, and the numbers of each step.

Parameters that share options and step count share a number set: Adam's corrections are worked out once per set, on the
host in float64. A parameter without gradient keeps its count, so sets part where gradients were missing.
"""
from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from gpuflow import device
from gpuflow.device.later import Later
from gpuflow_kernels.update import DENSE, SPARSE, Bucket, FusedStep

# The kernels' CLIP_ constants. A clip of a user's own has done its work before they run.
CLIPS = {"none": 0, "own code": 0, "value": 1, "own norm": 2, "shared norm": 3}
COLUMNS = {"lr_scale": "rate", "l1": "l1", "l2": "l2", "decay": "decay", "lo": "low", "hi": "high"}


class NumberSet:
    """Rows with one step count and one set of options. live: they have gradients in the present pattern."""

    __slots__ = ("live", "numbers", "options", "steps")

    def __init__(self, options, steps: int, live: bool):
        self.options, self.steps, self.live, self.numbers = dict(options), steps, live, None


class Scaling:
    """What a loss scale asks of one step: divide the gradients by it, and leave all as it is where one is inf or NaN.

    factor: 1 / scale, a number or a 0-d float64 array on the device; None where the gradients are divided already.
    found: a 0-d bool array on the device, or None: an inf or NaN that was there before somebody changed the gradients.
    left_out, flag: afterwards a 0-d bool array on the device that tells whether the step was left out, and the same as
    a Later; None where there was nothing to do.
    """

    __slots__ = ("factor", "flag", "found", "left_out")

    def __init__(self, factor, found=None):
        self.factor, self.found = factor, found
        self.left_out: Any = None
        self.flag: Later | None = None

    def add_found(self, sums) -> None:
        """Lets the kernels see `found`: they look at the sums of squares."""
        sums += device.module_of(sums).where(self.found, np.inf, 0.0)


class Launch:
    """The kernels over one arena.

    rule: an UpdateRule. numbers: called as numbers(step, **options) with step = 1, 2, ... skip: leave everything as
    it is in a step with an inf or NaN gradient. measure: take the norm of the gradients even where no clip needs it.
    counts: where "skipped" steps are counted, beyond the life of this object.
    """

    def __init__(self, rule, arena, numbers, skip: bool, measure: bool, counts: Counter | None = None):
        self.rule, self.arena, self.numbers = rule, arena, numbers
        self.counts = Counter() if counts is None else counts
        self.skip, self.measure = skip, measure
        self.pattern: list[int] = []        # per row: INACTIVE, DENSE, SPARSE or STILL, as in the last step
        self.moved: list = []               # the homes that the last step moved: DENSE and SPARSE
        self.sets: list[NumberSet] = []
        self.set_of: list[int] = []
        self.fused: Any = None
        self.room = 0                       # number sets that the fused step has room for
        self.left_out: Any = None           # 0-d bool array on the device: was the last step skipped? None: none can be
        self.flag: Any = None               # the same as a Later; None when settled
        self.shared_norms = 0

    # ---- one step --------------------------------------------------------------------------------------------------

    def run(self, rate: float, pattern: list[int], sparse, before, scaling: Scaling | None = None, ema_decay=None):
        """One update of the rows that `pattern` marks. sparse: [(row, ids, values)] for those marked SPARSE.

        before: called with this object when step counts and tables are those of the step. scaling: of the loss.
        ema_decay: of this step, where the arena has a running average.
        """
        self.settle()
        if pattern != self.pattern:
            self._regroup(pattern)
        for one in self.sets:
            if one.live:
                one.steps += 1
                one.numbers = self.numbers(one.steps, **one.options)
        numbers = [one.numbers for one in self.sets]
        numbers += numbers[:1] * (self.room - len(numbers))
        before(self)
        skip = self.skip or scaling is not None
        self.fused.on_nonfinite = "skip" if skip else "propagate"
        self.fused.run(rate, numbers, sparse=sparse, ema_decay=ema_decay,
                       unscale=None if scaling is None else scaling.factor,
                       between=None if scaling is None or scaling.found is None else scaling.add_found)
        self.left_out = device.module_for(self.arena.place).asarray(self.fused.nonfinite()) if skip else None
        self.flag = Later(self.left_out) if skip else None
        if scaling is not None:
            scaling.left_out, scaling.flag = self.left_out, self.flag

    def settle(self) -> bool:
        """Takes back the step counts of a step that was skipped; True when it was. Waits for the device if need be."""
        skipped = self.flag is not None and bool(self.flag.read())
        self.flag = None
        if skipped:
            self.counts["skipped"] += 1
            for one in self.sets:
                one.steps -= one.live
        return skipped

    def write_steps(self) -> None:
        """Brings the homes' step counts up to date, and starts the next step with a new grouping."""
        self.settle()
        for home, k in zip(self.arena.homes, self.set_of):
            home.steps = self.sets[k].steps
        self.pattern, self.set_of = [], []

    # ---- tables ----------------------------------------------------------------------------------------------------

    def _regroup(self, pattern: list[int]) -> None:
        self.write_steps()
        numbers: dict = {}
        self.set_of = [numbers.setdefault((home.strategy.options, home.steps, active in (DENSE, SPARSE)), len(numbers))
                       for home, active in zip(self.arena.homes, pattern)]
        self.sets = [NumberSet(*key) for key in numbers]
        for one in self.sets:
            if not one.live:
                one.numbers = self.numbers(max(one.steps, 1), **one.options)
        if self.fused is None or self.room < len(self.sets):
            self.room = len(self.sets) if self.room == 0 else max(self.room, 2 * len(self.sets))
            self._build()
        self.fused.set_columns(set=np.array(self.set_of, np.int64))
        self.fused.set_active(np.array(pattern, np.int32))
        self.pattern = list(pattern)
        self.moved = [home for home, active in zip(self.arena.homes, pattern) if active in (DENSE, SPARSE)]

    def _build(self) -> None:
        buckets = [Bucket(flat.param, flat.grad, {name: flat.state[name] for name in self.rule.state},
                          [home.begin for home in flat.homes], [home.end for home in flat.homes], master=flat.master,
                          ema=flat.ema)
                   for flat in self.arena.flats]
        self.fused = FusedStep(self.rule, buckets, sets=self.room, groups=max(len(self._norm_groups()), 1),
                               measure=self.measure)
        self._fill_columns()

    def _norm_groups(self) -> dict:
        found: dict = {}
        for home in self.arena.homes:
            if home.strategy.clip == "shared norm":
                found.setdefault(home.strategy.norm_group, len(found))
        return found

    def write_columns(self) -> None:
        """Brings changed strategies into the kernels' table; before the first step there is none yet."""
        if self.fused is None:
            return
        self.write_steps()                  # options may have changed, and with them the number sets
        if len(self._norm_groups()) > self.fused.groups:
            self.fused = None               # one norm more than there is room for: built anew at the next step
        else:
            self._fill_columns()

    def _fill_columns(self) -> None:
        rows = [home.strategy for home in self.arena.homes]
        groups = self._norm_groups()
        self.shared_norms = len(groups)
        numbers = {column: np.array([getattr(row, name) for row in rows], np.float64)
                   for column, name in COLUMNS.items()}
        self.fused.set_columns(**numbers, clip=np.array([CLIPS[row.clip] for row in rows], np.int32),
                               group=np.array([groups.get(row.norm_group, 0) for row in rows], np.int32))

    # ---- what can be read ------------------------------------------------------------------------------------------

    def norm(self):
        """2-norm of the last step's gradients on the device: those of the shared norms, or all where there are none."""
        if not self.shared_norms:
            norm = self.fused.norm(self.fused.groups)   # rows outside every shared norm are counted together
        elif self.shared_norms == 1:
            norm = self.fused.norm(0)
        else:
            norm = sum(self.fused.norm(k) ** 2 for k in range(self.shared_norms)) ** 0.5
        return np.asarray(norm) if isinstance(norm, np.generic) else norm

    def measures(self) -> bool:
        """True when the last step took norms."""
        return (self.measure or self.fused.on_nonfinite == "skip"
                or any("norm" in h.strategy.clip for h in self.arena.homes))

    def nonfinite_names(self) -> list[str]:
        """The parameters whose last gradients held an inf or NaN. Waits for the device."""
        norms = device.to_numpy(self.fused.row_norms())
        return [home.param.name for home, norm, active in zip(self.arena.homes, norms, self.pattern)
                if active and not np.isfinite(norm)]
