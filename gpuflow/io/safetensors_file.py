"""Reads and writes .safetensors through the package of that name.

Beyond the plain format, a flat dict of tensors, our files carry one entry in the metadata: `gpuflow.structure`, in
JSON, holds the order of the names, the containers and plain values around the tensors, and which names are tied.
Other readers pass over it and see a tied tensor once, under its first name.

Regular files are written by the package's `save_file`, which copies nothing but renames a file of its own over the path
it is given, a pipe or a device included; so those, and file objects, get the bytes of `save`, at the price of two more
copies of the tensors. Reading goes through bytes as well (one more copy): `safe_open` fails for float8.
"""
import contextlib
import json
import os
import re
import struct
from collections import OrderedDict

import numpy as np

from gpuflow import device
from gpuflow.errors import explain
from gpuflow.io.arrays import host_array, in_c_order, memory_key
from gpuflow.io.pickle_reader import DEEPEST, CheckpointError
from gpuflow.tensor import is_tensor

STRUCTURE = "gpuflow.structure"
_TYPES = {"BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "F16": "float16",
          "BF16": "bfloat16", "U32": "uint32", "I32": "int32", "F32": "float32", "U64": "uint64", "I64": "int64",
          "F64": "float64", "C64": "complex64", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"}


def is_safetensors(head: bytes, size: int) -> bool:
    """Whether a file of `size` bytes that begins with `head` (9 bytes are enough) looks like one."""
    return len(head) >= 9 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] <= size - 8


# ---- writing ---------------------------------------------------------------------------------------------------------

