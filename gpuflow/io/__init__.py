"""Data and checkpoints: datasets, samplers, DataLoader (Paddle's paddle.io), save and load.

A worker process of DataLoader imports this package, so nothing here imports CuPy or Numba.
"""
from gpuflow.io.collate import default_collate_fn, default_convert_fn
from gpuflow.io.dataset import (
    ChainDataset,
    ComposeDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)
from gpuflow.io.loader import DataLoader
from gpuflow.io.sampler import (
    BatchSampler,
    DistributedBatchSampler,
    RandomSampler,
    Sampler,
    SequenceSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from gpuflow.io.worker import WorkerInfo, get_worker_info
from gpuflow.io.workers import WorkerError, WorkerTimeout

__all__ = [
    "Dataset", "IterableDataset", "TensorDataset", "ComposeDataset", "ChainDataset", "ConcatDataset", "Subset",
    "random_split",
    "Sampler", "SequenceSampler", "RandomSampler", "WeightedRandomSampler", "SubsetRandomSampler",
    "BatchSampler", "DistributedBatchSampler",
    "DataLoader", "get_worker_info", "WorkerInfo", "WorkerError", "WorkerTimeout",
    "default_collate_fn", "default_convert_fn",
]
