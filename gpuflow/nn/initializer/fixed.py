"""Initializers without chance: Constant, Assign, Dirac, Bilinear."""
import numpy as np

from gpuflow import device
from gpuflow.errors import explain
from gpuflow.param import Initializer
from gpuflow.tensor import Tensor


class Constant(Initializer):
    """Every element is `value`."""

    def __init__(self, value: float = 0.0):
        if value is None:
            raise ValueError(explain("Constant", "a number", "None"))
        self._value = float(value)

    def array(self, shape, dtype, place):
        return device.module_for(place).full(shape, self._value, dtype.dtype)


class Assign(Initializer):
    """The parameter becomes a copy of `value`: an array, tensor or nested list of the parameter's shape.

    Raises ValueError for another shape (Paddle takes it silently and the parameter changes its shape). The value goes
    over as one array copy, so a table of pretrained vectors needs its own size once more and nothing on top.
    """

    def __init__(self, value, name=None):
        if isinstance(value, Tensor):
            value = value._array
        elif isinstance(value, list | tuple):
            value = np.array(value)
        elif not device.is_array(value):
            raise TypeError(explain("Assign", "an array, a tensor or a nested list", type(value).__name__))
        if value.dtype.kind not in "fiubcV":   # V: ml_dtypes' bfloat16
            raise TypeError(explain("Assign", "numbers", f"elements of type {value.dtype}"))
        self._value = value

    def array(self, shape, dtype, place):
        if tuple(self._value.shape) != tuple(shape):
            raise ValueError(explain("Assign", f"a value of the parameter's shape {list(shape)}",
                                     f"one of shape {list(self._value.shape)}"))
        moved = device.move(self._value, place)
        return moved.astype(dtype.dtype) if moved is self._value else moved.astype(dtype.dtype, copy=False)


class Dirac(Initializer):
    """A convolution kernel that passes its input channels through: 1 in the middle of channel i's filter i.

    For weights [out, in, *kernel] of 3 to 5 axes. groups: out is split into that many parts, each passing the channels.
    """

    def __init__(self, groups: int = 1, name=None):
        if not isinstance(groups, int) or groups < 1:
            raise ValueError(explain("Dirac", "groups to be an integer >= 1", repr(groups)))
        self._groups = groups

    def array(self, shape, dtype, place):
        if len(shape) not in (3, 4, 5) or shape[0] % self._groups:
            raise ValueError(explain("Dirac", f"3 to 5 axes, the first divisible by groups={self._groups}",
                                     str(list(shape))))
        xp = device.module_for(place)
        out = xp.zeros(shape, dtype.dtype)
        part = shape[0] // self._groups
        channel = np.tile(np.arange(min(part, shape[1])), self._groups)
        filters = channel + np.repeat(np.arange(self._groups) * part, min(part, shape[1]))
        out[(xp.asarray(filters), xp.asarray(channel), *(s // 2 for s in shape[2:]))] = 1
        return out


class Bilinear(Initializer):
    """Kernels for upsampling by bilinear interpolation with a transposed convolution.

    For weights [out, in, k, k]; every filter is the same k x k pyramid.
    """

    def array(self, shape, dtype, place):
        if len(shape) != 4 or shape[2] != shape[3]:
            raise ValueError(explain("Bilinear", "a weight [out, in, k, k]", str(list(shape))))
        size = shape[3]
        half = np.ceil(size / 2.0)
        centre = (2 * half - 1 - half % 2) / (2.0 * half)
        across = 1 - np.abs(np.arange(size) / half - centre)
        # Paddle takes the row as index / k without rounding down: each row's value drifts along its columns
        down = 1 - np.abs(np.arange(size * size) / size / half - centre)
        kernel = (down.reshape(size, size) * across).astype(np.float32)
        xp = device.module_for(place)
        return xp.broadcast_to(xp.asarray(kernel), shape).astype(dtype.dtype)
