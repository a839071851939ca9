"""paddle.geometric against Paddle 3.3.1: numbers, dtypes, shapes and gradients."""
import json
from pathlib import Path

import numpy as np
import pytest

import gpuflow as paddle
from tests.golden.geometric_cases import EXPRESSIONS, FLOATS, inputs
from tests.golden.make_functions import evaluate
from tests.ops.expressions import assert_same

GOLDEN = json.loads((Path(__file__).parent / "golden" / "geometric.json").read_text())


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_as_paddle(expression):
    assert_same(evaluate(paddle, expression, inputs(), FLOATS), GOLDEN[expression], lambda dtype: (1e-9, 1e-9))


def test_in_a_program():
    main = paddle.static.Program()
    paddle.enable_static()
    with paddle.static.program_guard(main):
        x, k = paddle.static.data("x", [None, 2]), paddle.static.data("k", [None], "int64")
        out = paddle.geometric.segment_max(x, k)
    feed = {"x": np.array([[1, 5], [3, 2], [4, 4]], "float32"), "k": np.array([1, 1, 0])}
    found, = paddle.static.Executor().run(main, feed=feed, fetch_list=[out])
    np.testing.assert_array_equal(found, [[4, 4], [3, 5]])


@pytest.mark.parametrize("call", [
    lambda g, x, k: g.segment_sum(x, x), lambda g, x, k: g.send_u_recv(x, k, k, "prod"),
    lambda g, x, k: g.send_uv(x, x, k, k, "pow")])
def test_what_is_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call(paddle.geometric, paddle.ones([2]), paddle.to_tensor([0, 1]))
