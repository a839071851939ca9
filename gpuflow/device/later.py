"""Later: a few numbers that travel to the host while the device works on."""
import numpy as np

from gpuflow import device


class Later:
    """A copy of a small array on the host, begun now. `read()` waits for what was launched before it was made, and for
    nothing that was launched since: read a step later, it costs the device no pause."""

    __slots__ = ("_event", "_value")

    def __init__(self, array):
        """array: NumPy's (read at once) or CuPy's."""
        self._event, self._value = None, array
        if not isinstance(array, np.ndarray | np.generic):
            cupy = device.cupy()
            self._value = pinned(cupy, array.shape, array.dtype)
            array.get(out=self._value, blocking=False)
            self._event = cupy.cuda.Event(disable_timing=True)
            self._event.record()

    @property
    def ready(self) -> bool:
        """True when read() would not wait."""
        return self._event is None or bool(self._event.done)

    def read(self) -> np.ndarray:
        """The numbers."""
        if self._event is not None:
            self._event.synchronize()
            self._event = None
        return self._value


def pinned(cupy, shape, dtype) -> np.ndarray:
    """Uninitialised host memory that a device can write to while the host goes on."""
    dtype = np.dtype(dtype)
    count = int(np.prod(shape, dtype=np.int64))
    return np.frombuffer(cupy.cuda.alloc_pinned_memory(max(count * dtype.itemsize, 1)), dtype, count).reshape(shape)
