"""Linear, Embedding, dropout, padding and other layers without a family."""
from collections.abc import Callable

from gpuflow import dtypes
from gpuflow.autograd.modes import no_grad
from gpuflow.dispatch import in_dynamic_mode
from gpuflow.errors import explain
from gpuflow.functional.manipulation import flatten, unflatten
from gpuflow.nn import functional as F
from gpuflow.nn.functional.common import check_mode, probability
from gpuflow.nn.functional.input import normal_padding
from gpuflow.nn.layer import Layer
from gpuflow.param import Parameter
from gpuflow.tensor import Tensor

__all__ = ["AlphaDropout", "Bilinear", "CircularPad1D", "CircularPad2D", "CircularPad3D", "ConstantPad1D",
           "ConstantPad2D", "ConstantPad3D", "CosineSimilarity", "Dropout", "Dropout2D", "Dropout3D", "Embedding",
           "FeatureAlphaDropout", "Flatten", "Identity", "Linear", "Pad1D", "Pad2D", "Pad3D", "PairwiseDistance",
           "ReflectionPad1D", "ReflectionPad2D", "ReflectionPad3D", "ReplicationPad1D", "ReplicationPad2D",
           "ReplicationPad3D", "Unflatten", "ZeroPad1D", "ZeroPad2D", "ZeroPad3D"]


def _named(text, name):
    return f"{text}, name={name}" if name else text


def _counts(where, **sizes):
    """ValueError for a size that is no integer >= 1."""
    for key, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(explain(where, f"{key} to be an integer >= 1", repr(value)))


class Identity(Layer):
    """Returns its input. Takes and ignores any arguments, so that it can stand for another layer."""

    def __init__(self, *args, **kwargs):
        super().__init__()

    def forward(self, input):
        return input


class Linear(Layer):
    """x @ weight + bias. weight: [in_features, out_features]; bias: [out_features], none with bias_attr=False.

    The weight starts as XavierUniform, the bias as zeros, unless weight_attr and bias_attr say otherwise.
    """

    def __init__(self, in_features, out_features, weight_attr=None, bias_attr=None, name=None):
        super().__init__()
        self._dtype = dtypes.get_default_dtype()
        self.weight = self.create_parameter([in_features, out_features], weight_attr, self._dtype)
        self.bias = self.create_parameter([out_features], bias_attr, self._dtype, is_bias=True)
        self.name = name

    def forward(self, input):
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self):
        inside, outside = self.weight.shape
        return _named(f"in_features={inside}, out_features={outside}, dtype={self._dtype}", self.name)


class Bilinear(Layer):
    """x1 weight[o] x2 + bias[o] for each o. weight: [out, in1, in2]; bias: [1, out], none with bias_attr=False."""

    def __init__(self, in1_features, in2_features, out_features, weight_attr=None, bias_attr=None, name=None):
        super().__init__()
        self._dtype, self._name = dtypes.get_default_dtype(), name
        self.weight = self.create_parameter([out_features, in1_features, in2_features], weight_attr, self._dtype)
        self.bias = self.create_parameter([1, out_features], bias_attr, self._dtype, is_bias=True)

    def forward(self, x1, x2):
        return F.bilinear(x1, x2, self.weight, self.bias)

    def extra_repr(self):
        out, in1, in2 = self.weight.shape
        return _named(f"in1_features={in1}, in2_features={in2}, out_features={out}, dtype={self._dtype}", self._name)


