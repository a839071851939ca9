"""save and load: Paddle's .pdparams/.pdopt (pickles) and .safetensors, without ever running what a file contains."""
import contextlib
import mmap
import os
import warnings

import numpy as np

from gpuflow import dtypes
from gpuflow.errors import explain, refuse_unknown
from gpuflow.io import pickle_reader, pickle_writer, safetensors_file
from gpuflow.io.arrays import wrap
from gpuflow.io.atomic import replacing, replacing_together, settled
from gpuflow.io.pickle_reader import CheckpointError
from gpuflow.io.pickle_writer import NAME_TABLE, SLICE_TABLE

__all__ = ["CheckpointError", "load", "save"]


def save(obj, path, protocol: int = 4, **configs) -> None:
    """Saves tensors, arrays, numbers, text and containers of them; `load` gives them back, and so does Paddle's.

    obj: a state dict, a tensor, or nested dicts, lists and tuples.
    path: a file name, or an object with `write`. `.safetensors` selects that format, every other name Paddle's. The
        file appears whole or not at all: it is written beside its place and renamed. Missing folders are made.
    protocol: 2, 3 or 4, the version of the pickle inside Paddle's format.
    configs: `safetensors=True` selects the format without the suffix.

    Tied tensors are stored once. In Paddle's format bfloat16 is stored as Paddle does. Raises CheckpointError (a
    ValueError) for what the format cannot hold, before anything is written.
    """
    refuse_unknown("save", configs, ("safetensors", "use_binary_format", "pickle_protocol"))
    if configs.get("use_binary_format"):
        raise ValueError(explain("save", "use_binary_format=False", "True (Paddle's C++ format)",
                                 "a .pdparams or .safetensors file"))
    if configs.get("pickle_protocol") is not None:
        warnings.warn("save: pickle_protocol is called protocol now", DeprecationWarning, stacklevel=2)
        protocol = configs["pickle_protocol"]
    if type(protocol) is not int or not 2 <= protocol <= 4:
        raise ValueError(explain("save", "protocol 2, 3 or 4", repr(protocol)))
    name = _file_name(path, "write")
    with contextlib.nullcontext(path) if name is None else replacing(name) as target:
        if configs.get("safetensors") or (name is not None and name.endswith(".safetensors")):
            safetensors_file.dump(obj, target)
        else:
            with contextlib.nullcontext(target) if name is None else open(target, "wb") as file:
                pickle_writer.dump(obj, file, protocol)


def save_together(prefix: str, states: dict, protocol: int = 4, **configs) -> None:
    """Saves {suffix: state} as files prefix + suffix, all of which appear or none."""
    with replacing_together(prefix, states) as names:
        for name, state in zip(names, states.values()):
            with open(name, "wb") as file:
                save(state, file, protocol, **configs)


def load(path, return_numpy: bool = False, **configs):
    """What `save` (ours or Paddle's) stored, with tensors on the current device.

    path: a file name, or an object with `read`. The format is recognised by the contents; a file called `.safetensors`
        must be one.
    return_numpy: arrays instead of tensors. bfloat16 comes as ml_dtypes.bfloat16 (Paddle gives the bits as uint16).
    configs: `keep_name_table=True` keeps Paddle's table of parameter names; `safetensors=True` insists on that format.

    The file is data: no code in it is run, types other than NumPy arrays and plain containers are refused, and sizes
    are checked before memory is reserved. Raises CheckpointError (a ValueError) for damaged or hostile files.
    """
    refuse_unknown("load", configs, ("keep_name_table", "safetensors", "model_filename", "params_filename"))
    for key in ("model_filename", "params_filename"):
        if configs.get(key) is not None:
            raise ValueError(explain("load", f"no {key}: gpuflow reads what save wrote", repr(configs[key])))
    name = _file_name(path, "read")
    data, start = _contents(path, name)
    head = bytes(data[:9])
    must = bool(configs.get("safetensors")) or (name is not None and name.endswith(".safetensors"))
    safe = must or safetensors_file.is_safetensors(head, len(data))
    try:
        if not safe and head[:1] != b"\x80":
            raise CheckpointError("it begins like " + ("a zip archive (torch.save writes such)" if head[:2] == b"PK"
                                                       else "no checkpoint of Paddle or safetensors"))
        obj, end = (safetensors_file if safe else pickle_reader).read(data)
        if name is not None and end != len(data):
            raise CheckpointError(f"{len(data) - end} bytes follow the end of the contents")
        if name is None and hasattr(path, "seek"):
            path.seek(start + end)
        if safe:
            return _convert(obj, _is_array, return_numpy)
        return _from_paddle(obj, return_numpy, bool(configs.get("keep_name_table")))
    except CheckpointError as error:
        raise CheckpointError(f"load: {name or 'the file object'} cannot be read: {error}") from error


