"""Are gradients right? The walk back against central differences, along random directions, first and second order."""
import numpy as np

from gpuflow import device
from gpuflow.autograd import tape
from gpuflow.errors import explain
from gpuflow.ops.rows import SparseRows
from gpuflow.tensor import Tensor, to_tensor


def check_gradients(function, inputs, order: int = 2, eps: float = 1e-5, rtol: float = 1e-5, atol: float = 1e-7,
                    seed: int = 0) -> None:
    """Raises AssertionError when a gradient of `function` differs from the one that central differences give.

    function: takes tensors and returns a tensor or a tuple of them; outputs that carry no gradient are left out. It
    must give the same result for the same inputs (a random one has to seed itself).
    inputs: tensors, arrays, numbers or None. The float64 ones that are arrays, or tensors with stop_gradient=False,
    are checked, one after the other; all others are constants. Lower precision is refused: differences of float32 say
    nothing.
    order: 1, or 2 to check the gradient's own gradient (create_graph) in the same way.
    eps: the step. The error of central differences is about eps**2 from above and 1e-16 / eps from below.
    rtol, atol: |analytic - numeric| <= atol + rtol * max(|analytic|, |numeric|), for the slope along a random
        direction.

    For each input a random direction u and for the outputs a random weight v are drawn; the slope of <v, function>
    along u is compared with <u, gradient>, so the whole gradient takes part in one comparison. Where the two slopes at
    either
    side of the point differ, the message says so: the point is a kink (relu at 0), which no gradient can match.
    """
    if order not in (1, 2):
        raise ValueError(explain("check_gradients", "order 1 or 2", repr(order)))
    rng = np.random.default_rng(seed)
    inputs = [_leaf(x) if device.is_array(x) else x for x in inputs]
    checked = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and not x.stop_gradient]
    for i in checked:
        if inputs[i].dtype.name != "float64":
            raise TypeError(explain("check_gradients", "float64 inputs", f"{inputs[i].dtype.name} as input {i}",
                                    "x.astype('float64')"))
    if not checked:
        raise ValueError(explain("check_gradients", "an input whose gradient is wanted", "none"))
    outputs = _floats(function(*inputs))
    live = [not t.stop_gradient for t in outputs]
    if not any(live):
        raise AssertionError("check_gradients: no output of the function carries a gradient")
    weights = [_random_like(rng, t) for t in outputs]
    _compare("first order", function, live, inputs, checked, rng, eps, rtol, atol)
    if order == 2:

        def slope(*xs):
            return _gradients(function, live, xs, checked, weights, create_graph=True)

        # here a gradient without a history counts as well: it must be a constant
        _compare("second order", slope, [True] * len(checked), inputs, checked, rng, eps, rtol, atol)


def _leaf(array):
    tensor = to_tensor(array)
    tensor.stop_gradient = tensor.dtype.name != "float64"
    return tensor


def _floats(result):
    return [t for t in (result if isinstance(result, tuple | list) else (result,))
            if isinstance(t, Tensor) and t.dtype.is_floating]


def _random_like(rng, tensor):
    return Tensor(device.module_of(tensor._array).asarray(rng.standard_normal(tensor.shape)))


def _gradients(function, used, inputs, checked, weights, create_graph=False):
    """The gradients of <weights, used outputs> for the checked inputs, zeros where there is no path."""
    pairs = [(t, w) for t, w, use in zip(_floats(function(*inputs)), weights, used, strict=True)
             if use and not t.stop_gradient]
    wanted = [inputs[i] for i in checked]
    found = tape.grad([t for t, _ in pairs], wanted, [w for _, w in pairs], create_graph=create_graph,
                      allow_unused=True) if pairs else [None] * len(wanted)
    return [Tensor(device.module_of(x._array).zeros_like(x._array)) if g is None else
            g.to_dense() if isinstance(g, SparseRows) else g for x, g in zip(wanted, found, strict=True)]


def _compare(what, function, used, inputs, checked, rng, eps, rtol, atol):
    """Compares <u, gradient> with the slope of <weights, function> along u, for one checked input after the other."""
    weights = [_random_like(rng, t) for t in _floats(function(*inputs))]
    gradients = _gradients(function, used, inputs, checked, weights)

    def value(i, x):
        moved = [Tensor(x, inputs[i].stop_gradient) if j == i else t for j, t in enumerate(inputs)]
        return sum(float((w._array * t._array).sum())
                   for t, w, use in zip(_floats(function(*moved)), weights, used, strict=True) if use)

    for i, gradient in zip(checked, gradients, strict=True):
        at, u = inputs[i]._array, _random_like(rng, inputs[i])._array
        here, above, below = value(i, at), value(i, at + eps * u), value(i, at - eps * u)
        numeric, analytic = (above - below) / (2 * eps), float((u * gradient._array).sum())
        if abs(analytic - numeric) <= atol + rtol * max(abs(analytic), abs(numeric)):
            continue
        right, left = (above - here) / eps, (here - below) / eps
        text = (f"{what}, input {i} {inputs[i].shape}: the gradient gives {analytic:.10g}, central differences "
                f"{numeric:.10g} (eps {eps})")
        if abs(right - left) > 0.01 * max(abs(right), abs(left)):
            text += f". The slope is {left:.6g} before the point and {right:.6g} after it: a kink? Move the inputs"
        raise AssertionError(text)
