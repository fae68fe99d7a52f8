"""Records that are not applied: with their outcomes, in a file, and loaded again from there."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from afas_async import AfasClient, Element, JournalError, UsageError, failed_records
from afas_async.simulator import Fault, Simulator
from tests.support.written_service import SUBJECT, agree, element, elements, faulty, posts, serving, written

ODD = {"StId": 1, "Ds": {1, 2}}


class Subject(msgspec.Struct, rename={"type": "StId", "subject": "Ds"}):
    type: int
    subject: str


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "failed.ndjson"


async def _load(afas: AfasClient, items: Any, **options: Any) -> Any:
    async with afas.load(SUBJECT, **options) as load:
        for item in items:
            await load.add(item)
    return load


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_an_outcome_has_its_record(afas: AfasClient, simulator: Simulator) -> None:
    """All that is not applied, whatever its status; what is applied keeps nothing, and no repr shows it."""
    simulator.faults.add(Fault(method="POST", cut="reset", after=2))
    items = [element(0), faulty(1), element(2), ODD]
    async with afas.outcomes(SUBJECT, items, max_elements=1, in_flight=1, validate=False) as outcomes:
        found = [outcome async for outcome in outcomes]
    assert [outcome.status for outcome in found] == ["applied", "rejected", "unknown", "not_sent"]
    assert [outcome.item for outcome in found] == [None, *items[1:]]
    assert [outcome.item for outcome in outcomes.report.rejected] == [items[1]]
    assert "element 1" not in repr(found) + repr(outcomes.report)


@pytest.mark.parametrize("way", ["meanwhile", "afterwards"])
async def test_a_file_of_failures_is_the_source_of_the_next_load(way: str, path: Path) -> None:
    """Each line tells what is wrong; what had no effect is read again, what is unknown is not."""
    async with serving() as (simulator, afas):
        simulator.faults.add(Fault(method="POST", cut="reset", after=4))
        options = {"max_elements": 1, "in_flight": 1, "validate": False}
        items = [*elements(4, 1, 3), element(4), ODD, Subject(1, "element 6")]
        load = await _load(afas, items, **options, **({"failures": path} if way == "meanwhile" else {}))
        if way == "afterwards":
            await load.save_failures(path)
        agree(load.report, simulator)
        lines = _lines(path)
        assert sorted((line["index"], line["status"], line["call"]) for line in lines) == [
            (1, "rejected", 1), (3, "rejected", 3), (4, "unknown", 4), (5, "not_sent", None)
        ]  # fmt: skip
        refusal = next(line for line in lines if line["index"] == 1)
        assert refusal["record"] == faulty(1)
        assert refusal["log_reference"] in refusal["message"]
        again = list(failed_records(path))
        assert again == [faulty(1), faulty(3), {"StId": 1, "Ds": [1, 2]}]
        await _load(afas, [record | {"St": "A"} for record in again[:2]], **options)
        assert written(simulator) == dict.fromkeys([0, 1, 2, 3, 4, 6], 1)


async def test_every_form_of_a_record_comes_back(path: Path) -> None:
    """Keys, objects, lists of them, actions and exact numbers: what is read is sent as the record was."""
    item = Element(
        {"Ds": "x", "Amount": Decimal("12345678901234567890.10"), "On": datetime(2024, 7, 1, 12)},  # noqa: DTZ001
        key={"SbId": 3},
        objects={"KnSubjectLink": {"SfId": 1}, "Lines": [{"No": 1}, Element({"No": 2}, action="delete")]},
        action="update",
    )
    async with serving() as (_, afas):
        await _load(afas, [item], validate=True, failures=path)
        (record,) = failed_records(path)
    assert record == {
        "@SbId": 3, "@Action": "update", "Ds": "x", "Amount": Decimal("12345678901234567890.10"),
        "On": "2024-07-01T12:00:00", "KnSubjectLink": {"SfId": 1}, "Lines": [{"No": 1}, {"@Action": "delete", "No": 2}],
    }  # fmt: skip


def test_what_a_look_up_finds_is_not_read_again(path: Path) -> None:
    """The line that says what was found takes the place of the one before."""
    lines = [{"index": 0, "status": "unknown", "record": {"Ds": "a"}}, {"index": 1, "status": "unknown", "record": {}}]
    lines += [
        {"index": 0, "status": "not_sent", "record": {"Ds": "a"}},
        {"index": 1, "status": "applied", "record": None},
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    assert list(failed_records(path)) == [{"Ds": "a"}]


async def test_more_failures_than_a_report_lists(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file has all of them, and is written while the load goes on."""
    monkeypatch.setattr("afas_async.vocabulary.outcomes.LISTED", 10)
    monkeypatch.setattr("afas_async.write.failures._FULL", 1_000)
    async with serving() as (_, afas), afas.load(SUBJECT, failures=path) as load:
        for number in range(500):
            await load.add({"StId": "none", "Ds": f"element {number}"})
        assert len(_lines(path)) > 400
    assert len(load.report.not_sent) == 10
    assert [line["index"] for line in _lines(path)] == list(range(500))


