"""Complex numbers: made of parts, taken apart, and seen as pairs of numbers."""
from gpuflow import dtypes
from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.ops.registry import OPS

__all__ = ["angle", "as_complex", "as_real", "complex", "conj", "imag", "is_complex", "is_floating_point",
           "is_integer", "isreal", "polar", "real", "sgn", "view_as_complex", "view_as_real"]


def _do(name, *inputs, **attrs):
    return call(OPS[name], inputs, attrs)


def complex(real, imag, name=None):
    """real + 1j * imag, elementwise with broadcasting: complex64 of float32, complex128 of float64."""
    return _do("complex", real, imag)


def real(x, name=None):
    """The real part; x itself where it is real."""
    return _do("real", x) if x.dtype.is_complex else x


def imag(x, name=None):
    """The imaginary part; TypeError for real numbers."""
    if not x.dtype.is_complex:
        raise TypeError(explain("imag", "complex numbers", x.dtype.name))
    return _do("imag", x)


def conj(x, name=None):
    """x with its imaginary part turned round; a copy of real numbers."""
    return _do("conj", x) if x.dtype.is_complex else _do("assign", x)


def angle(x, name=None):
    """The angle of each number in the complex plane, in radians: 0 or pi for real ones."""
    return _do("angle", x)


def polar(abs, angle, name=None):
    """abs * (cos(angle) + 1j * sin(angle))."""
    return complex(abs * _do("cos", angle), abs * _do("sin", angle))


def as_complex(x, name=None):
    """[..., 2] of pairs (real, imaginary) to complex [...]."""
    if x.shape[-1] != 2:
        raise ValueError(explain("as_complex", "a last axis of size 2", str(list(x.shape))))
    return complex(_do("getitem", x, index=(Ellipsis, 0)), _do("getitem", x, index=(Ellipsis, 1)))


def as_real(x, name=None):
    """Complex [...] to pairs (real, imaginary) [..., 2]."""
    if not x.dtype.is_complex:
        raise TypeError(explain("as_real", "complex numbers", x.dtype.name))
    return _do("stack", _do("real", x), _do("imag", x), axis=-1)


view_as_complex, view_as_real = as_complex, as_real


def isreal(x, name=None):
    """True where a number has no imaginary part."""
    return _do("imag", x) == 0 if x.dtype.is_complex else _do("full_like", x, value=True, dtype=dtypes.bool_)


def sgn(x, name=None):
    """The sign of real numbers; of complex ones x / |x|, 0 at 0."""
    if not x.dtype.is_complex:
        return _do("sign", x)
    length = _do("abs", x)
    return x / _do("where", length == 0, _do("full_like", length, value=1, dtype=length.dtype), length)


def is_complex(x):
    """True for complex64 and complex128."""
    return x.dtype.is_complex


def is_floating_point(x):
    """True for the floating types."""
    return x.dtype.is_floating


def is_integer(x):
    """True for the integer types, bool not among them."""
    return not x.dtype.is_differentiable and x.dtype is not dtypes.bool_
