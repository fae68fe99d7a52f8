"""Slots: how many requests are in flight, who gets the next slot, and how interactive calls pass bulk work."""

from __future__ import annotations

import asyncio
import random

import pytest

from afas_async import AfasClient, Limiter, UsageError
from afas_async.http.limiter import KEPT_SECONDS
from afas_async.simulator import Latency, Simulator
from tests.support import canary
from tests.support.census import steps
from tests.support.memory_loop import run
from tests.support.thoroughness import by_default


class Calls:
    """Calls by name that take a slot, and the order in which they got it."""

    def __init__(self, limit: int) -> None:
        self.limiter = Limiter(limit)
        self.got: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def ask(self, *names: str) -> None:
        """Ask for a slot for each name; names that begin with `b` are background work."""
        for name in names:
            self.tasks[name] = asyncio.create_task(self._take(name))
            await steps(3)

    async def _take(self, name: str) -> None:
        await self.limiter.take(name, background=name.startswith("b"))
        self.got.append(name)

    async def give_back(self, *names: str) -> None:
        for name in names:
            self.limiter.give_back(name)
            await steps(3)


async def test_interactive_calls_pass_bulk_work() -> None:
    """Interactive calls get the next free slot. Among themselves they take turns, as bulk calls do."""
    calls = Calls(2)
    await calls.ask("b1", "b2", "b3", "b4", "i1", "i2")
    assert calls.got == ["b1", "b2"]
    await calls.give_back("b1", "b2")
    assert calls.got == ["b1", "b2", "i1", "i2"]
    await calls.give_back("i1")
    assert calls.got[4:] == []  # one slot is kept for the next interactive call
    await calls.give_back("i2")
    assert calls.got[4:] == ["b3"]
    await calls.ask("i3")
    assert calls.got[5:] == ["i3"]


async def test_bulk_work_has_all_slots_where_nobody_else_asks() -> None:
    """Bulk work has all slots before the first interactive call, and some time after the last one."""
    calls = Calls(3)
    await calls.ask("b1", "b2", "b3", "b4")
    assert calls.got == ["b1", "b2", "b3"]
    await calls.ask("i1")
    await calls.give_back("b1")
    await asyncio.sleep(KEPT_SECONDS + 1)
    await calls.give_back("i1")
    assert calls.got == ["b1", "b2", "b3", "i1", "b4"]
    assert calls.limiter.in_flight == 3


async def test_the_only_slot_is_for_everyone() -> None:
    calls = Calls(1)
    await calls.ask("i1", "b1")
    await calls.give_back("i1")
    assert calls.got == ["i1", "b1"]


@pytest.mark.parametrize("granted", [False, True])
async def test_a_cancelled_wait_leaves_its_place(*, granted: bool) -> None:
    """A cancelled wait frees its place, also at the moment it gets its slot. Later ones move up."""
    calls = Calls(1)
    await calls.ask("b1", "i1", "b2")
    if granted:
        calls.limiter.give_back("b1")
        calls.tasks["i1"].cancel()
    else:
        calls.tasks["i1"].cancel()
        calls.limiter.give_back("b1")
    await steps(5)
    assert calls.got == ["b1", "b2"]
    await calls.give_back("b2")
    assert calls.limiter.in_flight == 0


async def test_fewer_slots_after_overload() -> None:
    """Each sign of overload halves the slots, to one at least. Twenty clean responses add one."""
    calls = Calls(4)
    await calls.ask("b1", "b2", "b3")
    calls.limiter.calm()
    await calls.ask("b4")
    await calls.give_back("b1", "b2")
    assert calls.got[3:] == ["b4"]
    await calls.ask("b5")
    for _ in range(20):
        calls.limiter.grow()
    await steps(3)
    assert calls.got[4:] == ["b5"]


async def test_two_clients_share_a_limiter() -> None:
    """Two clients together never exceed the limit, and each counts its own waits."""
    limiter = Limiter(2)
    async with Simulator(rows=300, latency=Latency(base=0.05), token=canary.TOKEN) as simulator:
        clients = [AfasClient(base_url=simulator.base_url, auth=simulator.token, limiter=limiter) for _ in range(2)]
        async with clients[0] as one, clients[1] as other:
            reads = [afas.rows("Profit_Article", key="ItemCode").to_list() for afas in (one, other)]
            pages = [afas.page("Profit_Debtor") for afas in (one, other, one, other)]
            found = await asyncio.gather(*reads, *pages)
            assert simulator.counters.peak_in_flight == 2
            assert [len(rows) for rows in found[:2]] == [300, 300]
            assert one.statistics().seconds_waited > 0
            with pytest.raises(UsageError, match="window"):
                one.rows("Profit_Article", key="ItemCode", window=3)
    assert limiter.in_flight == 0


async def test_a_page_passes_a_bulk_read_unless_it_is_background_work() -> None:
    """A first page takes the next free slot. In the background it waits for all that asked before."""
    async with Simulator(rows=2_000, latency=Latency(base=1.0), token=canary.TOKEN) as simulator:
        for priority, most in (("interactive", 1.1), ("background", 8.0)):
            async with AfasClient(base_url=simulator.base_url, auth=simulator.token, max_concurrency=2) as afas:
                tasks = [
                    asyncio.create_task(afas.rows("Profit_Article", key="ItemCode", take=50).to_list())
                    for _ in range(6)
                ]
                await asyncio.sleep(4.5)
                started = asyncio.get_running_loop().time()
                await afas.with_options(priority=priority).page("Profit_Debtor", take=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
                seconds = asyncio.get_running_loop().time() - started
                assert (seconds < 2.2) == (priority == "interactive"), seconds
                assert seconds < most + 1.1
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


def test_one_event_loop_at_a_time() -> None:
    """A limiter serves one event loop after another, and refuses a second one while it is in use."""
    limiter = Limiter(1)

    async def take() -> None:
        await limiter.take("call", background=False)

    run(take())  # and the loop ended without giving the slot back
    run(take())
    loop = asyncio.new_event_loop()
    try:
        with pytest.raises(UsageError, match="one limiter per event loop"):
            loop.run_until_complete(_in_use(limiter))
    finally:
        loop.close()


async def _in_use(limiter: Limiter) -> None:
    await limiter.take("mine", background=False)
    await asyncio.to_thread(lambda: run(limiter.take("other", background=False)))


def test_no_slot_is_lost_whatever_happens() -> None:
    """Calls of both kinds start, end and are cancelled at random, with fewer slots and general waits in between."""
    for seed in range(by_default(40, 400)):
        run(_at_random(seed))


async def _at_random(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - no secret
    limiter = Limiter(draw.randint(1, 5))

    async def work(*, background: bool) -> None:
        call = object()
        await limiter.take(call, background=background)
        assert limiter.in_flight <= limiter.limit
        try:
            await asyncio.sleep(draw.choice([0, 0, 0.5, 2]))
        finally:
            limiter.give_back(call)
        if draw.random() < 0.05:
            limiter.calm()
        limiter.grow()

    tasks = list[asyncio.Task[None]]()
    for _ in range(100):
        tasks.append(asyncio.create_task(work(background=draw.random() < 0.6)))
        if draw.random() < 0.3:
            await asyncio.sleep(draw.choice([0, 0.1, 1]))
        if draw.random() < 0.25:
            draw.choice(tasks).cancel()
        if draw.random() < 0.02:
            limiter.hold(3)
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(each) for each in ended} <= {type(None), asyncio.CancelledError}, seed
    assert limiter.in_flight == 0, seed
