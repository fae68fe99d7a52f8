"""The clients of many tenants: opened once, never closed in use, and gone when nobody needs them."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import random
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from afas_async import AfasClient, ClientClosedError, ClientPool, UsageError
from afas_async.http import transport
from afas_async.http.limiter import limiter_of
from afas_async.simulator import Latency, Simulator
from tests.support import canary
from tests.support.census import quiet, steps, tasks
from tests.support.thoroughness import by_default

ARTICLES = "Profit_Article"


class UnknownTenantError(Exception):
    """Raised by a service for an unknown tenant."""


class Maker:
    """Makes clients of a simulator, and counts them.

    Attributes:
        made: The clients by tenant, in order.
        seconds: How long making one takes; 0 for a plain function.
        failures: What it raises next for a tenant.
    """

    def __init__(self, simulator: Simulator, seconds: float = 0.0) -> None:
        self.made: dict[str, list[AfasClient]] = {}
        self.failures: dict[str, BaseException] = {}
        self.seconds = seconds
        self._simulator = simulator

    def __call__(self, tenant: str) -> Any:
        return self._later(tenant) if self.seconds else self._make(tenant)

    async def _later(self, tenant: str) -> AfasClient:
        await asyncio.sleep(self.seconds)
        return self._make(tenant)

    def _make(self, tenant: str) -> AfasClient:
        if tenant in self.failures:
            raise self.failures.pop(tenant)
        client = AfasClient(base_url=self._simulator.base_url, auth=self._simulator.token)
        self.made.setdefault(tenant, []).append(client)
        return client

    def open(self) -> int:
        """Return how many clients are open."""
        sessions = [client._session for clients in self.made.values() for client in clients]
        return sum(session._host is not None and not session._closed for session in sessions)


@pytest.fixture
async def server() -> AsyncIterator[Simulator]:
    async with Simulator(rows=20, token=canary.TOKEN) as simulator:
        yield simulator


async def use(pool: ClientPool, tenant: str, seconds: float = 0.0) -> int:
    """Use a client for one request, and for some time."""
    async with pool.client(tenant) as afas:
        rows = len((await afas.page(ARTICLES, take=3)).rows)
        await asyncio.sleep(seconds)
        return rows


async def test_many_tenants_at_once(server: Simulator) -> None:
    """200 tenants, 20 open at a time, 800 requests at once: no error, and never more than 20 are open."""
    tenants, requests = by_default((60, 240), (200, 800))
    server.latency = Latency(base=0.05)
    maker, most = Maker(server, 0.01), 0
    before = tasks()
    async with quiet(), ClientPool(maker, most=20) as pool:

        async def one(number: int) -> int:
            nonlocal most
            async with pool.client(f"tenant {number % tenants}") as afas:
                most = max(most, maker.open(), pool.statistics().open)
                return len((await afas.page(ARTICLES, take=3)).rows)

        numbers = list(range(requests))
        random.Random(1).shuffle(numbers)  # noqa: S311 - any order
        assert await asyncio.gather(*map(one, numbers)) == [3] * requests
        assert most == 20
        assert pool.statistics().waiting == pool.statistics().in_use == 0
        assert pool.statistics().opened - pool.statistics().closed == pool.statistics().open == maker.open() == 20
    assert maker.open() == 0
    assert tasks() == before


async def test_opened_once(server: Simulator) -> None:
    """However many ask for a tenant at the same time, its client is made and opened once, and shared."""
    maker = Maker(server, 1)
    async with ClientPool(maker) as pool:
        assert await asyncio.gather(*[use(pool, "acme") for _ in range(20)]) == [3] * 20
        await use(pool, "acme")
        async with pool.client("acme") as one, pool.client("acme") as other:
            assert one is other
            with pytest.raises(UsageError, match="view"):
                await one.aclose()
        assert {tenant: len(clients) for tenant, clients in maker.made.items()} == {"acme": 1}
        statistics = pool.statistics()
        assert (statistics.open, statistics.opened, statistics.clients["acme"].requests) == (1, 1, 21)


async def test_the_one_unused_for_longest_makes_room(server: Simulator) -> None:
    """A client that is used again counts as younger than one that is not."""
    maker = Maker(server)
    async with ClientPool(maker, most=3) as pool:
        for tenant in ("a", "b", "c", "a", "d"):
            await use(pool, tenant)
        assert sorted(pool.statistics().clients) == ["a", "c", "d"]
        assert maker.open() == 3


async def test_never_closed_in_use(server: Simulator) -> None:
    """A client in use stays open, whatever others need: they wait until one is given back."""
    maker = Maker(server)
    async with ClientPool(maker, most=2, idle=1) as pool:
        users = [asyncio.create_task(use(pool, tenant, 10)) for tenant in ("a", "b")]
        await asyncio.sleep(1)
        third = asyncio.create_task(use(pool, "c"))
        await asyncio.sleep(5)
        assert (pool.statistics().waiting, maker.open(), third.done()) == (1, 2, False)
        assert await asyncio.gather(*users, third) == [3, 3, 3]
        assert len(maker.made["a"]) == len(maker.made["b"]) == 1


async def test_a_wait_that_takes_too_long(server: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    """A task that would wait for ever, such as for itself through another task, gets an extra client and a log line."""
    maker = Maker(server)
    async with ClientPool(maker, most=1) as pool:
        user = asyncio.create_task(use(pool, "a", 100))
        await asyncio.sleep(1)
        assert await use(pool, "b") == 3
        assert "all 1 clients of a pool are in use for 30 s" in caplog.text
        assert not user.done()
        await user
        await use(pool, "c")
        assert pool.statistics().open == 1


async def test_nested_use_does_not_wait_for_itself(server: Simulator) -> None:
    """A task that holds a client gets another one at once, and so does a `make` that uses one."""
    maker = Maker(server)
    loop = asyncio.get_running_loop()

    async def with_central(tenant: str) -> AfasClient:
        if tenant != "central":
            async with pool.client("central") as afas:
                await afas.page(ARTICLES, take=1)
        return maker(tenant)  # type: ignore[no-any-return]

    async with ClientPool(with_central, most=2) as pool:

        async def nested(number: int) -> None:
            async with pool.client(f"outer {number}"):
                await asyncio.sleep(0.1)
                await use(pool, f"inner {number}")

        started = loop.time()
        await asyncio.gather(*map(nested, range(60)))
        assert loop.time() - started < 30
        assert pool.statistics().waiting == pool.statistics().in_use == 0


async def test_nested_use_of_a_tenant_that_others_wait_for(server: Simulator) -> None:
    """A task that holds a client skips the queue, which only this task could move."""
    async with ClientPool(Maker(server), most=1) as pool:
        async with pool.client("a"):
            before = contextvars.Context()  # by a task that holds nothing
            waiting = before.run(lambda: asyncio.create_task(use(pool, "b")))
            await asyncio.sleep(1)
            assert pool.statistics().waiting == 1
            async with asyncio.timeout(1):
                assert await use(pool, "b") == 3
        assert await waiting == 3


async def test_tasks_that_outlive_the_block_they_were_started_in(server: Simulator) -> None:
    """They inherit their parent's clients until it leaves the block. After that the limit counts for them too."""
    maker, go = Maker(server), asyncio.Event()

    async def later(number: int) -> None:
        await go.wait()
        await use(pool, f"t{number}", seconds=1)

    async with ClientPool(maker, most=2) as pool:
        async with pool.client("parent"):
            children = [asyncio.create_task(later(number)) for number in range(6)]
        go.set()
        await asyncio.sleep(0.5)
        assert maker.open() <= 2
        await asyncio.gather(*children)


