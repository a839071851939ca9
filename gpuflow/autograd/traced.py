"""Second derivatives from the same text: an `xp` whose arrays are tensors.

A gradient function is written for arrays: ``xp.where(saved.x > 0, g, 0)``, ``g.sum(axis=0)``, ``g.reshape(shape)``.
Here it meets `Traced` values, which look like NumPy arrays and whose every operation is a recorded op on a Tensor, and
the namespace `xp` below in place of NumPy. What gradient functions may use is exactly what this file offers; a name
that is missing fails the second-order check of every op (tests/test_grads.py).
"""
import numpy as np

from gpuflow import device, dispatch, dtypes
from gpuflow.ops.registry import OPS, fit
from gpuflow.ops.rows import SparseRows
from gpuflow.tensor import Tensor


def _call(name, *inputs, **attrs):
    out = dispatch.call(OPS[name], [x.tensor if isinstance(x, Traced) else x for x in inputs], attrs)
    return tuple(Traced(t) for t in out) if isinstance(out, tuple) else Traced(out)


def _axes(axis):
    return [int(a) for a in axis] if isinstance(axis, tuple | list) else axis


class Traced:
    """A Tensor that behaves like a NumPy array."""

    __slots__ = ("tensor",)
    __array_ufunc__ = None  # a NumPy array on the left gives way

    def __init__(self, tensor):
        self.tensor = tensor

    @property
    def shape(self):
        return self.tensor._array.shape

    @property
    def ndim(self):
        return self.tensor._array.ndim

    @property
    def size(self):
        return self.tensor._array.size

    @property
    def dtype(self):
        return self.tensor._array.dtype

    @property
    def T(self):
        return self.transpose()

    def astype(self, dtype, copy=True):
        return self if self.dtype == dtype else _call("cast", self, dtype=dtypes.convert(dtype))

    def reshape(self, *shape):
        shape = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
        return _call("reshape", self, shape=tuple(int(s) for s in shape))

    def transpose(self, *axes):
        axes = axes[0] if len(axes) == 1 and isinstance(axes[0], tuple | list) else axes
        return _call("transpose", self, perm=tuple(axes) if axes else tuple(range(self.ndim))[::-1])

    def swapaxes(self, a, b):
        order = list(range(self.ndim))
        order[a], order[b] = order[b], order[a]
        return self.transpose(order)

    def sum(self, axis=None, keepdims=False, dtype=None):
        x = self if dtype is None else self.astype(dtype)
        return _call("sum", x, axis=_axes(axis), keepdim=keepdims)

    def mean(self, axis=None, keepdims=False):
        return _call("mean", self, axis=_axes(axis), keepdim=keepdims)

    def copy(self):
        return self

    @property
    def real(self):
        return _call("real", self)

    def __getitem__(self, index):
        return _call("getitem", self, index=_plain(index))

    def __neg__(self):
        return _call("neg", self)

    def __repr__(self):
        return f"Traced({self.tensor!r})"


def _plain(index):
    if isinstance(index, tuple):
        return tuple(_plain(i) for i in index)
    return index.tensor._array if isinstance(index, Traced) else index


def _install_operators():
    pairs = {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "pow",
             "matmul": "matmul"}
    for python, name in pairs.items():
        setattr(Traced, f"__{python}__", lambda self, other, name=name: _call(name, self, _weak(other)))
        setattr(Traced, f"__r{python}__", lambda self, other, name=name: _call(name, _weak(other), self))
    for python, name in {"gt": "greater_than", "ge": "greater_equal", "lt": "less_than", "le": "less_equal",
                         "eq": "equal", "ne": "not_equal"}.items():
        setattr(Traced, f"__{python}__", lambda self, other, name=name: _call(name, self, _weak(other)))
    for python, name in {"and": "logical_and", "or": "logical_or"}.items():
        setattr(Traced, f"__{python}__", lambda self, other, name=name: _call(name, self, other))
    Traced.__invert__ = lambda self: _call("logical_not", self)


def _weak(x):
    """NumPy scalars stand in gradient formulas where Python numbers could; raw arrays become constants."""
    if isinstance(x, np.generic):
        return x.item()
    return Traced(Tensor(x)) if device.is_array(x) else x


_install_operators()


