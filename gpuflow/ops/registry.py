"""The registry of ops: what an op is, how one is declared, and the shape rules that many share.

An op is one definition on one screen::

    @op("leaky_relu", infer=same_as("x"), saves=("x",))
    def leaky_relu(xp, x, *, slope=0.01):
        "Elementwise x where x > 0, else slope * x."
        return xp.where(x > 0, x, slope * x)

    @leaky_relu.grad
    def leaky_relu_grad(xp, g, saved, *, slope=0.01):
        return (xp.where(saved.x > 0, g, slope * g),)

* forward takes raw arrays of the module `xp` (positional parameters; None for an optional tensor that was not given;
  a starred parameter takes any number) and Python attributes (keyword-only). It returns one array, or a tuple when
  `outputs` names several.
* the gradient takes the gradient of the output (a tuple of them for several outputs) and what `saves` names, and
  returns one gradient per input, None where there is none. It is written with `xp` and calls to other ops,
  ``other_op(xp, ...)``, only: the same text then gives second derivatives (see autograd/traced.py).
* the shape rule takes one `Spec` per input and the attributes, returns the output's Spec (a tuple for several) and
  raises the error a person should read. Static mode builds on it; eager mode calls it only to phrase an error.

What a gradient need not care about: broadcasting (the tape sums a gradient down to its input's shape) and dtype.
"""
import copy
import inspect
from typing import NamedTuple

import numpy as np

from gpuflow import dtypes
from gpuflow.errors import explain


class Spec(NamedTuple):
    """What is known of a tensor without its numbers. A size of None is one known only when the program runs."""

    shape: tuple
    dtype: dtypes.DType

    def __str__(self):
        return f"{list(self.shape)} {self.dtype.name}"


REQUIRED = object()  # the default of an attribute that has none


class OpDef:
    """One registered op. Made by `@op`; `name`, `inputs` and `attrs` are read from the forward's signature."""

    def __init__(self, name, forward, infer, *, saves, saved_for, outputs, promotes, weak_scalars, quiet, views,
                 writes, no_grad_outputs, internal, as_float, holomorphic, added):
        self.name, self.infer = name, infer
        self.room = forward.__module__.rpartition(".")[2]    # the file it stands in
        self.forward = _in_wide_float(forward) if as_float else forward
        code = forward.__code__  # what inspect.signature would tell, at a tenth of its time
        names, keywords = code.co_varnames, code.co_argcount + code.co_kwonlyargcount
        self.inputs = names[1:code.co_argcount]
        self.optional = frozenset(self.inputs[len(self.inputs) - len(forward.__defaults__ or ()):])
        self.variadic = names[keywords] if code.co_flags & inspect.CO_VARARGS else None
        self.attrs = dict.fromkeys(names[code.co_argcount:keywords], REQUIRED) | (forward.__kwdefaults__ or {})
        self.outputs = outputs
        names = (*self.inputs, *((self.variadic,) if self.variadic else ()))
        first = next((i for i, name in enumerate(names) if name in promotes), 0)
        last = None if self.variadic in promotes else first + len(promotes)
        self.promotes = slice(first, last) if promotes else None
        self.weak_scalars = weak_scalars
        self.quiet = quiet
        self.views = views
        self.holomorphic, self._over_complex = holomorphic, None
        self.writes = frozenset(self.inputs.index(w) for w in writes)
        self.no_grad_outputs = frozenset(no_grad_outputs)
        self.internal = frozenset(internal)
        self.added = self.inputs.index(added) if added else None
        self.saves = saves
        self.save_plan = tuple((*self._where(field),
                                self.inputs.index(saved_for[field]) if field in saved_for else None)
                               for field in saves)
        self.saved_type = type(f"Saved_{name}", (Saved,), {"__slots__": saves})
        self.grad_function = None
        self.__doc__ = forward.__doc__
        self.__name__ = name

    def _where(self, field):
        """How the tape finds what `saves` names: (field, kind, position)."""
        for suffix, kind in (("_shape", "shape"), ("_dtype", "dtype"), ("", "array")):
            source = field.removesuffix(suffix)
            if field.endswith(suffix) and (source in self.inputs or source == self.variadic):
                return field, kind, -1 if source == self.variadic else self.inputs.index(source)
        if field in self.outputs:
            return field, "output", self.outputs.index(field)
        raise ValueError(explain(f"@op({self.name!r})", f"saves among inputs {self.inputs} (with _shape or _dtype) "
                                 f"and outputs {self.outputs}", repr(field)))

    def grad(self, function):
        """Decorator: `function(xp, g, saved, **attrs)` is the op's gradient."""
        self.grad_function = function
        return function

    def over_complex(self):
        """The op as it stands in a graph where its result is complex; see `holomorphic`."""
        if not self.holomorphic or self.grad_function is None:
            return self
        if self._over_complex is not None:
            return self._over_complex
        gradient = self.grad_function

        def turned(xp, g, saved, **attrs):
            back = gradient(xp, tuple(map(xp.conj, g)) if type(g) is tuple else xp.conj(g), saved, **attrs)
            return tuple(None if a is None else xp.conj(a) for a in back)

        twin = copy.copy(self)
        twin.grad_function = turned
        self._over_complex = twin
        return twin

    def __call__(self, xp, *arrays, **attrs):
        """The op inside another op's forward or gradient: plain arrays in and out, or traced ones when xp traces."""
        trace = getattr(xp, "trace_op", None)
        return self.forward(xp, *arrays, **attrs) if trace is None else trace(self, arrays, attrs)

    def explain_failure(self, specs, attrs, error):
        """The error to raise instead: one that names an input that is no tensor, the shape rule's own if it objects to
        the specs, else `error` with the op's name."""
        for i, s in enumerate(specs):
            name = self.inputs[i] if i < len(self.inputs) else f"{self.variadic}[{i - len(self.inputs)}]"
            number = isinstance(s, int | float | complex) and not isinstance(error, AttributeError)
            if not (hasattr(s, "dtype") or number or (s is None and name in self.optional)):
                return TypeError(explain(self.name, f"a tensor as {name}", "None" if s is None else type(s).__name__,
                                         None if s is None else "gpuflow.to_tensor"))
        try:
            self.infer(*specs, **attrs)
        except (TypeError, ValueError) as better:
            return better
        except IndexError as numpys:
            error = numpys
        came = ", ".join("None" if s is None else str(s) for s in specs)
        if type(error) not in (ValueError, TypeError, IndexError) or str(error).startswith(f"{self.name}:"):
            return error
        return type(error)(f"{self.name}({came}): {error}")

    def __repr__(self):
        return f"<op {self.name}({', '.join(self.inputs or ('*' + self.variadic,))})>"


