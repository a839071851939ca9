"""Activation layers: most are their function with settings, PReLU has a weight."""
from gpuflow.errors import explain
from gpuflow.nn import functional as F
from gpuflow.nn.initializer import Constant
from gpuflow.nn.layer import Layer
from gpuflow.nn.made import made

__all__ = ["CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU",
           "LogSigmoid", "LogSoftmax", "Maxout", "Mish", "PReLU", "RReLU", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid",
           "Silu", "Softmax", "Softmax2D", "Softplus", "Softshrink", "Softsign", "Swish", "Tanh", "Tanhshrink",
           "ThresholdedReLU"]


def _layer(name, function, **settings):
    """Without settings: those of the op, with its defaults."""
    return made(name, function, settings or function.op.attrs, module=__name__)


def _plain(name, function):
    return made(name, function, {}, module=__name__)


CELU = _layer("CELU", F.celu)
ELU = _layer("ELU", F.elu)
GELU = _layer("GELU", F.gelu, approximate=False)
GLU = _layer("GLU", F.glu)
Hardshrink = _layer("Hardshrink", F.hardshrink)
Hardsigmoid = _plain("Hardsigmoid", F.hardsigmoid)
Hardswish = _plain("Hardswish", F.hardswish)
Hardtanh = _layer("Hardtanh", F.hardtanh)
LeakyReLU = _layer("LeakyReLU", F.leaky_relu)
LogSigmoid = _plain("LogSigmoid", F.log_sigmoid)
LogSoftmax = _layer("LogSoftmax", F.log_softmax, axis=-1)
Mish = _plain("Mish", F.mish)
ReLU = _plain("ReLU", F.relu)
ReLU6 = _plain("ReLU6", F.relu6)
SELU = _layer("SELU", F.selu)
Sigmoid = _plain("Sigmoid", F.sigmoid)
Silu = _layer("Silu", F.silu, inplace=False)
SiLU = Silu
Softmax = _layer("Softmax", F.softmax, axis=-1)
Softplus = _layer("Softplus", F.softplus, beta=1, threshold=20)
Softshrink = _layer("Softshrink", F.softshrink)
Softsign = _plain("Softsign", F.softsign)
Swish = _plain("Swish", F.swish)
Tanh = _plain("Tanh", F.tanh)
Tanhshrink = _plain("Tanhshrink", F.tanhshrink)
ThresholdedReLU = _layer("ThresholdedReLU", F.thresholded_relu)


class Maxout(Layer):
    """The largest of each group of `groups` channels, as a layer."""

    def __init__(self, groups, axis=1, name=None):
        super().__init__()
        self._groups, self._axis, self._name = groups, axis, name

    def forward(self, x):
        return F.maxout(x, self._groups, self._axis)

    def extra_repr(self):
        return f"groups={self._groups}, axis={self._axis}" + (f", name={self._name}" if self._name else "")


class PReLU(Layer):
    """x where x > 0, else weight * x with a trained weight (He et al. 2015).

    num_parameters: 1, or the number of channels. init: the weight's first value.
    """

    def __init__(self, num_parameters=1, init=0.25, weight_attr=None, data_format="NCHW", name=None):
        super().__init__()
        self._num_parameters, self._init, self._data_format, self._name = num_parameters, init, data_format, name
        self._weight = self.create_parameter([num_parameters], weight_attr, default_initializer=Constant(init))

    def forward(self, x):
        return F.prelu(x, self._weight, self._data_format)

    def extra_repr(self):
        return (f"num_parameters={self._num_parameters}, data_format={self._data_format}, init={self._init}, "
                f"dtype={self._dtype}" + (f", name={self._name}" if self._name else ""))


class RReLU(Layer):
    """leaky_relu with a slope drawn per element from [lower, upper) in training, their mean in evaluation."""

    def __init__(self, lower=1.0 / 8, upper=1.0 / 3, name=None):
        super().__init__()
        self._lower, self._upper, self._name = lower, upper, name

    def forward(self, x):
        return F.rrelu(x, self._lower, self._upper, self.training)

    def extra_repr(self):
        return (f"lower={self._lower}, upper={self._upper}, training={self.training}, dtype={self._dtype}"
                + (f", name={self._name}" if self._name else ""))


class Softmax2D(Layer):
    """softmax over the channels of [N, C, H, W] or [C, H, W]."""

    def __init__(self, name=None):
        super().__init__()
        self._name = name

    def forward(self, x):
        if len(x.shape) not in (3, 4):
            raise ValueError(explain("Softmax2D", "[N, C, H, W] or [C, H, W]", str(list(x.shape))))
        return F.softmax(x, axis=-3)

    def extra_repr(self):
        return f"name={self._name}" if self._name else ""
