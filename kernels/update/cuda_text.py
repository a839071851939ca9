"""A rule as CUDA text: typedefs and macros from the rule and the layout, then the `.cu` file that uses them."""

from __future__ import annotations

import functools

from gpuflow_kernels import build
from gpuflow_kernels.update import layout
from gpuflow_kernels.update.layout import (
    CLIP_GROUP,
    CLIP_NONE,
    CLIP_NORM,
    CLIP_VALUE,
    COLUMNS,
    DENSE,
    INACTIVE,
    SCALARS,
    SPARSE,
    TAGS,
    Variant,
)

THREADS = 256
MOST_SPARSE = 8  # embeddings whose rows one launch takes along; their addresses travel in the kernel's arguments
C_TYPE = {"float32": "float", "float64": "double", "float16": "float16", "bfloat16": "bfloat16"}
_EMA_RATE = "const real ema_rate = real(tables_.scalars[SCALAR_ema_rate]);"
SIZE = {"float32": 4, "float64": 8, "float16": 2, "bfloat16": 2}


def _enum(**values) -> str:
    return "enum { " + ", ".join(f"{k} = {v}" for k, v in values.items()) + " };"


def _indices() -> str:
    tables = {"TAG": TAGS, "COLUMN": COLUMNS, "SCALAR": SCALARS}
    values = {f"{prefix}_{name}": k for prefix, names in tables.items() for k, name in enumerate(names)}
    values |= {f"{prefix}_COUNT": len(names) for prefix, names in tables.items()}
    return _enum(CLIP_NONE=CLIP_NONE, CLIP_VALUE=CLIP_VALUE, CLIP_NORM=CLIP_NORM, CLIP_GROUP=CLIP_GROUP,
                 INACTIVE=INACTIVE, DENSE=DENSE, SPARSE=SPARSE, **values)


def _macro(head: str, *lines: str) -> str:
    return " \\\n    ".join([f"#define {head}", *lines])


@functools.cache
def sumsq_text(grad: str) -> str:
    """The text with kernel `sumsq`, for gradients of this dtype."""
    # the struct types are defined in grid.cuh, so grad_t is a macro: it is looked up where it is used
    return "\n".join(
        [
            f"#define grad_t {C_TYPE[grad]}",
            f"#define WIDTH {16 // SIZE[grad]}",
            f"#define THREADS {THREADS}",
            f"#define MOST_SPARSE {MOST_SPARSE}",
            _indices(),
            build.cuda_text("norm/global_norm.cu"),
        ]
    )


