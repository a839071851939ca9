"""Paddle's file of variables (`.pdiparams`, `save_vars`): arrays one after the other, without their names.

Each array is: u32 0, u64 0 (no levels of detail), u32 0, i32 size of a description, the description, the numbers. The
description is the protocol buffer TensorDesc: field 1 the dtype's number, field 2 a size per axis.
"""
import math
import struct

import numpy as np

from gpuflow import dtypes
from gpuflow.io.arrays import in_c_order
from gpuflow.io.pickle_reader import CheckpointError

_NUMBERS = {"bool": 0, "int16": 1, "int32": 2, "int64": 3, "float16": 4, "float32": 5, "float64": 6, "uint8": 20,
            "int8": 21, "bfloat16": 22, "complex64": 23, "complex128": 24}
_DTYPES = {number: dtypes.convert(name) for name, number in _NUMBERS.items()}
_HEAD = struct.Struct("<IQIi")
_LARGEST_DESCRIPTION = 4096


def write(file, arrays) -> None:
    """Writes arrays to a binary file object."""
    for array in arrays:
        array = in_c_order(np.asarray(array))
        description = b"\x08" + _varint(_NUMBERS[dtypes.of(array).name])
        description += b"".join(b"\x10" + _varint(size) for size in array.shape)
        file.write(_HEAD.pack(0, 0, 0, len(description)) + description + array.tobytes())


def read(data, count: int) -> list[np.ndarray]:
    """The `count` arrays in `data` (bytes or a map of a file). CheckpointError for anything else."""
    found, at = [], 0
    for _ in range(count):
        if len(data) - at < _HEAD.size:
            raise CheckpointError(f"it ends after {len(found)} of {count} variables")
        version, levels, inner, size = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        if version or inner or levels or not 0 <= size <= min(_LARGEST_DESCRIPTION, len(data) - at):
            raise CheckpointError(f"variable {len(found)} does not begin as one of Paddle's")
        kind, shape = _description(bytes(data[at:at + size]))
        at += size
        length = math.prod(shape) * kind.dtype.itemsize
        if length > len(data) - at:
            raise CheckpointError(f"variable {len(found)} of shape {list(shape)} needs {length} bytes, "
                                  f"{len(data) - at} are left")
        found.append(np.frombuffer(data, kind.dtype, math.prod(shape), at).reshape(shape).copy())
        at += length
    if at != len(data):
        raise CheckpointError(f"{len(data) - at} bytes follow the last of {count} variables")
    return found


def _description(text: bytes):
    """(DType, shape) of a TensorDesc."""
    at, kind, shape = 0, None, []
    while at < len(text):
        tag = text[at]
        value, at = _read_varint(text, at + 1)
        if tag == 0x08:
            kind = _DTYPES.get(value)
        elif tag == 0x10:
            shape.append(value)
        else:
            raise CheckpointError(f"a description has an unknown field {tag >> 3}")
    if kind is None:
        raise CheckpointError("a description names no dtype that gpuflow has")
    return kind, tuple(shape)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _read_varint(text: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(text) and shift < 63:
        byte = text[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise CheckpointError("a description is cut off")
