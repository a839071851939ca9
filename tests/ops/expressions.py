"""Comparison of expressions with what Paddle made of them (tests/golden/make_functions.py)."""
import numpy as np


def _array(entry):
    return np.array([float(v) if isinstance(v, str) else v for v in entry["values"]],
                    entry["dtype"]).reshape(entry["shape"])


def assert_same(got, expected, tolerance):
    """The same dtypes, shapes and numbers in results and gradients. tolerance: dtype -> (rtol, atol)."""
    assert "error" not in got, f"refused with {got['error']}"
    assert len(got["results"]) == len(expected["results"])
    mine, theirs = got.get("gradients", {}), expected.get("gradients", {})
    assert mine.keys() == theirs.keys()
    pairs = [*zip(got["results"], expected["results"], strict=True), *((mine[name], theirs[name]) for name in theirs)]
    for a, b in pairs:
        assert (a["dtype"], a["shape"]) == (b["dtype"], b["shape"])
        rtol, atol = tolerance(a["dtype"])
        np.testing.assert_allclose(_array(a), _array(b), rtol=rtol, atol=atol)
