"""The task that owns all other tasks of a client.

You can open and close a client from any task: in fixtures, exit stacks or start-up handlers. But a cancel scope or a
connection pool must be left by the task that entered it. So the client has a task of its own, the host. It opens the
resources, owns every job, and closes the resources when the last job has ended. It does so also when the event loop is
shut down without notice.

Jobs return their errors as values. Their exceptions never reach another task, and no exception group is raised.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import anyio

from afas_async.errors import ClientClosedError

CLOSE_SECONDS = 5.0

Job = asyncio.Task[Any]
T = TypeVar("T")


class Host:
    """Runs jobs between `open` and `close`.

    Args:
        resources: Entered before the first job starts and left when the last one has ended, in the task of the host.
    """

    def __init__(self, resources: AbstractAsyncContextManager[Any]) -> None:
        self._resources = resources
        self._jobs: set[Job] = set()
        self._opened = asyncio.Event()
        self._stopping = asyncio.Event()
        self._failure: Exception | None = None
        self._task = asyncio.create_task(self._live(), name="afas_async host")

    async def wait_open(self) -> None:
        """Wait until the resources are open. If that fails or is cancelled, the host ends first."""
        try:
            await self._opened.wait()
        except BaseException:
            await self.close()
            raise
        if self._failure is not None:
            raise self._failure

    async def _live(self) -> None:
        try:
            async with self._resources:
                self._opened.set()
                try:
                    await self._stopping.wait()
                finally:
                    self._stopping.set()
                    for job in self._jobs:
                        job.cancel()
                    await wait_ended(*self._jobs)
        except Exception as error:  # noqa: BLE001 - `wait_open` raises it in the task that opens the client
            self._failure = error
        finally:
            self._opened.set()

    def start(self, work: Coroutine[Any, Any, Any]) -> Job:
        """Start a job, which returns its failure as a value.

        Raises:
            ClientClosedError: If the host is stopping; the job does not run.
        """
        if self._stopping.is_set():
            work.close()
            raise ClientClosedError("the client is closed")
        job = asyncio.create_task(work, name="afas_async job")
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        return job

    async def close(self) -> None:
        """Cancel all jobs, close the resources, and wait for the end, even if the caller is cancelled."""
        self._stopping.set()
        if not self._opened.is_set():
            self._task.cancel()
        await wait_ended(self._task)
        self._opened.set()  # the task may have been cancelled before its first step


async def stop(*jobs: Job) -> None:
    """Cancel jobs and wait until they have ended, even if the caller is cancelled."""
    for job in jobs:
        job.cancel()
    await wait_ended(*jobs)


async def wait_ended(*tasks: asyncio.Task[Any]) -> None:
    """Wait until tasks have ended, for at most 5 seconds. A cancellation of the caller is delivered after that."""
    cancelled: asyncio.CancelledError | None = None
    pending: set[asyncio.Task[Any]] = {task for task in tasks if not task.done()}
    with anyio.CancelScope(shield=True):  # protects from cancel scopes, but not from task.cancel()
        while pending:
            try:
                await asyncio.wait(pending, timeout=CLOSE_SECONDS)
                break
            except asyncio.CancelledError as error:
                cancelled = error
                pending = {task for task in tasks if not task.done()}
    if cancelled is not None:
        raise cancelled


async def to_its_end(future: asyncio.Future[T]) -> T:
    """Wait for a future even if the caller is cancelled. The cancellation is delivered after that."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not future.cancelled():
            future.exception()  # marks it as retrieved, because the caller gets the cancellation instead
        raise cancelled
    return future.result()


def is_cancellation(error: BaseException | None) -> bool:
    """Whether an exception is the cancellation of this task, and not of a task that this one waits for."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
