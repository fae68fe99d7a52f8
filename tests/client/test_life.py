"""A client opens once and closes once, from any task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import anyio
import pytest

from afas_async import AfasClient, ApiError, ClientClosedError, Event, GetConnector, RequestTimeoutError, UsageError
from afas_async.simulator import Latency, Simulator
from tests.support import canary
from tests.support.census import census, quiet, tasks
from tests.support.heard import attempts
from tests.support.paged_server import PagedServer, numbered, paged

ARTICLES = GetConnector("Profit_Article", key="ItemCode")


def make(simulator: Simulator, **options: object) -> AfasClient:
    return AfasClient(base_url=simulator.base_url, auth=simulator.token, **options)  # type: ignore[arg-type]


@pytest.fixture
async def opened(simulator: Simulator) -> AsyncIterator[AfasClient]:
    afas = make(simulator)
    await afas.open()
    yield afas
    await afas.aclose()


async def test_in_a_fixture(opened: AfasClient, simulator: Simulator) -> None:
    """A client that a fixture opens and closes works in the test."""
    async with census(opened, simulator, usable=ARTICLES):
        assert len(await opened.rows(ARTICLES).to_list()) == 3_000


async def test_in_an_exit_stack(simulator: Simulator) -> None:
    """An exit stack closes a client, also when its block fails."""
    async with quiet():
        before = tasks()
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the block is what fails
            async with AsyncExitStack() as stack:
                clients = [await stack.enter_async_context(make(simulator)) for _ in range(3)]
                rows = [client.rows(ARTICLES) for client in clients]
                for stream in rows:
                    await anext(stream)
                raise ZeroDivisionError
        assert tasks() == before


async def test_opened_and_closed_by_different_tasks(simulator: Simulator) -> None:
    """The task that opens need not be the one that closes, nor live as long."""
    async with quiet():
        before = tasks()
        afas = make(simulator)
        await asyncio.create_task(afas.open())
        assert len(await asyncio.create_task(afas.rows(ARTICLES).to_list())) == 3_000
        async with asyncio.TaskGroup() as group:
            group.create_task(afas.aclose())
        assert tasks() == before


async def test_opened_inside_a_scope_that_is_cancelled(simulator: Simulator) -> None:
    """A cancelled scope around the opening task does not affect the client."""
    afas = make(simulator)
    with anyio.move_on_after(5) as scope:
        await afas.open()
        scope.cancel()
        await asyncio.sleep(1)
    assert len((await afas.page(ARTICLES)).rows) == 100
    with anyio.CancelScope() as scope:
        scope.cancel()
        await afas.aclose()
    with pytest.raises(ClientClosedError):
        await afas.page(ARTICLES)


async def test_opened_twice(simulator: Simulator) -> None:
    """A client is opened once; the second attempt changes nothing."""
    async with make(simulator) as afas:
        with pytest.raises(UsageError, match="opened before: create a new client"):
            await afas.open()
        assert len((await afas.page(ARTICLES)).rows) == 100
    with pytest.raises(UsageError, match="opened before: create a new client"):
        await afas.open()


async def test_opened_by_two_tasks_at_once(simulator: Simulator) -> None:
    """Of two tasks that open at the same moment one is refused, and the client works."""
    afas = make(simulator)
    results = await asyncio.gather(afas.open(), afas.open(), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), UsageError]
    assert len((await afas.page(ARTICLES)).rows) == 100
    await afas.aclose()


async def test_closed_twice(simulator: Simulator) -> None:
    """Closing again is harmless, one after the other or at once."""
    async with quiet():
        async with make(simulator) as afas:
            await asyncio.gather(afas.aclose(), afas.aclose())
            await afas.aclose()
        await afas.aclose()


async def test_before_it_is_opened(simulator: Simulator) -> None:
    """For every call, a client that is not open says so, and what to do."""
    afas = make(simulator)
    for call in (
        afas.rows(ARTICLES).to_list(),
        afas.rows(ARTICLES).first(),
        afas.rows("Profit_Article").to_list(),
        anext(afas.rows(ARTICLES)),
        anext(afas.pages(ARTICLES)),
        afas.page(ARTICLES),
        afas.with_options(timeout=1).page(ARTICLES),
    ):
        with pytest.raises(ClientClosedError, match="not open"):
            await call
    assert not simulator.requests
    assert afas.statistics().requests == 0
    await afas.aclose()


async def test_a_client_closed_before_it_was_opened(simulator: Simulator) -> None:
    """You can close a client that was never opened, but not open it afterwards."""
    afas = make(simulator)
    await afas.aclose()
    with pytest.raises(UsageError):
        await afas.open()


async def test_after_it_is_closed(simulator: Simulator) -> None:
    """A closed client says so, for streams made before and after."""
    async with make(simulator) as afas:
        made, started = afas.rows(ARTICLES), afas.rows(ARTICLES)
        await anext(started)
        view = afas.with_options(timeout=9)
    requests = len(simulator.requests)
    for call in (
        made.to_list(),
        made.first(),
        afas.rows(ARTICLES).to_list(),
        afas.pages(ARTICLES).__anext__(),
        afas.page(ARTICLES),
        view.page(ARTICLES),
    ):
        with pytest.raises(ClientClosedError, match="closed"):
            await call
    with pytest.raises(ClientClosedError):
        async for _ in started:
            pass
    assert len(simulator.requests) == requests
    assert not canary.leaks(repr(afas))


async def test_views_share_connections_and_limit() -> None:
    """A view has other options, and the same connections, slots and statistics."""
    events: list[Event] = []
    async with (
        Simulator(rows=500, latency=Latency(base=0.05)) as simulator,
        make(simulator, max_concurrency=2) as afas,
    ):
        view = afas.with_options(on_event=events.append, language="en-us")
        async with census(afas, simulator):
            await asyncio.gather(*(client.page(ARTICLES) for client in (afas, view) * 5))
        assert simulator.counters.peak_in_flight == 2
        assert len({request.peer for request in simulator.requests}) == 2
        assert len(attempts(events)) == 5
        assert sorted({request.headers["Accept-Language"] for request in simulator.requests}) == ["en-us", "nl-nl"]
        assert view.statistics() == afas.statistics()
        with pytest.raises(RequestTimeoutError, match=r"0\.01 s"):
            await view.with_options(timeout=0.01).page(ARTICLES)
        assert len((await view.page(ARTICLES)).rows) == 100


async def test_a_view_keeps_what_it_does_not_change() -> None:
    """A view inherits the options that it does not set from its client."""
    async with Simulator(rows=5, latency=Latency(base=1)) as simulator:
        async with make(simulator, timeout=0.5, max_retries=0, language="nl-be") as afas:
            with pytest.raises(TimeoutError):
                await afas.with_options(max_retries=2).page(ARTICLES)
            assert len((await afas.with_options(timeout=5).page(ARTICLES)).rows) == 5
        assert {request.headers["Accept-Language"] for request in simulator.requests} == {"nl-be"}


async def test_statistics() -> None:
    """Statistics add up all streams and calls of the client."""
    async with Simulator(rows=1_000, latency=Latency(base=0.1)) as simulator, make(simulator) as afas:
        assert len(await afas.rows(ARTICLES, take=100).to_list()) == 1_000
        assert len((await afas.page(ARTICLES, take=7)).rows) == 7
        with pytest.raises(ApiError):
            await afas.page("Profit_Nothing")
        found, server = afas.statistics(), simulator.counters
        assert found.requests == server.requests
        assert found.retries == 0
        assert found.in_flight == 0
        assert found.peak_in_flight == server.peak_in_flight == 5
        assert found.seconds_waited == 0
        assert found.bytes <= server.bytes


async def test_statistics_count_rows() -> None:
    """Rows are counted however they were asked for."""
    async with Simulator(rows=1_000) as simulator, make(simulator) as afas:
        await afas.rows(ARTICLES).to_list()
        assert afas.statistics().rows == 1_000
        async for _ in afas.pages(ARTICLES):
            pass
        assert afas.statistics().rows == 2_000


async def test_statistics_count_the_rows_of_single_pages(afas: AfasClient) -> None:
    """Rows of a single request count too."""
    await afas.page(ARTICLES, take=20)
    assert afas.statistics().rows == 20


async def test_statistics_of_waiting_and_retries() -> None:
    """The wait for a slot and every repeated request are counted; the returned object is a copy."""
    server = PagedServer(numbered(100), delay=1, broken={0: (503, b"")})
    async with paged(server, max_concurrency=1) as afas:
        before = afas.statistics()
        await asyncio.gather(*(afas.page("Profit_Small", skip=10 * number, take=10) for number in range(4)))
        found = afas.statistics()
    assert before.requests == 0
    assert (found.requests, found.retries, found.peak_in_flight) == (5, 1, 1)
    assert 6 < found.seconds_waited < 12
