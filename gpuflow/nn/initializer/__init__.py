"""How parameters get their first numbers: Paddle's 14 names. Each class defines `array(shape, dtype, place)`."""
from gpuflow.nn.initializer.fixed import Assign, Bilinear, Constant, Dirac
from gpuflow.nn.initializer.gain import calculate_gain, set_global_initializer
from gpuflow.nn.initializer.random import (
    KaimingNormal,
    KaimingUniform,
    Normal,
    Orthogonal,
    TruncatedNormal,
    Uniform,
    XavierNormal,
    XavierUniform,
)
from gpuflow.param import Initializer as Initializer

__all__ = ["Assign", "Bilinear", "Constant", "Dirac", "KaimingNormal", "KaimingUniform", "Normal", "Orthogonal",
           "TruncatedNormal", "Uniform", "XavierNormal", "XavierUniform", "calculate_gain", "set_global_initializer"]
