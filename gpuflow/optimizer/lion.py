"""Lion: the sign of an interpolated momentum."""
from gpuflow.optimizer.base import Optimizer
from gpuflow.optimizer.lr.arguments import number
from gpuflow_kernels.update import rules


class Lion(Optimizer):
    """p = p - lr · weight_decay · p - lr · sign(beta1 m + (1 - beta1) g),  m = beta2 m + (1 - beta2) g

    Every element moves by lr: the rate wants to be 3 to 10 times smaller than AdamW's, the decay as much larger. Not
    in Paddle.

    beta1, beta2: in [0, 1). weight_decay: decoupled, >= 0; off where ParamAttr(regularizer=...) acts on the gradient.
    Others as in `Optimizer`; groups may set "weight_decay", "beta1", "beta2".

    Chen et al., 2023 (https://arxiv.org/abs/2302.06675).
    """

    rule = rules.lion
    accumulators = {"m": "moment"}
    decoupled = True

    def __init__(self, learning_rate=1e-4, beta1=0.9, beta2=0.99, parameters=None, weight_decay=0.0, grad_clip=None,
                 multi_precision=False, name=None, *, on_nonfinite="propagate"):
        super().__init__(learning_rate, parameters, weight_decay, grad_clip, name, multi_precision=multi_precision,
                         on_nonfinite=on_nonfinite, options={"beta1": beta1, "beta2": beta2})

    def _checked(self, beta1, beta2):
        return {"beta1": number(self._owner, "beta1", beta1, at_least=0, below=1),
                "beta2": number(self._owner, "beta2", beta2, at_least=0, below=1)}
