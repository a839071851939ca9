"""Public functions from registry rows: the op's inputs, then its attributes, then Paddle's unused `name`."""
from collections.abc import Callable
from typing import Any

from gpuflow.dispatch import call, call_inplace
from gpuflow.errors import explain
from gpuflow.ops.registry import OPS, REQUIRED


def public(op_name: str, function_name: str | None = None, doc: str | None = None) -> Callable:
    """The function that applies the op `op_name`: its signature comes from the forward, its text from the docstring.

    ``public("tanh")`` is ``def tanh(x, name=None)``; attributes follow the inputs and keep their defaults.
    """
    op = OPS[op_name]
    make = {("x",): _unary, ("x", "y"): _binary}.get(op.inputs) if not op.attrs and not op.variadic else None
    function: Any = make(op) if make else _written(op)
    function.__name__ = function.__qualname__ = function_name or op_name
    function.__doc__ = doc or op.__doc__
    function.__module__ = "gpuflow"
    function.op = op
    return function


def _unary(op):
    def apply(x, name=None):
        return call(op, (x,))

    return apply


def _binary(op):
    def apply(x, y, name=None):
        return call(op, (x, y))

    return apply


def _written(op):
    """A function with the op's own parameter names, written as text since Python has no other way to say them."""
    inputs = [(i, "None" if i in op.optional else None) for i in op.inputs]
    attrs = [(a, None if d is REQUIRED else f"default_{a}") for a, d in op.attrs.items()]
    ordered = sorted([*inputs, *attrs], key=lambda parameter: parameter[1] is not None)  # stable: required ones first
    signature = ", ".join([n if d is None else f"{n}={d}" for n, d in ordered] + ["name=None"])
    tensors = "".join(f"{i}, " for i in op.inputs)
    chosen = ", ".join(f"'{a}': {a}" for a in op.attrs)
    space = {"call": call, "op": op} | {f"default_{a}": d for a, d in op.attrs.items()}
    exec(f"def apply({signature}):\n    return call(op, ({tensors}), {{{chosen}}})", space)
    return space["apply"]


def inplace(function):
    """The in-place twin of a function made by `public`: f_(x, ...) writes f(x, ...) into x and returns x."""
    op = function.op
    names = [*op.inputs, *op.attrs]

    def apply(x, *args, name=None, **kwargs):
        given = dict(zip(names, (x, *args), strict=False)) | kwargs
        if len(args) >= len(names) or given.keys() - set(names):
            raise TypeError(explain(apply.__name__, f"arguments among {names}", f"{len(args) + 1} and {list(kwargs)}"))
        attrs = {a: given.get(a, default) for a, default in op.attrs.items()}
        return call_inplace(op, x, tuple(given.get(i) for i in op.inputs), attrs)

    apply.__name__ = apply.__qualname__ = function.__name__ + "_"
    apply.__doc__ = f"`{function.__name__}` in place: the result replaces the numbers of x, which is returned."
    apply.__module__ = "gpuflow"
    apply.__wrapped__ = function  # its parameters are what help() and inspect.signature show
    return apply
