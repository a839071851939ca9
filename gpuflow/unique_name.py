"""Names that are not taken: "linear_0", "linear_1", ... per prefix, in the namespace that `guard` opened last."""
import contextlib


class Namespace:
    """Counts per prefix."""

    def __init__(self, prefix: str = ""):
        self.prefix, self.next = prefix, {}

    def generate(self, key: str) -> str:
        number = self.next.get(key, 0)
        self.next[key] = number + 1
        return f"{self.prefix}{key}_{number}"


_stack = [Namespace()]


def current() -> Namespace:
    """The namespace that names are made in."""
    return _stack[-1]


def generate(key: str) -> str:
    """The next free name for `key`, e.g. "fc_0"."""
    return _stack[-1].generate(key)


def switch(new: Namespace | None = None) -> Namespace:
    """Replaces the current namespace by `new` (default: an empty one) and returns the old one."""
    old = _stack[-1]
    _stack[-1] = Namespace() if new is None else new
    return old


@contextlib.contextmanager
def guard(new_generator: str | Namespace | None = None):
    """Names made inside start afresh: two models built under two guards do not share by name.

    new_generator: a prefix for the names, or a Namespace to go on with.
    """
    _stack.append(new_generator if isinstance(new_generator, Namespace) else Namespace(new_generator or ""))
    try:
        yield
    finally:
        _stack.pop()
