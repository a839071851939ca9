"""Which process this is, of how many: always the first of one."""
import contextlib
import os
import re

from gpuflow import device
from gpuflow.errors import explain
from gpuflow.nn.layer import Layer

_initialized = False


def init_parallel_env() -> "ParallelEnv":
    """Starts the parallel environment, which is this process. RuntimeError where a launcher started several."""
    global _initialized
    started = int(os.environ.get("PADDLE_TRAINERS_NUM", "1"))
    if started != 1:
        raise RuntimeError(explain("init_parallel_env", "a training of one process", f"PADDLE_TRAINERS_NUM={started}",
                                   "start the script once, without a launcher"))
    _initialized = True
    return ParallelEnv()


def is_initialized() -> bool:
    """Whether `init_parallel_env` was called."""
    return _initialized


def is_available() -> bool:
    """Whether several processes can train together: False."""
    return False


def get_rank(group=None) -> int:
    """The number of this process: 0."""
    return 0


def get_world_size(group=None) -> int:
    """How many processes train together: 1."""
    return 1


class ParallelEnv:
    """Where this process stands among those that train together."""

    rank = local_rank = 0
    world_size = nranks = nrings = 1
    current_endpoint = ""
    trainer_endpoints: list[str] = []

    @property
    def device_id(self) -> int:
        """The number of the GPU in use, 0 on a CPU."""
        number = re.search(r":(\d+)", device.get_device())
        return int(number[1]) if number else 0

    dev_id = device_id
    device_type = property(lambda self: device.get_device().partition(":")[0])


class DataParallel(Layer):
    """The layer, called as it is: one process has nobody to share gradients with. Keys of the state are the layer's."""

    def __init__(self, layers, strategy=None, comm_buffer_size=25, last_comm_buffer_size=1,
                 find_unused_parameters=False, group=None):
        super().__init__()
        self._layers = layers
        self.find_unused_parameters = find_unused_parameters

    def forward(self, *inputs, **kwargs):
        return self._layers(*inputs, **kwargs)

    def state_dict(self, *args, **kwargs):
        return self._layers.state_dict(*args, **kwargs)

    def set_state_dict(self, *args, **kwargs):
        return self._layers.set_state_dict(*args, **kwargs)

    set_dict = load_dict = set_state_dict

    def no_sync(self):
        """A block in which gradients are not shared."""
        return contextlib.nullcontext()

    def scale_loss(self, loss):
        """The loss itself: Paddle divides it by the number of processes."""
        return loss
