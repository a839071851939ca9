"""Operators and methods of Tensor, from tables. `install` serves static mode's Variable as well; what moves or
overwrites memory is for Tensor alone."""
import functools

import numpy as np

from gpuflow import device, dtypes, linalg as decompositions
from gpuflow.autograd import tape
from gpuflow.autograd.eager import one_module
from gpuflow.dispatch import call, call_inplace, in_dynamic_mode
from gpuflow.errors import explain
from gpuflow.functional import (
    complexes,
    creation,
    joining,
    linalg,
    manipulation,
    math,
    numeric,
    placing,
    random,
    reduction,
    search,
    statistics,
)
from gpuflow.functional.activation import softmax
from gpuflow.functional.make import inplace
from gpuflow.ops.index import Slot, axes_off_one, checked_index, filled
from gpuflow.ops.registry import OPS
from gpuflow.tensor import Tensor, to_tensor

_BINARY = {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide",
           "mod": "remainder", "pow": "pow", "matmul": "matmul", "and": "bitwise_and", "or": "bitwise_or",
           "xor": "bitwise_xor"}
_COMPARE = {"lt": "less_than", "le": "less_equal", "gt": "greater_than", "ge": "greater_equal"}
_UNARY = {"neg": "neg", "invert": "bitwise_not", "abs": "abs"}

# functions whose first parameter is the tensor: methods of the same name
_NO_METHODS = {"add_n", "arange", "assign", "broadcast_shape", "broadcast_tensors", "concat", "einsum", "empty",
               "empty_like", "eye", "full", "full_like", "linspace", "meshgrid", "ones", "ones_like", "scatter_nd",
               "shape", "stack", "tril_indices", "triu_indices", "where", "zeros", "zeros_like", "numel", "tolist",
               "rand", "randint", "randint_like", "randn", "randperm", "standard_normal", "as_tensor", "asarray",
               "check_shape", "from_numpy", "log_normal", "range", "uniform", "normal", "bernoulli", "block_diag",
               "broadcast_shapes", "cartesian_prod", "column_stack", "complex", "dstack", "hstack", "is_complex",
               "is_floating_point", "is_integer", "logspace", "multi_dot", "multiplex", "polar", "row_stack",
               "shard_index", "softmax", "vstack"}
_FAMILIES = (math, reduction, manipulation, linalg, search, creation, random, complexes, joining, numeric, placing,
             statistics, decompositions)
_ALIASES = {"bitwise_invert": "bitwise_not", "clamp": "clip", "div": "divide", "eq": "equal", "ge": "greater_equal",
            "gt": "greater_than", "le": "less_equal", "lt": "less_than", "mul": "multiply", "ne": "not_equal",
            "reverse": "flip", "sub": "subtract", "swapdims": "swapaxes", "take_along_dim": "take_along_axis",
            "true_divide": "divide"}
_INPLACE = ["abs", "acos", "acosh", "add", "addmm", "asin", "asinh", "atan", "atanh", "baddbmm", "bitwise_and",
            "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "cast", "ceil",
            "clip", "copysign", "cos", "cosh", "cumprod", "cumsum", "digamma", "divide", "erf", "erfinv", "exp",
            "expm1", "floor", "floor_divide", "floor_mod", "frac", "gammainc", "gammaincc", "gammaln", "gcd",
            "hypot", "i0", "index_add", "index_fill", "index_put", "lcm", "ldexp", "lerp", "lgamma", "log", "log10",
            "log1p", "log2", "logical_and", "logical_not", "logical_or", "logical_xor", "logit", "masked_fill",
            "masked_scatter", "mod", "multigammaln", "multiply", "nan_to_num", "neg", "polygamma", "pow",
            "put_along_axis", "reciprocal", "remainder", "renorm", "round", "rsqrt", "scale", "scatter",
            "scatter_add", "sigmoid", "sign", "sin", "sinc", "sinh", "sqrt", "square", "subtract", "tan", "tanh",
            "tril", "triu", "trunc"]
