"""Keywords that many of Paddle's functions share: `out` takes the result, `device` and `requires_grad` say what a new
tensor is, `alpha` weighs the second operand, `rounding_mode` makes quotients whole. Each is said here once, for the
functions of a table."""
import functools

from gpuflow.errors import explain
from gpuflow.functional.creation import assign
from gpuflow.functional.math import abs, floor_divide, sign, trunc

TAKE_OUT = ("abs", "acos", "acosh", "add", "all", "amax", "amin", "any", "arange", "atanh", "bitwise_and",
            "bitwise_invert", "bitwise_not", "bitwise_or", "bitwise_xor", "bmm", "bucketize", "cat", "ceil", "clamp",
            "clip", "complex", "concat", "concatenate", "cos", "cosh", "cumprod", "cumsum", "diff", "div", "divide",
            "dot", "empty", "eq", "equal", "exp", "expm1", "eye", "floor", "floor_divide", "floor_mod", "frac",
            "full", "gather", "ge", "ger", "greater", "greater_equal", "greater_than", "gt", "index_add",
            "index_select", "le", "less", "less_equal", "less_than", "linspace", "log", "log10", "log1p", "log2",
            "logical_and", "logical_not", "logical_or", "logical_xor", "logsumexp", "lt", "masked_select", "matmul",
            "maximum", "mean", "median", "minimum", "mod", "msort", "mul", "multinomial", "multiply", "ne", "nonzero",
            "normal", "not_equal", "ones", "outer", "polar", "pow", "prod", "quantile", "rand", "randn", "randperm",
            "range", "remainder", "round", "rsqrt", "scatter", "searchsorted", "sign", "sin", "sinh", "sqrt", "stack",
            "standard_normal", "sub", "subtract", "sum", "take_along_axis", "take_along_dim", "tanh", "topk", "tril",
            "triu", "true_divide", "uniform", "var", "where", "zeros")
MAKE = ("arange", "empty", "empty_like", "eye", "full", "full_like", "linspace", "ones", "ones_like", "rand", "randn",
        "randperm", "range", "standard_normal", "uniform", "zeros", "zeros_like")
WEIGH = ("add", "subtract", "sub")
DIVIDE = ("divide", "div")


def with_keywords(functions: dict) -> dict:
    """name -> the function of that name with the keywords that it takes; functions: name -> the function without."""
    made = {name: add(functions[name])
            for names, add in ((MAKE, _placed), (WEIGH, _weighed), (DIVIDE, _rounded)) for name in names}
    return made | {name: _handed_out(made.get(name, functions[name])) for name in TAKE_OUT}


def _handed_out(function):
    @functools.wraps(function)
    def apply(*args, out=None, **kwargs):
        result = function(*args, **kwargs)
        if out is None:
            return result
        if not isinstance(result, tuple):
            return assign(result, out)
        if not isinstance(out, tuple | list) or len(out) != len(result):
            raise ValueError(explain(f"{function.__name__}(out=...)", f"{len(result)} tensors", type(out).__name__))
        for one, its in zip(result, out):
            assign(one, its)
        return out

    return apply


def _placed(function):
    @functools.wraps(function)
    def apply(*args, device=None, requires_grad=False, pin_memory=False, **kwargs):
        result = function(*args, **kwargs)
        if device is not None:
            result = result.to(device)
        if requires_grad:
            result.stop_gradient = False
        return result

    return apply


def _weighed(function):
    @functools.wraps(function)
    def apply(x, y, name=None, *, alpha=1):
        return function(x, y if alpha == 1 else y * alpha)

    return apply


def _rounded(function):
    @functools.wraps(function)
    def apply(x, y, name=None, *, rounding_mode=None):
        if rounding_mode is None:
            return function(x, y)
        if rounding_mode == "floor":
            return floor_divide(x, y)
        if rounding_mode != "trunc":
            raise ValueError(explain("divide", "rounding_mode None, 'floor' or 'trunc'", repr(rounding_mode)))
        if x.dtype.is_floating:
            return trunc(function(x, y))
        return sign(x) * sign(y) * floor_divide(abs(x), abs(y))

    return apply
