"""Loads that are refused in part: who is refused, who is sent all the same, and when a load stops."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afas_async import (
    AuthenticationError,
    BusinessError,
    ConnectError,
    InvalidElementError,
    JournalError,
    OutcomeUnknownError,
    PayloadTooLargeError,
    PermissionDeniedError,
    UnavailableError,
)
from afas_async.simulator import Fault, Latency, Rules
from afas_async.write import intake
from afas_async.write.journal import Journal
from tests.support.thoroughness import by_default
from tests.support.virtual_time import VirtualTimeLoop
from tests.support.written_service import SUBJECT, agree, element, elements, faulty, posts, serving, written


async def test_continue() -> None:
    """A refused call rejects all of its elements, and applies none; the others are applied."""
    async with serving() as (simulator, afas):
        async with afas.load(SUBJECT, max_elements=10, validate=False) as load:
            for item in elements(100, 3, 55, 57):
                await load.add(item)
        rejected = {outcome.index for outcome in load.report.rejected}
        assert {3, 55, 57} <= rejected
        assert len(rejected) in {20, 30}
        for outcome in load.report.rejected:
            assert isinstance(outcome.error, BusinessError)
            assert outcome.batch is not None
            assert outcome.key is None
        agree(load.report, simulator)


async def test_stop() -> None:
    """Nothing is sent after a refusal; calls in flight keep their outcomes."""
    async with serving(latency=Latency(base=0.1)) as (simulator, afas):
        async with afas.load(SUBJECT, max_elements=10, in_flight=2, validate=False, on_reject="stop") as load:
            for item in elements(200, 35):
                await load.add(item)
        assert {outcome.index for outcome in load.report.rejected} == set(range(30, 40))
        assert load.report.counts["applied"] <= 50
        assert load.report.not_sent[0].error is load.report.rejected[0].error
        assert sum(posts(simulator)) == 200 - load.report.counts["not_sent"]
        agree(load.report, simulator)


@pytest.mark.parametrize("culprits", [(), (0,), (99,), (0, 99), (15, 16, 17), (40, 41, 42, 90), tuple(range(30))])
async def test_split(culprits: tuple[int, ...]) -> None:
    """Exactly the faulty elements are rejected, and every other one is applied once."""
    async with serving() as (simulator, afas):
        async with afas.load(SUBJECT, validate=False, on_reject="split") as load:
            for item in elements(100, *culprits):
                await load.add(item)
        assert sorted(outcome.index for outcome in load.report.rejected) == list(culprits)
        assert load.report.counts["applied"] == 100 - len(culprits)
        assert simulator.counters.writes == load.progress.calls
        agree(load.report, simulator)


@given(count=st.integers(1, 60), culprits=st.sets(st.integers(0, 59), max_size=12), in_flight=st.integers(1, 4))
@settings(max_examples=by_default(6, 25), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_split_anywhere(count: int, culprits: set[int], in_flight: int) -> None:
    """Splitting finds the faulty elements wherever they are."""

    async def load_them() -> None:
        async with serving(latency=Latency(base=0.01)) as (simulator, afas):
            load = afas.load(SUBJECT, validate=False, on_reject="split", in_flight=in_flight, max_elements=20)
            async with load:
                for item in elements(count, *culprits):
                    await load.add(item)
            assert {outcome.index for outcome in load.report.rejected} == {each for each in culprits if each < count}
            agree(load.report, simulator)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(load_them())


async def test_split_meets_a_lost_answer() -> None:
    """A half whose response is lost is unknown, and not split."""
    async with serving() as (simulator, afas):
        simulator.faults.add(Fault(method="POST", cut="reset", after=1))
        async with afas.load(SUBJECT, validate=False, on_reject="split", in_flight=1) as load:
            for item in elements(8, 6):
                await load.add(item)
        assert {outcome.index for outcome in load.report.unknown} == {0, 1, 2, 3}
        assert {outcome.index for outcome in load.report.rejected} == {6}
        agree(load.report, simulator)


async def test_split_meets_the_end() -> None:
    """Halves that wait when a load stops are not sent."""
    async with serving() as (simulator, afas):
        simulator.faults.add(Fault(method="POST", status=401, after=1))
        async with afas.load(SUBJECT, validate=False, on_reject="split", in_flight=1) as load:
            for item in elements(8, 6):
                await load.add(item)
            await asyncio.sleep(1)
            assert load.report.counts["rejected"] == load.report.counts["not_sent"] == 4
        agree(load.report, simulator)


async def test_nothing_is_split_after_the_end() -> None:
    """A call that is refused when the load has already stopped is rejected as a whole."""
    async with serving(latency=Latency(base=1)) as (simulator, afas):
        simulator.faults.add(Fault(method="POST", status=401, times=1), Fault(method="POST", delay=5, after=1))
        async with asyncio.timeout(60):
            async with afas.load(SUBJECT, validate=False, on_reject="split", in_flight=2, max_elements=8) as load:
                for item in elements(24, 12):
                    await load.add(item)
        assert load.report.counts == {"applied": 0, "rejected": 16, "unknown": 0, "not_sent": 8}
        agree(load.report, simulator)


@pytest.mark.parametrize("full", [False, True])
async def test_split_with_a_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, full: bool) -> None:
    """A call is noted as without effect before its halves are sent; if that fails, they are not."""

    def fail(_: Journal, call: int) -> None:
        raise JournalError(f"no room for call {call}")

    if full:
        monkeypatch.setattr(Journal, "postpone", fail)
    async with serving() as (simulator, afas):
        path = tmp_path / "journal"
        async with afas.load(SUBJECT, on_reject="split", in_flight=1, validate=False, journal=path) as load:
            for item in elements(20, 3):
                await load.add(item)
        assert len(load.report.rejected) == (0 if full else 1)
        if full:
            assert "no room for call 0" in str(load.report.not_sent[0].error)
        agree(load.report, simulator)
        sent = simulator.counters.writes
        async with afas.load(SUBJECT, journal=path, validate=False) as again:
            for item in elements(20, 3) if full else elements(20):
                await again.add(item)
        # The refused element is corrected now. If the note failed, the call is in flight for ever.
        assert posts(simulator)[sent:] == [4 if full else 1]
        assert again.report.counts["applied"] == (4 if full else 20)
        assert again.report.counts["unknown"] == (16 if full else 0)
        assert not set(written(simulator).values()) - {1}


async def test_untagged_lists() -> None:
    """Without a transaction the outcome of a refused list is unknown; a single element is rejected."""
    async with serving(rules=Rules(partial_lists=True)) as (simulator, afas):
        async with afas.load(SUBJECT, max_elements=10, in_flight=1, validate=False, transaction=False) as load:
            for item in elements(31, 14, 30):
                await load.add(item)
        assert {outcome.index for outcome in load.report.unknown} == set(range(10, 20))
        assert {outcome.index for outcome in load.report.rejected} == {30}
        assert {10, 11, 12, 13} <= set(written(simulator)), "the service keeps what stands before the refused one"
        error = load.report.unknown[0].error
        assert isinstance(error, OutcomeUnknownError)
        assert error.stage == "answered"
        agree(load.report, simulator)


async def test_tagged_lists() -> None:
    """With a transaction, a service that would keep a part of a list keeps nothing of a refused one."""
    async with serving(rules=Rules(partial_lists=True)) as (simulator, afas):
        async with afas.load(SUBJECT, max_elements=10, validate=False) as load:
            for item in elements(100, 14):
                await load.add(item)
        assert load.report.counts["rejected"] == 10
        assert load.report.counts["unknown"] == 0
        agree(load.report, simulator)


@pytest.mark.parametrize("transaction", [True, False])
@pytest.mark.parametrize("on_reject", ["continue", "stop"])
async def test_too_large(on_reject: Any, *, transaction: bool) -> None:
    """A call too large for the service, or for a proxy, was not processed: it is sent in halves."""
    async with serving() as (simulator, afas):
        simulator.faults.add(Fault(method="POST", status=413, times=5))
        load = afas.load(SUBJECT, in_flight=1, on_reject=on_reject, transaction=transaction, validate=False)
        async with load:
            for item in elements(16):
                await load.add(item)
        assert posts(simulator) == ([0] * 5 if on_reject == "stop" else [0, 0, 0, 0, 0, 1, 2, 4, 8])
        (rejected,) = load.report.rejected
        assert rejected.index == 0
        assert isinstance(rejected.error, PayloadTooLargeError)
        assert load.report.counts["not_sent"] == (15 if on_reject == "stop" else 0)
        agree(load.report, simulator)


async def test_what_was_too_large_once() -> None:
    """Later calls do not become as large again, which would only be refused."""
    async with serving() as (simulator, afas):
        simulator.faults.add(Fault(method="POST", status=413))
        async with afas.load(SUBJECT, in_flight=1, validate=False) as load:
            for item in elements(200):
                await load.add(item)
        refused, *sent = posts(simulator)
        assert refused == 0
        assert sent[:2] == [8, 8]
        assert max(sent) == 8
        agree(load.report, simulator)


@pytest.mark.parametrize(("status", "kind"), [(401, AuthenticationError), (403, PermissionDeniedError)])
@pytest.mark.parametrize("on_reject", ["continue", "split"])
async def test_no_access(status: Any, kind: type[Exception], on_reject: Any) -> None:
    """A credential that is refused halfway is not tried again and again."""
    async with serving(latency=Latency(base=0.1)) as (simulator, afas):
        simulator.faults.add(Fault(method="POST", status=status, after=5, times=None))
        async with afas.load(SUBJECT, max_elements=5, on_reject=on_reject, validate=False) as load:
            for item in elements(300):
                await load.add(item)
        counts = load.report.counts
        assert counts["applied"] == 25
        assert counts["rejected"] <= 20
        assert counts["not_sent"] == 300 - 25 - counts["rejected"]
        assert simulator.counters.writes <= 9, "those that were in flight"
        assert isinstance(load.report.not_sent[0].error, kind)
        agree(load.report, simulator)


async def test_a_service_that_goes_away() -> None:
    """Elements that could not be sent with all retries, and the rest, are not sent."""
    async with serving(latency=Latency(base=0.1), max_retries=2) as (simulator, afas):
        async with afas.load(SUBJECT, max_elements=5, validate=False) as load:
            for number, item in enumerate(elements(300)):
                await load.add(item)
                if number == 100:
                    for site in simulator._runner.sites:
                        await site.stop()
        counts = load.report.counts
        assert counts["applied"] >= 25
        assert counts["unknown"] == counts["rejected"] == 0
        assert counts["applied"] + counts["not_sent"] == 300
        assert isinstance(load.report.not_sent[0].error, ConnectError)
        agree(load.report, simulator)


async def test_a_service_in_maintenance() -> None:
    """A service that asks to wait gets the calls again. If the wait exceeds the time of a call, the load stops."""
    async with serving(latency=Latency(base=0.1)) as (simulator, afas):
        simulator.faults.add(Fault(method="POST", status=503, retry_after=5, after=3, times=4))
        async with afas.load(SUBJECT, max_elements=5, validate=False) as load:
            for item in elements(100):
                await load.add(item)
        assert load.report.counts["applied"] == 100
        simulator.faults.add(Fault(method="POST", status=503, retry_after=7_200, times=None))
        sent = simulator.counters.writes
        async with afas.load(SUBJECT, max_elements=5, validate=False) as load:
            for number in range(100, 200):
                await load.add(element(number))
        assert load.report.counts["not_sent"] == 100
        assert simulator.counters.writes - sent <= 4
        assert isinstance(load.report.not_sent[-1].error, UnavailableError)


async def test_locked_records() -> None:
    """A call that meets a lock is sent again, and applied once."""
    async with serving() as (simulator, afas):
        simulator.faults.add(Fault(connector=SUBJECT, method="POST", refusal="locked", times=3))
        async with afas.load(SUBJECT, max_elements=10, in_flight=2) as load:
            for item in elements(50):
                await load.add(item)
        assert load.report.counts["applied"] == 50
        assert simulator.counters.writes == load.progress.calls + 3
        agree(load.report, simulator)


async def test_every_attempt_arrives_once() -> None:
    """However many responses are lost or refused, the service sees each call exactly once."""
    async with serving(latency=Latency(base=0.05)) as (simulator, afas):
        for after in range(0, 40, 5):
            simulator.faults.add(
                Fault(method="POST", cut="reset", after=after),
                Fault(method="POST", status=502, after=after + 1),
                Fault(method="POST", cut="reset", works_after=100, after=after + 2),
            )
        async with afas.load(SUBJECT, max_elements=3, validate=False) as load:
            for item in elements(200):
                await load.add(item)
        assert simulator.faults.left == []
        assert simulator.counters.writes == load.progress.calls >= 67
        assert load.report.counts["unknown"] >= 70
        agree(load.report, simulator)
        await asyncio.sleep(200)
        agree(load.report, simulator)


async def test_invalid_elements() -> None:
    """An element that cannot be sent has its outcome at once, and costs no call."""
    async with serving() as (simulator, afas):
        async with afas.load(SUBJECT, max_elements=10) as load:
            for number in range(50):
                await load.add({"StId": "one"} if number in {7, 8} else element(number))
            await load.add("no element")
            await load.add({"StId": 1, "Ds": None})
        assert [outcome.index for outcome in load.report.not_sent] == [7, 8, 50, 51]
        assert all(isinstance(outcome.error, InvalidElementError) for outcome in load.report.not_sent)
        assert "element 7: StId" in str(load.report.not_sent[0].error)
        assert load.report.counts["applied"] == 48
        agree(load.report, simulator)


async def test_an_invalid_element_stops() -> None:
    """With on_reject="stop" an invalid element counts as a refusal."""
    async with serving(latency=Latency(base=0.1)) as (simulator, afas):
        async with afas.load(SUBJECT, on_reject="stop", max_elements=5) as load:
            for number in range(100):
                await load.add({"Nope": 1} if number == 40 else element(number))
        assert load.report.counts["applied"] <= 40
        assert load.report.counts["not_sent"] >= 60
        assert "element 40" in str(load.report.not_sent[-1].error)
        agree(load.report, simulator)


async def test_an_element_that_no_call_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """An element too large for any call is not sent, and the others are."""
    monkeypatch.setattr(intake, "BODY_LIMIT", 3_000)
    async with serving() as (simulator, afas):
        async with afas.load(SUBJECT, validate=False) as load:
            await load.add({**element(0), "SbTx": "x" * 2_000})
            await load.add(element(1))
        (left,) = load.report.not_sent
        assert "element 0: it has 2" in str(left.error)
        agree(load.report, simulator)


async def test_without_a_check() -> None:
    """The service itself refuses unknown fields, and only the writes are sent."""
    async with serving() as (simulator, afas):
        async with afas.load(SUBJECT, validate=False) as load:
            await load.add(element(0))
            await asyncio.sleep(1)
            await load.add({"Nope": 1})
            await asyncio.sleep(1)
            await load.add(faulty(2))
        assert [record.method for record in simulator.requests] == ["POST"] * 3
        assert [outcome.index for outcome in load.report.rejected] == [1, 2]
        agree(load.report, simulator)
