"""Text: pretrained word vectors, as one array whose rows follow your vocabulary."""
from gpuflow.text.vectors import Vectors, load_vectors

__all__ = ["Vectors", "load_vectors"]
