"""Installs operators and methods on Tensor (and on static mode's Variable): one table for both."""
import numpy as np

from gpuflow.autograd import tape
from gpuflow.dispatch import call, call_inplace
from gpuflow.ops import index as _index
from gpuflow.ops.registry import OPS
from gpuflow.tensor import Tensor

_BINARY = {"add": "add", "sub": "subtract", "mul": "multiply", "pow": "pow", "floordiv": "floor_divide",
           "mod": "remainder", "matmul": "matmul", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor"}
_COMPARE = {"eq": "equal", "ne": "not_equal", "lt": "less_than", "le": "less_equal", "gt": "greater_than",
            "ge": "greater_equal"}


def _operator(op):
    def apply(self, other):
        return call(op, (self, other))

    return apply


def _reflected(op):
    def apply(self, other):
        return call(op, (other, self))

    return apply


def _augmented(op):
    def apply(self, other):
        return call(op, (self, other))

    return apply


def install_operators(cls) -> None:
    """Puts Python's operators on `cls`."""
    for python, name in _BINARY.items():
        setattr(cls, f"__{python}__", _operator(OPS[name]))
        setattr(cls, f"__r{python}__", _reflected(OPS[name]))
    for python, name in _COMPARE.items():
        setattr(cls, f"__{python}__", _operator(OPS[name]))
    cls.__neg__ = lambda self: call(OPS["neg"], (self,))


install_operators(Tensor)
Tensor.__truediv__ = _operator(OPS["divide"])
Tensor.sum = lambda self, axis=None, dtype=None, keepdim=False, name=None: call(OPS["sum"], (self,), {"axis": axis, "keepdim": keepdim})
Tensor.tanh = lambda self: call(OPS["tanh"], (self,))
Tensor.backward = lambda self, grad_tensor=None, retain_graph=False: tape.backward(self, grad_tensor, retain_graph)
