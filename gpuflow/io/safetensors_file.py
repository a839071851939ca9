"""Reads and writes the safetensors format: 8 bytes with the header's length, a JSON header, then the tensors' bytes.

Written here rather than through the package of that name because writing then needs no copy of the tensors, and
arrays that are not C-contiguous come out right. Tests read our files with that package, and its files with ours.

Beyond the plain format (a flat dict of tensors) two entries in the metadata, both JSON:
gpuflow.alias      {name: other}: tied tensors, stored once under `other`
gpuflow.structure  the containers and plain values around the tensors, where there are any
"""
import json
import math
import struct
from collections import OrderedDict

import numpy as np

from gpuflow import device
from gpuflow.errors import explain
from gpuflow.io.arrays import host_array, in_c_order, is_tensor, memory_key
from gpuflow.io.pickle_reader import DEEPEST, CheckpointError

LARGEST_HEADER = 100_000_000   # bytes, the limit that the format's own library sets
_TYPES = {"BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "F16": "float16",
          "BF16": "bfloat16", "U32": "uint32", "I32": "int32", "F32": "float32", "U64": "uint64", "I64": "int64",
          "F64": "float64", "C64": "complex64", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"}
_CODES = {name: code for code, name in _TYPES.items()}


def _dtype(code: str) -> np.dtype:
    name = _TYPES[code]
    if name.startswith(("bfloat", "float8")):
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, name))
    return np.dtype(name).newbyteorder("<")


def is_safetensors(head: bytes, size: int) -> bool:
    """Whether a file of `size` bytes that begins with `head` (9 bytes are enough) looks like one."""
    return len(head) >= 9 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] <= size - 8


# ---- writing ---------------------------------------------------------------------------------------------------------

def dump(obj, file) -> None:
    """Writes a dict of tensors, possibly nested, to a binary file. Everything is checked before the first byte."""
    if not isinstance(obj, dict):
        raise CheckpointError(explain("save to .safetensors", "a dict of tensors", type(obj).__name__,
                                      "{'name': tensor}, or a .pdparams file"))
    tensors: dict[str, object] = {}
    structure = _describe(obj, (), tensors)
    metadata, owners, first = {}, {}, {}
    for name, value in tensors.items():
        key = memory_key(value)
        if key is not None and key in first:
            owners[name] = first[key]
        elif key is not None:
            first[key] = name
    if owners:
        metadata["gpuflow.alias"] = json.dumps(owners)
    if not all(isinstance(key, str) and value == {"t": key} for key, value in structure["d"]):
        metadata["gpuflow.structure"] = json.dumps(structure)
    _write({name: value for name, value in tensors.items() if name not in owners}, metadata, file)


def _write(tensors: dict, metadata: dict, file) -> None:
    def facts(name):
        array = tensors[name]._array if is_tensor(tensors[name]) else tensors[name]
        return array.itemsize, array.nbytes

    # Widest types first, then by name: every tensor starts at a multiple of its item size, as the library lays it out.
    order = sorted(tensors, key=lambda name: (-facts(name)[0], name))
    places, end = {}, 0
    for name in order:
        places[name] = (end, end := end + facts(name)[1])
    header: dict = {"__metadata__": metadata} if metadata else {}
    for name, value in tensors.items():
        dtype = np.dtype((value._array if is_tensor(value) else value).dtype)
        header[name] = {"dtype": _CODES[dtype.name], "shape": list(value.shape), "data_offsets": places[name]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-len(text) % 8)
    if len(text) > LARGEST_HEADER:
        raise CheckpointError(explain("save to .safetensors", f"a header of at most {LARGEST_HEADER} bytes",
                                      f"{len(text)}", "a .pdparams file"))
    file.write(struct.pack("<Q", len(text)))
    file.write(text)
    for name in order:   # one tensor at a time comes from the device
        file.write(in_c_order(host_array(tensors[name])).reshape(-1).view(np.uint8).data)


def _describe(obj, path: tuple, tensors: dict) -> dict:
    """The JSON form of `obj`; its tensors go into `tensors` under their dotted paths."""
    where = ".".join(map(str, path)) or "obj"
    if len(path) > DEEPEST:
        raise CheckpointError(explain("save", f"containers nested at most {DEEPEST} deep", f"more at {where[:80]}"))
    if is_tensor(obj) or device.is_array(obj):
        return _describe_tensor(obj, where, path, tensors)
    if isinstance(obj, dict):
        pairs = []
        for key, value in obj.items():
            if type(key) not in (str, int):
                _not_lossless(where, f"the key {key!r} of type {type(key).__name__}")
            pairs.append([key, _describe(value, (*path, key), tensors)])
        return {"o" if isinstance(obj, OrderedDict) and path else "d": pairs}
    if type(obj) in (list, tuple):
        return {"l" if type(obj) is list else "u": [
            _describe(part, (*path, i), tensors) for i, part in enumerate(obj)]}
    if type(obj) in (str, int, float, bool, type(None)):
        return {"v": obj}
    return _not_lossless(where, f"a {type(obj).__module__}.{type(obj).__qualname__}")


