"""Rows of a table by number, and the gradient that goes back to those rows only."""
import numpy as np

from gpuflow import dtypes
from gpuflow.errors import explain
from gpuflow.ops.registry import Spec, op
from gpuflow.ops.rows import SparseRows, add_rows


def check_ids(xp, name, ids, count) -> None:
    """IndexError for an id outside [0, count), on the CPU; on a GPU looking would stop the queue."""
    if xp is np and ids.size:
        low, high = ids.min(), ids.max()
        if low < 0 or high >= count:
            raise IndexError(explain(name, f"ids in [0, {count})", str(low if low < 0 else high)))


def _embedding_spec(ids, weight, *, padding_idx=None, sparse=False, scale_by_count=False):
    if ids.dtype.is_differentiable or ids.dtype is dtypes.bool_:
        raise TypeError(explain("embedding", "integer ids", ids.dtype.name, "ids.astype('int64')"))
    if len(weight.shape) != 2:
        raise ValueError(explain("embedding", "weight [num_embeddings, embedding_dim]", str(list(weight.shape))))
    return Spec((*ids.shape, weight.shape[1]), weight.dtype)


@op("embedding", infer=_embedding_spec, saves=("ids", "weight_shape"), writes=("weight",))
def embedding(xp, ids, weight, *, padding_idx=None, sparse=False, scale_by_count=False):
    """weight[ids]: [..., embedding_dim]. Ids equal to padding_idx give zeros and no gradient.

    sparse: the weight's gradient is a SparseRows. scale_by_count: a row's gradient is divided by how often it is used.
    """
    check_ids(xp, "embedding", ids, weight.shape[0])
    out = xp.take(weight, ids, axis=0)
    if padding_idx is not None:
        out[ids == padding_idx] = 0
    return out


@embedding.grad
def embedding_grad(xp, g, saved, *, padding_idx=None, sparse=False, scale_by_count=False):
    ids, shape = saved.ids, saved.weight_shape
    if sparse:
        rows, values = ids.reshape(-1), g.reshape((-1, shape[1]))
        if padding_idx is not None:
            kept = rows != padding_idx
            rows, values = rows[kept], values[kept]
        return None, SparseRows(rows.astype(xp.int64), values, shape)
    into = saved.into[1] if saved.into else None
    if into is not None:
        into[...] = 0
        _add_rows(xp, into, ids, g, padding_idx, scale_by_count)
        return None, into
    return None, embedding_backward(xp, g, ids, rows=shape[0], padding_idx=padding_idx, scale_by_count=scale_by_count)


def _add_rows(xp, table, ids, values, padding_idx, scale_by_count):
    rows, values = ids.reshape(-1), values.reshape((-1, table.shape[1]))
    if scale_by_count:
        values = values * (1 / _counts(xp, rows, table.shape[0])).astype(values.dtype)
    add_rows(xp, table, rows, values)
    if padding_idx is not None:
        table[padding_idx] = 0


def _counts(xp, rows, count):
    """How often the row of each entry occurs, as a column."""
    return xp.bincount(rows, minlength=count)[rows][:, None]


@op("embedding_backward", infer=lambda g, ids, *, rows, **attrs: Spec((rows, g.shape[-1]), g.dtype), saves=("ids",))
def embedding_backward(xp, g, ids, *, rows, padding_idx=None, scale_by_count=False):
    """A table of `rows` rows that holds, per row, the sum of the g of its ids."""
    table = xp.zeros((rows, g.shape[-1]), g.dtype)
    _add_rows(xp, table, ids, g, padding_idx, scale_by_count)
    return table


@embedding_backward.grad
def embedding_backward_grad(xp, h, saved, *, rows, padding_idx=None, scale_by_count=False):
    out = embedding(xp, saved.ids, h, padding_idx=padding_idx)
    return (out * embedding_shares(xp, saved.ids, rows=rows) if scale_by_count else out), None


@op("embedding_shares", infer=lambda ids, *, rows: Spec((*ids.shape, 1), dtypes.float64))
def embedding_shares(xp, ids, *, rows):
    """1 / (how often each id occurs): [..., 1]."""
    return (1 / _counts(xp, ids.reshape(-1), rows)).reshape((*ids.shape, 1))
