"""Maps between tensors with the logarithm of how they stretch space: the parts of TransformedDistribution."""
import math

from gpuflow.distribution.base import Distribution, sum_rightmost
from gpuflow.errors import explain
from gpuflow.functional.creation import arange, full_like, zeros
from gpuflow.functional.manipulation import broadcast_shape, concat, stack, unstack
from gpuflow.functional.math import sigmoid
from gpuflow.functional.reduction import cumprod, cumsum
from gpuflow.nn.functional.activation import log_sigmoid, softmax, softplus

__all__ = ["AbsTransform", "AffineTransform", "ChainTransform", "ExpTransform", "IndependentTransform",
           "PowerTransform", "ReshapeTransform", "SigmoidTransform", "SoftmaxTransform", "StackTransform",
           "StickBreakingTransform", "TanhTransform", "Transform"]


class Transform:
    """The base of transforms. Called with a distribution it makes a TransformedDistribution, with a transform a chain,
    with a tensor it is `forward`.

    A subclass writes `_forward`, `_inverse` and one of `_forward_log_det_jacobian`, `_inverse_log_det_jacobian`;
    `_forward_shape` and `_inverse_shape` where shapes change. _domain_rank, _codomain_rank: the axes of one event.
    """

    _domain_rank = _codomain_rank = 0
    _injective = True

    def __call__(self, input):
        if isinstance(input, Distribution):
            from gpuflow.distribution.composed import TransformedDistribution

            return TransformedDistribution(input, [self])
        return ChainTransform([self, input]) if isinstance(input, Transform) else self.forward(input)

    def _checked(self, where, x, rank):
        if not hasattr(x, "stop_gradient"):
            raise TypeError(explain(f"{type(self).__name__}.{where}", "a tensor", type(x).__name__))
        if len(x.shape) < rank:
            raise ValueError(explain(f"{type(self).__name__}.{where}", f"a tensor of {rank} axes or more",
                                     str(list(x.shape))))
        return x

    def forward(self, x):
        """The image of x."""
        return self._forward(self._checked("forward", x, self._domain_rank))

    def inverse(self, y):
        """What `forward` maps to y."""
        return self._inverse(self._checked("inverse", y, self._codomain_rank))

    def forward_log_det_jacobian(self, x):
        """The logarithm of |det d forward / dx| at x."""
        self._checked("forward_log_det_jacobian", x, self._domain_rank)
        if not self._injective:
            raise NotImplementedError(explain(f"{type(self).__name__}.forward_log_det_jacobian",
                                              "a transform with one preimage per point", "several"))
        if hasattr(self, "_forward_log_det_jacobian"):
            return self._forward_log_det_jacobian(x)
        if hasattr(self, "_inverse_log_det_jacobian"):
            return -self._inverse_log_det_jacobian(self.forward(x))
        raise NotImplementedError(f"{type(self).__name__}: neither _forward_log_det_jacobian nor its inverse")

    def inverse_log_det_jacobian(self, y):
        """The logarithm of |det d inverse / dy| at y."""
        self._checked("inverse_log_det_jacobian", y, self._codomain_rank)
        if hasattr(self, "_inverse_log_det_jacobian"):
            return self._inverse_log_det_jacobian(y)
        if hasattr(self, "_forward_log_det_jacobian"):
            return -self._forward_log_det_jacobian(self._inverse(y))
        raise NotImplementedError(f"{type(self).__name__}: neither _forward_log_det_jacobian nor its inverse")

    def forward_shape(self, shape):
        """The shape of the image of a tensor of `shape`."""
        return self._forward_shape(self._sizes("forward_shape", shape))

    def inverse_shape(self, shape):
        """The shape that `forward` maps to `shape`."""
        return self._inverse_shape(self._sizes("inverse_shape", shape))

    def _sizes(self, where, shape):
        if not isinstance(shape, list | tuple):
            raise TypeError(explain(f"{type(self).__name__}.{where}", "a list or tuple", type(shape).__name__))
        return shape

    def _forward(self, x):
        raise NotImplementedError(f"{type(self).__name__}._forward")

    def _inverse(self, y):
        raise NotImplementedError(f"{type(self).__name__}._inverse")

    def _forward_shape(self, shape):
        return shape

    def _inverse_shape(self, shape):
        return shape


class AbsTransform(Transform):
    """|x|. inverse gives both preimages, (-y, y)."""

    _injective = False

    def _forward(self, x):
        return x.abs()

    def _inverse(self, y):
        return -y, y

    def _inverse_log_det_jacobian(self, y):
        zero = zeros([], y.dtype)
        return zero, zero


