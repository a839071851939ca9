"""Functions, operators and indexing against Paddle 3.3.1: numbers, dtypes, shapes, gradients and refusals.

tests/golden/function_cases.py lists the expressions; tests/golden/make_functions.py wrote what Paddle makes of them.
"""
import json
from pathlib import Path

import pytest

import gpuflow
from tests.golden.function_cases import EXPRESSIONS, FLOATS, inputs
from tests.golden.make_functions import evaluate
from tests.ops.expressions import assert_same

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "functions.json").read_text())

# Where gpuflow differs on purpose.
DIFFERENT = {
    "paddle.diag_embed(x)": "has a gradient", "paddle.diag_embed(x, 1, 0, 2)": "has a gradient",
    "paddle.diagonal_scatter(q, v)": "v has a gradient",
    "paddle.as_strided(x, [2, 2], [1, 2], 1)": "Paddle reads other memory",
    "paddle.unfold(z, 2, 2, 1)": "Paddle's gradient counts one window per element",
    "z.unfold(1, 2, 1)": "Paddle's gradient counts one window per element",
}

# float32 on both sides: sums of up to 24 terms and libm's last digits differ by some units in the last place (6e-8),
# more where terms cancel. float16 appears only through promotion to float32.
RTOL, ATOL = 2e-5, 2e-6


def test_the_golden_file_is_of_these_expressions():
    assert list(GOLDEN) == EXPRESSIONS


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_as_paddle(expression):
    expected = GOLDEN[expression]
    got = evaluate(gpuflow, expression, inputs(), FLOATS)
    if expression in DIFFERENT:
        assert got != expected, "no longer different: take it off the list"
        return
    if "error" in expected:
        assert "error" in got, f"Paddle refuses it with {expected['error']}"
        return
    assert_same(got, expected, lambda dtype: (RTOL, ATOL))
