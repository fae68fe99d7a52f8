"""Limits that several processes share: by files on one machine, or by a limiter that the user writes."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from afas_async import (
    AfasClient,
    ConfigurationError,
    ConnectError,
    FileLimiter,
    Limiter,
    SharedLimiter,
    UsageError,
)
from afas_async.http.limiter import RETURN_SECONDS
from afas_async.http.shared_limiter import KEPT_SECONDS
from afas_async.simulator import Fault, Latency, Simulator
from tests.support import canary, forking, limited_process
from tests.support.census import census, steps
from tests.support.quick_folder import quick_folder

ARTICLES = "Profit_Article"


@pytest.fixture
def folder() -> Any:
    with quick_folder() as path:
        yield path / "limit"


# --- processes ---


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for other processes, in real time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_four_processes(folder: Path, tmp_path: Path) -> None:
    """Four processes together never send more than five requests at a time, and each gets its share of them."""
    latency = Latency(base=0.01)
    with Simulator.running(rows=10, token=canary.TOKEN, latency=latency) as simulator:
        said = [tmp_path / f"{number}" for number in range(4)]
        workers = [forking.start(path, limited_process.run, simulator.base_url, folder, 40) for path in said]
        for worker in workers:
            worker.join(50)
            assert worker.exitcode == 0
            worker.close()
        assert 3 <= simulator.counters.peak_in_flight <= 5
        assert len(simulator.requests) == 160
    times = [[float(line) for line in path.read_text().split()] for path in said]
    started, ended = max(min(each) for each in times), min(max(each) for each in times)
    # While all four ran, none got more than four times as many responses as another one.
    shares = [sum(started <= at <= ended for at in each) for each in times]
    assert sum(shares) < 20 or max(shares) <= 4 * min(shares), shares


def test_a_process_that_is_killed(folder: Path, tmp_path: Path) -> None:
    """The slots of a killed process are free at once, as the system ends its locks."""
    with Simulator.running(rows=10, token=canary.TOKEN, latency=Latency(base=1_000)) as simulator:
        killed = forking.start(tmp_path / "0", limited_process.run, simulator.base_url, folder, 9)
        until(lambda: simulator.counters.in_flight == 5)
        other = forking.start(tmp_path / "1", limited_process.run, simulator.base_url, folder, 9)
        time.sleep(0.2)
        assert simulator.counters.in_flight == 5
        simulator.latency = Latency()
        killed.kill()
        other.join(20)
        assert other.exitcode == 0
        assert (tmp_path / "0").read_text() == ""
        for process in (killed, other):
            process.join()
            process.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
async def test_a_forked_child(folder: Path) -> None:
    """A child that outlives its parent's request does not keep the slot."""
    limiter = FileLimiter(folder, 1)
    async with limiter.slot("interactive"):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.read(read, 1)
            os._exit(0)
    async with asyncio.timeout(1), FileLimiter(folder, 1).slot("interactive"):
        pass
    os.write(write, b"x")
    await asyncio.to_thread(os.waitpid, child, 0)
    os.close(read)
    os.close(write)


# --- files ---


