"""A lock on a file: one opener at a time, in this process or another.

Why a lock of our own, next to those of SQLite:

- It belongs to one descriptor. Other code can open, read and close the locked file or the lock file without freeing it.
  The POSIX locks of SQLite end when the process closes any descriptor of the file.
- It ends with its process, even after `kill -9`. A lock file that is left over locks nothing.
- A second opener in the same process fails in the same way as another process.
- It has its own file. On some systems `flock` and the locks of SQLite conflict in one file, and the locked file may be
  deleted and created again.
- The file names its last owner. So where locks do not work, as on some network drives, the previous owner can notice
  the new one.
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

    _PLACE: Final = 1 << 30  # a locked byte cannot be read, so lock one after the end of the file

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
    """A lock that is held until it is closed or its process ends.

    Args:
        path: The file to lock. The lock file has `-lock` after its name and is readable by its owner only. It is in the
            real folder of the file, so a symbolic link leads to the same lock.

    Raises:
        BlockingIOError: If another opener holds the lock.
        OSError: If the lock file cannot be opened or written, or the file system has no locks.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(f"{os.path.realpath(path)}-lock")
        self._owner = secrets.token_hex(16).encode()
        self._file = _locked(self._path)
        try:
            self._file.write(self._owner)  # replaces the last owner, which has the same length
            os.fsync(self._file.fileno())
        except BaseException:
            self._file.close()
            raise

    def is_held(self) -> bool:
        """Return whether the lock is still ours. Another opener can take it only where locks do not work.

        Raises:
            OSError: If the lock file cannot be read.
        """
        try:
            return self._path.read_bytes() == self._owner  # opened again, as a network drive may cache an old copy
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Free the lock. A second call does nothing."""
        if self._file.closed:
            return
        with suppress(OSError):  # Windows does not delete a file that is open
            if self.is_held():
                self._path.unlink()  # while it is locked, or it could be the file of the next owner
        self._file.close()

    def let_go(self) -> None:
        """Close the descriptor in a forked child, or the lock would be held after the parent has ended."""
        self._file.close()


def _locked(path: Path) -> FileIO:
    """Open and lock the file at this path; try again if its last owner deleted it in between."""
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
