"""Vectors as one matrix whose words stand elsewhere: .npy, .npz, .safetensors, arrays, dicts, gensim's KeyedVectors.

Files are read a block of rows at a time, so that the matrix is never there beside the table made from it.
"""
import os
import tokenize
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from gpuflow import device
from gpuflow.errors import explain
from gpuflow.tensor import Tensor

_BLOCK = 1 << 20   # bytes of a block


@dataclass
class Matrix:
    """A matrix [count, dim]. blocks(n): its first n rows, in blocks. words: of its rows; None where it has none."""

    where: str
    shape: tuple[int, int]
    blocks: Callable[[int], Iterator[np.ndarray]]
    words: list[str] | None = None

    def name_rows(self, words, vocab: list[str] | None) -> None:
        """Gives the rows their words: the source's own, or `words`, else those of `vocab`."""
        if words is not None and self.words is not None:
            raise ValueError(explain(self.where, "no words= for a source that holds its words", "words="))
        given = self.words if words is None else _word_list(words)
        if given is None and vocab is None:
            raise ValueError(explain(self.where, "words= for the rows of a matrix", "none",
                                     "words=['the', ...] or words='vocabulary.txt'"))
        self.words = given or vocab or []
        if len(self.words) != self.shape[0]:
            name = "words=" if given is not None else "vocab, as there is no words=,"
            raise ValueError(explain(self.where, f"{name} to name each of the {self.shape[0]} rows",
                                     f"{len(self.words)} words"))

    def vectors(self, claim, limit: int | None, wide: np.dtype):
        """(rows, [len(rows), dim]) pairs, for the words whose row `claim` names; the first may be empty."""
        yield [], np.zeros((0, self.shape[1]), wide)
        at, words = 0, self.words or []
        for block in self.blocks(self.shape[0] if limit is None else min(limit, self.shape[0])):
            claimed = [claim(word) for word in words[at:at + len(block)]]
            kept = [i for i, row in enumerate(claimed) if row is not None]
            at += len(block)
            if kept:
                yield [claimed[i] for i in kept], block if len(kept) == len(block) else block[kept]


def _word_list(words) -> list[str]:
    if isinstance(words, str | os.PathLike):
        with open(words, encoding="utf-8-sig", newline="\n") as file:
            words = [line.rstrip("\r\n") for line in file]
    words = list(words)
    for word in words:
        if not isinstance(word, str):
            raise TypeError(explain("load_vectors", "words of type str in words=", f"{word!r}, {type(word).__name__}"))
    return words


def _checked(where: str, shape, dtype: np.dtype) -> tuple[int, int]:
    if dtype.hasobject:
        raise ValueError(explain(where, "numbers", "an array of Python objects, which is a pickle; never read"))
    if dtype.kind not in "fiu" and dtype.name != "bfloat16":
        raise ValueError(explain(where, "floats or integers", f"elements of type {dtype}"))
    if len(shape) != 2 or shape[0] < 0 or shape[1] < 1:
        raise ValueError(explain(where, "a matrix [words, dim] with dim >= 1", f"an array of shape {list(shape)}"))
    return tuple(shape)