class Namespace:
    """What `xp` is during a traced gradient. Functions take Traced values, arrays and Python numbers."""

    newaxis = None

    def __init__(self, module):
        self.module = module  # numpy or cupy, for constants
        for name in ("float16", "float32", "float64", "int32", "int64", "bool_"):
            setattr(self, name, getattr(module, name))

    def trace_op(self, op, arrays, attrs):
        """A call of another op inside a gradient function."""
        if op.variadic is not None and len(arrays) == 0:
            return op.forward(self.module, **attrs)
        out = dispatch.call(op, [self._tensor(a) for a in arrays], attrs)
        return tuple(Traced(t) for t in out) if isinstance(out, tuple) else Traced(out)

    def _tensor(self, x):
        return x.tensor if isinstance(x, Traced) else Tensor(x) if device.is_array(x) else x

    # constants
    def zeros(self, shape, dtype=np.float32):
        return Traced(Tensor(self.module.zeros(shape, dtype)))

    def ones(self, shape, dtype=np.float32):
        return Traced(Tensor(self.module.ones(shape, dtype)))

    def zeros_like(self, x):
        return self.zeros(x.shape, x.dtype)

    def ones_like(self, x):
        return self.ones(x.shape, x.dtype)

    def full(self, shape, value, dtype=np.float32):
        return Traced(Tensor(self.module.full(shape, value, dtype)))

    def arange(self, *args, **kwargs):
        return self.module.arange(*args, **kwargs)

    def asarray(self, x, dtype=None):
        x = x if isinstance(x, Traced) else Traced(Tensor(self.module.asarray(x)))
        return x if dtype is None else x.astype(dtype)

    # shapes
    def reshape(self, x, shape):
        return x.reshape(shape)

    def transpose(self, x, axes=None):
        return x.transpose(axes) if axes is not None else x.transpose()

    def swapaxes(self, x, a, b):
        return x.swapaxes(a, b)

    def expand_dims(self, x, axis):
        return _call("unsqueeze", x, axis=_axes(axis))

    def broadcast_to(self, x, shape):
        return _call("expand", x, shape=tuple(shape))

    def concatenate(self, xs, axis=0):
        return _call("concat", *xs, axis=axis)

    def stack(self, xs, axis=0):
        return _call("stack", *xs, axis=axis)

    def flip(self, x, axis=None):
        return _call("flip", x, axis=tuple(range(x.ndim)) if axis is None else _axes(axis))

    # sums and products
    def sum(self, x, axis=None, keepdims=False, dtype=None):
        return x.sum(axis, keepdims, dtype)

    def mean(self, x, axis=None, keepdims=False):
        return x.mean(axis, keepdims)

    def max(self, x, axis=None, keepdims=False):
        return _call("max", x, axis=_axes(axis), keepdim=keepdims)

    def matmul(self, a, b, out=None):
        return _call("matmul", a, b)

    def square(self, x):
        return _call("multiply", x, x)

    def where(self, condition, x, y):
        x, y = (Traced(Tensor(v)) if device.is_array(v) else v for v in (x, y))
        if isinstance(condition, Traced) and not isinstance(x, Traced) and not isinstance(y, Traced):
            return self.asarray(self.module.where(condition.tensor._array, x, y))
        return _call("where", self.asarray(condition), x, y)


def _install_functions():
    plain = {"exp": "exp", "log": "log", "sqrt": "sqrt", "tanh": "tanh", "sin": "sin", "cos": "cos", "abs": "abs",
             "sign": "sign", "maximum": "maximum", "minimum": "minimum", "power": "pow", "log1p": "log1p",
             "expm1": "expm1", "sinh": "sinh", "cosh": "cosh", "multiply": "multiply", "add": "add",
             "logical_and": "logical_and", "logical_or": "logical_or", "logical_not": "logical_not",
             "conj": "conj", "isfinite": "isfinite", "isnan": "isnan", "floor": "floor", "trunc": "trunc"}
    for function, name in plain.items():
        setattr(Namespace, function,
                lambda self, *xs, name=name: _call(name, *[_weak(x) for x in xs]))


_install_functions()
_namespaces: dict = {}


def namespace(module):
    """The tracing `xp` over numpy or cupy."""
    if module not in _namespaces:
        _namespaces[module] = Namespace(module)
    return _namespaces[module]


def gradients(node, g):
    """Calls a node's gradient function on traced values; g and the results are Tensors shaped like the inputs."""
    saved = node.op.saved_type()
    saved.needs = node.saved.needs
    for field, kind, where, _ in node.op.save_plan:
        value = getattr(node.saved, field)
        if kind == "array":
            first = len(node.op.inputs)
            many = where < 0
            value = [_input(node, i, a) for i, a in enumerate(value, first)] if many else _input(node, where, value)
        elif kind == "output":
            value = _linked(node.xp.asarray(value), node, where)
        setattr(saved, field, value)
    return on_tensors(node.op, node.xp, node.attrs, g, saved, [None if e is None else e[2:] for e in node.edges])


def on_tensors(op, module, attrs, g, saved, targets):
    """The answers of an op's gradient function as Tensors. g, and the arrays in `saved`, are Tensors; targets: (shape,
    dtype) of each input whose gradient is wanted, else None."""
    xp = namespace(module)
    saved.into = [None] * len(targets)
    for field, kind, _, _ in op.save_plan:
        if kind in ("array", "output"):
            setattr(saved, field, _traced(getattr(saved, field)))
    out = []
    for target, result in zip(targets, op.grad_function(xp, _traced(g), saved, **attrs), strict=True):
        if target is None or result is None:
            out.append(None)
            continue
        if isinstance(result, SparseRows):
            raise RuntimeError(f"{op.name}: a sparse gradient cannot be differentiated again. Try: sparse=False")
        result = result if isinstance(result, Traced) else xp.asarray(result)
        out.append(fit(xp, result, *target).tensor)
    return out


def _traced(x):
    """Traced values in the place of Tensors and arrays, also in a list or tuple of them."""
    if isinstance(x, list | tuple):
        return type(x)(map(_traced, x))
    return Traced(x) if isinstance(x, Tensor) else Traced(Tensor(x)) if device.is_array(x) else x


def _input(node, i, array):
    """A saved input as a Tensor that leads back to where the input came from."""
    if not device.is_array(array):
        return array
    edge = node.edges[i]
    if edge is None:
        return Tensor(array)
    target, index = edge[0], edge[1]
    return target if isinstance(target, Tensor) else _linked(array, target, index)


def _linked(array, node, index):
    out = Tensor(array, stop_gradient=False)
    out._node, out._index = node, index
    return out
