"""load_vectors: word vectors from any of the usual formats into one table that follows a vocabulary."""
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from gpuflow import device, dtypes
from gpuflow.errors import explain
from gpuflow.nn.initializer import Constant, Normal, TruncatedNormal, Uniform
from gpuflow.param import Initializer
from gpuflow.text.matrices import Matrix
from gpuflow.text.sources import opened

_PART = 1 << 16   # numbers drawn or measured at once
# Their numbers do not depend on the shape, so that they can be drawn in parts.
_ELEMENTWISE = (Constant, Normal, TruncatedNormal, Uniform)


@dataclass(frozen=True, eq=False, repr=False)
class Vectors:
    """Word vectors. `array[i]` belongs to `vocab[i]`.

    array: NumPy array [len(vocab), dim], C-contiguous; `nn.initializer.Assign(vectors.array)` takes it as it is.
    hit: bool [len(vocab)], True where the vector came from the source.
    oov: how many words had no vector there.
    """

    array: np.ndarray
    vocab: list[str]
    hit: np.ndarray
    oov: int

    def __repr__(self):
        return f"Vectors({list(self.array.shape)} {self.array.dtype}, {self.oov} words without a vector in the source)"


def load_vectors(source, vocab=None, oov: Initializer | None = None, limit: int | None = None, dtype="float32", *,
                 words=None, key: str | None = None) -> Vectors:
    """Pretrained vectors for the words of `vocab`, in its order.

    source: a file in one of these formats, told apart by the contents; text, binary and .npy also gzipped:
        GloVe text (`word v1 .. vd` a line); word2vec text and fastText .vec (a line `N d` before that); word2vec
        binary; .npy, .npz, .safetensors. Or an object: gensim KeyedVectors, a dict word -> vector, a matrix
        [rows, dim].
    vocab: the words wanted, each once: a list, or a dict word -> row with the rows 0 .. n-1. None: all words of the
        source in its order. The first vector of a word counts, later ones are passed over.
    oov: draws the rows of words that the source lacks; it is asked for [their number, dim], so give one that does not
        count fans. None: Normal with mean 0 and the standard deviation of the vectors found. The numbers come from the
        CPU's seeded generator, so they are the same with and without a GPU.
    limit: reads only the first `limit` vectors of the source.
    dtype: float16, bfloat16, float32 or float64.
    words: the words of a matrix's rows (.npy, .npz, .safetensors, array): a list, or a text file with one word a line.
        An .npz may hold them, as its one array of text. Where there are none, the rows belong to `vocab` one by one.
    key: which array of an .npz or .safetensors; not needed where it holds one matrix of floats.

    Text is read as UTF-8; words that are none get U+FFFD for their bad bytes, and one warning counts them. In text, the
    numbers of words that are not asked for are counted but not read. Takes at most about twice the table's memory.
    Pickles, such as gensim's own .save(), are refused. Raises ValueError for damaged files, with the line number.
    """
    kind = dtypes.convert(dtype)
    if not kind.is_floating:
        raise TypeError(explain("load_vectors", "a floating dtype", kind.name))
    if oov is not None and not isinstance(oov, Initializer):
        raise TypeError(explain("load_vectors", "oov to be an Initializer or None", type(oov).__name__,
                                "oov=nn.initializer.Normal(0.0, 0.1)"))
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise ValueError(explain("load_vectors", "limit to be an integer >= 1 or None", repr(limit)))
    wanted = None if vocab is None else _vocabulary(vocab)
    table = _Table(wanted, kind.dtype)
    with opened(source, key) as found:
        if isinstance(found, Matrix):
            found.name_rows(words, wanted)
        elif words is not None:
            raise ValueError(explain(found.where, "no words= for a source that holds its words", "words="))
        wide = np.dtype("float64" if kind.name == "float64" else "float32")
        for rows, block in found.vectors(table.claim, limit, wide):
            table.put(rows, block)
    return table.finish(oov, kind)


