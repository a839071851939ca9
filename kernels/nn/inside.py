"""Which windows have a tap inside the input: what windows.py and depthwise.py begin with."""
from numba import njit

flags = dict(error_model="numpy", nogil=True)
helper = njit(inline="never", **flags)


@helper
def inside(tap, low, stride, dilation, size, count):
    """The range of windows whose element `tap` lies inside the input."""
    start = tap * dilation - low
    first = 0 if start >= 0 else (-start + stride - 1) // stride
    last = (size - 1 - start) // stride + 1 if size > start else 0
    first = min(first, count)
    return first, max(min(last, count), first)
