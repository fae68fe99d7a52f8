"""The order of changes to one record, however its key is spelled, and whatever the outcome of the one before."""

from __future__ import annotations

import asyncio
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from afas_async import AfasClient, Element, UpdateConnector
from afas_async.simulator import Latency, Rules, Simulator
from afas_async.write.intake import Intake
from tests.support.written_service import SUBJECT, element, posts, serving, statuses


class Number(Enum):
    THREE = 3


SAME = [
    [3, "3", "03", 3.0, Decimal(3), Decimal("3.00"), " 3 ", Number.THREE, "+3"],
    [date(2024, 1, 31), datetime(2024, 1, 31), "2024-01-31", "2024-01-31T00:00:00", "2024-01-31T00:00:00Z"],  # noqa: DTZ001
    [True, "true", 1, "TRUE"],
    ["abc", "ABC", "abc "],
]
OTHERS = [3, 4, "3a", "0.3", date(2024, 2, 1), "abc", "abd", False, 30, "-3"]


def _lane(value: Any) -> Any:
    intake = Intake(UpdateConnector("KnSubject"), "update", transaction=True, metainfo=None)
    return intake.piece(0, Element({"Ds": "x"}, key={"SbId": value})).lane


@pytest.mark.parametrize("spellings", SAME)
def test_a_key_has_one_lane_however_it_is_spelled(spellings: list[Any]) -> None:
    assert len({_lane(value) for value in spellings}) == 1


def test_other_keys_have_other_lanes() -> None:
    assert len({_lane(value) for value in OTHERS}) == len(OTHERS)


@pytest.mark.parametrize("name", ["@SbId", "SbId"])
@pytest.mark.parametrize("connector", [SUBJECT, UpdateConnector(SUBJECT, key="SbId")])
@pytest.mark.parametrize("validate", [True, False])
async def test_changes_to_one_record_keep_their_order(name: str, connector: Any, *, validate: bool) -> None:
    """With or without a check, with the key in its place or among the fields: no later change overtakes."""
    async with serving(rows=10, latency=Latency(base=0.5)) as (simulator, afas):
        async with afas.load(connector, action="update", max_elements=1, validate=validate) as load:
            await load.add({name: 3, "Ds": "first"})
            await asyncio.sleep(0.1)
            simulator.latency = Latency()  # the first call takes longer than the second
            await load.add({name: "03", "Ds": "second"})
        assert load.report.counts["applied"] == 2
        assert simulator.store.execute("SELECT Subject FROM Profit_Subjects WHERE SubjectId = 3") == [("second",)]


async def test_calls_go_side_by_side_where_keys_are_known() -> None:
    """Only an update without a known key waits for the one before it. An insert is a new record."""
    latency = Latency(base=1.0)
    for items, action, most in (
        ([{"@SbId": number, "Ds": "x"} for number in range(1, 9)], "update", 4),
        ([{"SbId": number, "Ds": "x"} for number in range(1, 9)], "update", 1),
        ([element(number) for number in range(8)], "insert", 4),
    ):
        async with serving(rows=10, latency=latency) as (simulator, afas):
            async with afas.load(SUBJECT, action=action, max_elements=1, validate=False) as load:  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
                for item in items:
                    await load.add(item)
            assert load.report.counts["applied"] == 8
            assert simulator.counters.peak_in_flight == most


async def test_a_record_that_the_check_refuses_closes_its_lane(tmp_path: Path) -> None:
    """The later one with its key is held back. After a correction, both are sent in order."""
    first, second = {"@SbId": 3, "Ds": "first", "St": "Z"}, {"@SbId": "3", "Ds": "second"}
    async with serving(rows=10) as (simulator, afas):
        journal = tmp_path / "journal"

        async def run(*items: dict[str, Any]) -> list[str]:
            async with afas.outcomes(SUBJECT, items, action="update", journal=journal) as outcomes:
                return statuses([outcome async for outcome in outcomes])

        assert await run(first, second, {"@SbId": 4, "Ds": "other"}) == ["not_sent", "not_sent", "applied"]
        assert await run({**first, "St": "A"}, second, {"@SbId": 4, "Ds": "other"}) == ["applied"] * 3
        assert simulator.store.execute("SELECT Subject FROM Profit_Subjects WHERE SubjectId = 3") == [("second",)]


ACTIONS: list[Any] = [
    {"@SbId": 3, "@Action": "delete"},
    {"@SbId": 3, "@action": "delete"},
    {"@SbId": 3, "@ACTION": "delete"},
    Element({"@action": "delete"}, key={"SbId": 3}),
    Element(key={"SbId": 3, "Action": "delete"}),
    Element(key={"SbId": 3}, action="delete"),
]


