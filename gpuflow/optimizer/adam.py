"""Adam."""
from gpuflow.optimizer.base import Optimizer
from gpuflow.optimizer.lr.arguments import number
from gpuflow_kernels.update import rules


class AdamLike(Optimizer):
    """What optimizers with moments share: the options beta1, beta2 in [0, 1) and epsilon >= 0, and Paddle's names."""

    accumulators = {"m": "moment1", "v": "moment2", "largest": "moment2_max"}
    powers = {"beta1_pow_acc": "beta1", "beta2_pow_acc": "beta2"}

    def _checked(self, beta1, beta2, epsilon, **more):
        return {"beta1": number(self._owner, "beta1", beta1, at_least=0, below=1),
                "beta2": number(self._owner, "beta2", beta2, at_least=0, below=1),
                "epsilon": number(self._owner, "epsilon", epsilon, at_least=0), **more}


class Adam(AdamLike):
    """m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g²,  p = p - lr · m̂ / (√v̂ + epsilon)

    m̂ = m / (1 - beta1^t), v̂ = v / (1 - beta2^t), where t counts the parameter's own updates.

    beta1, beta2: in [0, 1). epsilon: >= 0. weight_decay is a penalty on the gradient (L2), not AdamW's. amsgrad: divide
    by the largest v so far. lazy_mode: a sparse gradient updates the moments and values of its rows alone; otherwise
    the whole table's moments decay. use_multi_tensor: taken for Paddle's sake; the update is one pass either way.
    Others as in `Optimizer`; groups may set "beta1", "beta2", "epsilon", "lazy_mode".

    Kingma and Ba, 2015 (https://arxiv.org/abs/1412.6980); amsgrad: Reddi et al., 2018
    (https://arxiv.org/abs/1904.09237).
    """

    def __init__(self, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8, parameters=None, weight_decay=None,
                 grad_clip=None, lazy_mode=False, multi_precision=False, use_multi_tensor=False, amsgrad=False,
                 name=None, *, on_nonfinite="propagate"):
        self.rule = rules.adam_amsgrad if amsgrad else rules.adam
        self._lazy = bool(lazy_mode)
        super().__init__(learning_rate, parameters, weight_decay, grad_clip, name, multi_precision=multi_precision,
                         on_nonfinite=on_nonfinite, options={"beta1": beta1, "beta2": beta2, "epsilon": epsilon})

    def _group_keys(self):
        return ("lazy_mode",)
