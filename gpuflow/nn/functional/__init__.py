"""The functions behind the layers, under Paddle's names."""
from gpuflow.nn.functional import (
    activation,
    common,
    conv,
    flash_attention,
    input,
    loss,
    norm,
    pooling,
    sequence,
    special_loss,
    vision,
)
from gpuflow.nn.functional.activation import *  # noqa: F403
from gpuflow.nn.functional.common import *  # noqa: F403
from gpuflow.nn.functional.conv import *  # noqa: F403
from gpuflow.nn.functional.flash_attention import *  # noqa: F403
from gpuflow.nn.functional.input import *  # noqa: F403
from gpuflow.nn.functional.loss import *  # noqa: F403
from gpuflow.nn.functional.norm import *  # noqa: F403
from gpuflow.nn.functional.pooling import *  # noqa: F403
from gpuflow.nn.functional.sequence import *  # noqa: F403
from gpuflow.nn.functional.special_loss import *  # noqa: F403
from gpuflow.nn.functional.vision import *  # noqa: F403

__all__ = [name for part in (activation, common, conv, flash_attention, input, loss, norm, pooling, sequence,
                             special_loss, vision) for name in part.__all__]
