"""What a convolution's padding_mode does: x longer at both ends of each spatial axis, by elements of its own."""
import numpy as np

from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.ops.index import Slot
from gpuflow.ops.registry import OPS
from gpuflow.tensor import to_tensor

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


def extended(x, count: int, mode: str, data_format: str):
    """x with `count` elements more at both ends of every spatial axis. mode: "reflect", "replicate" or "circular"."""
    first = 1 if data_format[-1] == "C" else 2
    for axis in range(first, first + len(data_format) - 2):
        x = longer(x, axis, count, count, mode)
    return x


def longer(x, axis: int, before: int, after: int, mode: str):
    """x with elements of its own in front of and behind those of one axis; ValueError where it has not enough."""
    size = x.shape[axis]
    if size == -1:
        raise ValueError(explain(f"padding mode {mode!r}", f"a known size of axis {axis}", str(list(x.shape))))
    most = {"reflect": size - 1, "circular": size, "replicate": None if size else 0}[mode]
    if before < 0 or after < 0 or (most is not None and max(before, after) > most):
        raise ValueError(explain(f"padding mode {mode!r}", f"padding that axis {axis} of {list(x.shape)} can give",
                                 str(before) if before == after else f"{before} and {after}"))
    places = np.arange(-before, size + after)
    if mode == "reflect":
        places = size - 1 - np.abs(size - 1 - np.abs(places))
    elif mode == "replicate":
        places = places.clip(0, size - 1)
    else:
        places = places % size
    index = (*[slice(None)] * axis, Slot(0))
    return call(OPS["getitem"], (x, to_tensor(places, place=x.place)), {"index": index})