async def test_idle_clients_are_closed(server: Simulator) -> None:
    """A client that is idle for some time is closed, without a task that waits for that."""
    maker = Maker(server)
    async with ClientPool(maker, idle=60) as pool:
        await use(pool, "a")
        before = tasks()
        await asyncio.sleep(40)
        await use(pool, "b")
        await use(pool, "a")
        assert tasks() - before == {task for task in tasks() - before if task.get_name() == "afas_async host"}
        await asyncio.sleep(59)
        assert maker.open() == 2
        await asyncio.sleep(2)
        assert maker.open() == 0
        assert (pool.statistics().open, pool.statistics().closed) == (0, 2)
        await use(pool, "a")
        assert len(maker.made["a"]) == 2


async def test_forget(server: Simulator) -> None:
    """After a rotation the old client serves its current users, and the next user gets a new one."""
    maker = Maker(server, 1)
    async with ClientPool(maker) as pool:
        early = asyncio.create_task(use(pool, "acme"))
        await asyncio.sleep(0.5)
        pool.forget("acme")  # while it is opened
        async with pool.client("acme") as old:
            assert await early == 3
            assert (len(maker.made["acme"]), maker.open()) == (2, 1)
            pool.forget("acme")
            pool.forget("nobody")
            async with pool.client("acme") as new:
                assert new is not old
                assert len((await old.page(ARTICLES, take=3)).rows) == 3
            assert pool.statistics().open == 2
        await steps(50)
        assert (len(maker.made["acme"]), maker.open(), pool.statistics().open) == (3, 1, 1)
        pool.forget("acme")  # that nobody uses
        await steps(50)
        assert (maker.open(), pool.statistics().open) == (0, 0)


