"""A thread for work that would block the event loop: parsing, compression, disks and databases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, Self, TypeVar

from afas_async.http.host import to_its_end

P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """A single thread that runs steps one after the other.

    It is always the same thread, because memory that another thread has freed is slower to allocate again.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="afas_async columns")

    def start(self, step: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> asyncio.Future[T]:
        """Start a step, and return its future."""
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool, lambda: step(*arguments, **options))
        future.add_done_callback(_retrieve_error)
        return future

    async def run(self, step: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Run a step, and wait for its end, even if the caller is cancelled."""
        return await to_its_end(self.start(step, *arguments, **options))

    def close(self) -> None:
        """End the thread after its last step."""
        self._pool.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


def _retrieve_error(future: asyncio.Future[T]) -> None:
    """Retrieve the error, so that the event loop does not log it if nobody awaits the future any more."""
    if not future.cancelled():
        future.exception()
