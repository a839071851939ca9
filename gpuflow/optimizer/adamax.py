"""Adamax."""
from gpuflow.optimizer.adam import AdamLike
from gpuflow_kernels.update import rules


class Adamax(AdamLike):
    """m = beta1 m + (1 - beta1) g,  u = max(|g|, beta2 u + epsilon),  p = p - lr / (1 - beta1^t) · m / u

    beta1, beta2: in [0, 1). epsilon: >= 0. Others as in `Optimizer`; groups may set "beta1", "beta2", "epsilon".

    Kingma and Ba, 2015, section 7.1 (https://arxiv.org/abs/1412.6980).
    """

    rule = rules.adamax
    accumulators = {"m": "moment", "u": "inf_norm"}
    powers = {"beta1_pow_acc": "beta1"}

    def __init__(self, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8, parameters=None, weight_decay=None,
                 grad_clip=None, name=None, *, multi_precision=False, on_nonfinite="propagate"):
        super().__init__(learning_rate, parameters, weight_decay, grad_clip, name, multi_precision=multi_precision,
                         on_nonfinite=on_nonfinite, options={"beta1": beta1, "beta2": beta2, "epsilon": epsilon})
