"""A lock on a file, which one opener has at a time, here or in another process.

What to rely on:

- It belongs to one descriptor. Whoever opens, reads and closes the locked file, or the file of the lock, does not free
  it. The POSIX locks that SQLite takes end with the first descriptor of the process that is closed.
- It ends with its process, also after `kill -9`. The file that stays refuses nobody.
- A second opener in the same process is refused as another process is.
- It has a file of its own: on some systems `flock` and the locks of SQLite refuse each other in the same file, and the
  locked file may be deleted and made anew.
- The file names the last one who took the lock. So where locks do not hold, as on some network drives, whoever had it
  before can find out, each time that it matters.
"""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Final

_FLAGS: Final = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)

if sys.platform == "win32":
    import msvcrt

    _PLACE: Final = 1 << 30  # nobody can read a locked byte: this one is beyond the end of the file

    def _take(descriptor: int) -> None:
        os.lseek(descriptor, _PLACE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(*error.args) from error
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)

else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class FileLock:
    """A lock that is taken, until it is closed or its process ends.

    Args:
        path: The file to lock. The lock is the file with `-lock` after its name, in the folder where the file really
            is, so that a symbolic link leads to the same lock. It is readable by its owner only.

    Raises:
        BlockingIOError: If somebody else has it.
        OSError: If its file cannot be opened or written, or the system has no locks there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(f"{os.path.realpath(path)}-lock")
        self._owner = secrets.token_hex(16).encode()
        self._file = _locked(self._path)
        try:
            self._file.write(self._owner)  # always as long as the one before
            os.fsync(self._file.fileno())
        except BaseException:
            self._file.close()
            raise

    def is_held(self) -> bool:
        """Return whether nobody has taken the lock since, which can happen only where locks do not hold.

        Raises:
            OSError: If its file cannot be read.
        """
        try:
            return self._path.read_bytes() == self._owner  # opened anew, as a network drive may keep an old copy else
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Give the lock free; may be called twice."""
        if self._file.closed:
            return
        with suppress(OSError):  # Windows does not delete a file that is open
            if self.is_held():
                self._path.unlink()  # before it is free, or it could be the next one's
        self._file.close()

    def let_go(self) -> None:
        """Close the descriptor that a forked child has inherited: the lock would else outlive the parent."""
        self._file.close()


def _locked(path: Path) -> FileIO:
    """Open and lock the file that has this path: while we waited its last owner may have deleted it."""
    while True:
        file = FileIO(os.open(path, _FLAGS, 0o600), "r+")
        try:
            _take(file.fileno())
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except FileNotFoundError:
            pass
        except BaseException:
            file.close()
            raise
        file.close()
