"""From integers to vectors: embedding and one_hot."""
from gpuflow import device
from gpuflow.autograd.modes import no_grad
from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.ops.registry import OPS

__all__ = ["embedding", "one_hot"]

_EMBEDDING = OPS["embedding"]


def embedding(x, weight, padding_idx=None, max_norm=None, norm_type=2.0, sparse=False, scale_grad_by_freq=False,
              name=None):
    """weight[x]: a vector for each id. x: integers [...]; weight: [n, d]; result [..., d].

    padding_idx: the id (from the end when negative) that gives zeros and whose row gets no gradient.
    max_norm: rows that are used and longer than this (in the norm_type norm) are first shortened to it, in place.
    sparse: the weight's gradient holds the used rows only (`SparseRows`). scale_grad_by_freq: each row's gradient is
    divided by how often the batch uses it. Raises IndexError for an id outside [0, n), on the CPU.
    """
    padding_idx = normal_padding(padding_idx, weight.shape[0])
    if scale_grad_by_freq and sparse:
        raise ValueError(explain("embedding", "scale_grad_by_freq or sparse", "both"))
    if max_norm:
        _shorten(x, weight, max_norm, norm_type)
    return call(_EMBEDDING, (x, weight),
                {"padding_idx": padding_idx, "sparse": sparse, "scale_by_count": scale_grad_by_freq})


def normal_padding(padding_idx, count):
    """A padding_idx counted from the start, or None; ValueError outside [-count, count)."""
    if padding_idx is None:
        return None
    if not -count <= padding_idx < count:
        raise ValueError(explain("embedding", f"padding_idx in [{-count}, {count})", repr(padding_idx)))
    return int(padding_idx) % count


def _shorten(ids, weight, max_norm, norm_type):
    """Scales the rows named by ids down to length max_norm. A change of the weight itself: eager mode only."""
    with no_grad():
        xp = device.module_of(weight._array)
        rows = xp.unique(ids._array)
        values = weight._array[rows]
        length = (xp.abs(values) ** norm_type).sum(axis=1, keepdims=True) ** (1.0 / norm_type)
        factor = xp.where(length > max_norm, max_norm / (length + 1e-7), 1.0)
        weight._write((values * factor).astype(values.dtype), rows)


def one_hot(x, num_classes=-1, name=None):
    """float32 [..., num_classes] with 1 at the place each integer of x names. num_classes -1: the largest plus one."""
    if num_classes == -1:
        num_classes = int(call(OPS["max"], (x,), {"axis": None, "keepdim": False}).item()) + 1
    return call(OPS["one_hot"], (x,), {"num_classes": int(num_classes)})
