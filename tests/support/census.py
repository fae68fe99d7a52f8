"""Checks that a reader leaves no tasks, slots, requests, connections, warnings, or cancelled bystanders."""

from __future__ import annotations

import asyncio
import gc
import logging
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from afas_async import AfasClient, GetConnector
from afas_async.simulator import Simulator

SETTLING_STEPS = 300


def tasks() -> set[asyncio.Task[Any]]:
    """Return the tasks of this loop, but for those of the server's side."""
    return {task for task in asyncio.all_tasks() if not _is_server(task)}


def _is_server(task: asyncio.Task[Any]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    name = code.co_filename if code is not None else ""
    return "/aiohttp/web" in name or "/afas_async/simulator/" in name or name.endswith("/raw_server.py")


async def steps(count: int) -> None:
    """Let the event loop turn that many times, while no time passes."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool], count: int = SETTLING_STEPS) -> None:
    """Let the event loop turn until the condition holds, that many times at most."""
    for _ in range(count):
        if condition():
            return
        await asyncio.sleep(0)


class Complaints(logging.Handler):
    """Log records that nobody should see."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


@asynccontextmanager
async def quiet() -> AsyncIterator[None]:
    """Fail if anything is logged at WARNING or above, or warned, while the block runs or is collected after it."""
    # Debug mode reports slow steps; on a busy machine there are some.
    asyncio.get_running_loop().slow_callback_duration = 60
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            yield
            gc.collect()
            await steps(3)
    finally:
        logging.getLogger().removeHandler(complaints)
    assert complaints.texts == []
    assert [str(warning.message) for warning in warned] == []


def assert_idle(afas: AfasClient) -> None:
    """The client has no request under way, no slot taken and no connection in use."""
    session = afas._session
    assert session.engine.counts.total.in_flight == 0
    assert session.engine._limiter.in_flight == 0
    for sessions in ("_reads", "_writes"):
        assert not getattr(session._transport, sessions).connector._acquired  # not part of the seam


@asynccontextmanager
async def census(
    afas: AfasClient, server: Simulator | None = None, *, seconds: float = 0.0, usable: GetConnector[Any] | None = None
) -> AsyncIterator[None]:
    """Compare the state after the block with the state before it.

    Args:
        afas: The client that the block reads with.
        server: What it reads from.
        seconds: How long requests that nobody cancels may take to end by themselves.
        usable: A connector that must still be readable afterwards.
    """
    before = tasks()
    async with quiet():
        bystander = asyncio.create_task(asyncio.Event().wait())
        before.add(bystander)
        yield
        if seconds:
            await asyncio.sleep(seconds)
        await steps(1)  # until then asyncio holds the error of a wait, which on Python 3.13 is a cycle
        gc.collect()
        await until(lambda: not tasks() - before and (server is None or server.counters.in_flight == 0))
        assert tasks() - before == set()
        assert_idle(afas)
        if server is not None:
            assert server.counters.in_flight == 0
        me = asyncio.current_task()
        assert me is not None
        assert me.cancelling() == 0
        assert not bystander.done()
        bystander.cancel()
        if usable is not None:
            assert len((await afas.page(usable, take=3)).rows) == 3
