"""Layers that Paddle spreads over processes, whole in the one process there is."""
import contextlib

from gpuflow.distributed.fleet.meta_parallel.parallel_layers import LayerDesc, PipelineLayer, SharedLayerDesc
from gpuflow.nn.common import Embedding, Linear
from gpuflow.nn.functional import cross_entropy
from gpuflow.nn.layer import Layer

__all__ = ["ColumnParallelLinear", "LayerDesc", "ParallelCrossEntropy", "PipelineLayer", "RowParallelLinear",
           "SharedLayerDesc", "VocabParallelEmbedding", "get_rng_state_tracker"]


class ColumnParallelLinear(Linear):
    """`Linear`; its columns are all here. has_bias: None is False."""

    def __init__(self, in_features, out_features, weight_attr=None, has_bias=None, gather_output=True,
                 fuse_matmul_bias=False, mp_group=None, name=None):
        super().__init__(in_features, out_features, weight_attr, None if has_bias else False, name=name)
        self.is_mp = False


class RowParallelLinear(Linear):
    """`Linear`; its rows are all here."""

    def __init__(self, in_features, out_features, weight_attr=None, has_bias=True, input_is_parallel=False,
                 fuse_matmul_bias=False, mp_group=None, name=None):
        super().__init__(in_features, out_features, weight_attr, None if has_bias else False, name=name)
        self.is_mp = False


class VocabParallelEmbedding(Embedding):
    """`Embedding`; its rows are all here."""

    def __init__(self, num_embeddings, embedding_dim, weight_attr=None, mp_group=None, name=None):
        super().__init__(num_embeddings, embedding_dim, weight_attr=weight_attr, name=name)


class ParallelCrossEntropy(Layer):
    """The cross entropy of each row, [..., 1], from all classes; ignore_index: a label that counts for nothing."""

    def __init__(self, mp_group=None, name=None, ignore_index: int = -100):
        super().__init__()
        self.ignore_index = ignore_index

    def forward(self, input, label):
        label = label if label.ndim == input.ndim else label.unsqueeze(-1)
        return cross_entropy(input, label, reduction="none", ignore_index=self.ignore_index)


class _Tracker:
    """Random states by name: parts of one network draw from the one there is."""

    states_: dict = {}   # no state has a name

    def add(self, name: str, seed: int) -> None:
        pass

    def rng_state(self, name: str = "model_parallel_rng"):
        return contextlib.nullcontext()


_TRACKER = _Tracker()


def get_rng_state_tracker() -> _Tracker:
    """What gives `with tracker.rng_state(name):` a meaning over several processes."""
    return _TRACKER
