"""Parameters: trainable tensors, what a user says about one (`ParamAttr`), and how one name means one parameter.

Two layers whose ParamAttr carry the same name hold the same Parameter object. The registry behind it holds parameters
weakly and belongs to the current namespace, so `utils.unique_name.guard` separates models and a model that is gone
leaves no names behind.
"""
from __future__ import annotations

import math
import weakref
from numbers import Real
from operator import index

import numpy as np

from gpuflow import device, dtypes, unique_name
from gpuflow.errors import explain
from gpuflow.regularizer import WeightDecayRegularizer
from gpuflow.tensor import Tensor

PIECE = 1 << 20   # bytes of a table that are looked at together


class Initializer:
    """Makes the first numbers of a parameter. Subclasses define `array`; Paddle's way, `forward`, works as well.

    Called with a tensor it fills that tensor in place.
    """

    def array(self, shape, dtype, place):
        """A new array of `shape` and `dtype` (a DType) in `place` (a Place)."""
        raise NotImplementedError(explain(type(self).__name__, "a method array(shape, dtype, place)", "none"))

    def forward(self, param, block=None):
        """Fills `param` in place. block: for static mode."""
        param._write(self.array(tuple(param.shape), param.dtype, param.place))

    def __call__(self, param, block=None):
        return self.forward(param, block)

    def __repr__(self):
        said = [f"{k.strip('_')}={v}" for k, v in vars(self).items() if isinstance(v, int | float | str)]
        return f"{type(self).__name__}({', '.join(said)})"

    def new_array(self, shape, dtype, place):
        """`array`, or what a subclass with a `forward` or `__call__` of its own fills a zero tensor with."""
        cls = type(self)
        if cls.forward is Initializer.forward and cls.__call__ is Initializer.__call__:
            return self.array(shape, dtype, place)
        target = Tensor(device.module_for(place).zeros(shape, dtype.dtype))
        self(target)
        return target._array


class ParamAttr:
    """What a user says about one parameter, beside its shape.

    name: None for a generated one. The same name again means the same parameter.
    initializer: an `nn.initializer.Initializer`, or the class of one that needs no arguments; None leaves it to the
        layer.
    learning_rate: a number that the optimizer's rate is multiplied with, or a schedule that returns one; 0 freezes.
    regularizer: `regularizer.L1Decay` or `L2Decay`; it wins over the optimizer's weight_decay.
    trainable: False for a parameter that gets no gradient.
    do_model_average: whether `ModelAverage` includes it.
    need_clip: False leaves it out of gradient clipping.
    """

    def __init__(self, name=None, initializer=None, learning_rate=1.0, regularizer=None, trainable=True,
                 do_model_average=True, need_clip=True):
        _expect("name", name is None or isinstance(name, str), "a str or None", name)
        if name == "":
            raise ValueError(explain("ParamAttr", "a name with at least one character", "''", "name=None"))
        initializer = _initializer(initializer)
        _expect("initializer", initializer is None or isinstance(initializer, Initializer),
                "an nn.initializer.Initializer or None", initializer)
        is_number = isinstance(learning_rate, Real) and not isinstance(learning_rate, bool)
        _expect("learning_rate", is_number or callable(getattr(learning_rate, "get_lr", None)),
                "a number >= 0 or a schedule", learning_rate)
        if is_number and not 0 <= learning_rate < math.inf:
            raise ValueError(explain("ParamAttr(learning_rate=...)", "a finite number >= 0", repr(learning_rate)))
        _expect("regularizer", regularizer is None or isinstance(regularizer, WeightDecayRegularizer),
                "regularizer.L1Decay, regularizer.L2Decay or None", regularizer)
        for argument, value in (("trainable", trainable), ("do_model_average", do_model_average),
                                ("need_clip", need_clip)):
            _expect(argument, isinstance(value, bool), "True or False", value)
        self.name, self.initializer, self.learning_rate = name, initializer, learning_rate
        self.regularizer, self.trainable = regularizer, trainable
        self.do_model_average, self.need_clip = do_model_average, need_clip

    @staticmethod
    def _to_attr(arg):
        """A ParamAttr for what layers accept: None, a name, an initializer, a regularizer, True. False stays False.

        A list or tuple gives a list. TypeError for anything else.
        """
        if isinstance(arg, ParamAttr):
            return arg
        if arg is None or arg is True:
            return ParamAttr()
        if arg is False:
            return False
        if isinstance(arg, str):
            return ParamAttr(name=arg)
        if isinstance(_initializer(arg), Initializer):
            return ParamAttr(initializer=arg)
        if isinstance(arg, WeightDecayRegularizer):
            return ParamAttr(regularizer=arg)
        if isinstance(arg, list | tuple):
            return [ParamAttr._to_attr(a) for a in arg]
        raise TypeError(explain("parameter attribute", "a ParamAttr, a name, an initializer, a regularizer, a bool "
                                "or None", type(arg).__name__))

    def declared(self) -> dict:
        """The attributes that two uses of one parameter must agree on; the initializer as a fingerprint."""
        return {"learning_rate": self.learning_rate, "regularizer": self.regularizer, "trainable": self.trainable,
                "do_model_average": self.do_model_average, "need_clip": self.need_clip,
                "initializer": None if self.initializer is None else fingerprint(self.initializer)}

    def __repr__(self):
        said = (f"{k}={v!r}" for k, v in vars(self).items() if v != _NOTHING_SAID.get(k))
        return f"{type(self).__name__}({', '.join(said)})"


