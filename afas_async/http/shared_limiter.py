"""Limits that several processes share: the interface of such a limiter, and one for the processes of a machine."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
import weakref
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

from afas_async.errors import ConfigurationError
from afas_async.http.options import Priority
from afas_async.vocabulary.arguments import check_type

if sys.platform != "win32":
    import fcntl

ADVISED: Final = 5
MOST: Final = 8
# After an interactive call, one slot is kept free this long for the next one, which need not wait for a long page then.
KEPT_SECONDS: Final = 30.0
# The time between two looks for a free slot. A process that has slots looks less often, so that the others get theirs.
LOOK_SECONDS: Final = 0.004


@runtime_checkable
class SharedLimiter(Protocol):
    """The interface of a limit for several processes, for `AfasClient(limiter=...)`.

    Write your own to limit the requests of your whole cluster, for example with a semaphore in Redis:

        class RedisLimiter:
            limit = 5

            @asynccontextmanager
            async def slot(self, priority):
                token = await take(priority)  # waits, and sets an expiry, because a process may be killed
                try:
                    yield
                finally:
                    await give_back(token)

    Within a process, a `Limiter` decides whose turn it is. Before each request it takes a slot from your limiter. The
    wait for a slot does not count towards your time-outs. Leaving the block may take 5 seconds. If your `slot`
    raises, nothing is sent: you get a ConfigurationError with that exception as its cause.

    Attributes:
        limit: The number of slots.
    """

    limit: int

    def slot(self, priority: Priority) -> AbstractAsyncContextManager[Any]:
        """Return an asynchronous context manager, which holds a slot while one request is sent.

        Args:
            priority: "interactive" for calls that a person waits for, "background" for bulk reads and loads.
        """
        ...


class FileLimiter:
    """A limit for all processes on your machine, such as the workers of your service.

    Give it to the clients of each process: `AfasClient(limiter=FileLimiter(path, 5))`. Each request holds a slot, which
    is a lock on one of `limit` files (`flock`). The system frees the lock when your process ends, even after `kill -9`.
    Waiting processes look for a free slot every few milliseconds. A process with fewer slots looks more often, so that
    each gets its share. For 30 seconds after an interactive call, one slot is kept free for the next one.

    Args:
        path: A folder on a local disk. Give the same one to all processes that call one environment. If it is missing,
            it is created for your user only.
        limit: The highest number of requests in flight, of all your processes together: 1 to 8. AFAS advises at most 5
            (GET connector). Give the same limit to each process.

    Raises:
        UsageError: If an argument has the wrong type.
        ConfigurationError: If the limit is not 1 to 8, or the system has no such locks (Windows).

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> async def main(folder):
        ...     limiter = FileLimiter(folder, 5)
        ...     async with (
        ...         Simulator(rows=500) as sim,
        ...         AfasClient(base_url=sim.base_url, auth=sim.token, limiter=limiter) as afas,
        ...     ):
        ...         pages = await asyncio.gather(*[afas.page("Profit_Article") for _ in range(20)])
        ...         return len(pages), sim.counters.peak_in_flight <= 5
        >>> with TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        (20, True)
    """

    def __init__(self, path: str | os.PathLike[str], limit: int = ADVISED) -> None:
        check_type("path", path, (str, os.PathLike), "the path of a folder")
        check_type("limit", limit, int, f"a whole number from 1 to {MOST}")
        if not 1 <= limit <= MOST:
            raise ConfigurationError(f"limit must be 1 to {MOST}, not {limit}")
        if sys.platform == "win32":
            raise ConfigurationError(
                "FileLimiter needs the file locks of Unix (flock), which Windows does not have: give each process its"
                " share with max_concurrency, or write a SharedLimiter"
            )
        self.limit: int = limit
        self._folder = Path(path)
        self._files: weakref.WeakSet[FileIO] = weakref.WeakSet()
        self._held = 0
        _LIMITERS.add(self)

    @asynccontextmanager
    async def slot(self, priority: Priority) -> AsyncGenerator[None, None]:
        """Wait for a slot, and hold it during the block; see `SharedLimiter`.

        Args:
            priority: See `SharedLimiter`.

        Raises:
            OSError: If the folder cannot be written, or has no locks.
        """
        file = await self._taken(is_interactive=priority == "interactive")
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            file.close()

    async def _taken(self, *, is_interactive: bool) -> FileIO:
        """Wait for a free slot, and return its locked file."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_interactive:
            (self._folder / "interactive").touch(mode=0o600)
        with self._open("waiting") as waiting:
            # Those who wait share a lock on this file. A newcomer looks for a slot at once only if nobody waits.
            file = self._look(is_interactive=is_interactive) if _lock(waiting) else None
            while file is None:
                _lock(waiting, shared=True)
                wealth = 1 + 4 * self._held + (not is_interactive)
                await asyncio.sleep(LOOK_SECONDS * wealth * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
                file = self._look(is_interactive=is_interactive)
        return file

    def _look(self, *, is_interactive: bool) -> FileIO | None:
        """Return the locked file of a free slot, or None; for bulk work a second slot must be free if one is kept."""
        needed, free = 2 if not is_interactive and self._is_one_kept() else 1, list[FileIO]()
        for number in range(self.limit):
            file = self._open(f"slot-{number}")
            if _lock(file):
                free.append(file)
            else:
                file.close()
            if len(free) == needed:
                break
        taken = free.pop() if len(free) == needed else None
        for file in free:
            file.close()
        return taken

    def _is_one_kept(self) -> bool:
        try:
            since = time.time() - (self._folder / "interactive").stat().st_mtime
        except FileNotFoundError:
            return False
        return self.limit > 1 and 0 <= since < KEPT_SECONDS

    def _open(self, name: str) -> FileIO:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        file = FileIO(os.open(self._folder / name, flags, 0o600), "r+")
        self._files.add(file)
        return file

    def let_go(self) -> None:
        """Close the files that a forked child has inherited, or a lock would outlive the parent's request."""
        for file in self._files:
            file.close()

    def __repr__(self) -> str:
        return f"FileLimiter({str(self._folder)!r}, {self.limit})"


_LIMITERS: Final[weakref.WeakSet[FileLimiter]] = weakref.WeakSet()


def _let_go() -> None:
    for limiter in _LIMITERS:
        limiter.let_go()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


def _lock(file: FileIO, *, shared: bool = False) -> bool:
    """Try to lock a file, and return whether that succeeded; a shared lock can be held together with others."""
    with suppress(BlockingIOError):
        fcntl.flock(file.fileno(), (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        return True
    return False