def _step(dim: int, itemsize: int) -> int:
    return max(1, _BLOCK // (dim * itemsize))


# ---- objects ---------------------------------------------------------------------------------------------------------

def of_object(source) -> Matrix:
    """A Matrix of gensim's KeyedVectors, a dict word -> vector, or an array."""
    where = f"load_vectors({type(source).__name__})"
    if hasattr(source, "vectors") and hasattr(source, "key_to_index"):
        pairs = sorted(source.key_to_index.items(), key=lambda pair: pair[1])
        return _of_array(where, source.vectors, [word for word, _ in pairs], [row for _, row in pairs])
    if isinstance(source, Mapping):
        return _of_dict(where, source)
    if isinstance(source, Tensor):
        source = device.to_numpy(source._array)
    if device.is_array(source):
        return _of_array(where, source)
    raise TypeError(explain("load_vectors", "a path, a gensim KeyedVectors, a dict word -> vector or a matrix",
                            type(source).__name__, "model.wv" if hasattr(source, "wv") else None))


def _of_array(where, array, words=None, order=None) -> Matrix:
    array = device.to_numpy(array)
    shape = _checked(where, array.shape, array.dtype)
    if order is not None:
        if order and not 0 <= order[0] <= order[-1] < len(array):
            raise ValueError(explain(where, f"rows of its {len(array)} vectors in key_to_index",
                                     f"{order[0]} .. {order[-1]}"))
        shape = (len(order), shape[1])

    def blocks(n):
        step = _step(shape[1], array.itemsize)
        for start in range(0, n, step):
            stop = min(start + step, n)
            yield array[start:stop] if order is None else array[order[start:stop]]

    return Matrix(where, shape, blocks, words)


def _of_dict(where, source: Mapping) -> Matrix:
    words = list(source)
    for word in words:
        if not isinstance(word, str):
            raise TypeError(explain(where, "words of type str", f"{word!r}, {type(word).__name__}"))
    if not words:
        raise ValueError(explain(where, "at least one vector", "an empty dict"))
    dim = len(_vector(where, words[0], source[words[0]], None))

    def blocks(n):
        step = _step(dim, 8)
        for start in range(0, n, step):
            yield np.stack([_vector(where, word, source[word], dim) for word in words[start:min(start + step, n)]])

    return Matrix(where, (len(words), dim), blocks, words)


def _vector(where, word, value, dim: int | None) -> np.ndarray:
    value = value._array if isinstance(value, Tensor) else value
    value = device.to_numpy(value) if device.is_array(value) else np.asarray(value)
    _checked(f"{where}: {word!r}", (1, *value.shape), value.dtype)
    if dim not in (None, value.shape[0]):
        raise ValueError(explain(f"{where}: {word!r}", f"a vector of {dim} numbers, as the first word has",
                                 f"one of {value.shape[0]}"))
    return value


# ---- .npy and .npz ---------------------------------------------------------------------------------------------------

def of_npy(stream, where: str) -> Matrix:
    """A Matrix of a stream that stands at the beginning of a .npy."""
    shape, fortran, dtype = _npy_header(stream, where)
    count, dim = shape = _checked(where, shape, dtype)

    def blocks(n):
        if fortran:   # rows lie across the file
            yield np.frombuffer(_exactly(stream, count * dim * dtype.itemsize, where), dtype).reshape(
                shape, order="F")[:n]
            return
        step = _step(dim, dtype.itemsize)
        for start in range(0, n, step):
            rows = min(step, n - start)
            yield np.frombuffer(_exactly(stream, rows * dim * dtype.itemsize, where), dtype).reshape(rows, dim)

    return Matrix(where, shape, blocks)


def _npy_header(stream, where: str):
    """(shape, is it in Fortran order, dtype)."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        version = np.lib.format.read_magic(stream)
        if version not in readers:
            raise ValueError(f"version {version} of the format")
        return readers[version](stream)
    except (ValueError, SyntaxError, tokenize.TokenError) as error:
        text = " ".join(str(error).split())
        raise ValueError(explain(where, "a .npy array of numbers", f"a header that says: {text[:200]}")) from error


def _exactly(stream, size: int, where: str) -> bytearray:
    """The next `size` bytes. Memory is taken for what is there, not for what was announced."""
    data = bytearray()
    while len(data) < size:
        piece = stream.read(min(size - len(data), _BLOCK))
        if not piece:
            raise ValueError(explain(where, "as many numbers as its header says", "the end of the file before that",
                                     "the whole file again"))
        data += piece
    return data


def of_npz(stream, where: str, key: str | None, stack) -> Matrix:
    """A Matrix of the .npz in a stream; its words are its one array of text, where there is just one of its length."""
    archive = stack.enter_context(zipfile.ZipFile(stream))
    heads = {}
    for member in archive.namelist():
        if member.endswith(".npy"):
            with archive.open(member) as file:
                heads[member[:-4]] = _npy_header(file, f"{where}[{member[:-4]!r}]")
    if not heads:
        raise ValueError(explain(where, "an .npz with arrays", "a zip archive without (torch.save writes such)"))
    key = chosen(where, {name: (shape, dtype.kind in "fV") for name, (shape, _, dtype) in heads.items()}, key)
    matrix = of_npy(stack.enter_context(archive.open(f"{key}.npy")), f"{where}[{key!r}]")
    texts = [name for name, (shape, _, dtype) in heads.items() if dtype.kind in "US" and len(shape) == 1]
    if len(texts) == 1 and heads[texts[0]][0] == matrix.shape[:1]:
        shape, _, dtype = heads[texts[0]]
        with archive.open(f"{texts[0]}.npy") as file:
            _npy_header(file, where)
            found = np.frombuffer(_exactly(file, shape[0] * dtype.itemsize, where), dtype)
        matrix.words = (np.char.decode(found, "utf-8") if dtype.kind == "S" else found).tolist()
    return matrix


def chosen(where: str, arrays: dict, key: str | None) -> str:
    """The key of the array to read. arrays: key -> (shape, is it of floats)."""
    if key is not None:
        if key not in arrays:
            raise ValueError(explain(where, f"key= one of {sorted(arrays)[:20]}", repr(key)))
        return key
    found = [name for name, (shape, floats) in arrays.items() if floats and len(shape) == 2]
    if len(found) != 1:
        held = {name: list(shape) for name, (shape, _) in list(arrays.items())[:20]}
        raise ValueError(explain(where, "one matrix of floats", f"{len(found)} among {held}",
                                 f"key={found[0]!r}" if found else None))
    return found[0]


# ---- .safetensors ----------------------------------------------------------------------------------------------------

def of_safetensors(path: str, key: str | None, stack) -> Matrix:
    """A Matrix of a tensor in a .safetensors file, which is mapped into memory."""
    from safetensors import SafetensorError, safe_open

    try:
        file = stack.enter_context(safe_open(path, "np"))
    except SafetensorError as error:
        raise ValueError(explain(path, "a whole .safetensors file", str(error)[:200])) from error
    slices = {name: file.get_slice(name) for name in file.keys()}   # noqa: SIM118  it is no dict
    key = chosen(path, {name: (part.get_shape(), part.get_dtype() in ("F16", "BF16", "F32", "F64"))
                        for name, part in slices.items()}, key)
    part = slices[key]
    where = f"{path}[{key!r}]"
    if len(part.get_shape()) != 2 or part.get_dtype() not in ("F16", "BF16", "F32", "F64"):
        raise ValueError(explain(where, "a matrix of floats", f"{part.get_dtype()} of shape {part.get_shape()}"))
    shape = _checked(where, part.get_shape(), np.dtype("float32"))

    def blocks(n):
        step = _step(shape[1], 4)
        for start in range(0, n, step):
            yield part[start:min(start + step, n)]

    return Matrix(where, shape, blocks)
