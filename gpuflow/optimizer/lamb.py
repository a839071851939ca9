"""LAMB: Adam whose step is as long as the layer's weights allow."""
from gpuflow.errors import explain
from gpuflow.optimizer.adam import AdamLike
from gpuflow_kernels.update import rules


class Lamb(AdamLike):
    """u = m̂ / (√v̂ + epsilon) + lamb_weight_decay · p,  p = p - lr · ‖p‖ / ‖u‖ · u

    The norms are those of the whole parameter; the ratio is 1 where either is 0, and, as in Paddle, where the
    parameter has no decay unless always_adapt. m̂ and v̂ as in `Adam`.

    lamb_weight_decay: >= 0. exclude_from_weight_decay_fn: called with each parameter; True means no decay, as does
    ParamAttr(regularizer=...), which acts on the gradient. Others as in `Adam`; groups may set "lamb_weight_decay",
    "exclude_from_weight_decay_fn", "beta1", "beta2", "epsilon", "always_adapt".

    You et al., 2020 (https://arxiv.org/abs/1904.00962).
    """

    rule = rules.lamb
    decoupled = True
    _decay_key = "lamb_weight_decay"
    _decay_filter = "off: exclude_from_weight_decay_fn"

    def __init__(self, learning_rate=0.001, lamb_weight_decay=0.01, beta1=0.9, beta2=0.999, epsilon=1e-6,
                 parameters=None, grad_clip=None, exclude_from_weight_decay_fn=None, multi_precision=False,
                 always_adapt=False, name=None, *, on_nonfinite="propagate"):
        self._excludes = exclude_from_weight_decay_fn
        super().__init__(learning_rate, parameters, lamb_weight_decay, grad_clip, name, multi_precision=multi_precision,
                         on_nonfinite=on_nonfinite, options={"beta1": beta1, "beta2": beta2, "epsilon": epsilon,
                                                             "always_adapt": always_adapt})

    def _checked(self, always_adapt, **options):
        return super()._checked(**options, always_adapt=bool(always_adapt))

    def _group_keys(self):
        return ("exclude_from_weight_decay_fn",)

    def _decays(self, param):
        group = self._groups.groups[self._groups.group_of[id(param)]]
        excludes = group.get("exclude_from_weight_decay_fn", self._excludes)
        if excludes is not None and not callable(excludes):
            raise TypeError(explain("Lamb", "exclude_from_weight_decay_fn to be a function or None", repr(excludes)))
        return excludes is None or not excludes(param)
