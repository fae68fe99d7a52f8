"""Loads in a service: stopped without unknowns, watched while they run, and never failing silently."""

# ruff: noqa: PT012 - what raises is the whole block

from __future__ import annotations

import asyncio
import gc
import logging
from pathlib import Path
from typing import Any

import pytest

from afas_async import AfasClient, AfasError, ClientClosedError, LoadError, LoadProgress, UsageError
from afas_async.simulator import Fault, Latency
from afas_async.write.loader import Load
from tests.support.census import census, steps
from tests.support.thoroughness import by_default
from tests.support.written_service import SUBJECT, agree, element, elements, faulty, serving, written

# --- stop ---


async def test_stop_drains() -> None:
    """Calls at the service end, and the rest is not sent: nothing is unknown, and you can leave the source."""
    async with serving(latency=Latency(base=1)) as (simulator, afas), census(afas, simulator):
        async with afas.load(SUBJECT, max_elements=5, in_flight=2, validate=False) as load:
            asyncio.get_running_loop().call_later(1.5, load.stop)  # as a signal handler does
            for item in elements(1_000):
                await load.add(item)  # waits for room when it comes
                if load.is_stopped:
                    break
            load.stop(AfasError("again"))  # changes nothing any more
        counts = load.report.counts
        assert (counts["applied"], counts["rejected"], counts["unknown"]) == (20, 0, 0)
        assert 0 < counts["not_sent"] < 50
        assert {str(outcome.error) for outcome in load.report.not_sent} == {"KnSubject: the load was stopped"}
        agree(load.report, simulator)


async def test_stop_for_a_reason() -> None:
    """The reason that you give is the error of elements that are not sent, also of later ones."""
    async with serving() as (_, afas), afas.load(SUBJECT, validate=False) as load:
        reason = AfasError("maintenance")
        await load.add(element(0))
        load.stop(reason)
        await load.add(element(1))
        assert [outcome.error for outcome in load.report.not_sent] == [reason, reason]


async def test_stop_at_any_moment() -> None:
    """A stop at any step of the event loop leaves each element applied or not sent, and the report agrees."""
    for moment in range(0, by_default(120, 600), 6):
        async with serving(latency=Latency(base=0.01)) as (simulator, afas):
            async with afas.load(SUBJECT, max_elements=3, in_flight=3, validate=False) as load:
                for item in elements(9):
                    await load.add(item)
                await steps(moment)
                load.stop()
            assert load.report.counts["unknown"] == 0
            assert load.report.total == 9
            agree(load.report, simulator)


async def test_stop_does_not_wait_for_what_is_not_at_the_service() -> None:
    """A call that waits for a retry or a slot ends at once: a service has seconds to end, not minutes."""
    async with serving(latency=Latency(base=1), max_concurrency=1) as (simulator, afas), census(afas, simulator):
        simulator.faults.add(Fault(method="POST", status=503, retry_after=250))
        started = asyncio.get_running_loop().time()
        async with afas.load(SUBJECT, max_elements=2, in_flight=3, validate=False) as load:
            asyncio.get_running_loop().call_later(5, load.stop)
            for item in elements(10):
                await load.add(item)
        assert asyncio.get_running_loop().time() - started < 10
        assert load.report.counts == {"applied": 0, "rejected": 0, "unknown": 0, "not_sent": 10}
        agree(load.report, simulator)


async def test_a_stopped_load_goes_on_with_its_journal(tmp_path: Path) -> None:
    """The same load continues where it stopped, and applies each element once."""
    async with serving(latency=Latency(base=1)) as (simulator, afas):
        for attempt in range(2):
            async with afas.load(SUBJECT, max_elements=5, in_flight=2, journal=tmp_path / "journal") as load:
                if attempt == 0:
                    asyncio.get_running_loop().call_later(1.5, load.stop)
                for item in elements(40):
                    await load.add(item)
            assert load.report.counts["unknown"] == 0
            assert (load.report.counts["applied"] == 40) is (attempt == 1)
            assert load.report.counts["applied"] >= 10
        assert written(simulator) == dict.fromkeys(range(40), 1)


