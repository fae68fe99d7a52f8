"""Runs the journal of a load in a thread: a commit waits for the disk, and the event loop must not.

Steps run one after the other, in the order in which `run` and `post` were called. `run` waits for its step, even if it
is cancelled, so that the caller knows whether the note is on disk. `post` does not wait. A later step checks its own
conditions: a call begins only if its elements are no longer in flight.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from afas_async.errors import JournalError
from afas_async.http.host import to_its_end

if TYPE_CHECKING:
    from afas_async.write.journal import Journal  # imports SQLite, so only when a load has a journal

P = ParamSpec("P")
T = TypeVar("T")


class JournalThread:
    """One journal, while it is open.

    Args:
        failed: Called with the error of a posted step.

    Attributes:
        journal: The journal. Call it through `run` and `post` only.
    """

    def __init__(self, failed: Callable[[JournalError], None]) -> None:
        self.journal: Journal
        self._failed = failed
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="afas_async journal")
        self._posted: set[asyncio.Future[Any]] = set()

    async def open(self, path: str | os.PathLike[str], identity: Mapping[str, str], load_id: str | None) -> None:
        """Open the journal, and begin a run of a load unless `load_id` is None.

        Raises:
            JournalError: If it cannot be opened, or belongs to another load or to a finished one.
        """
        try:
            await self.run(self._open, path, identity, load_id)
        except BaseException:
            await self.close()  # the journal may be open if the caller was cancelled
            raise

    def _open(self, path: str | os.PathLike[str], identity: Mapping[str, str], load_id: str | None) -> None:
        # SQLite is not part of every Python, and takes a few milliseconds to import.
        from afas_async.write.journal import Journal  # noqa: PLC0415

        self.journal = Journal(path, identity, load_id=load_id or "")
        if load_id is not None:
            self.journal.start(load_id)

    async def run(self, step: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Run a step, and wait until it is done. A cancellation is raised after the step.

        Raises:
            JournalError: If the step raises it.
        """
        loop = asyncio.get_running_loop()
        return await to_its_end(loop.run_in_executor(self._thread, lambda: step(*arguments, **options)))

    def post(self, step: Callable[P, object], *arguments: P.args, **options: P.kwargs) -> None:
        """Run a step after the earlier ones, without waiting for it."""
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._thread, lambda: step(*arguments, **options))
        self._posted.add(future)
        future.add_done_callback(self._ended)

    async def close(self) -> None:
        """Wait for all steps, and close the journal."""
        try:
            if hasattr(self, "journal"):  # else it could not be opened
                await self.run(self.journal.close)
        finally:
            self._thread.shutdown(wait=False)

    def _ended(self, future: asyncio.Future[Any]) -> None:
        self._posted.discard(future)
        if not future.cancelled() and isinstance(error := future.exception(), JournalError):
            self._failed(error)
