"""What code for Paddle says about where and how a Program is to run. Our Executor plans by itself: these are checked,
kept, and change nothing."""
import contextlib
import enum

from gpuflow import device
from gpuflow.device import CPUPlace, CUDAPlace
from gpuflow.errors import explain


class _Settings:
    """Known names and what they are at first; another name is an AttributeError."""

    settings: dict = {}

    def __init__(self):
        for name, value in self.settings.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name, value):
        if name not in self.settings:
            raise AttributeError(explain(type(self).__name__, f"a setting among {', '.join(self.settings)}", name))
        object.__setattr__(self, name, value)

    def __repr__(self):
        changed = {name: getattr(self, name) for name, value in self.settings.items() if getattr(self, name) != value}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in changed.items())})"


class BuildStrategy(_Settings):
    """How a Program is to run. allow_cuda_graph_capture: on a GPU, replay what can be from CUDA graphs (see replay.py).
    The others, of how Paddle is to rewrite a Program, are accepted, since plans are made without them."""

    class ReduceStrategy(enum.Enum):
        """How gradients of several devices would be summed."""

        AllReduce = 0
        Reduce = 1

    class GradientScaleStrategy(enum.Enum):
        """What gradients of several devices would be divided by."""

        CoeffNumDevice = 0
        One = 1
        Customized = 2

    settings = {
        **dict.fromkeys((
            "allow_cuda_graph_capture", "async_mode", "build_cinn_pass", "cache_runtime_context", "enable_addto",
            "enable_auto_fusion", "fuse_adamw", "fuse_all_optimizer_ops", "fuse_bn_act_ops",
            "fuse_dot_product_attention", "fuse_elewise_add_act_ops", "fuse_gemm_epilogue",
            "fuse_relu_depthwise_conv", "fuse_resunit", "fused_attention", "fused_feedforward", "sequential_run",
            "sync_batch_norm", "use_hierarchical_allreduce"), False),
        **dict.fromkeys(("enable_backward_optimizer_op_deps", "enable_inplace", "fuse_all_reduce_ops",
                         "fuse_bn_add_act_ops", "fuse_broadcast_ops", "remove_unnecessary_lock"), True),
        "debug_graphviz_path": "", "gradient_scale_strategy": GradientScaleStrategy.CoeffNumDevice,
        "hierarchical_allreduce_inter_nranks": 0, "memory_optimize": None, "nccl_comm_num": 1, "num_trainers": 1,
        "reduce_strategy": ReduceStrategy.AllReduce, "trainer_id": 0, "trainers_endpoints": [],
    }


class ExecutionStrategy(_Settings):
    """How Paddle's older executor is to run: accepted."""

    settings = {"num_threads": 0, "num_iteration_per_drop_scope": 100, "num_iteration_per_run": 1,
                "use_thread_barrier": False}


class ParallelExecutor:
    """Paddle's older way to several devices; there is none here."""

    def __init__(self, *args, **kwargs):
        raise NotImplementedError(explain("ParallelExecutor", "one device", "several", "static.Executor"))


def cpu_places(device_count: int | None = None) -> list[CPUPlace]:
    """`device_count` times the CPU, by default once."""
    return [CPUPlace() for _ in range(1 if device_count is None else device_count)]


def cuda_places(device_ids=None) -> list[CUDAPlace]:
    """The GPUs of these numbers, by default all. RuntimeError where there is no GPU."""
    if not device.cuda_available():
        raise RuntimeError(explain("cuda_places", "a GPU and CuPy", "none", "cpu_places()"))
    return [CUDAPlace(k) for k in (range(device.device_count()) if device_ids is None else device_ids)]


@contextlib.contextmanager
def device_guard(device: str | None = None):
    """Checks the name of a device: "cpu", "gpu", "gpu:<number>" or None. A Program runs where its Executor is."""
    kind, _, number = (device or "").partition(":")
    if kind not in ("", "cpu", "gpu") or (number and (kind != "gpu" or not number.isdigit())):
        raise ValueError(explain("device_guard", "'cpu', 'gpu', 'gpu:<number>' or None", repr(device)))
    yield
