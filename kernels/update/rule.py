"""UpdateRule: an optimizer's formula, declared once, checked where it is written.

A formula is a few lines in which Python and C agree, so the same text is pasted into the CUDA kernel, into the Numba
kernel and into the float64 NumPy reference. This file knows what such a line may be; `generate.py` turns it into code.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from textwrap import dedent

FUNCTIONS = {"sqrt": 1, "fabs": 1, "fmin": 2, "fmax": 2, "sign": 1, "where": 3}
GIVEN = ("p", "g", "lr", "decay")

# Names that the kernels use around the formula; a state or local of that name would shadow them.
_TAKEN = {
    "real", "scale", "lo", "hi", "l1", "l2", "ema", "ema_rate", "i", "c", "row", "begin", "end", "source",
    "tags", "columns", "numbers", "scalars", "row_sumsq", "group_sumsq", "layer_sumsq", "layer_partials", "np",
    "math",
}
# A state `m` is the array `m_` in the kernels, where these are arrays already.
_RESERVED = {"param", "grad", "master", "ema"}
_C_WORDS = {
    "auto", "bool", "break", "case", "char", "class", "const", "continue", "default", "delete", "do", "double",
    "else", "enum", "extern", "false", "float", "for", "friend", "goto", "if", "inline", "int", "long", "new",
    "operator", "private", "public", "register", "return", "short", "signed", "sizeof", "static", "struct",
    "switch", "template", "this", "true", "typedef", "union", "unsigned", "using", "void", "volatile", "while",
}
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div)
_COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)


class FormulaError(ValueError):
    """A formula that cannot become a kernel; the message holds the line, the reason and what to write instead."""


@dataclass(frozen=True)
class UpdateRule:
    """One optimizer's update of one element, as text.

    name     a C identifier; it appears in the generated kernels' names.
    state    names of the per-element states; each gets a flat buffer of the compute type, zero at the start unless the
             optimizer fills it otherwise.
    numbers  names of the scalars that the host works out in float64 for each step, one value per number set.
    formula  lines `name = expression`. Variables: p (parameter), g (gradient after unscaling, clip and regularisation),
             lr (schedule times the parameter's rate scale), decay (decoupled weight decay, per parameter), states,
             numbers, and names assigned above. Operators + - * / and, inside where, one comparison. Functions:
             sqrt fabs fmin fmax sign where; fmin and fmax return NaN when either side is NaN, sign(0) and sign(NaN)
             are 0. p must be assigned; p, g, states and new names may be, the rest is read only.
    at       host side of `numbers`: called as at(t, **options) with t = 1, 2, ...; returns {number: float}. Optional.

    A rule that needs norms of whole parameters (Lamb) is written in three parts, run as two passes:

    prepare    lines that update the states from g; first pass.
    direction  lines worked out from p, states and numbers alone, in both passes (cheaper than storing the result).
    norms      {name: variable}: `name` becomes the 2-norm over the parameter of that variable of `direction` (or of p);
               `formula`, the second pass, may read it.

    Compute type: float32 (float64 for float64 parameters). Raises FormulaError, with the line, for text that does not
    parse, an unknown name or function, a read-only target, a fractional literal, or a formula that never assigns p.
    """

    name: str
    state: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    formula: str = ""
    prepare: str = ""
    direction: str = ""
    norms: Mapping[str, str] = field(default_factory=dict)
    at: Callable[..., dict[str, float]] | None = field(default=None, compare=False)

    def __post_init__(self):
        for attribute in ("state", "numbers"):
            object.__setattr__(self, attribute, tuple(getattr(self, attribute)))
        for attribute in ("formula", "prepare", "direction"):
            object.__setattr__(self, attribute, dedent(getattr(self, attribute)).strip())
        object.__setattr__(self, "norms", dict(self.norms))
        object.__setattr__(self, "_checked", _Checked(self))

    def __hash__(self):
        return hash((self.name, self.state, self.numbers, self.formula, self.prepare, self.direction))

    @property
    def layered(self) -> bool:
        """True when the rule needs norms over whole parameters, so two passes."""
        return bool(self.norms)

    def lines(self, part: str) -> list[str]:
        """Lines of "prepare", "direction" or "formula", literals wrapped as real(2); valid Python and valid C++."""
        return self._checked.lines[part]

    def locals(self, *parts: str) -> list[str]:
        """Names that the given parts assign and that are neither p, g nor a state, in order of first use."""
        return list(dict.fromkeys(n for part in parts for n in self._checked.locals[part]))

    def source(self, language: str) -> str:
        """The kernel text generated for float32 parameters with every stage in use. language: "cuda", "numba"."""
        from gpuflow_kernels.update import generate

        return generate.show(self, language)


class _Checked:
    """The parsed formula of a rule: lines ready for pasting, and the locals of each part."""

    def __init__(self, rule: UpdateRule):
        self.rule, self.lines, self.locals = rule, {}, {}
        self._check_names()
        state, numbers = set(rule.state), set(rule.numbers) | {"lr", "decay"}
        if rule.layered:
            prepare = self._part("prepare", {"p", "g"} | state | numbers, {"g"} | state)
            direction = self._part("direction", {"p"} | state | numbers, set())
            for variable in rule.norms.values():
                if variable not in {"p", *direction}:
                    raise FormulaError(
                        f"rule {rule.name!r}: norms names {variable!r}, which `direction` does not assign; "
                        f"a norm is taken of p or of one of {sorted(direction) or 'its lines'}"
                    )
            self._part("formula", {"p"} | direction | state | numbers | set(rule.norms), {"p"} | direction)
            clash = prepare & direction
            if clash:
                raise FormulaError(
                    f"rule {rule.name!r}: {sorted(clash)} assigned in both prepare and direction; rename one"
                )
        else:
            if rule.prepare or rule.direction:
                raise FormulaError(
                    f"rule {rule.name!r}: prepare and direction belong to rules with norms; "
                    "put the lines into formula, or name the norms"
                )
            self._part("prepare", set(), set())
            self._part("direction", set(), set())
            self._part("formula", {"p", "g"} | state | numbers, {"p", "g"} | state)
        if "p" not in self.targets:
            raise FormulaError(
                f"rule {rule.name!r} never assigns p, so it would leave every parameter as it is:\n"
                f"{rule.formula}\nEnd it with a line such as `p = p - lr * g`."
            )

    def _check_names(self):
        rule = self.rule
        names = [rule.name, *rule.state, *rule.numbers, *rule.norms]
        for name in names:
            if not name.isidentifier() or name in _C_WORDS or not name.isascii():
                raise FormulaError(f"{name!r} is no usable name in rule {rule.name!r}: expected a plain C identifier")
        for name in names[1:]:
            if name in _TAKEN | _RESERVED or name in GIVEN or name in FUNCTIONS or name.endswith("_"):
                raise FormulaError(
                    f"rule {rule.name!r}: {name!r} already means something in the kernels; choose another name"
                )
        doubled = {n for n in names[1:] if names[1:].count(n) > 1}
        if doubled:
            raise FormulaError(f"rule {rule.name!r} declares {sorted(doubled)} more than once")

    def _part(self, part: str, readable: set[str], writable: set[str]) -> set[str]:
        """Checks one part; records its lines and locals; returns the set of its locals."""
        readable, known, new = set(readable), set(readable), []
        self.lines[part], self.targets = [], set()
        for text in getattr(self.rule, part).splitlines():
            text = text.split("#")[0].strip()
            if not text:
                continue
            target, value = self._parse(text)
            line = _Line(self.rule, text, known)
            value = line.visit(value)
            if line.boolean(value):
                line.refuse("the right side is a comparison", "use it inside where(condition, a, b)")
            if target not in known:
                if target in _TAKEN or target in FUNCTIONS or target in _C_WORDS or target.endswith("_"):
                    line.refuse(f"{target!r} already means something in the kernels", "choose another name")
                new.append(target)
                known.add(target)
            elif target not in writable and target not in new:
                line.refuse(f"{target!r} is read only here", f"assign to one of {sorted(writable)} or to a new name")
            self.targets.add(target)
            self.lines[part].append(f"{target} = {ast.unparse(value)}")
        self.locals[part] = new
        return set(new)

    def _parse(self, text: str) -> tuple[str, ast.expr]:
        try:
            body = ast.parse(text).body
        except SyntaxError as error:
            raise FormulaError(
                f"rule {self.rule.name!r}, line `{text}`: does not parse ({error.msg}); expected `name = expression`"
            ) from None
        if (
            len(body) != 1
            or not isinstance(body[0], ast.Assign)
            or len(body[0].targets) != 1
            or not isinstance(body[0].targets[0], ast.Name)
        ):
            raise FormulaError(f"rule {self.rule.name!r}, line `{text}`: expected `name = expression`, one per line")
        return body[0].targets[0].id, body[0].value


class _Line(ast.NodeTransformer):
    """Walks one right-hand side: refuses what C or the kernels would read differently, wraps literals as real(...)."""

    def __init__(self, rule: UpdateRule, text: str, known: set[str]):
        self.rule, self.text, self.known = rule, text, known

    def refuse(self, reason: str, instead: str):
        raise FormulaError(f"rule {self.rule.name!r}, line `{self.text}`: {reason}; {instead}")

    def boolean(self, node) -> bool:
        return isinstance(node, ast.Compare)

    def generic_visit(self, node):
        self.refuse(
            f"{ast.unparse(node)!r} is not part of the formula language", f"it has + - * / and {' '.join(FUNCTIONS)}"
        )

    def visit_Name(self, node):
        if node.id not in self.known:
            self.refuse(f"unknown name {node.id!r}", f"known here: {' '.join(sorted(self.known))}")
        return node

    def visit_Constant(self, node):
        if type(node.value) is not int or abs(node.value) > 2**24:
            self.refuse(f"literal {node.value!r}", "declare a number for it, so that the host works it out in float64")
        return ast.parse(f"real({node.value})", mode="eval").body

    def visit_UnaryOp(self, node):
        if not isinstance(node.op, ast.USub):
            self.generic_visit(node)
        return ast.UnaryOp(node.op, self.value(node.operand))

    def visit_BinOp(self, node):
        if not isinstance(node.op, _OPERATORS):
            self.generic_visit(node)
        fixed = [
            isinstance(n, ast.Constant) or (isinstance(n, ast.Name) and n.id in self.rule.numbers)
            for n in (node.left, node.right)
        ]
        if all(fixed) and isinstance(node.op, (ast.Add, ast.Sub)):
            # 1 - beta2 at 0.999 is off by 1.3e-5 (relative) in float32
            self.refuse(f"`{ast.unparse(node)}` would be worked out in float32", "declare it as a number of its own")
        return ast.BinOp(self.value(node.left), node.op, self.value(node.right))

    def visit_Compare(self, node):
        if len(node.ops) != 1 or not isinstance(node.ops[0], _COMPARISONS):
            self.refuse("chained or unusual comparison", "use one of < <= > >= == != per where")
        return ast.Compare(self.value(node.left), node.ops, [self.value(node.comparators[0])])

    def visit_Call(self, node):
        name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
        if name not in FUNCTIONS:
            self.refuse(f"unknown function {name!r}", f"the formula language has {' '.join(FUNCTIONS)}")
        if len(node.args) != FUNCTIONS[name] or node.keywords:
            self.refuse(
                f"{name} takes {FUNCTIONS[name]} argument(s), got {len(node.args) + len(node.keywords)}",
                "see UpdateRule for the list",
            )
        arguments = [self.visit(a) for a in node.args]
        wants_condition = [name == "where" and k == 0 for k in range(len(arguments))]
        for argument, condition in zip(arguments, wants_condition):
            if self.boolean(argument) != condition:
                self.refuse(
                    f"{name} got `{ast.unparse(argument)}`",
                    "the first argument of where is a comparison, every other argument a value",
                )
        return ast.Call(node.func, arguments, [])

    def value(self, node):
        node = self.visit(node)
        if self.boolean(node):
            self.refuse("a comparison used as a value", "use where(condition, a, b)")
        return node
