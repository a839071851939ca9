"""A chain as Numba text: a module with `run`, on one thread, and `run_parallel`, ready for `build.numba_module`."""

from __future__ import annotations

from gpuflow_kernels.elementwise.chain import DTYPES, Chain

_HEAD = """\
import math
import numpy as np
from numba import njit, prange

inf, nan = np.inf, np.nan
{types}
flags = dict(error_model="numpy", nogil=True)   # no fastmath: the bits are those of NumPy's functions one by one
helper = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **flags)
fabs, sqrt = math.fabs, math.sqrt


@helper
def where(condition, a, b):
    return a if condition else b
""".format(types="\n".join(f"{name} = np.{name}" for name in DTYPES if name != "bool"))

CHECKS = 8  # LLVM gives up on vector instructions where more pairs of arrays might overlap than this


def _loops(chain: Chain) -> list[tuple[list[int], list[int]]]:
    """(outputs, sums) of each loop: of one for all where LLVM can tell the arrays apart, else of one for each."""
    inputs, written = len(chain.inputs), len(chain.outputs) + len(chain.sums)
    outputs, sums = list(range(len(chain.outputs))), list(range(len(chain.sums)))
    if written * inputs + written * (written - 1) // 2 <= CHECKS:
        return [(outputs, sums)]
    return [([k], []) for k in outputs] + [([], [k]) for k in sums]


def numba_text(chain: Chain, along: tuple[bool, ...]) -> str:
    """The text for inputs of which these are `along` the last axis, see Layout.

    run(sizes, steps, *arrays) takes flat inputs, outputs and sums, the latter filled with where they start;
    run_parallel(pieces, sizes, steps, *arrays) shares the work among threads.
    """
    inputs = [f"a{k}" for k in range(len(chain.inputs))]
    outputs, sums = [f"o{k}" for k in range(len(chain.outputs))], [f"s{k}" for k in range(len(chain.sums))]
    arrays = ", ".join([*inputs, *outputs, *sums])
    row = []
    for k, name in enumerate(inputs):
        start = f"at = i * steps[{k}, 0] + j * steps[{k}, 1]"
        row += [start, f"{name}_ = {name}[at + first:at + last]" if along[k] else f"t{k} = {name}[at]"]
    row += [f"{name}_ = {name}[row * sizes[2] + first:row * sizes[2] + last]" for name in outputs]
    row += [f"{name}_ = {name}[first:last]" for name in sums]
    for some, added in _loops(chain):
        row.append("for k in range(last - first):")
        values = chain.needed([*(chain.outputs[k] for k in some), *(chain.sums[k] for k in added)])
        row += [f"    t{v} = a{v}_[k]" for v in values if v < len(inputs) and along[v]]
        row += [f"    t{v} = {chain.text(v)}" for v in values if v >= len(inputs)]
        row += [f"    o{k}_[k] = t{chain.outputs[k]}" for k in some]
        row += [f"    s{k}_[k] += t{chain.sums[k]}" for k in added]
    by_columns = "True" if sums else "rows < pieces"
    return f"""{_HEAD}

@helper
def part(first_row, last_row, first, last, sizes, steps, {arrays}):
    for row in range(first_row, last_row):
        i, j = row // sizes[1], row % sizes[1]
        {(chr(10) + "        ").join(row)}


@njit(parallel=False, **flags)
def run(sizes, steps, {arrays}):
    part(0, sizes[0] * sizes[1], 0, sizes[2], sizes, steps, {arrays})


@njit(parallel=True, **flags)
def run_parallel(pieces, sizes, steps, {arrays}):
    rows, columns = sizes[0] * sizes[1], sizes[2]
    for piece in prange(pieces):
        p = np.int64(piece)   # or the body is compiled a second time for the uint64 that a parallel loop counts in
        if {by_columns}:
            part(0, rows, columns * p // pieces, columns * (p + 1) // pieces, sizes, steps, {arrays})
        else:
            part(rows * p // pieces, rows * (p + 1) // pieces, 0, columns, sizes, steps, {arrays})
"""