class Holders:
    """Tasks that hold slots of a folder, each by a limiter of its own, as if it were a process."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.held: list[str] = []
        self._folder = folder
        self._limit = limit
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def ask(self, *names: str) -> None:
        """Ask for a slot for each name; names that begin with `b` are background work."""
        for name in names:
            self._tasks[name] = asyncio.create_task(self._hold(name))
            await asyncio.sleep(0.2)

    async def _hold(self, name: str) -> None:
        limiter = FileLimiter(self._folder, self._limit)
        async with limiter.slot("background" if name.startswith("b") else "interactive"):
            self.held.append(name)
            await asyncio.Event().wait()

    async def end(self, *names: str) -> None:
        for name in names:
            self._tasks[name].cancel()
            await asyncio.gather(self._tasks[name], return_exceptions=True)
            if name in self.held:
                self.held.remove(name)
            await asyncio.sleep(0.2)


async def test_slots(folder: Path) -> None:
    """No more tasks hold a slot than there are. The next in line gets it, and a cancelled one leaves none taken."""
    holders = Holders(folder, 2)
    await holders.ask("i1", "i2", "i3", "i4")
    assert holders.held == ["i1", "i2"]
    await holders.end("i3")
    await holders.end("i1")
    assert holders.held == ["i2", "i4"]
    await holders.end("i2", "i4")
    await holders.ask("i5", "i6")
    assert holders.held == ["i5", "i6"]
    await holders.end("i5", "i6")


async def test_one_slot_is_kept_for_interactive_calls(folder: Path) -> None:
    """For a while after an interactive call of any process, bulk work leaves one slot free."""
    holders = Holders(folder, 2)
    await holders.ask("b1", "b2")
    assert holders.held == ["b1", "b2"]  # nobody else asks
    await holders.ask("i1")
    await holders.end("b1")
    assert holders.held == ["b2", "i1"]
    await holders.end("i1")
    await holders.ask("b3")
    assert holders.held == ["b2"]
    os.utime(folder / "interactive", (0, time.time() - KEPT_SECONDS - 1))
    await asyncio.sleep(1)
    assert holders.held == ["b2", "b3"]
    await holders.end("b2", "b3")


async def test_who_comes_does_not_pass_who_waits(folder: Path) -> None:
    """A process that is always busy leaves slots to one that waits."""
    busy, other = FileLimiter(folder, 1), FileLimiter(folder, 1)
    done = 0

    async def work(limiter: FileLimiter, count: int) -> None:
        nonlocal done
        for _ in range(count):
            async with limiter.slot("interactive"):
                await asyncio.sleep(0.01)
                done += limiter is busy

    task = asyncio.gather(*[work(busy, 100) for _ in range(3)])
    await asyncio.sleep(0.1)
    await work(other, 20)
    assert done < 150
    await task


async def test_a_client(folder: Path, watch: canary.Watch) -> None:
    """Two clients with their own limiters over one folder never send more than its limit."""
    assert watch.errors == []
    async with Simulator(rows=500, token=canary.TOKEN, latency=Latency(base=0.05)) as simulator:
        one, other = (
            AfasClient(base_url=simulator.base_url, auth=simulator.token, limiter=FileLimiter(folder, 3))
            for _ in range(2)
        )
        async with one, other, census(one, simulator):
            reads = [afas.rows(ARTICLES, key="ItemCode", take=50).to_list() for afas in (one, other)]
            pages = [afas.page(ARTICLES, take=5) for afas in (one, other) for _ in range(20)]
            found = await asyncio.gather(*reads, *pages)
            assert [len(rows) for rows in found[:2]] == [500, 500]  # type: ignore[arg-type]
            assert simulator.counters.peak_in_flight == 3
            assert one.statistics().seconds_waited > 0


async def test_a_folder_that_is_none(tmp_path: Path, simulator: Simulator) -> None:
    """A folder that cannot be made ends a call with a clear error, before anything is sent."""
    (tmp_path / "file").touch()
    limiter = FileLimiter(tmp_path / "file" / "folder")
    async with AfasClient(base_url=simulator.base_url, auth=simulator.token, limiter=limiter) as afas:
        with pytest.raises(
            ConfigurationError, match="the shared limiter raised NotADirectoryError; nothing was sent"
        ) as raised:
            await afas.page(ARTICLES)
        assert isinstance(raised.value.__cause__, NotADirectoryError)
        with pytest.raises(ConfigurationError):
            await afas.insert("KnSubject", {"StId": 1})
    assert len(simulator.requests) == 0


def test_a_system_without_such_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows the error says what to do instead."""
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ConfigurationError, match=r"flock\), which Windows does not have: .* SharedLimiter"):
        FileLimiter("folder")


@pytest.mark.parametrize("arguments", [("x", 0), ("x", 9), ("x", "5"), (5, 5), (None,)], ids=str)
def test_arguments_that_make_no_sense(arguments: tuple[Any, ...]) -> None:
    """Wrong arguments are refused when the limiter is made."""
    with pytest.raises(UsageError):
        FileLimiter(*arguments)


# --- limiters that the user writes ---


class Semaphore:
    """A limiter as a user writes it.

    Attributes:
        asked: The priorities, in order.
        now: How many slots are held.
        failures: The exception to raise on entering, or on leaving.
    """

    def __init__(self, limit: int = 5) -> None:
        self.limit = limit
        self.asked: list[str] = []
        self.now = self.peak = 0
        self.failures: dict[str, Exception] = {}
        self.leaving_seconds = 0.0
        self._semaphore = asyncio.Semaphore(limit)

    @asynccontextmanager
    async def slot(self, priority: str) -> AsyncGenerator[None, None]:
        self.asked.append(priority)
        if "enter" in self.failures:
            raise self.failures["enter"]
        async with self._semaphore:
            self.now += 1
            self.peak = max(self.peak, self.now)
            try:
                yield
            finally:
                self.now -= 1
        await asyncio.sleep(self.leaving_seconds)
        if "leave" in self.failures:
            raise self.failures["leave"]


def client(simulator: Simulator, limiter: SharedLimiter | Limiter, **options: Any) -> AfasClient:
    return AfasClient(base_url=simulator.base_url, auth=simulator.token, limiter=limiter, **options)


async def test_a_slot_for_each_request_and_its_priority(simulator: Simulator) -> None:
    """Each request of all clients is sent within a block, and nothing is held between requests."""
    simulator.latency = Latency(base=0.1)
    semaphore = Semaphore(2)
    async with client(simulator, semaphore) as one, client(simulator, semaphore) as other:
        await asyncio.gather(*[afas.page(ARTICLES, take=1) for afas in (one, other) for _ in range(10)])
        assert semaphore.asked == ["interactive"] * 20
        await one.rows(ARTICLES, key="ItemCode", take=1_000).to_list()
        assert set(semaphore.asked[20:]) == {"background"}
        assert len(semaphore.asked) == len(simulator.requests)
        assert one._session.engine._limiter is other._session.engine._limiter
        assert (semaphore.peak, simulator.counters.peak_in_flight, semaphore.now) == (2, 2, 0)