_INPLACE_ALIASES = ("bitwise_invert", "clamp", "div", "mul", "sub")
_COMPARING = ["equal", "greater_equal", "greater_than", "less", "less_equal", "less_than", "not_equal"]
_RESHAPING = ["flatten", "reshape", "squeeze", "t", "transpose", "unsqueeze"]
_CASTS = {"bool": "bool", "byte": "uint8", "char": "int8", "double": "float64", "float": "float32", "half": "float16",
          "int": "int32", "long": "int64", "short": "int16", "cfloat": "complex64", "cdouble": "complex128",
          **{name: name for name in ("bfloat16", "complex64", "complex128", "float16", "float32", "float64", "int8",
                                     "int16", "int32", "int64", "uint8")}}


def _operator(op):
    def apply(self, other):
        return call(op, (self, other))

    return apply


def _reflected(op):
    def apply(self, other):
        return call(op, (other, self))

    return apply


def _equality(op, otherwise):
    """== and != with what is no number and no tensor (None, text): the answer by identity, as Python gives it."""

    def apply(self, other):
        if other is None or isinstance(other, str):
            return otherwise
        return call(op, (self, other))

    return apply


def _dunder(op):
    def apply(self):
        return call(op, (self,))

    return apply


def install(cls) -> None:
    """Puts operators and methods on `cls`: they go through dispatch, so any mode's tensors can have them."""
    for python, name in _BINARY.items():
        setattr(cls, f"__{python}__", _operator(OPS[name]))
        setattr(cls, f"__r{python}__", _reflected(OPS[name]))
    for python, name in _COMPARE.items():
        setattr(cls, f"__{python}__", _operator(OPS[name]))
    cls.__eq__, cls.__ne__ = _equality(OPS["equal"], False), _equality(OPS["not_equal"], True)
    for python, name in _UNARY.items():
        setattr(cls, f"__{python}__", _dunder(OPS[name]))
    for family in _FAMILIES:
        for name in family.__all__:
            if name not in _NO_METHODS:
                setattr(cls, name, getattr(family, name))
    for name, original in _ALIASES.items():
        setattr(cls, name, getattr(cls, original))
    for name, kind in _CASTS.items():
        setattr(cls, name, _cast_to(kind))
    for function in (astype, __getitem__, __iter__, permute, type_as, contiguous, where, softmax, repeat,
                     split_with_sizes, stft, istft):
        setattr(cls, function.__name__, function)
    cls.inverse = decompositions.inv
    cls.T, cls.mT = property(_reversed), property(_matrix_transposed)


def _cast_to(kind):
    def apply(self):
        return call(OPS["cast"], (self,), {"dtype": dtypes.convert(kind)})

    apply.__doc__ = f"`astype(\"{kind}\")`."
    return apply


def astype(self, dtype):
    """A copy with its elements converted to `dtype`; the gradient is converted back."""
    return call(OPS["cast"], (self,), {"dtype": dtypes.convert(dtype)})


def stft(self, n_fft, hop_length=None, win_length=None, window=None, center=True, pad_mode="reflect", normalized=False,
         onesided=None, name=None):
    """`gpuflow.signal.stft`."""
    from gpuflow import signal

    return signal.stft(self, n_fft, hop_length, win_length, window, center, pad_mode, normalized, onesided)


def istft(self, n_fft, hop_length=None, win_length=None, window=None, center=True, normalized=False, onesided=True,
          length=None, return_complex=False, name=None):
    """`gpuflow.signal.istft`."""
    from gpuflow import signal

    return signal.istft(self, n_fft, hop_length, win_length, window, center, normalized, onesided, length,
                        return_complex)


def type_as(self, other):
    """`astype(other.dtype)`."""
    return astype(self, other.dtype)


def _reversed(self):
    """The tensor with its axes in reverse order."""
    return call(OPS["transpose"], (self,), {"perm": tuple(range(self.ndim))[::-1]})


def _matrix_transposed(self):
    """The tensor with its last two axes exchanged."""
    return manipulation.swapaxes(self, -1, -2)


