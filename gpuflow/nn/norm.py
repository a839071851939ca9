"""Normalisation layers."""
import math

import numpy as np

from gpuflow import dtypes
from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.functional.activation import named
from gpuflow.nn.functional import norm as F
from gpuflow.nn.initializer import Constant, Normal
from gpuflow.nn.layer import Layer
from gpuflow.ops.registry import OPS
from gpuflow.tensor import to_tensor

__all__ = ["BatchNorm", "BatchNorm1D", "BatchNorm2D", "BatchNorm3D", "GroupNorm", "InstanceNorm1D", "InstanceNorm2D",
           "InstanceNorm3D", "LayerNorm", "LocalResponseNorm", "SpectralNorm", "SyncBatchNorm"]


def _affine(layer, shape, weight_attr, bias_attr, dtype=None, device=None):
    """(weight of ones, bias of zeros); None where an attr is False."""
    return (layer.create_parameter(shape, weight_attr, dtype, default_initializer=Constant(1.0), device=device),
            layer.create_parameter(shape, bias_attr, dtype, is_bias=True, device=device,
                                   default_initializer=Constant(0.0)))


def _expect_rank(layer, x, ranks):
    if len(x.shape) not in ranks:
        raise ValueError(explain(layer.full_name(), f"x of {' or '.join(map(str, ranks))} axes",
                                 f"{len(x.shape)} axes {list(x.shape)}"))


class _BatchNormBase(Layer):
    """Weight, bias and the running statistics `_mean` and `_variance`: buffers, saved and never trained."""

    ranks: tuple[int, ...] = (4,)
    formats: tuple[str, ...] = ("NCHW", "NHWC")

    def __init__(self, num_features, momentum=0.9, epsilon=1e-05, weight_attr=None, bias_attr=None, data_format="NCHW",
                 use_global_stats=None, name=None):
        super().__init__()
        if data_format not in self.formats:
            raise ValueError(explain(type(self).__name__, f"data_format among {', '.join(self.formats)}",
                                     repr(data_format)))
        self._num_features, self._momentum, self._epsilon = num_features, momentum, epsilon
        self._data_format, self._use_global_stats, self._name = data_format, use_global_stats, name
        default = dtypes.default_float()
        self._setup(weight_attr, bias_attr, dtypes.float32 if default.itemsize == 2 else default,
                    *((None, None) if name is None else (name + "_mean", name + "_variance")))

    def _setup(self, weight_attr, bias_attr, dtype, mean_name, variance_name):
        shape = [self._num_features]
        self.weight, self.bias = _affine(self, shape, weight_attr, bias_attr, dtype)
        dtype = dtypes.convert(dtype)
        for buffer, value, name, suffix in (("_mean", 0, mean_name, "w_1"), ("_variance", 1, variance_name, "w_2")):
            tensor = to_tensor(np.full(shape, value, dtype.dtype), dtype=dtype)
            tensor.name = name or f"{self.full_name()}.{suffix}"  # as Paddle names them
            self.register_buffer(buffer, tensor)

    def forward(self, input):
        _expect_rank(self, input, self.ranks)
        return F.batch_norm(input, self._mean, self._variance, self.weight, self.bias, self.training, self._momentum,
                            self._epsilon, self._data_format, self._use_global_stats)

    def extra_repr(self):
        text = f"num_features={self._num_features}, momentum={self._momentum}, epsilon={self._epsilon}"
        text += f", data_format={self._data_format}" if self._data_format not in ("NCHW", "NCL", "NCDHW") else ""
        return text if self._name is None else f"{text}, name={self._name}"


class BatchNorm1D(_BatchNormBase):
    """Batch norm of x [N, C] or [N, C, L] ("NLC": [N, L, C]); arguments as in `BatchNorm2D`."""

    ranks = (2, 3)
    formats = ("NC", "NCL", "NLC", "NCHW", "NHWC")

    def __init__(self, num_features, momentum=0.9, epsilon=1e-05, weight_attr=None, bias_attr=None, data_format="NCL",
                 use_global_stats=None, name=None):
        super().__init__(num_features, momentum, epsilon, weight_attr, bias_attr, data_format, use_global_stats, name)


class BatchNorm2D(_BatchNormBase):
    """Batch norm of x [N, C, H, W] ("NHWC": [N, H, W, C]); see `functional.batch_norm`.

    In training the batch's mean and variance normalise, and `_mean` and `_variance` follow them:
    running = momentum * running + (1 - momentum) * batch's. In eval() the running ones normalise and stay as they are.
    use_global_stats=True takes (and keeps) the running ones in training too, which freezes the statistics; False takes
    the batch's in eval() as well and goes on updating. stop_gradient on weight and bias freezes those two only.
    weight_attr, bias_attr: ParamAttr or what makes one; False: none. name: prefix of the running statistics' names.
    """


