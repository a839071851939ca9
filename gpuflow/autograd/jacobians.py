"""Jacobians and Hessians, worked out when they are first read."""
import operator

from gpuflow import device, dispatch
from gpuflow.autograd.tape import grad
from gpuflow.errors import explain
from gpuflow.ops.registry import OPS
from gpuflow.tensor import Tensor


class Jacobian:
    """The derivatives of ys by xs, read like a tensor: `J[i, j]`, `J.shape`, `J @ v`. Can be differentiated again."""

    def __init__(self, ys: Tensor, xs: Tensor, batched: bool):
        limits = (1, 2) if batched else (0, 1)
        for name, x in (("ys", ys), ("xs", xs)):
            if x.ndim not in limits:
                raise ValueError(explain(type(self).__name__.lower(),
                                         f"{name} of {limits[0]} or {limits[1]} dimensions where batch_axis="
                                         f"{0 if batched else None}", f"shape {list(x.shape)}",
                                         "x.reshape, or batch_axis=0 where the first axis numbers samples"))
        self._ys, self._xs, self._first = ys, xs, int(batched)
        self._value: Tensor | None = None

    @property
    def shape(self) -> list[int]:
        """ys' axes and then xs', the batch axis once and first."""
        return [*self._ys.shape, *self._xs.shape[self._first:]]

    def _tensor(self) -> Tensor:
        if self._value is None:
            ys, axis = self._ys, self._first
            if ys.ndim == axis:
                self._value = self._gradient(ys)
            else:   # one walk back per element of ys, all samples at once
                rows = [self._gradient(ys[:, i] if axis else ys[i]) for i in range(ys.shape[axis])]
                self._value = dispatch.call(OPS["stack"], rows, {"axis": axis})
        return self._value

    def _gradient(self, y: Tensor) -> Tensor:
        found = None
        if not y.stop_gradient:
            found, = grad([y], [self._xs], create_graph=True, retain_graph=True, allow_unused=True)
        x = self._xs._array
        return Tensor(device.module_of(x).zeros_like(x)) if found is None else found

    def __getitem__(self, index):
        return self._tensor()[index]

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._tensor(), name)

    def __array__(self, dtype=None, copy=None):
        array = self._tensor().numpy()
        return array if dtype is None else array.astype(dtype)

    def __repr__(self):
        return f"{type(self).__name__}({self._tensor()!r})"


def _forwarded(name: str):
    function = getattr(operator, name)

    def apply(self, other):
        return function(self._tensor(), other._tensor() if isinstance(other, Jacobian) else other)

    def reflected(self, other):
        return function(other, self._tensor())

    return apply, reflected


for _name in ("add", "sub", "mul", "truediv", "pow", "matmul"):
    _plain, _reflected = _forwarded(_name)
    setattr(Jacobian, f"__{_name}__", _plain)
    setattr(Jacobian, f"__r{_name}__", _reflected)


class Hessian(Jacobian):
    """The second derivatives of one number, or one per sample: the Jacobian of a gradient."""


def jacobian(ys, xs, batch_axis: int | None = None):
    """The Jacobian of ys by xs, [ys' size, xs' size]; for a tuple or list, a tuple of them (ys outside, xs inside).

    ys, xs: of 0 or 1 dimensions. batch_axis: 0 where the first axis of both numbers samples that do not depend on each
    other; then of 1 or 2 dimensions, and the result is [samples, ys' size, xs' size].
    """
    batched = _batched("jacobian", batch_axis)
    return _each(ys, lambda y: _each(xs, lambda x: Jacobian(y, x, batched)))


def hessian(ys, xs, batch_axis: int | None = None):
    """The Hessian of ys by xs, [xs' size, xs' size]; for a tuple or list of xs, a tuple of tuples.

    ys: a tensor of one element, or with batch_axis=0 of one per sample. Others as in `jacobian`.
    """
    batched = _batched("hessian", batch_axis)
    if ys.size != (ys.shape[0] if batched else 1):
        raise ValueError(explain("hessian", "ys of one element" + (" per sample" if batched else ""),
                                 f"shape {list(ys.shape)}", "ys.sum()"))
    y = ys.reshape([-1] if batched else [])
    return _each(xs, lambda one: _each(xs, lambda other: Hessian(Jacobian(y, one, batched)._tensor(), other, batched)))


def _batched(where: str, batch_axis) -> bool:
    if batch_axis not in (None, 0):
        raise ValueError(explain(where, "batch_axis None or 0", repr(batch_axis)))
    return batch_axis is not None


def _each(given, make):
    """make(tensor), or a tuple of it for a tuple or list."""
    return tuple(make(one) for one in given) if isinstance(given, tuple | list) else make(given)
