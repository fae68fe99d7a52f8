"""A scenario is cancelled after its k-th loop step, for every k until it ends uncancelled."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import pytest

from afas_async import AfasClient, SortKeyRequiredError
from afas_async.simulator import Simulator
from tests.support.census import assert_idle, quiet, steps, tasks, until
from tests.support.sample_connectors import TYPED_ARTICLES
from tests.support.thoroughness import by_default

MOST_STEPS = 2_000


@dataclass
class Scene:
    """A server and, for the parts that need one, an open client of it."""

    server: Simulator
    afas: AfasClient
    clients: list[AfasClient]

    def client(self) -> AfasClient:
        client = AfasClient(base_url=self.server.base_url, auth=self.server.token)
        self.clients.append(client)
        return client


async def _whole_life(scene: Scene) -> None:
    afas = scene.client()
    await afas.open()
    try:
        pages = 0
        async with afas.pages(TYPED_ARTICLES, take=100) as stream:
            async for _ in stream:
                pages += 1
                if pages == 5:
                    break
    finally:
        await afas.aclose()


async def _open(scene: Scene) -> None:
    await scene.client().open()


async def _open_and_close(scene: Scene) -> None:
    async with scene.client():
        pass


async def _page(scene: Scene) -> None:
    assert len((await scene.afas.page(TYPED_ARTICLES)).rows) == 100


async def _first(scene: Scene) -> None:
    assert await scene.afas.rows(TYPED_ARTICLES).first() is not None


async def _to_list(scene: Scene) -> None:
    assert len(await scene.afas.rows(TYPED_ARTICLES, take=300).to_list()) == 1_000


async def _bare_loop(scene: Scene) -> None:
    count = 0
    async for _ in scene.afas.rows(TYPED_ARTICLES, take=200):
        count += 1
        if count == 700:
            break


async def _waiting_for_a_slot(scene: Scene) -> None:
    afas = scene.client()
    async with afas:
        await asyncio.gather(*(afas.page(TYPED_ARTICLES, take=10) for _ in range(8)))


async def _stream_closed_during_a_read(scene: Scene) -> None:
    rows = scene.afas.rows(TYPED_ARTICLES, take=100)
    for _ in range(150):
        await anext(rows)
    await rows.aclose()


async def _client_closed_during_a_read(scene: Scene) -> None:
    afas = scene.client()
    await afas.open()
    await anext(afas.rows(TYPED_ARTICLES, take=100))
    await afas.aclose()


async def _users_generator(scene: Scene) -> None:
    async def wrapped() -> AsyncIterator[str]:
        async with scene.afas.rows(TYPED_ARTICLES, take=300) as rows:
            async for row in rows:
                yield row.code  # noqa: ASYNC119 - users do this

    async for _ in wrapped():
        pass


async def _refused(scene: Scene) -> None:
    with pytest.raises(SortKeyRequiredError):
        await scene.afas.rows("Profit_Article").to_list()


SCENARIOS = [
    _whole_life,
    _open,
    _open_and_close,
    _page,
    _first,
    _to_list,
    _bare_loop,
    _waiting_for_a_slot,
    _stream_closed_during_a_read,
    _client_closed_during_a_read,
    _users_generator,
    _refused,
]

Scenario = Callable[[Scene], Awaitable[None]]


@asynccontextmanager
async def _scene() -> AsyncIterator[Scene]:
    async with Simulator(rows=1_000) as server:
        server.store.count("Profit_Article")
        async with AfasClient(base_url=server.base_url, auth=server.token) as afas:
            await afas.page(TYPED_ARTICLES, take=1)
            yield Scene(server, afas, [])


async def _by_task(scene: Scene, scenario: Scenario, step: int) -> bool:
    """Cancel the task of the scenario after so many steps, and return whether it was still running."""

    async def play() -> None:
        await scenario(scene)

    task = asyncio.create_task(play())
    await steps(step)
    cancelled = task.cancel()
    if not cancelled:
        await task
        return False
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled(), "the cancellation was swallowed or replaced"
    return True


async def _by_scope(scene: Scene, scenario: Scenario, step: int) -> bool:
    """Cancel a scope around the scenario after so many steps, and return whether it was still running."""
    over = False
    scope = anyio.CancelScope()

    async def cancel() -> None:
        await steps(step)
        if not over:
            scope.cancel()

    canceller = asyncio.create_task(cancel())
    ended = False
    with scope:
        await scenario(scene)
        ended = True
    over = True
    await canceller
    assert ended != scope.cancelled_caught, "the cancellation was swallowed or replaced"
    me = asyncio.current_task()
    assert me is not None
    assert me.cancelling() == 0
    return not ended


async def _check(scene: Scene, before: set[asyncio.Task[object]]) -> None:
    """Nothing is left, everything the scenario opened is closed or can be, and the other client works."""
    for client in scene.clients:
        session = client._session
        # Either open() returned and the client is usable, or it did not and the client is closed.
        if session._closed:
            assert session._host is None or session._host._task.done()
        elif session._host is not None:
            assert len((await client.page(TYPED_ARTICLES, take=1)).rows) == 1
        await client.aclose()
        assert client.statistics().in_flight == 0
        assert session.engine._limiter.in_flight == 0
    scene.clients.clear()
    await until(lambda: tasks() == before and scene.afas.statistics().in_flight == 0)
    assert tasks() == before
    assert_idle(scene.afas)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("way", [_by_task, _by_scope], ids=["task", "scope"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.__name__.strip("_") for scenario in SCENARIOS])
async def test_sweep(scenario: Scenario, way: Callable[[Scene, Scenario, int], Awaitable[bool]]) -> None:
    """A cancellation at any step comes out unchanged, and leaves no task, slot, connection or warning."""
    async with _scene() as scene:
        before = tasks()
        async with quiet():
            for step in range(0, MOST_STEPS, by_default(7, 1)):
                running = await way(scene, scenario, step)
                await _check(scene, before)
                if not running:
                    break
            else:
                pytest.fail("the scenario never ended")
            gc.collect()
        assert len((await scene.afas.page(TYPED_ARTICLES, take=5)).rows) == 5
        await until(lambda: scene.server.counters.in_flight == 0)
        assert scene.server.counters.in_flight == 0


@pytest.mark.parametrize("scenario", [_whole_life, _to_list, _client_closed_during_a_read])
async def test_two_cancellations(scenario: Scenario) -> None:
    """A second cancellation during the first one changes nothing."""
    async with _scene() as scene:
        before = tasks()
        async with quiet():
            for step in range(0, MOST_STEPS, by_default(7, 1)):
                task = asyncio.ensure_future(scenario(scene))
                await steps(step)
                running = task.cancel()
                await steps(1)
                task.cancel()
                if not running:
                    await task
                    break
                with pytest.raises(asyncio.CancelledError):
                    await task
                await _check(scene, before)
            else:
                pytest.fail("the scenario never ended")
            await _check(scene, before)
