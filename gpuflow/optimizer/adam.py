"""Adam."""
from gpuflow.optimizer.base import Optimizer
from gpuflow.optimizer.lr.arguments import number
from gpuflow_kernels.update import rules


def checked_moments(owner, beta1, beta2, epsilon):
    """The options of the Adam family as floats: 0 <= beta < 1, epsilon >= 0."""
    return {"beta1": number(owner, "beta1", beta1, at_least=0, below=1),
            "beta2": number(owner, "beta2", beta2, at_least=0, below=1),
            "epsilon": number(owner, "epsilon", epsilon, at_least=0)}


class Adam(Optimizer):
    """m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g²,  p = p - lr · m̂ / (√v̂ + epsilon)

    m̂ = m / (1 - beta1^t), v̂ = v / (1 - beta2^t), where t counts the parameter's own updates. As in Paddle epsilon is
    multiplied by √(1 - beta2^t) inside, which is the paper's formula exactly.

    beta1, beta2: in [0, 1). epsilon: >= 0. weight_decay is a penalty on the gradient (L2), not AdamW's. amsgrad: divide by
    the largest v so far. lazy_mode: a sparse gradient updates the moments and values of its rows alone; otherwise the whole
    table's moments decay. use_multi_tensor: taken for Paddle's sake; the update is always one pass. Others as in `Optimizer`;
    groups may set "beta1", "beta2", "epsilon", "lazy_mode".

    Kingma and Ba, 2015 (https://arxiv.org/abs/1412.6980); amsgrad: Reddi et al., 2018 (https://arxiv.org/abs/1904.09237).
    """

    accumulators = {"m": "moment1", "v": "moment2", "largest": "moment2_max"}
    powers = {"beta1_pow_acc": "beta1", "beta2_pow_acc": "beta2"}

    def __init__(self, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8, parameters=None, weight_decay=None,
                 grad_clip=None, lazy_mode=False, multi_precision=False, use_multi_tensor=False, amsgrad=False, name=None, *,
                 on_nonfinite="propagate"):
        self.rule = rules.adam_amsgrad if amsgrad else rules.adam
        self._lazy = bool(lazy_mode)
        super().__init__(learning_rate, parameters, weight_decay, grad_clip, name, multi_precision=multi_precision,
                         on_nonfinite=on_nonfinite, options={"beta1": beta1, "beta2": beta2, "epsilon": epsilon})

    def _checked(self, **options):
        return checked_moments(self._owner, **options)

    def _group_keys(self):
        return ("lazy_mode",)

    def _by_rows(self, strategy):
        return strategy.lazy