async def test_a_limit_of_this_process_before_the_shared_one(simulator: Simulator) -> None:
    """A Limiter may come before the shared one, for a process that may use only a part."""
    simulator.latency = Latency(base=0.1)
    semaphore = Semaphore(4)
    async with client(simulator, Limiter(2, shared=semaphore)) as afas:
        await asyncio.gather(*[afas.page(ARTICLES, take=1) for _ in range(10)])
    assert (semaphore.peak, len(semaphore.asked)) == (2, 10)


async def test_the_wait_for_a_slot_is_no_time_out(simulator: Simulator) -> None:
    """A request waits for its slot as long as it takes, and the statistics say how long."""
    semaphore = Semaphore(1)
    async with client(simulator, semaphore, timeout=5) as afas:
        async with semaphore.slot("other"):
            task = asyncio.create_task(afas.page(ARTICLES, take=1))
            await asyncio.sleep(100)
            assert not task.done()
        await task
        assert afas.statistics().seconds_waited == pytest.approx(100, abs=1)


async def test_cancelled_while_it_waits(simulator: Simulator) -> None:
    """A cancelled call leaves the slots as they were."""
    semaphore = Semaphore(1)
    async with client(simulator, semaphore) as afas, census(afas, simulator):
        async with semaphore.slot("other"):
            task = asyncio.create_task(afas.page(ARTICLES, take=1))
            await steps(10)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await steps(10)
        assert (semaphore.now, len(simulator.requests)) == (0, 0)
        await afas.page(ARTICLES, take=1)


async def test_no_slot_is_held_while_the_service_asks_to_wait(simulator: Simulator) -> None:
    """During a Retry-After other processes have all slots."""
    simulator.faults.add(Fault(status=503, retry_after=60))
    semaphore = Semaphore(1)
    async with client(simulator, semaphore) as afas:
        tasks = [asyncio.create_task(afas.page(ARTICLES, take=1)) for _ in range(3)]
        await asyncio.sleep(30)
        assert (semaphore.now, len(simulator.requests)) == (0, 1)
        await asyncio.gather(*tasks)


@pytest.mark.parametrize("error", [OSError("no Redis"), RuntimeError(), ConnectError("x", connector="redis")])
async def test_a_limiter_that_fails(simulator: Simulator, error: Exception) -> None:
    """An exception on entering ends the call, and nothing is sent. One on leaving is one line in the log."""
    semaphore = Semaphore()
    semaphore.failures["enter"] = error
    async with client(simulator, semaphore) as afas:
        with pytest.raises((ConfigurationError, ConnectError)) as raised:
            await afas.page(ARTICLES, take=1)
        assert error in {raised.value, raised.value.__cause__}
        async with afas.load("KnSubject", validate=False) as load:
            await load.add({"StId": 1})
        assert load.report.counts["not_sent"] == 1
        semaphore.failures.clear()
        await afas.page(ARTICLES, take=1)
    assert len(simulator.requests) == 1


async def test_a_limiter_that_does_not_take_slots_back(simulator: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    """The request is over, so its result counts. A limiter that hangs is abandoned after five seconds."""
    semaphore = Semaphore()
    semaphore.failures["leave"] = OSError("no Redis")
    async with client(simulator, semaphore) as afas:
        assert len((await afas.page(ARTICLES, take=1)).rows) == 1
        assert "the shared limiter raised OSError when a slot was given back" in caplog.text
        semaphore.leaving_seconds = 1e6
        started = asyncio.get_running_loop().time()
        await afas.page(ARTICLES, take=1)
        assert asyncio.get_running_loop().time() - started == pytest.approx(RETURN_SECONDS, abs=0.5)


async def test_an_answer_that_waits_for_its_reader_gives_way() -> None:
    """A reader that requests another page within its loop gets it, though others hold all other slots."""
    semaphore = Semaphore(2)
    async with (
        Simulator(rows=10_000, token=canary.TOKEN) as simulator,
        client(simulator, semaphore, memory=1 << 20) as afas,
        semaphore.slot("another process"),
    ):
        with pytest.warns(UserWarning, match="one response with all rows"):
            stream = afas.rows("Profit_Wide", key="Id", take=-1)
        await anext(stream)
        await asyncio.sleep(5)
        assert semaphore.now == 2, "the answer is not long enough to wait for its reader"
        async with asyncio.timeout(60):
            assert len((await afas.page(ARTICLES, take=3)).rows) == 3
        await stream.aclose()


@pytest.mark.parametrize("limiter", [5, "5", Semaphore, object()])
async def test_what_is_no_limiter(simulator: Simulator, limiter: Any) -> None:
    """An invalid limiter is refused when the client is made."""
    with pytest.raises(UsageError, match="limiter"):
        client(simulator, limiter)
