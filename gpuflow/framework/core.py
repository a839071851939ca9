"""What code for Paddle takes from its C++ core, as far as there is something to say in Python."""
from gpuflow.device import CPUPlace, CUDAPinnedPlace, CUDAPlace, Place, is_compiled_with_cuda
from gpuflow.random import default_generator

__all__ = ["CPUPlace", "CUDAPinnedPlace", "CUDAPlace", "Place", "default_cpu_generator", "is_compiled_with_cuda"]


def default_cpu_generator():
    """The generator that draws on the CPU."""
    return default_generator(CPUPlace())
