"""Elementwise arithmetic, comparison and logic. Operands broadcast; the tape sums gradients back to their shapes."""
import numpy as np

from gpuflow import dtypes
from gpuflow.errors import explain
from gpuflow.ops.registry import Spec, broadcast, floating, op, same_as


def _cast_spec(x, *, dtype):
    return Spec(x.shape, dtypes.convert(dtype))


@op("cast", infer=_cast_spec, saves=("x_dtype",), quiet=True)
def cast(xp, x, *, dtype):
    """x with its elements converted to `dtype`. The gradient is converted back; there is none to or from integers."""
    return x.astype(dtypes.convert(dtype).dtype)


@cast.grad
def cast_grad(xp, g, saved, *, dtype):
    return ((g.real if g.dtype.kind == "c" and saved.x_dtype.kind != "c" else g).astype(saved.x_dtype),)


@op("assign", infer=same_as("x"))
def assign(xp, x):
    """A copy of x."""
    return x.copy()


@assign.grad
def assign_grad(xp, g, saved):
    return (g,)


ARITHMETIC = {"promotes": ("x", "y"), "weak_scalars": True}


@op("add", infer=broadcast("add"), **ARITHMETIC)
def add(xp, x, y):
    """x + y, elementwise with broadcasting."""
    return xp.add(x, y)


@add.grad
def add_grad(xp, g, saved):
    return g, g


@op("subtract", infer=broadcast("subtract"), **ARITHMETIC)
def subtract(xp, x, y):
    """x - y, elementwise with broadcasting."""
    return xp.subtract(x, y)


@subtract.grad
def subtract_grad(xp, g, saved):
    return g, (-g if saved.needs[1] else None)


@op("multiply", infer=broadcast("multiply"), saves=("x", "y"), saved_for={"x": "y", "y": "x"}, **ARITHMETIC)
def multiply(xp, x, y):
    """x * y, elementwise with broadcasting."""
    return xp.multiply(x, y)


@multiply.grad
def multiply_grad(xp, g, saved):
    return (g * saved.y if saved.needs[0] else None), (g * saved.x if saved.needs[1] else None)


def _quotient_spec(x, y):
    return floating()(broadcast("divide")(x, y))


@op("divide", infer=_quotient_spec, saves=("x", "y"), saved_for={"x": "y"}, **ARITHMETIC, quiet=True)
def divide(xp, x, y):
    """x / y, elementwise with broadcasting; of integers the default float. Division by zero gives inf or nan."""
    out = xp.true_divide(x, y)
    return out if x.dtype.kind not in "bui" else out.astype(dtypes.default_float().dtype)


@divide.grad
def divide_grad(xp, g, saved):
    over_y = g / saved.y
    return over_y, (-over_y * saved.x / saved.y if saved.needs[1] else None)


@op("pow", infer=broadcast("pow"), saves=("x", "y", "out"), **ARITHMETIC, quiet=True)
def pow(xp, x, y):
    """x to the power y, elementwise with broadcasting."""
    return xp.power(x, y)


@pow.grad
def pow_grad(xp, g, saved):
    x, y = saved.x, saved.y
    to_x = to_y = None
    if saved.needs[0]:
        # where y is 0 the slope is 0, also at x = 0, where x ** -1 is inf
        slope = y * xp.power(x, y - 1)
        to_x = g * (slope if isinstance(y, int | float) and y != 0 else xp.where(_differs(xp, y, 0), slope, 0.0))
    if saved.needs[1]:
        # where x is 0 the limit of x**y * log(x) is 0
        to_y = g * xp.where(x == 0, 0.0, saved.out * xp.log(xp.where(x == 0, 1.0, x)))
    return to_x, to_y


def _differs(xp, y, number):
    return y != number if not isinstance(y, int | float) else np.asarray(y != number)


