"""A thread for what the event loop must not wait for: parsing, compressing, disks and databases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, Self, TypeVar

from afas_async.http.host import to_its_end

P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """One thread, which carries out steps one after the other.

    It is always the same one, as memory that another thread has set free costs more to take again.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="afas_async columns")

    def start(self, step: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> asyncio.Future[T]:
        """Have a step carried out."""
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool, lambda: step(*arguments, **options))
        future.add_done_callback(_noticed)
        return future

    async def run(self, step: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Carry out a step, and wait until it is done, also when the caller is cancelled."""
        return await to_its_end(self.start(step, *arguments, **options))

    def close(self) -> None:
        """Let the thread end, once its steps are done."""
        self._pool.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


def _noticed(future: asyncio.Future[T]) -> None:
    """Take note of a failure, or the event loop would complain of it if nobody waits for it any more."""
    if not future.cancelled():
        future.exception()
