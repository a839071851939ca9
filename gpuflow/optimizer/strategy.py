"""The strategy table: how each parameter is updated, resolved from parameter, group and optimizer into one row.

Nothing else decides a strategy: `optimizer.explain()` prints these rows and the kernels read them as columns.
"""
from __future__ import annotations

import math
from dataclasses import dataclass, field
from numbers import Real

import numpy as np

from gpuflow.errors import explain
from gpuflow.ops.rows import SparseRows
from gpuflow.optimizer.lr import LRScheduler
from gpuflow.optimizer.lr.arguments import told
from gpuflow.regularizer import L1Decay, L2Decay, WeightDecayRegularizer
from gpuflow.tensor import Tensor

EVERYBODY = "default_group"   # ClipGradByGlobalNorm's group_name where nobody chose one


@dataclass(frozen=True)
class Strategy:
    """One parameter's row.

    rate: factor on the schedule's rate. l1, l2: what is added to the gradient. decay: decoupled weight decay.
    clip: "none", "value", "own norm", "shared norm", or "own code" for a clip that runs in Python; low, high: its
    bounds, high is the largest norm, a norm_type-norm. clip_by: the record it comes from.
    norm_group: which parameters are clipped together (a parameter group's number, or a clip's group_name).
    options: the rule's options, e.g. {"beta1": 0.9}. lazy: sparse gradients touch their rows only.
    source: for each of the above, where it was said.
    """

    rate: float = 1.0
    l1: float = 0.0
    l2: float = 0.0
    decay: float = 0.0
    clip: str = "none"
    low: float = 0.0
    high: float = 0.0
    norm_type: float = 2.0
    norm_group: object = None
    clip_by: object = None
    options: tuple = ()
    lazy: bool = False
    source: dict = field(default_factory=dict, compare=False)

    @property
    def fixed(self) -> bool:
        """True for a parameter that never moves and whose gradient nobody else's clip needs."""
        return self.rate == 0 and self.clip not in ("shared norm", "own code")

    @property
    def shares_norm(self) -> bool:
        """True where other clip objects may look at the same norm."""
        return self.clip == "shared norm" or isinstance(self.norm_group, str)


def said_by(param) -> tuple:
    """What a parameter says about itself: (rate scale, regularizer, need_clip). Plain tensors say nothing."""
    try:   # asked of each parameter at each step; what a Parameter always has is read without looking whether it has
        rate, regularizer, need_clip = param.optimize_attr["learning_rate"], param.regularizer, param.need_clip
    except (AttributeError, KeyError):
        said = param.__dict__
        rate = said.get("optimize_attr", {}).get("learning_rate", 1.0)
        regularizer, need_clip = said.get("regularizer"), said.get("need_clip", True)
    if rate.__class__ is not float and isinstance(rate, LRScheduler):
        rate = rate()
    return rate, regularizer, need_clip


def resolve(optimizer, param, number: int, group) -> Strategy:
    """The row of `param`, which is in group `number`. Raises TypeError or ValueError for settings that mean nothing."""
    where = optimizer._groups.title(number)
    row: dict = {"source": {}}
    _rate(row, optimizer, param, group, where)
    _penalty(row, optimizer, param, group, where)
    _clip(row, optimizer, param, group, number, where)
    options = options_of(optimizer, group)
    own = [name for name in options if name in group]
    if optimizer._options:
        row["source"]["options"] = f"{where}: {', '.join(own)}" if own else "optimizer"
    row["options"] = tuple(options.items())
    return optimizer._adjusted(Strategy(**row, lazy=bool(group.get("lazy_mode", optimizer._lazy))))


def options_of(optimizer, group) -> dict:
    """The rule's options in a group: its own, else the optimizer's."""
    return optimizer._checked(**{name: group.get(name, value) for name, value in optimizer._options.items()})


def _rate(row, optimizer, param, group, where):
    factors = []
    own = said_by(param)[0]
    if own != 1.0:
        factors.append((own, "ParamAttr"))
    if "learning_rate" in group:
        factor, origin = group["learning_rate"], where
        if isinstance(factor, LRScheduler):
            factor, origin = factor(), f"{where} {type(factor).__name__}"
        factors.append((factor, origin))
    ratio = optimizer._ratio_of(param)
    if ratio is not None:
        factors.append((ratio, "lr_ratio"))
    row["rate"] = 1.0
    for factor, origin in factors:
        row["rate"] *= coefficient(f"{origin} learning rate of {param.name}", factor)
    row["source"]["rate"] = " × ".join(f"{origin} {factor:g}" for factor, origin in factors) or "default"


