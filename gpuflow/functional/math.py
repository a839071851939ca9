"""Elementwise functions: arithmetic, comparison, logic, and the functions of one tensor."""
from gpuflow.dispatch import call
from gpuflow.dtypes import get_default_dtype
from gpuflow.errors import explain
from gpuflow.functional.make import public
from gpuflow.functional.reduction import all as all_of
from gpuflow.ops.registry import OPS
from gpuflow.tensor import Tensor, to_tensor

__all__ = ["abs", "acos", "acosh", "add", "add_n", "allclose", "asin", "asinh", "atan", "atan2", "atanh",
           "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "ceil", "clip", "cos", "cosh", "deg2rad",
           "digamma", "divide", "equal", "equal_all", "erf", "erfinv", "exp", "expm1", "floor", "floor_divide",
           "floor_mod", "fmax", "fmin", "frac", "gammainc", "gammaincc", "gammaln", "greater", "greater_equal",
           "greater_than", "heaviside", "i0", "i0e", "i1", "i1e", "increment", "isclose", "isfinite", "isinf",
           "isnan", "lerp", "less", "less_equal", "less_than", "lgamma", "log", "log10", "log1p", "log2",
           "logical_and", "logical_not", "logical_or", "logical_xor", "logit", "maximum", "minimum", "mod",
           "multigammaln", "multiply", "nan_to_num", "neg", "negative", "not_equal", "polygamma", "pow", "rad2deg",
           "reciprocal", "remainder", "round", "rsqrt", "scale", "sigmoid", "sign", "sin", "sinh", "sqrt",
           "square", "stanh", "subtract", "tan", "tanh", "trunc"]

abs = public("abs")
acos = public("acos")
acosh = public("acosh")
add = public("add")
asin = public("asin")
asinh = public("asinh")
atan = public("atan")
atan2 = public("atan2")
atanh = public("atanh")
bitwise_and = public("bitwise_and")
bitwise_not = public("bitwise_not")
bitwise_or = public("bitwise_or")
bitwise_xor = public("bitwise_xor")
ceil = public("ceil")
cos = public("cos")
cosh = public("cosh")
deg2rad = public("deg2rad")
digamma = public("digamma")
divide = public("divide")
equal = public("equal")
erf = public("erf")
erfinv = public("erfinv")
exp = public("exp")
expm1 = public("expm1")
floor = public("floor")
floor_divide = public("floor_divide")
fmax = public("fmax")
fmin = public("fmin")
frac = public("frac")
gammainc = public("gammainc")
gammaincc = public("gammaincc")
gammaln = public("lgamma", "gammaln")
greater_equal = public("greater_equal")
greater_than = public("greater_than")
heaviside = public("heaviside")
i0 = public("i0")
i0e = public("i0e")
i1 = public("i1")
i1e = public("i1e")
isfinite = public("isfinite")
isinf = public("isinf")
isnan = public("isnan")
less_equal = public("less_equal")
less_than = public("less_than")
lgamma = public("lgamma")
log = public("log")
log10 = public("log10")
log1p = public("log1p")
log2 = public("log2")
logical_and = public("logical_and")
logical_not = public("logical_not")
logical_or = public("logical_or")
logical_xor = public("logical_xor")
logit = public("logit")
maximum = public("maximum")
minimum = public("minimum")
multigammaln = public("multigammaln")
multiply = public("multiply")
nan_to_num = public("nan_to_num")
neg = public("neg")
not_equal = public("not_equal")
polygamma = public("polygamma")
pow = public("pow")
rad2deg = public("rad2deg")
reciprocal = public("reciprocal")
remainder = public("remainder")
round = public("round")
rsqrt = public("rsqrt")
sigmoid = public("sigmoid")
sign = public("sign")
sin = public("sin")
sinh = public("sinh")
sqrt = public("sqrt")
square = public("square")
stanh = public("stanh")
subtract = public("subtract")
tan = public("tan")
tanh = public("tanh")
floor_mod = remainder
mod = remainder
negative = neg
less = less_than
greater = greater_than


def trunc(input, name=None):
    """Each element without its fraction, in the same dtype."""
    return call(OPS["trunc"], (input,))


def clip(x, min=None, max=None, name=None):
    """x limited to [min, max]: Python numbers, tensors that broadcast to x, or None for no limit.

    At a limit itself the gradient passes to x.
    """
    for limit, op in ((min, "maximum"), (max, "minimum")):
        if isinstance(limit, Tensor):
            x = call(OPS[op], (limit.astype(x.dtype), x))
    if not x.dtype.is_differentiable and (isinstance(min, float) or isinstance(max, float)):
        x = x.astype(get_default_dtype())
    numbers = {"min": None if isinstance(min, Tensor) else min, "max": None if isinstance(max, Tensor) else max}
    return call(OPS["clip"], (x,), numbers)


def lerp(x, y, weight, name=None):
    """x + weight * (y - x), elementwise with broadcasting. weight: a Python number or a tensor."""
    return x + weight * (y - x)


def scale(x, scale=1.0, bias=0.0, bias_after_scale=True, act=None, name=None):
    """scale * x + bias, or scale * (x + bias). scale: a Python number or a one-element tensor; act: None."""
    if act is not None:
        raise ValueError(explain("scale", "act=None", repr(act), "apply the activation to the result"))
    if isinstance(scale, Tensor):
        return x * scale + bias if bias_after_scale else (x + bias) * scale
    return call(OPS["scale"], (x,), {"scale": scale, "bias": bias, "bias_after_scale": bias_after_scale})


def increment(x, value=1.0, name=None):
    """x + value written into x, which is returned. x: a tensor with one element."""
    if x.size != 1:
        raise ValueError(explain("increment", "a tensor with one element", str(list(x.shape))))
    return x.add_(value)


def add_n(inputs, name=None):
    """The sum of the tensors in the list `inputs`, all of one shape and dtype; a copy of a single tensor."""
    if isinstance(inputs, Tensor):
        return call(OPS["assign"], (inputs,))
    return call(OPS["add_n"], tuple(inputs))


def isclose(x, y, rtol=1e-5, atol=1e-8, equal_nan=False, name=None):
    """True where |x - y| <= atol + rtol * |y|; equal infinities are close, nans where equal_nan."""
    return call(OPS["isclose"], (x, y), {"rtol": float(rtol), "atol": float(atol), "equal_nan": bool(equal_nan)})


def allclose(x, y, rtol=1e-5, atol=1e-8, equal_nan=False, name=None):
    """True (a 0-d bool tensor) where `isclose` holds everywhere."""
    return all_of(isclose(x, y, rtol, atol, equal_nan))


def equal_all(x, y, name=None):
    """True (a 0-d bool tensor) where x and y have one shape and equal elements."""
    if x.shape != y.shape:
        return to_tensor(False, place=x.place)
    return all_of(call(OPS["equal"], (x, y)))
