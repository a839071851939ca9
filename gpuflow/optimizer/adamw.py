"""AdamW: Adam whose weight decay acts on the weights, not on the gradient."""
from gpuflow.errors import explain
from gpuflow.optimizer.adam import AdamLike
from gpuflow_kernels.update import rules


class AdamW(AdamLike):
    """p = p - lr · weight_decay · p, then Adam's update (see `Adam`) with the moments of the plain gradient

    weight_decay: a number >= 0; multiplied by the rate, as in Paddle and torch, unlike the paper. No decay where
    ParamAttr(regularizer=...) says otherwise: the regularizer then acts on the gradient and the decay is off.
    lr_ratio: called with each parameter, returns a factor on its rate (layer-wise rates); on both devices.
    apply_decay_param_fun: called with each parameter's name; decay acts where it returns True.
    Both are asked when the strategies are worked out, not at every step.
    use_lowprecision_moment: moments are always kept in float32 at least, so True is refused.
    Others as in `Adam`; groups may set "weight_decay", "beta1", "beta2", "epsilon", "lazy_mode".

    Loshchilov and Hutter, 2019 (https://arxiv.org/abs/1711.05101).
    """

    decoupled = True
    _decay_filter = "off: apply_decay_param_fun"

    def __init__(self, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8, parameters=None, weight_decay=0.01,
                 use_lowprecision_moment=False, lr_ratio=None, apply_decay_param_fun=None, grad_clip=None,
                 lazy_mode=False, multi_precision=False, amsgrad=False, name=None, *, on_nonfinite="propagate"):
        if use_lowprecision_moment:
            raise ValueError(explain("AdamW", "use_lowprecision_moment=False", "True",
                                     "leave it out: moments are float32"))
        for argument, function in (("lr_ratio", lr_ratio), ("apply_decay_param_fun", apply_decay_param_fun)):
            if function is not None and not callable(function):
                raise TypeError(explain("AdamW", f"{argument} to be a function or None", repr(function)))
        self.rule = rules.adamw_amsgrad if amsgrad else rules.adamw
        self._lazy, self._lr_ratio, self._apply_decay = bool(lazy_mode), lr_ratio, apply_decay_param_fun
        super().__init__(learning_rate, parameters, weight_decay, grad_clip, name, multi_precision=multi_precision,
                         on_nonfinite=on_nonfinite, options={"beta1": beta1, "beta2": beta2, "epsilon": epsilon})

    def _group_keys(self):
        return ("lazy_mode",)

    def _decays(self, param):
        return self._apply_decay is None or bool(self._apply_decay(param.name))

    def _ratio_of(self, param):
        return None if self._lr_ratio is None else self._lr_ratio(param)
