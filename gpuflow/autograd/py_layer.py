"""PyLayer: an op whose forward and backward a user writes on tensors."""
from typing import Any

from gpuflow import device
from gpuflow.autograd import tape
from gpuflow.dispatch import in_dynamic_mode, mode
from gpuflow.errors import explain
from gpuflow.tensor import Tensor


class PyLayerContext:
    """What forward hands to backward: tensors by `save_for_backward`, anything else as attributes."""

    def __init__(self):
        self._saved: tuple = ()
        self._hooks: Any = None
        self._guards: list = []
        self._no_gradient: tuple = ()
        self._materialize = True

    def save_for_backward(self, *tensors) -> None:
        """Keeps inputs or outputs of forward for backward, where `saved_tensor()` gives them back."""
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(explain("save_for_backward", "tensors", type(t).__name__,
                                        "an attribute of ctx for other objects"))
        self._saved, self._hooks = tensors, tape.eager.hooks
        if self._hooks is not None:
            self._saved = tuple(self._hooks.pack([t if t is None else t._array for t in tensors]))
        self._guards = [(i, t._counted(), t._counted()[0]) for i, t in enumerate(tensors) if t is not None]

    def saved_tensor(self) -> tuple:
        """What `save_for_backward` was given."""
        if self._hooks is None:
            return self._saved
        return tuple(a if a is None else Tensor(a) for a in self._hooks.open(list(self._saved)))

    saved_tensors = property(saved_tensor)

    def mark_non_differentiable(self, *tensors) -> None:
        """These outputs of forward carry no gradient."""
        self._no_gradient = tensors

    def mark_not_inplace(self, *tensors) -> None:
        """Accepted: outputs that are inputs are always given new tensors here."""

    def set_grad_in_dtype_consistent(self, flag: bool) -> None:
        """Accepted: a gradient always comes in the dtype of the output it belongs to."""

    def set_materialize_grads(self, value: bool) -> None:
        """False: backward gets None, not zeros, for outputs that nobody used."""
        self._materialize = bool(value)


class _Name:
    """What the tape's messages call the node."""

    writes = frozenset()

    def __init__(self, name):
        self.name = name


class _PyNode(tape.Node):
    """A node whose gradients come from a user's backward."""

    __slots__ = ("context", "layer", "outputs")

    def gradients(self, g, create_graph):
        context = self.context
        for i, counter, version in context._guards:
            if counter[0] != version:
                raise RuntimeError(explain(f"backward of {self.op.name}", f"saved tensor {i} as it was in forward",
                                           "one that was changed in place since", "save a clone()"))
        kept = context._saved
        if create_graph and context._hooks is None:   # saved outputs lead back here, so that they can be differentiated
            context._saved = tuple(self._relinked(t) for t in kept)
        try:
            with tape.set_grad_enabled(create_graph):
                grads = self.layer.backward(context, *[Tensor(x) if device.is_array(x) else x for x in g])
        finally:
            context._saved = kept
        grads = list(grads) if isinstance(grads, tuple | list) else [grads]
        wanted = sum(e is not None for e in self.edges)
        if len(grads) == wanted != len(self.edges):  # only the inputs that need a gradient were answered
            answers = iter(grads)
            grads = [None if e is None else next(answers) for e in self.edges]
        if len(grads) != len(self.edges):
            raise ValueError(explain(f"{self.op.name}.backward", f"{len(self.edges)} gradients, one per tensor that "
                                     "forward was given", str(len(grads))))
        return [self._checked(i, x, create_graph) for i, x in enumerate(grads)]

    def _relinked(self, tensor):
        for index, raw in enumerate(self.outputs):
            if raw is tensor:
                linked = Tensor(raw._array, stop_gradient=False)
                linked._node, linked._index = self, index
                return linked
        return tensor

    def _checked(self, i, g, create_graph):
        edge = self.edges[i]
        if g is None or edge is None:
            return None
        if not isinstance(g, Tensor):
            raise TypeError(explain(f"{self.op.name}.backward", "Tensors or None", type(g).__name__))
        if tuple(g._array.shape) != tuple(edge[2]):
            raise ValueError(explain(f"{self.op.name}.backward", f"gradient {i} of shape {list(edge[2])}",
                                     str(list(g._array.shape))))
        return g if create_graph else g._array

    def release(self):
        super().release()
        self.context = self.outputs = None


class PyLayer:
    """Subclass it with static methods ``forward(ctx, *args)`` and ``backward(ctx, *grads)``; call ``apply(*args)``.

    backward gets the gradient of each output and returns one gradient per tensor argument of forward (None where there
    is none). Its own ops are recorded under create_graph, so a backward made of ops can be differentiated.
    """

    @staticmethod
    def forward(ctx, *args, **kwargs):
        raise NotImplementedError("a PyLayer needs a static method forward(ctx, *args)")

    @staticmethod
    def backward(ctx, *grads):
        raise NotImplementedError("a PyLayer needs a static method backward(ctx, *grads)")

    @classmethod
    def apply(cls, *args, **kwargs):
        """Runs forward, and records the layer when one of the tensors needs a gradient."""
        context = PyLayerContext()
        tensors = [x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)]
        if not in_dynamic_mode():
            return mode().own_gradient(cls.__name__, lambda *_: cls.forward(context, *args, **kwargs), tensors,
                                       lambda *grads: cls.backward(context, *grads))
        with tape.no_grad():
            result = cls.forward(context, *args, **kwargs)
        raw = list(result) if isinstance(result, tuple | list) else [result]
        recorded = tape.eager.recording and any(not t.stop_gradient for t in tensors)
        node = cls._node(context, tensors, raw) if recorded else None
        out = [cls._output(x, i, node, context) for i, x in enumerate(raw)]
        return type(result)(out) if isinstance(result, tuple | list) else out[0]

    @classmethod
    def _node(cls, context, tensors, raw):
        edges = [None if t.stop_gradient else (t if t._node is None else t._node, t._index, t._array.shape,
                                               t._array.dtype) for t in tensors]
        node = _PyNode(_Name(cls.__name__), device.module_of(tensors[0]._array), {}, edges)
        node.context, node.layer = context, cls
        node.outputs = [x if isinstance(x, Tensor) else None for x in raw]
        node.out_specs = [None if x is None else (x._array.shape, x._array.dtype) for x in node.outputs]
        if not context._materialize:
            node.out_specs = [None] * len(raw)
        return node

    @staticmethod
    def _output(x, index, node, context):
        if not isinstance(x, Tensor):
            return x
        out = Tensor(x._array)
        out._version = x._version
        if node is not None and x.dtype.is_differentiable and not any(x is t for t in context._no_gradient):
            out._node, out._index, out.stop_gradient = node, index, False
        return out
