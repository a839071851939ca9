"""What Paddle offers under `incubate`; defined in the rooms below."""
from gpuflow.incubate import nn
from gpuflow.optimizer.average import ExponentialMovingAverage, LookAhead, ModelAverage

__all__ = ["ExponentialMovingAverage", "LookAhead", "ModelAverage", "nn"]
