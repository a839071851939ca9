"""Paddle's words for several processes, as they read in a training of one process, which is what gpuflow runs."""
from gpuflow.distributed import fleet
from gpuflow.distributed.collective import *  # noqa: F403
from gpuflow.distributed.collective import __all__ as _collective
from gpuflow.distributed.parallel import (
    DataParallel,
    ParallelEnv,
    get_rank,
    get_world_size,
    init_parallel_env,
    is_available,
    is_initialized,
)

__all__ = ["DataParallel", "ParallelEnv", "fleet", "get_rank", "get_world_size", "init_parallel_env", "is_available",
           "is_initialized", *_collective]