def dump(obj, target) -> None:
    """Writes a dict of tensors, possibly nested, to a path or a binary file object. Checks all before the first byte.

    A regular file at the path is replaced by one that only its owner may read. OSError comes from the system.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save, save_file

    if not isinstance(obj, dict):
        raise CheckpointError(explain("save to .safetensors", "a dict of tensors", type(obj).__name__,
                                      "{'name': tensor}, or a .pdparams file"))
    writer = _Writer()
    structure = writer.describe(obj, ())
    # in_c_order: the package writes a transposed or strided array in the order of its memory and says nothing.
    arrays = {name: in_c_order(host_array(value)) for name, value in writer.tensors.items()}
    metadata = {STRUCTURE: json.dumps(structure, separators=(",", ":"))}
    try:
        if isinstance(target, str) and os.path.isfile(target):
            save_file(arrays, target, metadata)
            return
        content = save(arrays, metadata)
    except (SafetensorError, UnicodeEncodeError) as error:
        if "I/O error" in str(error):   # "...: I/O error: No space left on device (os error 28)"
            number = re.search(r"I/O error: (.*) \(os error (\d+)\)", str(error))
            raise (OSError(str(error)) if number is None else OSError(int(number[2]), number[1])) from error
        raise CheckpointError(f"save to .safetensors: {error}. Try: a .pdparams file") from error
    with open(target, "wb") if isinstance(target, str) else contextlib.nullcontext(target) as file:
        file.write(content)


class _Writer:
    """tensors: what the file holds, by dotted path. names: where the tensor with a memory_key was met first."""

    def __init__(self):
        self.tensors: dict[str, object] = {}
        self.names: dict[tuple, str] = {}

    def describe(self, obj, path: tuple) -> dict:
        """The JSON form of `obj`."""
        where = ".".join(map(str, path)) or "obj"
        if len(path) > DEEPEST:
            raise CheckpointError(explain("save", f"containers nested at most {DEEPEST} deep",
                                          f"more at {where[:80]}"))
        if is_tensor(obj) or device.is_array(obj):
            return {"t": self.tensor(obj, where)}
        if isinstance(obj, dict):
            for key in obj:
                if type(key) not in (str, int):
                    _not_lossless(where, f"the key {key!r} of type {type(key).__name__}")
            return {"o" if isinstance(obj, OrderedDict) and path else "d": [
                [key, self.describe(value, (*path, key))] for key, value in obj.items()]}
        if type(obj) in (list, tuple):
            return {"l" if type(obj) is list else "u": [
                self.describe(part, (*path, i)) for i, part in enumerate(obj)]}
        if type(obj) in (str, int, float, bool, type(None)):
            return {"v": obj}
        return _not_lossless(where, f"a {type(obj).__module__}.{type(obj).__qualname__}")

    def tensor(self, obj, where: str) -> str:
        """The name under which the file holds the tensor."""
        dtype = (obj._array if is_tensor(obj) else obj).dtype
        if dtype.name not in _TYPES.values():
            raise CheckpointError(explain("save to .safetensors", f"one of {', '.join(_TYPES.values())}",
                                          f"{dtype.name} at {where}", "a .pdparams file"))
        key = memory_key(obj)
        if key in self.names:
            return self.names[key]
        if where in self.tensors or where == "__metadata__":   # the package would write a file that cannot be read
            raise CheckpointError(explain(
                "save to .safetensors", "a name of its own for each tensor",
                f"two at {where!r} (keys with dots?)" if where in self.tensors else "the reserved name '__metadata__'",
                "other keys, or a .pdparams file"))
        if key is not None:
            self.names[key] = where
        self.tensors[where] = obj
        return where


def _not_lossless(where: str, what: str):
    raise CheckpointError(explain("save to .safetensors", "dicts, lists and tuples of tensors and plain values",
                                  f"{what} at {where}", "a .pdparams file, which holds more kinds"))


# ---- reading ---------------------------------------------------------------------------------------------------------

def read(data):
    """The object in the safetensors file that fills a bytes-like object, and its size.

    Tensors are NumPy arrays of their own memory; tied ones are one array. Raises CheckpointError for all else.
    """
    from safetensors import SafetensorError, deserialize

    try:
        content = bytes(data)
        entries = dict(deserialize(content))   # checks lengths, offsets, shapes and types
        # The package takes the last of two entries with one name; we look at the names once more, which also gives
        # the order of the file.
        size = struct.unpack("<Q", content[:8])[0]
        header = json.loads(content[8:8 + size], object_pairs_hook=_no_duplicates)
        metadata = header.pop("__metadata__", None) or {}
        arrays = {name: _array(entries.pop(name)) for name in header}
        if STRUCTURE not in metadata:
            return arrays, len(content)
        return _rebuild(json.loads(metadata[STRUCTURE]), arrays), len(content)
    except CheckpointError:
        raise
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError, OverflowError, MemoryError,
            RecursionError) as error:
        raise CheckpointError(f"damaged safetensors file: {type(error).__name__}: {str(error)[:200]}") from error


def _array(entry: dict) -> np.ndarray:
    import ml_dtypes

    code = entry["dtype"]
    if (name := _TYPES.get(code)) is None:
        raise CheckpointError(f"it holds a tensor of type {code}; known: {', '.join(_TYPES)}")
    # The package takes any byte for a bool, and NumPy computes nonsense with such.
    if code == "BOOL" and entry["data"].translate(None, b"\0\1"):
        raise CheckpointError("a tensor of bool holds bytes other than 0 and 1")
    return np.frombuffer(entry["data"], getattr(ml_dtypes, name, name)).reshape(entry["shape"])


def _no_duplicates(pairs: list) -> dict:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise CheckpointError("the header names something twice")
    return found


def _rebuild(node: dict, arrays: dict, depth: int = 0):
    (kind, value), = node.items()
    if depth > DEEPEST:
        raise CheckpointError(f"containers nested more than {DEEPEST} deep")
    match kind:
        case "t":
            return arrays[value]
        case "v" if isinstance(value, str | int | float | bool | None):
            return value
        case "l" | "u":
            parts = [_rebuild(part, arrays, depth + 1) for part in value]
            return parts if kind == "l" else tuple(parts)
        case "d" | "o":
            pairs = [(key, _rebuild(part, arrays, depth + 1)) for key, part in value]
            return dict(pairs) if kind == "d" else OrderedDict(pairs)
    raise CheckpointError(f"the description of the containers holds the unknown kind {str(kind)[:40]!r}")