def _initializer(value):
    """An initializer of the class, where value is one; else value."""
    return value() if isinstance(value, type) and issubclass(value, Initializer) else value


def _expect(argument, right, expected, value) -> None:
    if not right:
        raise TypeError(explain(f"ParamAttr({argument}=...)", expected, f"{value!r} ({type(value).__name__})"))


_NOTHING_SAID = ParamAttr().declared()


class WeightNormParamAttr(ParamAttr):
    """A ParamAttr for a weight that a layer makes as g · v / |v|: length and direction are trained apart.

    The layer's parameter is replaced by "<attribute>_v", shaped like it, and "<attribute>_g", its lengths; both have
    what is said here, and are called "<name>_v" and "<name>_g". dim: the axis that numbers the lengths, >= 0; None:
    one length for all. The weight starts as the initializer says. Others as in ParamAttr.
    See `nn.utils.weight_norm`, which does the same to a layer that is there.

    Salimans and Kingma, 2016 (https://arxiv.org/abs/1602.07868).
    """

    def __init__(self, dim=None, name=None, initializer=None, learning_rate=1.0, regularizer=None, trainable=True,
                 do_model_average=False, need_clip=True):
        super().__init__(name, initializer, learning_rate, regularizer, trainable, do_model_average, need_clip)
        _expect("dim", dim is None or (isinstance(dim, int) and not isinstance(dim, bool) and dim >= 0),
                "an axis >= 0 or None", dim)
        self.dim = dim

    def part(self, end: str, name: str) -> ParamAttr:
        """What this says of g or v of the weight `name`. end: "g" or "v"; g has its lengths from v, no initializer."""
        return ParamAttr(f"{name}_{end}", None if end == "g" else self.initializer, self.learning_rate,
                         self.regularizer, self.trainable, self.do_model_average, self.need_clip)


class Parameter(Tensor):
    """A tensor that an optimizer updates. It is trained unless `trainable` is False.

    data: a tensor or array with the first numbers, which is held and not copied. As in Paddle a list or tuple is a
    shape: ``Parameter([2, 3], "float32")`` holds zeros.
    optimize_attr: {"learning_rate": scale}; regularizer, need_clip, do_model_average: see ParamAttr.
    """

    persistable = True
    is_parameter = True
    block = None   # what code for Paddle hands to an initializer beside the parameter
    _declared: dict = {}   # what its first use said, for the check when the name is used again

    def __init__(self, data=None, requires_grad=True, *, shape=None, dtype=None, name=None, trainable=True,
                 optimize_attr=None, regularizer=None, do_model_average=None, need_clip=True, is_distributed=False):
        if isinstance(data, list | tuple):
            shape, data = data, None
            if not isinstance(requires_grad, bool):
                dtype, requires_grad = requires_grad, True
        if shape is not None:
            kind = dtypes.default_float() if dtype is None else dtypes.convert(dtype)
            data = device.module_for(device.current_place()).zeros(checked_shape("Parameter", shape), kind.dtype)
        if data is None:
            data = np.zeros(0, dtypes.default_float().dtype)
        super().__init__(data._array if isinstance(data, Tensor) else data, not (requires_grad and trainable),
                         unique_name.generate("_eager_param_base") if name is None else name)
        self.optimize_attr = {"learning_rate": 1.0} if optimize_attr is None else optimize_attr
        self.regularizer = regularizer
        self.do_model_average = do_model_average
        self.need_clip = need_clip
        self.is_distributed = is_distributed

    @property
    def trainable(self) -> bool:
        """The opposite of stop_gradient."""
        return not self.stop_gradient

    @trainable.setter
    def trainable(self, value):
        if not isinstance(value, bool):
            raise ValueError(explain(f"{self.name}.trainable", "True or False", repr(value)))
        self.stop_gradient = not value

    def _copy_extras(self, other) -> None:
        other._name = self.name + unique_name.generate("_deepcopy")
        other.optimize_attr = dict(self.optimize_attr)
        for key in ("regularizer", "do_model_average", "need_clip", "is_distributed"):
            setattr(other, key, getattr(self, key))

    def __reduce__(self):
        state = {key: getattr(self, key) for key in ("optimize_attr", "regularizer", "do_model_average", "need_clip",
                                                     "is_distributed")}
        return (_rebuild, (device.to_numpy(self._array), self.trainable, self.name, state))

    def __repr__(self):
        return f"Parameter containing:\n{super().__repr__()}"