class Saved:
    """What a gradient function reads: the fields of `saves`, and

    needs: a bool per input, False where nobody wants that gradient (costly gradients look at it).
    into:  an array or None per input; an op that declares `writes` puts the gradient there and returns that array.
    """

    __slots__ = ("into", "needs")


def _in_wide_float(forward):
    """`forward` of an op with `as_float`."""

    float32, float64 = np.dtype("float32"), np.dtype("float64")

    def wide(xp, x, *rest, **attrs):
        kind = x.dtype
        if kind is float32 or kind is float64:
            return forward(xp, x, *rest, **attrs)
        if kind.kind in "biu":
            return forward(xp, x.astype(dtypes.default_float().dtype), *rest, **attrs)
        if kind.itemsize > 2:  # a dtype of another byte order, say
            return forward(xp, x, *rest, **attrs)
        narrow = forward(xp, x.astype(xp.float32), *rest, **attrs)
        return tuple(a.astype(kind) for a in narrow) if type(narrow) is tuple else narrow.astype(kind)

    return wide


OPS: dict[str, OpDef] = {}


def op(name, *, infer, saves=(), saved_for=None, outputs=("out",), promotes=(), weak_scalars=False, quiet=False,
       views=False, writes=(), no_grad_outputs=(), internal=(), as_float=False, holomorphic=True, added=None):
    """Decorator that registers a forward function as the op `name`.

    infer: the shape rule.
    saves: inputs and outputs that the gradient reads; "x_shape" and "x_dtype" keep no array alive.
    saved_for: {"x": "y"} where x is read by y's gradient alone: it is kept (else None) only when y needs a gradient.
    outputs: names of the results.
    promotes: neighbouring inputs that are brought to one dtype first (dtypes.promote) and may be Python numbers.
    weak_scalars: a 0-d tensor among those counts as a Python number does (dtypes.promote_scalar).
    quiet: NumPy must not warn when this op overflows or divides by zero; a result of inf or nan is the answer.
    views: the result may share the first input's memory.
    writes: inputs whose gradient the op can write where `saved.into` says.
    no_grad_outputs: positions of results that carry no gradient (indices, masks).
    internal: positions of results that are there for the gradient function to read; it gets None, not zeros, for the
        gradient of one that nobody else used.
    as_float: forward sees its first input as float32 or float64 only: integers come as the default float, and float16
        and
        bfloat16 as float32 (then one rounding at the end, to the input's type). Goes with infer=floating().
    holomorphic: where results are complex the tape turns the imaginary part of g round before the gradient function and
        that of its answers after it: g times the conjugate slope, from a text written for real numbers. False for ops
        whose gradient function does all that itself.
    added: an optional input [n] that the op adds, along the last axis, to what it makes of the others; its gradient is
        the sum of the result's over all other axes. A Program does both along with the elementwise ops around.
    """

    def register(forward):
        if name in OPS:
            raise ValueError(explain("@op", "a name that is not taken", repr(name)))
        OPS[name] = OpDef(name, forward, infer, saves=tuple(saves), saved_for=saved_for or {},
                          outputs=tuple(outputs), promotes=tuple(promotes), weak_scalars=weak_scalars, quiet=quiet,
                          views=views, writes=tuple(writes), no_grad_outputs=no_grad_outputs, internal=internal,
                          as_float=as_float, holomorphic=holomorphic, added=added)
        return OPS[name]

    return register


