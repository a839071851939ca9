"""A formula is refused where it is declared, with the line and a way out."""

import numpy as np
import pytest

from gpuflow_kernels.update import FormulaError, UpdateRule
from gpuflow_kernels.update.rules import RULES


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("p = p - lr * (g", "does not parse"),
        ("p = p - lr * h", "unknown name 'h'"),
        ("p = p - lr * exp(g)", "unknown function 'exp'"),
        ("v = mu * v + g", "never assigns p"),
        ("", "never assigns p"),
        ("p = p - 0.1 * g", "literal 0.1"),
        ("p = p ** 2", "not part of the formula language"),
        ("p = p if g else g", "not part of the formula language"),
        ("lr = lr * 2\np = p - lr * g", "read only"),
        ("mu = g\np = p - mu", "read only"),
        ("p -= g", "expected `name = expression`"),
        ("p = g; v = g", "expected `name = expression`"),
        ("p = where(g, p, g)", "the first argument of where"),
        ("p = where(0 < g < p, p, g)", "chained"),
        ("p = g < p", "comparison"),
        ("p = p + (g < p)", "comparison used as a value"),
        ("p = sqrt(p, g)", "takes 1 argument"),
        ("p = p - lr * (1 - mu) * g", "worked out in float32"),
        ("scale = g\np = p - scale", "already means something"),
        ("import os\np = g", "expected `name = expression`"),
        ("p = __import__('os').system('true')", "unknown function"),
        ("p = p.real - g", "not part of the formula language"),
    ],
)
def test_refused_with_the_line(formula, message):
    with pytest.raises(FormulaError) as error:
        UpdateRule("mine", state=("v",), numbers=("mu",), formula=formula)
    assert message in str(error.value)
    assert "'mine'" in str(error.value)
    assert formula.partition("\n")[0] in str(error.value)   # the line that is wrong, the first of each here


@pytest.mark.parametrize(
    "names",
    [
        {"state": ("m", "m")},
        {"state": ("p",)},
        {"numbers": ("sqrt",)},
        {"state": ("float",)},
        {"state": ("grad",)},
        {"numbers": ("x_",)},
        {"numbers": ("two words",)},
    ],
)
def test_names_that_would_clash_are_refused(names):
    with pytest.raises(FormulaError):
        UpdateRule("mine", formula="p = p - lr * g", **names)


def test_layered_rules_are_checked_too():
    with pytest.raises(FormulaError, match="unknown name 'g'"):
        UpdateRule(
            "mine", state=("m",), prepare="m = g", direction="u = m + g", norms={"n": "u"}, formula="p = p - lr * u / n"
        )
    with pytest.raises(FormulaError, match="does not assign"):
        UpdateRule(
            "mine", state=("m",), prepare="m = g", direction="u = m", norms={"n": "w"}, formula="p = p - lr * u / n"
        )
    with pytest.raises(FormulaError, match="belong to rules with norms"):
        UpdateRule("mine", state=("m",), prepare="m = g", formula="p = p - lr * m")


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_at_gives_every_number_and_source_can_be_shown(rule):
    for t in (1, 2, 1000, 10**6):
        numbers = rule.at(t)
        assert set(numbers) == set(rule.numbers)
        assert np.isfinite(list(numbers.values())).all()
    assert rule.lines("formula")[-1] in rule.source("cuda")
    assert rule.lines("formula")[-1] in rule.source("numba")


def test_source_of_an_unknown_language():
    with pytest.raises(ValueError, match="numba"):
        RULES["sgd"].source("fortran")


def test_comments_and_locals_and_literals():
    rule = UpdateRule(
        "mine",
        formula="""
        # the sign of the gradient, twice
        s = sign(g) * 2   # a local
        p = p - lr * s
    """,
    )
    assert rule.lines("formula") == ["s = sign(g) * real(2)", "p = p - lr * s"]
    assert rule.locals("formula") == ["s"]