def _rebuild(array, trainable, name, state):
    return Parameter(array, trainable, name=name, **state)


def checked_shape(where, shape) -> tuple:
    """A shape as a tuple of ints >= 0; ValueError for other sizes, TypeError for what is no integer."""
    shape = shape.tolist() if isinstance(shape, Tensor) else list(shape)
    try:
        sizes = tuple(index(s) for s in shape)
    except TypeError:
        raise TypeError(explain(where, "sizes that are integers", str(shape))) from None
    if any(s < 0 for s in sizes):
        raise ValueError(explain(where, "sizes >= 0", str(list(sizes))))
    return sizes


# ---- one name, one parameter ---------------------------------------------------------------------------------------

_registries: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()   # namespace -> {name: Parameter}, weakly


def _registry() -> weakref.WeakValueDictionary:
    space = unique_name.current()
    if space not in _registries:
        _registries[space] = weakref.WeakValueDictionary()
    return _registries[space]


def registered(name: str) -> Parameter | None:
    """The living parameter of that name in the current namespace, or None."""
    found = _registry().get(name)
    return found if found is not None and found.name == name else None


def free_name(prefix: str, lookup=registered) -> str:
    """A generated name, e.g. "linear_0.w_0", that no parameter of the namespace has. lookup(name): finds one."""
    name = unique_name.generate(prefix)
    while lookup(name) is not None:
        name = unique_name.generate(prefix)
    return name


def new_parameter(attr: ParamAttr, name: str, array, registered: bool = True) -> Parameter:
    """A Parameter over `array` with the attributes of `attr`, entered in the registry under `name`.

    registered: False for one that a static Program keeps under its name."""
    param = Parameter(array, attr.trainable, name=name, optimize_attr={"learning_rate": attr.learning_rate},
                      regularizer=attr.regularizer, do_model_average=attr.do_model_average, need_clip=attr.need_clip)
    param._declared = attr.declared() if attr.name is not None else dict(_NOTHING_SAID)
    if registered:
        _registry()[name] = param
    return param


def shared_parameter(attr: ParamAttr, shape: tuple, dtype: dtypes.DType, lookup=registered) -> Parameter | None:
    """The parameter that already has attr's name, or None when there is none yet. lookup(name): finds it.

    ValueError when it has another shape or dtype, or when `attr` says something other than its first use did. An
    attribute left at its default says nothing.
    """
    found = None if attr.name is None else lookup(attr.name)
    if found is None:
        return None
    where = f"sharing the parameter {attr.name!r}"
    if tuple(found.shape) != shape or found.dtype is not dtype:
        raise ValueError(explain(
            where, f"shape {list(found.shape)} and dtype {found.dtype.name}, as at its first use",
            f"shape {list(shape)} and dtype {dtype.name}",
            "another name, or build separate models under gpuflow.utils.unique_name.guard()"))
    for key, value in attr.declared().items():
        first = found._declared[key]
        if not _equal(value, _NOTHING_SAID[key]) and not _equal(value, first):
            raise ValueError(explain(
                where, f"{key}={_told(first)}, as at its first use", f"{key}={_told(value)}",
                "say it at the first use only, or alike everywhere"))
    return found


def _equal(a, b) -> bool:
    return a is b or (type(a) is type(b) and a == b) or (isinstance(a, Real) and isinstance(b, Real) and a == b)


def _told(value) -> str:
    return f"{value[0]}({', '.join(f'{k}={v}' for k, v in value[1:])})" if isinstance(value, tuple) else repr(value)


def fingerprint(initializer: Initializer) -> tuple:
    """What tells two initializers apart: class name and settings, arrays as their shape and a digest.

    It keeps no array alive, so a table of pretrained vectors can be freed when the parameter has its numbers.
    """
    import hashlib

    parts = []
    for key, value in sorted(vars(initializer).items()):
        value = value._array if isinstance(value, Tensor) else value
        if device.is_array(value):
            array, digest = np.atleast_1d(device.to_numpy(value)), hashlib.blake2b(digest_size=8)
            rows = max(PIECE // max(array[:1].nbytes, 1), 1)
            for first in range(0, len(array), rows):    # of a table in another order than C's, a piece is a copy
                digest.update(np.ascontiguousarray(array[first:first + rows]).view(np.uint8).reshape(-1).data)
            value = f"array{list(value.shape)}#{digest.hexdigest()}"
        parts.append((key.lstrip("_"), value))
    return (type(initializer).__name__, *parts)
