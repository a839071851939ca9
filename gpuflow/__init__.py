"""gpuflow: train on NVIDIA GPUs with CuPy, on CPUs with NumPy, in Paddle's words. ``import gpuflow as paddle``.

The core is imported here; the rooms above it (nn, optimizer, io, ...) when they are first named.
"""
import importlib

from gpuflow import device, methods
from gpuflow._version import __version__
from gpuflow.autograd.modes import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from gpuflow.autograd.tape import grad
from gpuflow.device import (
    CPUPlace,
    CUDAPinnedPlace,
    CUDAPlace,
    get_device,
    is_compiled_with_cuda,
    set_device,
)
from gpuflow.dispatch import in_dynamic_mode, is_tensor
from gpuflow.dtypes import (
    DType as dtype,
)
from gpuflow.dtypes import (
    bfloat16,
    complex64,
    complex128,
    finfo,
    float16,
    float32,
    float64,
    get_default_dtype,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    set_default_dtype,
    uint8,
)
from gpuflow.dtypes import bool_ as bool
from gpuflow.functional.creation import (
    arange,
    assign,
    clone,
    empty,
    empty_like,
    eye,
    full,
    full_like,
    linspace,
    meshgrid,
    ones,
    ones_like,
    tril_indices,
    triu_indices,
    zeros,
    zeros_like,
)
from gpuflow.functional.linalg import (
    addmm,
    bmm,
    dot,
    einsum,
    inner,
    matmul,
    mm,
    mv,
    outer,
    tensordot,
)
from gpuflow.functional.manipulation import (
    broadcast_shape,
    broadcast_tensors,
    broadcast_to,
    cast,
    chunk,
    concat,
    crop,
    diag,
    diagonal,
    expand,
    expand_as,
    flatten,
    flip,
    is_empty,
    moveaxis,
    numel,
    rank,
    repeat_interleave,
    reshape,
    roll,
    rot90,
    shape,
    slice,
    split,
    squeeze,
    stack,
    strided_slice,
    swapaxes,
    t,
    tile,
    tolist,
    transpose,
    tril,
    triu,
    unbind,
    unflatten,
    unsqueeze,
    unstack,
    view,
    view_as,
)
from gpuflow.functional.math import (
    abs,
    acos,
    acosh,
    add,
    add_n,
    allclose,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    ceil,
    clip,
    cos,
    cosh,
    deg2rad,
    divide,
    equal,
    equal_all,
    erf,
    exp,
    expm1,
    floor,
    floor_divide,
    floor_mod,
    fmax,
    fmin,
    frac,
    greater,
    greater_equal,
    greater_than,
    heaviside,
    increment,
    isclose,
    isfinite,
    isinf,
    isnan,
    lerp,
    less,
    less_equal,
    less_than,
    log,
    log1p,
    log2,
    log10,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    logit,
    maximum,
    minimum,
    mod,
    multiply,
    nan_to_num,
    neg,
    negative,
    not_equal,
    pow,
    rad2deg,
    reciprocal,
    remainder,
    round,
    rsqrt,
    scale,
    sigmoid,
    sign,
    sin,
    sinh,
    sqrt,
    square,
    stanh,
    subtract,
    tan,
    tanh,
    trunc,
)
from gpuflow.functional.random import (
    bernoulli,
    multinomial,
    normal,
    rand,
    randint,
    randint_like,
    randn,
    randperm,
    standard_normal,
    uniform,
)
from gpuflow.functional.reduction import (
    all,
    amax,
    amin,
    any,
    count_nonzero,
    cumprod,
    cumsum,
    logsumexp,
    max,
    mean,
    min,
    nanmean,
    nansum,
    norm,
    prod,
    std,
    sum,
    var,
)
from gpuflow.functional.search import (
    argmax,
    argmin,
    argsort,
    bucketize,
    gather,
    gather_nd,
    index_add,
    index_fill,
    index_put,
    index_sample,
    index_select,
    kthvalue,
    masked_fill,
    masked_select,
    median,
    nonzero,
    put_along_axis,
    scatter,
    scatter_nd,
    scatter_nd_add,
    searchsorted,
    sort,
    take_along_axis,
    topk,
    unique,
    where,
)
from gpuflow.random import get_rng_state, seed, set_rng_state
from gpuflow.tensor import Tensor, from_dlpack, set_printoptions, to_tensor

_ROOMS = ("amp", "autograd", "io", "metric", "nn", "optimizer", "regularizer", "static", "text", "utils", "vision")
_ELSEWHERE = {"save": "io.checkpoint", "load": "io.checkpoint", "ParamAttr": "param", "create_parameter": "nn.create"}


def __getattr__(name):
    if name in _ROOMS:
        try:
            return importlib.import_module(f"gpuflow.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"gpuflow.{name}":
                raise
    elif name in _ELSEWHERE:
        value = getattr(importlib.import_module(f"gpuflow.{_ELSEWHERE[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'gpuflow' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_ROOMS, *_ELSEWHERE})
