"""A write is cancelled, or its client closed, after the k-th step of the event loop, for every k until it ends."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import anyio
import pytest

from afas_async import AfasClient, AfasError, ClientClosedError, OutcomeUnknownError, WriteResult
from tests.support.census import assert_idle, steps, tasks, until
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.read_table import Fault, client, framed
from tests.support.thoroughness import by_default
from tests.support.write_table import (
    KEYS,
    OK,
    RESULT,
    WRITES,
    Desk,
    after,
    check_unknown,
    every_method,
    profit,
    replies,
    says,
)

MOST_STEPS = 1_000
WAITING_STEPS = by_default(20, 60)  # a write that has waited so many steps for its response keeps waiting
LOCKED = replies(500, profit("Vergrendeld door een andere gebruiker"))

# What the server does, and whether a write that it has seen may be known to have had no effect.
FAULTS: dict[str, tuple[Fault, bool]] = {
    "answered": (OK, False),
    "half an answer": (says(framed(RESULT)[:-5], "hold"), False),
    "no answer": (says(b"", "hold"), False),
    "broken off": (says(b"", "rst"), False),
    "locked": (LOCKED, True),
    "refused": (replies(401), True),
}
Seen = Counter[tuple[int, bool]]
Stop = Callable[["asyncio.Task[WriteResult]"], Awaitable[None]]


async def once(task: asyncio.Task[WriteResult]) -> None:
    task.cancel()


async def twice(task: asyncio.Task[WriteResult]) -> None:
    task.cancel()
    await steps(1)
    task.cancel()


every_fault = pytest.mark.parametrize("fault", FAULTS)
every_stop = pytest.mark.parametrize("stop", [once, twice])


@pytest.fixture
def warnings_logged(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], bool]]:
    """Return whether a cancelled write was logged since the last call; no other warning may be logged."""

    def logged() -> bool:
        # On a busy machine, debug mode reports slow steps.
        found = [record for record in caplog.records if record.levelno >= logging.WARNING and record.name != "asyncio"]
        caplog.clear()
        assert len(found) <= 1
        for record in found:
            assert record.name == "afas_async"
            assert record.getMessage().startswith("KnSubject: the write was cancelled after it was sent: ")
        return bool(found)

    yield logged
    assert not logged()


async def write(afas: AfasClient, method: str) -> WriteResult:
    return await WRITES[method](afas)


async def settle(server: RawServer, before: set[asyncio.Task[object]]) -> None:
    """Let pending requests arrive, end the server's side, and assert that the client's side has ended by itself."""
    await steps(40)
    assert tasks() <= before
    for task in list(server._open):
        task.cancel()
    await until(lambda: not server._open)


def moments(seen: Seen) -> Iterator[int]:
    """Yield the steps until the write has waited long enough."""
    every = by_default(2, 1)
    for step in range(0, MOST_STEPS, every):
        if every * max(seen[1, True], seen[1, False]) >= WAITING_STEPS:
            break
        yield step


def assert_each_was_met(seen: Seen) -> None:
    assert seen[0, False], "never before anything was sent"
    assert seen[1, True], "never after it was sent"


@pytest.mark.sampled(4)
@every_method
@every_stop
@every_fault
async def test_cancelled(warnings_logged: Callable[[], bool], method: str, stop: Stop, fault: str) -> None:
    """Nothing is left. The write was sent once at most, and if it may have had an effect, that is logged."""
    what, harmless = FAULTS[fault]
    seen: Seen = Counter()
    async with Desk(what) as server, client(server) as afas:
        await steps(10)
        before = tasks()
        for step in moments(seen):
            server.requests.clear()
            connections = server.connections
            task = asyncio.create_task(write(afas, method))
            await steps(step)
            if task.done():
                task.exception()
                break
            await stop(task)
            with pytest.raises(asyncio.CancelledError):
                await task
            await settle(server, before)
            assert_idle(afas)
            logged, requests = warnings_logged(), len(server.requests)
            assert requests <= 1, step
            assert logged or not requests or harmless, step
            assert not logged or server.connections > connections, step
            seen[requests, logged] += 1
    assert_each_was_met(seen)


@pytest.mark.sampled(4)
@every_method
@every_fault
async def test_closed(warnings_logged: Callable[[], bool], method: str, fault: str) -> None:
    """Closing ends writes as not sent, unknown, or ended before. The caller sees it, so it is not logged."""
    what, harmless = FAULTS[fault]
    seen: Seen = Counter()
    before = tasks()
    async with Desk(what) as server:
        for step in moments(seen):
            server.requests.clear()
            connections = server.connections
            afas = client(server)
            await afas.open()
            task = asyncio.create_task(write(afas, method))
            await steps(step)
            done = task.done()
            await afas.aclose()
            outcome = await _outcome(task)
            await settle(server, before)
            requests = len(server.requests)
            assert requests <= 1, step
            assert outcome != "not sent" or not requests or harmless, step
            assert outcome != "unknown" or server.connections > connections, step
            assert not warnings_logged()
            if done:
                break
            seen[requests, outcome != "not sent"] += 1
    assert_each_was_met(seen)


async def _outcome(task: asyncio.Task[WriteResult]) -> str:
    try:
        result = await task
    except OutcomeUnknownError as error:
        check_unknown(error)
        return "unknown"
    except ClientClosedError:
        return "not sent"
    except AfasError:
        return "refused"
    assert result.keys == KEYS or result.result_lost
    return "applied"


@pytest.mark.sampled(6)
@every_method
@pytest.mark.parametrize("seconds", [0.25 + 0.5 * number for number in range(30)])
async def test_cancelled_between_attempts(warnings_logged: Callable[[], bool], method: str, seconds: float) -> None:
    """A write that waits to be sent again has had no effect; one that is sent again may have."""
    now = asyncio.get_running_loop().time
    turns = [now()]

    async def lock_three_times(connection: Connection, received: Received) -> None:
        turns.append(now())
        await asyncio.sleep(1)
        turns.append(now())
        await (LOCKED if len(server.requests) <= 3 else OK)(connection, received)

    async with RawServer(lock_three_times) as server, client(server) as afas:
        before = tasks()
        with anyio.move_on_after(seconds) as scope:
            assert (await write(afas, method)).keys == KEYS
        if scope.cancelled_caught and now() - turns[-1] > 0.2:  # else something was on its way
            assert warnings_logged() == (server.in_flight == 1)
        warnings_logged()
        requests = len(server.requests)
        await asyncio.sleep(100)
        assert len(server.requests) == requests
        await settle(server, before)
        assert_idle(afas)


@every_stop
async def test_cancelled_while_it_waits_for_a_slot(warnings_logged: Callable[[], bool], stop: Stop) -> None:
    """A write that waits for a slot is not sent. Its cancellation is not logged, and delays nobody."""
    async with Desk(after(10, OK)) as server, client(server, max_concurrency=1) as afas:
        first = asyncio.create_task(write(afas, "POST"))
        await asyncio.sleep(1)
        second, third = (asyncio.create_task(write(afas, method)) for method in ("PUT", "DELETE"))
        await asyncio.sleep(1)
        await stop(second)
        with pytest.raises(asyncio.CancelledError):
            await second
        assert not warnings_logged()
        assert (await first).keys == (await third).keys == KEYS
        assert [received.method for received in server.requests] == ["POST", "DELETE"]


async def test_time_outs_of_the_caller(warnings_logged: Callable[[], bool]) -> None:
    """A time-out by the caller is a cancellation: logged, and not sent again."""
    async with Desk(after(100, OK)) as server, client(server) as afas:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(write(afas, "POST"), 5)
        assert warnings_logged()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await write(afas, "PUT")
        assert warnings_logged()
        await asyncio.sleep(200)
        assert len(server.requests) == 2


async def test_others_go_on(warnings_logged: Callable[[], bool]) -> None:
    """A write that is cancelled does not disturb those beside it."""
    async with Desk(after(1, OK)) as server, client(server) as afas:
        writes = [asyncio.create_task(write(afas, "POST")) for _ in range(5)]
        await asyncio.sleep(0.5)
        writes[2].cancel()
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert [isinstance(result, WriteResult) for result in results] == [True, True, False, True, True]
        assert warnings_logged()
        assert len(server.requests) == 5