def _vocabulary(vocab) -> list[str]:
    """The words in the order of their rows."""
    if isinstance(vocab, str | bytes) or not isinstance(vocab, Iterable):
        raise TypeError(explain("load_vectors", "vocab to be a list of words or a dict word -> row",
                                type(vocab).__name__))
    words = sorted(vocab, key=vocab.__getitem__) if isinstance(vocab, Mapping) else list(vocab)
    if isinstance(vocab, Mapping) and [vocab[word] for word in words] != list(range(len(words))):
        raise ValueError(explain("load_vectors", f"a vocab with the rows 0 .. {len(words) - 1}, each once",
                                 f"rows {[vocab[word] for word in words[:3]]} .. {vocab[words[-1]]}"))
    if not words:
        raise ValueError(explain("load_vectors", "a vocab with at least one word", "an empty one"))
    for word in words:
        if not isinstance(word, str):
            raise TypeError(explain("load_vectors", "words of type str in vocab", f"{word!r}, {type(word).__name__}"))
    if len(set(words)) != len(words):
        first: dict[str, int] = {}
        row, word = next((i, word) for i, word in enumerate(words) if first.setdefault(word, i) != i)
        raise ValueError(explain("load_vectors", "each word of vocab once", f"{word!r} in rows {first[word]} and {row}",
                                 "list(dict.fromkeys(vocab))"))
    return words


# ---- the table -------------------------------------------------------------------------------------------------------

class _Table:
    """Takes vectors in. With a vocabulary its rows are fixed; without one it grows with each new word."""

    def __init__(self, vocab: list[str] | None, dtype: np.dtype):
        self.growing = vocab is None
        self.index = {word: row for row, word in enumerate(vocab or ())}
        self.hit = np.zeros(len(self.index), bool)
        self.dim, self.array = 0, np.zeros((0, 0), dtype)

    def claim(self, word: str) -> int | None:
        """The row where the word's vector goes; None if it is not wanted or already there."""
        row = self.index.get(word)
        if self.growing:
            if row is not None:
                return None
            self.index[word] = len(self.index)
            return len(self.index) - 1
        if row is None or self.hit[row]:
            return None
        self.hit[row] = True
        return row

    def put(self, rows: list[int], block: np.ndarray) -> None:
        """block: [len(rows), dim], of any floating dtype."""
        self.dim = block.shape[1]
        if rows:   # else a width that the source announces, and has yet to show
            self.grow(max(len(self.index), len(self.array) * 5 // 4))
            self.array[rows] = block

    def grow(self, rows: int) -> None:
        if len(self.array) < len(self.index):
            # In place: where the system can extend a block of memory, the vectors are there only once.
            self.array.resize((rows, self.dim), refcheck=False)

    def finish(self, oov: Initializer | None, kind: dtypes.DType) -> Vectors:
        vocab = list(self.index)
        if self.growing:
            if not self.index:
                raise ValueError(explain("load_vectors", "at least one vector", "a source with none"))
            self.array.resize((len(vocab), self.dim), refcheck=False)
            return Vectors(self.array, vocab, np.ones(len(vocab), bool), 0)
        self.grow(len(vocab))
        missing = np.flatnonzero(~self.hit)
        if len(missing):
            self.fill(missing, Normal(0.0, self.deviation()) if oov is None else oov, kind)
        return Vectors(self.array, vocab, self.hit, len(missing))

    def deviation(self) -> float:
        """The standard deviation of all numbers found."""
        found = np.flatnonzero(self.hit)
        if not len(found):
            raise ValueError(explain("load_vectors", "a source with at least one word of vocab", "one with none of "
                                     f"{list(self.index)[:3]} ...", "the source's spelling (lower case?), or an oov="))
        total = squares = 0.0
        step = max(1, _PART // self.dim)
        for start in range(0, len(found), step):
            part = self.array[found[start:start + step]].astype(np.float64)
            total += part.sum()
            squares += np.square(part).sum()
        count = self.dim * len(found)
        variance = squares / count - (total / count) ** 2
        if not np.isfinite(variance):
            raise ValueError(explain("load_vectors", "finite vectors", "inf or nan among them", "an oov="))
        return float(np.sqrt(max(variance, 0.0)))

    def fill(self, missing: np.ndarray, oov: Initializer, kind: dtypes.DType) -> None:
        step = max(1, _PART // self.dim) if type(oov) in _ELEMENTWISE else len(missing)
        for start in range(0, len(missing), step):
            rows = missing[start:start + step]
            self.array[rows] = oov.array((len(rows), self.dim), kind, device.CPU)
