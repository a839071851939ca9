"""The one door: every op call of gpuflow passes `call`, and the mode on top of the stack decides what happens.

Eager mode (autograd/eager.py) runs the op and records it; static mode appends it to a Program. A mode is an object with
``run(op, inputs, attrs)`` and ``run_inplace(op, target, inputs, attrs)``; one that is not `dynamic` also has
``training_call(function, args, kwargs)``, ``own_gradient(where, forward, inputs, backward)``, ``keep(buffer)`` and
``grad(outputs, inputs, grad_outputs, no_grad_vars)``.

Before the mode sees a call, a casting policy may exchange the inputs for others of another dtype (amp/auto_cast.py).
"""
import contextlib
import functools
import threading
from typing import Any

import numpy as np

from gpuflow import device, dtypes
from gpuflow.errors import explain
from gpuflow.ops.registry import OPS
from gpuflow.tensor import Tensor, as_operand

_modes: list = []
NO_ATTRS: dict = {}


class _PerThread(threading.local):
    policy = None


_thread = _PerThread()
_lock = threading.Lock()
_casting = 0        # blocks under a policy, in all threads
_run: Any = None    # what `call` does: the deciding mode's run, with the policy before it where there is such a block


def push(mode) -> None:
    """Makes `mode` the one that decides. autograd/eager.py pushes eager mode once, when it is imported."""
    _modes.append(mode)
    _aim()


def pop():
    gone = _modes.pop()
    _aim()
    return gone


def _aim() -> None:
    global _run
    _run = _cast_and_run if _casting or not _modes else _modes[-1].run


def _cast_and_run(op, inputs, attrs):
    policy = _thread.policy
    return _modes[-1].run(op, inputs if policy is None else policy(op, inputs, attrs), attrs)


def mode():
    """The mode that decides at present."""
    return _modes[-1]


def call(op, inputs, attrs=NO_ATTRS) -> Any:
    """Applies `op` (an OpDef) to `inputs` (tensors, None, or Python numbers where the op promotes).

    Returns what the mode makes of it: a Tensor, or a tuple of them for an op with several outputs.
    """
    return _run(op, inputs, attrs)


def call_inplace(op, target, inputs, attrs=NO_ATTRS):
    """Applies `op` and writes the result into `target`, which must be the first input; returns `target`."""
    return _modes[-1].run_inplace(op, target, inputs, attrs)


@contextlib.contextmanager
def casting(policy):
    """Within the block, in this thread, `policy(op, inputs, attrs)` gives the inputs that an op really gets.

    None: no policy, whatever an outer block says. Ops in place have a dtype to keep and are not asked about.
    """
    global _casting
    before = _thread.policy
    with _lock:
        _casting += 1
        _aim()
    _thread.policy = policy
    try:
        yield policy
    finally:
        _thread.policy = before
        with _lock:
            _casting -= 1
            _aim()


def casting_policy():
    """The policy of the innermost `casting` block of this thread, or None."""
    return _thread.policy


def trains(function):
    """Decorator for functions with an argument `training`: static mode remembers how they were called, so that a
    program for testing can call them with training=False."""

    @functools.wraps(function)
    def apply(*args, **kwargs):
        mode = _modes[-1]
        return function(*args, **kwargs) if mode.dynamic else mode.training_call(function, args, kwargs)

    return apply


@contextlib.contextmanager
def at_once():
    """Within the block ops compute at once, as in eager mode, whatever the mode outside is."""
    push(_modes[0])
    try:
        yield
    finally:
        pop()


def recording() -> bool:
    """False within no_grad."""
    return _modes[0].recording


def in_dynamic_mode() -> bool:
    """True when ops compute at once; False while a static Program is being built."""
    return _modes[-1].dynamic


def promoted(op, inputs):
    """The inputs brought to one dtype: tensors are cast (recorded), arrays wrapped, Python numbers kept weak.

    Slow path of a mode: eager mode comes here only when dtypes differ or a number does not fit the tensor's kind.
    """
    slots = range(len(inputs))[op.promotes]
    inputs = list(inputs)
    for i in slots:
        if isinstance(inputs[i], np.generic):
            inputs[i] = inputs[i].item()  # as weak as a Python number: 2.0 may well come as np.float64
        elif isinstance(inputs[i], list | tuple) or device.is_array(inputs[i]):
            inputs[i] = as_operand(inputs[i])
    tensors = [inputs[i] for i in slots if not isinstance(inputs[i], bool | int | float | complex)]
    if not tensors:
        for i in slots:
            inputs[i] = as_operand(inputs[i])
        tensors = [inputs[i] for i in slots]
    for t in tensors:
        if not isinstance(t, Tensor) and not hasattr(t, "stop_gradient"):
            raise TypeError(explain(op.name, "tensors or numbers", type(t).__name__))
    apart = [t for t in tensors if not t.ndim] if op.weak_scalars else []
    kinds = [t.dtype for t in tensors if t.ndim or not apart]
    kind = kinds[0] if kinds else apart[0].dtype
    for other in kinds[1:]:
        kind = dtypes.promote(kind, other, op.name)
    for t in apart:
        kind = dtypes.promote_scalar(kind, t.dtype, op.name, bool(kinds))
    for i in slots:
        if isinstance(inputs[i], bool | int | float | complex):
            kind = dtypes.of_scalar_operand(kind, inputs[i])
    for i in slots:
        if isinstance(inputs[i], bool | int | float | complex):
            # results take their device from an array, so the first operand becomes one; and to NumPy a Python number is
            # weak beside its own types only, not beside bfloat16
            if i == slots[0] or kind is dtypes.bfloat16:
                inputs[i] = as_operand(inputs[i], kind, like=tensors[0])
        elif inputs[i].dtype is not kind:
            inputs[i] = call(OPS["cast"], (inputs[i],), {"dtype": kind})
    return inputs

