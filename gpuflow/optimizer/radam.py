"""RAdam."""
from gpuflow.optimizer.adam import AdamLike
from gpuflow_kernels.update import rules


class RAdam(AdamLike):
    """Adam whose adaptive rate waits until the variance of 1/√v is tractable

    m and v as in `Adam`. With N = 2 / (1 - beta2) - 1 and n = N - 2 t beta2^t / (1 - beta2^t):  for n > 5 p = p - lr
    · r · m̂ · √(1 - beta2^t) / (√v + epsilon), r = √((n - 4)(n - 2) N / ((N - 4)(N - 2) n)), else p = p - lr · m̂.

    beta1, beta2: in [0, 1). epsilon: >= 0. Others as in `Optimizer`; groups may set "beta1", "beta2", "epsilon".

    Liu et al., 2020 (https://arxiv.org/abs/1908.03265).
    """

    rule = rules.radam
    powers = {"beta1_pow": "beta1", "beta2_pow": "beta2"}
    whole_powers = True
    counted = {"rho": lambda t, beta2, **_: t * beta2**t / (1 - beta2**t) if t else 1.0}

    def __init__(self, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8, parameters=None, weight_decay=None,
                 grad_clip=None, name=None, *, multi_precision=False, on_nonfinite="propagate"):
        super().__init__(learning_rate, parameters, weight_decay, grad_clip, name, multi_precision=multi_precision,
                         on_nonfinite=on_nonfinite, options={"beta1": beta1, "beta2": beta2, "epsilon": epsilon})
