"""Lengths as masks, and the way back through the beams of a search."""
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
