"""Activation functions: thin over the ops of ops/activation.py and ops/softmax.py."""
from gpuflow import dtypes
from gpuflow.dispatch import call, call_inplace, trains
from gpuflow.errors import explain
from gpuflow.functional.make import inplace, public
from gpuflow.ops.registry import OPS, normal_axis

__all__ = ["celu", "elu", "elu_", "gelu", "glu", "gumbel_softmax", "hardshrink", "hardsigmoid", "hardswish", "hardtanh",
           "hardtanh_", "leaky_relu", "leaky_relu_", "log_sigmoid", "log_softmax", "logsigmoid", "maxout", "mish",
           "prelu", "relu", "relu6", "relu_", "rrelu", "selu", "sigmoid", "silu", "softmax", "softmax_", "softplus",
           "softshrink", "softsign", "swiglu", "swish", "tanh", "tanh_", "tanhshrink", "thresholded_relu",
           "thresholded_relu_"]

celu = public("celu")
elu = public("elu")
elu_ = inplace(elu)
glu = public("glu")
hardshrink = public("hardshrink")
hardsigmoid = public("hardsigmoid")
hardswish = public("hardswish")
hardtanh = public("hardtanh")
hardtanh_ = inplace(hardtanh)
leaky_relu = public("leaky_relu")
leaky_relu_ = inplace(leaky_relu)
log_sigmoid = public("log_sigmoid")
logsigmoid = log_sigmoid
mish = public("mish")
relu = public("relu")
relu_ = inplace(relu)
relu6 = public("relu6")
selu = public("selu")
sigmoid = public("sigmoid")
softplus = public("softplus")
softshrink = public("softshrink")
softsign = public("softsign")
tanh = public("tanh")
tanh_ = inplace(tanh)
tanhshrink = public("tanhshrink")
thresholded_relu = public("thresholded_relu")
thresholded_relu_ = inplace(thresholded_relu)


def gelu(x, approximate=False, name=None):
    """x * Phi(x), Phi the Gaussian distribution function (Hendrycks and Gimpel 2016).

    approximate: True or "tanh" for the formula with tanh; False or "none" for the exact one.
    """
    if approximate not in (True, False, "tanh", "none"):
        raise ValueError(explain("gelu", "approximate True, False, 'tanh' or 'none'", repr(approximate)))
    return call(OPS["gelu"], (x,), {"approximate": approximate in (True, "tanh")})


def silu(x, inplace=False, name=None):
    """x * sigmoid(x), elementwise. inplace: the result replaces the numbers of x."""
    return call_inplace(OPS["silu"], x, (x,)) if inplace else call(OPS["silu"], (x,))


def swish(x, name=None):
    """x * sigmoid(x), elementwise: the older name of silu."""
    return call(OPS["silu"], (x,))


def swiglu(x, y=None, name=None):
    """silu(x) * y; without y, x is split in halves along its last axis (Shazeer 2020)."""
    if y is None:
        half = x.shape[-1] // 2
        if 2 * half != x.shape[-1]:
            raise ValueError(explain("swiglu", "an even size along the last axis", str(list(x.shape))))
        x, y = x[..., :half], x[..., half:]
    return silu(x) * y


def softmax(x, axis=-1, dtype=None, name=None):
    """exp(x) / sum(exp(x)) along `axis`. dtype: x is cast to it first."""
    return call(OPS["softmax"], (_cast(x, dtype),), {"axis": axis})


def softmax_(x, axis=-1, dtype=None, name=None):
    """`softmax` in place: the result replaces the numbers of x, which is returned."""
    if dtype is not None and dtypes.convert(dtype) is not x.dtype:
        raise ValueError(explain("softmax_", f"dtype None or x's own, {x.dtype.name}", str(dtype), "softmax"))
    return call_inplace(OPS["softmax"], x, (x,), {"axis": axis})


def log_softmax(x, axis=-1, dtype=None, name=None):
    """log(softmax(x)) along `axis`, exact also where softmax underflows. dtype: x is cast to it first."""
    return call(OPS["log_softmax"], (_cast(x, dtype),), {"axis": axis})


def _cast(x, dtype):
    return x if dtype is None else call(OPS["cast"], (x,), {"dtype": dtypes.convert(dtype)})


def gumbel_softmax(x, temperature=1.0, hard=False, axis=-1, name=None):
    """A sample from the relaxed categorical distribution with logits x (Jang et al. 2017), shaped like x.

    hard: one-hot along `axis` in the forward pass, with the soft sample's gradient.
    """
    if temperature <= 0:
        raise ValueError(explain("gumbel_softmax", "temperature > 0", repr(temperature)))
    tiny = 1e-10 if x.dtype.name in ("float32", "float64") else 1e-4   # log(0) must not come up
    drawn = call(OPS["uniform_like"], (x,), {"low": tiny, "high": 1.0})
    noise = -call(OPS["log"], (-call(OPS["log"], (drawn,)) + tiny,))
    soft = softmax((x + noise) / temperature, axis)
    if not hard:
        return soft
    top = call(OPS["max"], (soft.detach(),), {"axis": axis, "keepdim": True})
    return (soft.detach() == top).astype(soft.dtype) - soft.detach() + soft


def maxout(x, groups, axis=1, name=None):
    """The largest of each group of `groups` neighbouring channels: [N, C, ...] to [N, C / groups, ...].

    axis: the channels'. Goodfellow et al. 2013.
    """
    axis = normal_axis("maxout", axis, len(x.shape))
    if groups < 2 or x.shape[axis] % groups:
        raise ValueError(explain("maxout", f"groups >= 2 that divides the {x.shape[axis]} channels", str(groups)))
    shape = (*x.shape[:axis], x.shape[axis] // groups, groups, *x.shape[axis + 1:])
    return call(OPS["max"], (call(OPS["reshape"], (x,), {"shape": shape}),), {"axis": axis + 1, "keepdim": False})


def prelu(x, weight, data_format="NCHW", name=None):
    """x where x > 0, else weight * x. weight: [1], or one number per channel.

    data_format: channels on axis 1 ("NC...") or last ("N...C").
    """
    if data_format not in ("NC", "NCL", "NCHW", "NCDHW", "NLC", "NHWC", "NDHWC"):
        raise ValueError(explain("prelu", "data_format NC, NCL, NCHW, NCDHW, NLC, NHWC or NDHWC", repr(data_format)))
    return call(OPS["prelu"], (x, weight), {"channel_axis": 1 if data_format[1] == "C" else -1})


@trains
def rrelu(x, lower=1.0 / 8, upper=1.0 / 3, training=True, name=None):
    """x where x >= 0, else a * x with a drawn per element from [lower, upper); their mean when not training."""
    if not 0 <= lower <= upper <= 1:
        raise ValueError(explain("rrelu", "0 <= lower <= upper <= 1", f"lower={lower}, upper={upper}"))
    if not training:
        return leaky_relu(x, (lower + upper) / 2)
    slope = call(OPS["uniform_like"], (x,), {"low": lower, "high": upper})
    return call(OPS["where"], (x >= 0, x, x * slope))