@op("neg", infer=same_as("x"))
def neg(xp, x):
    """-x, elementwise; on bool, which has no minus, x itself."""
    return xp.negative(x) if x.dtype != bool else x.copy()


@neg.grad
def neg_grad(xp, g, saved):
    return (-g,)


@op("scale", infer=same_as("x"))
def scale(xp, x, *, scale=1.0, bias=0.0, bias_after_scale=True):
    """scale * x + bias, or scale * (x + bias). scale, bias: Python numbers; the result keeps x's dtype."""
    out = x * scale + bias if bias_after_scale else (x + bias) * scale
    return out.astype(x.dtype)


@scale.grad
def scale_grad(xp, g, saved, *, scale=1.0, bias=0.0, bias_after_scale=True):
    return (g * scale,)


def _shared(xp, g, first, equal):
    """The gradients of a choice between two: g where chosen, half of it where both are equal."""
    half = xp.where(equal, 0.5 * g, 0.0)
    return xp.where(first, g, half), xp.where(first, 0.0, g - half)


@op("maximum", infer=broadcast("maximum"), saves=("x", "y"), promotes=("x", "y"))
def maximum(xp, x, y):
    """The larger of x and y, elementwise; nan where either is nan. Equal ones share the gradient evenly."""
    return xp.maximum(x, y)


@maximum.grad
def maximum_grad(xp, g, saved):
    x, y = saved.x, saved.y
    return _shared(xp, g, x > y, x == y)


@op("minimum", infer=broadcast("minimum"), saves=("x", "y"), promotes=("x", "y"))
def minimum(xp, x, y):
    """The smaller of x and y, elementwise; nan where either is nan. Equal ones share the gradient evenly."""
    return xp.minimum(x, y)


@minimum.grad
def minimum_grad(xp, g, saved):
    x, y = saved.x, saved.y
    return _shared(xp, g, x < y, x == y)


@op("where", infer=lambda condition, x, y: broadcast("where")(condition._replace(dtype=x.dtype), x, y),
    saves=("condition",), promotes=("x", "y"))
def where(xp, condition, x, y):
    """x where `condition` (bool), else y; all three broadcast."""
    return xp.where(condition, x, y)


@where.grad
def where_grad(xp, g, saved):
    return None, xp.where(saved.condition, g, 0.0), xp.where(saved.condition, 0.0, g)


def _without_gradient(name, function, text, dtype=None, **promotion):
    """Registers a two-operand op that has no gradient: a comparison, or arithmetic on integers."""

    def forward(xp, x, y):
        return function(xp, x, y)

    forward.__doc__ = text
    op(name, infer=broadcast(name, dtype), quiet=True, **promotion)(forward)


for _name, _function, _symbol in [
        ("equal", lambda xp, x, y: x == y, "=="), ("not_equal", lambda xp, x, y: x != y, "!="),
        ("less_than", lambda xp, x, y: x < y, "<"), ("less_equal", lambda xp, x, y: x <= y, "<="),
        ("greater_than", lambda xp, x, y: x > y, ">"), ("greater_equal", lambda xp, x, y: x >= y, ">=")]:
    _without_gradient(_name, _function, f"x {_symbol} y, elementwise with broadcasting; the result is bool.",
                      dtypes.bool_, **ARITHMETIC)

for _name in ("logical_and", "logical_or", "logical_xor"):
    _without_gradient(_name, lambda xp, x, y, _name=_name: getattr(xp, _name)(x, y),
                      f"{_name.replace('_', ' ')} of x and y taken as truth values; the result is bool.", dtypes.bool_)

for _name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
    _without_gradient(_name, lambda xp, x, y, _name=_name: getattr(xp, _name)(x, y),
                      f"{_name.replace('_', ' ')} of integers or bools, elementwise with broadcasting.",
                      promotes=("x", "y"))


@op("logical_not", infer=same_as("x", dtypes.bool_))
def logical_not(xp, x):
    """True where x is zero or False."""
    return xp.logical_not(x)


