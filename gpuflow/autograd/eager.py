"""Eager mode: run an op, and record a node where a gradient may be asked for.

The graph is made of nodes; a node points at the nodes (or leaf tensors) that its inputs came from and at nothing that
came later, so graphs hold no cycles and free their memory as soon as the last result goes away. Nodes are numbered as
they are made, which is a topological order: what the walk back (tape.py) goes by.
"""
import itertools
import threading
from typing import Any

import numpy as np

from gpuflow import device, dispatch
from gpuflow.autograd import traced
from gpuflow.errors import explain
from gpuflow.ops.registry import Spec
from gpuflow.tensor import Tensor

_next_id = itertools.count(1).__next__
_new_tensor = Tensor.__new__


class Node:
    """One recorded op.

    edges[i]: where input i's gradient goes: (Node or leaf Tensor, output index, shape, dtype), or None.
    saved: what the gradient function reads. guards: (field, version list, version when saved).
    """

    __slots__ = ("__weakref__", "attrs", "edges", "guards", "hooks", "id", "op", "out_specs", "saved", "xp")

    def __init__(self, op, xp, attrs, edges, saved=None, guards=(), out_specs=None):
        self.op, self.xp, self.attrs, self.edges = op, xp, attrs, edges
        self.saved, self.guards, self.out_specs = saved, guards, out_specs
        self.id = _next_id()
        self.hooks = None

    def gradients(self, g, create_graph):
        """The gradients of the inputs (one per edge) for the gradient g of the output, shaped like the inputs."""
        saved = self.saved
        for field, counter, version in self.guards:
            if counter[0] != version:
                raise RuntimeError(explain(
                    f"backward of {self.op.name}", f"{field} as it was in the forward pass",
                    f"one that was changed in place {counter[0] - version} time(s) since",
                    f"{field}.clone() before the change, or an op that is not in place"))
        if create_graph:
            return traced.gradients(self, g)
        saved.into = self.slots() if self.op.writes else ()
        return self.op.grad_function(self.xp, g, saved, **self.attrs)

    def slots(self):
        """Per input, the array its gradient may be written into at once: an unused range of an optimizer's arena."""
        out = []
        for i, edge in enumerate(self.edges):
            target = edge[0] if edge is not None and i in self.op.writes else None
            slot = target._grad_slot if isinstance(target, Tensor) else None
            free = slot is not None and slot.dtype == edge[3] and target._grad is None and not target._hooks
            out.append(slot if free else None)
        return out

    def release(self):
        """Forgets what it holds; a second backward through it is an error."""
        self.saved = self.edges = None
        self.guards = ()

    def __repr__(self):
        return f"<{self.op.name} #{self.id}>"


class Eager(threading.local):
    """The mode that computes at once. `recording` is switched by no_grad and friends, per thread; `hooks` by
    saved_tensors_hooks, None where there are none."""

    recording = True
    hooks: Any = None
    dynamic = True

    def run(self, op, inputs, attrs):
        arrays, wanted = [], False
        for x in inputs:
            if isinstance(x, Tensor):
                arrays.append(x._array)
                if not x.stop_gradient:
                    wanted = True
            else:
                arrays.append(x)
        if op.promotes is not None and _mixed(arrays[op.promotes]):
            inputs = dispatch.promoted(op, inputs)
            arrays = [x._array if isinstance(x, Tensor) else x for x in inputs]
        xp = np if device._cupy is None else one_module(attrs.get("where", op.name), arrays)
        try:
            if not op.quiet or xp is not np:
                out = op.forward(xp, *arrays, **attrs) if attrs else op.forward(xp, *arrays)
            else:
                with np.errstate(all="ignore"):
                    out = op.forward(xp, *arrays, **attrs)
        except Exception as error:
            raise _explained(op, inputs, attrs, error) from error
        node = None
        if wanted and op.grad_function is not None and self.recording:
            node = _record(op, xp, inputs, arrays, attrs, out)
        if type(out) is not tuple:
            return _wrap(xp, out, node, 0, op, inputs)
        return tuple([_wrap(xp, a, None if i in op.no_grad_outputs else node, i, op, inputs)
                      for i, a in enumerate(out)])

    def run_inplace(self, op, target, inputs, attrs):
        recorded = self.recording and any(isinstance(x, Tensor) and not x.stop_gradient for x in inputs)
        if recorded:
            _check_inplace(op, target)
        out = self.run(op, inputs, attrs)
        write_inplace(op, target, out, recorded)
        return target

    def gradient_on_tensors(self, op, xp, attrs, g, saved, targets):
        """An op's gradient as ops, which can be differentiated: see traced.on_tensors."""
        return traced.on_tensors(op, xp, attrs, g, saved, targets)

    def pull_back(self, function, starts, inputs, create_graph):
        """The gradients of `inputs` where `starts` are those of function()'s results; None stands for none in each."""
        from gpuflow.autograd import tape

        with tape.enable_grad(), dispatch.casting(None):
            ends = [(y, g) for y, g in zip(function(), starts, strict=True)
                    if y is not None and g is not None and not y.stop_gradient]
            asked = [x for x in inputs if x is not None]
            if not ends or not asked:
                return [None] * len(inputs)
            results, given = map(list, zip(*ends))
            found = iter(tape.grad(results, asked, given, create_graph=create_graph, allow_unused=True))
            return [None if x is None else next(found) for x in inputs]


def _check_inplace(op, target):
    if target._node is None and not target.stop_gradient:
        raise RuntimeError(explain(f"{op.name} in place", "a tensor that is no leaf of the graph",
                                   f"the leaf {target.name}, whose gradient is wanted",
                                   "with gpuflow.no_grad(): around the change, or an op that is not in place"))
    if target._is_view:
        raise RuntimeError(explain(f"{op.name} in place", "a tensor with memory of its own",
                                   "a view (a slice, reshape or transpose) while gradients are recorded",
                                   "x[index] = value on the tensor the view was taken from, or view.clone()"))


