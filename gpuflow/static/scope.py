"""Scope: where parameters, buffers and global variables have their numbers while programs run, by name."""
import contextlib
from weakref import WeakKeyDictionary

import numpy as np

from gpuflow import device
from gpuflow.errors import explain
from gpuflow.static.value import Value
from gpuflow.tensor import Tensor


class Scope:
    """{name: Tensor}. Programs that run in one scope share what has the same name.

    In the global scope a layer's own parameters and buffers are the ones that programs read and write, so
    `layer.state_dict()` shows what was trained there. Another scope works on copies.
    """

    def __init__(self):
        self._tensors: dict[str, Tensor] = {}
        # optimizer or average -> its twin that works on this scope's parameters, for as long as the first is there
        self.workers: WeakKeyDictionary = WeakKeyDictionary()

    def var(self, name: str) -> "ScopeVariable":
        """The variable of that name, made now if there was none."""
        if name not in self._tensors:
            self._tensors[name] = Tensor(np.zeros(0, np.float32), name=name)
        return ScopeVariable(self, name)

    def find_var(self, name: str) -> "ScopeVariable | None":
        """The variable of that name, or None."""
        return ScopeVariable(self, name) if name in self._tensors else None

    def local_var_names(self) -> list[str]:
        return list(self._tensors)

    def drop_kids(self) -> None:
        """Nothing: gpuflow's scopes have none."""

    def tensor(self, value: Value) -> Tensor:
        """The tensor that a captured Value means here. RuntimeError for a parameter without numbers yet."""
        found = self._tensors.get(value.name)
        if found is None:
            home = value.home
            if home._pending:
                raise RuntimeError(explain(f"the parameter {value.name}", "first numbers in this scope", "none",
                                           "exe.run(static.default_startup_program()) before, or load it"))
            if self is _global or not value.persistable:
                return home
            found = self._tensors[value.name] = copied(home)
        elif tuple(found._array.shape) != value.shape:
            raise RuntimeError(explain(f"the variable {value.name}", f"shape {list(value.shape)} as in the program",
                                       f"{list(found._array.shape)} in the scope",
                                       "a scope or unique_name.guard for each of the programs"))
        return found

    def initialise(self, home: Tensor, array) -> None:
        """Gives `home`'s stand-in in this scope its first numbers."""
        target = home if self is _global else self._tensors.get(home.name)
        if target is None:
            target = copied(home)
        if target._pending or target._array.shape != array.shape:
            target._array = array
            target._pending = False
        else:
            target._write(device.move(array, target.place))
        self._tensors[home.name] = target

    def put(self, name: str, array) -> None:
        """Replaces the numbers of a variable, whatever shape it had."""
        held = self._tensors.get(name)
        if held is None:
            self._tensors[name] = Tensor(array, name=name)
        elif held._array.shape == array.shape and not held._pending:
            held.set_value(array)
        else:
            held._array = array
            held._pending = False

    def __contains__(self, name):
        return name in self._tensors


def copied(home: Tensor) -> Tensor:
    """A tensor like `home`, with memory and gradient of its own and the same name."""
    twin = type(home).__new__(type(home))
    twin.__dict__.update({k: v for k, v in home.__dict__.items() if k not in ("_grad", "_grad_slot", "_version")})
    twin._array = home._array.copy()
    return twin


class ScopeVariable:
    """One variable of a scope: `get_tensor()` has its numbers."""

    def __init__(self, scope: Scope, name: str):
        self._scope, self.name = scope, name

    def get_tensor(self) -> "ScopeVariable":
        return self

    def set(self, array, place=None) -> None:
        """Replaces the numbers. array: NumPy array or Tensor of any shape. place: default where they are."""
        array = array._array if isinstance(array, Tensor) else np.asarray(array)
        place = self._tensor.place if place is None else device.parse(place)
        self._scope.put(self.name, device.move(array, place))

    @property
    def _tensor(self) -> Tensor:
        return self._scope._tensors[self.name]

    def __repr__(self) -> str:
        return repr(self._tensor)

    def shape(self) -> list:
        return list(self._tensor.shape)

    def numpy(self) -> np.ndarray:
        return self._tensor.numpy()

    def __array__(self, dtype=None, copy=None):
        array = self.numpy()
        return array if dtype is None else array.astype(dtype)


_global = Scope()
_current = [_global]


def global_scope() -> Scope:
    """The scope that programs run in where none is named: the innermost `scope_guard`'s, else the global one."""
    return _current[-1]


@contextlib.contextmanager
def scope_guard(scope: Scope):
    """Inside, `scope` is what `global_scope` gives."""
    if not isinstance(scope, Scope):
        raise TypeError(explain("scope_guard", "a static.Scope", type(scope).__name__))
    _current.append(scope)
    try:
        yield
    finally:
        _current.pop()
