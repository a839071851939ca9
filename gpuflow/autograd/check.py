"""Are gradients right? The walk back against central differences, along random directions, first and second order."""
import numpy as np

from gpuflow import device
from gpuflow.autograd import tape
from gpuflow.errors import explain
from gpuflow.tensor import Tensor, to_tensor


def check_gradients(function, inputs, order: int = 2, eps: float = 1e-5, rtol: float = 1e-5, atol: float = 1e-7,
                    seed: int = 0) -> None:
    """Raises AssertionError when a gradient of `function` differs from the one that central differences give.

    function: takes tensors and returns a tensor or a tuple of them; outputs that carry no gradient are left out. It
    must give the same result for the same inputs (a random one has to seed itself).
    inputs: tensors or arrays. The float64 ones that are arrays, or tensors with stop_gradient=False, are checked, one
    after the other; all others are constants. Lower precision is refused: differences of float32 say nothing.
    order: 1, or 2 to check the gradient's own gradient (create_graph) in the same way.
    eps: the step. The error of central differences is about eps**2 from above and 1e-16 / eps from below.
    rtol, atol: |analytic - numeric| <= atol + rtol * max(|analytic|, |numeric|), for the slope along a random direction.

    For each input a random direction u and for the outputs a random weight v are drawn; the slope of <v, function> along
    u is compared with <u, gradient>, so the whole gradient takes part in one comparison. Where the two slopes at either
    side of the point differ, the message says so: the point is a kink (relu at 0), which no gradient can match.
    """
    if order not in (1, 2):
        raise ValueError(explain("check_gradients", "order 1 or 2", repr(order)))
    rng = np.random.default_rng(seed)
    inputs = [x if x is None or isinstance(x, Tensor) else _leaf(x) for x in inputs]
    checked = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and not x.stop_gradient]
    for i in checked:
        if str(inputs[i].dtype.name) != "float64":
            raise TypeError(explain("check_gradients", "float64 inputs", f"{inputs[i].dtype.name} as input {i}",
                                    "x.astype('float64')"))
    if not checked:
        raise ValueError(explain("check_gradients", "an input whose gradient is wanted", "none"))
    _compare(function, inputs, checked, rng, eps, rtol, atol, "first")
    if order == 2:
        weights = [_like(rng, t) for t in _outputs(function(*inputs))]

        def slope(*xs):
            return _gradients(function, xs, checked, weights, create_graph=True)

        _compare(slope, inputs, checked, rng, eps, rtol, atol, "second")


def _leaf(array):
    tensor = to_tensor(array)
    tensor.stop_gradient = tensor.dtype.name != "float64"
    return tensor


def _outputs(result):
    return [t for t in (result if isinstance(result, tuple | list) else (result,))
            if isinstance(t, Tensor) and t.dtype.is_floating and not t.stop_gradient]


def _like(rng, tensor):
    return Tensor(device.module_of(tensor._array).asarray(rng.standard_normal(tensor.shape)))


def _gradients(function, inputs, checked, weights, create_graph=False):
    """The gradients of <weights, function(inputs)>, zeros where there is no path."""
    outputs = _outputs(function(*inputs))
    wanted = [inputs[i] for i in checked]
    found = tape.grad(outputs, wanted, weights, create_graph=create_graph, allow_unused=True) if outputs else (
        [None] * len(wanted))
    return tuple(to_tensor(np.zeros(x.shape), place=x.place) if g is None else
                 g.to_dense() if g.is_selected_rows() else g for x, g in zip(wanted, found, strict=True))


def _compare(function, inputs, checked, rng, eps, rtol, atol, which):
    outputs = _outputs(function(*inputs))
    if not outputs:
        if which == "second":  # the gradient is a constant: the differences must agree
            outputs = list(function(*inputs))
        else:
            raise AssertionError(f"{which} order: no output of the function carries a gradient")
    weights = [_like(rng, t) for t in outputs]
    analytic = _gradients(function, inputs, checked, weights) if _outputs(outputs) else None
    keep = [not t.stop_gradient for t in outputs] if analytic else [True] * len(outputs)
    live = [not t.stop_gradient for t in _all(function(*inputs))] if analytic else keep

    def value(i, x):
        moved = [Tensor(x, stop_gradient=inputs[i].stop_gradient) if j == i else t for j, t in enumerate(inputs)]
        results = [t for t, use in zip(_all(function(*moved)), live, strict=True) if use]
        return sum(float((w._array * t._array).sum()) for w, t in zip(weights, results, strict=True))

    for position, i in enumerate(checked):
        at = inputs[i]._array
        u = _like(rng, inputs[i])._array
        here, above, below = value(i, at), value(i, at + eps * u), value(i, at - eps * u)
        numeric = (above - below) / (2 * eps)
        exact = float((u * analytic[position]._array).sum()) if analytic else 0.0
        if abs(exact - numeric) <= atol + rtol * max(abs(exact), abs(numeric)):
            continue
        right, left = (above - here) / eps, (here - below) / eps
        text = (f"{which} order, input {i} {inputs[i].shape}: the gradient gives {exact:.10g}, differences give "
                f"{numeric:.10g} (eps {eps})")
        if abs(right - left) > 0.01 * max(abs(right), abs(left)):
            text += f". The slope is {left:.6g} before the point and {right:.6g} after it: a kink? Move the inputs"
        raise AssertionError(text)


def _all(result):
    return [t for t in (result if isinstance(result, tuple | list) else (result,))
            if isinstance(t, Tensor) and t.dtype.is_floating]
