"""saved_tensors_hooks: what backward needs of the forward pass, kept in a form of the user's choice."""
from gpuflow import device
from gpuflow.autograd.eager import Node, eager
from gpuflow.errors import explain
from gpuflow.tensor import Tensor


class saved_tensors_hooks:
    """Context manager: what ops inside keep for backward is kept as pack_hook(tensor), and read through unpack_hook.

    pack_hook(tensor): gives what is kept, e.g. an array on the host or a file's name. unpack_hook(kept): gives a tensor
    of the same shape, dtype and place. Of a `PyLayer` it is what `save_for_backward` was given.
    """

    def __init__(self, pack_hook, unpack_hook):
        for name, hook in (("pack_hook", pack_hook), ("unpack_hook", unpack_hook)):
            if not callable(hook):
                raise TypeError(explain("saved_tensors_hooks", f"{name} to be a function", repr(hook)))
        self._hooks = Hooks(pack_hook, unpack_hook)
        self._before: list = []

    def __enter__(self):
        self._before.append(eager.hooks)
        eager.hooks = self._hooks

    def __exit__(self, *exc):
        eager.hooks = self._before.pop()


class _Kept:
    """What a pack_hook gave for an array of this shape and dtype."""

    __slots__ = ("dtype", "shape", "value")

    def __init__(self, value, shape, dtype):
        self.value, self.shape, self.dtype = value, shape, dtype


class Hooks:
    """A pair of hooks: packs what a node keeps, and opens it again."""

    def __init__(self, pack, unpack):
        self._pack, self._unpack = pack, unpack

    def pack(self, held):
        """held, an array, a list or something else, with arrays packed."""
        if isinstance(held, list | tuple):
            return [self.pack(a) for a in held]
        if not device.is_array(held):
            return held
        before, eager.hooks = eager.hooks, None   # ops of the user's function keep nothing through it
        try:
            return _Kept(self._pack(Tensor(held)), held.shape, held.dtype)
        finally:
            eager.hooks = before

    def open(self, held):
        """What `pack` was given. ValueError where unpack_hook gives another shape or dtype."""
        if isinstance(held, list):
            return [self.open(a) for a in held]
        if not isinstance(held, _Kept):
            return held
        tensor = self._unpack(held.value)
        array = tensor._array if isinstance(tensor, Tensor) else None
        if array is None or array.shape != held.shape or array.dtype != held.dtype:
            raise ValueError(explain("unpack_hook", f"a tensor of shape {list(held.shape)} and dtype {held.dtype}",
                                     type(tensor).__name__ if array is None else f"{list(array.shape)} {array.dtype}"))
        return array

    def node(self, op, xp, attrs, edges, saved, guards, out_specs) -> Node:
        """A node that keeps what the pack_hook makes of its arrays."""
        node = PackedNode(op, xp, attrs, edges, saved, guards, out_specs)
        node.saving = self
        for field, *_ in op.save_plan:
            setattr(saved, field, self.pack(getattr(saved, field)))
        return node


class PackedNode(Node):
    """A node whose saved arrays are packed; they are opened while its gradients are worked out."""

    __slots__ = ("saving",)
    saving: Hooks

    def gradients(self, g, create_graph):
        saved = self.saved
        packed = {field: getattr(saved, field) for field, *_ in self.op.save_plan}
        try:
            for field, held in packed.items():
                setattr(saved, field, self.saving.open(held))
            return super().gradients(g, create_graph)
        finally:
            for field, held in packed.items():
                setattr(saved, field, held)
