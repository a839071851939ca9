"""Fourier transforms along one axis. Each is linear, so its gradient is the transform back, scaled as it was itself.

NumPy and CuPy transform float32 and float64 in their own precision; 16-bit floats are refused.
"""
from gpuflow import dtypes
from gpuflow.errors import explain
from gpuflow.ops import complexes
from gpuflow.ops.registry import Spec, normal_axis, op

_COMPLEX = {dtypes.float32: dtypes.complex64, dtypes.float64: dtypes.complex128}
_REAL = {whole: part for part, whole in _COMPLEX.items()}
BACK = {"backward": "forward", "forward": "backward", "ortho": "ortho"}  # the norm by which the way back scales alike


def _sized(where, x, size, axis):
    """x's shape with `size` along the axis."""
    axis = normal_axis(where, axis, len(x.shape))
    if size is not None and size < 1:
        raise ValueError(explain(where, "a size of at least 1", str(size)))
    return (*x.shape[:axis], size, *x.shape[axis + 1:])


def _known(where, dtype, among):
    if dtype not in among:
        raise TypeError(explain(where, f"one of {', '.join(d.name for d in among)}", dtype.name, "x.astype"))
    return among[dtype]


def _resized(xp, x, size, axis):
    """x cut, or filled up with zeros, to `size` along the axis."""
    axis %= x.ndim
    if x.shape[axis] == size:
        return x
    if x.shape[axis] > size:
        return x[(*(slice(None),) * axis, slice(size))]
    rest = (*x.shape[:axis], size - x.shape[axis], *x.shape[axis + 1:])
    return xp.concatenate([x, xp.zeros(rest, x.dtype)], axis=axis)


def _fft_spec(x, *, n=None, axis=-1, norm="backward", inverse=False):
    kind = _known("fft", x.dtype, {d: d for d in _REAL})
    return Spec(_sized("fft", x, x.shape[normal_axis("fft", axis, len(x.shape))] if n is None else n, axis), kind)


@op("fft", infer=_fft_spec, saves=("x_shape",), holomorphic=False)
def fft(xp, x, *, n=None, axis=-1, norm="backward", inverse=False):
    """The transform of complex numbers along `axis`, cut or filled up to n first; `inverse`: the one back."""
    if x.dtype.kind != "c":
        raise TypeError("dtype")
    return (xp.fft.ifft if inverse else xp.fft.fft)(x, n, axis, norm)


@fft.grad
def fft_grad(xp, g, saved, *, n=None, axis=-1, norm="backward", inverse=False):
    back = fft(xp, g, axis=axis, norm=BACK[norm], inverse=not inverse)
    return (_resized(xp, back, saved.x_shape[axis], axis),)


def _rfft_spec(x, *, n=None, axis=-1, norm="backward"):
    kind = _known("rfft", x.dtype, _COMPLEX)
    n = x.shape[normal_axis("rfft", axis, len(x.shape))] if n is None else n
    return Spec(_sized("rfft", x, None if n is None else n // 2 + 1, axis), kind)


@op("rfft", infer=_rfft_spec, saves=("x_shape",), holomorphic=False)
def rfft(xp, x, *, n=None, axis=-1, norm="backward"):
    """The transform of real numbers along `axis`, cut or filled up to n first: its n // 2 + 1 first numbers."""
    if x.dtype.itemsize < 4:
        raise TypeError("dtype")
    return xp.fft.rfft(x, n, axis, norm)


@rfft.grad
def rfft_grad(xp, g, saved, *, n=None, axis=-1, norm="backward"):
    size = saved.x_shape[axis]
    whole = _resized(xp, g, n or size, axis)
    back = complexes.real(xp, fft(xp, whole, axis=axis, norm=BACK[norm], inverse=True))
    return (_resized(xp, back, size, axis),)


def _irfft_spec(x, *, n=None, axis=-1, norm="backward"):
    kind = _known("irfft", x.dtype, _REAL)
    size = x.shape[normal_axis("irfft", axis, len(x.shape))]
    return Spec(_sized("irfft", x, n if n is not None or size is None else 2 * (size - 1), axis), kind)


@op("irfft", infer=_irfft_spec, saves=("x_shape",), holomorphic=False)
def irfft(xp, x, *, n=None, axis=-1, norm="backward"):
    """The n real numbers whose rfft along `axis` is x; n None: 2 * (its size - 1)."""
    if x.dtype.kind != "c":
        raise TypeError("dtype")
    return xp.fft.irfft(x, n, axis, norm)


@irfft.grad
def irfft_grad(xp, g, saved, *, n=None, axis=-1, norm="backward"):
    # a number that stands for its mirror image as well counts twice: all but the first, and the middle of an even n
    size, axis = g.shape[axis], axis % g.ndim
    twice = [1.0 if k == 0 or 2 * k == size else 2.0 for k in range(size // 2 + 1)]
    weight = xp.asarray(twice, g.dtype).reshape((-1,) + (1,) * (g.ndim - axis - 1))
    back = rfft(xp, g, axis=axis, norm=BACK[norm]) * weight
    return (_resized(xp, back, saved.x_shape[axis], axis),)
