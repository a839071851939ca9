"""Optimizers: an update rule each, run by the fused kernels over flat buffers; `lr` holds the schedules."""
from gpuflow.optimizer import lr
from gpuflow.optimizer.adadelta import Adadelta
from gpuflow.optimizer.adagrad import Adagrad
from gpuflow.optimizer.adam import Adam
from gpuflow.optimizer.adamax import Adamax
from gpuflow.optimizer.adamw import AdamW
from gpuflow.optimizer.asgd import ASGD
from gpuflow.optimizer.average import ExponentialMovingAverage, LookAhead, ModelAverage
from gpuflow.optimizer.base import Optimizer
from gpuflow.optimizer.groups import groups_by_name
from gpuflow.optimizer.lamb import Lamb
from gpuflow.optimizer.lbfgs import LBFGS
from gpuflow.optimizer.lion import Lion
from gpuflow.optimizer.momentum import Momentum
from gpuflow.optimizer.nadam import NAdam
from gpuflow.optimizer.radam import RAdam
from gpuflow.optimizer.rmsprop import RMSProp
from gpuflow.optimizer.rprop import Rprop
from gpuflow.optimizer.sgd import SGD
from gpuflow_kernels.update import UpdateRule

__all__ = ["ASGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "ExponentialMovingAverage", "LBFGS", "Lamb",
           "Lion", "LookAhead", "ModelAverage", "Momentum", "NAdam", "Optimizer", "RAdam", "RMSProp", "Rprop", "SGD",
           "UpdateRule", "groups_by_name", "lr"]
