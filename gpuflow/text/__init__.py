"""Text: pretrained word vectors, as one array whose rows follow your vocabulary."""
from gpuflow.text.vectors import Vectors, load_vectors
from gpuflow.text.viterbi import ViterbiDecoder, viterbi_decode

__all__ = ["Vectors", "ViterbiDecoder", "load_vectors", "viterbi_decode"]