def permute(self, *dims):
    """`transpose` with the axes as arguments or as one list."""
    return manipulation.transpose(self, dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims)


def repeat(self, *repeats):
    """`tile` with the repeats as arguments or as one list."""
    return manipulation.tile(self, repeats[0] if len(repeats) == 1 else repeats)


def split_with_sizes(self, split_sizes, dim=0):
    """`split` into pieces of the given sizes."""
    return manipulation.split(self, split_sizes, dim)


def contiguous(self):
    """The tensor itself where its memory is in row-major order, else a copy that is."""
    return self if self.is_contiguous() else call(OPS["assign"], (self,))


def where(self, x=None, y=None, name=None):
    """`gpuflow.where` with this tensor as the condition."""
    return search.where(self, x, y)


# ---- indexing --------------------------------------------------------------------------------------------------------


def _template(index, arrays):
    """The index with its tensors, arrays and lists replaced by Slots; they are put into `arrays`."""
    if type(index) is tuple:
        return tuple([_template(i, arrays) for i in index])
    if isinstance(index, slice):
        parts = (index.start, index.stop, index.step)
        return index if all(p is None or type(p) is int for p in parts) else slice(
            *[None if p is None else int(p) for p in parts])
    if isinstance(index, list | range):
        index = np.asarray(index) if len(index) else np.zeros(0, np.int64)
    if isinstance(index, bool | np.bool_):
        index = np.asarray(index)
    if hasattr(index, "ndim") and not isinstance(index, np.generic):
        arrays.append(index)
        return Slot(len(arrays) - 1)
    return index if index is None or index is Ellipsis or type(index) is int else int(index)


def _index(where, tensor, index):
    """(template, index tensors) for tensor[index]."""
    if type(index) is int:
        return index, ()
    arrays: list = []
    template = _template(checked_index(where, index), arrays)
    arrays = [a if hasattr(a, "stop_gradient") else to_tensor(a, place=tensor.place) for a in arrays]
    for a in arrays:
        if a.dtype.is_differentiable:
            raise IndexError(explain(where, "ints, slices, None, ..., bool or integer tensors",
                                     f"a {a.dtype.name} tensor"))
    return template, arrays


def _ints_apart(template) -> bool:
    """True when ints and index tensors stand apart, as in x[0, :, ids]: NumPy would move the axis of ids to the
    front."""
    if type(template) is not tuple or not any(type(p) is int for p in template):
        return False
    places = [i for i, p in enumerate(template) if type(p) in (int, Slot)]
    return any(type(p) is Slot for p in template) and places[-1] - places[0] >= len(places)


def __getitem__(self, index):
    template, arrays = _index("tensor[index]", self, index)
    if arrays and _ints_apart(template):  # ints first: they only take away an axis
        first: list = []
        for p in template:
            if isinstance(p, Slot):
                first += [slice(None)] * (arrays[p.i].ndim if arrays[p.i].dtype is dtypes.bool_ else 1)
            elif p is not None:
                first.append(p if type(p) is int or p is Ellipsis else slice(None))
        self = call(OPS["getitem"], (self,), {"index": tuple(first)})
        template = tuple(p for p in template if type(p) is not int)
    return call(OPS["getitem"], (self, *arrays), {"index": template})


def __iter__(self):
    if not self.ndim:
        raise TypeError(explain("iter(tensor)", "at least one axis", "a 0-d tensor"))
    return (self[i] for i in range(self.shape[0]))


def __setitem__(self, index, value):
    template, arrays = _index("tensor[index] = value", self, index)
    if not isinstance(value, Tensor):
        value = value if isinstance(value, bool | int | float) else to_tensor(value, self.dtype, self.place)
    elif value.dtype is not self.dtype:
        value = astype(value, self.dtype)
    if arrays and _ints_apart(template) and getattr(value, "size", 1) != 1:
        raise IndexError(explain("tensor[index] = value",
                                 "ints and index tensors side by side, or one number as the value",
                                 repr(index), "gpuflow.to_tensor([i]) in place of the int i"))
    wanted = not self.stop_gradient or (isinstance(value, Tensor) and not value.stop_gradient)
    if not in_dynamic_mode() or (wanted and tape.is_grad_enabled()):
        call_inplace(OPS["setitem"], self, (self, value, *arrays), {"index": template})
    else:
        array, arrays = value._array if isinstance(value, Tensor) else value, [a._array for a in arrays]
        one_module("tensor[index] = value", (self._array, array, *arrays))
        self._write(axes_off_one(array), filled(template, arrays))


