"""NAdam."""
from gpuflow.optimizer.adam import AdamLike
from gpuflow.optimizer.lr.arguments import number
from gpuflow_kernels.update import rules


class NAdam(AdamLike):
    """Adam with Nesterov's look ahead:  p = p - lr · (mu' m̂' + (1 - mu) ĝ) / (√v̂ + epsilon)

    m and v as in `Adam`. With mu_t = beta1 (1 - 0.96^(t · momentum_decay) / 2) and M_t the product of mu_1 ... mu_t:
    mu' m̂' = mu_(t+1) m / (1 - M_(t+1)),  (1 - mu) ĝ = (1 - mu_t) g / (1 - M_t).

    beta1, beta2: in [0, 1). epsilon, momentum_decay: >= 0. Others as in `Optimizer`; groups may set these four.

    Dozat, 2016 (https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ).
    """

    rule = rules.nadam
    powers = {"beta2_pow": "beta2"}
    whole_powers = True
    counted = {"momentum_decay_pow": lambda t, **_: 0.96**t,
               "mu_product": lambda t, beta1, momentum_decay, **_: rules.nadam_mu(t, beta1, momentum_decay)[1]}

    def __init__(self, learning_rate=0.002, beta1=0.9, beta2=0.999, epsilon=1e-8, momentum_decay=0.004, parameters=None,
                 weight_decay=None, grad_clip=None, name=None, *, multi_precision=False, on_nonfinite="propagate"):
        super().__init__(learning_rate, parameters, weight_decay, grad_clip, name, multi_precision=multi_precision,
                         on_nonfinite=on_nonfinite,
                         options={"beta1": beta1, "beta2": beta2, "epsilon": epsilon, "momentum_decay": momentum_decay})

    def _checked(self, momentum_decay, **options):
        momentum_decay = number(self._owner, "momentum_decay", momentum_decay, at_least=0)
        return super()._checked(**options, momentum_decay=momentum_decay)
