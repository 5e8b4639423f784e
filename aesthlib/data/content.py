"""The bytes of a file, and whose fault it is when there are none."""

import contextlib
import ctypes
import errno
import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from .find import printable

LARGEST_BYTES = 1_000_000_000  # of a file together with what it is decoded to
LARGE = 16_000_000  # files above are read one at a time, memory above is given back at once
_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
_PAUSES_S = (0.1, 1.0)  # pauses before a file is read again that the machine would not give
_MISSING = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
_KINDS = {
    **{stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder"},
    **{stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"},
}


class UnreadableImage(ValueError):
    """A file that cannot be used as a photograph; the message says why."""


class MachineFault(OSError):
    """A file could not be read for a reason that lies in the machine, not in the photograph."""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[bytes]:
    """A file's bytes; of large files one at a time is held.

    Raises:
        UnreadableImage, MachineFault: as `decode`.
    """
    status = _patiently(os.stat, path)
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableImage(f"no plain file but {_KINDS.get(stat.S_IFMT(status.st_mode))}")
    if status.st_size > LARGEST_BYTES:
        raise UnreadableImage(f"too large: {status.st_size / 1e6:,.0f} MB")
    with _large_file if status.st_size > LARGE else contextlib.nullcontext():
        yield _patiently(_content, path)


_large_file = threading.Lock()


def _content(path: Path) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", 0) as file:
        return file.readall()


def _patiently(work, path: Path):
    """Do what the machine may refuse for a moment, a few times."""
    for pause in (*_PAUSES_S, None):
        try:
            return work(path)
        except OSError as error:
            if error.errno in _MISSING:
                raise UnreadableImage("missing") from None
            if pause is None or error.errno in (errno.EACCES, errno.EPERM):
                raise MachineFault(
                    error.errno,
                    f"could not read {printable(str(path))}: {error.strerror}; the photograph is "
                    "not to blame: mend it and run the same command again",
                ) from error
            time.sleep(pause)


class Room:
    """Memory that decoders share: who needs more than is left waits."""

    def __init__(self, size: int):
        self.size, self.left, self.changed = size, size, threading.Condition()

    @contextlib.contextmanager
    def take(self, needed: int) -> Iterator[None]:
        """Hold so many bytes, or all there are if that is less."""
        needed = min(int(needed), self.size)
        with self.changed:
            self.changed.wait_for(lambda: self.left >= needed)
            self.left -= needed
        try:
            yield
        finally:
            if needed > LARGE and _TRIM:
                _TRIM(0)  # the C library keeps freed memory for each thread
            with self.changed:
                self.left += needed
                self.changed.notify_all()