# ---- in place --------------------------------------------------------------------------------------------------------


def _written(function):
    """The in-place twin of a function that is more than one op: its result is written into the tensor."""

    @functools.wraps(function)
    def apply(self, *args, **kwargs):
        return copy_(self, function(self, *args, **kwargs))

    apply.__name__ = function.__name__ + "_"
    apply.__doc__ = f"`{function.__name__}` in place: the result replaces the numbers of the tensor, which is returned."
    return apply


def _reshaped(function):
    """The in-place twin of a function that gives the same elements another shape."""

    @functools.wraps(function)
    def apply(self, *args, **kwargs):
        return tape.rebind(function.__name__ + "_", self, function(self, *args, **kwargs))

    apply.__name__ = function.__name__ + "_"
    apply.__doc__ = f"`{function.__name__}` in place: the tensor itself gets the result's shape, and is returned."
    return apply


def _compared(function):
    """The in-place twin of a comparison."""

    @functools.wraps(function)
    def apply(self, *args, **kwargs):
        answer = function(self, *args, **kwargs)
        return tape.rebind(function.__name__ + "_", self.detach_(), answer)

    apply.__name__ = function.__name__ + "_"
    apply.__doc__ = f"`{function.__name__}` in place: the tensor becomes the bool answer, outside the graph."
    return apply


def where_(condition, x=None, y=None, name=None):
    """`where` in place: y is written into x where the condition is False; x is returned."""
    return copy_(x, search.where(condition, x, y))


def set_(self, source=None):
    """Lets go of its memory and leaves the graph: from now on it is over the memory of `source` (None: no elements),
    and both see changes in place."""
    source = creation.empty([0], self.dtype).to(self.place) if source is None else source
    self.detach_()._version = source._counted()
    return tape.rebind("set_", self, source)


def resize(self, shape, fill_zero=False):
    """The elements in row-major order in `shape`: the first ones, or all of them and then zeros."""
    flat, size = manipulation.ravel(self), int(np.prod(shape))
    if size > self.size:
        flat = manipulation.concat([flat, creation.zeros([size - self.size], self.dtype).to(self.place)])
    return manipulation.reshape(flat[:size], shape)


def apply(self, func):
    """func(tensor), for a tensor that needs no gradient."""
    if not self.stop_gradient:
        raise RuntimeError(explain("apply", "a tensor that needs no gradient", self.name, "func(x)"))
    return func(self)


def apply_(self, func):
    """`apply` in place."""
    return copy_(self, apply(self, func))


def copy_(self, other, blocking=True):
    """Writes the numbers of `other` (broadcast, converted to this dtype) into this tensor and returns it."""
    self[...] = other
    return self


def fill_(self, value):
    """Writes one number into every place."""
    return copy_(self, value)


def zero_(self):
    """Writes 0 into every place."""
    return copy_(self, 0)


def fill_diagonal_(self, value, offset=0, wrap=False, name=None):
    """Writes a number on the diagonal of a matrix, `offset` places right of the main one."""
    if self.ndim != 2 or wrap:
        raise ValueError(explain("fill_diagonal_", "a matrix and wrap=False", f"{list(self.shape)}, wrap={wrap}"))
    rows, columns = self.shape
    start = np.arange(max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns)))
    self[start + max(0, -offset), start + max(0, offset)] = value
    return self


def fill_diagonal_tensor(x, y, offset=0, dim1=0, dim2=1, name=None):
    """`diagonal_scatter`."""
    return placing.diagonal_scatter(x, y, offset, dim1, dim2)


