"""Chains of elementwise functions as one generated kernel: arrays are read once and written once.

`chain.py` says what a chain is and has the formula of every function, in the text where Python and C agree;
`numba_text.py` and `cuda_text.py` paste those lines into a loop, `layout.py` finds the loop's axes for arrays that
broadcast, `launch.py` runs it.
"""
from gpuflow_kernels.elementwise.chain import Chain, Line
from gpuflow_kernels.elementwise.launch import Kernel

__all__ = ["Chain", "Kernel", "Line"]