class AffineTransform(Transform):
    """loc + scale * x, both tensors."""

    def __init__(self, loc, scale):
        self.loc, self.scale = self._checked("loc", loc, 0), self._checked("scale", scale, 0)

    def _forward(self, x):
        return self.loc + self.scale * x

    def _inverse(self, y):
        return (y - self.loc) / self.scale

    def _forward_log_det_jacobian(self, x):
        return self.scale.abs().log()

    def _forward_shape(self, shape):
        return tuple(broadcast_shape(broadcast_shape(shape, self.loc.shape), self.scale.shape))

    _inverse_shape = _forward_shape


class ExpTransform(Transform):
    """exp(x)."""

    def _forward(self, x):
        return x.exp()

    def _inverse(self, y):
        return y.log()

    def _forward_log_det_jacobian(self, x):
        return x


class PowerTransform(Transform):
    """x ** power, a tensor, of positive x."""

    def __init__(self, power):
        self.power = self._checked("power", power, 0)

    def _forward(self, x):
        return x.pow(self.power)

    def _inverse(self, y):
        return y.pow(1 / self.power)

    def _forward_log_det_jacobian(self, x):
        return (self.power * x.pow(self.power - 1)).abs().log()

    def _forward_shape(self, shape):
        return tuple(broadcast_shape(shape, self.power.shape))

    _inverse_shape = _forward_shape


class SigmoidTransform(Transform):
    """1 / (1 + exp(-x))."""

    def _forward(self, x):
        return sigmoid(x)

    def _inverse(self, y):
        return y.log() - (-y).log1p()

    def _forward_log_det_jacobian(self, x):
        return -softplus(-x) - softplus(x)


class TanhTransform(Transform):
    """tanh(x)."""

    def _forward(self, x):
        return x.tanh()

    def _inverse(self, y):
        return y.atanh()

    def _forward_log_det_jacobian(self, x):
        return 2 * (math.log(2) - x - softplus(-2 * x))


class SoftmaxTransform(Transform):
    """softmax(x) along the last axis; inverse gives the logarithm, one of the preimages."""

    _domain_rank = _codomain_rank = 1
    _injective = False

    def _forward(self, x):
        return softmax(x)

    def _inverse(self, y):
        return y.log()

    def _forward_shape(self, shape):
        if not shape:
            raise ValueError(explain("SoftmaxTransform", "a shape of one axis or more", str(shape)))
        return shape

    _inverse_shape = _forward_shape


class StickBreakingTransform(Transform):
    """n numbers to n + 1 shares of 1: each sigmoid takes its share of what the ones before it left."""

    _domain_rank = _codomain_rank = 1

    def _offset(self, n, x):
        return arange(n, 0, -1, dtype=x.dtype).log()

    def _forward(self, x):
        z = sigmoid(x - self._offset(x.shape[-1], x))
        one = full_like(z[..., :1], 1.0)
        return concat([z, one], -1) * concat([one, cumprod(1 - z, -1)], -1)

    def _inverse(self, y):
        taken = y[..., :-1]
        return taken.log() - (1 - cumsum(taken, -1)).log() + self._offset(taken.shape[-1], y)

    def _forward_log_det_jacobian(self, x):
        y = self._forward(x)
        x = x - self._offset(x.shape[-1], x)
        return (-x + log_sigmoid(x) + y[..., :-1].log()).sum(-1)

    def _resized(self, shape, by):
        if not shape:
            raise ValueError(explain("StickBreakingTransform", "a shape of one axis or more", str(shape)))
        return (*shape[:-1], shape[-1] + by)

    def _forward_shape(self, shape):
        return self._resized(shape, 1)

    def _inverse_shape(self, shape):
        return self._resized(shape, -1)


class ReshapeTransform(Transform):
    """Events of shape in_event_shape in the shape out_event_shape."""

    def __init__(self, in_event_shape, out_event_shape):
        self.in_event_shape = tuple(self._sizes("in_event_shape", in_event_shape))
        self.out_event_shape = tuple(self._sizes("out_event_shape", out_event_shape))
        if math.prod(in_event_shape) != math.prod(out_event_shape):
            raise ValueError(explain("ReshapeTransform", "shapes of as many elements",
                                     f"{list(in_event_shape)} and {list(out_event_shape)}"))
        self._domain_rank, self._codomain_rank = len(in_event_shape), len(out_event_shape)

    def _replaced(self, shape, old, new):
        cut = len(shape) - len(old)
        if cut < 0 or tuple(shape[cut:]) != old:
            raise ValueError(explain("ReshapeTransform", f"a shape that ends in {list(old)}", str(list(shape))))
        return (*shape[:cut], *new)

    def _forward(self, x):
        return x.reshape(self._forward_shape(x.shape))

    def _inverse(self, y):
        return y.reshape(self._inverse_shape(y.shape))

    def _forward_log_det_jacobian(self, x):
        return zeros(list(x.shape[:len(x.shape) - self._domain_rank]), x.dtype)

    def _forward_shape(self, shape):
        return self._replaced(shape, self.in_event_shape, self.out_event_shape)

    def _inverse_shape(self, shape):
        return self._replaced(shape, self.out_event_shape, self.in_event_shape)


