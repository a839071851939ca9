"""`gpuflow inspect` and `gpuflow export-layer`: what a checkpoint holds, and one layer's weights out of it."""
import json
import math
import os
from collections.abc import Iterator

from gpuflow.errors import explain


def add_to(commands) -> None:
    """Adds both commands."""
    command = commands.add_parser("inspect", help="list names, shapes, types and sizes of a checkpoint", description=(
        "Lists what a checkpoint holds. Of a .safetensors file only the header is read; it names tied tensors once."))
    command.add_argument("file", metavar="FILE")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=_inspect)

    command = commands.add_parser("export-layer", help="write the weights of one layer", description=(
        "Writes the weights whose names begin with PREFIX and a dot, without that beginning, so that the layer's "
        "set_state_dict takes them. OUT is a .safetensors file by that suffix, else Paddle's format."))
    command.add_argument("file", metavar="FILE")
    command.add_argument("prefix", metavar="PREFIX", help="such as encoder.fc1, or model.encoder.fc1 in a nested one")
    command.add_argument("out", metavar="OUT")
    command.add_argument("--force", action="store_true", help="replace OUT if it exists")
    command.set_defaults(run=_export_layer)


def _leaves(obj, path: tuple = ()) -> Iterator[tuple[str, object]]:
    """(dotted name, value) for everything in nested containers."""
    if isinstance(obj, dict | list | tuple):
        for key, value in obj.items() if isinstance(obj, dict) else enumerate(obj):
            yield from _leaves(value, (*path, str(key)))
    else:
        yield ".".join(path), obj


# ---- inspect ---------------------------------------------------------------------------------------------------------

def _inspect(options) -> None:
    tensors = _header(options.file)
    others: dict[str, str] = {}
    if tensors is None:
        tensors, others = _contents(options.file)
    shown = [tensor for tensor in tensors if "tied_to" not in tensor]
    totals = {"tensors": len(tensors), "elements": sum(math.prod(tensor["shape"]) for tensor in shown),
              "bytes": sum(tensor["bytes"] for tensor in shown)}
    if options.json:
        print(json.dumps({"file": options.file, "tensors": tensors, "others": others, "total": totals}))
        return
    lines = [(tensor["name"], str(tensor["shape"]), tensor["dtype"],
              f"tied to {tensor['tied_to']}" if "tied_to" in tensor else f"{tensor['bytes']:,}") for tensor in tensors]
    widths = [max(map(len, column)) for column in zip(("name", "shape", "dtype", "bytes"), *lines)]
    for name, shape, dtype, size in [("name", "shape", "dtype", "bytes"), *lines]:
        print(f"{name:{widths[0]}}  {shape:{widths[1]}}  {dtype:{widths[2]}}  {size:>{widths[3]}}")
    for name, text in others.items():
        print(f"{name}: {text}")
    print(f"{totals['tensors']} tensors, {totals['elements']:,} elements, {totals['bytes']:,} bytes")


def _header(file: str) -> list[dict] | None:
    """The tensors that a .safetensors file's header names, in the order of the file; None if it is no such file."""
    from safetensors import SafetensorError, safe_open

    if not os.path.isfile(file):
        return None
    with open(file, "rb") as stream:
        if stream.read(9)[8:] != b"{":
            return None
    try:
        with safe_open(file, "np") as opened:
            return [_described(name, opened.get_slice(name)) for name in opened.offset_keys()]
    except SafetensorError:
        return None   # `load` says what is wrong with it


def _described(name: str, part) -> dict:
    """part: what safe_open gives for a tensor without reading it. Its type is a code such as F32, BOOL or F8_E4M3."""
    code = part.get_dtype()
    letters = code.rstrip("0123456789") if "_" not in code else code[0]
    kind = {"F": "float", "BF": "bfloat", "I": "int", "U": "uint", "C": "complex"}.get(letters)
    bits = 8 if kind is None else int(code[len(letters):].partition("_")[0])
    tensor = {"name": name if name.isprintable() else repr(name), "shape": part.get_shape(),
              "dtype": (kind or letters).lower() + code[len(letters):].lower()}
    return {**tensor, "bytes": math.prod(tensor["shape"]) * bits // 8}


def _contents(file: str) -> tuple[list[dict], dict[str, str]]:
    """The tensors of any checkpoint, and the text of its other values by name."""
    import numpy as np

    from gpuflow.io.checkpoint import load

    tensors, others = [], {}
    first: dict[int, str] = {}
    for name, value in _leaves(load(file, return_numpy=True)):
        name = name if name.isprintable() else repr(name)
        if not isinstance(value, np.ndarray):
            text = repr(value)
            others[name] = text if len(text) <= 80 else f"{text[:77]}..."
            continue
        tensors.append({"name": name, "shape": list(value.shape), "dtype": value.dtype.name, "bytes": value.nbytes})
        if id(value) in first:
            tensors[-1]["tied_to"] = first[id(value)]
        else:
            first[id(value)] = name
    return tensors, others


# ---- export-layer ----------------------------------------------------------------------------------------------------

def _export_layer(options) -> None:
    import numpy as np

    from gpuflow.io.checkpoint import load, save

    if os.path.lexists(options.out) and not options.force:
        raise FileExistsError(explain("OUT", "a new file", f"{options.out}, which is there already", "--force"))
    tensors = [(name, value) for name, value in _leaves(load(options.file, return_numpy=True))
               if isinstance(value, np.ndarray)]
    start = options.prefix.rstrip(".") + "."
    layer = [(name[len(start):], value) for name, value in tensors if name.startswith(start)]
    if not layer:
        raise ValueError(explain("PREFIX", f"the beginning of a name in {options.file}, up to a dot",
                                 repr(options.prefix), _near(start[:-1], [name for name, _ in tensors])))
    if len(dict(layer)) != len(layer):
        raise ValueError(explain("PREFIX", "names that stay different without it", repr([name for name, _ in layer])))
    save(dict(layer), options.out)
    print(f"{options.out}: " + ", ".join(f"{name} {list(value.shape)} {value.dtype.name}" for name, value in layer))


def _near(prefix: str, names: list[str]) -> str:
    """The prefixes that could be meant, as text."""
    import difflib

    prefixes = list(dict.fromkeys(name.rpartition(".")[0] for name in names if "." in name))
    near = difflib.get_close_matches(prefix, prefixes, 5, 0.5)
    near += [p for p in prefixes if p not in near and p.endswith(prefix.rpartition(".")[2])][:5]
    found = near or prefixes[:10]
    if not found:
        return f"a checkpoint with dots in its names; here: {names[:10]}"
    return ", ".join(found) + ("" if len(found) == len(prefixes) else f" ({len(prefixes)} in all)")
