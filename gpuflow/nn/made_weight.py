"""Weights that a layer makes from other parameters before every call, for `WeightNormParamAttr` and `nn.utils`."""
from __future__ import annotations

from gpuflow import device
from gpuflow.dispatch import call, in_dynamic_mode
from gpuflow.errors import explain
from gpuflow.nn.create import known, started
from gpuflow.nn.functional.norm import normalize
from gpuflow.ops.registry import OPS
from gpuflow.param import Initializer, Parameter, WeightNormParamAttr, free_name
from gpuflow.tensor import Tensor


class MadeWeight:
    """A forward pre-hook that makes a layer's weight from other parameters before every call."""

    name: str

    def __init__(self, layer, name: str):
        for hook, _ in layer._forward_pre_hooks.values():
            if isinstance(hook, MadeWeight) and hook.name == name:
                raise RuntimeError(explain(type(self).__name__, f"a weight {name!r} that nothing makes yet",
                                           f"one under {type(hook).__name__}"))
        if layer._parameters.get(name) is None:
            raise ValueError(explain(type(self).__name__, f"a parameter {name!r} of {type(layer).__name__}",
                                     repr([n for n, p in layer._parameters.items() if p is not None])))
        self.name = name

    def weight(self, layer):
        """The weight, made of the layer's parameters and buffers as they are."""
        raise NotImplementedError

    def __call__(self, layer, inputs):
        w = self.weight(layer)
        if in_dynamic_mode():
            array = w._array
            w.__deepcopy__ = lambda memo: Tensor(array.copy())   # a copied layer makes its own at its next call
        layer.__dict__[self.name] = w                            # a plain attribute: no parameter, no buffer, not saved


class WeightNorm(MadeWeight):
    """weight = g · v / |v| of the parameters "<name>_g" and "<name>_v", which take the place of the layer's `name`.

    dim: the axis that numbers the lengths g; None, and as in Paddle -1: one length for all. parts: (v, g); by default
    they are made of the parameter, with its attributes.
    """

    def __init__(self, layer, name: str, dim: int | None, parts=None):
        super().__init__(layer, name)
        w = layer._parameters[name]
        if dim is not None and not -w.ndim <= dim < w.ndim:
            raise ValueError(explain("weight_norm", f"dim in [{-w.ndim}, {w.ndim}) or None", repr(dim)))
        self.dim = None if dim in (None, -1) else dim % w.ndim
        v, g = parts or (like(layer, w, w._array.copy()), like(layer, w, LengthsOf(w, self.dim).of(w._array)))
        del layer._parameters[name]
        layer.add_parameter(f"{name}_v", v)
        layer.add_parameter(f"{name}_g", g)

    def weight(self, layer):
        return directed(layer._parameters[f"{self.name}_v"], layer._parameters[f"{self.name}_g"], self.dim)


def _others(w, dim):
    """The axes that a length runs along; None for all."""
    return None if dim is None else tuple(k for k in range(w.ndim) if k != dim)


class LengthsOf(Initializer):
    """Starts g with the 2-norm of each slice of `source` along axis dim; of all of it for None."""

    def __init__(self, source: Parameter, dim: int | None):
        self.source, self.dim = source, dim

    def array(self, shape, dtype, place):
        return self.of(self.source._array)

    def of(self, array):
        """The numbers, from those of `source` as they are in a static scope."""
        xp = device.module_of(array)
        return xp.asarray(xp.sqrt((array * array).sum(_others(array, self.dim))), array.dtype)


def directed(v, g, dim: int | None):
    """g · v / |v| along axis dim, or for None with one length for all."""
    if dim is None:
        return v / (call(OPS["sqrt"], (call(OPS["sum"], (v * v,), {"axis": None, "keepdim": False}),)) + 1e-12) * g
    order = (dim, *_others(v, dim))
    rows = call(OPS["transpose"], (v,), {"perm": order})
    units = normalize(rows.reshape([rows.shape[0], -1]), axis=1) * g.reshape([-1, 1])
    back = tuple(order.index(k) for k in range(v.ndim))
    return call(OPS["transpose"], (units.reshape(rows.shape),), {"perm": back})


def split_by(attr: WeightNormParamAttr, v: Parameter, name: str):
    """What a layer calls with (itself, attribute) when the parameter `v`, made for attr, becomes one of its attributes.

    name: of the weight that v and its g stand for. ValueError for an axis that v does not have, or where v was split
    along another one before.
    """
    where = f"WeightNormParamAttr(name={name!r})"
    if attr.dim is not None and not attr.dim < v.ndim:
        raise ValueError(explain(where, f"dim in [0, {v.ndim}) or None", repr(attr.dim)))
    first = v._declared.setdefault("dim", attr.dim)
    if first != attr.dim:
        raise ValueError(explain(where, f"dim={first}, as at its first use", f"dim={attr.dim}", "one dim everywhere"))
    said = attr.part("g", name)

    def split(layer, attribute: str) -> None:
        size = () if attr.dim is None else (v.shape[attr.dim],)
        g = known(said, size, v.dtype)
        if g is None:
            g = started(said, said.name, size, v.dtype, v.place, LengthsOf(v, attr.dim))
        installed(layer, WeightNorm(layer, attribute, attr.dim, (v, g)))

    return split


def like(layer, w, array) -> Parameter:
    """A new parameter of the layer over `array` with what `w` says about itself."""
    return Parameter(array, w.trainable, name=free_name(f"{layer.full_name()}.w"), optimize_attr=dict(w.optimize_attr),
                     regularizer=w.regularizer, do_model_average=w.do_model_average, need_clip=w.need_clip)


def installed(layer, hook: MadeWeight):
    """The layer, whose weight `hook` makes from now on."""
    hook(layer, ())
    layer.register_forward_pre_hook(hook)
    return layer
