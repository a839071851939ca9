"""Sequences that Paddle cuts over processes, whole in the one process there is."""
from gpuflow.distributed.fleet.meta_parallel import ColumnParallelLinear, RowParallelLinear
from gpuflow.functional.creation import assign

__all__ = ["AllGatherOp", "ColumnSequenceParallelLinear", "GatherOp", "ReduceScatterOp", "RowSequenceParallelLinear",
           "ScatterOp", "mark_as_sequence_parallel_parameter", "register_sequence_parallel_allreduce_hooks"]

ColumnSequenceParallelLinear, RowSequenceParallelLinear = ColumnParallelLinear, RowParallelLinear


class GatherOp:
    """The whole of what the processes hold a part of: a copy."""

    @staticmethod
    def apply(input):
        return assign(input)


AllGatherOp = ScatterOp = ReduceScatterOp = GatherOp   # of one part, each is the same


def mark_as_sequence_parallel_parameter(parameter) -> None:
    """Notes that the processes add up this parameter's gradient."""
    parameter.sequence_parallel = True


def register_sequence_parallel_allreduce_hooks(model, accumulation_steps=1, fuse_sequence_parallel_allreduce=False):
    """Adds up the gradients of marked parameters after each step: there is nobody to add from."""
