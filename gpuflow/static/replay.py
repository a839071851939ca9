"""Stretches of a plan as CUDA graphs: what a GPU is told in a run is recorded once and told again in one call.

A stretch is a row of steps that only launch kernels. The first run with some shapes goes step by step and shows what
the stretch reads; after the second one it is recorded, in memory that nobody else gets, and its replay is compared with
the run to the bit; the runs after it copy what the stretch reads to where the graph expects it, and launch the graph.
Products and convolutions go between the stretches, since CuPy records no call of cuBLAS; so does everything that waits,
draws, decides, or takes numbers from the host. Where anything is not as it was, the steps run one by one.
"""
import contextlib
import logging
import threading

import numpy as np

from gpuflow import device
from gpuflow.ops.rows import SparseRows
from gpuflow.static.fusion import PATIENCE, Fused
from gpuflow.static.operators import Accumulate, Apply, Gradient, GradientAgain, Ones, Operator, Write

# Files of ops/ whose ops only launch kernels, forward and back, and the ops among them that bring numbers from the host
# as well: bounds, sizes, CuPy's table of what is joined.
ROOMS = frozenset({"activation", "elementwise", "norm", "reduce", "shape", "softmax", "unary"})
NOT = frozenset({"clip", "concat", "nan_to_num", "numel", "shape", "stack"})
GRAPHS = 4      # that a stretch keeps: one for each choice of shapes and parameters

log = logging.getLogger("gpuflow")


def only_launches(operator: Operator) -> bool:
    """True when a run of the operator is launches, the same ones for the same shapes."""
    if isinstance(operator, Apply | Gradient):
        op = (operator if isinstance(operator, Apply) else operator.forward).op
        return op.room in ROOMS and op.name not in NOT
    if isinstance(operator, Fused):
        return all(map(only_launches, (*operator.group.members, *operator.group.rests)))
    return isinstance(operator, Accumulate | Ones)


def worth(steps: int, copied: int) -> bool:
    """False where the copies of what a stretch reads, and the graph's launch, cost what it saves."""
    return steps > copied


def can_replay(plan) -> bool:
    """True when nothing in the plan could keep an array beyond the run, as a Python function or a loop may."""
    known = Apply | Gradient | GradientAgain | Accumulate | Fused | Ones | Write
    return plan.place.is_gpu_place() and all(isinstance(o, known) or hasattr(o, "steps_of") for o in plan.operators)


class Replay:
    """Runs a plan. `advance` is Plan.advance over all steps, with the same numbers."""

    def __init__(self, plan):
        self.plan, self.lock = plan, threading.Lock()
        fixed = {i for i, _ in (*plan.captured, *plan.slots)}
        self.pieces, begin = [], 0
        kinds = [only_launches(o) for o in plan.operators]
        for end in range(1, len(kinds) + 1):
            if end == len(kinds) or kinds[end] is not kinds[begin]:
                steps = plan.steps[begin:end]
                fuses = any(isinstance(o, Fused) for o in plan.operators[begin:end])
                self.pieces.append(Stretch(plan, steps, fixed, PATIENCE * fuses) if kinds[begin] else steps)
                begin = end

    def advance(self, env: list) -> None:
        # the graphs are of one device, and their memory is for one run at a time
        if self.plan.place != device.current_place() or not self.lock.acquire(blocking=False):
            return _take(self.plan.steps, env)
        try:
            for piece in self.pieces:
                if isinstance(piece, Stretch):
                    piece.advance(env)
                else:
                    _take(piece, env)
        finally:
            self.lock.release()
        return None


def _take(steps, env) -> None:
    for step in steps:
        step(env)


class _Watched(list):
    """An env that notes which places were read before they were written."""

    def __init__(self, env):
        super().__init__(env)
        self.read, self.written = {}, set()

    def __getitem__(self, i):
        if i not in self.written:
            self.read[i] = None
        return super().__getitem__(i)

    def __setitem__(self, i, x):
        self.written.add(i)
        super().__setitem__(i, x)


