"""`import paddle` gives gpuflow: what `gpuflow run` and `as_paddle` do.

`paddle.x.y` becomes the module `gpuflow.x.y` itself, no copy: its classes and its state are the same under both names.
"""
import os
import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

STAND_IN = os.path.join(os.path.dirname(__file__), "stand_in")   # holds a paddle.py, for processes started from here
_NOTE = "gpuflow stands for paddle here. docs/differences.md lists what it leaves out or does in another way."


class as_paddle:
    """From now on `import paddle` and `from paddle.x import y` give gpuflow; after a `with` block no longer.

    Library code written for Paddle then runs as it is. Modules that the block imported stay imported and keep gpuflow.
    ImportError if the real Paddle is in this process already.
    """

    def __init__(self):
        self._finder = None
        if any(isinstance(finder, _Finder) for finder in sys.meta_path):
            return
        if "paddle" in sys.modules:
            raise ImportError("as_paddle: Paddle itself is imported already. Try: call as_paddle() before that")
        self._finder = _Finder()
        sys.meta_path.insert(0, self._finder)
        sys.path.insert(1, STAND_IN)

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind, error, traceback) -> None:
        if self._finder is not None:
            sys.meta_path.remove(self._finder)
            sys.path.remove(STAND_IN)
            for name in [name for name in sys.modules if name.partition(".")[0] == "paddle"]:
                del sys.modules[name]
        if _lacks_a_name(error):
            error.add_note(_NOTE)


def _lacks_a_name(error) -> bool:
    """Whether it says that gpuflow, or an object of it, has no such name."""
    where = None
    if isinstance(error, ImportError):
        where = error.name
    elif isinstance(error, AttributeError):
        owner = error.obj if isinstance(error.obj, (ModuleType, type)) else type(error.obj)
        where = owner.__name__ if isinstance(owner, ModuleType) else owner.__module__
    return where is not None and where.partition(".")[0] == "gpuflow"


class _Finder(MetaPathFinder, Loader):
    """Finds `paddle` and what is below it in gpuflow."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] != "paddle":
            return None
        found = _module("gpuflow" + fullname.removeprefix("paddle"))
        if found is None:
            raise ModuleNotFoundError(f"gpuflow has no module for {fullname}. {_NOTE}", name=fullname)
        return ModuleSpec(fullname, self, loader_state=found)

    def exec_module(self, module):
        name, ours = module.__name__, module.__spec__.loader_state
        # All that is loaded below has its name at once: were it found later, Python would put it into `ours`, over a
        # function of that name (amp.auto_cast).
        sys.modules.update({name + other.removeprefix(ours.__name__): value for other, value in sys.modules.items()
                            if f"{other}.".startswith(f"{ours.__name__}.")})
        sys.modules[name] = ours


def _module(name: str) -> ModuleType | None:
    """The module of that name, or the one that its parent knows by it."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
    parent, _, child = name.rpartition(".")
    known = getattr(sys.modules[parent], child, None)
    return known if isinstance(known, ModuleType) else None
