"""Turns tensors and containers into what Paddle's `load` expects inside a pickle.

Two shapes of file, as in Paddle: a state dict (every value a tensor, or a dict without tensors) holds bare arrays and a
table of names beside them; anything else holds each tensor as the pair (name, array). bfloat16 is stored as its bits
in uint16, which is how Paddle tells it apart on loading.
"""
import math
import pickle
from collections import OrderedDict

import numpy as np

from gpuflow import device
from gpuflow.errors import explain
from gpuflow.io.arrays import host_array, in_c_order, is_bfloat16, memory_key
from gpuflow.io.pickle_reader import DEEPEST, CheckpointError
from gpuflow.tensor import is_tensor

NAME_TABLE = "StructuredToParameterName@@"
SLICE_TABLE = "UnpackBigParamInfor@@"   # spelled as Paddle spells it
LARGEST_SLICE = 2**30 - 1               # bytes of one array in protocols 2 and 3
_STORABLE = frozenset(("b1", "i1", "i2", "i4", "i8", "u1", "u4", "u8", "f2", "f4", "f8", "c8", "c16"))
_PLAIN = (str, bytes, int, float, complex, bool, type(None))


def dump(obj, file, protocol: int) -> None:
    """Writes `obj` to a binary file. Everything is checked and converted before the first byte is written."""
    if isinstance(obj, dict) and is_state_dict(obj):
        converted = _Converter(named=False).convert(obj, "obj")
        converted[NAME_TABLE] = {key: value.name for key, value in obj.items() if is_tensor(value)}
        if protocol < 4:
            _cut_large_arrays(converted)
    else:
        converted = _Converter(named=True).convert(obj, "obj")
    pickle.dump(converted, file, protocol)


def is_state_dict(obj: dict) -> bool:
    """Paddle's rule: every value is a tensor or a dict that holds no tensor."""
    return all(is_tensor(value) or (isinstance(value, dict) and not _holds_tensor(value, 0)) for value in obj.values())


def _holds_tensor(obj, depth) -> bool:
    if depth > DEEPEST:
        raise CheckpointError(explain("save", f"containers nested at most {DEEPEST} deep", "deeper ones, or a cycle"))
    if isinstance(obj, dict | list | tuple):
        return any(_holds_tensor(part, depth + 1) for part in (obj.values() if isinstance(obj, dict) else obj))
    return is_tensor(obj)


class _Converter:
    """named: whether a tensor becomes (name, array) or the bare array. Tied tensors become one array, stored once."""

    def __init__(self, named: bool):
        self.named, self.known = named, {}

    def convert(self, obj, where: str, depth: int = 0):
        if depth > DEEPEST:
            raise CheckpointError(explain("save", f"containers nested at most {DEEPEST} deep", f"more at {where[:80]}"))
        if is_tensor(obj):
            array = self.array(obj, where)
            return (obj.name, array) if self.named else array
        if device.is_array(obj):
            return self.array(obj, where)
        if isinstance(obj, np.generic):
            self.check(obj.dtype, where)
            return float(obj) if is_bfloat16(obj.dtype) else obj
        if isinstance(obj, dict):
            for key in obj:
                if not isinstance(key, _PLAIN) or isinstance(key, np.generic):
                    raise CheckpointError(explain("save", f"plain numbers or text as keys of {where}", repr(key)))
            items = ((key, self.convert(value, f"{where}[{key!r}]", depth + 1)) for key, value in obj.items())
            return OrderedDict(items) if isinstance(obj, OrderedDict) else dict(items)
        if isinstance(obj, list | tuple):
            if isinstance(obj, tuple) and len(obj) == 2 and isinstance(obj[0], str) and device.is_array(obj[1]):
                raise CheckpointError(explain(
                    "save", "no tuple (text, array): Paddle's format means a named tensor by it", f"one at {where}",
                    "a list [text, array] or a dict"))
            parts = [self.convert(part, f"{where}[{i}]", depth + 1) for i, part in enumerate(obj)]
            return tuple(parts) if isinstance(obj, tuple) else parts
        if isinstance(obj, set | frozenset):
            if not all(type(part) in _PLAIN for part in obj):
                raise CheckpointError(explain("save", f"plain numbers or text in the set {where}", repr(obj)[:80]))
            return obj
        if type(obj) in _PLAIN:
            return obj
        raise CheckpointError(explain(
            "save", "tensors, arrays, numbers, text, and dicts, lists, tuples or sets of them",
            f"{type(obj).__module__}.{type(obj).__qualname__} at {where}",
            "layer.state_dict()" if hasattr(obj, "state_dict") else "a dict of its fields"))

    def array(self, value, where) -> np.ndarray:
        key = memory_key(value)
        if key is None or key not in self.known:
            host = host_array(value)
            self.check(host.dtype, where)
            stored = in_c_order(host)
            stored = stored.view(np.uint16) if is_bfloat16(stored.dtype) else stored
            if key is None:
                return stored
            self.known[key] = stored
        return self.known[key]

    def check(self, dtype: np.dtype, where: str) -> None:
        if dtype.str[1:] in _STORABLE or is_bfloat16(dtype):
            return
        hint = "astype('int32')" if dtype == np.uint16 else "a numeric type"
        reason = " (there uint16 means the bits of bfloat16)" if dtype == np.uint16 else ""
        raise CheckpointError(explain("save", f"a type that Paddle's format can hold{reason}",
                                      f"{dtype.name} at {where}", f"{hint}, or a .safetensors file"))


def _cut_large_arrays(state: dict) -> None:
    """In place: arrays too large for protocols 2 and 3 become slices, with a table that says how to join them."""
    table = {}
    for key, array in list(state.items()):
        if isinstance(array, np.ndarray) and array.nbytes > LARGEST_SLICE:
            step = LARGEST_SLICE // array.itemsize
            flat = array.reshape(-1)
            names = [f"{key}@@.{i}" for i in range(math.ceil(flat.size / step))]
            for i, name in enumerate(names):
                state[name] = flat[i * step:(i + 1) * step]
            table[key] = {"OriginShape": array.shape, "slices": names}
            del state[key]
    if table:
        state[SLICE_TABLE] = table
