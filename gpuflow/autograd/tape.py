"""The walk back from results to leaves: `backward`, `grad`, and how gradients add up.

Forward, eager.py numbers the nodes it makes. That order is a topological one, so the walk needs no counting of users:
it always takes the youngest node that has a gradient waiting.

The walk calls each op's gradient function on raw arrays. With `create_graph` it calls the same function on traced
values (traced.py), whose every operation is recorded again.
"""
import heapq
import warnings

import numpy as np

from gpuflow import device, dispatch
from gpuflow.autograd.eager import Node, eager, rebind, write_inplace
from gpuflow.autograd.hooks import HookHandle, register_hook, retain_grads
from gpuflow.autograd.modes import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from gpuflow.errors import explain
from gpuflow.ops.registry import fit
from gpuflow.ops.rows import SparseRows
from gpuflow.tensor import Tensor

# the whole of eager autograd under one name
__all__ = ["HookHandle", "Node", "Walk", "accumulate", "backward", "eager", "enable_grad", "grad", "is_grad_enabled",
           "no_grad", "rebind", "register_hook", "retain_grads", "set_grad_enabled", "start", "write_inplace"]

_quiet = {"all": "ignore"}


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
                "one that the backward of another result has freed", "backward(retain_graph=True) there, or one "
                "backward of the sum of both"))
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
                                 str(list(answer.shape))))
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
            slot = np.array(g) if isinstance(g, np.generic) else g.copy()  # may be shared with another's gradient
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
        total = held._array + g
        leaf._grad = Tensor(np.asarray(total) if isinstance(total, np.generic) else total)  # stays here
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
        raise ValueError(explain("backward", f"a gradient of the output's shape {list(output.shape)}",
                                 str(list(grad.shape))))
    return grad if create_graph else grad._array.astype(output._array.dtype, copy=False)


def start(walk, outputs, grads):
    for output, g in zip(outputs, grads, strict=True):
        target = output if output._node is None else output._node
        if output._node is not None and target.edges is None:
            raise RuntimeError(explain("backward", "a result whose graph is still there",
                                       f"a second time through {target!r}, which the first freed",
                                       "backward(retain_graph=True) the first time"))
        walk.send(target, output._index, _seed(output, g, walk.create_graph))
    walk.run()


def backward(tensors, grad_tensors=None, retain_graph: bool = False) -> None:
    """Adds to `grad` of every leaf the gradient of the sum of `tensors` (each weighted by its entry in grad_tensors).

    tensors: a Tensor or a list. grad_tensors: what each starts from, None for ones; where that is left out for a tensor
    of several elements a warning says so, since a loss that nobody reduced trains at a rate too high by its size.
    retain_graph: keep the graph for another backward; otherwise it is freed, and going back again is a RuntimeError.
    """
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    grads = [None] * len(tensors) if grad_tensors is None else (
        [grad_tensors] if isinstance(grad_tensors, Tensor) else list(grad_tensors))
    if len(grads) != len(tensors):
        raise ValueError(explain("backward", f"{len(tensors)} grad_tensors, one per tensor", str(len(grads))))
    for tensor, g in zip(tensors, grads, strict=True):
        if g is None and isinstance(tensor, Tensor) and tensor._array.size > 1:
            warnings.warn(explain("backward", "a loss with one element, or a gradient to start from",
                                  f"shape {list(tensor._array.shape)} and no gradient; it starts from ones",
                                  "loss.mean().backward(), or pass grad_tensor"), stacklevel=3)
    own: set = set()
    start(Walk(lambda leaf, g: accumulate(leaf, g, own), False, retain_graph), tensors, grads)


def grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph: bool = False, only_inputs: bool = True,
         allow_unused: bool = False, no_grad_vars=None) -> list:
    """The gradients of the sum of `outputs` with respect to each of `inputs`, as a list; no `.grad` is touched.

    grad_outputs: what each output's gradient starts from (None: ones). create_graph: the gradients can be
    differentiated again. retain_graph: default is create_graph. allow_unused: None for an input that the outputs do
    not depend on, where otherwise a ValueError is raised. no_grad_vars: tensors that are treated as constants. While a
    Program is built these are its `static.gradients`.
    """
    if not only_inputs:
        raise ValueError(explain("grad", "only_inputs=True", "False", "Tensor.backward, which fills every leaf's grad"))
    if not dispatch.in_dynamic_mode():
        return dispatch.mode().grad(outputs, inputs, grad_outputs, no_grad_vars)
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