class BatchNorm3D(_BatchNormBase):
    """Batch norm of x [N, C, D, H, W] ("NDHWC": [N, D, H, W, C]); arguments as in `BatchNorm2D`."""

    ranks = (5,)
    formats = ("NCDHW", "NDHWC", "NCHW", "NHWC")

    def __init__(self, num_features, momentum=0.9, epsilon=1e-05, weight_attr=None, bias_attr=None, data_format="NCDHW",
                 use_global_stats=None, name=None):
        super().__init__(num_features, momentum, epsilon, weight_attr, bias_attr, data_format, use_global_stats, name)


class BatchNorm(_BatchNormBase):
    """Batch norm of x with 2 to 5 axes, Paddle's older form: other names, and an activation `act` after it.

    use_global_stats: False takes the batch's statistics in training and the running ones in eval(), as
    BatchNorm2D's None does. trainable_statistics: the batch's in eval() too. is_test: start in eval mode.
    """

    ranks = (2, 3, 4, 5)

    def __init__(self, num_channels, act=None, is_test=False, momentum=0.9, epsilon=1e-05, param_attr=None,
                 bias_attr=None, dtype="float32", data_layout="NCHW", in_place=False, moving_mean_name=None,
                 moving_variance_name=None, do_model_average_for_mean_and_var=True, use_global_stats=False,
                 trainable_statistics=False):
        Layer.__init__(self)
        named("BatchNorm", act)
        if data_layout not in self.formats:
            raise ValueError(explain("BatchNorm", "data_layout 'NCHW' or 'NHWC'", repr(data_layout)))
        self._num_features, self._momentum, self._epsilon = num_channels, momentum, epsilon
        self._data_format, self._name, self._act = data_layout, None, act
        self._use_global_stats = True if use_global_stats else False if trainable_statistics else None
        self._setup(param_attr, bias_attr, "float32" if dtype == "float16" else dtype, moving_mean_name,
                    moving_variance_name)
        self.training = not is_test

    def forward(self, input):
        return named("BatchNorm", self._act)(super().forward(input))


class LayerNorm(Layer):
    """Layer norm over the last axes, of sizes normalized_shape (an int: the last one); see `functional.layer_norm`.

    weight and bias are flat, of that many elements; elementwise_affine=False or attr False leaves them out.
    """

    def __init__(self, normalized_shape, epsilon=1e-05, *, elementwise_affine=True, bias=True, device=None, dtype=None,
                 weight_attr=None, bias_attr=None, name=None):
        super().__init__()
        self._normalized_shape = [normalized_shape] if isinstance(normalized_shape, int) else list(normalized_shape)
        self._epsilon = epsilon
        self.weight, self.bias = _affine(self, [math.prod(self._normalized_shape)],
                                         weight_attr if elementwise_affine else False,
                                         bias_attr if elementwise_affine and bias else False, dtype, device)

    def forward(self, input):
        return F.layer_norm(input, self._normalized_shape, self.weight, self.bias, self._epsilon)

    def extra_repr(self):
        return f"normalized_shape={self._normalized_shape}, epsilon={self._epsilon}"


class GroupNorm(Layer):
    """Group norm of x [N, C, ...] ("NLC", "NHWC", "NDHWC": [N, ..., C]); see `functional.group_norm`."""

    def __init__(self, num_groups, num_channels, epsilon=1e-05, *, affine=True, device=None, dtype=None,
                 weight_attr=None, bias_attr=None, data_format="NCHW", name=None):
        super().__init__()
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(explain("GroupNorm", "num_channels that num_groups divides",
                                     f"num_groups={num_groups}, num_channels={num_channels}"))
        if data_format not in ("NCL", "NCHW", "NCDHW", "NLC", "NHWC", "NDHWC"):
            raise ValueError(explain("GroupNorm", "a data_format such as 'NCHW'", repr(data_format)))
        self._num_groups, self._num_channels, self._epsilon = num_groups, num_channels, epsilon
        self._data_format = data_format
        self.weight, self.bias = _affine(self, [num_channels], weight_attr if affine else False,
                                         bias_attr if affine else False, dtype, device)

    def forward(self, input):
        return F.group_norm(input, self._num_groups, self._epsilon, self.weight, self.bias, self._data_format)

    def extra_repr(self):
        return f"num_groups={self._num_groups}, num_channels={self._num_channels}, epsilon={self._epsilon}"


class _InstanceNorm(Layer):
    ranks: tuple[int, ...] = (4,)

    def __init__(self, num_features, epsilon=1e-05, momentum=0.9, weight_attr=None, bias_attr=None, data_format="NCHW",
                 name=None):
        super().__init__()
        if (weight_attr is False) != (bias_attr is False):
            raise ValueError(explain(type(self).__name__, "weight_attr and bias_attr both False, or neither", "one"))
        self._num_features, self._epsilon, self._momentum = num_features, epsilon, momentum
        self._data_format = data_format
        self.scale, self.bias = _affine(self, [num_features], weight_attr, bias_attr)

    def forward(self, input):
        _expect_rank(self, input, self.ranks)
        return F.instance_norm(input, weight=self.scale, bias=self.bias, momentum=self._momentum, eps=self._epsilon,
                               data_format=self._data_format)

    def extra_repr(self):
        return f"num_features={self._num_features}, epsilon={self._epsilon}"


