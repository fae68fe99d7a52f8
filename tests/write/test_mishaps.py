"""Faults around a write: in this process, by the caller, and in the given elements."""

from __future__ import annotations

import asyncio
import enum
from pathlib import Path
from typing import Any

import pytest

from afas_async import (
    AfasClient,
    Element,
    F,
    GetConnector,
    InvalidElementError,
    Load,
    Lookup,
    OutcomeUnknownError,
    UsageError,
)
from afas_async.calls.write import Write
from afas_async.simulator import Fault, Latency, Rules, Simulator
from tests.support.written_service import SUBJECT, element, elements, faulty, serving, written


class Code(str, enum.Enum):  # noqa: UP042 - its str() differs from its value
    BOLT = "000001"


async def _loaded(load: Load) -> None:
    async with load:
        for item in elements(3):
            await load.add(item)


@pytest.mark.parametrize(("where", "status"), [("receive", "applied"), ("begin", "unknown")])
async def test_a_fault_here_takes_nothing_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str, status: str
) -> None:
    """If this process fails while a response arrives, the service still has the elements: none is sent again."""
    async with serving() as (simulator, afas):
        with monkeypatch.context() as patch:
            patch.setattr(Write, where, lambda *_: (_ for _ in ()).throw(MemoryError))
            load = afas.load(SUBJECT, journal=tmp_path / "journal", validate=False)
            with pytest.raises(MemoryError):
                await _loaded(load)
        assert load.report.counts[status] == 3  # type: ignore[literal-required]
        again = afas.load(SUBJECT, journal=tmp_path / "journal", validate=False)
        await _loaded(again)
        assert again.report.counts == load.report.counts
        assert written(simulator) == {0: 1, 1: 1, 2: 1}


@pytest.mark.parametrize("action", ["Insert", "INSERT", "remove", ""])
async def test_an_action_that_is_none(simulator: Simulator, afas: AfasClient, action: Any) -> None:
    """An unknown action is refused before anything is sent, and not taken for an update."""
    with pytest.raises(UsageError, match="action must be one of insert, update, delete"):
        afas.load(SUBJECT, action=action)
    with pytest.raises(UsageError, match="action must be one of"):
        afas.outcomes(SUBJECT, [], action=action)
    with pytest.raises(UsageError, match="action must be one of"):
        await afas.validate(SUBJECT, [], action=action)
    assert not simulator.requests


@pytest.mark.parametrize(
    "item",
    [
        {"@ItCd": "000001", "Ds": "x"},
        Element({}, key={"ItCd": "000001"}, action="update"),
        {"@ItCd": "000001", "FbUnitItem": {"@VaUn": 1}},
    ],
)
async def test_a_delete_of_less_than_a_record(simulator: Simulator, afas: AfasClient, item: Any) -> None:
    """A delete with a field, a line or another action is refused: it would delete the whole record."""
    async with afas.load("FbItemArticle", action="delete", validate=False) as load:
        await load.add(item)
    (outcome,) = load.report.not_sent
    assert isinstance(outcome.error, InvalidElementError)
    assert simulator.counters.writes == 0


async def test_a_key_that_is_a_member(afas: AfasClient) -> None:
    """A member of an enumeration stands for its value, in a URL too."""
    await afas.delete("FbItemArticle", key={"ItCd": Code.BOLT})
    async with afas.load("FbItemArticle", action="delete") as load:
        await load.add({"@ItCd": "000002"})
    load.report.raise_for_failures()
    assert await afas.rows("Profit_Article", key="ItemCode", where=F.ItemCode < "000003").to_list() == []


@pytest.mark.parametrize("empty", ["", None])
async def test_an_empty_key_is_none(empty: Any) -> None:
    """New records with an empty number have nothing in common, so they share calls."""
    async with serving() as (simulator, afas):
        async with afas.load(SUBJECT, validate=empty == "") as load:
            for number in range(200):
                await load.add({**element(number), "SbId": ""} if empty == "" else element(number))
        load.report.raise_for_failures()
        assert simulator.counters.writes < 10


async def test_keys_as_the_service_compares_them() -> None:
    """Keys that differ in case or blanks only may be one record: they are never in flight together."""
    async with serving(rows=10, latency=Latency(base=0.1)) as (simulator, afas):
        async with afas.load("FbItemArticle", action="update", transaction=False, validate=False) as load:
            for key in ("000001", "000001 ", " 000001"):
                await load.add({"@ItCd": key, "Ds": "x"})
        sent = [record.elements for record in simulator.requests]
        assert sent == [1] * len(sent)
        assert load.report.counts["applied"] >= 1


async def test_a_refused_credential_is_not_for_ever(tmp_path: Path) -> None:
    """Elements that a wrong token kept from being written are written by the next run with a good one."""
    async with serving() as (simulator, afas):
        simulator.faults.add(Fault(method="POST", status=403, times=None))
        async with afas.load(SUBJECT, journal=tmp_path / "journal", validate=False) as load:
            for item in elements(10):
                await load.add(item)
        assert load.report.counts["applied"] == 0
        simulator.faults.clear()
        async with afas.load(SUBJECT, journal=tmp_path / "journal", validate=False) as load:
            for item in elements(10):
                await load.add(item)
        load.report.raise_for_failures()
        assert written(simulator) == dict.fromkeys(range(10), 1)


async def test_resolving_twice_at_once() -> None:
    """A second `resolve` is refused, as both would correct the same outcomes."""
    lookup = Lookup(GetConnector("Profit_Subjects"), lambda given: F.Subject == given.fields["Ds"])
    async with serving() as (simulator, afas):
        simulator.faults.add(
            Fault(method="POST", cut="reset"), Fault(connector="Profit_Subjects", status=404, times=None)
        )
        async with afas.load(SUBJECT, lookup=lookup, validate=False) as load:
            for item in elements(4):
                await load.add(item)
        assert load.report.counts["unknown"] == 4
        simulator.faults.clear()
        first, second = await asyncio.gather(load.resolve(), load.resolve(), return_exceptions=True)
        assert first is load.report
        assert isinstance(second, UsageError)
        assert load.report.counts == {"applied": 4, "rejected": 0, "unknown": 0, "not_sent": 0}


async def test_a_lookup_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    """An exception in the user's condition costs no report: it is logged, and raised by `resolve`."""
    lookup = Lookup(GetConnector("Profit_Subjects"), lambda given: F.Subject == given.fields["Missing"])
    async with serving() as (simulator, afas):
        simulator.faults.add(Fault(method="POST", cut="reset"))
        async with afas.load(SUBJECT, lookup=lookup, validate=False) as load:
            await load.add(element(0))
        assert load.report.counts["unknown"] == 1
        assert "could not be looked up" in caplog.text
        with pytest.raises(KeyError):
            await load.resolve()


async def test_a_raw_list_may_be_applied_in_part() -> None:
    """A refused raw call with several elements is unknown, as some of them may be applied."""
    async with serving(rules=Rules(partial_lists=True)) as (simulator, afas):
        pair = [{"Fields": element(0)}, {"Fields": faulty(1)}]
        with pytest.raises(OutcomeUnknownError):
            await afas.request("POST", "connectors/KnSubject", json={"KnSubject": {"Element": pair}})
        assert written(simulator) == {0: 1}
