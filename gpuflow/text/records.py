"""Vectors as records, a word and its numbers: lines of text (GloVe, word2vec, fastText) and word2vec's binary form."""
import codecs
import warnings
from collections.abc import Callable, Iterator

import numpy as np

from gpuflow.errors import explain

_CHUNK = 1 << 20      # bytes read at once
_FIRST_LINE = 1 << 20   # no line of vectors is longer: 50,000 numbers
_WORD = 1 << 16       # no word is longer

Claim = Callable[[str], int | None]
Blocks = Iterator[tuple[list[int], np.ndarray]]


def recognise(stream, where: str) -> "Text | Binary":
    """The reader for a stream of records, judged by its beginning. The stream must be able to seek."""
    start = 3 if stream.read(3) == codecs.BOM_UTF8 else 0
    stream.seek(start)
    line = stream.readline(_FIRST_LINE)
    pieces = line.split()
    if len(pieces) == 2 and all(piece.isdigit() and len(piece) < 16 for piece in pieces):
        count, dim = map(int, pieces)
        if not dim:
            raise ValueError(explain(where, "vectors of at least one number", f"the first line {line[:40]!r}"))
        begin = stream.tell()
        binary = not _looks_like_text(stream.read(1 << 16), dim)
        stream.seek(begin)
        return Binary(stream, where, dim, count) if binary else Text(stream, where, dim, count)
    dim = 0
    while dim < len(pieces) - 1 and _is_number(pieces[-1 - dim]):
        dim += 1
    if not dim or len(line) == _FIRST_LINE:
        raise ValueError(explain(where, "vectors: lines 'word v1 .. vd', perhaps after 'N d'; .npy, .npz, .safetensors",
                                 f"a file that begins with {line[:40]!r}"))
    stream.seek(start)
    return Text(stream, where, dim, None)


def _is_number(piece: bytes) -> bool:
    try:
        float(piece)
    except ValueError:
        return False
    return True


def _looks_like_text(sample: bytes, dim: int) -> bool:
    """Whether what follows the line 'N d' is text: `dim` numbers end its first line, or all of it is legible.

    The second keeps a text with a damaged line from being taken for binary; float32 bytes are hardly ever legible.
    """
    pieces = sample.partition(b"\n")[0].rsplit(None, dim)
    if len(pieces) == dim + 1 and all(map(_is_number, pieces[1:])):
        return True
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return not any(c < " " and c not in "\t\n\r" for c in text)


class _Words:
    """Decodes words, and warns once for those that are no UTF-8."""

    def __init__(self, where: str):
        self.where, self.bad, self.first = where, 0, ""

    def decode(self, word: bytes, place: str) -> str:
        try:
            return word.decode("utf-8")
        except UnicodeDecodeError:
            self.bad += 1
            self.first = self.first or place
            return word.decode("utf-8", "replace")

    def warn(self) -> None:
        if self.bad:
            warnings.warn(f"{self.where}: {self.bad} words are no UTF-8, first in {self.first}; their bad bytes became "
                          "U+FFFD", UserWarning, stacklevel=4)