async def test_a_file_that_cannot_be_written(tmp_path: Path, afas: AfasClient, simulator: Simulator) -> None:
    with pytest.raises(FileNotFoundError):
        await _load(afas, [element(0)], failures=tmp_path / "nowhere" / "failed", journal=tmp_path / "journal")
    assert not posts(simulator)
    assert not (tmp_path / "journal").exists()


@pytest.mark.parametrize(("most", "sent"), [(2, 3), (0, 1), (9, 10)])
async def test_too_many_rejected_records_stop_a_load(most: int, sent: int) -> None:
    """A closed period refuses everything: it need not be asked for each record."""
    async with serving() as (simulator, afas):
        load = await _load(afas, map(faulty, range(50)), max_rejected=most, max_elements=1, in_flight=1, validate=False)
        assert (load.report.counts["rejected"], load.report.counts["not_sent"]) == (sent, 50 - sent)
        assert len(posts(simulator)) == sent


# --- a journal that is finished ---


async def test_a_finished_journal_says_so(tmp_path: Path) -> None:
    """Tomorrow's load of equal records would be swallowed: it is refused, and told how to go about it."""
    journal = tmp_path / "journal"
    async with serving() as (simulator, afas):
        await _load(afas, elements(3), journal=journal)
        with pytest.raises(
            JournalError, match=r"was finished at .* delete it before the next load, or give .* load_id="
        ):
            await _load(afas, elements(3), journal=journal)
        journal.unlink()
        assert (await _load(afas, elements(3), journal=journal)).report.counts["applied"] == 3
        assert len(posts(simulator)) == 2


async def test_a_load_id_begins_a_finished_journal_anew(tmp_path: Path) -> None:
    """The same id repeats a load that sends nothing; another one is a new load, once the last is finished."""
    journal = tmp_path / "journal"
    async with serving() as (simulator, afas):
        for load_id, sent in (("monday", 1), ("monday", 1), ("tuesday", 2), ("tuesday", 2)):
            load = await _load(afas, elements(3), journal=journal, load_id=load_id)
            assert (load.report.counts["applied"], len(posts(simulator))) == (3, sent)
        await _load(afas, [*elements(3), faulty(3)], journal=journal, load_id="wednesday", validate=False)
        with pytest.raises(
            JournalError, match="of the load 'wednesday', which is not finished, and this is 'thursday'"
        ):
            await _load(afas, elements(3), journal=journal, load_id="thursday")
        with pytest.raises(UsageError, match="load_id names a load in its journal"):
            await _load(afas, elements(3), load_id="friday")


async def test_a_source_that_is_shorter_than_before(tmp_path: Path) -> None:
    """What the journal has beyond it is counted, and the load is not finished."""
    journal = tmp_path / "journal"
    async with serving() as (_, afas):
        load = await _load(afas, [*elements(5), faulty(5)], journal=journal, validate=False, max_elements=1)
        assert load.report.beyond == 0
        load = await _load(afas, elements(2), journal=journal)
        assert (load.report.counts["applied"], load.report.beyond) == (2, 4)
        assert str(load.report).endswith("; 4 more in the journal")
        assert (await _load(afas, elements(6), journal=journal)).report.counts["applied"] == 6
