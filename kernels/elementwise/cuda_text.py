"""A chain as CUDA text: types and macros, then `elementwise.cu` as it stands."""

from __future__ import annotations

from gpuflow_kernels import build
from gpuflow_kernels.elementwise.chain import DTYPES, Chain

THREADS = 256
_C = {"int8": "signed char", "int16": "short", "int32": "int", "int64": "long long", "float32": "float",
      "float64": "double"}
_C |= {f"u{name}": f"unsigned {kind.removeprefix('signed ')}" for name, kind in _C.items() if name.startswith("int")}
_TYPES = "\n".join(f"typedef {_C[name]} {name};" for name in DTYPES if name != "bool")
_NUMBERS = "#define inf (1.0 / 0.0)\n#define nan (0.0 / 0.0)"


def cuda_text(chain: Chain, flat: bool) -> str:
    """The text with kernel `elementwise`. flat: every input has all elements. Sums it does not know."""
    values = chain.needed(chain.outputs)
    count = len(chain.inputs)
    fields = [f"const {dtype}* a{k};" for k, dtype in enumerate(chain.inputs)]
    fields += [f"{chain.dtype(v)}* o{k};" for k, v in enumerate(chain.outputs)]
    macros = {
        "INPUTS": [str(max(count, 1))],
        "FLAT": [str(int(flat))],
        "FIELDS": fields,
        "LOAD": [f"const {chain.inputs[v]} t{v} = arrays.a{v}[AT({v})];" for v in values if v < count],
        "LINES": [f"const {chain.dtype(v)} t{v} = {chain.text(v)};" for v in values if v >= count],
        "STORE": [f"arrays.o{k}[e] = t{v};" for k, v in enumerate(chain.outputs)],
    }
    lines = [" \\\n    ".join([f"#define {name}", *text]) for name, text in macros.items()]
    return "\n".join([_TYPES, _NUMBERS, *lines, build.cuda_text("elementwise/elementwise.cu")])
