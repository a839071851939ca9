"""What is done to parameters and gradients by hand: clipping, vectors of parameters, weight and spectral norm."""
import math

import numpy as np

from gpuflow import device
from gpuflow.autograd.tape import no_grad
from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.nn.clip import _bound, norm_of
from gpuflow.nn.common import Linear
from gpuflow.nn.conv import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose
from gpuflow.nn.functional.norm import normalize
from gpuflow.nn.initializer import Normal
from gpuflow.nn.made_weight import MadeWeight, WeightNorm, installed, like
from gpuflow.ops.registry import OPS
from gpuflow.ops.rows import SparseRows
from gpuflow.tensor import Tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_", "parameters_to_vector", "remove_weight_norm", "spectral_norm",
           "vector_to_parameters", "weight_norm"]


# ---- gradients -----------------------------------------------------------------------------------------------------

def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False):
    """Scales all gradients by max_norm / (norm + 1e-6) where that is below 1, in place; returns the norm, 0-d float32.

    The norm is that of all gradients as one vector, before scaling. It stays on the device: read it to wait.
    parameters: a parameter or any iterable of them; those without a gradient are left out. norm_type: p >= 0 of the
    p-norm, inf included; 0 counts what is not zero. error_if_nonfinite: RuntimeError, with nothing changed, for a norm
    that is inf or NaN (this waits); otherwise such a norm makes gradients NaN or 0.
    For ParamAttr(need_clip=False), groups and one pass over memory, give the optimizer a clip instead.
    """
    where = "clip_grad_norm_"
    max_norm, p = _bound(where, "max_norm", max_norm, positive=False), float(norm_type)
    if not p >= 0:
        raise ValueError(explain(where, "norm_type >= 0, or inf", repr(norm_type)))
    grads = _gradients(where, parameters)
    if not grads:
        return Tensor(np.zeros((), np.float32))
    norm = norm_of([values for _, values in grads], p)
    if error_if_nonfinite and not math.isfinite(float(norm)):
        raise RuntimeError(explain(where, "a finite norm of the gradients", str(float(norm)),
                                   "error_if_nonfinite=False, or find the layer that overflows"))
    xp = device.module_of(grads[0][1])
    factor = xp.asarray(xp.minimum(max_norm / (norm + 1e-6), 1.0))
    for g, values in grads:
        with np.errstate(invalid="ignore"):   # inf · 0 and the like: said above
            _replace(g, values, values * device.move(factor, device.place_of(values)).astype(values.dtype))
    return Tensor(xp.asarray(norm, np.float32))


def clip_grad_value_(parameters, clip_value):
    """Holds every element of every gradient in [-clip_value, clip_value], in place."""
    limit = _bound("clip_grad_value_", "clip_value", clip_value, positive=False)
    if limit < 0:
        raise ValueError(explain("clip_grad_value_", "clip_value >= 0", repr(clip_value)))
    for g, values in _gradients("clip_grad_value_", parameters):
        _replace(g, values, device.module_of(values).clip(values, -limit, limit))


def _gradients(where, parameters) -> list:
    """[(gradient, its values)]; of a sparse one the merged rows."""
    given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    out = []
    for p in {id(p): p for p in given}.values():
        if not isinstance(p, Tensor):
            raise TypeError(explain(where, "parameters", type(p).__name__))
        g = p._grad
        if isinstance(g, SparseRows):
            g.rows, g.values = g.merged()
        if g is not None:
            out.append((g, g.values if isinstance(g, SparseRows) else g._array))
    return out


def _replace(g, values, new) -> None:
    if isinstance(g, SparseRows):
        g.values = new
    else:
        values[...] = new


# ---- vectors of parameters -----------------------------------------------------------------------------------------

def parameters_to_vector(parameters, name=None):
    """A copy of all parameters as one vector, in their order and row by row; a leaf that wants gradients."""
    arrays = [p._array.reshape(-1) for p in parameters]
    if not arrays:
        raise ValueError(explain("parameters_to_vector", "at least one parameter", "none"))
    return Tensor(device.module_of(arrays[0]).concatenate(arrays), stop_gradient=False)


