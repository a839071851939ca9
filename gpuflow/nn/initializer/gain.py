"""What initializers are computed from: fans and gains; and the initializers that stand in for missing ones."""
import math

from gpuflow.errors import explain
from gpuflow.param import Initializer

_GAINS = {"sigmoid": 1.0, "linear": 1.0, "tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4} | {
    f"{name}{n}d{rest}": 1.0 for n in (1, 2, 3) for name, rest in (("conv", ""), ("conv", "_transpose"),
                                                                   ("conv_transpose", ""))}


def calculate_gain(nonlinearity: str, param=None) -> float:
    """The factor that keeps a signal's variance through a nonlinearity, e.g. sqrt(2) for "relu".

    nonlinearity: sigmoid, linear, conv1d ... conv3d_transpose (all 1), tanh, relu, leaky_relu, selu.
    param: leaky_relu's slope, 0.01 when None.
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2.0 / (1 + float(0.01 if param is None else param) ** 2))
    if nonlinearity not in _GAINS:
        raise ValueError(explain("calculate_gain", f"one of {sorted([*_GAINS, 'leaky_relu'])}", repr(nonlinearity)))
    return _GAINS[nonlinearity]


def fans(shape) -> tuple:
    """(fan_in, fan_out) of a weight: [in, out] for a matrix, [out, in, *kernel] with more axes, as Paddle counts."""
    if len(shape) == 0:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    if len(shape) == 2:
        return shape[0], shape[1]
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


_global: dict = {False: None, True: None}   # is it a bias? -> initializer


def set_global_initializer(weight_init, bias_init=None) -> None:
    """From now on parameters without an initializer in their ParamAttr use these; None goes back to the layers' own."""
    for argument, value in (("weight_init", weight_init), ("bias_init", bias_init)):
        if value is not None and not isinstance(value, Initializer):
            raise TypeError(explain(f"set_global_initializer({argument}=...)", "an Initializer or None",
                                    type(value).__name__))
    _global[False], _global[True] = weight_init, bias_init


def global_initializer(is_bias: bool):
    """What `set_global_initializer` set, or None."""
    return _global[is_bias]
