"""A rule as Numba text: one file with the helpers and the kernel, ready for `build.numba_module`."""

from __future__ import annotations

from gpuflow_kernels.update import layout
from gpuflow_kernels.update.layout import COLUMNS, SCALARS, TAGS, Variant

# Reordering and contraction allowed, NaN and infinity kept: full fastmath would assume them away.
_HEAD = """\
import math
import numpy as np
from numba import njit, prange

real = np.float32
flags = dict(error_model="numpy", fastmath={"contract", "arcp", "reassoc", "nsz"})
helper = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **flags)  # called from kernels only


@helper
def where(condition, a, b):
    return a if condition else b


@helper
def sign(x):
    return where(x > 0, real(1), real(0)) - where(x < 0, real(1), real(0))


@helper
def fmin(a, b):
    return a if (a < b or a != a) else b


@helper
def fmax(a, b):
    return a if (a > b or a != a) else b


@helper
def sqrt(x):
    return real(math.sqrt(x))


@helper
def fabs(x):
    return real(math.fabs(x))
"""

_WIDEN = {
    "float32": "",
    "float64": "",
    "bfloat16": """

@helper
def widen_bfloat16_(bits):
    return np.uint32(np.uint32(bits) << np.uint32(16)).view(np.float32)


@helper
def round_bfloat16_(x):
    bits = np.float32(x).view(np.uint32)
    nearest_even = np.uint32(bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))
    nan = np.uint32(bits | np.uint32(0x400000))
    return np.uint16(where(x != x, nan, nearest_even) >> np.uint32(16))
""",
    "float16": """

@helper
def widen_float16_(bits):
    wide = np.uint32(bits)
    # the exponent moves from bias 15 to bias 127 by a product, which also makes subnormals right
    small = np.uint32((wide & np.uint32(0x7FFF)) << np.uint32(13)).view(np.float32) * np.float32(2.0**112)
    magnitude = np.float32(small).view(np.uint32)
    special = (wide & np.uint32(0x7C00)) == np.uint32(0x7C00)
    magnitude = np.uint32(where(special, magnitude | np.uint32(0x7F800000), magnitude))
    return np.uint32(magnitude | ((wide & np.uint32(0x8000)) << np.uint32(16))).view(np.float32)


@helper
def round_float16_(x):
    bits = np.float32(x).view(np.uint32)
    size = np.uint32(bits & np.uint32(0x7FFFFFFF))
    # below 2**-14: adding 0.5 leaves the subnormal, rounded to even, in the low bits
    shifted = np.uint32(size).view(np.float32) + np.float32(0.5)
    tiny = np.uint32(np.float32(shifted).view(np.uint32) - np.uint32(0x3F000000))
    odd = (size >> np.uint32(13)) & np.uint32(1)
    normal = np.uint32(np.uint32(size - np.uint32(112 << 23) + np.uint32(0xFFF) + odd) >> np.uint32(13))
    result = np.uint32(where(size < np.uint32(0x38800000), tiny, normal))
    result = np.uint32(where(size >= np.uint32(0x47800000), np.uint32(0x7C00), result))
    result = np.uint32(where(size > np.uint32(0x7F800000), np.uint32(0x7E00), result))
    return np.uint16(result | ((bits >> np.uint32(16)) & np.uint32(0x8000)))
""",
}


def head(real: str, *dtypes: str) -> str:
    """Imports, the formula language's functions in type `real`, and conversions for the given dtypes."""
    return _HEAD.replace("real = np.float32", f"real = np.{real}") + "".join(_WIDEN[d] for d in dict.fromkeys(dtypes))


def widen(value: str, dtype: str) -> str:
    return f"widen_{dtype}_({value})" if _WIDEN[dtype] else f"real({value})"


def rounded(value: str, dtype: str) -> str:
    return f"round_{dtype}_({value})" if _WIDEN[dtype] else value


