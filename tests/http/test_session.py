"""The life of a session: opened once and closed once, in one loop of one process, by any task."""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import anyio
import pytest

from afas_async import AfasClient, ClientClosedError, UsageError
from afas_async.http.limiter import Limiter
from afas_async.http.session import Session
from tests.support.fake_transport import FakeCall, FakeTransport, after, options
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.read_table import CONNECTOR, ROWS, Table, client, end
from tests.support.thoroughness import by_default

STEPS = 4


def session(transport: FakeTransport, limit: int = 2) -> Session:
    return Session(transport, limiter=Limiter(limit))


def ours() -> set[str]:
    """Return the names of the library's tasks."""
    return {name for task in asyncio.all_tasks() if (name := task.get_name()).startswith("afas_async")}


@pytest.fixture(autouse=True)
async def _no_task_is_left() -> AsyncIterator[None]:
    yield
    assert ours() == set()


@pytest.mark.parametrize("step", range(12))
async def test_open_cancelled_at_every_step(step: int) -> None:
    """A cancelled opening leaves no task, and nothing open that is not closed."""
    transport = FakeTransport(opening=STEPS)
    opened = session(transport)
    task = asyncio.create_task(opened.open())
    for _ in range(step):
        await asyncio.sleep(0)
    task.cancel()
    result = (await asyncio.gather(task, return_exceptions=True))[0]
    if result is None:  # it was open before
        opened.check()
        await opened.aclose()
    else:
        assert isinstance(result, asyncio.CancelledError)
        with pytest.raises(ClientClosedError):
            opened.check()
        await opened.aclose()
    assert transport.entered == transport.left <= 1
    assert ours() == set()