# ---- shape rules that many ops share -------------------------------------------------------------------------------


def same_as(_input="x", dtype=None):
    """The result has the first input's shape and its dtype (or `dtype`)."""

    def rule(x, *rest, **attrs):
        return Spec(x.shape, x.dtype if dtype is None else dtype)

    return rule


def floating(_input="x"):
    """The result has the first input's shape; its dtype if that is a float, else the default float."""

    def rule(x, *rest, **attrs):
        return Spec(x.shape, x.dtype if x.dtype.is_differentiable else dtypes.default_float())

    return rule


def broadcast(name, dtype=None):
    """The result has the shape that all inputs broadcast to, and their promoted dtype (or `dtype`)."""

    def rule(*specs, **attrs):
        given = [s for s in specs if isinstance(s, Spec)]
        kind = given[0].dtype
        for s in given[1:]:
            kind = dtypes.promote(kind, s.dtype, name)
        return Spec(broadcast_shapes(name, *(s.shape for s in given)), kind if dtype is None else dtype)

    return rule


def broadcast_shapes(where, *shapes):
    """NumPy's broadcasting on shapes that may hold None; ValueError names `where` and the shapes."""
    rank = max(len(s) for s in shapes)
    out = []
    for axis in range(-rank, 0):
        sizes = {s[axis] for s in shapes if len(s) >= -axis} - {1}
        known = sizes - {None}
        if len(known) > 1:
            raise ValueError(explain(where, "shapes that broadcast (sizes equal or 1, counted from the last axis)",
                                     " and ".join(str(list(s)) for s in shapes), "reshape or unsqueeze one of them"))
        out.append(known.pop() if known else None if sizes else 1)
    return tuple(out)


def normal_axis(where, axis, rank):
    """A non-negative axis; ValueError (an IndexError's meaning, Paddle's type) when it is out of range."""
    lowest = -max(rank, 1)
    if not lowest <= axis < max(rank, 1):
        raise ValueError(explain(where, f"an axis in [{lowest}, {max(rank, 1)})", str(axis)))
    return axis + rank if axis < 0 else axis


def normal_axes(where, axis, rank):
    """A sorted tuple of non-negative axes for None (all), an int or a sequence."""
    if axis is None:
        return tuple(range(rank))
    axes = (axis,) if isinstance(axis, int | np.integer) else tuple(axis)
    found = tuple(sorted(normal_axis(where, int(a), rank) for a in axes))
    if len(set(found)) != len(found):
        raise ValueError(explain(where, "each axis once", str(axes)))
    return found if axes or axis is None else tuple(range(rank))


def reduced(name, dtype=None):
    """The first input's shape without the axes in `axis` (kept as 1 with `keepdim`). dtype: fixed, or a function."""

    def rule(x, *rest, axis=None, keepdim=False, **attrs):
        axes = normal_axes(name, axis, len(x.shape))
        shape = tuple(1 if i in axes else s for i, s in enumerate(x.shape) if keepdim or i not in axes)
        return Spec(shape, x.dtype if dtype is None else dtype(x.dtype) if callable(dtype) else dtype)

    return rule


# ---- what tape and static mode do with a gradient ---------------------------------------------------------------


def fit(xp, g, shape, dtype):
    """g summed over the axes that broadcasting added or stretched, in the input's dtype."""
    if g.shape != shape:
        extra = g.ndim - len(shape)
        if extra < 0 or any(s not in (1, t) for s, t in zip(shape, g.shape[extra:], strict=True)):
            raise RuntimeError(explain("gradient", f"shape {list(shape)}, that of the input", str(list(g.shape))))
        axes = tuple(range(extra)) + tuple(
            i + extra for i, s in enumerate(shape) if s == 1 and g.shape[i + extra] != 1)
        g = xp.sum(g, axis=axes, keepdims=True) if axes else g
        g = g.reshape(shape)
    if g.dtype.kind == "c" and dtype.kind != "c":   # what a complex result sends back to a real input
        g = g.real
    return g if g.dtype == dtype else g.astype(dtype)
