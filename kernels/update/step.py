"""FusedStep: clip, regularise and update any number of parameters in one pass, with the norm in another.

    run = refresh (small tables to the device) + launch (norms, update)

`launch` touches device memory only, allocates nothing and waits for nothing, so a CUDA graph can hold it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gpuflow_kernels.update import layout
from gpuflow_kernels.update.layout import (
    ALIGN,
    CLIP_NORM,
    CLIP_VALUE,
    DTYPES,
    SPARSE,
    TAGS,
    Variant,
)
from gpuflow_kernels.update.parts import Part, Rows, Sums, chunk_table
from gpuflow_kernels.update.tables import Tables

ON_NONFINITE = ("propagate", "skip")
_SKIP = layout.SCALARS.index("skip")


@dataclass
class Bucket:
    """The flat buffers of all parameters of one dtype; all of one length, one-dimensional, contiguous, on one device.

    param   [n] float32, float64, float16 or bfloat16 (ml_dtypes).
    grad    [n] of param's dtype, or float32.
    state   {name: [n]} for each state of the rule; float32 (float64 beside float64 parameters).
    begin   [rows] first element of each parameter, a multiple of 64.
    end     [rows] one past its last element, padding not counted; begin == end is an empty parameter.
            The padding up to the next multiple of 64 holds zeros in every buffer, and keeps them.
    master  [n] float32 or None: the true value of a two-byte parameter; `param` becomes its rounded copy.
    ema     [n] float32 (float64) or None: running average of the parameter; that of inactive rows goes on as well, of
            sparse rows that of the elements with a gradient.
    """

    param: object
    grad: object
    state: Mapping[str, object]
    begin: Sequence[int]
    end: Sequence[int]
    master: object = None
    ema: object = None

    @property
    def rows(self) -> int:
        return len(self.begin)


@dataclass
class _Plan:
    """What a step knows of a bucket: where its rows and chunks are among all, and the stages that its rows use."""

    bucket: Bucket
    first_row: int
    chunks: np.ndarray
    first_chunk: int
    stages: tuple[str, ...] = ()

    @property
    def end(self) -> int:
        return self.first_row + self.bucket.rows


class FusedStep:
    """One optimizer step over flat buffers, for one rule and any mix of per-parameter strategies.

    rule     an UpdateRule.
    buckets  one Bucket per dtype. Rows count through the buckets: first all of the first one's, then the next one's.
    sets     how many number sets there are: rows of a set share learning rate and the rule's numbers.
    groups   how many shared norms there are (global-norm clips); a row joins one by clip=CLIP_GROUP, group=k.
    on_nonfinite  "propagate": an inf or NaN gradient goes where it goes. "skip": no row is changed in such a step;
             decided on the device. Both see the gradients of all active rows, clipped or not.
    measure  True: take the norms even where nothing clips by them, so that `norm()` can be read.
    engine   the device's operations; by default from the buffers' kind (NumPy or CuPy).

    Rows start with lr_scale 1, everything else off, set 0, active. Raises ValueError or TypeError for buffers that do
    not fit each other, naming the bucket and what was expected.
    """

    def __init__(
        self,
        rule,
        buckets: Sequence[Bucket],
        *,
        sets: int = 1,
        groups: int = 1,
        on_nonfinite: str = "propagate",
        measure: bool = False,
        engine=None,
    ):
        buckets = [buckets] if isinstance(buckets, Bucket) else list(buckets)
        self.rule, self.groups, self.measure = rule, groups, measure
        self.engine = engine or engine_for(buckets[0].param if buckets else None)
        self.rows = sum(b.rows for b in buckets)
        for k, bucket in enumerate(buckets):
            _check_bucket(rule, bucket, k)

        self.host = Tables(self.rows, sets, len(rule.numbers), groups)
        self.on_nonfinite = on_nonfinite
        self.tables = self.engine.tables(self.host)
        self._plan(buckets)
        self._parts: dict[str, list[Part]] = {}   # phase or "norm" -> what the engine needs of each bucket
        self._sparse: list[Rows] = []
        self._unscaled = False
        self._everything = True
        self._marked: list[int] = []   # the SPARSE rows
        self.set_columns()

    @property
    def on_nonfinite(self) -> str:
        """As given; a change counts from the next step on."""
        return ON_NONFINITE[int(self.host.scalars[_SKIP])]

    @on_nonfinite.setter
    def on_nonfinite(self, value: str):
        if value not in ON_NONFINITE:
            raise ValueError(f"on_nonfinite: expected one of {ON_NONFINITE}, got {value!r}")
        self.host.scalars[_SKIP] = ON_NONFINITE.index(value)

    # -- strategies --------------------------------------------------------------------------------------------------

    def set_columns(self, **columns):
        """Writes whole columns of the strategy table; each value is a scalar or an array [rows].

        lr_scale  factor on the learning rate         l1, l2  regularisation: g += l2 * p + l1 * sign(p)
        decay     decoupled weight decay              clip    CLIP_NONE, CLIP_VALUE, CLIP_NORM or CLIP_GROUP
        lo, hi    bounds of CLIP_VALUE; hi is the largest norm for the other two
        group     norm group, for CLIP_GROUP          set     number set
        """
        self.host.set_columns(**columns)
        self._everything = True
        clip = self.host.tags[:, TAGS.index("clip")]
        column = {name: self.host.columns[:, k] for k, name in enumerate(layout.COLUMNS)}
        self._clips_by_norm = bool((clip >= CLIP_NORM).any())
        for plan in self.plans:
            mine = slice(plan.first_row, plan.end)
            used = {
                "scale": self._unscaled or (clip[mine] >= CLIP_NORM).any(),
                "value": (clip[mine] == CLIP_VALUE).any(),
                "l2": column["l2"][mine].any(),
                "l1": column["l1"][mine].any(),
            }
            stages = tuple(name for name in layout.STAGES if used[name])
            if stages != plan.stages:
                plan.stages = stages
                self._parts.clear()

    def set_active(self, active):
        """active: bool [rows], or int of layout.INACTIVE / DENSE / SPARSE / STILL. INACTIVE and STILL rows are not
        touched by `run`, but for their running average; the gradients of STILL ones count in the norms. Costs a
        comparison when nothing changed."""
        now = self.host.tags[:, TAGS.index("active")]
        if not np.array_equal(now, active):
            now[:] = active
            self._marked = np.flatnonzero(now == SPARSE).tolist()
            self._everything = True

    def rebind(self, bucket: int = 0, **arrays):
        """Replaces buffers of a bucket: param=, grad=, master=, ema= or a state by name (ASGD's ring of gradients
        does so at every step). A captured graph keeps the old addresses."""
        target = self.plans[bucket].bucket
        for name, array in arrays.items():
            if name in self.rule.state:
                target.state = {**target.state, name: array}
            elif name in ("param", "grad", "master", "ema"):
                setattr(target, name, array)
            else:
                raise ValueError(f"rebind: no buffer {name!r}; expected param, grad, master, ema or {self.rule.state}")
        _check_bucket(self.rule, target, bucket)
        self._parts.clear()

    # -- one step ----------------------------------------------------------------------------------------------------

    def run(self, lr, numbers=None, *, unscale=None, ema_decay=None, sparse=(), between: Callable | None = None):
        """One step: unscale, norms, clip, regularise, rule, copies, running average.

        lr         float, or array [sets].
        numbers    {name: float or array [sets]}, or one such dict per set; None keeps the last ones.
        unscale    factor that undoes a loss scale (1 / scale): a number, or a 0-d float64 array on the device, which is
                   not read here; None for none. The norms are those after it.
        ema_decay  decay of the running average, e.g. 0.999; needed when a bucket has `ema`.
        sparse     [(row, ids, values)]: gradients of embedding rows, unique ids [k] and values [k, width]; such a
                   row's other elements and states stay as they are. Its gradient counts in the norms. An id below 0
                   stands for no row. Nothing is allocated where ids are int64, values of the dtype of the bucket's
                   gradient, and no more rows came than ever before.
        between    called with group_sumsq (float64 [groups + 1], on the device) after the fold, before the update: the
                   place to add what other processes found.
        """
        self.refresh(lr, numbers, unscale=unscale, ema_decay=ema_decay, sparse=sparse)
        self.launch(between=between)

    def refresh(self, lr, numbers=None, *, unscale=None, ema_decay=None, sparse=()):
        """Puts the step's numbers into the tables and sends them to the device; arguments as for `run`."""
        table = self.host.numbers
        table[:, 0] = lr
        if numbers is not None:
            self._write_numbers(numbers)
        scalars = self.host.scalars
        known = unscale is None or isinstance(unscale, float | int)
        scalars[0] = 1.0 if unscale is None or not known else unscale
        if unscale is not None and not self._unscaled:
            self._unscaled = True
            self.set_columns()
        if ema_decay is not None:
            scalars[1] = 1.0 - ema_decay
        self._sparse = self._rows_of(sparse)
        self.engine.refresh(self.host, self.tables, self._everything, self._sparse)
        self._everything = False
        if not known:
            self.tables["scalars"][0] = unscale

    def launch(self, *, between: Callable | None = None):
        """The kernels of one step, with the tables as they are on the device."""
        if self._clips_by_norm or self._unscaled or self.measure or self.host.scalars[_SKIP]:
            self.take_norms()
            if between is not None:
                between(self.sums.group)
        for phase in ("prepare", "apply") if self.rule.layered else ("whole",):
            self.engine.update(self.rule, self.parts(phase), self._sparse, self.tables, self.sums)

    def take_norms(self):
        """The first launch alone: sums of squares by chunk, row and group."""
        if not len(self.sums.folds.filled):
            self.sums.group[...] = 0.0   # no chunk, so no kernel to say so
        self.engine.take_norms(self.parts("norm"), self._sparse, self.tables, self.sums)

    # -- what can be read --------------------------------------------------------------------------------------------

    def norm(self, group: int = 0):
        """2-norm of the group's gradients in the last step, after unscaling and before clipping: a 0-d float64 array
        on the device; reading it as a float is what waits. Needs a norm clip, unscaling, on_nonfinite="skip" or
        measure=True."""
        return self.sums.group[group] ** 0.5

    def row_norms(self):
        """2-norm of each row's gradient in the last step: float64 [rows] on the device; as `norm`. On a CPU, whose
        step adds up rows that want the same together, it reads the gradients again."""
        return self.engine.row_sums(self.parts("norm"), self._sparse, self.tables, self.sums) ** 0.5

    def nonfinite(self):
        """0-d bool array on the device: was there an inf or NaN among the active gradients of the last step?"""
        return ~(abs(self.sums.group) < np.inf).all()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _write_numbers(self, numbers):
        table, names = self.host.numbers, self.rule.numbers
        many = isinstance(numbers, (list, tuple))
        if many and len(numbers) != len(table):
            raise ValueError(f"numbers: expected one dict for each of the {len(table)} sets, got {len(numbers)}")
        try:
            if many:
                table[:, 1:] = [[one[name] for name in names] for one in numbers]
            else:
                for column, name in enumerate(names, 1):
                    table[:, column] = numbers[name]
        except KeyError as missing:
            raise ValueError(
                f"numbers: rule {self.rule.name!r} needs {missing.args[0]!r}; it takes {names}"
            ) from None

    def _plan(self, buckets):
        self.plans, row, chunk = [], 0, 0
        for bucket in buckets:
            self.plans.append(_Plan(bucket, row, chunk_table(bucket.begin, bucket.end, row), chunk))
            row, chunk = self.plans[-1].end, chunk + len(self.plans[-1].chunks)
        chunks = np.concatenate([chunk_table([], []), *(plan.chunks for plan in self.plans)])
        self.sums = Sums(self.engine, chunks, row, self.groups, len(self.rule.norms))

    def parts(self, phase: str) -> list[Part]:
        """The buckets as the engine takes them in a phase of the rule, or in "norm"."""
        if phase not in self._parts:
            self._parts[phase] = [self._part(plan, phase) for plan in self.plans]
        return self._parts[phase]

    def _part(self, plan, phase) -> Part:
        bucket = plan.bucket
        buffers = {"param_": bucket.param, "grad_": bucket.grad, "master_": bucket.master, "ema_": bucket.ema}
        buffers |= {f"{name}_": array for name, array in bucket.state.items()}
        kind, names = str(bucket.grad.dtype), ["grad_"]
        if phase != "norm":
            kind = Variant(str(bucket.param.dtype), kind, bucket.master is not None, bucket.ema is not None,
                           plan.stages if phase != "apply" else (), phase)
            names = layout.arrays(self.rule, kind)
        packed = self.engine.pack([buffers[n] for n in names], plan.end)
        return Part(kind, packed, plan.end, plan.chunks, plan.first_chunk)

    def _rows_of(self, sparse) -> list[Rows]:
        """Sparse gradients in the rows' order. Raises ValueError where what came is not what is marked SPARSE."""
        if not sparse and not self._marked:
            return []
        came = sorted(row for row, _, _ in sparse)
        if came != self._marked:
            raise ValueError(f"sparse gradients came for the rows {came}, but {self._marked} are marked so; each row "
                             f"that set_active marks SPARSE ({SPARSE}) needs one, and no other takes one")
        if self.rule.layered:
            raise ValueError(
                f"rule {self.rule.name!r} needs norms of whole parameters, which rows alone do not give; "
                "make the gradient dense (sparse=False)"
            )
        found: list[Rows] = []
        blocks, plans = 0, iter(self.plans)
        plan = next(plans)
        for row, ids, values in sorted(sparse, key=lambda one: one[0]):
            while row >= plan.end:
                plan = next(plans)
            one = _checked_rows(plan.bucket, row, row - plan.first_row, ids, values, blocks)
            if one is not None:
                found.append(one)
                blocks += one.blocks
        self.sums.make_room(blocks, self.engine)
        return found


