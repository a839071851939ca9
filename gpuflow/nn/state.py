"""Loading a state into parameters and buffers: look at everything first, then write, and report what did not fit."""
import warnings
from typing import NamedTuple

import numpy as np

from gpuflow import device
from gpuflow.errors import explain
from gpuflow.tensor import Tensor


class LoadReport(NamedTuple):
    """missing_keys: names of the layer that were not loaded; unexpected_keys: keys of the state that were not used."""

    missing_keys: list
    unexpected_keys: list


def load_state(targets: dict, state, use_structured_name: bool = True, strict: bool = False, owner: str = "Layer"):
    """Writes the arrays of `state` into `targets` (structured name -> Tensor) where key and shape fit.

    Returns a LoadReport; a key with another shape counts as missing and as unexpected, as in Paddle. A parameter that
    appears under several names gets one array: ValueError when their arrays differ. strict: RuntimeError, and nothing
    written, unless all fits.
    """
    if not hasattr(state, "keys"):
        raise TypeError(explain("set_state_dict", "a dict of names and arrays", type(state).__name__))
    missing, skipped, used, writes = [], [], set(), {}
    for structured, target in targets.items():
        key = structured if use_structured_name else target.name
        if key not in state or state[key] is None:
            skipped.append(f"Skip loading for {structured}. {key} is not found in the provided dict.")
            missing.append(key)
            continue
        array = _array(key, state[key])
        if tuple(array.shape) != tuple(target.shape):
            skipped.append(f"Skip loading for {structured}. {key} receives a shape {list(array.shape)}, but the "
                           f"expected shape is {list(target.shape)}.")
            missing.append(key)
            continue
        used.add(key)
        before = writes.setdefault(id(target), (target, key, array))
        if before[1] != key and before[2] is not array and not _alike(before[2], array):
            raise ValueError(explain("set_state_dict", f"the same numbers for {before[1]!r} and {key!r}, which are one "
                                     "parameter", "different ones", "leave one of the keys out"))
    unexpected = [key for key in state if key not in used]
    if strict and (missing or unexpected):
        raise RuntimeError("\n  ".join([f"{owner}.load_state_dict: nothing was loaded, since", *skipped,
                                        *(f"{key} is not in the layer" for key in unexpected if key not in missing)]))
    for text in skipped:
        warnings.warn(text, stacklevel=3)
    for target, _, array in writes.values():
        target._write(device.move(array, target.place))
    return LoadReport(missing, unexpected)


def _array(key, value):
    array = value._array if isinstance(value, Tensor) else value if device.is_array(value) else np.asarray(value)
    if array.dtype.kind not in "fiubcV":
        raise TypeError(explain(f"set_state_dict[{key!r}]", "an array of numbers", f"{type(value).__name__} of dtype "
                                f"{array.dtype}"))
    return array


def _alike(a, b) -> bool:
    a, b = device.to_numpy(a), device.to_numpy(b)
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
