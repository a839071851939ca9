"""Hooks: what a user has called when a tensor's gradient is known."""
import itertools
import weakref

from gpuflow.errors import explain

_next_key = itertools.count(1).__next__


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
        self._hooks, self._key = hooks, _next_key()
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