def _penalty(row, optimizer, param, group, where):
    """l1, l2 and decoupled decay: the parameter's own regularizer, else the group's, else the optimizer's."""
    own = said_by(param)[1]
    key = optimizer._decay_key
    given, origin = (group[key], where) if group.get(key) is not None else (optimizer._weight_decay, "optimizer")
    if own is not None:
        penalise(row, own, "ParamAttr")
    elif optimizer.decoupled and given is not None:
        decay = coefficient(f"{optimizer._owner}({key}=...)", given)
        if not optimizer._decays(param):
            decay, origin = 0.0, optimizer._decay_filter
        row["decay"], row["source"]["decay"] = decay, origin
    elif given is not None:
        penalise(row, as_penalty(f"{optimizer._owner}({key}=...)", given), origin)
    if optimizer.decoupled and own is not None:
        row["source"]["decay"] = "off: ParamAttr has a regularizer"


def penalise(row, penalty, origin):
    """Enters an L1Decay or L2Decay into a row."""
    kind = "l1" if isinstance(penalty, L1Decay) else "l2"
    row[kind], row["source"][kind] = penalty.coeff, origin


def _clip(row, optimizer, param, group, number, where):
    own = group.get("grad_clip")
    clip, origin = (own, where) if own is not None else (optimizer._grad_clip, "optimizer")
    if clip is None:
        return
    kind = clip_kind(f"{optimizer._owner}(grad_clip=...)", clip)
    if not said_by(param)[2]:
        row["source"]["clip"] = "off: need_clip=False"
        return
    row["clip"], row["clip_by"], row["source"]["clip"] = kind, clip, origin
    known = _known_clip(clip)
    if known == "":
        row["norm_group"] = number
        return
    if known == "value":
        row["low"], row["high"] = float(clip.min), float(clip.max)
        return
    row["high"], row["norm_type"] = float(clip.clip_norm), float(clip.norm_type)
    if known == "shared norm":   # one per parameter group, as in Paddle, unless the clips agree on a name
        row["norm_group"] = number if clip.group_name == EVERYBODY else clip.group_name


def coefficient(where: str, value) -> float:
    """value as a float; TypeError for no number, ValueError below 0, for NaN and for infinity."""
    value = told(value)
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(explain(where, "a number >= 0", f"{value!r} ({type(value).__name__})"))
    if not math.isfinite(value) or value < 0:
        raise ValueError(explain(where, "a finite number >= 0", repr(value)))
    return float(value)


def as_penalty(where: str, value) -> WeightDecayRegularizer:
    """A regularizer record: a number means L2Decay."""
    value = told(value)
    if isinstance(value, WeightDecayRegularizer):
        return value
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(explain(where, "a number, L1Decay, L2Decay or None", f"{value!r} ({type(value).__name__})"))
    return L2Decay(coefficient(where, value))


def clip_kind(where: str, clip) -> str:
    """"value", "own norm", "shared norm", or "own code" for clips without a kernel; TypeError for what is none."""
    from gpuflow.nn.clip import ClipGradBase  # all of nn, if nobody had a clip yet

    if not isinstance(clip, ClipGradBase):
        raise TypeError(explain(where, "ClipGradByValue, ClipGradByNorm, ClipGradByGlobalNorm, another ClipGradBase "
                                "or None", f"{clip!r} ({type(clip).__name__})"))
    known = _known_clip(clip)
    return known if known and getattr(clip, "norm_type", 2) == 2 else "own code"


def _known_clip(clip) -> str:
    """"value", "own norm" or "shared norm" of any p; "" for a clip whose code is not ours."""
    from gpuflow.nn.clip import ClipGradBase, ClipGradByGlobalNorm, ClipGradByNorm, ClipGradByValue

    cls = type(clip)
    for kind, text in ((ClipGradByValue, "value"), (ClipGradByNorm, "own norm"), (ClipGradByGlobalNorm, "shared norm")):
        if cls._dygraph_clip is kind._dygraph_clip and cls.__call__ is ClipGradBase.__call__:
            return text
    return ""


def clipped(rows) -> dict:
    """{id(param): gradient} from clips called in Python, together where they share a norm.

    rows: [(param, gradient, Strategy)]; those without a clip are not in the result.
    """
    together: dict = {}
    for p, g, row in rows:
        if row.clip != "none":
            key = (row.clip if row.shares_norm else id(row.clip_by), row.norm_group)
            together.setdefault(key, (row.clip_by, []))[1].append((p, g))
    return {id(p): g for clip, pairs in together.values() for p, g in clip(pairs)}


