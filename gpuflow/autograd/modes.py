"""Switches for recording: no_grad, enable_grad and set_grad_enabled, as context managers and decorators."""
from typing import Any

from gpuflow.autograd.eager import eager


class _GradMode:
    """Switches recording inside a with-block or a decorated function; may be nested and used by several threads."""

    _to = False

    def __init__(self, func=None):
        self._before: list = []

    def __new__(cls, func=None) -> Any:
        self = super().__new__(cls)
        if callable(func):  # @no_grad without parentheses
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
