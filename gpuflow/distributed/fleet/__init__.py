"""Paddle's front of distributed training, in one process: models and optimizers come back as they are."""
import sys

from gpuflow.distributed.fleet import meta_parallel, utils
from gpuflow.distributed.parallel import init_parallel_env

__all__ = ["DistributedStrategy", "barrier_worker", "distributed_model", "distributed_optimizer", "init",
           "is_first_worker", "meta_parallel", "utils", "worker_index", "worker_num"]


class DistributedStrategy:
    """Takes any setting. None changes how one process trains."""

    def __init__(self):
        self.hybrid_configs: dict = {}


def init(role_maker=None, is_collective: bool = False, strategy=None, log_level="INFO") -> None:
    """Starts the parallel environment."""
    init_parallel_env()


def is_first_worker() -> bool:
    """True."""
    return True


def worker_index() -> int:
    """The number of this process: 0."""
    return 0


def worker_num() -> int:
    """How many processes train together: 1."""
    return 1


def barrier_worker() -> None:
    """Waits for the other processes: there are none."""


def distributed_model(model):
    """The model."""
    return model


def distributed_optimizer(optimizer, strategy=None):
    """The optimizer."""
    return optimizer


fleet = sys.modules[__name__]   # Paddle's module has an object of its name, with the same functions
