"""paddle.fft: discrete Fourier transforms. Over several axes they are transforms over one after another.

In all of them `n` (`s`: one per axis) cuts the numbers or fills them up with zeros before the transform, and `norm`
says which way divides by n: "backward", "forward", or both by its root: "ortho".
"""
import numpy as np

from gpuflow import dtypes
from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.functional.arguments import dtype_or
from gpuflow.functional.complexes import complex, conj
from gpuflow.functional.creation import zeros_like
from gpuflow.functional.manipulation import roll
from gpuflow.ops.fft import BACK
from gpuflow.ops.registry import OPS, normal_axis
from gpuflow.tensor import to_tensor

__all__ = ["fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "hfft2", "hfftn", "ifft", "ifft2", "ifftn",
           "ifftshift", "ihfft", "ihfft2", "ihfftn", "irfft", "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn"]


def _do(name, x, n, axis, norm, **attrs):
    if norm not in BACK:
        raise ValueError(explain(name, "norm 'backward', 'forward' or 'ortho'", repr(norm)))
    return call(OPS[name], (x,), {"n": n, "axis": axis, "norm": norm, **attrs})


def _float(x):
    return x if x.dtype.is_differentiable else x.astype(dtypes.default_float())


def _complex(x):
    x = _float(x)
    return x if x.dtype.is_complex else complex(x, zeros_like(x))


def _real(where, x):
    if x.dtype.is_complex:
        raise TypeError(explain(where, "real numbers", x.dtype.name, "fft"))
    return _float(x)


def _plan(where, x, s, axes):
    """[(axis, size or None), ...] of a transform over several axes: all by default, with `s` the last len(s)."""
    if axes is None:
        axes = range(x.ndim) if s is None else range(x.ndim - len(s), x.ndim)
    axes = [normal_axis(where, a, x.ndim) for a in axes]
    sizes = [None] * len(axes) if s is None else list(s)
    if not axes or len(set(axes)) != len(axes) or len(sizes) != len(axes):
        raise ValueError(explain(where, "each axis once, and one size per axis", f"axes {axes}, sizes {s}"))
    return list(zip(axes, sizes, strict=True))


# ---- one axis --------------------------------------------------------------------------------------------------------


def fft(x, n=None, axis=-1, norm="backward", name=None):
    """The transform along `axis`."""
    return _do("fft", _complex(x), n, axis, norm)


def ifft(x, n=None, axis=-1, norm="backward", name=None):
    """The way back from fft."""
    return _do("fft", _complex(x), n, axis, norm, inverse=True)


def rfft(x, n=None, axis=-1, norm="backward", name=None):
    """fft of real numbers: its n // 2 + 1 first numbers, of which the others are mirror images."""
    return _do("rfft", _real("rfft", x), n, axis, norm)


def irfft(x, n=None, axis=-1, norm="backward", name=None):
    """The way back from rfft, to n real numbers: 2 * (x's size - 1) by default, so say an odd n."""
    return _do("irfft", _complex(x), n, axis, norm)


def hfft(x, n=None, axis=-1, norm="backward", name=None):
    """fft of numbers given by their first half, the others being mirror images: n real numbers."""
    return hfftn(x, None if n is None else [n], [axis], norm)


def ihfft(x, n=None, axis=-1, norm="backward", name=None):
    """The way back from hfft: n // 2 + 1 complex numbers."""
    return ihfftn(x, None if n is None else [n], [axis], norm)


# ---- several axes ----------------------------------------------------------------------------------------------------


def fftn(x, s=None, axes=None, norm="backward", name=None):
    """fft over `axes`."""
    for axis, n in _plan("fftn", x, s, axes):
        x = fft(x, n, axis, norm)
    return x


def ifftn(x, s=None, axes=None, norm="backward", name=None):
    """The way back from fftn."""
    for axis, n in _plan("ifftn", x, s, axes):
        x = ifft(x, n, axis, norm)
    return x


def rfftn(x, s=None, axes=None, norm="backward", name=None):
    """rfft over the last of `axes`, then fft over the others."""
    *others, (last, n) = _plan("rfftn", x, s, axes)
    x = rfft(x, n, last, norm)
    for axis, size in others:
        x = fft(x, size, axis, norm)
    return x


def irfftn(x, s=None, axes=None, norm="backward", name=None):
    """The way back from rfftn; s[-1] as n in irfft."""
    *others, (last, n) = _plan("irfftn", x, s, axes)
    for axis, size in others:
        x = ifft(x, size, axis, norm)
    return irfft(x, n, last, norm)


def hfftn(x, s=None, axes=None, norm="backward", name=None):
    """hfft over the last of `axes` after fft over the others."""
    return irfftn(conj(_complex(x)), s, axes, BACK.get(norm, norm))


def ihfftn(x, s=None, axes=None, norm="backward", name=None):
    """The way back from hfftn."""
    return conj(rfftn(x, s, axes, BACK.get(norm, norm)))


def fft2(x, s=None, axes=(-2, -1), norm="backward", name=None):
    """fftn over two axes."""
    return fftn(x, s, _two("fft2", axes), norm)


def ifft2(x, s=None, axes=(-2, -1), norm="backward", name=None):
    """ifftn over two axes."""
    return ifftn(x, s, _two("ifft2", axes), norm)


def rfft2(x, s=None, axes=(-2, -1), norm="backward", name=None):
    """rfftn over two axes."""
    return rfftn(x, s, _two("rfft2", axes), norm)


def irfft2(x, s=None, axes=(-2, -1), norm="backward", name=None):
    """irfftn over two axes."""
    return irfftn(x, s, _two("irfft2", axes), norm)


def hfft2(x, s=None, axes=(-2, -1), norm="backward", name=None):
    """hfftn over two axes."""
    return hfftn(x, s, _two("hfft2", axes), norm)


def ihfft2(x, s=None, axes=(-2, -1), norm="backward", name=None):
    """ihfftn over two axes."""
    return ihfftn(x, s, _two("ihfft2", axes), norm)


def _two(where, axes):
    if axes is not None and len(axes) != 2:
        raise ValueError(explain(where, "two axes", str(list(axes))))
    return (-2, -1) if axes is None else axes


# ---- frequencies -----------------------------------------------------------------------------------------------------


def fftfreq(n, d=1.0, dtype=None, name=None):
    """The frequencies of fft's n results for samples `d` apart: 0 and up, then from the lowest up to 0."""
    return to_tensor(np.fft.fftfreq(n, d), dtype=dtype_or(dtype, dtypes.default_float()))


def rfftfreq(n, d=1.0, dtype=None, name=None):
    """The frequencies of rfft's results for n samples `d` apart."""
    return to_tensor(np.fft.rfftfreq(n, d), dtype=dtype_or(dtype, dtypes.default_float()))


def fftshift(x, axes=None, name=None):
    """Moves frequency 0 from the front to the middle of `axes` (None: all)."""
    axes = [axis for axis, _ in _plan("fftshift", x, None, axes)]
    return roll(x, [x.shape[a] // 2 for a in axes], axes)


def ifftshift(x, axes=None, name=None):
    """The way back from fftshift."""
    axes = [axis for axis, _ in _plan("ifftshift", x, None, axes)]
    return roll(x, [-(x.shape[a] // 2) for a in axes], axes)
