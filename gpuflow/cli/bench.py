"""`gpuflow bench`: the kernel table on this machine, in GB/s and as a share of what its memory can do."""


def add_to(commands) -> None:
    """Adds the command."""
    command = commands.add_parser("bench", help="time the kernels beside this machine's memory", description=(
        "Times every row of the kernel table on one large parameter, in turns with a plain copy (or read) of as many "
        "bytes. The last column is the share of that speed. Half a minute on a GPU, minutes on a CPU."))
    command.add_argument("--device", choices=("cpu", "gpu"), help="default: the GPU where there is one")
    command.add_argument("--rounds", type=int, default=7, help="times each candidate takes its turn (default: 7)")
    command.add_argument("--elements", type=int, help="size of the parameter (default: 16M on a CPU, 64M on a GPU)")
    command.add_argument("--kernels", default="", help="only rows whose name has this in it, such as adamw")
    command.set_defaults(run=_run)


def _run(options) -> None:
    from gpuflow import device
    from gpuflow_kernels import speed

    if options.rounds < 1 or (options.elements is not None and options.elements < 1):
        raise ValueError("--rounds and --elements are at least 1")
    there = device.cuda_available()
    if options.device == "gpu" and not there:
        raise ValueError("--device gpu: CuPy finds no GPU here; gpuflow doctor says why")
    on = speed.Gpu() if (options.device or ("gpu" if there else "cpu")) == "gpu" else speed.Cpu()
    on.elements = options.elements or on.elements
    if not speed.against_the_memory(on, options.rounds, options.kernels):
        raise ValueError(f"--kernels: no row has {options.kernels!r} in its name")