@pytest.mark.parametrize("item", ACTIONS)
@pytest.mark.parametrize("beside", [0, 2])
async def test_an_action_means_the_same_alone_and_in_a_batch(item: Any, beside: int) -> None:
    """Both spellings of an action work, as AFAS's own examples use two."""
    async with serving(rows=10) as (simulator, afas):
        async with afas.load(SUBJECT, action="update") as load:
            for number in range(beside):
                await load.add({"@SbId": 5 + number, "Ds": "x"})
            await load.add(item)
        assert load.report.counts["applied"] == beside + 1
        assert not simulator.store.execute("SELECT 1 FROM Profit_Subjects WHERE SubjectId = 3")


async def test_two_actions_are_a_mistake() -> None:
    async with serving(rows=10) as (simulator, afas):
        async with afas.load(SUBJECT, action="update") as load:
            await load.add(Element({"@action": "delete"}, key={"SbId": 3}, action="insert"))
        assert "has one action, not insert and delete" in str(load.report.not_sent[0].error)
        assert simulator.counters.writes == 0


ODD: list[Any] = [
    None, [1], "x", 5, {"Ds": {1}}, {"Ds": float("nan")}, {"StId": 10**5_000}, {"Ds": "\ud800"}, {"\ud800": 1},
    Element({None: 1, "Ds": "x"}),  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    Element({("a", "b"): 1}),  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    Element({1.5: 1}),  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    Element(None),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Element([("Ds", 1)]),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Element({"Ds": "x"}, key=None),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Element({}, key={1: "a", "SbId": 2}),  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    Element({"Ds": "x"}, objects=None),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Element({"Ds": "x"}, objects={None: {"a": 1}}),  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    Element({"Ds": "x"}, objects={"KnSubjectLink": 5}),  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
]  # fmt: skip


@pytest.mark.parametrize("validate", [True, False])
async def test_an_odd_element_is_an_outcome(*, validate: bool) -> None:
    """`add` does not raise, whatever a source gives. Each is "not_sent" with an error; the others are sent."""
    async with serving() as (simulator, afas):
        async with afas.load(SUBJECT, validate=validate) as load:
            for number, odd in enumerate(ODD):
                await load.add(odd)
                await load.add(element(number))
        assert [outcome.index for outcome in load.report.not_sent] == list(range(0, 2 * len(ODD), 2))
        assert load.report.counts["applied"] == len(ODD)
        assert sum(posts(simulator)) == len(ODD)
        assert all(str(outcome.error).startswith("KnSubject: element ") for outcome in load.report.not_sent)


async def test_connectors_that_take_one_record_a_call() -> None:
    """AFAS documents some of these, which are sent singly by default. Others need a declaration."""
    named = ["FiContract", "FiEntries", "FiIVY", "FiInvoice", "FiSepaDirectDebit", "KnContact"]
    assert [UpdateConnector(name).takes_one for name in [*named, "KnPerson"]] == [True] * len(named) + [False]
    async with serving(rules=Rules(one_each=(SUBJECT,))) as (simulator, afas):
        async with afas.load(SUBJECT) as load:
            for number in range(40):
                await load.add(element(number))
        assert load.report.counts["rejected"] == 40  # a list of them is refused
        async with afas.load(UpdateConnector(SUBJECT, single=True)) as load:
            for number in range(40):
                await load.add(element(number))
        assert load.report.counts["applied"] == 40
        assert set(posts(simulator)[-40:]) == {1}


async def test_a_cancellation_of_something_else_is_an_error_like_others(afas: AfasClient, simulator: Simulator) -> None:
    """A source or block may await a cancelled task: the load still waits for calls in flight."""
    simulator.latency = Latency(base=0.3)

    async def cancelled() -> None:
        task = asyncio.create_task(asyncio.sleep(10))
        await asyncio.sleep(0.1)
        task.cancel()
        await task

    async def source() -> Any:
        yield element(0)
        await cancelled()

    outcomes, load = afas.outcomes(SUBJECT, source()), afas.load(SUBJECT)

    async def read() -> None:
        async with outcomes:
            _ = [outcome async for outcome in outcomes]

    async def write() -> None:
        async with load:
            await load.add(element(1))
            await cancelled()

    for work, report in ((read, outcomes.report), (write, load.report)):
        with pytest.raises(asyncio.CancelledError):
            await work()
        assert report.counts == {"applied": 1, "rejected": 0, "unknown": 0, "not_sent": 0}
