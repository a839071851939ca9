"""The best path through a chain of tags, for conditional random fields."""
from gpuflow.dispatch import call, in_dynamic_mode
from gpuflow.nn.layer import Layer
from gpuflow.ops.registry import OPS

__all__ = ["ViterbiDecoder", "viterbi_decode"]


def viterbi_decode(potentials, transition_params, lengths, include_bos_eos_tag=True, name=None):
    """(scores [batch], paths [batch, longest], int64): each sequence's best path of tags, 0 past its end.

    potentials: [batch, length, tags]. transition_params: [tags, tags], from a row's tag to a column's. lengths: int64
    [batch]. include_bos_eos_tag: the last row is how sequences begin, the one before how they end. No gradient. In a
    Program paths are [batch, length].
    """
    scores, paths = call(OPS["viterbi_decode"], (potentials, transition_params, lengths),
                         {"include_bos_eos_tag": bool(include_bos_eos_tag)})
    return scores, paths[:, :int(lengths.max())] if in_dynamic_mode() else paths


class ViterbiDecoder(Layer):
    """`viterbi_decode` with the transitions kept; forward(potentials, lengths)."""

    def __init__(self, transitions, include_bos_eos_tag=True, name=None):
        super().__init__()
        self.transitions, self.include_bos_eos_tag = transitions, include_bos_eos_tag

    def forward(self, potentials, lengths):
        return viterbi_decode(potentials, self.transitions, lengths, self.include_bos_eos_tag)