def update_text(rule, variant: Variant) -> str:
    """The text of a module whose function `update(chunks, gaps, want, tags, columns, numbers, scalars, row_sumsq,
    group_sumsq, layer_sumsq, layer_partials, *arrays)` updates every chunk (see update/runs.py) whose row has
    tags.active == want. Beside dense rows the running average of those that stay where they are goes on. `tidy` brings
    the padding inside a chunk back to 0, which a rule may have moved or divided by."""
    arrays = layout.arrays(rule, variant)
    tag = {name: f"tags[row, {k}]" for k, name in enumerate(TAGS)}
    column = {name: f"columns[row, {k}]" for k, name in enumerate(COLUMNS)}
    tables = "tags, columns, numbers, scalars, row_sumsq, group_sumsq, layer_sumsq, layer_partials"

    setup = [f"lr = real(numbers[set_, 0] * {column['lr_scale']})", f"decay = real({column['decay']})"]
    setup += [f"{name} = real(numbers[set_, {k + 1}])" for k, name in enumerate(rule.numbers)]
    if variant.phase != "apply":
        setup += [f"{name} = real({column[name]})" for name in ("l1", "l2") if name in variant.stages]
        if "value" in variant.stages:
            setup += [
                f"lo = real({column['lo']} if {tag['clip']} == {layout.CLIP_VALUE} else -np.inf)",
                f"hi = real({column['hi']} if {tag['clip']} == {layout.CLIP_VALUE} else np.inf)",
            ]
        if "scale" in variant.stages:
            setup.append(
                f"scale = real(scalars[{SCALARS.index('unscale')}] * "
                f"shrink_({tag['clip']}, {column['hi']}, row_sumsq[row], group_sumsq[{tag['group']}]))"
            )
    if variant.ema:
        setup.append(f"ema_rate = real(scalars[{SCALARS.index('ema_rate')}])")
    if variant.phase == "apply":
        setup += [f"{name} = real(math.sqrt(layer_sumsq[row, {k}]))" for k, name in enumerate(rule.norms)]
    for name in arrays:
        first = "source" if name == "grad_" else "begin"
        setup.append(f"{name} = {name}[{first}:{first} + end - begin]")
    if variant.phase == "prepare":
        setup += [f"{name}_sum = 0.0" for name in rule.norms]

    loop = [f"p = {widen('param_[i]', variant.param) if not variant.master else 'master_[i]'}"]
    if variant.phase != "apply":
        loop.append(f"g = {widen('grad_[i]', variant.grad)}")
    loop += [f"{name} = {name}_[i]" for name in (*rule.state, "ema") if f"{name}_" in arrays]
    loop += layout.body(rule, variant)
    if variant.phase != "apply":
        loop += [f"{name}_[i] = {name}" for name in rule.state]
    if variant.phase == "prepare":
        loop += [
            f"{name}_sum += np.float64({variable}) * np.float64({variable})" for name, variable in rule.norms.items()
        ]
    else:
        loop += ["master_[i] = p"] if variant.master else []
        loop.append(f"param_[i] = {rounded('p', variant.param)}")
        loop += ["ema_[i] = ema"] if variant.ema else []
    after = (
        [f"layer_partials[c, {k}] = {name}_sum" for k, name in enumerate(rule.norms)]
        if variant.phase == "prepare"
        else []
    )

    written = [name for name in arrays if name != "grad_"]
    follow, otherwise = "", ""
    if "ema_" in arrays:
        p = widen("param_[i]", variant.param) if not variant.master else "master_[i]"
        follow = f"""

@helper
def follow(begin, end, scalars, {", ".join(arrays)}):
    ema_rate = real(scalars[{SCALARS.index("ema_rate")}])
    for i in range(begin, end):
        p, ema = {p}, ema_[i]
        {layout.EMA_LINE}
        ema_[i] = ema
"""
        otherwise = f"""
        elif want == {layout.DENSE} and {tag["active"]} != {layout.SPARSE}:
            follow(chunks[c, 0], chunks[c, 1], scalars, {", ".join(arrays)})"""

    indent = "\n    ".join
    return f"""{head(variant.real, variant.param, variant.grad)}

@helper
def shrink_(clip, most, row_sumsq, group_sumsq):
    size = math.sqrt(row_sumsq) if clip == {layout.CLIP_NORM} else math.sqrt(group_sumsq)
    wanted = clip == {layout.CLIP_NORM} or clip == {layout.CLIP_GROUP}
    return 1.0 if (not wanted or size <= most) else most / size   # a NaN norm goes on to the gradient


@helper
def chunk(c, row, begin, end, source, {tables}, {", ".join(arrays)}):
    set_ = {tag["set"]}
    {indent(setup)}
    for i in range(param_.size):
        {
        (
            '''
        '''
        ).join(loop)
    }
    {indent(after or ["return"])}


@helper
def tidy(gaps, {", ".join(written)}):
    for k in range(gaps.shape[0]):
        begin = gaps[k, 0]
        if {" or ".join(f"{name}[begin] != 0" for name in written)}:
            for i in range(begin, gaps[k, 1]):
                {" = ".join(f"{name}[i]" for name in written)} = 0
{follow}

@njit(parallel=True, **flags)
def update(chunks, gaps, want, {tables}, {", ".join(arrays)}):
    if scalars[{SCALARS.index("skip")}] != 0.0:
        for k in range(group_sumsq.size):
            if not math.isfinite(group_sumsq[k]):
                return
    for c in prange(chunks.shape[0]):
        row = chunks[c, 2]
        if {tag["active"]} == want:
            # int64, or the body is compiled a second time for the uint64 that a parallel loop counts in
            chunk(np.int64(c), row, chunks[c, 0], chunks[c, 1], chunks[c, 3], {tables}, {", ".join(arrays)})
            tidy(gaps[chunks[c, 4]:chunks[c, 5]], {", ".join(written)}){otherwise}
"""


