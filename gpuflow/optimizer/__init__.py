"""Optimizers: an update rule each, run by the fused kernels over flat buffers; `lr` holds the schedules."""
from gpuflow.optimizer import lr
from gpuflow.optimizer.adam import Adam
from gpuflow.optimizer.adamw import AdamW
from gpuflow.optimizer.base import Optimizer
from gpuflow.optimizer.momentum import Momentum
from gpuflow.optimizer.sgd import SGD

__all__ = ["Adam", "AdamW", "Momentum", "Optimizer", "SGD", "lr"]