def _file_name(path, method: str) -> str | None:
    """The path as text, or None for a file object."""
    if isinstance(path, str | os.PathLike):
        return os.fspath(path)
    if hasattr(path, method):
        return None
    raise TypeError(explain("save" if method == "write" else "load",
                            f"a path or a binary file object with .{method}()", type(path).__name__))


def _contents(path, name: str | None):
    """The bytes, and where in the file object they begin. Files are mapped, so that arrays are copied once."""
    if name is None:
        start = path.tell() if hasattr(path, "tell") and hasattr(path, "seek") else 0
        rest = path.read()
        if not isinstance(rest, bytes):
            raise TypeError(explain("load", "a file object opened in binary mode", f"one that reads {type(rest)}"))
        return rest, start
    place = settled(name)
    if not os.path.isfile(place):
        near = [name + suffix for suffix in (".pdparams", ".pdopt", ".safetensors") if os.path.isfile(name + suffix)]
        if os.path.isfile(name + ".pdmodel"):
            near.append(f"jit.load({name!r}).state_dict(), since there is a model saved for inference")
        what = "a folder" if os.path.isdir(name) else "not there"
        raise FileNotFoundError(explain("load", "a file", f"{name!r}, which is {what}", near[0] if near else None))
    with open(place, "rb") as file:
        if not os.fstat(file.fileno()).st_size:
            raise CheckpointError(f"load: {name} cannot be read: it is empty")
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), 0


# ---- Paddle's conventions --------------------------------------------------------------------------------------------

def _from_paddle(obj, return_numpy: bool, keep_name_table: bool):
    """Follows Paddle's `load`: with a table of names, the tensors it lists; else all (name, array) pairs; else all
    arrays."""
    if isinstance(obj, dict) and SLICE_TABLE in obj:
        _join_slices(obj)
    if not isinstance(obj, dict) or NAME_TABLE not in obj:
        return _convert(obj, _is_named if _contains(obj, _is_named) else _is_array, return_numpy)
    table = obj[NAME_TABLE]
    if not isinstance(table, dict) or not all(key in obj and isinstance(text, str) for key, text in table.items()):
        raise CheckpointError(f"its table {NAME_TABLE} does not fit its contents")
    made: dict[int, object] = {}
    for key, text in table.items():
        if isinstance(obj[key], np.ndarray):
            array = obj[key]
            obj[key] = made.setdefault(id(array), _tensor(array, text, return_numpy))
    if not keep_name_table:
        del obj[NAME_TABLE]
    return obj


def _join_slices(obj: dict) -> None:
    try:
        for key, entry in obj.pop(SLICE_TABLE).items():
            parts = [obj.pop(name) for name in entry["slices"]]
            obj[key] = np.concatenate(parts).reshape(entry["OriginShape"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"its table {SLICE_TABLE} does not fit its contents") from error


def _is_array(obj) -> bool:
    return isinstance(obj, np.ndarray)


def _is_named(obj) -> bool:
    return isinstance(obj, tuple) and len(obj) == 2 and isinstance(obj[0], str) and isinstance(obj[1], np.ndarray)


def _parts(obj):
    return obj.values() if isinstance(obj, dict) else obj if isinstance(obj, list | tuple) else ()


def _contains(obj, condition) -> bool:
    seen, waiting = set(), [obj]
    while waiting:
        item = waiting.pop()
        if condition(item):
            return True
        if id(item) not in seen:
            seen.add(id(item))
            waiting.extend(_parts(item))
    return False


def _convert(obj, condition, return_numpy: bool):
    """`obj` with every part that meets `condition` made a tensor; parts that were one object stay one object."""
    made: dict[int, object] = {}

    def walk(item):
        if id(item) in made:
            return made[id(item)]
        if condition(item):
            text, array = item if isinstance(item, tuple) else (None, item)
            result = made.get(id(array))
            if result is None:
                result = made[id(array)] = _tensor(array, text, return_numpy)
        elif isinstance(item, dict):
            result = type(item)((key, walk(part)) for key, part in item.items())
        elif isinstance(item, list | tuple):
            result = type(item)(walk(part) for part in item)
        else:
            return item
        made[id(item)] = result
        return result

    return walk(obj)


def _tensor(array: np.ndarray, name: str | None, return_numpy: bool):
    if return_numpy:
        return array
    try:
        dtypes.of(array)
    except TypeError as error:
        raise CheckpointError(f"{error} The file holds an array of that type; try return_numpy=True.") from error
    tensor = wrap(array)
    if name is not None:
        tensor.name = name
    return tensor
