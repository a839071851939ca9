"""What model code asks of `paddle.utils` besides names and files."""
import functools
import importlib
import re
import warnings

from gpuflow import structure, version
from gpuflow.errors import explain

__all__ = ["deprecated", "flatten", "map_structure", "require_version", "try_import"]


def try_import(module_name: str, err_msg: str | None = None):
    """The module of that name; an ImportError that tells what to install where there is none."""
    try:
        return importlib.import_module(module_name)
    except ImportError as error:
        raise ImportError(err_msg or explain("try_import", f"a module {module_name}", "none",
                                             f"pip install {module_name.partition('.')[0]}")) from error


def require_version(min_version: str, max_version: str | None = None) -> None:
    """RuntimeError unless the Paddle that gpuflow follows (`paddle.version`) is of a version in that range."""
    for bound in (min_version, max_version):
        if bound is not None and not (isinstance(bound, str) and re.fullmatch(r"\d+(\.\d+){0,3}", bound)):
            raise (ValueError if isinstance(bound, str) else TypeError)(
                explain("require_version", 'versions such as "3.0.0"', repr(bound)))
    here = _numbers(version.full_version)
    if not _numbers(min_version) <= here or (max_version is not None and here > _numbers(max_version)):
        raise RuntimeError(explain("require_version", f"Paddle {min_version} to {max_version or 'any'}",
                                   f"gpuflow, which follows {version.full_version}"))


def _numbers(text: str) -> list[int]:
    return ([int(part) for part in text.split(".")] + [0, 0, 0])[:4]


def deprecated(update_to: str = "", since: str = "", reason: str = "", level: int = 0):
    """A decorator: calls of the function warn (level 0, 1) or are a RuntimeError (level 2)."""
    def decorate(function):
        text = f"{function.__module__}.{function.__name__} is deprecated" + (f" since {since}" if since else "") + (
            f". Try: {update_to}" if update_to else "") + (f". {reason}" if reason else "")

        @functools.wraps(function)
        def call(*args, **kwargs):
            if level == 2:
                raise RuntimeError(text)
            warnings.warn(text, DeprecationWarning, stacklevel=2)
            return function(*args, **kwargs)

        return call

    return decorate


def flatten(nest) -> list:
    """What is at the leaves of lists, tuples and dicts in one another, in order."""
    return list(structure.leaves(nest))


def map_structure(func, *structure_):
    """A structure like the first, whose leaves are what `func` makes of the leaves at that place in each."""
    return structure.filled(structure_[0], func, *structure_[1:])
