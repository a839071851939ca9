"""The text of CPU kernels run as plain Python: to compile many of them takes minutes."""
from types import SimpleNamespace


def module_of(text: str) -> SimpleNamespace:
    """What `build.numba_module` gives for the text, uncompiled."""
    space: dict = {}
    exec(text.replace("from numba import njit, prange", """
def njit(**flags):
    return lambda function: function
prange = range""").replace("math.sqrt", "np.sqrt"), space)    # which warns where Python's raises
    return SimpleNamespace(**space)
