"""Complex numbers. The gradient of a complex number is dL/d(real) + 1j dL/d(imaginary), as in Paddle and PyTorch."""
from gpuflow import dtypes
from gpuflow.errors import explain
from gpuflow.ops.registry import Spec, broadcast_shapes, op

_OF = {dtypes.float32: dtypes.complex64, dtypes.float64: dtypes.complex128}
_PART = {whole: part for part, whole in _OF.items()}


def _complex_spec(x, y):
    if x.dtype not in _OF or x.dtype is not y.dtype:
        raise TypeError(explain("complex", "two tensors of float32, or of float64",
                                f"{x.dtype.name} and {y.dtype.name}"))
    return Spec(broadcast_shapes("complex", x.shape, y.shape), _OF[x.dtype])


@op("complex", infer=_complex_spec, holomorphic=False)
def make(xp, x, y):
    """x + 1j * y, elementwise with broadcasting."""
    if x.dtype != y.dtype or x.dtype.itemsize < 4:
        raise TypeError("dtypes")
    return x + y * xp.asarray(1j, xp.complex64 if x.dtype.itemsize == 4 else xp.complex128)


@make.grad
def make_grad(xp, g, saved):
    return real(xp, g), imag(xp, g)


def _part_spec(x):
    return Spec(x.shape, _PART.get(x.dtype, x.dtype))


@op("real", infer=_part_spec, holomorphic=False)
def real(xp, x):
    """The real part."""
    return x.real.copy()


@real.grad
def real_grad(xp, g, saved):
    return (make(xp, g, xp.zeros_like(g)),)


@op("imag", infer=_part_spec, holomorphic=False)
def imag(xp, x):
    """The imaginary part."""
    return x.imag.copy()


@imag.grad
def imag_grad(xp, g, saved):
    return (make(xp, xp.zeros_like(g), g),)


@op("conj", infer=lambda x: x, holomorphic=False)
def conj(xp, x):
    """x with its imaginary part turned round."""
    return xp.conj(x)


@conj.grad
def conj_grad(xp, g, saved):
    return (conj(xp, g),)


@op("angle", infer=_part_spec)
def angle(xp, x):
    """The angle of x in the complex plane."""
    return xp.angle(x).astype(x.real.dtype)


