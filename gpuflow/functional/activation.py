"""Activations, under the names of `nn.functional`."""
from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.functional.arguments import integer
from gpuflow.functional.make import inplace, public
from gpuflow.functional.manipulation import cast, reshape
from gpuflow.functional.reduction import max as max_of
from gpuflow.ops.registry import OPS, normal_axis

__all__ = ["celu", "elu", "elu_", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "hardtanh_",
           "leaky_relu", "leaky_relu_", "log_sigmoid", "log_softmax", "maxout", "mish", "prelu", "relu", "relu6",
           "relu_", "selu", "sigmoid", "silu", "softmax", "softmax_", "softplus", "softshrink", "softsign", "swish",
           "tanh", "tanh_", "tanhshrink", "thresholded_relu", "thresholded_relu_"]

celu = public("celu")
elu = public("elu")
glu = public("glu")
hardshrink = public("hardshrink")
hardsigmoid = public("hardsigmoid")
hardswish = public("hardswish")
hardtanh = public("hardtanh")
leaky_relu = public("leaky_relu")
log_sigmoid = public("log_sigmoid")
mish = public("mish")
relu = public("relu")
relu6 = public("relu6")
selu = public("selu")
sigmoid = public("sigmoid")
silu = public("silu")
softplus = public("softplus")
softshrink = public("softshrink")
softsign = public("softsign")
tanh = public("tanh")
tanhshrink = public("tanhshrink")
thresholded_relu = public("thresholded_relu")
elu_ = inplace(elu)
hardtanh_ = inplace(hardtanh)
leaky_relu_ = inplace(leaky_relu)
relu_ = inplace(relu)
tanh_ = inplace(tanh)
thresholded_relu_ = inplace(thresholded_relu)


def swish(x, name=None):
    """x * sigmoid(x), the same as `silu`."""
    return call(OPS["silu"], (x,))


def gelu(x, approximate=False, name=None):
    """x times the normal distribution function of x; approximate True or "tanh": by tanh instead of erf."""
    if approximate not in (True, False, "tanh", "none"):
        raise ValueError(explain("gelu", "approximate True, False, 'tanh' or 'none'", repr(approximate)))
    return call(OPS["gelu"], (x,), {"approximate": approximate in (True, "tanh")})


def softmax(x, axis=-1, dtype=None, name=None):
    """exp(x) / sum(exp(x)) along `axis`. dtype: x is converted to it first."""
    return call(OPS["softmax"], (x if dtype is None else cast(x, dtype),), {"axis": integer("softmax", axis)})


def log_softmax(x, axis=-1, dtype=None, name=None):
    """log(softmax(x)) along `axis`, exact also where softmax underflows. dtype: x is converted to it first."""
    return call(OPS["log_softmax"], (x if dtype is None else cast(x, dtype),), {"axis": integer("log_softmax", axis)})


def softmax_(x, axis=-1, dtype=None, name=None):
    """`softmax` written into x, which is returned."""
    return x.copy_(softmax(x, axis, dtype))


def prelu(x, weight, data_format="NCHW", name=None):
    """x where x > 0, else weight * x. weight: [1], or [channels] with the channels where data_format says."""
    if data_format not in ("NC", "NCL", "NCHW", "NCDHW", "NLC", "NHWC", "NDHWC"):
        raise ValueError(explain("prelu", "data_format 'NCHW', 'NHWC' or their kin", repr(data_format)))
    return call(OPS["prelu"], (x, weight), {"channel_axis": 1 if data_format.startswith("NC") else x.ndim - 1})


def maxout(x, groups, axis=1, name=None):
    """The largest of each `groups` neighbouring channels (axis 1 or -1/3): channels / groups are left."""
    axis = normal_axis("maxout", axis, x.ndim)
    sizes = list(x.shape)
    if sizes[axis] % groups:
        raise ValueError(explain("maxout", f"groups that divide the {sizes[axis]} channels", str(groups)))
    parts = reshape(x, (*sizes[:axis], sizes[axis] // groups, groups, *sizes[axis + 1:]))
    return max_of(parts, axis + 1)


# names that Paddle's operators had and some arguments (act="hard_swish") still want
_OLDER: dict[str, tuple[str, dict]] = {
    "hard_shrink": ("hardshrink", {}), "hard_sigmoid": ("hardsigmoid", {"slope": 0.2}), "hard_swish": ("hardswish", {}),
    "logsigmoid": ("log_sigmoid", {}), "swish": ("silu", {}), "tanh_shrink": ("tanhshrink", {})}


def named(where: str, act: str | None):
    """The function of an argument `act` of `where`: an op's name, or one it had in Paddle before. None: x as it is."""
    if act is None:
        return lambda x: x
    name, attrs = _OLDER.get(act, (act, {}))
    if name not in OPS:
        raise ValueError(explain(where, "act as the name of an activation, e.g. 'relu'", repr(act)))
    return lambda x: call(OPS[name], (x,), attrs)
