"""Chain: elementwise functions of arrays as data; and the functions, each as a formula that Python and C both read."""

from __future__ import annotations

import re
from typing import NamedTuple

# A function by NumPy's name: what it is of x, y and z. `real` is the type that its operands are brought to.
FUNCTIONS = {
    "add": "x + y",
    "subtract": "x - y",
    "multiply": "x * y",
    "true_divide": "x / y",
    "negative": "-x",
    "square": "x * x",
    "less": "x < y",
    "less_equal": "x <= y",
    "greater": "x > y",
    "greater_equal": "x >= y",
    "equal": "x == y",
    "not_equal": "x != y",
    "logical_and": "(x != 0) & (y != 0)",
    "logical_or": "(x != 0) | (y != 0)",
    "logical_xor": "(x != 0) != (y != 0)",
    "logical_not": "x == 0",
    "bitwise_and": "x & y",
    "bitwise_or": "x | y",
    "bitwise_xor": "x ^ y",
    "maximum": "where((x > y) | (x != x), x, y)",
    "minimum": "where((x < y) | (x != x), x, y)",
    "fmax": "where((x >= y) | (y != y), x, y)",
    "fmin": "where((x <= y) | (y != y), x, y)",
    "isnan": "x != x",
    "isfinite": "x - x == 0",
    "isinf": "(x == x) & (x - x != 0)",
    "where": "where(x, y, z)",
    "cast": "x",
    "number": "x",
    "fill": "y",  # a number in the shape of x
}
OF_FLOATS = {
    "absolute": "fabs(x)",
    "sqrt": "sqrt(x)",
    "sign": "where(x > 0, real(1), where(x < 0, real(-1), x))",
}
# NumPy computes these with vector instructions, eight at a time; a loop compiled by Numba calls the C library for each.
ON_GPU = {name: f"{name}(x)" for name in (
    "exp", "expm1", "log", "log1p", "log2", "log10", "sin", "cos", "tan", "sinh", "cosh", "tanh", "floor", "ceil",
    "trunc", "rint", "erf")}
ON_GPU |= {f"arc{name}": f"a{name}(x)" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")}
ON_GPU |= {"arctan2": "atan2(x, y)", "power": "pow(x, y)", "copysign": "copysign(x, y)"}

_NAMES = re.compile(r"\b(x|y|z|real)\b")

DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")


class Line(NamedTuple):
    """One function. args: the numbers of earlier values (int), or numbers as text (str). loops: the dtype that each
    arg is brought to. dtype: of the result."""

    function: str
    args: tuple
    loops: tuple[str, ...]
    dtype: str


class Chain(NamedTuple):
    """Values are numbered: first the inputs, whose dtypes are given, then a line each.

    outputs: the values that are written. sums: those whose sum over the rows (all axes but the last) is written.
    """

    inputs: tuple[str, ...]
    lines: tuple[Line, ...]
    outputs: tuple[int, ...]
    sums: tuple[int, ...] = ()

    def dtype(self, value: int) -> str:
        return self.inputs[value] if value < len(self.inputs) else self.lines[value - len(self.inputs)].dtype

    def needed(self, targets) -> list[int]:
        """The values that `targets` are worked out from, themselves included, in order."""
        found, todo = set(), list(targets)
        while todo:
            value = todo.pop()
            if value not in found:
                found.add(value)
                if value >= len(self.inputs):
                    todo += [a for a in self.lines[value - len(self.inputs)].args if type(a) is int]
        return sorted(found)

    def text(self, value: int) -> str:
        """The right side of a value's line."""
        line = self.lines[value - len(self.inputs)]
        operands = {"real": line.loops[0]}
        for name, arg, loop in zip("xyz", line.args, line.loops):
            known = type(arg) is int
            operand = f"t{arg}" if known else arg
            operands[name] = operand if known and self.dtype(arg) == loop else f"{loop}({operand})"
        formula = (FUNCTIONS | OF_FLOATS | ON_GPU)[line.function]
        return f"{line.dtype}({_NAMES.sub(lambda found: operands[found[0]], formula)})"
