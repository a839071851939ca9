"""`gpuflow precompile`: compiles the kernels now that training would compile in its first steps."""
from __future__ import annotations

import functools
import sys
import time

from gpuflow.errors import explain


def add_to(commands) -> None:
    """Adds the command."""
    command = commands.add_parser("precompile", help="fill the kernel cache for this device", description=(
        "Takes a step under every optimizer, with and without weight decay and a clip by global norm, and runs the "
        "layers that have kernels of their own. What that compiles stays in the cache folder (see gpuflow doctor)."))
    command.add_argument("--optimizers", metavar="NAME,...", help="only these, such as AdamW,SGD (default: all)")
    command.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32",
                         help="of the parameters; two-byte ones have float32 master copies")
    command.add_argument("--device", help="cpu, gpu, gpu:1 (default: that of training)")
    command.set_defaults(run=_run)


def _run(options) -> None:
    from tqdm import tqdm

    from gpuflow import device
    from gpuflow_kernels.build import cache_dir

    if options.device:
        device.set_device(options.device)
    wanted = _rules() if options.optimizers is None else options.optimizers.split(",")
    unknown = [name for name in wanted if name not in _rules()]
    if unknown:
        raise ValueError(explain("--optimizers", f"names among {', '.join(_rules())}", ", ".join(unknown)))
    jobs: list = [(f"{name}{text}", functools.partial(_step, name, options.dtype, **choice))
                  for name in wanted for text, choice in CHOICES.items()]
    jobs.append(("layers", _layers))
    started = time.perf_counter()
    bar = tqdm(jobs, disable=not sys.stderr.isatty(), leave=False)
    for title, job in bar:
        bar.set_description(title)
        job()
    device.synchronize()
    print(f"{len(jobs)} steps on {device.get_device()} in {time.perf_counter() - started:.1f} s; the kernels are in "
          f"{cache_dir()}" + ("" if device.get_device() == "cpu" else " and in CuPy's cache"))


CHOICES: dict[str, dict] = {"": {}, " + decay": {"decay": True}, " + clip": {"clip": True},
                            " + clip + decay": {"clip": True, "decay": True}}


def _rules() -> list[str]:
    """Names of the optimizers whose update is a kernel."""
    from gpuflow import optimizer

    classes = {name: getattr(optimizer, name) for name in optimizer.__all__}
    return [name for name, found in classes.items() if isinstance(found, type) and found is not optimizer.Optimizer
            and issubclass(found, optimizer.Optimizer) and found._ruled]


def _step(name: str, dtype: str, clip: bool = False, decay: bool = False) -> None:
    """One step of the optimizer over one parameter."""
    import numpy as np

    from gpuflow import nn, optimizer
    from gpuflow.param import Parameter
    from gpuflow.regularizer import L2Decay
    from gpuflow.tensor import to_tensor

    parameter = Parameter(to_tensor(np.ones(64, np.float32), dtype=dtype))
    if decay:
        parameter.regularizer = L2Decay(0.01)
    (parameter.astype("float32") * parameter.astype("float32")).sum().backward()
    options = {} if dtype == "float32" else {"multi_precision": True}
    getattr(optimizer, name)(learning_rate=0.1, parameters=[parameter], **options,
                             grad_clip=nn.ClipGradByGlobalNorm(1.0) if clip else None).step()


def _layers() -> None:
    """Forward and backward of what has kernels of its own: convolution, pooling, normalisation, embedding."""
    from gpuflow import nn
    from gpuflow.functional.creation import ones
    from gpuflow.functional.random import randn

    net = nn.Sequential(nn.Conv2D(3, 8, 3, padding=1), nn.BatchNorm2D(8), nn.ReLU(), nn.MaxPool2D(2), nn.AvgPool2D(2),
                        nn.Flatten(), nn.LayerNorm(32), nn.Linear(32, 4))
    nn.functional.cross_entropy(net(randn([4, 3, 8, 8])), ones([4], "int64")).backward()
    nn.Embedding(4, 8)(ones([3], "int64")).sum().backward()