async def test_open_within_a_time_out() -> None:
    """A time-out around a slow opening ends it at once, and leaves nothing."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        with pytest.raises(TimeoutError), anyio.fail_after(1):
            await session(FakeTransport(seconds=60)).open()
        assert loop.time() - started < 2
        assert ours() == set()
    finally:
        await asyncio.sleep(100)  # until the opening has ended by itself


async def test_open_fails() -> None:
    """If opening fails, its error is raised unchanged, and the session is closed."""
    transport = FakeTransport(opening=STEPS, failure=OSError("no resources"))
    opened = session(transport)
    with pytest.raises(OSError, match="no resources"):
        await opened.open()
    with pytest.raises(ClientClosedError):
        opened.check()
    await opened.aclose()
    assert (transport.entered, transport.left) == (0, 0)


async def test_opened_once() -> None:
    """A session is opened once: not twice, and not after it was closed."""
    opened = session(FakeTransport())
    await opened.open()
    with pytest.raises(UsageError):
        await opened.open()
    await opened.aclose()
    with pytest.raises(UsageError):
        await opened.open()


async def test_close_is_repeatable() -> None:
    """You can close again, at the same time too, and before opening."""
    transport = FakeTransport(opening=STEPS)
    opened = session(transport)
    await opened.open()
    await asyncio.gather(opened.aclose(), opened.aclose(), opened.aclose())
    await opened.aclose()
    assert (transport.entered, transport.left) == (1, 1)
    await session(FakeTransport()).aclose()


async def test_closed_from_another_task() -> None:
    """A session may be opened in one task, used in a second and closed in a third."""
    transport = FakeTransport(opening=STEPS)
    opened = session(transport)
    await asyncio.create_task(opened.open())
    assert await asyncio.create_task(opened.engine.send(FakeCall(), options())) is None
    async with asyncio.timeout(5):
        await asyncio.create_task(opened.aclose())
    assert transport.left == 1


@pytest.mark.parametrize("step", range(12))
async def test_close_cancelled_at_every_step(step: int) -> None:
    """A cancelled closing still closes; the cancellation is delivered after that."""
    transport = FakeTransport(after(100), opening=STEPS)
    opened = session(transport)
    await opened.open()
    job = opened.start(opened.engine.send(FakeCall(), options()))
    await asyncio.sleep(1)
    task = asyncio.create_task(opened.aclose())
    for _ in range(step):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await opened.aclose()
    assert (job.cancelled(), transport.left, transport.now) == (True, 1, 0)


async def test_close_while_jobs_run() -> None:
    """Closing ends running jobs at once, and closes the transport after the last of them."""
    transport = FakeTransport(after(100))
    opened = session(transport, 3)
    await opened.open()
    jobs = [opened.start(opened.engine.send(FakeCall(), options())) for _ in range(5)]
    await asyncio.sleep(1)
    loop = asyncio.get_running_loop()
    started = loop.time()
    await opened.aclose()
    assert loop.time() - started < 1
    assert all(job.cancelled() for job in jobs)
    assert (transport.now, transport.left, opened.engine.counts.total.in_flight) == (0, 1, 0)


async def test_close_is_bounded() -> None:
    """A job that resists cancellation delays closing for a few seconds, not for ever."""

    async def stubborn() -> None:
        for _ in range(100):
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                continue

    opened = session(FakeTransport())
    await opened.open()
    job = opened.start(stubborn())
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    started = loop.time()
    await opened.aclose()
    assert 4 < loop.time() - started < 11
    await job


async def test_job_started_while_closing() -> None:
    """A job that starts while the session closes is refused, and does not run."""
    ran = False

    async def work() -> None:
        nonlocal ran
        ran = True

    opened = session(FakeTransport(opening=STEPS))
    await opened.open()
    closing = asyncio.create_task(opened.aclose())
    for _ in range(3 * STEPS):
        await asyncio.sleep(0)
        with pytest.raises(ClientClosedError):
            opened.start(work())
    await closing
    with pytest.raises(ClientClosedError):
        opened.start(work())
    assert not ran


CALLS: dict[str, Callable[[AfasClient], Coroutine[Any, Any, Any]]] = {
    "page": lambda afas: afas.page(CONNECTOR),
    "rows": lambda afas: afas.rows(CONNECTOR).to_list(),
    "anext": lambda afas: anext(afas.rows(CONNECTOR)),
    "first": lambda afas: afas.rows(CONNECTOR).first(),
    "pages": lambda afas: anext(afas.pages(CONNECTOR)),
    "view": lambda afas: afas.with_options(timeout=100).page(CONNECTOR),
}


@pytest.mark.parametrize("call", CALLS)
async def test_used_out_of_turn(call: str) -> None:
    """Use before the opening or after the closing is a ClientClosedError that says which."""
    async with Table() as server:
        afas = client(server)
        with pytest.raises(ClientClosedError, match="not open"):
            await CALLS[call](afas)
        async with afas:
            await CALLS[call](afas)
        count = len(server.requests)
        with pytest.raises(ClientClosedError, match="is closed"):
            await CALLS[call](afas)
        assert len(server.requests) == count


@pytest.mark.parametrize("call", CALLS)
async def test_closed_under_way(call: str) -> None:
    """Calls in flight when the client closes raise ClientClosedError at once."""

    async def silent(connection: Connection, _: Received) -> None:
        await end(connection, "hold")

    async with RawServer(silent) as server:
        afas = client(server)
        await afas.open()
        task = asyncio.create_task(CALLS[call](afas))
        await asyncio.sleep(1)
        await afas.aclose()
        with pytest.raises(ClientClosedError):
            await task


async def test_closed_between_rows() -> None:
    """A stream whose client closes between two rows raises when it needs its next page."""
    async with Table() as server, client(server) as afas:
        stream = afas.rows(CONNECTOR, take=10)
        assert await anext(stream) == ROWS[0]
        await afas.aclose()
        with pytest.raises(ClientClosedError):
            await stream.to_list()


@pytest.mark.parametrize("call", CALLS)
async def test_another_loop(call: str) -> None:
    """Use from another event loop is a clear UsageError, and so is closing from there."""
    async with Table() as server, client(server) as afas:

        async def elsewhere() -> None:
            with pytest.raises(UsageError, match="event loop"):
                await CALLS[call](afas)
            with pytest.raises(UsageError, match="event loop"):
                await afas.aclose()

        await asyncio.to_thread(asyncio.run, elsewhere())
        assert (await afas.page(CONNECTOR, take=1)).rows == ROWS[:1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
@pytest.mark.parametrize("call", [*CALLS, "aclose"])
async def test_forked(call: str) -> None:
    """Use in a forked process is a UsageError, before anything touches the parent's connections."""
    async with Table() as server, client(server) as afas:
        await afas.page(CONNECTOR)
        work = CALLS[call](afas) if call in CALLS else afas.aclose()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            code = 1
            try:
                asyncio.new_event_loop().run_until_complete(work)
            except UsageError as error:
                code = 0 if "forked" in str(error) else 2
            finally:
                os._exit(code)
        work.close()
        _, status = os.waitpid(child, 0)  # noqa: ASYNC222 - the child ends by itself, at once
        assert os.waitstatus_to_exitcode(status) == 0
        assert (await afas.page(CONNECTOR, take=1)).rows == ROWS[:1]


async def test_calls_cancelled_at_every_step() -> None:
    """A call that is cancelled, wherever it stands, leaves no task, no slot and no connection in use."""
    async with Table() as server, client(server) as afas:
        for step in range(0, 60, by_default(4, 1)):
            task = asyncio.create_task(afas.rows(CONNECTOR, take=5, window=3).to_list())
            for _ in range(step):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert "afas_async job" not in ours(), step
            assert afas.statistics().in_flight == 0
        assert await afas.rows(CONNECTOR, take=5).to_list() == ROWS


@pytest.mark.parametrize("steps", range(8))
async def test_closed_while_it_opens(steps: int) -> None:
    """Closing a client that is still opening ends both: the opening does not hang, and does not report success."""
    async with Table() as server:
        afas = client(server)
        opening = asyncio.create_task(afas.open())
        for _ in range(steps):
            await asyncio.sleep(0)
        await afas.aclose()
        opened = (await asyncio.gather(opening, return_exceptions=True))[0]
        assert opened is None or isinstance(opened, UsageError)
        with pytest.raises(ClientClosedError):
            await afas.page(CONNECTOR)
