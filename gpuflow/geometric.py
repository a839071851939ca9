"""paddle.geometric: rows brought together by numbers, and messages along the edges of graphs."""
from gpuflow.dispatch import call
from gpuflow.errors import explain
from gpuflow.functional.arguments import integer
from gpuflow.functional.search import index_select
from gpuflow.ops.registry import OPS

__all__ = ["segment_max", "segment_mean", "segment_min", "segment_sum", "send_u_recv", "send_ue_recv", "send_uv"]
_MESSAGES = {"add": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y,
             "div": lambda x, y: x / (y + 1e-12)}


def _segment(x, ids, how, count=None):
    return call(OPS["segment"], (x, ids), {"how": how, "count": count})[0]


def segment_sum(data, segment_ids, name=None):
    """[numbers, ...]: row k is the sum of the rows of data whose number in segment_ids is k, 0 where there is none."""
    return _segment(data, segment_ids, "sum")


def segment_mean(data, segment_ids, name=None):
    """As `segment_sum`, with means."""
    return _segment(data, segment_ids, "mean")


def segment_max(data, segment_ids, name=None):
    """As `segment_sum`, with the largest; each of equal ones gets the whole gradient."""
    return _segment(data, segment_ids, "max")


def segment_min(data, segment_ids, name=None):
    """As `segment_sum`, with the smallest; each of equal ones gets the whole gradient."""
    return _segment(data, segment_ids, "min")


def _received(where, messages, x, dst_index, reduce_op, out_size):
    if reduce_op not in ("sum", "mean", "max", "min"):
        raise ValueError(explain(where, "reduce_op 'sum', 'mean', 'max' or 'min'", repr(reduce_op)))
    size = 0 if out_size is None else integer(where, out_size)
    return _segment(messages, dst_index, reduce_op, size if size > 0 else x.shape[0])


def _message(where, x, y, message_op):
    if message_op not in _MESSAGES:
        raise ValueError(explain(where, f"message_op among {list(_MESSAGES)}", repr(message_op)))
    return _MESSAGES[message_op](x, y)


def send_u_recv(x, src_index, dst_index, reduce_op="sum", out_size=None, name=None):
    """What nodes receive: edge e sends row src_index[e] of x to node dst_index[e], where `reduce_op` joins the rows.

    out_size: how many nodes there are; default: as many as x has rows. A node without messages has zeros.
    """
    return _received("send_u_recv", index_select(x, src_index), x, dst_index, reduce_op, out_size)


def send_ue_recv(x, y, src_index, dst_index, message_op="add", reduce_op="sum", out_size=None, name=None):
    """`send_u_recv` of rows that are added to, multiplied by, ... the edges' own rows y [edges, ...] on the way."""
    messages = _message("send_ue_recv", index_select(x, src_index), y, message_op)
    return _received("send_ue_recv", messages, x, dst_index, reduce_op, out_size)


def send_uv(x, y, src_index, dst_index, message_op="add", name=None):
    """[edges, ...]: for edge e, row src_index[e] of x and row dst_index[e] of y, added, multiplied, ..."""
    return _message("send_uv", index_select(x, src_index), index_select(y, dst_index), message_op)
