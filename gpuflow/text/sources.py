"""Which format a source of vectors has: judged by its first bytes, not by its name."""
import contextlib
import gzip
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator

from gpuflow.errors import explain
from gpuflow.text import matrices, records


@contextlib.contextmanager
def opened(source, key: str | None) -> Iterator[matrices.Matrix | records.Text | records.Binary]:
    """The reader for a source of `load_vectors`; what it reads is open inside the block."""
    if not isinstance(source, str | os.PathLike):
        _no_key("an object", key)
        yield matrices.of_object(source)
        return
    path = os.fspath(source)
    if not os.path.isfile(path):
        what = "a folder" if os.path.isdir(path) else "not there"
        raise FileNotFoundError(explain("load_vectors", "a file", f"{path!r}, which is {what}"))
    try:
        with open(path, "rb") as stream, contextlib.ExitStack() as stack:
            yield _of_file(stream, path, key, stack)
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        raise ValueError(explain(path, "a whole file", f"one that cannot be unpacked: {error}")) from error


def _of_file(stream, path: str, key: str | None, stack: contextlib.ExitStack):
    head = _head(stream)
    zipped = head.startswith(b"\x1f\x8b")
    if zipped:
        stream = stack.enter_context(gzip.GzipFile(fileobj=stream))
        head = _head(stream)
    if not head:
        raise ValueError(explain(path, "vectors", "an empty file"))
    if head.startswith(b"PK"):
        try:
            return matrices.of_npz(stream, path, key, stack)
        except (RuntimeError, OSError, struct.error) as error:   # encrypted, compressed otherwise, places outside it
            raise ValueError(explain(path, "an .npz as NumPy writes it", f"one that cannot be unpacked: {error}")
                             ) from error
    if head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] < 1 << 40:   # the length of a header, then the header
        if zipped:
            raise ValueError(explain(path, "a .safetensors file", "a gzipped one", "gunzip"))
        return matrices.of_safetensors(path, key, stack)
    if head[0] == 0x80 and head[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        raise ValueError(explain(
            path, "vectors in one of load_vectors' formats", "a pickle, which can run code and is not read",
            "for gensim, keyed_vectors.save_word2vec_format(path), or pass the KeyedVectors object; for a checkpoint, "
            "load_vectors(gpuflow.load(path)['embedding.weight'], words=...)"))
    if head.startswith(b"\xba\x16\x4f\x2f"):
        raise ValueError(explain(path, "vectors", "a fastText model (.bin)", "the .vec file beside it"))
    _no_key(path, key)
    if head.startswith(b"\x93NUMPY"):
        return matrices.of_npy(stream, path)
    return records.recognise(stream, path)


def _head(stream) -> bytes:
    head = stream.read(16)
    stream.seek(0)
    return head


def _no_key(where: str, key: str | None) -> None:
    if key is not None:
        raise ValueError(explain(f"load_vectors({where})", "no key=: only .npz and .safetensors have keys", repr(key)))
