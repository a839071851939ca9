"""A step of an LSTM but for its product, forward and back. One thread: a step is short. Each loop writes one array:
with more LLVM would not vectorise.
"""
from numba import njit

from gpuflow_kernels.passes.head import flags, helper, real, tanh_


@helper
def bent_(gate, sums, scale, shift):
    """gate = tanh(scale * (gate + sums)) * scale + shift: with scale and shift 1/2 the sigmoid."""
    for j in range(len(gate)):
        gate[j] = tanh_(scale * (gate[j] + sums[j])) * scale + shift


@njit(parallel=False, **flags)
def step(gates, sums, c, new_c, h):
    half = real(0.5)
    for b in range(gates.shape[0]):
        i, f, new, o = gates[b, 0], gates[b, 1], gates[b, 2], gates[b, 3]
        bent_(i, sums[b, 0], half, half)
        bent_(f, sums[b, 1], half, half)
        bent_(new, sums[b, 2], real(1), real(0))
        bent_(o, sums[b, 3], half, half)
        old, cell, shown = c[b], new_c[b], h[b]
        for j in range(len(cell)):
            cell[j] = i[j] * new[j] + f[j] * old[j]
        for j in range(len(cell)):
            shown[j] = o[j] * tanh_(cell[j])


@njit(parallel=False, **flags)
def step_back(gates, c_before, c, g_h, g_c, sums):
    one = real(1)
    for b in range(gates.shape[0]):
        i, f, new, o = gates[b, 0], gates[b, 1], gates[b, 2], gates[b, 3]
        old, cell, to_h, to_c = c_before[b], c[b], g_h[b], g_c[b]
        to_i, to_f, to_new, to_o = sums[b, 0], sums[b, 1], sums[b, 2], sums[b, 3]
        for j in range(len(cell)):
            to_o[j] = tanh_(cell[j])
        for j in range(len(cell)):
            to_c[j] += to_h[j] * o[j] * (one - to_o[j] * to_o[j])
        for j in range(len(cell)):
            to_o[j] *= to_h[j] * o[j] * (one - o[j])
        for j in range(len(cell)):
            to_i[j] = to_c[j] * new[j] * i[j] * (one - i[j])
        for j in range(len(cell)):
            to_f[j] = to_c[j] * old[j] * f[j] * (one - f[j])
        for j in range(len(cell)):
            to_new[j] = to_c[j] * i[j] * (one - new[j] * new[j])
        for j in range(len(cell)):
            to_c[j] *= f[j]
