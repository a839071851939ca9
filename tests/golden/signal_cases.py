"""Expressions over paddle.signal for make_functions.py; arrays x (real [2, 20]), y (complex parts) and w (a window)."""
import numpy as np

FLOATS = ("x", "y", "w")


def inputs() -> dict:
    """The arrays by name, float64."""
    rng = np.random.default_rng(8)
    return {"x": rng.standard_normal((2, 20)), "y": rng.standard_normal((2, 5, 6, 2)), "w": rng.uniform(0.3, 1, 6)}


_Z = "paddle.as_complex(y)"
EXPRESSIONS = [
    *[f"paddle.signal.{call}" for call in (
        "frame(x, 6, 4)", "frame(x, 3, 5)", "frame(x.t(), 6, 4, axis=0)", "frame(x[0], 20, 1)", "overlap_add(x, 2)",
        "overlap_add(x.reshape([2, 4, 5]), 3)", "overlap_add(x.reshape([5, 4, 2]), 3, axis=0)",
        f"istft({_Z}, 8)", f"istft({_Z}, 8, 3, 6, w, length=11)",
        f"istft({_Z}[0], 8, 2, center=False, normalized=True)")],
    *[f"paddle.as_real(paddle.signal.{call})" for call in (
        "stft(x, 8)", "stft(x[1], 8, 3, 6, w, normalized=True)", "stft(x, 7, 2, center=False)",
        "stft(x, 8, pad_mode='constant', onesided=False)",
        "stft(paddle.complex(x, 2 * x), 8, center=False, onesided=False)",
        f"istft(paddle.concat([{_Z}, {_Z}[:, 1:4]], axis=1), 8, 4, onesided=False, return_complex=True)")],
]
