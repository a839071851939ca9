"""What checkpoints and the loader need to know about tensors and arrays."""
import numpy as np

from gpuflow import device
from gpuflow.tensor import Tensor


def host_array(value) -> np.ndarray:
    """The numbers of a Tensor, a CuPy or a NumPy array as a NumPy array (for a CPU tensor: the same memory)."""
    return device.to_numpy(value._array if isinstance(value, Tensor) else value)


def wrap(array, place=None) -> Tensor:
    """A Tensor over `array`; a NumPy array that the caller gives up is not copied when `place` is the CPU."""
    return Tensor(device.move(array, device.current_place() if place is None else place))


def memory_key(value):
    """Equal for two tensors or arrays that are the same numbers at the same address; None for empty ones."""
    array = value._array if isinstance(value, Tensor) else value
    if not array.size:
        return None
    if isinstance(array, np.ndarray):
        address = ("cpu", array.__array_interface__["data"][0])
    else:
        address = (str(device.place_of(array)), array.data.ptr)
    return (*address, array.shape, array.strides, array.dtype.str, array.dtype.name)


def in_c_order(array: np.ndarray) -> np.ndarray:
    """The array with C-contiguous, native-endian memory; itself when it is so already. Keeps 0-d arrays 0-d."""
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")


def is_bfloat16(dtype: np.dtype) -> bool:
    return dtype.name == "bfloat16"