@pytest.mark.parametrize("seconds", [0, 1])
async def test_errors_of_make(server: Simulator, seconds: float) -> None:
    """An exception of `make` reaches all tasks that wait, unchanged, and is not remembered."""
    maker = Maker(server, seconds)
    maker.failures["acme"] = UnknownTenantError("acme")
    async with ClientPool(maker, most=1) as pool:
        results = await asyncio.gather(*[use(pool, "acme") for _ in range(5)], return_exceptions=True)
        assert [type(result) for result in results] == [UnknownTenantError] * 5
        assert await use(pool, "acme") == 3
        assert pool.statistics().open == 1


MADE: dict[str, Callable[[AfasClient], object]] = {
    "nothing": lambda _: None,
    "a token": lambda _: canary.TOKEN,
    "a view": lambda afas: afas.with_options(),
    "an open one": lambda afas: afas,
}


@pytest.mark.parametrize("kind", MADE)
async def test_make_that_makes_no_client(afas: AfasClient, kind: str) -> None:
    """An object that is not a client, or cannot be opened, is an error that says so and never shows a token."""
    async with ClientPool(lambda _: MADE[kind](afas)) as pool:  # type: ignore[arg-type, return-value]
        with pytest.raises(UsageError):
            await use(pool, "acme")
        assert pool.statistics().open == 0
    assert len((await afas.page(ARTICLES, take=3)).rows) == 3


async def test_cancelled_while_it_opens(server: Simulator) -> None:
    """Whoever is cancelled, even the first task, the others get their client. Without others the opening ends."""
    maker = Maker(server, 5)
    async with quiet(), ClientPool(maker, most=1) as pool:
        users = [asyncio.create_task(use(pool, "acme")) for _ in range(4)]
        await asyncio.sleep(1)
        users[0].cancel()
        users[2].cancel()
        results = await asyncio.gather(*users, return_exceptions=True)
        assert [isinstance(result, asyncio.CancelledError) for result in results] == [True, False, True, False]
        assert len(maker.made["acme"]) == 1
        users = [asyncio.create_task(use(pool, "other")) for _ in range(2)]
        await asyncio.sleep(1)
        for user in users:
            user.cancel()
        await asyncio.gather(*users, return_exceptions=True)
        await asyncio.sleep(10)
        assert "other" not in maker.made
        assert pool.statistics().open == 0
        assert await use(pool, "third") == 3


async def test_cancelled_at_any_moment(server: Simulator) -> None:
    """At whatever step a user is cancelled, no client is left open, and no place is lost."""
    for moment in range(by_default(30, 200)):
        maker = Maker(server)
        async with ClientPool(maker, most=1) as pool:
            await use(pool, "a")
            users = [asyncio.create_task(use(pool, tenant)) for tenant in ("b", "c", "b")]
            await steps(moment)
            users[moment % 3].cancel()
            await asyncio.gather(*users, return_exceptions=True)
            await steps(30)
            statistics = pool.statistics()
            assert (statistics.waiting, statistics.in_use) == (0, 0)
            assert statistics.open == maker.open() == pool._places <= 1
            assert await use(pool, "d") == 3
        assert maker.open() == 0


async def test_a_make_that_cannot_be_cancelled(server: Simulator) -> None:
    """A client that opens although nobody waits any more is closed."""
    maker = Maker(server)

    async def stubborn(tenant: str) -> AfasClient:
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            await asyncio.sleep(1)
        return maker(tenant)  # type: ignore[no-any-return]

    async with ClientPool(stubborn) as pool:
        user = asyncio.create_task(use(pool, "acme"))
        await asyncio.sleep(1)
        user.cancel()
        await asyncio.sleep(10)
        assert len(maker.made["acme"]) == 1
        assert maker.open() == pool.statistics().open == 0