def write_inplace(op, target, out, recorded):
    """Makes `target` hold the result `out` of an op, in its own memory, with its history when that is recorded."""
    if out._array.shape != target._array.shape or out._array.dtype != target._array.dtype:
        raise ValueError(explain(f"{op.name} in place", f"a result of {list(target._array.shape)} "
                                 f"{target._array.dtype}, as the tensor is",
                                 f"{list(out._array.shape)} {out._array.dtype}", "the op that is not in place"))
    target._write(out._array)
    if recorded:
        target._node, target._index, target.stop_gradient = out._node, out._index, out.stop_gradient


def rebind(name, target, out):
    """Makes `target` the tensor `out`, whose elements it shares, shape and history included; returns `target`."""
    if eager.recording and not out.stop_gradient:
        if target._node is None:
            raise RuntimeError(explain(name, "a tensor that is no leaf of the graph",
                                       f"the leaf {target.name}, whose gradient is wanted",
                                       "the op that is not in place"))
        target._node, target._index = out._node, out._index
    target._array, target._grad_slot = out._array, None   # an optimizer's range has the old shape
    return target


def _wrap(xp, array, node, index, op, inputs):
    if type(array) is not np.ndarray and not device.is_array(array):
        array = xp.asarray(array)  # NumPy turns 0-d results into scalars
    out = _new_tensor(Tensor)
    out._array = array
    if node is None:
        out.stop_gradient = True
    else:
        out.stop_gradient = False
        out._node, out._index = node, index
    if op.views:
        out._version, out._is_view = inputs[0]._counted(), True
    return out


def _mixed(arrays):
    """True when the operands need dispatch.promoted: their dtypes differ, or a number is not of the tensor's kind."""
    if len(arrays) == 2 and type(arrays[0]) is type(arrays[1]) is np.ndarray:  # the usual case, at a third of the time
        return arrays[0].dtype is not arrays[1].dtype and arrays[0].dtype != arrays[1].dtype
    kind = None
    for a in arrays:
        t = type(a)
        if t is np.ndarray or hasattr(a, "dtype"):
            if kind is None:
                kind = a.dtype
            elif a.dtype is not kind and a.dtype != kind:
                return True
        elif t is float:
            if kind is None or kind.kind != "f":
                return True
        elif t is int:
            if kind is None or kind.kind not in "fiu":
                return True
        elif a is not None:
            return True
    return kind is None


def one_module(where, arrays):
    """`xp` for the arrays among `arrays`; RuntimeError naming both devices when they are mixed."""
    first = None
    for a in arrays:
        if device.is_array(a):
            if first is None:
                first = a
            elif type(a) is not type(first) or device.place_of(a) != device.place_of(first):
                raise RuntimeError(explain(where, "tensors on one device",
                                           f"one on {device.place_of(first)} and one on {device.place_of(a)}",
                                           "x.to(y.place) on one of them"))
    return device.module_for(device.current_place()) if first is None else device.module_of(first)


def _explained(op, inputs, attrs, error):
    specs = [Spec(x._array.shape, x.dtype) if isinstance(x, Tensor) else x for x in inputs]
    return op.explain_failure(specs, attrs, error)


def _record(op, xp, inputs, arrays, attrs, out):
    edges, needs, guards = [], [], []
    for x, a in zip(inputs, arrays):
        if isinstance(x, Tensor) and not x.stop_gradient:
            source = x._node
            edges.append((x, 0, a.shape, a.dtype) if source is None else (source, x._index, a.shape, a.dtype))
            needs.append(True)
        else:
            edges.append(None)
            needs.append(False)
    saved = op.saved_type()
    saved.needs = needs
    for field, kind, where, for_input in op.save_plan:
        if kind == "array":
            if for_input is not None and edges[for_input] is None:
                setattr(saved, field, None)  # the one gradient that reads it is not wanted
                continue
            if where < 0:
                first = len(op.inputs)
                setattr(saved, field, arrays[first:])
                guards += [_guard(f"input {i}", x) for i, x in enumerate(inputs[first:], first)
                           if isinstance(x, Tensor)]
                continue
            setattr(saved, field, arrays[where])
            x = inputs[where]
            if isinstance(x, Tensor):
                guards.append(_guard(field, x))
        elif kind == "output":
            setattr(saved, field, out[where] if type(out) is tuple else out)
        elif where < 0:
            setattr(saved, field, [_aspect(kind, a) for a in arrays[len(op.inputs):]])
        else:
            setattr(saved, field, _aspect(kind, arrays[where]))
    if op.views:
        guards.append(_guard(op.inputs[0], inputs[0]))
    out_specs = [None if i in op.internal else (a.shape, a.dtype) for i, a in enumerate(out)] if type(
        out) is tuple else None
    kind = Node if eager.hooks is None else eager.hooks.node
    if (out[0] if out_specs else out).dtype.kind == "c":
        op = op.over_complex()
    return kind(op, xp, attrs, edges, saved, guards, out_specs)


def _guard(field, tensor):
    """What tells later whether the tensor was changed in place: (its name, its version count, the count now)."""
    counter = tensor._version
    if counter is None:
        counter = tensor._version = [0]
    return field, counter, counter[0]


def _aspect(kind, array):
    if kind == "shape":
        return np.shape(array)
    return array.dtype if hasattr(array, "dtype") else np.dtype(type(array))


eager = Eager()
dispatch.push(eager)