@op("bitwise_not", infer=same_as("x"))
def bitwise_not(xp, x):
    """Every bit of an integer flipped; the other truth value of a bool."""
    return xp.invert(x)


@op("floor_divide", infer=broadcast("floor_divide"), **ARITHMETIC, quiet=True)
def floor_divide(xp, x, y):
    """The largest integer not above x / y, elementwise. No gradient."""
    return xp.floor_divide(x, y)


@op("remainder", infer=broadcast("remainder"), saves=("x", "y"), **ARITHMETIC, quiet=True)
def remainder(xp, x, y):
    """x - floor(x / y) * y: the remainder with y's sign."""
    return xp.remainder(x, y)


@remainder.grad
def remainder_grad(xp, g, saved):
    return g, (-g * xp.floor(saved.x / saved.y) if saved.needs[1] else None)


def _pick(name, text, function, first_side):
    """Registers fmax or fmin: nan counts only where both are nan. first_side(x, y): where x is the result."""

    def forward(xp, x, y):
        return function(xp, x, y)

    def gradient(xp, g, saved):
        first = first_side(saved.x, saved.y) | (saved.y != saved.y)
        return xp.where(first, g, 0.0), xp.where(first, 0.0, g)

    forward.__doc__ = text
    op(name, infer=broadcast(name), saves=("x", "y"), promotes=("x", "y"))(forward).grad(gradient)


_pick("fmax", "The larger of x and y, elementwise; where one is nan, the other. Equal ones: x gets the gradient.",
      lambda xp, x, y: xp.fmax(x, y), lambda x, y: x >= y)
_pick("fmin", "The smaller of x and y, elementwise; where one is nan, the other. Equal ones: x gets the gradient.",
      lambda xp, x, y: xp.fmin(x, y), lambda x, y: x <= y)


@op("atan2", infer=broadcast("atan2"), saves=("x", "y"), promotes=("x", "y"))
def atan2(xp, x, y):
    """The angle of the point (y, x) in [-pi, pi]: the arc tangent of x / y with the signs of both. Floats only."""
    return xp.arctan2(x, y)


@atan2.grad
def atan2_grad(xp, g, saved):
    x, y = saved.x, saved.y
    over = g / (x * x + y * y)
    return over * y, -over * x


@op("heaviside", infer=broadcast("heaviside"), saves=("x",), promotes=("x", "y"))
def heaviside(xp, x, y):
    """0 where x < 0, y where x is 0, 1 where x > 0, elementwise with broadcasting."""
    return xp.where(x == 0, y, (x > 0).astype(x.dtype))


@heaviside.grad
def heaviside_grad(xp, g, saved):
    return xp.zeros_like(g), xp.where(saved.x == 0, g, 0.0)


def _add_n_spec(*xs):
    for x in xs[1:]:
        if x.shape != xs[0].shape or x.dtype is not xs[0].dtype:
            raise ValueError(explain("add_n", "tensors of one shape and dtype", f"{xs[0]} and {x}"))
    return xs[0]


@op("add_n", infer=_add_n_spec)
def add_n(xp, *xs):
    """The sum of tensors of one shape and dtype."""
    if any(x.shape != xs[0].shape or x.dtype != xs[0].dtype for x in xs):
        raise ValueError("shapes or dtypes differ")
    out = xs[0].copy()
    for x in xs[1:]:
        out += x
    return out


@add_n.grad
def add_n_grad(xp, g, saved):
    return [g] * len(saved.needs)


@op("isclose", infer=broadcast("isclose", dtypes.bool_), promotes=("x", "y"), quiet=True)
def isclose(xp, x, y, *, rtol=1e-5, atol=1e-8, equal_nan=False):
    """True where |x - y| <= atol + rtol * |y|; equal infinities are close, nans where equal_nan."""
    return xp.isclose(x, y, rtol=rtol, atol=atol, equal_nan=equal_nan)
