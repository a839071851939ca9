"""Files that are there whole or not at all: written beside their place, flushed to the disk, then renamed.

Several files that belong together appear together: once all are flushed, a note says which they are and is what counts.
A process that dies while it renames leaves the note, and whoever reads or writes there next renames the rest.
"""
import contextlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from typing import Any


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
    new = _New(path, secrets.token_hex(6))
    with new.told():
        try:
            new.create()
            yield new.name
            new.flush()
            new.rename()
        except BaseException:
            new.remove()
            raise
    _sync_folder(os.path.dirname(new.path))


@contextlib.contextmanager
def replacing_together(prefix: str, suffixes) -> Iterator[list[str]]:
    """The names of files to write, as `replacing`; `prefix` + each suffix become them, all or none.

    Readers ask `settled` for the file to read. One that does not may, after a kill between two renames, see some of the
    old files beside some of the new ones.
    """
    settle(prefix)
    token, suffixes = secrets.token_hex(6), list(suffixes)
    files = [_New(prefix + suffix, token) for suffix in suffixes]
    try:
        for new in files:
            with new.told():
                new.create()
        with files[0].told():
            yield [new.name for new in files]
        for new in files:
            with new.told():
                new.flush()
        with replacing(_note(prefix)) as note, open(note, "w", encoding="utf-8") as file:
            file.write("\n".join([token, *suffixes]))
    except BaseException:
        if _noted(prefix)[0] != token:    # once the note is there, the new files are the ones
            for new in files:
                new.remove()
        raise
    for new in files:
        with contextlib.suppress(FileNotFoundError), new.told():    # a reader may have been faster
            new.rename()
    for folder in {os.path.dirname(new.path) for new in files}:
        _sync_folder(folder)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_note(prefix))


def settle(prefix: str) -> dict[str, str]:
    """Ends a save of several files that was cut off. {path: the file that has its contents} of those that could not be
    renamed, as in a folder that may not be written."""
    left = {}
    token, suffixes = _noted(prefix)
    for suffix in suffixes:
        path = os.path.realpath(prefix + suffix)
        temporary = _temporary(path, token)
        if os.path.exists(temporary):    # else it has its name
            try:
                os.replace(temporary, path)
            except FileNotFoundError:    # another reader was faster
                continue
            except OSError:
                left[path] = temporary
    if token and not left:
        with contextlib.suppress(OSError):
            os.unlink(_note(prefix))
    return left


def settled(path: str) -> str:
    """The file to read for `path`, which may be one of several that belong together."""
    return settle(os.path.splitext(path)[0]).get(os.path.realpath(path), path)


def _note(prefix: str) -> str:
    folder, name = os.path.split(prefix)
    return os.path.join(folder, f".{name}.commit")


def _noted(prefix: str) -> tuple[str, list[str]]:
    """(token, suffixes) of a note, empty where there is none or something else is called like one."""
    try:
        with open(_note(prefix), encoding="utf-8") as file:
            token, *suffixes = file.read(1000).split("\n")
    except (OSError, UnicodeDecodeError):
        return "", []
    fits = re.fullmatch("[0-9a-f]{12}", token) and all(re.fullmatch(r"\.\w+", suffix) for suffix in suffixes)
    return (token, suffixes) if fits else ("", [])


def _temporary(path: str, token: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name[-100:]}.{token}.tmp")


class _New:
    """A file on its way: written as `name`, which becomes `path`.

    direct: `path` is no regular file, and written itself. mode: the permissions that it is to have.
    """

    def __init__(self, path: str, token: str):
        self.path = os.path.realpath(path)
        mode = _mode(self.path)
        self.direct = mode is not None and not stat.S_ISREG(mode)
        self.mode: Any = None if mode is None else stat.S_IMODE(mode)
        self.name = self.path if self.direct else _temporary(self.path, token)

    def create(self) -> None:
        if self.direct:
            return
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        with open(self.name, "xb") as file:   # the umask decides, as for any new file; tempfile would make it private
            if self.mode is None:
                self.mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        os.chmod(self.name, self.mode | stat.S_IWUSR)

    def flush(self) -> None:
        """Brings what was written to the disk, and gives it its permissions."""
        if not self.direct:
            with open(self.name, "rb+") as file:   # opened anew: the block may have put another file in its place
                os.fsync(file.fileno())
            os.chmod(self.name, self.mode)

    def rename(self) -> None:
        if not self.direct:
            os.replace(self.name, self.path)

    def remove(self) -> None:
        if not self.direct:
            with contextlib.suppress(OSError):
                os.unlink(self.name)

    @contextlib.contextmanager
    def told(self):
        """Errors of the system inside name `path`, and say that what is there is as it was."""
        try:
            yield
        except OSError as error:
            if self.direct or error.errno is None or error.filename == self.path:
                raise
            left = "nothing was written there" if _mode(self.path) is None else "the file that is there is as it was"
            raise OSError(error.errno, f"{error.strerror}: {left}", self.path) from error


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