async def test_leaving(server: Simulator) -> None:
    """Leaving the pool closes all clients, ends those who wait, and leaves no task; the pool cannot be used again."""
    server.latency = Latency(base=60)
    maker = Maker(server, 1)
    before = tasks()
    pool = ClientPool(maker, most=2)
    with pytest.raises(ClientClosedError, match="not open"):
        await use(pool, "acme")
    async with pool:
        with pytest.raises(UsageError, match="once"):
            await pool.__aenter__()
        users = [asyncio.create_task(use(pool, tenant)) for tenant in "abcd"]
        await asyncio.sleep(5)
        users.append(asyncio.create_task(use(pool, "a")))
        await steps(3)
    results = await asyncio.gather(*users, return_exceptions=True)
    assert [type(result) for result in results] == [ClientClosedError] * 5
    assert maker.open() == 0
    assert tasks() == before
    assert pool.statistics().open == 0
    with pytest.raises(ClientClosedError, match="closed"):
        await use(pool, "acme")


async def test_leaving_while_clients_are_opened(server: Simulator) -> None:
    """A client that is just opening is closed, too."""
    maker = Maker(server, 5)
    async with ClientPool(maker) as pool:
        user = asyncio.create_task(use(pool, "acme"))
        await asyncio.sleep(1)
    assert isinstance((await asyncio.gather(user, return_exceptions=True))[0], ClientClosedError)
    await asyncio.sleep(10)
    assert maker.open() == 0


async def test_another_event_loop(server: Simulator) -> None:
    """A pool belongs to the event loop that opened it, and the error says so."""
    async with ClientPool(Maker(server)) as pool:
        with pytest.raises(UsageError, match="another event loop"):
            await asyncio.to_thread(lambda: asyncio.run(use(pool, "acme")))


@pytest.mark.parametrize(
    "arguments", [{"most": 0}, {"most": "5"}, {"idle": -1}, {"idle": float("nan")}, {"make": "acme"}], ids=str
)
def test_arguments_that_make_no_sense(arguments: dict[str, Any]) -> None:
    """Wrong arguments are refused when the pool is made."""
    with pytest.raises(UsageError):
        ClientPool(**{"make": lambda _: None} | arguments)


async def test_a_name_that_is_no_text(server: Simulator) -> None:
    """The name of a tenant must be text."""
    async with ClientPool(Maker(server)) as pool:
        with pytest.raises(UsageError, match="tenant"):
            await use(pool, 5)  # type: ignore[arg-type]


async def test_what_an_open_client_costs() -> None:
    """An open client costs at most 40 KiB, with TLS, as all share one context and its authorities."""

    def make(tenant: str) -> AfasClient:
        return AfasClient(tenant, auth=canary.TOKEN)

    async with ClientPool(make, most=200) as pool, AsyncExitStack() as stack:
        await stack.enter_async_context(pool.client("10000"))
        gc.collect()
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            for number in range(10_001, 10_101):
                await stack.enter_async_context(pool.client(f"{number}"))
            gc.collect()
            each = (tracemalloc.get_traced_memory()[0] - before) / 100
        finally:
            tracemalloc.stop()
        assert each < 40 << 10
        assert len(transport._CONTEXTS) == 1


async def test_clients_of_one_environment_share_its_limit(server: Simulator) -> None:
    """Two tokens of one environment share its limit. A client with its own limit does not share it."""
    server.latency = Latency(base=0.1)
    maker = Maker(server)
    async with ClientPool(maker) as pool:
        await asyncio.gather(*[use(pool, tenant) for tenant in "abcd" for _ in range(10)])
        assert server.counters.peak_in_flight == 5
        async with AfasClient(base_url=server.base_url, auth=server.token, max_concurrency=2) as own:
            await asyncio.gather(*[use(pool, "a") for _ in range(10)], *[own.page(ARTICLES) for _ in range(10)])
        assert server.counters.peak_in_flight == 7
    del maker, pool, own
    gc.collect()
    assert limiter_of(server.base_url).in_flight == 0


async def test_contexts_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that open at the same time make one TLS context, for each set of authorities."""
    made = Counter[str]()
    make = transport._default_context

    def counted() -> Any:
        made["contexts"] += 1
        return make()

    monkeypatch.setattr(transport, "_default_context", counted)
    monkeypatch.setattr(transport, "_CONTEXTS", {})

    async def opened() -> None:
        async with AfasClient("12345", auth=canary.TOKEN):
            pass

    async def at_once(work: Callable[[], Awaitable[None]]) -> None:
        await asyncio.gather(*[work() for _ in range(8)])

    await at_once(opened)
    await at_once(opened)
    assert made["contexts"] == 1
    monkeypatch.setenv("SSL_CERT_DIR", "/nowhere")
    await at_once(opened)
    assert made["contexts"] == 2
