"""Masks from lengths, and the sequences of a beam search."""
from gpuflow import dtypes
from gpuflow.dispatch import call
from gpuflow.functional.arguments import integer
from gpuflow.ops.registry import OPS

__all__ = ["gather_tree", "sequence_mask"]


def gather_tree(ids, parents):
    """The sequences that the last step's beams stand for: ids and parents [time, batch, beam], result like ids.

    parents: which beam of the step before each beam continues. See `nn.BeamSearchDecoder`.
    """
    return call(OPS["gather_tree"], (ids, parents))


def sequence_mask(x, maxlen=None, dtype="int64", name=None):
    """1 where the position is below each length in x: [...] to [..., maxlen]. maxlen: default the largest of x."""
    return call(OPS["sequence_mask"], (x,), {"maxlen": None if maxlen is None else integer("sequence_mask", maxlen),
                                             "dtype": dtypes.convert(dtype)})
