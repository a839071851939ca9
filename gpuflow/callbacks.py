"""Callbacks for `Model.fit`, `evaluate` and `predict`."""
from gpuflow.hapi.callbacks import Callback, EarlyStopping, LRScheduler, ModelCheckpoint, ReduceLROnPlateau
from gpuflow.hapi.progress import ProgBarLogger
from gpuflow.hapi.tensorboard import TensorBoard, VisualDL
from gpuflow.hapi.training_log import TrainingLog

__all__ = ["Callback", "EarlyStopping", "LRScheduler", "ModelCheckpoint", "ProgBarLogger", "ReduceLROnPlateau",
           "TensorBoard", "TrainingLog", "VisualDL"]
