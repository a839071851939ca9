"""Moving between devices."""
from gpuflow import device
from gpuflow.ops.registry import op


@op("transfer", infer=lambda x, *, place, origin: x)
def transfer(xp, x, *, place, origin):
    """x in the memory of `place`; origin: the Place it comes from, to which the gradient goes back."""
    moved = device.move(x, place)
    return x.copy() if moved is x else moved


@transfer.grad
def transfer_grad(xp, g, saved, *, place, origin):
    return (transfer(xp, g, place=origin, origin=place),)
