"""Expressions over paddle.fft for make_functions.py; arrays x, y (real, one shape) and v."""
import numpy as np

FLOATS = ("x", "y")


def inputs() -> dict:
    """The arrays by name, float64 but v: float32."""
    rng = np.random.default_rng(6)
    return {"x": rng.standard_normal((3, 4)), "y": rng.standard_normal((3, 4)),
            "v": np.arange(5, dtype="float32")}


_Z = "paddle.complex(x, y)"
EXPRESSIONS = [
    *[f"paddle.as_real(paddle.fft.{call})" for call in (
        "fft(x)", "rfft(x)", "rfft(x, 3)", "rfft(x, 7, 0, 'ortho')", "ihfft(x)", "ihfft(x, 5, 0, 'forward')",
        "rfftn(x)", "rfft2(x, [5, 3])", "ihfftn(x)", "ihfft2(x, norm='ortho')", f"fft({_Z})", f"fft({_Z}, 2)",
        f"fft({_Z}, 6, 0, 'forward')", f"ifft({_Z})", f"ifft({_Z}, 6, norm='ortho')", f"fftn({_Z})",
        f"fftn({_Z}, [5])", f"fft2({_Z}, norm='forward')", f"ifft2({_Z}, [2, 6])", f"ifftn({_Z}, axes=[1])",
        "rfft(v).detach()", "fft(v.astype('int64'))")],
    *[f"paddle.fft.{call}" for call in (
        f"irfft({_Z})", f"irfft({_Z}, 5)", f"irfft({_Z}, 9, 0, 'ortho')", f"hfft({_Z})", f"hfft({_Z}, 3, 0, 'forward')",
        f"irfftn({_Z})", f"irfft2({_Z}, [3, 5])", f"hfftn({_Z})", f"hfft2({_Z}, [2, 7], norm='ortho')",
        "fftfreq(5, 0.5)", "fftfreq(4, dtype='float64')", "rfftfreq(5)", "rfftfreq(4, 0.1)")],
]
