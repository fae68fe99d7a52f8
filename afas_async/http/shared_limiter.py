"""Limits that several processes share: what such a limiter is, and one over the processes of a machine."""

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
# For so long after an interactive call one slot is kept for the next ones: nobody waits for the end of a long page.
KEPT_SECONDS: Final = 30.0
# Between two looks for a free slot; whoever has slots already looks less often, so that the others get theirs.
LOOK_SECONDS: Final = 0.004


@runtime_checkable
class SharedLimiter(Protocol):
    """A limit over several processes: what `AfasClient(limiter=...)` takes in place of a `Limiter`.

    Within a process a `Limiter` decides whose turn it is; before each request it asks this one for a slot. So you can
    put the semaphore of a cluster behind your clients, such as one in Redis:

        class RedisLimiter:
            limit = 5

            @asynccontextmanager
            async def slot(self, priority):
                token = await take(priority)  # waits; with an expiry, as a process may be killed
                try:
                    yield
                finally:
                    await give_back(token)

    What `slot` raises becomes the cause of a ConfigurationError, and nothing is sent. No time-out counts the wait for a
    slot. Leaving the block may take 5 seconds.

    Attributes:
        limit: How many slots there are.
    """

    limit: int

    def slot(self, priority: Priority) -> AbstractAsyncContextManager[Any]:
        """Return a block within which one request is sent.

        Args:
            priority: "interactive" for calls for which somebody waits, "background" for bulk reads and loads.
        """
        ...


class FileLimiter:
    """A limit over all processes of one machine, such as the workers of one service: `limiter=FileLimiter(path, 5)`.

    Each request holds a lock on one of so many files (`flock`). The system frees it when the process ends, also after
    `kill -9`. Processes that wait look for a free slot every few milliseconds. Those that have fewer slots look more
    often, so that each gets its share. For 30 seconds after an interactive call, one slot is kept for the next ones.

    Args:
        path: A folder on a local disk, the same for all processes that call one environment. It is made if it is
            missing, for this user only.
        limit: Requests in flight at a time, all processes together, 1 to 8. AFAS advises 5 at most (GET connector).
            Give each process the same.

    Raises:
        UsageError: If an argument is of a wrong type.
        ConfigurationError: If the limit is not 1 to 8, or this system has no such locks, as Windows.

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
        """Hold a slot within the block, and wait for one before; see `SharedLimiter`.

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
        """Return the locked file of a slot, once there is one."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_interactive:
            (self._folder / "interactive").touch(mode=0o600)
        with self._open("waiting") as waiting:
            # Who comes now must not take the slot that gets free before those who wait, and hold this shared.
            file = self._look(is_interactive=is_interactive) if _lock(waiting) else None
            while file is None:
                _lock(waiting, shared=True)
                wealth = 1 + 4 * self._held + (not is_interactive)
                await asyncio.sleep(LOOK_SECONDS * wealth * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
                file = self._look(is_interactive=is_interactive)
        return file

    def _look(self, *, is_interactive: bool) -> FileIO | None:
        """Return the locked file of a slot that is free, if there is one, beside one that is kept."""
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
        """Close what a forked child has inherited: a lock would else outlive the request of the parent."""
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
    """Lock a file if nobody else has it locked; with `shared`, beside others that share it."""
    with suppress(BlockingIOError):
        fcntl.flock(file.fileno(), (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        return True
    return False
