"""Making a parameter from a ParamAttr: its name, its initializer, or the parameter that already has the name."""
from gpuflow import device, dtypes, unique_name
from gpuflow.dispatch import in_dynamic_mode
from gpuflow.errors import explain
from gpuflow.nn.initializer import Constant, XavierUniform
from gpuflow.nn.initializer.gain import global_initializer
from gpuflow.param import (
    ParamAttr,
    Parameter,
    WeightNormParamAttr,
    checked_shape,
    free_name,
    new_parameter,
    registered,
    shared_parameter,
)


def make_parameter(owner: str, shape, attr=None, dtype=None, is_bias=False, default_initializer=None, place=None):
    """The Parameter for `attr` (whatever ParamAttr._to_attr takes), or None for False.

    owner: what generated names start with ("linear_0" gives "linear_0.w_0" and, for a bias, "linear_0.b_0").
    The first numbers come from attr's initializer, else the global one, else `default_initializer`, else
    XavierUniform (zeros for a bias). A name that a living parameter has gives that parameter. In static mode names are
    those of the default main program, and the startup program brings the first numbers.
    """
    attr = ParamAttr._to_attr(None if attr == "" else attr)
    if attr is False:
        return None
    kind = dtypes.default_float() if dtype is None else dtypes.convert(dtype)
    shape = checked_shape(f"{owner}.create_parameter", shape)
    if isinstance(attr, WeightNormParamAttr):
        return _direction(owner, attr, shape, dtype, is_bias, default_initializer, place)
    found = known(attr, shape, kind)
    if found is not None:
        return found
    initializer = attr.initializer or global_initializer(is_bias) or default_initializer
    if initializer is None:
        if not kind.is_floating:
            raise TypeError(explain(f"{owner}.create_parameter", f"an initializer for dtype {kind.name}", "none",
                                    "default_initializer=nn.initializer.Constant(0)"))
        initializer = Constant(0.0) if is_bias else XavierUniform()
    place = device.current_place() if place is None else device.parse(place)
    return started(attr, attr.name or _free(owner, is_bias), shape, kind, place, initializer)


def known(attr: ParamAttr, shape: tuple, kind: dtypes.DType) -> Parameter | None:
    """The parameter that already has attr's name, in this namespace or the program that is being built, or None."""
    return shared_parameter(attr, shape, kind, _lookup())


def started(attr: ParamAttr, name: str, shape: tuple, kind: dtypes.DType, place, initializer) -> Parameter:
    """A new Parameter with the initializer's numbers; in static mode the startup program brings them."""
    if in_dynamic_mode():
        return new_parameter(attr, name, initializer.new_array(shape, kind, place))
    from gpuflow.static import build

    param = new_parameter(attr, name, build.blank(shape, kind, place), registered=False)
    build.await_startup(param, initializer)
    return param


def _free(owner: str, is_bias: bool) -> str:
    return free_name(f"{owner}.{'b' if is_bias else 'w'}", _lookup())


def _lookup():
    return registered if in_dynamic_mode() else _in_program


def _in_program(name: str) -> Parameter | None:
    """The parameter of that name in the program that is being built, or None."""
    from gpuflow.static.program import default_main_program

    value = default_main_program().values.get(name)
    return value.home if value is not None and isinstance(value.home, Parameter) else None


def _direction(owner: str, attr: WeightNormParamAttr, shape, dtype, is_bias, default_initializer, place):
    """The v of a weight g · v / |v|; the layer that it is assigned to splits off g."""
    from gpuflow.nn.made_weight import split_by

    name = attr.name or _free(owner, is_bias)
    v = make_parameter(owner, shape, attr.part("v", name), dtype, is_bias, default_initializer, place)
    v._split = split_by(attr, v, name)
    return v


def create_parameter(shape, dtype, name=None, attr=None, is_bias=False, default_initializer=None):
    """A Parameter outside any layer. shape: list of ints; dtype: default_initializer must fit it when it is no float.

    name: short for attr=ParamAttr(name=name); attr wins.
    """
    if attr is None:
        attr = ParamAttr(name=name)
    elif isinstance(attr, WeightNormParamAttr):
        raise TypeError(explain("create_parameter", "a ParamAttr, since no layer is here to make the weight",
                                repr(attr), "layer.create_parameter, assigned to an attribute of the layer"))
    return make_parameter(unique_name.generate("create_parameter"), shape, attr, dtype, is_bias, default_initializer)
