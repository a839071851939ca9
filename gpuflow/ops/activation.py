"""Elementwise functions of one tensor, transcendental functions and activations."""
from gpuflow.ops.registry import op, same_as


@op("tanh", infer=same_as("x"), saves=("out",))
def tanh(xp, x):
    """The hyperbolic tangent of x, elementwise."""
    return xp.tanh(x)


@tanh.grad
def tanh_grad(xp, g, saved):
    return (g * (1 - saved.out * saved.out),)


@op("exp", infer=same_as("x"), saves=("out",), quiet=True)
def exp(xp, x):
    """e to the power x, elementwise."""
    return xp.exp(x)


@exp.grad
def exp_grad(xp, g, saved):
    return (g * saved.out,)


@op("log", infer=same_as("x"), saves=("x",), quiet=True)
def log(xp, x):
    """The natural logarithm of x, elementwise; -inf at 0 and nan below."""
    return xp.log(x)


@log.grad
def log_grad(xp, g, saved):
    return (g / saved.x,)


@op("relu", infer=same_as("x"), saves=("out",))
def relu(xp, x):
    """max(x, 0), elementwise. The gradient at 0 is 0."""
    return xp.maximum(x, 0)


@relu.grad
def relu_grad(xp, g, saved):
    return (g * (saved.out > 0),)
