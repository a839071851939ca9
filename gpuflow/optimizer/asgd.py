"""ASGD, Paddle's averaged SGD."""
import numpy as np

from gpuflow import device
from gpuflow.optimizer.base import Optimizer
from gpuflow.optimizer.lr.arguments import whole
from gpuflow_kernels.update import rules


class ASGD(Optimizer):
    """d = d - y_i + g,  y_i = g,  p = p - lr · d / min(t, batch_num)

    A step along the mean of the last batch_num gradients; y keeps them, so it takes batch_num times the memory of the
    gradients. Step t replaces y_i with i = t mod batch_num, one i for all parameters: that of the one updated most
    often.

    batch_num: how many batches an epoch has, >= 1. Others as in `Optimizer`.

    Schmidt, Le Roux and Bach, 2017 (https://arxiv.org/abs/1309.2388).
    """

    rule = rules.asgd
    also_reads = ("m",)

    def __init__(self, learning_rate=0.001, batch_num=1, parameters=None, weight_decay=None, grad_clip=None,
                 multi_precision=False, name=None, *, on_nonfinite="propagate"):
        self._batches = whole("ASGD", "batch_num", batch_num, at_least=1)
        self._ring = ("y", *(f"y{k}" for k in range(1, self._batches)))
        super().__init__(learning_rate, parameters, weight_decay, grad_clip, name, multi_precision=multi_precision,
                         on_nonfinite=on_nonfinite)

    def numbers(self, step):
        return self.rule.at(step, batch_num=self._batches)

    def _rule_states(self):
        return ("d", *self._ring)

    def _bound(self, step):
        return {"d": "d", "y": self._ring[(step - 1) % self._batches]}

    def _to_paddle(self, entries, steps):
        """Paddle keeps the last gradients in one array y, [batch_num, ...], here a copy, and counts the steps in m."""
        ring = [entries.pop(name) for name in self._ring]
        return {**entries, "y": device.module_of(ring[0]).stack(ring), "m": np.array([steps], np.int64)}

    def _from_paddle(self, entries):
        if "m" not in entries:
            return None
        count = entries.pop("m")
        count = int(count.item() if hasattr(count, "item") else np.asarray(count).item())   # on any device
        if "y" in entries and len(entries["y"]) == len(self._ring):
            entries.update(zip(self._ring, list(entries.pop("y"))))
        return count

    def _before_run(self, launch):
        if self._batches > 1:
            buffer = self._bound(max(one.steps for one in launch.sets))["y"]
            for k, flat in enumerate(launch.arena.flats):
                launch.fused.rebind(k, y=flat.state[buffer])