def _listed(where, transforms):
    if not isinstance(transforms, list | tuple) or not all(isinstance(t, Transform) for t in transforms):
        raise TypeError(explain(where, "a list of transforms", repr(transforms)))
    return transforms


class ChainTransform(Transform):
    """Several transforms, the first one first."""

    def __init__(self, transforms):
        self.transforms = _listed("ChainTransform", transforms)
        self._injective = all(t._injective for t in transforms)
        rank = transforms[-1]._codomain_rank if transforms else 0
        for t in reversed(transforms):
            rank = max(rank - t._codomain_rank + t._domain_rank, t._domain_rank)
        self._domain_rank = rank
        for t in transforms:
            rank = max(rank - t._domain_rank + t._codomain_rank, t._codomain_rank)
        self._codomain_rank = rank

    def _forward(self, x):
        for t in self.transforms:
            x = t.forward(x)
        return x

    def _inverse(self, y):
        for t in reversed(self.transforms):
            y = t.inverse(y)
        return y

    def _forward_log_det_jacobian(self, x):
        out, rank = 0.0, self._domain_rank
        for t in self.transforms:
            out = out + sum_rightmost(t.forward_log_det_jacobian(x), rank - t._domain_rank)
            x, rank = t.forward(x), rank + t._codomain_rank - t._domain_rank
        return out

    def _forward_shape(self, shape):
        for t in self.transforms:
            shape = t.forward_shape(shape)
        return shape

    def _inverse_shape(self, shape):
        for t in reversed(self.transforms):
            shape = t.inverse_shape(shape)
        return shape


class IndependentTransform(Transform):
    """`base` with its last `reinterpreted_batch_rank` batch axes counted as part of an event."""

    def __init__(self, base, reinterpreted_batch_rank):
        if not isinstance(base, Transform):
            raise TypeError(explain("IndependentTransform", "a transform", type(base).__name__))
        if reinterpreted_batch_rank <= 0:
            raise ValueError(explain("IndependentTransform", "reinterpreted_batch_rank > 0",
                                     str(reinterpreted_batch_rank)))
        self._base, self._more, self._injective = base, reinterpreted_batch_rank, base._injective
        self._domain_rank = base._domain_rank + reinterpreted_batch_rank
        self._codomain_rank = base._codomain_rank + reinterpreted_batch_rank

    def _forward(self, x):
        return self._base.forward(x)

    def _inverse(self, y):
        return self._base.inverse(y)

    def _forward_log_det_jacobian(self, x):
        return sum_rightmost(self._base.forward_log_det_jacobian(x), self._more)

    def _forward_shape(self, shape):
        return self._base.forward_shape(shape)

    def _inverse_shape(self, shape):
        return self._base.inverse_shape(shape)


class StackTransform(Transform):
    """As many transforms as x has slices along `axis`: one for each."""

    def __init__(self, transforms, axis=0):
        if not isinstance(axis, int) or not transforms:
            raise TypeError(explain("StackTransform", "transforms and an integer axis", f"{transforms!r}, {axis!r}"))
        self.transforms, self.axis = _listed("StackTransform", transforms), axis
        self._injective = all(t._injective for t in transforms)
        self._domain_rank = max(t._domain_rank for t in transforms)
        self._codomain_rank = max(t._codomain_rank for t in transforms)

    def _each(self, method, x):
        rank = len(x.shape)
        if not -rank <= self.axis < rank or x.shape[self.axis] != len(self.transforms):
            raise ValueError(explain("StackTransform", f"{len(self.transforms)} slices along axis {self.axis}",
                                     str(list(x.shape))))
        slices = zip(self.transforms, unstack(x, self.axis), strict=True)
        return stack([getattr(t, method)(v) for t, v in slices], self.axis)

    def _forward(self, x):
        return self._each("forward", x)

    def _inverse(self, y):
        return self._each("inverse", y)

    def _forward_log_det_jacobian(self, x):
        return self._each("forward_log_det_jacobian", x)