class InstanceNorm1D(_InstanceNorm):
    """Instance norm of x [N, C] or [N, C, L]; parameters `scale` and `bias`. See `functional.instance_norm`."""

    ranks = (2, 3)

    def __init__(self, num_features, epsilon=1e-05, momentum=0.9, weight_attr=None, bias_attr=None, data_format="NCL",
                 name=None):
        super().__init__(num_features, epsilon, momentum, weight_attr, bias_attr, data_format, name)


class InstanceNorm2D(_InstanceNorm):
    """Instance norm of x [N, C, H, W]; parameters `scale` and `bias`. See `functional.instance_norm`."""


class InstanceNorm3D(_InstanceNorm):
    """Instance norm of x [N, C, D, H, W]; parameters `scale` and `bias`. See `functional.instance_norm`."""

    ranks = (5,)

    def __init__(self, num_features, epsilon=1e-05, momentum=0.9, weight_attr=None, bias_attr=None, data_format="NCDHW",
                 name=None):
        super().__init__(num_features, epsilon, momentum, weight_attr, bias_attr, data_format, name)


class LocalResponseNorm(Layer):
    """`functional.local_response_norm` as a layer."""

    def __init__(self, size, alpha=0.0001, beta=0.75, k=1.0, data_format="NCHW", name=None):
        super().__init__()
        self.size, self.alpha, self.beta, self.k, self.data_format = size, alpha, beta, k, data_format

    def forward(self, input):
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k, self.data_format)

    def extra_repr(self):
        text = f"size={self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
        return text if self.data_format == "NCHW" else f"{text}, data_format={self.data_format}"


class SyncBatchNorm(_BatchNormBase):
    """Batch norm over the batches of all processes; in one process, which is what there is, `BatchNorm` of any rank."""

    ranks = (2, 3, 4, 5)
    formats = ("NC", "NCL", "NLC", "NCHW", "NHWC", "NCDHW", "NDHWC")

    def __init__(self, num_features, momentum=0.9, epsilon=1e-05, weight_attr=None, bias_attr=None, data_format="NCHW",
                 name=None):
        super().__init__(num_features, momentum, epsilon, weight_attr, bias_attr, data_format, None, name)

    @classmethod
    def convert_sync_batchnorm(cls, layer):
        """The layer with every batch norm in it replaced by one of this class that has its parameters."""
        out = layer
        if isinstance(layer, _BatchNormBase) and not isinstance(layer, SyncBatchNorm):
            out = SyncBatchNorm(layer._num_features, layer._momentum, layer._epsilon, False, False, layer._data_format)
            out.weight, out.bias = layer.weight, layer.bias
            for buffer in ("_mean", "_variance"):
                out._buffers[buffer] = layer._buffers[buffer]
            out.training = layer.training
        for name, child in list(layer._sub_layers.items()):
            if child is not None:
                out.add_sublayer(name, cls.convert_sync_batchnorm(child))
        return out


class SpectralNorm(Layer):
    """A weight over its largest singular value, which power iteration finds (Miyato et al., 2018).

    weight_shape: of the tensors that forward is given. dim: the axis that is a matrix's rows, the rest are its columns.
    The vectors `weight_u` and `weight_v` are part of the state; each forward starts from them and leaves them alone.
    """

    def __init__(self, weight_shape, dim=0, power_iters=1, eps=1e-12, dtype="float32"):
        super().__init__()
        rows = weight_shape[dim]
        if power_iters < 0:
            raise ValueError(explain("SpectralNorm", "power_iters of at least 0", str(power_iters)))
        self._shape, self._dim, self._power_iters, self._eps = list(weight_shape), dim, power_iters, eps
        sizes = {"weight_u": rows, "weight_v": math.prod(weight_shape) // max(rows, 1)}
        for name, size in sizes.items():
            vector = self.create_parameter([size], dtype=dtype, default_initializer=Normal(0.0, 1.0))
            vector.stop_gradient = True
            setattr(self, name, vector)

    def forward(self, x):
        if list(x.shape) != self._shape:
            raise ValueError(explain(self.full_name(), f"a weight of shape {self._shape}", str(list(x.shape))))
        perm = (self._dim, *(i for i in range(len(self._shape)) if i != self._dim))
        matrix = call(OPS["transpose"], (x,), {"perm": perm}).reshape([self._shape[self._dim], -1])
        fixed, u, v = matrix.detach(), self.weight_u, self.weight_v
        for _ in range(self._power_iters):
            v = self._unit(fixed.t().matmul(u))
            u = self._unit(fixed.matmul(v))
        return x / (u * matrix.matmul(v)).sum()

    def _unit(self, vector):
        return vector / ((vector * vector).sum().sqrt() + self._eps)