def vector_to_parameters(vec, parameters, name=None):
    """Writes the numbers of a vector into the parameters, in the order of `parameters_to_vector`."""
    params = list(parameters)
    total = sum(p.size for p in params)
    if vec.ndim != 1 or vec.size != total:
        raise ValueError(explain("vector_to_parameters", f"a vector of {total} numbers", f"shape {list(vec.shape)}"))
    begin = 0
    for p in params:
        p.set_value(vec._array[begin:begin + p.size].reshape(p._array.shape))
        begin += p.size


# ---- reparameterisations -------------------------------------------------------------------------------------------

class _SpectralNorm(MadeWeight):
    def __init__(self, layer, name, iterations, eps, dim):
        super().__init__(layer, name)
        self.iterations, self.eps, self.dim = iterations, eps, dim
        w = layer._parameters.pop(name)
        layer.add_parameter(f"{name}_orig", w)
        rows = self._matrix(w)
        for end, size in zip("uv", rows.shape):
            start = Tensor(Normal().new_array((size,), w.dtype, w.place))
            layer.register_buffer(f"{name}_{end}", normalize(start, axis=0, epsilon=eps))

    def _matrix(self, w):
        order = (self.dim, *(k for k in range(w.ndim) if k != self.dim))
        return call(OPS["transpose"], (w,), {"perm": order}).reshape([w.shape[self.dim], -1])

    def weight(self, layer):
        w = layer._parameters[f"{self.name}_orig"]
        u, v = layer._buffers[f"{self.name}_u"], layer._buffers[f"{self.name}_v"]
        rows = self._matrix(w)
        if layer.training:
            with no_grad():
                for _ in range(self.iterations):
                    v.set_value(normalize((u.reshape([1, -1]) @ rows).reshape([-1]), axis=0, epsilon=self.eps))
                    u.set_value(normalize((rows @ v.reshape([-1, 1])).reshape([-1]), axis=0, epsilon=self.eps))
        sigma = (u.clone().reshape([1, -1]) @ rows @ v.clone().reshape([-1, 1])).reshape([])
        return w / sigma


def weight_norm(layer, name="weight", dim=0):
    """Splits the parameter `name` into direction and length: weight = g · v / |v|; returns the layer.

    The new parameters "<name>_v" (shaped like the weight) and "<name>_g" ([size of axis dim], 0-d for dim=None) take
    its place and its attributes; build the optimizer afterwards. dim: the axis that numbers the lengths; None, and as
    in Paddle -1, takes one length for all. The weight is made anew before every call of the layer.

    Salimans and Kingma, 2016 (https://arxiv.org/abs/1602.07868).
    """
    return installed(layer, WeightNorm(layer, name, dim))


def remove_weight_norm(layer, name="weight"):
    """Makes the weight of `weight_norm` a parameter again, with its present numbers; returns the layer."""
    found = [(key, hook) for key, (hook, _) in layer._forward_pre_hooks.items()
             if isinstance(hook, WeightNorm) and hook.name == name]
    if not found:
        raise ValueError(explain("remove_weight_norm", f"a layer with weight_norm on {name!r}", type(layer).__name__))
    (key, hook), = found
    with no_grad():
        w = hook.weight(layer)
    old = layer._parameters[f"{name}_v"]
    del layer._forward_pre_hooks[key], layer._parameters[f"{name}_v"], layer._parameters[f"{name}_g"]
    del layer.__dict__[name]
    layer.add_parameter(name, like(layer, old, w._array))
    return layer


def spectral_norm(layer, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
    """Divides the parameter `name` by its largest singular value before every call; returns the layer.

    The parameter itself is called "<name>_orig" from now on. The value is estimated from the buffers "<name>_u" and
    "<name>_v", which each call in training mode brings nearer by n_power_iterations. dim: the axis that becomes the
    rows of the matrix; None: 1 for Linear and transposed convolutions, else 0.

    Miyato et al., 2018 (https://arxiv.org/abs/1802.05957).
    """
    if n_power_iterations <= 0:
        raise ValueError(explain("spectral_norm", "n_power_iterations > 0", repr(n_power_iterations)))
    if dim is None:
        dim = 1 if isinstance(layer, Linear | Conv1DTranspose | Conv2DTranspose | Conv3DTranspose) else 0
    return installed(layer, _SpectralNorm(layer, name, n_power_iterations, float(eps), dim))