def scaled(g, factor: float):
    """A gradient times a number, two-byte ones in float32; sparse stays sparse."""
    if factor == 1.0:
        return g
    values = g.values if isinstance(g, SparseRows) else g._array
    values = (values.astype(np.float32) if values.dtype.itemsize == 2 else values) * factor
    return SparseRows(g.rows, values, g.shape) if isinstance(g, SparseRows) else Tensor(values)


def any_nonfinite(gradients):
    """0-d bool array on their device: is there an inf or NaN?"""
    sums = [abs(g.values if isinstance(g, SparseRows) else g._array).astype(np.float64).sum() for g in gradients]
    total = sum(sums)
    return ~(total < np.inf)


def check_norm_groups(owner: str, rows) -> None:
    """ValueError when parameters share a norm but not its maximum. rows: [(param, Strategy)]."""
    first: dict = {}
    for p, row in rows:
        if row.shares_norm:
            other, theirs = first.setdefault(row.norm_group, (p, row))
            if (row.high, row.norm_type) != (theirs.high, theirs.norm_type):
                raise ValueError(explain(f"{owner}(grad_clip=...)",
                                         f"one clip_norm for the shared norm {row.norm_group!r}, and one norm_type",
                                         f"{theirs.high} ({theirs.norm_type:g}-norm) for {other.name} and "
                                         f"{row.high} ({row.norm_type:g}-norm) for {p.name}",
                                         "another group_name for one of the clips"))


class StrategyTable(list):
    """What `optimizer.explain()` returns: one dict per parameter; as text and in a notebook, a table.

    frozen: names without a row.
    """

    HEADER = ("parameter", "shape", "dtype", "rate", "l1", "l2", "decay", "clip", "options", "why")

    def __init__(self, rows, frozen):
        super().__init__(rows)
        self.frozen = frozen

    def __str__(self):
        cells = [self.HEADER, *[_cells(row) for row in self]]
        widths = [max(len(line[k]) for line in cells) for k in range(len(self.HEADER))]
        lines = ["  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in cells]
        if self.frozen:
            lines.append(f"frozen, no row: {', '.join(self.frozen)}")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape  # a notebook has it already

        def line(tag, cells):
            return f"<tr>{''.join(f'<{tag}>{escape(text)}</{tag}>' for text in cells)}</tr>"

        rows = [line("th", self.HEADER), *[line("td", _cells(row)) for row in self]]
        frozen = f"<p>frozen, no row: {escape(', '.join(self.frozen))}</p>" if self.frozen else ""
        return f"<table>{''.join(rows)}</table>{frozen}"


def as_data(param, row: Strategy) -> dict:
    """A row as `explain()` gives it: values, and under "source" where each came from."""
    bounds = {"none": None, "own code": None, "value": (row.low, row.high)}.get(row.clip, row.high)
    clip = type(row.clip_by).__name__ if row.clip == "own code" else row.clip
    if row.norm_type != 2:
        clip, bounds = _known_clip(row.clip_by).replace("norm", f"{row.norm_type:g}-norm"), row.high
    return {"parameter": param.name, "shape": list(param.shape), "dtype": param.dtype.name, "rate": row.rate,
            "l1": row.l1, "l2": row.l2, "decay": row.decay, "clip": clip, "clip_bounds": bounds,
            "norm_group": row.norm_group, "options": dict(row.options), "lazy": row.lazy, "source": dict(row.source)}


def _cells(row) -> list[str]:
    clip = row["clip"] if row["clip_bounds"] is None else f"{row['clip']} {_short(row['clip_bounds'])}"
    if row["norm_group"] is not None:
        clip += f" of group {row['norm_group']!r}"
    options = " ".join(f"{name}={_short(value)}" for name, value in row["options"].items())
    why = "; ".join(f"{name}: {origin}" for name, origin in row["source"].items()
                    if origin not in ("default", "optimizer"))
    return [row["parameter"], str(row["shape"]), row["dtype"], f"{row['rate']:g}", f"{row['l1']:g}", f"{row['l2']:g}",
            f"{row['decay']:g}", clip, options, why]


def _short(value) -> str:
    """A number in few digits, bounds as a..b, anything else as it prints."""
    if isinstance(value, tuple):
        return "..".join(map(_short, value))
    return f"{value:g}" if isinstance(value, Real) else str(value)