def _describe_tensor(obj, where, path, tensors) -> dict:
    if where in tensors or where == "__metadata__":
        raise CheckpointError(explain(
            "save to .safetensors", "a name of its own for each tensor",
            f"two at {where!r} (keys with dots?)" if where in tensors else "the reserved name '__metadata__'",
            "other keys, or a .pdparams file"))
    dtype = np.dtype((obj._array if is_tensor(obj) else obj).dtype)
    if dtype.name not in _CODES:
        raise CheckpointError(explain("save to .safetensors", f"one of {', '.join(_CODES)}", f"{dtype.name} at {where}",
                                      "a .pdparams file"))
    tensors[where] = obj
    return {"t": where}


def _not_lossless(where: str, what: str):
    raise CheckpointError(explain("save to .safetensors", "dicts, lists and tuples of tensors and plain values",
                                  f"{what} at {where}", "a .pdparams file, which holds more kinds"))


# ---- reading ---------------------------------------------------------------------------------------------------------

def read(data):
    """The object in the safetensors file that fills a bytes-like object, and its size.

    Tensors are NumPy arrays of their own memory; tied ones are one array. Raises CheckpointError for all else.
    """
    try:
        view = memoryview(data)
        entries, metadata, body = _header(view)
        arrays = {name: _array(entry, body) for name, entry in entries.items()}
        obj = _rebuild_all(arrays, metadata)
    except CheckpointError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, struct.error, OverflowError, MemoryError,
            RecursionError) as error:
        raise CheckpointError(f"damaged safetensors file: {type(error).__name__}: {str(error)[:80]}") from error
    return obj, len(view)


def _header(view: memoryview):
    if len(view) < 8:
        raise CheckpointError(f"a safetensors file begins with 8 bytes of length; this one has {len(view)}")
    length = struct.unpack("<Q", view[:8])[0]
    if length > LARGEST_HEADER or length > len(view) - 8:
        raise CheckpointError(f"the header claims {length} bytes, the file has {len(view) - 8} after it "
                              f"and {LARGEST_HEADER} are allowed")
    header = json.loads(str(view[8:8 + length], "utf-8"), object_pairs_hook=_no_duplicates)
    if not isinstance(header, dict):
        raise CheckpointError(f"the header is a {type(header).__name__}; expected an object")
    metadata = header.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise CheckpointError("the header's __metadata__ holds something other than text")
    body = view[8 + length:]
    end = 0
    for name, entry in sorted(header.items(), key=lambda item: tuple(item[1]["data_offsets"])):
        first, last = _checked(name, entry)
        if first != end:
            raise CheckpointError(f"tensor {name!r} begins at byte {first}, expected {end}: tensors overlap or leave "
                                  "a gap")
        end = last
    if end != len(body):
        raise CheckpointError(f"the tensors end at byte {end}, the file has {len(body)} bytes for them")
    return header, metadata, body


def _checked(name: str, entry: dict) -> tuple[int, int]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise CheckpointError(f"tensor {name!r}: expected dtype, shape and data_offsets")
    if entry["dtype"] not in _TYPES:
        raise CheckpointError(f"tensor {name!r} has the type {str(entry['dtype'])[:40]!r}; known: {', '.join(_TYPES)}")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not all(isinstance(numbers, list) and all(type(n) is int and n >= 0 for n in numbers)
               for numbers in (shape, offsets)) or len(offsets) != 2 or len(shape) > 32:
        raise CheckpointError(f"tensor {name!r}: expected up to 32 sizes >= 0 and two offsets >= 0")
    wanted = math.prod(shape) * _dtype(entry["dtype"]).itemsize
    if offsets[1] - offsets[0] != wanted:
        raise CheckpointError(f"tensor {name!r} of type {entry['dtype']} and shape {shape} needs {wanted} bytes, its "
                              f"offsets span {offsets[1] - offsets[0]}")
    return offsets[0], offsets[1]


def _array(entry: dict, body: memoryview) -> np.ndarray:
    first, last = entry["data_offsets"]
    code = entry["dtype"]
    raw = np.frombuffer(body[first:last], np.uint8).copy()
    if code == "BOOL" and raw.size and raw.max() > 1:
        raise CheckpointError("a tensor of bool holds bytes other than 0 and 1")
    return raw.view(_dtype(code)).reshape(entry["shape"])


def _no_duplicates(pairs: list) -> dict:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise CheckpointError("the header names something twice")
    return found


def _rebuild_all(arrays: dict, metadata: dict):
    alias = json.loads(metadata["gpuflow.alias"]) if "gpuflow.alias" in metadata else {}
    for name, owner in alias.items():
        if name in arrays or owner in alias:
            raise CheckpointError(f"the alias {name!r} of {owner!r} contradicts the tensors in the file")
    arrays |= {name: arrays[owner] for name, owner in alias.items()}
    if "gpuflow.structure" not in metadata:
        return arrays
    return _rebuild(json.loads(metadata["gpuflow.structure"]), arrays)


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