def _checked_rows(bucket, row: int, local: int, ids, values, first: int) -> Rows | None:
    """The Rows of a bucket's row `local`, in types that the kernels read; None for an empty table."""
    begin, width = int(bucket.begin[local]), values.shape[1]
    size = int(bucket.end[local]) - begin
    if len(ids) != len(values) or width * (size // max(width, 1)) != size:
        raise ValueError(f"sparse row {row}: expected ids [k] and values [k, width] with width dividing {size}, "
                         f"got {ids.shape} and {values.shape}")
    values = values.reshape(-1).astype(bucket.grad.dtype, copy=False)
    return Rows(row, ids.astype(np.int64, copy=False), values, begin, width, first) if size else None


def engine_for(array):
    """The engine for an array's device: CuPy's where it is a CuPy array, else the CPU's (also for None)."""
    if array is None or isinstance(array, np.ndarray):
        return _cpu_engine()
    from gpuflow_kernels.update.cuda import CudaEngine

    return CudaEngine()


@functools.cache
def _cpu_engine():
    from gpuflow_kernels.update.cpu import CpuEngine

    return CpuEngine()


def _check_bucket(rule, bucket: Bucket, k: int):
    """Raises unless the buffers fit each other and the rule; the kernels index without looking."""
    where, size, dtype = f"bucket {k}", bucket.param.size, str(bucket.param.dtype)
    if dtype not in DTYPES:
        raise TypeError(f"{where}: param is {dtype}; expected one of {DTYPES}")
    real = "float64" if dtype == "float64" else "float32"
    if set(bucket.state) != set(rule.state):
        raise ValueError(f"{where}: rule {rule.name!r} has the states {rule.state}, got {tuple(bucket.state)}")
    expected = {
        "grad": (bucket.grad, {dtype, real}),
        "master": (bucket.master, {"float32"}),
        "ema": (bucket.ema, {real}),
    }
    expected |= {name: (array, {real}) for name, array in bucket.state.items()}
    expected["param"] = (bucket.param, {dtype})
    for name, (array, dtypes) in expected.items():
        if array is None and name in ("master", "ema"):
            continue
        if str(array.dtype) not in dtypes:
            raise TypeError(
                f"{where}: {name} is {array.dtype}; expected {' or '.join(sorted(dtypes))} beside {dtype} parameters"
            )
        if array.shape != (size,) or not array.flags.c_contiguous:
            raise ValueError(
                f"{where}: {name} must be contiguous of shape ({size},) like param, got {array.shape}; "
                "flatten it once where the buffers are made"
            )
    if bucket.master is not None and dtype in ("float32", "float64"):
        raise TypeError(f"{where}: a master copy is for float16 and bfloat16 parameters; {dtype} is its own")
    begin, end = np.asarray(bucket.begin), np.asarray(bucket.end)
    if begin.shape != end.shape or begin.ndim != 1:
        raise ValueError(f"{where}: begin and end must be lists of one length, got {begin.shape} and {end.shape}")
    if begin.size and (
        (begin % ALIGN).any()
        or (begin < 0).any()
        or (end < begin).any()
        or (end > size).any()
        or (np.sort(begin)[1:] < np.sort(end)[:-1]).any()
    ):
        raise ValueError(f"{where}: ranges must start at multiples of {ALIGN}, lie in 0..{size} and not overlap")
