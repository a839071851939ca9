"""`recompute`: memory saved by running a part of the network a second time on the way back."""
from gpuflow import dispatch, random
from gpuflow.autograd.modes import enable_grad, is_grad_enabled
from gpuflow.autograd.py_layer import PyLayer
from gpuflow.autograd.tape import backward
from gpuflow.structure import filled, leaves
from gpuflow.tensor import Tensor

__all__ = ["recompute"]


def recompute(function, *args, use_reentrant: bool = True, preserve_rng_state: bool = True, **kwargs):
    """`function(*args, **kwargs)`, keeping nothing of what happens in it but the tensors it was given.

    The way back runs it again, under the same auto_cast and with the same random numbers, and takes the gradients from
    that run, those of parameters as well. Worth it for parts whose inner results are large. Where no tensor given needs
    a gradient, and in a Program, it is a plain call. use_reentrant, preserve_rng_state: taken, and change nothing.
    """
    given = [x for x in leaves((args, kwargs)) if isinstance(x, Tensor)]
    if not dispatch.in_dynamic_mode() or not is_grad_enabled() or all(t.stop_gradient for t in given):
        return function(*args, **kwargs)
    policy, seed = dispatch.casting_policy(), int(random.host_rng().integers(1 << 62))

    def run(tensors):
        following = iter(tensors)
        placed_args, placed = filled((args, kwargs), lambda x: next(following) if isinstance(x, Tensor) else x)
        with dispatch.casting(policy), random.drawing_from(seed):
            return function(*placed_args, **placed)

    return _Recomputed.apply(run, *given)


class _Recomputed(PyLayer):
    @staticmethod
    def forward(ctx, run, *tensors):
        ctx.run = run
        ctx.needed = [not t.stop_gradient for t in tensors]
        ctx.save_for_backward(*tensors)
        return run(tensors)

    @staticmethod
    def backward(ctx, *grads):
        inputs = [t.detach() for t in ctx.saved_tensor()]
        for tensor, needed in zip(inputs, ctx.needed, strict=True):
            tensor.stop_gradient = not needed
        with enable_grad():
            pairs = [(out, g) for out, g in zip(leaves(ctx.run(inputs)), grads, strict=True)
                     if isinstance(out, Tensor) and not out.stop_gradient]
            backward([out for out, _ in pairs], [g for _, g in pairs])
        return tuple(t.grad for t in inputs)