def _drawn(self, draw):
    """Writes random numbers drawn in this tensor's shape, dtype and place."""
    if not self.dtype.is_floating:
        raise TypeError(explain("random numbers in place", "a floating tensor", self.dtype.name))
    return copy_(self, to(draw(self.shape, self.dtype), self.place))


def uniform_(self, min=0.0, max=1.0, seed=0, name=None):
    """Writes numbers evenly distributed in [min, max)."""
    return _drawn(self, lambda shape, dtype: random.uniform(shape, dtype, min, max, seed))


def normal_(self, mean=0.0, std=1.0, name=None):
    """Writes numbers from the normal distribution."""
    return _drawn(self, lambda shape, dtype: random.standard_normal(shape, dtype) * std + mean)


def exponential_(self, lam=1.0, name=None):
    """Writes numbers from the exponential distribution with rate `lam` (mean 1 / lam)."""
    return _drawn(self, lambda shape, dtype: math.log1p(-random.rand(shape, dtype)) * (-1.0 / lam))


def bernoulli_(self, p=0.5, name=None):
    """Writes 1 with probability p (a number or a tensor), else 0."""
    return _drawn(self, lambda shape, dtype: (random.rand(shape, "float32") < p).astype(dtype))


def log_normal_(self, mean=1.0, std=2.0, name=None):
    """Writes the exponentials of numbers from the normal distribution."""
    return _drawn(self, lambda shape, dtype: math.exp(random.standard_normal(shape, dtype) * std + mean))


def cauchy_(self, loc=0, scale=1, name=None):
    """Writes numbers from the Cauchy distribution around `loc`."""
    half = np.pi / 2
    return _drawn(self, lambda shape, dtype: math.tan(random.uniform(shape, dtype, -half, half)) * scale + loc)


def geometric_(self, probs, name=None):
    """Writes numbers whose ceilings count the trials up to the first success, of chance `probs`; not rounded, as in
    Paddle."""
    failing = math.log1p(-probs) if isinstance(probs, Tensor) else np.log1p(-probs)
    return _drawn(self, lambda shape, dtype: math.log1p(-random.rand(shape, dtype)) / failing)


def random_(self, from_=0, to=None):
    """Writes whole numbers evenly distributed in [from_, to), in [0, from_) for from_ alone; without both, up to the
    largest integer (of a float dtype: the largest below which none is left out)."""
    if to is None and from_:
        from_, to = 0, from_
    elif to is None:
        to = round(2 / dtypes.finfo(self.dtype).eps) if self.dtype.is_floating else dtypes.iinfo(self.dtype).max
    return copy_(self, random.randint(from_, to, self.shape, self.dtype).to(self.place))


# ---- devices ---------------------------------------------------------------------------------------------------------


def to(self, *args, device=None, dtype=None, blocking=None, non_blocking=None, copy_tensor=None):
    """The tensor on another device and/or with another dtype: to("gpu:0"), to("float16"), to(device, dtype), to(other).

    The gradient takes the way back. The tensor itself when nothing changes. Copies wait or not as CuPy decides.
    """
    for value in args:
        if isinstance(value, Tensor):
            device, dtype = value.place, value.dtype
        elif isinstance(value, bool):
            continue  # blocking
        elif value is not None:
            try:
                dtype = dtypes.convert(value)
            except TypeError:
                device = value
    out = self if device is None else _moved(self, device)
    return out if dtype is None or out.dtype == dtype else astype(out, dtype)


def _moved(self, to_device):
    place = device.parse(to_device)
    if place == self.place or place.is_cuda_pinned_place():
        return self
    return call(OPS["transfer"], (self,), {"place": place, "origin": self.place})


def cpu(self):
    """The tensor on the CPU."""
    return _moved(self, device.CPU)


def cuda(self, device_id=None, blocking=True):
    """The tensor on GPU `device_id` (default: the current one, or 0)."""
    if device_id is None:
        current = device.current_place()
        device_id = current if current.is_gpu_place() else 0
    return _moved(self, device.CUDAPlace(device_id) if isinstance(device_id, int) else device_id)


