"""Lengths as masks, the way back through the beams of a search, the best path through a chain of tags."""
import numpy as np

from gpuflow import dtypes
from gpuflow.errors import explain
from gpuflow.ops.registry import Spec, op


def _mask_spec(x, *, maxlen=None, dtype):
    if maxlen is not None and maxlen < 1:
        raise ValueError(explain("sequence_mask", "maxlen above 0, or None for the largest length", repr(maxlen)))
    return Spec((*x.shape, maxlen), dtypes.convert(dtype))


@op("sequence_mask", infer=_mask_spec)
def sequence_mask(xp, x, *, maxlen=None, dtype):
    """1 where the position is below each length in x: [...] to [..., maxlen]. maxlen None: the largest of x."""
    count = int(x.max()) if maxlen is None else _mask_spec(x, maxlen=maxlen, dtype=dtype).shape[-1]
    return (xp.arange(count) < x[..., None]).astype(dtypes.convert(dtype).dtype)


def _tree_spec(ids, parents):
    if len(ids.shape) != 3 or any(a != b and None not in (a, b) for a, b in zip(ids.shape, parents.shape)) or len(
            parents.shape) != 3:
        raise ValueError(explain("gather_tree", "ids and parents [time, batch, beam]",
                                 f"{list(ids.shape)} and {list(parents.shape)}"))
    return Spec(ids.shape, ids.dtype)


@op("gather_tree", infer=_tree_spec)
def gather_tree(xp, ids, parents):
    """The sequences that end in the last step's beams: ids [time, batch, beam], each step's taken where its successor
    says (parents, the beams of the step before that a step's beams continue).
    """
    _tree_spec(ids, parents)
    out = ids.copy()
    beam = None
    for t in range(len(ids))[::-1]:
        if beam is not None:
            out[t] = xp.take_along_axis(ids[t], beam, axis=1)
            beam = xp.take_along_axis(parents[t], beam, axis=1)
        else:
            beam = parents[t]
    return out


def _viterbi_spec(potentials, transitions, lengths, *, include_bos_eos_tag=True):
    if len(potentials.shape) != 3 or len(transitions.shape) != 2 or len(lengths.shape) != 1 or any(
            size not in (None, potentials.shape[-1]) for size in transitions.shape):
        came = ", ".join(str(list(x.shape)) for x in (potentials, transitions, lengths))
        raise ValueError(explain("viterbi_decode", "potentials [batch, length, tags], transitions [tags, tags] and "
                                 "lengths [batch]", came))
    return Spec(potentials.shape[:1], potentials.dtype), Spec(potentials.shape[:2], dtypes.int64)


@op("viterbi_decode", infer=_viterbi_spec)
def viterbi_decode(xp, potentials, transitions, lengths, *, include_bos_eos_tag=True):
    """The score of each sequence's best path of tags and the path, 0 past its end (Viterbi 1967).

    potentials [batch, length, tags]; transitions [from, to]. include_bos_eos_tag: transitions[-1] leads from a
    sequence's beginning to its first tag, and transitions[-2] is added at its last.
    """
    _viterbi_spec(potentials, transitions, lengths)
    batch, length, _ = potentials.shape
    best = potentials[:, 0] + (transitions[-1] if include_bos_eos_tag else 0)
    came_from = []
    for t in range(1, length):
        reached = best[:, :, None] + transitions
        came_from.append(reached.argmax(1))
        best = xp.where((t < lengths)[:, None], reached.max(1) + potentials[:, t], best)
    best = best + (transitions[-2] if include_bos_eos_tag else 0)
    scores, tag, path = best.max(1), best.argmax(1), xp.zeros((batch, length), np.int64)
    for t in range(length)[::-1]:
        inside = t < lengths
        path[:, t] = xp.where(inside, tag, 0)
        if t > 0:
            tag = xp.where(inside, came_from[t - 1][xp.arange(batch), tag], tag)
    return scores, path
