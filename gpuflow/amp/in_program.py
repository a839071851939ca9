"""The scale of a GradScaler in Programs: what it knows are tensors there, and it adapts on the device in each run."""
from __future__ import annotations

from gpuflow import device, dispatch, dtypes, unique_name
from gpuflow.errors import explain
from gpuflow.ops.registry import OPS
from gpuflow.static.build import global_variable

NAMES = ("loss_scaling", "num_good_steps", "num_bad_steps")    # Paddle's
FLOAT32 = {"dtype": dtypes.float32}


class LossScale:
    """scaler: has the settings and the formula. tensors: the scale, and where it is dynamic its two counts, each of
    shape [1]; the startup program fills them, and they are saved with the program's parameters. used: the scale as it
    was when the last loss was scaled, a Variable: one step adapts the tensor before another optimizer takes its own."""

    def __init__(self, scaler, numbers):
        self.scaler = scaler
        self.dynamic, self.used = scaler.is_use_dynamic_loss_scaling(), None
        self.tensors = [global_variable([1], number, kind, persistable=True, name=unique_name.generate(name))
                        for name, number, kind in zip(NAMES, numbers, ("float32", "int32", "int32"))
                        if self.dynamic or name == NAMES[0]]

    def scaled(self, loss):
        """The loss times the scale, in float32 where it has two bytes."""
        with dispatch.casting(None):
            self.used = dispatch.call(OPS["assign"], (self.tensors[0],))
            scale = dispatch.call(OPS["reshape"], (self.used,), {"shape": ()})
            if loss.dtype.itemsize == 2:
                loss = dispatch.call(OPS["cast"], (loss,), FLOAT32)
            return dispatch.call(OPS["multiply"], (loss, scale))

    def step(self, optimizer, given: dict, used, tensors) -> None:
        """A step of the optimizer with scaled gradients, and what it does to the scale. Nothing waits.

        given: {id(parameter): gradient}. used: the array of `self.used`. tensors: those of the scope of the step.
        """
        found = optimizer._step_under(1.0 / used.astype("float64").reshape(()), given)
        if self.dynamic:
            xp, (scale, good, bad) = device.module_of(used), [tensor._array for tensor in tensors]
            numbers = self.scaler.adapted(xp.asarray(found), scale.astype("float64"), good, bad, xp.where)
            for tensor, number in zip(tensors, numbers):
                tensor._write(number)

    def minimize(self, optimizer, *args, **kwargs):
        """`optimizer.minimize` of a scaled loss."""
        if not hasattr(type(optimizer), "_apply_scaled"):
            raise TypeError(explain("GradScaler.minimize", "an optimizer itself", f"{type(optimizer).__name__}, which "
                                    "is around one", "the one inside; static.amp.decorate has its own scale"))
        pairs = optimizer.backward(*args, **kwargs)
        return optimizer._apply_scaled(pairs, self), pairs

    def numbers(self) -> list:
        """Those of the tensors in the global scope, none before the startup program has run."""
        return [tensor.numpy().item() for tensor in self.tensors if not tensor._pending]

    def put(self, numbers) -> None:
        """Sets them there."""
        for tensor, number in zip(self.tensors, numbers):
            if not tensor._pending:
                tensor._write(number)