async def test_stop_before_the_block() -> None:
    """A load that is stopped before it begins sends nothing."""
    async with serving() as (simulator, afas):
        load = afas.load(SUBJECT)
        load.stop()
        async with load:
            await load.add(element(0))
        assert load.report.counts["not_sent"] == 1
        assert simulator.counters.writes == 0


# --- watch ---


async def watched(load: Load, every: float = 1.0) -> list[LoadProgress]:
    return [progress async for progress in load.watch(every)]


async def test_watch() -> None:
    """Each watcher gets progress at once, then once a second while something changes, and a last time at the end."""
    async with serving(latency=Latency(base=3)) as (_, afas):
        async with asyncio.TaskGroup() as group:
            async with afas.load(SUBJECT, max_elements=5, in_flight=1, validate=False) as load:
                watchers = [group.create_task(watched(load)), group.create_task(watched(load, 100))]
                for item in elements(20, 19):
                    await load.add(item)
            at_end = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - at_end < 0.1
        often, rarely = (watcher.result() for watcher in watchers)
        assert [(progress.elements, progress.ended) for progress in rarely] == [(0, False), (20, True)]
        assert [progress.elements for progress in often] == [0, 0, 5, 10, 15, 20]
        assert [progress.ended for progress in often] == [False] * 5 + [True]
        assert (often[-1].failed, often[-1].seconds) == (5, load.progress.seconds)
        assert load.report.counts["rejected"] == 5
        assert [progress.elements for progress in await watched(load)] == [20], "the end is still there"


async def test_watchers_that_leave_or_are_cancelled() -> None:
    """A watcher can leave at any point; the load does not notice."""
    async with serving(latency=Latency(base=3)) as (simulator, afas), census(afas, simulator):
        async with afas.load(SUBJECT, max_elements=5, in_flight=1, validate=False) as load:
            task = asyncio.create_task(watched(load))
            async for progress in load.watch():
                if progress.elements or load.report.total == 0:
                    break
            for item in elements(10):
                await load.add(item)
            await asyncio.sleep(2)
            task.cancel()
        assert load.report.counts["applied"] == 10
        assert (await asyncio.gather(task, return_exceptions=True))[0].__class__ is asyncio.CancelledError


@pytest.mark.parametrize("end", ["cancelled", "refused", "error"])
async def test_watch_ends_with_the_load(end: str) -> None:
    """However a load ends, its watchers do."""
    async with serving(latency=Latency(base=60)) as (simulator, afas):
        if end == "refused":
            simulator.faults.add(Fault(status=404, path="metainfo"))
        load = afas.load(SUBJECT)
        watcher = asyncio.create_task(watched(load))
        await steps(3)
        with pytest.raises((TimeoutError, AfasError, KeyError)):
            async with asyncio.timeout(100), load:
                await load.add(element(0))
                if end == "error":
                    raise KeyError
                await asyncio.sleep(1_000)
        last = (await watcher)[-1]
        assert last.ended
        assert last.elements == load.report.total == (0 if end == "refused" else 1)
        assert last.in_flight == last.waiting == 0


@pytest.mark.parametrize("every", [0, -1, float("nan"), "1", None])
async def test_watch_too_often(every: Any, afas: AfasClient) -> None:
    """A pause that is not a number of seconds is refused."""
    with pytest.raises(UsageError, match="every"):
        await watched(afas.load(SUBJECT), every)


# --- must ---


async def test_must_apply() -> None:
    """The end of the block raises unless all is applied, with the report."""
    async with serving() as (_, afas):
        async with afas.load(SUBJECT, must="apply") as good:
            await good.add(element(0))
        with pytest.raises(LoadError, match="2 elements: 0 applied, 2 rejected") as raised:
            async with afas.load(SUBJECT, must="apply", validate=False) as load:
                await load.add(element(1))
                await load.add(faulty(2))
        assert raised.value.report is load.report
        assert raised.value.whose == "caller"