@functools.cache
def update_text(rule, variant: Variant) -> str:
    """The text with kernel `update` for a rule and a variant."""
    arrays = layout.arrays(rule, variant)
    types = {name: "real" for name in arrays} | {"param_": "param_t", "grad_": "grad_t"}
    read_only = {"grad_"} | ({f"{s}_" for s in rule.state} if variant.phase == "apply" else set())
    read_only |= {"param_", "master_"} if variant.phase == "prepare" else set()
    # a rounded copy is written only, never read; nothing at all is done with it in the first pass
    loaded = [n for n in arrays if not (n == "param_" and variant.master)]
    stored = [n for n in arrays if n not in read_only]
    pointer = {n: f"{'const ' if n in read_only else ''}{types[n]}*" for n in arrays}
    start = {n: f"arrays_.{n} + chunk_.begin" for n in arrays} | {"grad_": "arrays_.grad_ + chunk_.source"}

    value = {"master_" if variant.master else "param_": "p", "grad_": "g", "ema_": "ema"} | {
        f"{s}_": s for s in rule.state
    }
    unpack = [f"real {value[n]} = widen(AT({n}));" for n in arrays if n in value and n in loaded]
    pack = [f"store(AT({n}), {value.get(n, 'p')});" for n in stored]
    element = [f"real {', '.join(layout.locals_of(rule, variant))};"] if layout.locals_of(rule, variant) else []
    element += [f"{line};" for line in layout.body(rule, variant)]
    finish = []
    if variant.phase == "prepare":
        element += [f"{name}_sum_ += double({variable}) * double({variable});" for name, variable in rule.norms.items()]
        for k, name in enumerate(rule.norms):
            finish += [
                f"{name}_sum_ = block_sum({name}_sum_);",
                f"if (threadIdx.x == 0) fold_.partials[piece_.partial * NORM_COUNT + {k}] = {name}_sum_;",
            ]
        finish.append("if (!arrives_last(fold_.arrived + chunk_.row, piece_.end - piece_.first)) return;")
        for k, name in enumerate(rule.norms):
            finish += [
                f"{name}_sum_ = fold(fold_.partials + {k}, piece_.first, piece_.end, NORM_COUNT);",
                f"if (threadIdx.x == 0) fold_.sums[chunk_.row * NORM_COUNT + {k}] = {name}_sum_;",
            ]

    sizes = [SIZE[variant.param if n == "param_" else variant.grad if n == "grad_" else variant.real] for n in arrays]
    return "\n".join(
        [
            f"typedef {C_TYPE[variant.real]} real;",
            f"#define param_t {C_TYPE[variant.param]}",
            f"#define grad_t {C_TYPE[variant.grad]}",
            f"#define WIDTH {16 // min(sizes)}",
            f"#define THREADS {THREADS}",
            f"#define MOST_SPARSE {MOST_SPARSE}",
            _indices(),
            _enum(NUMBER_COUNT=1 + len(rule.numbers), NORM_COUNT=len(rule.norms), FOLLOWS=int("ema_" in arrays)),
            _macro("FIELDS", *(f"{pointer[n]} {n};" for n in arrays)),
            _macro("SETUP", *_setup(rule, variant)),
            _macro("GRADIENT", "arrays_.grad_" if "grad_" in arrays else "nullptr"),
            _macro("POINTERS", *(f"{pointer[n]} {n} = {start[n]};" for n in arrays)),
            _macro("ALIGNED", " && ".join(f"on_16_bytes({n})" for n in arrays)),
            _macro(
                "LOAD_VECTORS",
                *(
                    f"{types[n]} {n}vector[WIDTH]; load_vector({n}vector, {n} + i_);"
                    if n in loaded
                    else f"{types[n]} {n}vector[WIDTH];"
                    for n in arrays
                    if n in loaded or n in stored
                ),
            ),
            _macro("UNPACK(AT)", *unpack),
            _macro("ELEMENT", *element),
            _macro("PACK(AT)", *pack),
            _macro("STORE_VECTORS", *(f"store_vector({n} + i_, {n}vector);" for n in stored)),
            _macro("FINISH", *finish),
            _macro("FOLLOW", *(_follow(variant) if "ema_" in arrays else ())),
            build.cuda_text("update/update.cu"),
        ]
    )


def _follow(variant: Variant) -> list[str]:
    """The running average of element i_ of a row that is not updated."""
    source = "master_" if variant.master else "param_"
    return [f"{_EMA_RATE} const real p = widen(arrays_.{source}[i_]);",
            f"real ema = arrays_.ema_[i_]; {layout.EMA_LINE}; arrays_.ema_[i_] = ema;"]


def _setup(rule, variant: Variant) -> list[str]:
    """Declarations of everything that is the same for all elements of a chunk."""
    lines = ["const real lr = real(number_[0] * column_[COLUMN_lr_scale]), decay = real(column_[COLUMN_decay]);"]
    lines += [f"const real {name} = real(number_[{k}]);" for k, name in enumerate(rule.numbers, 1)]
    if variant.phase == "apply":
        lines += [
            f"const real {name} = real(sqrt(tables_.layer_sumsq[chunk_.row * NORM_COUNT + {k}]));"
            for k, name in enumerate(rule.norms)
        ]
    else:
        lines += [
            f"const real {name} = real(column_[COLUMN_{name}]);" for name in ("l1", "l2") if name in variant.stages
        ]
        if "value" in variant.stages:
            lines += [
                "const bool bounded_ = tag_[TAG_clip] == CLIP_VALUE;",
                "const real lo = bounded_ ? real(column_[COLUMN_lo]) : -real(1) / real(0);",
                "const real hi = bounded_ ? real(column_[COLUMN_hi]) : real(1) / real(0);",
            ]
        if "scale" in variant.stages:
            lines.append(
                "const real scale = real(tables_.scalars[SCALAR_unscale] * "
                "shrink_(tables_, chunk_.row, tag_[TAG_clip], column_[COLUMN_hi], tag_[TAG_group]));"
            )
    if variant.phase == "prepare":
        lines += [f"double {name}_sum_ = 0.0;" for name in rule.norms]
    if variant.ema:
        lines.append(_EMA_RATE)
    return lines
