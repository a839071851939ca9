"""Layers, their functions, initializers and clips, under Paddle's names."""
from gpuflow.nn import (
    activation,
    clip,
    common,
    container,
    conv,
    decode,
    functional,
    initializer,
    layer,
    loss,
    norm,
    pooling,
    rnn,
    transformer,
    utils,
    vision,
)
from gpuflow.nn.activation import *  # noqa: F403
from gpuflow.nn.clip import ClipGradByAdaptiveNorm, ClipGradByGlobalNorm, ClipGradByNorm, ClipGradByValue
from gpuflow.nn.common import *  # noqa: F403
from gpuflow.nn.container import *  # noqa: F403
from gpuflow.nn.conv import *  # noqa: F403
from gpuflow.nn.decode import *  # noqa: F403
from gpuflow.nn.layer import Layer
from gpuflow.nn.loss import *  # noqa: F403
from gpuflow.nn.norm import *  # noqa: F403
from gpuflow.nn.pooling import *  # noqa: F403
from gpuflow.nn.rnn import *  # noqa: F403
from gpuflow.nn.transformer import *  # noqa: F403
from gpuflow.nn.vision import *  # noqa: F403
from gpuflow.param import Parameter

# Paddle 3.3 gives these a second name
_ALSO = {f"{name}{axes}d": globals()[f"{name}{axes}D"] for axes in (1, 2, 3) for name in (
    "AdaptiveMaxPool", "CircularPad", "ConstantPad", "Conv", "LPPool", "ReflectionPad", "ReplicationPad")
    if f"{name}{axes}D" in globals()}
globals().update(_ALSO)
# and its nn.layer is a folder of these modules, of which nn.layer.layers has Layer
vars(layer).update(activation=activation, common=common, container=container, conv=conv, layers=layer, loss=loss,
                   norm=norm, pooling=pooling, rnn=rnn, transformer=transformer, vision=vision, __path__=[])
Module, ModuleDict, ModuleList = Layer, container.LayerDict, container.LayerList

__all__ = ["ClipGradByAdaptiveNorm", "ClipGradByGlobalNorm", "ClipGradByNorm", "ClipGradByValue", "Layer", "Module",
           "ModuleDict", "ModuleList", "Parameter", "clip", "functional", "initializer", "utils", *_ALSO,
           *(name for part in (activation, common, container, conv, decode, loss, norm, pooling, rnn, transformer,
                               vision) for name in part.__all__)]