class Stretch:
    """Steps that only launch. fixed: places whose arrays stay where they are from run to run. wait: runs before the
    steps do what they will go on doing."""

    def __init__(self, plan, steps, fixed, wait: int):
        self.plan, self.steps, self.fixed, self.wait = plan, steps, fixed, wait
        self.reads: list[int] | None = None
        self.graphs: dict = {}      # `_key` -> _Graph; None: to be recorded
        self.given_up = False

    def advance(self, env) -> None:
        if self.given_up:
            return _take(self.steps, env)
        if self.reads is None:
            return self._watch(env)
        key = self._key(env)
        graph = self.graphs.get(key)
        if graph is not None and graph.stream == _current_stream(self.plan).ptr:
            return graph.replay(env)
        before = env.copy()
        _take(self.steps, env)
        if self.wait > 0:
            self.wait -= 1
        elif graph is None and key in self.graphs:
            self._record(key, before, env)
        elif len(self.graphs) < GRAPHS:
            self.graphs.setdefault(key)
        return None

    def _watch(self, env) -> None:
        watched = _Watched(env)
        _take(self.steps, watched)
        template = self.plan.template
        self.reads = [i for i in watched.read if template[i] is None]    # the others are constants
        copied = sum(device.is_array(env[i]) and i not in self.fixed for i in self.reads)
        self.given_up = not worth(len(self.steps), copied) or any(type(env[i]) is SparseRows for i in self.reads)
        if not self.given_up:
            self.graphs[self._key(env)] = None
        env[:] = watched

    def _key(self, env) -> tuple:
        """What must be the same when a graph is to be launched: sizes, and the addresses of what is not copied."""
        return tuple([(x.shape, str(x.dtype), x.strides, x.data.ptr if i in self.fixed else None)
                      if device.is_array(x := env[i]) else x for i in self.reads or ()])

    def _record(self, key, env, after) -> None:
        """Makes the graph. env: as it was before the stretch; after: what a plain run made of it."""
        try:
            graph = _Graph(self, env)
            graph.launch()
            if not all(_same(env[i], after[i]) for i in graph.made):
                raise RuntimeError("a replay gave other numbers")
            self.graphs[key] = graph
        except Exception as error:
            self.given_up = True
            log.info("a stretch of %d steps runs without a CUDA graph: %s", len(self.steps), error)


class _Graph:
    """One recording. made: {place: what is in it after the stretch}."""

    def __init__(self, stretch: Stretch, env):
        plan, xp = stretch.plan, stretch.plan.xp
        self.pool = xp.cuda.MemoryPool()
        self.inputs = {}
        for i in stretch.reads or ():
            if device.is_array(env[i]) and i not in stretch.fixed:
                if not (env[i].flags.c_contiguous or env[i].flags.f_contiguous):
                    raise RuntimeError("an input with gaps")
                self.inputs[i] = env[i].copy(order="K")
                env[i] = self.inputs[i]
        before, self.stream = env.copy(), _current_stream(plan).ptr
        with xp.cuda.using_allocator(self.pool.malloc), xp.cuda.Stream(non_blocking=True) as stream:
            stream.begin_capture()
            try:
                _take(stretch.steps, env)
            except BaseException:
                with contextlib.suppress(Exception):
                    stream.end_capture()
                raise
            self.graph = stream.end_capture()
        self.made = {i: x for i, x in enumerate(env) if x is not before[i]}

    def launch(self) -> None:
        self.graph.launch()

    def replay(self, env) -> None:
        for i, buffer in self.inputs.items():
            buffer[...] = env[i]
        self.launch()
        for i, x in self.made.items():
            env[i] = x


def _current_stream(plan):
    return plan.xp.cuda.get_current_stream()


def _same(a, b) -> bool:
    """True for equal bits."""
    if not (device.is_array(a) and device.is_array(b)):
        return a is b or a == b
    a, b = device.to_numpy(a), device.to_numpy(b)
    return a.dtype == b.dtype and a.shape == b.shape and np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(
        b).tobytes()
