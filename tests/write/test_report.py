"""The report of a load, its progress, its options, and the errors about misuse."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest

from afas_async import (
    AfasClient,
    AfasError,
    ClientClosedError,
    LoadError,
    LoadProgress,
    LoadReport,
    Outcome,
    UsageError,
)
from afas_async.simulator import Fault, Latency, Simulator
from afas_async.vocabulary.outcomes import LISTED
from tests.support.written_service import SUBJECT, agree, element, elements, serving


async def test_all_applied(simulator: Simulator, afas: AfasClient) -> None:
    """Nothing is raised, and the text has the numbers."""
    async with afas.load(SUBJECT) as load:
        for item in elements(1_234):
            await load.add(item)
    load.report.raise_for_failures()
    assert load.report.failed == []
    assert str(load.report) == "1,234 elements: 1,234 applied, 0 rejected, 0 unknown, 0 not_sent"
    assert (load.report.rejected, load.report.unknown, load.report.not_sent) == ([], [], [])
    agree(load.report, simulator)


async def test_failures() -> None:
    """The error counts the failures of each kind and shows the first; it survives a pickle."""
    async with serving() as (simulator, afas):
        simulator.faults.add(Fault(method="POST", cut="reset", after=2))
        async with afas.load(SUBJECT, max_elements=2, in_flight=1, validate=False) as load:
            for item in elements(10, 3):
                await load.add(item)
            await load.add("no element")
        with pytest.raises(LoadError) as failure:
            load.report.raise_for_failures()
        assert failure.value.report is load.report
        assert [outcome.index for outcome in load.report.failed] == [2, 3, 4, 5, 10]
        text = str(failure.value)
        assert text.startswith("11 elements: 6 applied, 2 rejected, 2 unknown, 1 not_sent; the first is element 2: ")
        assert "KnSubject: HTTP 500: De ingevoerde waarde" in text
        copy = pickle.loads(pickle.dumps(failure.value))  # noqa: S301 - our own
        assert isinstance(copy, LoadError)
        assert str(copy) == text
        assert copy.report.counts == load.report.counts
        assert [outcome.index for outcome in copy.report.unknown] == [4, 5]
        assert str(copy.report.unknown[0].error) == str(load.report.unknown[0].error)


def test_a_report_that_lists_nothing() -> None:
    """A load that is still under way has failures without a reason."""
    report = LoadReport(total=3)
    with pytest.raises(LoadError, match=r"3 elements: 0 applied, 0 rejected, 0 unknown, 0 not_sent$"):
        report.raise_for_failures()


def test_no_more_than_ten_thousand_are_listed() -> None:
    """All failures are counted."""
    report, error = LoadReport(), AfasError("x")
    for index in range(LISTED + 5):
        for status in ("applied", "rejected", "unknown", "not_sent"):
            report.record(Outcome(index, status, error=error))
    assert report.counts == dict.fromkeys(report.counts, LISTED + 5)
    assert [len(report.listed(status)) for status in ("rejected", "unknown", "not_sent")] == [LISTED] * 3
    assert report.unknown[-1].index == LISTED - 1
    assert LoadReport().rejected == [], "each report has lists of its own"


async def test_progress() -> None:
    """The numbers add up at every moment."""
    async with serving(latency=Latency(base=1)) as (simulator, afas):
        load = afas.load(SUBJECT, max_elements=4, in_flight=2, validate=False)
        assert load.progress == LoadProgress(0, 0, 0, 0, 0.0)
        assert load.progress.elements_per_second == 0
        async with load:
            for item in elements(20):
                await load.add(item)
                progress = load.progress
                assert progress.elements + progress.waiting + progress.in_flight == load.report.total
            await asyncio.sleep(0.5)
            progress = load.progress
            assert progress.in_flight == 8
            await asyncio.sleep(1)
            assert load.progress.calls - progress.calls == 2
            assert load.progress.elements - progress.elements == 8
        await asyncio.sleep(100)
        assert (load.progress.elements, load.progress.waiting, load.progress.in_flight) == (20, 0, 0)
        assert load.progress.calls == simulator.counters.writes
        assert 3 <= load.progress.seconds < 8, "it stands still in the end"
        assert load.progress.elements_per_second == 20 / load.progress.seconds


async def test_progress_of_halves() -> None:
    """Elements of a refused call whose half is not sent yet count as waiting."""
    async with (
        serving(latency=Latency(base=1)) as (_, afas),
        afas.load(SUBJECT, in_flight=1, on_reject="split", validate=False) as load,
    ):
        for item in elements(8, 0):
            await load.add(item)
        await asyncio.sleep(1.5)
        assert (load.progress.waiting, load.progress.in_flight) == (4, 4)


@pytest.mark.parametrize(
    "options",
    [
        {"max_elements": 0},
        {"max_bytes": 0},
        {"max_bytes": 75_000_001},
        {"target_seconds": 0},
        {"target_seconds": 900},
        {"target_seconds": float("nan")},
        {"in_flight": 0},
        {"on_reject": "retry"},
        {"on_reject": "split", "transaction": False},
    ],
    ids=str,
)
async def test_options_that_make_no_sense(options: dict[str, Any], afas: AfasClient) -> None:
    """Wrong options are refused when the load is made, and the error names them."""
    for make in (lambda: afas.load(SUBJECT, **options), lambda: afas.outcomes(SUBJECT, [], **options)):
        with pytest.raises(UsageError, match=next(iter(options))):
            make()


async def test_misuse(afas: AfasClient) -> None:
    """A load is entered once, and elements are added within its block."""
    load = afas.load(SUBJECT)
    with pytest.raises(UsageError, match="inside `async with"):
        await load.add(element(0))
    async with load:
        await load.add(element(0))
        with pytest.raises(UsageError, match="lookup=Lookup"):
            await load.resolve()
    with pytest.raises(UsageError, match="inside `async with"):
        await load.add(element(1))
    with pytest.raises(UsageError, match="enter a load once"):
        async with load:
            pass
    assert load.report.counts["applied"] == load.report.total == 1


async def test_a_closed_client(simulator: Simulator) -> None:
    """A closed client can make a load, but not enter it."""
    client = AfasClient(base_url=simulator.base_url, auth=simulator.token)
    for _ in range(2):
        with pytest.raises(ClientClosedError):
            async with client.load(SUBJECT):
                pass
        await client.aclose()
    assert simulator.counters.requests == 0


async def test_a_description_that_cannot_be_had() -> None:
    """A load that cannot check its elements does not begin."""
    async with serving() as (simulator, afas):
        with pytest.raises(AfasError, match="UpdateConnector"):
            async with afas.load("KnNope"):
                pass
        assert simulator.counters.writes == 0
