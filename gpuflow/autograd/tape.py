"""Eager mode: run an op, record a node, walk the nodes back.

The graph is made of nodes; a node points at the nodes (or leaf tensors) that its inputs came from and at nothing that
came later, so graphs hold no cycles and free their memory as soon as the last result goes away. Nodes are numbered as
they are made. That order is a topological one, so the walk back needs no counting of users: it always takes the
youngest node that has a gradient waiting.

The walk calls each op's gradient function on raw arrays. With `create_graph` it calls the same function on traced
values (autograd/traced.py), whose every operation is recorded again.
"""
import heapq
import itertools
import threading
import weakref

import numpy as np

from gpuflow import device, dispatch
from gpuflow.autograd import traced
from gpuflow.errors import explain
from gpuflow.ops.registry import Spec, fit
from gpuflow.ops.rows import SparseRows
from gpuflow.tensor import Tensor

_next_id = itertools.count(1).__next__
_new_tensor = Tensor.__new__
_quiet = {"all": "ignore"}


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
    """The mode that computes at once. `recording` is switched by no_grad and friends, per thread."""

    recording = True
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
        xp = np if device._cupy is None else _module(op, arrays)
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
    if type(array) is not np.ndarray:
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


def _module(op, arrays):
    """`xp` for the arrays; RuntimeError naming both devices when they are mixed."""
    first = None
    for a in arrays:
        if device.is_array(a):
            if first is None:
                first = a
            elif type(a) is not type(first) or device.place_of(a) != device.place_of(first):
                raise RuntimeError(explain(op.name, "tensors on one device",
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
    out_specs = [(a.shape, a.dtype) for a in out] if type(out) is tuple else None
    return Node(op, xp, attrs, edges, saved, guards, out_specs)


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


# ---- walking back --------------------------------------------------------------------------------------------------


class Walk:
    """One pass back from some outputs. `deliver(leaf, gradient)` receives what arrives at leaf tensors.

    captures: {(node, index): list} filled with the gradients that pass there; blocked: ids of leaves and (node, index)
    pairs that gradients stop at.
    """

    def __init__(self, deliver, create_graph, retain_graph, captures=None, blocked=frozenset()):
        self.deliver, self.create_graph, self.retain = deliver, create_graph, retain_graph
        self.captures = captures or {}
        self.blocked = blocked
        self.waiting: dict = {}  # node: its output's gradient, or the list of them for a node with several outputs
        self.heap: list = []
        self.hooked: dict = {}  # leaves with hooks, which see the whole gradient: id: (leaf, gradient so far)

    def send(self, target, index, g):
        """Adds g to what waits at a node's output, or delivers it to a leaf."""
        if isinstance(target, Tensor):
            if self.blocked and id(target) in self.blocked:
                return
            if target._hooks:
                before = self.hooked.get(id(target))
                self.hooked[id(target)] = target, g if before is None else _sum(before[1], g)
            else:
                self.deliver(target, g)
            return
        if self.blocked and (target, index) in self.blocked:
            return
        if target.edges is None:
            raise RuntimeError(explain(
                f"backward through {target.op.name}", "a graph that is still there",
                "one that an earlier backward has freed", "backward(retain_graph=True) the first time"))
        before = self.waiting.get(target)
        if before is None:
            heapq.heappush(self.heap, (-target.id, target))
        if target.out_specs is None:
            self.waiting[target] = g if before is None else before + g
        else:
            if before is None:
                before = self.waiting[target] = [None] * len(target.out_specs)
            before[index] = g if before[index] is None else before[index] + g

    def run(self):
        if self.create_graph:
            with dispatch.casting(None):  # gradients keep the dtypes of the forward pass
                self._run()
        else:
            with np.errstate(**_quiet):
                self._run()
        for leaf, g in self.hooked.values():
            for hook in list(leaf._hooks.values()):
                g = _hooked(hook, g, self.create_graph)
            self.deliver(leaf, g)

    def _run(self):
        heap, create = self.heap, self.create_graph
        while heap:
            node = heapq.heappop(heap)[1]
            g = self.waiting.pop(node)
            if node.hooks or self.captures:
                g = self._seen(node, g)
            if node.out_specs is not None:
                g = _filled(node, g, create)
            grads = node.gradients(g, create)
            for edge, g in zip(node.edges, grads, strict=True):
                if edge is None or g is None:
                    continue
                target, index, shape, dtype = edge
                if create:
                    pass  # traced.gradients has fitted them
                elif type(g) is SparseRows:
                    g = g if isinstance(target, Tensor) else g.dense()
                elif g.dtype is not dtype or g.shape != shape:
                    g = fit(node.xp, g, shape, dtype)
                self.send(target, index, g)
            if not self.retain:
                node.release()

    def _seen(self, node, g):
        """The gradient(s) of a node's output(s) after its hooks; captured where somebody asked for them."""
        slots = [g] if node.out_specs is None else g
        for index, hook in (node.hooks or {}).values():
            if slots[index] is not None:
                slots[index] = _hooked(hook, slots[index], self.create_graph)
        for index, g in enumerate(slots):
            found = self.captures.get((node, index))
            if found is not None and g is not None:
                found.append(g)
        return slots[0] if node.out_specs is None else slots


def _sum(a, b):
    """The sum of two gradients of a leaf, arrays, tensors or SparseRows."""
    if isinstance(a, SparseRows) and isinstance(b, SparseRows):
        return a.plus(b)
    return (a.dense() if isinstance(a, SparseRows) else a) + (b.dense() if isinstance(b, SparseRows) else b)


def _filled(node, slots, create):
    """The gradients of all outputs, zeros for those that nobody used (None where the node has no spec of it)."""
    full = [node.xp.zeros(*spec) if g is None and spec is not None else g
            for g, spec in zip(slots, node.out_specs, strict=True)]
    return tuple([Tensor(g) if create and device.is_array(g) else g for g in full])


def _hooked(hook, g, create):
    """What a user's hook makes of a gradient."""
    if isinstance(g, SparseRows):
        return hook(g) or g
    answer = hook(g if create else Tensor(g))
    if answer is None:
        return g
    if not isinstance(answer, Tensor):
        raise TypeError(explain("gradient hook", "a Tensor or None", type(answer).__name__))
    if answer._array.shape != (g._array if create else g).shape:
        raise ValueError(explain("gradient hook", f"a gradient of shape {list((g._array if create else g).shape)}",
                                 str(answer.shape)))
    return answer if create else answer._array


def accumulate(leaf, g, own):
    """Adds g to leaf.grad. The first gradient goes into the optimizer's range where the leaf has one.

    own: ids of the leaves whose gradient's memory this walk made, so that it may add there in place.
    """
    held = leaf._grad
    if isinstance(g, SparseRows):
        if held is None:
            leaf._grad = g
        elif isinstance(held, SparseRows):
            leaf._grad = held.plus(g)
        else:
            leaf._grad = Tensor(held._array + g.dense())
        return
    if isinstance(g, Tensor):  # create_graph: the gradient has a history of its own
        leaf._grad = g if held is None else held + g
        return
    slot = leaf._grad_slot
    if isinstance(held, SparseRows):
        held = Tensor(held.dense())
    if held is None:
        if slot is None:
            slot = g.copy()  # g may be shared with another input's gradient
            own.add(id(leaf))
        elif g is not slot:
            slot[...] = g
        leaf._grad = Tensor(slot)
    elif held._array is slot:
        slot += g
        if held._version is not None:
            held._version[0] += 1
    elif id(leaf) in own:
        held._array += g
    else:
        leaf._grad = Tensor(held._array + g)
        own.add(id(leaf))


def _seed(output, grad, create_graph):
    """The gradient to start from at `output`: the given one, or ones."""
    if not isinstance(output, Tensor):
        raise TypeError(explain("backward", "tensors", type(output).__name__))
    if output.stop_gradient:
        raise RuntimeError(explain("backward", "a result that depends on a tensor with stop_gradient=False",
                                   f"{output.name} with stop_gradient=True",
                                   "set stop_gradient=False on an input, and compute outside no_grad"))
    if grad is None:
        xp = device.module_of(output._array)
        grad = Tensor(xp.ones(output._array.shape, output._array.dtype))
    elif not isinstance(grad, Tensor):
        raise TypeError(explain("backward", "a Tensor to start from", type(grad).__name__))
    elif grad._array.shape != output._array.shape:
        raise ValueError(explain("backward", f"a gradient of the output's shape {output.shape}", str(grad.shape)))
    return grad if create_graph else grad._array.astype(output._array.dtype, copy=False)


def start(walk, outputs, grads):
    for output, g in zip(outputs, grads, strict=True):
        target = output if output._node is None else output._node
        walk.send(target, output._index, _seed(output, g, walk.create_graph))
    walk.run()


def backward(tensors, grad_tensors=None, retain_graph: bool = False) -> None:
    """Adds to `grad` of every leaf the gradient of the sum of `tensors` (each weighted by its entry in grad_tensors).

    tensors: a Tensor or a list; a loss of one element needs no grad_tensors entry (None means ones).
    retain_graph: keep the graph for another backward; otherwise it is freed, and going back again is a RuntimeError.
    """
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    grads = [None] * len(tensors) if grad_tensors is None else (
        [grad_tensors] if isinstance(grad_tensors, Tensor) else list(grad_tensors))
    if len(grads) != len(tensors):
        raise ValueError(explain("backward", f"{len(tensors)} grad_tensors, one per tensor", str(len(grads))))
    for tensor, g in zip(tensors, grads, strict=True):
        if g is None and isinstance(tensor, Tensor) and tensor._array.size != 1:
            raise RuntimeError(explain("backward", "a loss with one element, or a gradient to start from",
                                       f"shape {list(tensor._array.shape)} and no gradient",
                                       "loss.mean().backward(), or pass grad_tensor"))
    own: set = set()
    start(Walk(lambda leaf, g: accumulate(leaf, g, own), False, retain_graph), tensors, grads)


def grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph: bool = False, only_inputs: bool = True,
         allow_unused: bool = False, no_grad_vars=None) -> list:
    """The gradients of the sum of `outputs` with respect to each of `inputs`, as a list; no `.grad` is touched.

    grad_outputs: what each output's gradient starts from (None: ones). create_graph: the gradients can be
    differentiated again. retain_graph: default is create_graph. allow_unused: None for an input that the outputs do
    not depend on, where otherwise a ValueError is raised. no_grad_vars: tensors that are treated as constants.
    """
    if not only_inputs:
        raise ValueError(explain("grad", "only_inputs=True", "False", "Tensor.backward, which fills every leaf's grad"))
    outputs, inputs, constants = _listed(outputs), _listed(inputs), _listed(no_grad_vars)
    grads = [None] * len(outputs) if grad_outputs is None else _listed(grad_outputs)
    if len(grads) != len(outputs):
        raise ValueError(explain("grad", f"{len(outputs)} grad_outputs, one per output", str(len(grads))))
    at_leaf = {id(x): [] for x in inputs if x._node is None}
    at_node = {(x._node, x._index): [] for x in inputs if x._node is not None}
    blocked = {id(x) if x._node is None else (x._node, x._index) for x in constants}

    def deliver(leaf, g):
        if id(leaf) in at_leaf:
            at_leaf[id(leaf)].append(g)

    walk = Walk(deliver, create_graph, create_graph if retain_graph is None else retain_graph, at_node, blocked)
    start(walk, outputs, grads)
    result = []
    for x in inputs:
        found = at_leaf[id(x)] if x._node is None else at_node[x._node, x._index]
        total = None
        for g in found:
            total = g if total is None else total.plus(g) if isinstance(total, SparseRows) else total + g
        if total is None and not allow_unused:
            raise ValueError(explain("grad", "outputs that depend on every input", f"no path to {x.name}",
                                     "allow_unused=True, which gives None for it"))
        result.append(total if total is None or isinstance(total, Tensor | SparseRows) else Tensor(total))
    return result


def _listed(x):
    return [] if x is None else [x] if isinstance(x, Tensor) else list(x)


def register_hook(tensor, hook):
    """Calls hook(gradient) when the tensor's gradient is known; a Tensor it returns takes the gradient's place.

    Returns an object whose remove() takes the hook away. RuntimeError for a tensor with stop_gradient=True.
    """
    if tensor.stop_gradient:
        raise RuntimeError(explain("register_hook", "a tensor that receives a gradient",
                                   f"{tensor.name} with stop_gradient=True"))
    if tensor._node is None:
        if tensor._hooks is None:
            tensor._hooks = {}
        return HookHandle(tensor._hooks, hook)
    if tensor._node.hooks is None:
        tensor._node.hooks = {}
    return HookHandle(tensor._node.hooks, (tensor._index, hook))


class HookHandle:
    """Takes a hook away again."""

    def __init__(self, hooks: dict, entry):
        self._hooks, self._key = hooks, _next_id()
        hooks[self._key] = entry

    def remove(self) -> bool:
        """True when the hook was still there."""
        return self._hooks.pop(self._key, None) is not None


def retain_grads(tensor) -> None:
    """Makes a tensor that is no leaf keep its gradient in `.grad` after backward."""
    if tensor._node is None:
        return
    ref = weakref.ref(tensor)

    def keep(g):
        target = ref()
        if target is not None:
            target._grad = g if target._grad is None else target._grad + g

    register_hook(tensor, keep)


eager = Eager()
dispatch.push(eager)


class _GradMode:
    """Switches recording inside a with-block or a decorated function; may be nested and used by several threads."""

    _to = False

    def __init__(self, func=None):
        self._before: list = []
        self._func = func

    def __new__(cls, func=None):
        self = super().__new__(cls)
        if callable(func):  # @no_grad without parentheses
            self.__init__()
            return self._wrapped(func)
        return self

    def __enter__(self):
        self._before.append(eager.recording)
        eager.recording = self._to

    def __exit__(self, *exc):
        eager.recording = self._before.pop()

    def __call__(self, func):
        return self._wrapped(func)

    def _wrapped(self, func):
        import functools
        import inspect

        to = self._to

        if inspect.isgeneratorfunction(func):
            @functools.wraps(func)
            def steps(*args, **kwargs):
                with _switched(to):
                    iterator = func(*args, **kwargs)
                try:
                    while True:
                        with _switched(to):
                            try:
                                value = next(iterator)
                            except StopIteration as stop:
                                return stop.value
                        yield value
                finally:
                    iterator.close()

            return steps

        @functools.wraps(func)
        def inner(*args, **kwargs):
            with _switched(to):
                return func(*args, **kwargs)

        return inner


class no_grad(_GradMode):
    """Context manager and decorator: ops inside are not recorded, so their results need no gradient."""


class enable_grad(_GradMode):
    """Context manager and decorator: ops inside are recorded, also within no_grad."""

    _to = True


class _switched(_GradMode):
    def __new__(cls, to):
        return object.__new__(cls)

    def __init__(self, to):
        super().__init__()
        self._to = to


class set_grad_enabled(_GradMode):
    """Turns recording on or off: at once as a call, and back again as a context manager's end."""

    def __new__(cls, mode):
        return object.__new__(cls)

    def __init__(self, mode: bool):
        super().__init__()
        self._to = bool(mode)
        self._before.append(eager.recording)
        eager.recording = self._to

    def __enter__(self):
        return None


def is_grad_enabled() -> bool:
    """True when ops are recorded in this thread."""
    return eager.recording
