"""A rule as CUDA text: typedefs and macros from the rule and the layout, then the `.cu` file that uses them.

A launch is over buckets of any dtypes. A text is made for the kinds that meet in it and no others, so that a step of
float32 alone pays nothing for the rest.
"""

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


def _choice(count: int, call: str) -> str:
    """The call, with # for a bucket's number, for the bucket that the piece's row is of; as C text."""
    calls = [call.replace("#", str(k)) for k in range(count)]
    return "".join(f"piece.chunk.row < bucket_{k}.end ? {c} : " for k, c in enumerate(calls[:-1])) + calls[-1]


@functools.cache
def sumsq_text(gradients: tuple[str, ...]) -> str:
    """The text with kernel `sumsq`, for buckets whose gradients have these dtypes."""
    buckets = (f"const __grid_constant__ Gradient<{C_TYPE[dtype]}> bucket_{k}," for k, dtype in enumerate(gradients))
    return "\n".join([
        f"#define THREADS {THREADS}",
        _macro("BUCKETS", *buckets),
        f"#define SQUARES {_choice(len(gradients), 'squares(bucket_#, piece)')}",
        _indices(),
        build.cuda_text("norm/global_norm.cu"),
    ])


@functools.cache
def update_text(rule, variants: tuple[Variant, ...]) -> str:
    """The text with kernel `update` for a rule and a variant for each bucket."""
    count = len(variants)
    head = "\n".join([
        f"#define THREADS {THREADS}",
        _indices(),
        _enum(NUMBER_COUNT=1 + len(rule.numbers), NORM_COUNT=len(rule.norms)),
        _macro("BUCKETS", *(f"const __grid_constant__ body_{k}::Arrays bucket_{k}," for k in range(count))),
        f"#define RUN {_choice(count, 'body_#::run(bucket_#, tables, piece, fold)')};",
    ])
    body = build.cuda_text("update/body.cuh")
    bodies = [f"{_body_macros(rule, variant, k)}\n{body}" for k, variant in enumerate(variants)]
    return f"{head}\n{build.cuda_text('update/update.cu').replace(body, ''.join(bodies))}"


def _body_macros(rule, variant: Variant, k: int) -> str:
    """What stands before update/body.cuh: the formula between loads and stores."""
    arrays = layout.arrays(rule, variant)
    types = {name: "real" for name in arrays} | {"param_": "param_t", "grad_": "grad_t"}
    read_only = {"grad_"} | ({f"{s}_" for s in rule.state} if variant.phase == "apply" else set())
    read_only |= {"param_", "master_"} if variant.phase == "prepare" else set()
    # a rounded copy is written only, never read; nothing at all is done with it in the first pass
    loaded = [n for n in arrays if not (n == "param_" and variant.master)]
    stored = [n for n in arrays if n not in read_only]
    pointer = {n: f"{'const ' if n in read_only else ''}{types[n]}*" for n in arrays}
    start = {n: f"arrays_.{n} + chunk_.begin" for n in arrays} | {"grad_": "gradient_of(piece_, arrays_.grad_)"}

    value = {"master_" if variant.master else "param_": "p", "grad_": "g", "ema_": "ema"} | {
        f"{s}_": s for s in rule.state
    }
    unpack = [f"real {value[n]} = widen(AT({n}));" for n in arrays if n in value and n in loaded]
    pack = [f"store(AT({n}), {value.get(n, 'p')});" for n in stored]
    element = [f"real {', '.join(layout.locals_of(rule, variant))};"] if layout.locals_of(rule, variant) else []
    element += [f"{line};" for line in layout.body(rule, variant)]
    if variant.phase == "prepare":
        element += [f"{name}_sum_ += double({variable}) * double({variable});" for name, variable in rule.norms.items()]

    sizes = [SIZE[variant.param if n == "param_" else variant.grad if n == "grad_" else variant.real] for n in arrays]
    vectors = [f"{types[n]} {n}vector[WIDTH];" + (f" load_vector({n}vector, {n} + i_);" if n in loaded else "")
               for n in arrays if n in loaded or n in stored]
    return "\n".join([
        f"#define BODY body_{k}",
        _macro("TYPES", f"typedef {C_TYPE[variant.real]} real;", f"typedef {C_TYPE[variant.param]} param_t;",
               f"typedef {C_TYPE[variant.grad]} grad_t;",
               _enum(WIDTH=16 // min(sizes), FOLLOWS=int("ema_" in arrays))),
        _macro("FIELDS", *(f"{pointer[n]} {n};" for n in arrays)),
        _macro("SETUP", *_setup(rule, variant)),
        _macro("POINTERS", *(f"{pointer[n]} {n} = {start[n]};" for n in arrays)),
        _macro("ALIGNED", " && ".join(f"on_16_bytes({n})" for n in arrays)),
        _macro("LOAD_VECTORS", *vectors),
        _macro("UNPACK(AT)", *unpack),
        _macro("ELEMENT", *element),
        _macro("PACK(AT)", *pack),
        _macro("STORE_VECTORS", *(f"store_vector({n} + i_, {n}vector);" for n in stored)),
        _macro("FINISH", *(_finish(rule) if variant.phase == "prepare" else ())),
        _macro("FOLLOW", *(_follow(variant) if "ema_" in arrays else ())),
    ])


def _finish(rule) -> list[str]:
    """The end of a chunk's first pass: its share of the row's norms, and the last of a row adds them."""
    lines = []
    for k, name in enumerate(rule.norms):
        lines += [f"{name}_sum_ = block_sum({name}_sum_);",
                  f"if (threadIdx.x == 0) fold_.partials[piece_.partial * NORM_COUNT + {k}] = {name}_sum_;"]
    lines.append("if (!arrives_last(fold_.arrived + chunk_.row, piece_.end - piece_.first)) return;")
    for k, name in enumerate(rule.norms):
        lines += [f"{name}_sum_ = fold(fold_.partials + {k}, piece_.first, piece_.end, NORM_COUNT);",
                  f"if (threadIdx.x == 0) fold_.sums[chunk_.row * NORM_COUNT + {k}] = {name}_sum_;"]
    return lines


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