def sumsq_text(grad: str) -> str:
    """The text of a module whose function `sumsq(chunks, want, tags, grad_, partials)` writes to partials[c] the sum of
    squares of chunk c's gradient, in float64; 0 where the row's tags.active differs from want. STILL rows are dense.

    A chunk is read as four streams side by side, with a sum each: one alone leaves the memory a third idle.
    """
    square = f"np.float64({widen('NAME[i]', grad)})"
    streams = [square.replace("NAME", f"part{k}") for k in range(4)]
    return f"""{head("float64" if grad == "float64" else "float32", grad)}

@njit(parallel=True, **flags)
def sumsq(chunks, want, tags, grad_, partials):
    for c in prange(chunks.shape[0]):
        s0 = s1 = s2 = s3 = 0.0
        active = tags[chunks[c, 2], {TAGS.index("active")}]
        if active == want or (active == {layout.STILL} and want == {layout.DENSE}):
            part = grad_[chunks[c, 3]:chunks[c, 3] + chunks[c, 1] - chunks[c, 0]]
            n = part.size // 4
            part0, part1, part2, part3 = part[:n], part[n:2 * n], part[2 * n:3 * n], part[3 * n:4 * n]
            for i in range(n):
                x0, x1, x2, x3 = {", ".join(streams)}
                s0 += x0 * x0
                s1 += x1 * x1
                s2 += x2 * x2
                s3 += x3 * x3
            for i in range(4 * n, part.size):
                x = {square.replace("NAME", "part")}
                s0 += x * x
        partials[c] = (s0 + s1) + (s2 + s3)
"""


def fold_text() -> str:
    """The text of a module whose function `fold(spans, partials, tags, scalars, row_sumsq, group_sumsq)` adds each
    row's partials, those from spans[0, row] to spans[1, row], and the rows of each group, if there are groups."""
    return f"""{head("float64")}

@njit(parallel=False, **flags)
def fold(spans, partials, tags, scalars, row_sumsq, group_sumsq):
    unscale = scalars[{SCALARS.index("unscale")}]
    group_sumsq[:] = 0.0
    for row in range(row_sumsq.size):
        total = 0.0
        for c in range(spans[0, row], spans[1, row]):
            total += partials[c]
        row_sumsq[row] = total * unscale * unscale
        if group_sumsq.size:
            group_sumsq[tags[row, {TAGS.index("group")}]] += row_sumsq[row]
"""
