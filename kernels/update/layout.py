"""What the kernels' tables hold, said once for Python, Numba and CUDA."""

from __future__ import annotations

from dataclasses import dataclass

CHUNK = 8192  # elements per chunk: fixed, since the fold order of the norm hangs on it
ALIGN = 64  # a parameter's range in the arena starts at a multiple of this

# columns: float64 [rows, 6]
COLUMNS = ("lr_scale", "l1", "l2", "decay", "lo", "hi")
# tags: int32 [rows, 4]
TAGS = ("clip", "group", "set", "active")
CLIP_NONE, CLIP_VALUE, CLIP_NORM, CLIP_GROUP = range(4)  # tags.clip; the norm clips take their maximum from hi
# tags.active; a STILL row's gradient counts in the norms, and the row stays where it is
INACTIVE, DENSE, SPARSE, STILL = range(4)
# scalars: float64 [4]
SCALARS = ("unscale", "ema_rate", "skip", "unused")
# sparse: int64 [rows, 7], one line for each sparse gradient of a step; struct Rows of common/grid.cuh
SPARSE_FIELDS = ("ids", "values", "begin", "width", "row", "first", "count")
# chunks: int64 [n, 4]; begin and end index parameter and states, source is where the gradient of `begin` lies
CHUNK_FIELDS = ("begin", "end", "row", "source")

# What happens to one element before the rule; the key order is the contract. A stage that no row uses is left out.
STAGES = {
    "scale": "g = g * scale",
    "value": "g = where(g < lo, lo, where(g > hi, hi, g))",
    "l2": "g = g + l2 * p",
    "l1": "g = g + l1 * sign(p)",
}
# What happens after it.
EMA_LINE = "ema = ema + ema_rate * (p - ema)"

DTYPES = ("float32", "float64", "float16", "bfloat16")


@dataclass(frozen=True)
class Variant:
    """One kernel among those that a rule can become.

    param   dtype of the parameter buffer, one of DTYPES.
    grad    dtype of the gradient buffer.
    master  True when a float32 master copy is the true parameter and `param` its rounded copy.
    ema     True when a running average of the parameter is kept.
    stages  keys of STAGES in use.
    phase   "whole"; or, for a rule with norms, "prepare" and then "apply".
    """

    param: str = "float32"
    grad: str = "float32"
    master: bool = False
    ema: bool = False
    stages: tuple[str, ...] = tuple(STAGES)
    phase: str = "whole"

    @property
    def real(self) -> str:
        """The compute type: states, master and EMA are stored in it."""
        return "float64" if self.param == "float64" else "float32"


def arrays(rule, variant: Variant) -> list[str]:
    """Names of the per-element arrays a kernel takes, in argument order."""
    names = ["param"]
    names += ["grad"] if variant.phase != "apply" else []
    names += ["master"] if variant.master else []
    names += ["ema"] if variant.ema and variant.phase != "prepare" else []
    return [f"{name}_" for name in (*names, *rule.state)]


def parts(variant: Variant) -> tuple[str, ...]:
    """The parts of the rule that a phase runs."""
    return {"whole": ("formula",), "prepare": ("prepare", "direction"), "apply": ("direction", "formula")}[
        variant.phase
    ]


def body(rule, variant: Variant) -> list[str]:
    """Every line for one element: stages, the rule's lines, the running average."""
    lines = [text for name, text in STAGES.items() if name in variant.stages and variant.phase != "apply"]
    for part in parts(variant):
        lines += rule.lines(part)
    if variant.ema and variant.phase != "prepare":
        lines.append(EMA_LINE)
    return lines


def locals_of(rule, variant: Variant) -> list[str]:
    """Names that the lines introduce, for a language that declares its variables."""
    return rule.locals(*parts(variant))