async def test_must_apply_and_an_error_in_the_block() -> None:
    """An exception of the block is raised, and nothing replaces it."""
    async with serving() as (_, afas):
        with pytest.raises(KeyError):
            async with afas.load(SUBJECT, must="apply") as load:
                await load.add(element(0))
                raise KeyError
        assert load.report.counts["not_sent"] == 1


async def test_must_apply_of_a_stream() -> None:
    """A stream of outcomes raises after the last of them."""
    async with serving() as (_, afas):
        found: list[str] = []
        with pytest.raises(LoadError):
            async with afas.outcomes(SUBJECT, elements(3, 1), must="apply", on_reject="split", validate=False) as each:
                found.extend([outcome.status async for outcome in each])
        assert found == []
        async with afas.outcomes(SUBJECT, elements(3, 1), must="apply", on_reject="split", validate=False) as each:
            with pytest.raises(LoadError):
                while True:
                    found.append((await anext(each)).status)
        assert found == ["applied", "rejected", "applied"]


async def test_must_is_checked(afas: AfasClient) -> None:
    """`must` accepts one value only."""
    with pytest.raises(UsageError, match="must must be"):
        afas.load(SUBJECT, must="everything")  # type: ignore[typeddict-item]


# --- reports that nobody looks at ---


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings, after all unused objects are collected."""
    gc.collect()
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_report_that_nobody_looks_at(caplog: pytest.LogCaptureFixture) -> None:
    """A load with failures whose report is never read gives one warning in the log when it is collected."""
    async with serving() as (_, afas):
        async with afas.load(SUBJECT) as load:
            await load.add({"Nope": 1})
        assert complaints(caplog) == []
        del load
        await steps(3)
        (text,) = complaints(caplog)
        assert "KnSubject: nobody has read the report of a load: 1 element: 0 applied" in text
        assert "Nope" not in text


@pytest.mark.parametrize("how", ["report", "earlier", "must", "failures", "outcomes", "error", "applied", "resolve"])
async def test_reports_that_say_nothing(how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Reading the report, saving the failures, or an exception makes the warning unnecessary."""
    async with serving() as (_, afas):
        options: dict[str, Any] = {"must": "apply"} if how == "must" else {}
        if how == "failures":
            options["failures"] = tmp_path / "failures"
        if how == "outcomes":
            async with afas.outcomes(SUBJECT, [{"Nope": 1}]) as each:
                assert [outcome.status async for outcome in each] == ["not_sent"]
        else:
            load = afas.load(SUBJECT, **options)
            try:
                async with load:
                    if how == "earlier":
                        assert load.report.total == 0
                    await load.add(element(0) if how == "applied" else {"Nope": 1})
                    if how == "error":
                        pytest.fail("in the block")
            except (pytest.fail.Exception, LoadError):
                assert how in {"error", "must"}
            if how == "report":
                assert load.report.counts["not_sent"] == 1
            if how == "resolve":
                await load.save_failures(tmp_path / "saved")
            del load
        await steps(3)
        assert complaints(caplog) == []


async def test_unknown_elements_of_a_cancelled_load(caplog: pytest.LogCaptureFixture) -> None:
    """A cancellation carries no outcomes, so the log reports the elements it leaves unknown."""
    async with serving(latency=Latency(base=60)) as (_, afas):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5), afas.load(SUBJECT, validate=False) as load:
                await load.add(element(0))
                await asyncio.sleep(10)
        del load
        await steps(3)
        assert any("1 unknown" in text for text in complaints(caplog))


async def test_a_closed_client_stops_a_load_that_is_watched() -> None:
    """Closing a client ends its load and the watcher."""
    async with serving(latency=Latency(base=60)) as (_, afas):
        load = afas.load(SUBJECT, validate=False)
        watcher = asyncio.create_task(watched(load))
        async with load:
            await load.add(element(0))
            await asyncio.sleep(1)
            await afas.aclose()
        assert load.report.counts["unknown"] == 1
        assert (await watcher)[-1].ended
        with pytest.raises(ClientClosedError):
            await afas.load(SUBJECT).__aenter__()