class Text:
    """Lines `word v1 .. vd`; the last d parts are the numbers, since a word may hold spaces.

    count: how many lines the header announced; None where there is no header.
    """

    def __init__(self, stream, where: str, dim: int, count: int | None):
        self.stream, self.where, self.dim, self.count = stream, where, dim, count
        self.words = _Words(where)

    def vectors(self, claim: Claim, limit: int | None, wide: np.dtype) -> Blocks:
        """(rows, [len(rows), dim]) pairs, for the words whose row `claim` names; the first may be empty."""
        yield [], np.zeros((0, self.dim), wide)
        number = 0 if self.count is None else 1   # of the line
        seen = 0
        while seen != limit and (chunk := self.stream.read(_CHUNK)):
            rows: list[int] = []
            texts: list[bytes] = []
            lines: list[int] = []
            for line in (chunk + self.stream.readline()).split(b"\n"):
                number += 1
                line = line.rstrip()
                if not line:
                    continue
                if seen == limit:
                    break
                seen += 1
                word, numbers = self.parts(line, number)
                row = claim(self.words.decode(word, f"line {number}"))
                if row is not None:
                    rows.append(row)
                    texts.append(numbers)
                    lines.append(number)
            number -= 1   # what follows the chunk's last line end is the next chunk's beginning
            if rows:
                yield rows, self.parse(texts, lines, wide)
        if self.count is not None and seen != self.count and (seen != limit or limit > self.count):
            raise ValueError(explain(self.where, f"{self.count} vectors, as its first line says", f"{seen}",
                                     "the whole file again" if seen < self.count else None))
        self.words.warn()

    def parts(self, line: bytes, number: int) -> tuple[bytes, bytes]:
        if line.count(b" ") == self.dim and b"\t" not in line:
            word, _, numbers = line.partition(b" ")
        else:
            word, *rest = line.rsplit(None, self.dim)
            numbers = b" ".join(rest)
            # a word of several parts is fine ("New York"), unless the last looks like one number too many
            if len(rest) < self.dim or (len(word.split()) > 1 and _is_number(word.split()[-1])):
                found = len(line.split()) - 1
                raise ValueError(explain(f"{self.where}, line {number}", f"a word and {self.dim} numbers",
                                         f"{found} numbers after {word.split()[0][:40].decode('utf-8', 'replace')!r}"))
        if not word:
            raise ValueError(explain(f"{self.where}, line {number}", "a word before the numbers", "none"))
        return word, numbers

    def parse(self, texts: list[bytes], lines: list[int], wide: np.dtype) -> np.ndarray:
        try:
            block = np.loadtxt(texts, wide, comments=None, ndmin=2)   # NumPy's reader in C: 90 ns a number
            if block.shape == (len(texts), self.dim):
                return block
        except ValueError:
            pass
        for text, number in zip(texts, lines, strict=True):   # which line was it?
            for piece in text.split():
                try:
                    np.loadtxt([piece], wide, comments=None)
                except ValueError:
                    raise ValueError(explain(f"{self.where}, line {number}", f"a word and {self.dim} numbers",
                                             f"{piece[:40].decode('utf-8', 'replace')!r} among them")) from None
            if len(text.split()) != self.dim:
                raise ValueError(explain(f"{self.where}, line {number}", f"a word and {self.dim} numbers",
                                         f"{len(text.split())} numbers"))
        raise ValueError(explain(f"{self.where}, lines {lines[0]} to {lines[-1]}", f"{self.dim} numbers in each",
                                 "something else"))


class Binary:
    """word2vec's binary form: `count` times a word, a space, d little-endian float32, and a newline in some files."""

    def __init__(self, stream, where: str, dim: int, count: int):
        self.stream, self.where, self.dim, self.count = stream, where, dim, count
        self.words = _Words(where)

    def vectors(self, claim: Claim, limit: int | None, wide: np.dtype) -> Blocks:
        """(rows, [len(rows), dim]) pairs, for the words whose row `claim` names; the first may be empty."""
        rows: list[int] = []
        parts: list[bytes] = []
        size = 4 * self.dim
        data, at = bytearray(), 0
        for number in range(1, min(self.count, limit or self.count) + 1):
            while (space := data.find(b" ", at)) < 0 or len(data) - space - 1 < size:
                if space < 0 and len(data) - at > _WORD:
                    raise ValueError(explain(self.where, f"a word before vector {number}", "bytes without a space"))
                piece = self.stream.read(_CHUNK)
                if not piece:
                    raise ValueError(explain(self.where, f"{self.count} vectors of {self.dim} float32, as its first "
                                             "line says", f"the end of the file in vector {number}",
                                             "the whole file again"))
                del data[:at]
                at = 0
                data += piece
            row = claim(self.words.decode(bytes(data[at:space]).lstrip(b"\n"), f"vector {number}"))
            at = space + 1 + size
            if row is not None:
                rows.append(row)
                parts.append(bytes(data[space + 1:at]))
            if len(parts) * size >= _CHUNK:
                yield rows, self.join(parts)
                rows, parts = [], []
        yield rows, self.join(parts)
        if (limit is None or limit >= self.count) and (data[at:] + self.stream.read(_CHUNK)).strip():
            raise ValueError(explain(self.where, f"{self.count} vectors, as its first line says",
                                     "more bytes after them"))
        self.words.warn()

    def join(self, parts: list[bytes]) -> np.ndarray:
        return np.frombuffer(b"".join(parts), "<f4").reshape(-1, self.dim)
