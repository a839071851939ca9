"""gpuflow's fast code on bare arrays. Knows nothing of gpuflow; loads Numba and CuPy when a kernel first needs them."""
