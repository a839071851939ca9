"""InputSpec: what is known of an argument before there is one."""
from gpuflow import dtypes
from gpuflow.errors import explain
from gpuflow.static.program import sizes
from gpuflow.tensor import Tensor


class InputSpec:
    """Shape (None or -1: any size), dtype and name of a tensor that a traced function or a Program will be given."""

    def __init__(self, shape, dtype="float32", name: str | None = None, stop_gradient: bool = False):
        self.shape = tuple(-1 if s is None else s for s in sizes("InputSpec", shape))
        self.dtype = dtypes.convert(dtype)
        self.name, self.stop_gradient = name, stop_gradient

    @classmethod
    def from_tensor(cls, tensor: Tensor, name: str | None = None) -> "InputSpec":
        """The spec of a tensor: its own shape and dtype."""
        return cls(tensor.shape, tensor.dtype, name or tensor.name)

    @classmethod
    def from_numpy(cls, ndarray, name: str | None = None) -> "InputSpec":
        """The spec of an array."""
        return cls(ndarray.shape, ndarray.dtype, name)

    def batch(self, batch_size: int) -> "InputSpec":
        """Puts a first axis before the others, in place; returns itself."""
        if not isinstance(batch_size, int):
            raise TypeError(explain("InputSpec.batch", "an int", type(batch_size).__name__))
        self.shape = (batch_size, *self.shape)
        return self

    def unbatch(self) -> "InputSpec":
        """Takes the first axis away, in place; returns itself."""
        if not self.shape:
            raise ValueError(explain("InputSpec.unbatch", "at least one axis", "none"))
        self.shape = self.shape[1:]
        return self

    def takes(self, tensor: Tensor) -> bool:
        """True for a tensor that fits."""
        return tensor.dtype is self.dtype and len(tensor.shape) == len(self.shape) and all(
            s in (-1, t) for s, t in zip(self.shape, tensor.shape))

    def __eq__(self, other):
        return isinstance(other, InputSpec) and self._key() == other._key()

    def __hash__(self):
        return hash(self._key())

    def _key(self):
        return self.shape, self.dtype.name, self.name, self.stop_gradient

    def __repr__(self):
        return (f"InputSpec(shape={self.shape}, dtype={self.dtype.name}, name={self.name}, "
                f"stop_gradient={self.stop_gradient})")