def get_device(self):
    """The number of the GPU that the tensor is on; -1 on the CPU."""
    return self.place.gpu_device_id() if self.place.is_gpu_place() else -1


def _is_cuda(self):
    """True on a GPU."""
    return self.place.is_gpu_place()


def _device_name(self):
    """The device as `set_device` takes it: "cpu", "gpu:0"."""
    return str(self.place)


def get_strides(self):
    """Steps per axis, counted in elements."""
    return self.strides


def stride(self, dim=None):
    """Steps per axis, counted in elements; of one axis, an int."""
    return self.strides if dim is None else self.strides[dim]


def is_same_shape(self, y):
    """True when y has this shape."""
    return self.shape == y.shape


def pin_memory(self):
    """The tensor itself: gpuflow pins what it copies by itself."""
    return self


def backward(self, grad_tensor=None, retain_graph=False):
    """Adds to `grad` of every leaf the gradient of this tensor, which starts from grad_tensor (default: ones)."""
    tape.backward(self, grad_tensor, retain_graph)


def register_hook(self, hook):
    """Calls hook(gradient) when this tensor's gradient is known; a Tensor that it returns takes the gradient's
    place."""
    return tape.register_hook(self, hook)


def requires_grad_(self, requires_grad=True):
    """Sets `stop_gradient` to its opposite and returns the tensor."""
    self.stop_gradient = not requires_grad
    return self


def retain_grads(self):
    """Makes a tensor that is no leaf keep its gradient in `.grad` after backward."""
    tape.retain_grads(self)


def _new(function):
    def apply(self, size, *more, dtype=None):
        if more and not isinstance(more[-1], int):
            *more, dtype = more
        size = (size, *more) if more else size
        return to(function(size, self.dtype if dtype is None else dtype), self.place)

    apply.__doc__ = (f"`gpuflow.{function.__name__}` with this tensor's dtype and device. The sizes in a list or one "
                     "by one.")
    return apply


def new_full(self, size, fill_value, dtype=None):
    """`gpuflow.full` with this tensor's dtype and device."""
    return to(creation.full(size, fill_value, self.dtype if dtype is None else dtype), self.place)


def _install_on_tensor() -> None:
    install(Tensor)
    for name in _INPLACE:
        function = getattr(Tensor, name)
        setattr(Tensor, name + "_", inplace(function) if hasattr(function, "op") else _written(function))
    for name in _RESHAPING:
        setattr(Tensor, name + "_", _reshaped(getattr(Tensor, name)))
    for name in _COMPARING:
        setattr(Tensor, name + "_", _compared(getattr(Tensor, name)))
    for name, value in {"resize_": _reshaped(resize), "fill_diagonal_tensor_": _written(fill_diagonal_tensor),
                        "is_cuda": property(_is_cuda), "device": property(_device_name)}.items():
        setattr(Tensor, name, value)
    for name in _INPLACE_ALIASES:
        setattr(Tensor, name + "_", getattr(Tensor, _ALIASES[name] + "_"))
    for name in ("empty", "ones", "zeros"):
        setattr(Tensor, f"new_{name}", _new(getattr(creation, name)))
    for function in (__setitem__, apply, apply_, backward, bernoulli_, cauchy_, copy_, cpu, cuda, exponential_, fill_,
                     fill_diagonal_, fill_diagonal_tensor, geometric_, get_device, get_strides, is_same_shape,
                     log_normal_, new_full, normal_, pin_memory, random_, register_hook, requires_grad_, retain_grads,
                     set_, stride, to, uniform_, where_, zero_):
        setattr(Tensor, function.__name__, function)


_install_on_tensor()
# what gpuflow has as functions as well: other names, and those that write into their first argument
FUNCTIONS = {name: getattr(Tensor, name) for name in (*_ALIASES, "permute", *(f"{name}_" for name in (
    *_INPLACE, *_RESHAPING, *_COMPARING, *_INPLACE_ALIASES, "bernoulli", "cauchy", "geometric", "log_normal", "normal",
    "where")))}
