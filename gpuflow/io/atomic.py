"""Files that are there whole or not at all: written beside their place, flushed to the disk, then renamed."""
import contextlib
import os
import secrets
import stat
from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: str) -> Iterator[str]:
    """The name of a file to write; it becomes `path` when the block ends well, and vanishes when it raises.

    Until the rename the old file stays as it was, whatever happens to this process or the machine. A symbolic link is
    followed, an existing file's permissions are kept, missing parent folders are made. A path that is no regular file
    (a pipe, /dev/null) is written directly. Raises ValueError when `path` names no file, OSError with the system's
    reason, and what is at `path` now.
    """
    if not os.path.basename(path):
        raise ValueError(f"expected a path like 'folder/name.pdparams', got {path!r}, which ends without a file name.")
    path = os.path.realpath(path)
    mode = _mode(path)
    if mode is not None and not stat.S_ISREG(mode):
        yield path
        return
    try:
        with _beside(path, mode) as temporary:
            yield temporary
    except OSError as error:
        if error.errno is None:
            raise
        left = "nothing was written there" if mode is None else "the file that is there is as it was"
        raise OSError(error.errno, f"{error.strerror}: {left}", path) from error
    _sync_folder(os.path.dirname(path))


@contextlib.contextmanager
def _beside(path: str, mode: int | None) -> Iterator[str]:
    """A new file in the folder of `path`, to which it is renamed when the block ends well. mode: of the old one."""
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    temporary = os.path.join(folder, f".{name[:100]}.{secrets.token_hex(6)}.tmp")
    with open(temporary, "xb") as file:   # the umask decides, as for any new file; tempfile would make it private
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode if mode is None else mode)
    try:
        os.chmod(temporary, mode | stat.S_IWUSR)
        yield temporary
        with open(temporary, "rb+") as file:   # opened anew: the block may have put another file in its place
            os.fsync(file.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _mode(path: str) -> int | None:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def _sync_folder(folder: str) -> None:
    """Makes the rename itself survive a power cut, where the system lets us."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