class Embedding(Layer):
    """A vector for each id: weight[ids]. weight: [num_embeddings, embedding_dim].

    padding_idx: its row starts as zeros, gives zeros and is not trained. max_norm, norm_type, sparse,
    scale_grad_by_freq: see `functional.embedding`. _weight: a Parameter or tensor to use; _freeze: no gradient.
    """

    def __init__(self, num_embeddings, embedding_dim, padding_idx=None, max_norm=None, norm_type=2.0, *,
                 scale_grad_by_freq=False, sparse=False, _weight=None, _freeze=False, device=None, dtype=None,
                 weight_attr=None, name=None):
        super().__init__()
        _counts("Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self._num_embeddings, self._embedding_dim = num_embeddings, embedding_dim
        self._row = normal_padding(padding_idx, num_embeddings)
        self._padding_idx = -1 if self._row is None else self._row   # as subclasses written for Paddle read it
        self.padding_idx, self._max_norm, self._norm_type = padding_idx, max_norm, norm_type
        self._scale_grad_by_freq, self._sparse, self._name = scale_grad_by_freq, sparse, name
        shape = [num_embeddings, embedding_dim]
        self._dtype = dtypes.get_default_dtype() if dtype is None else dtypes.convert(dtype).name
        if _weight is not None:
            if list(_weight.shape) != shape:
                raise ValueError(explain("Embedding(_weight=...)", f"shape {shape}", str(list(_weight.shape))))
            self.weight = _weight if isinstance(_weight, Parameter) else Parameter(_weight)
            self.weight.stop_gradient = _freeze
        else:
            self.weight = self.create_parameter(shape, weight_attr, self._dtype, device=device)
            if weight_attr is None:
                self.weight.stop_gradient = _freeze
        if self._row is not None and in_dynamic_mode():   # in a Program the row only gives zeros, as in Paddle
            with no_grad():
                self.weight._write(0, self._row)

    def forward(self, x):
        return F.embedding(x, self.weight, self.padding_idx, self._max_norm, self._norm_type, self._sparse,
                           self._scale_grad_by_freq)

    def extra_repr(self):
        text = f"{self._num_embeddings}, {self._embedding_dim}"
        if self.padding_idx is not None:
            text += f", padding_idx={self.padding_idx}"
        return _named(f"{text}, sparse={self._sparse}, scale_grad_by_freq={self._scale_grad_by_freq}", self._name)


class Dropout(Layer):
    """Sets elements to 0 with probability p while training; see `functional.dropout`."""

    def __init__(self, p=0.5, inplace=False, axis=None, mode="upscale_in_train", name=None):
        super().__init__()
        probability("Dropout", p)
        check_mode("Dropout", mode)
        self.p, self.inplace, self.axis, self.mode, self.name = p, inplace, axis, mode, name

    def forward(self, input):
        return F.dropout(input, self.p, self.axis, self.training, self.inplace, self.mode)

    def extra_repr(self):
        return f"{_named(f'p={self.p}, axis={self.axis}, mode={self.mode}', self.name)}, inplace={self.inplace}"


class _ChannelDropout(Layer):
    """Sets whole channels to 0 with probability p while training."""

    function: Callable

    def __init__(self, p, data_format, name):
        super().__init__()
        self.p, self.data_format, self.name = p, data_format, name

    def forward(self, input):
        return type(self).function(input, self.p, self.training, self.data_format)

    def extra_repr(self):
        return _named(f"p={self.p}, data_format={self.data_format}", self.name)


class Dropout2D(_ChannelDropout):
    """Sets whole channels of [N, C, H, W] to 0 with probability p while training."""

    function = staticmethod(F.dropout2d)

    def __init__(self, p=0.5, data_format="NCHW", name=None):
        super().__init__(p, data_format, name)


class Dropout3D(_ChannelDropout):
    """Sets whole channels of [N, C, D, H, W] to 0 with probability p while training."""

    function = staticmethod(F.dropout3d)

    def __init__(self, p=0.5, data_format="NCDHW", name=None):
        super().__init__(p, data_format, name)


class AlphaDropout(Layer):
    """Dropout that keeps mean and variance after SELU; see `functional.alpha_dropout`."""

    def __init__(self, p=0.5, name=None):
        super().__init__()
        self.p, self.name = p, name

    def forward(self, input):
        return F.alpha_dropout(input, self.p, self.training)

    def extra_repr(self):
        return _named(f"p={self.p}", self.name)


class FeatureAlphaDropout(AlphaDropout):
    """`AlphaDropout` of whole channels of [N, C, ...]."""

    def forward(self, input):
        return F.feature_alpha_dropout(input, self.p, self.training)


class Flatten(Layer):
    """The axes from start_axis to stop_axis become one."""

    def __init__(self, start_axis=1, stop_axis=-1):
        super().__init__()
        self.start_axis, self.stop_axis = start_axis, stop_axis

    def forward(self, input):
        return flatten(input, self.start_axis, self.stop_axis)


class Unflatten(Layer):
    """One axis becomes several, of the sizes in `shape` (one may be -1)."""

    def __init__(self, axis, shape, name=None):
        super().__init__()
        self.axis, self.shape, self.name = axis, shape, name

    def forward(self, input):
        return unflatten(input, self.axis, self.shape)

    def extra_repr(self):
        return _named(f"axis={self.axis}, shape={list(self.shape)}", self.name)


class _Pad(Layer):
    """A border around the spatial axes; see `functional.pad`. padding: an int, or (left, right, top, bottom, ...)."""

    rank = 0

    def __init__(self, padding, mode, value, data_format, name):
        super().__init__()
        padding = padding.tolist() if isinstance(padding, Tensor) else padding
        self.padding = [padding] * (2 * self.rank) if isinstance(padding, int) else list(padding)
        self._mode, self.value, self._data_format, self._name = mode, value, data_format, name

    def forward(self, x):
        return F.pad(x, self.padding, self._mode, self.value, self._data_format)

    def extra_repr(self):
        return _named(f"padding={self.padding}, mode={self._mode}, value={self.value}, "
                      f"data_format={self._data_format}", self._name)


class Pad1D(_Pad):
    """A border around [N, C, L]; see `functional.pad`."""

    rank = 1

    def __init__(self, padding, mode="constant", value=0.0, data_format="NCL", name=None):
        super().__init__(padding, mode, value, data_format, name)


class Pad2D(_Pad):
    """A border around [N, C, H, W]; see `functional.pad`."""

    rank = 2

    def __init__(self, padding, mode="constant", value=0.0, data_format="NCHW", name=None):
        super().__init__(padding, mode, value, data_format, name)


class Pad3D(_Pad):
    """A border around [N, C, D, H, W]; see `functional.pad`."""

    rank = 3

    def __init__(self, padding, mode="constant", value=0.0, data_format="NCDHW", name=None):
        super().__init__(padding, mode, value, data_format, name)


def _pad_class(name, base, mode, data_format):
    """A class for one mode of padding."""
    def with_value(self, padding, value, data_format=data_format, name=None):
        base.__init__(self, padding, mode, value, data_format, name)

    def without(self, padding, data_format=data_format, name=None):
        base.__init__(self, padding, mode, 0.0, data_format, name)

    return type(name, (base,), {"__init__": with_value if name.startswith("Constant") else without,
                                "__module__": __name__, "__doc__": f"{base.__name__} in mode {mode!r}."})


def _pads(mode, title):
    """The 1-, 2- and 3-D classes of one mode of padding."""
    return [_pad_class(f"{title}Pad{base.rank}D", base, mode, data_format)
            for base, data_format in ((Pad1D, "NCL"), (Pad2D, "NCHW"), (Pad3D, "NCDHW"))]


ConstantPad1D, ConstantPad2D, ConstantPad3D = _pads("constant", "Constant")
ZeroPad1D, ZeroPad2D, ZeroPad3D = _pads("constant", "Zero")
ReflectionPad1D, ReflectionPad2D, ReflectionPad3D = _pads("reflect", "Reflection")
ReplicationPad1D, ReplicationPad2D, ReplicationPad3D = _pads("replicate", "Replication")
CircularPad1D, CircularPad2D, CircularPad3D = _pads("circular", "Circular")


class CosineSimilarity(Layer):
    """The cosine of the angle between two tensors along `axis`; see `functional.cosine_similarity`."""

    def __init__(self, axis=1, eps=1e-8):
        super().__init__()
        self._axis, self._eps = axis, eps

    def forward(self, x1, x2):
        return F.cosine_similarity(x1, x2, self._axis, self._eps)

    def extra_repr(self):
        return f"axis={self._axis}, eps={self._eps}"


class PairwiseDistance(Layer):
    """The p-norm of x - y + epsilon over the last axis."""

    def __init__(self, p=2.0, epsilon=1e-6, keepdim=False, name=None):
        super().__init__()
        self.p, self.epsilon, self.keepdim, self.name = p, epsilon, keepdim, name

    def forward(self, x, y):
        return F.pairwise_distance(x, y, self.p, self.epsilon, self.keepdim)

    def extra_repr(self):
        text = f"p={self.p}"
        text += f", epsilon={self.epsilon}" if self.epsilon != 1e-6 else ""
        return _named(f"{text}, keepdim={self.keepdim}" if self.keepdim else text, self.name)
