"""Records that are not applied: with their outcomes, in a file, and loaded again from there."""

from __future__ import annotations

import asyncio
import errno
import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from afas_async import AfasClient, Element, JournalError, UsageError, failed_records
from afas_async.simulator import Fault, Simulator
from afas_async.vocabulary.outcomes import Outcome
from afas_async.write.failures import FailureFile, line_of
from afas_async.write.journal import Journal
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


def _part(path: Path) -> Path:
    return Path(f"{path}.part")


def _is_there(path: Path) -> bool:
    return path.exists()


async def test_an_outcome_has_its_record(afas: AfasClient, simulator: Simulator) -> None:
    """Every outcome except applied keeps its record, whatever its status. No repr shows a record."""
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
    """Each line states the fault. Records without effect are read again; unknown ones are not."""
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
    """Keys, objects, lists, actions and exact numbers survive: the record is read as it was sent."""
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
    """The line with the finding replaces the line before it."""
    lines = [{"index": 0, "status": "unknown", "record": {"Ds": "a"}}, {"index": 1, "status": "unknown", "record": {}}]
    lines += [
        {"index": 0, "status": "not_sent", "record": {"Ds": "a"}},
        {"index": 1, "status": "applied", "record": None},
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    assert list(failed_records(path)) == [{"Ds": "a"}]


async def test_more_failures_than_a_report_lists(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file has all failures, and is written during the load."""
    monkeypatch.setattr("afas_async.vocabulary.outcomes.LISTED", 10)
    monkeypatch.setattr("afas_async.write.failures._FULL", 1_000)
    async with serving() as (_, afas), afas.load(SUBJECT, failures=path) as load:
        for number in range(500):
            await load.add({"StId": "none", "Ds": f"element {number}"})
        assert len(_lines(_part(path))) > 400
        assert not _is_there(path)
    assert len(load.report.not_sent) == 10
    assert [line["index"] for line in _lines(path)] == list(range(500))


async def test_a_file_that_cannot_be_written(tmp_path: Path, afas: AfasClient, simulator: Simulator) -> None:
    with pytest.raises(FileNotFoundError):
        await _load(afas, [element(0)], failures=tmp_path / "nowhere" / "failed", journal=tmp_path / "journal")
    assert not posts(simulator)
    assert not (tmp_path / "journal").exists()


@pytest.mark.parametrize(("most", "sent"), [(2, 3), (0, 1), (9, 10)])
async def test_too_many_rejected_records_stop_a_load(most: int, sent: int) -> None:
    """A closed period refuses every record, so the load need not try each of them."""
    async with serving() as (simulator, afas):
        load = await _load(afas, map(faulty, range(50)), max_rejected=most, max_elements=1, in_flight=1, validate=False)
        assert (load.report.counts["rejected"], load.report.counts["not_sent"]) == (sent, 50 - sent)
        assert len(posts(simulator)) == sent


# --- a journal that is finished ---


async def test_a_finished_journal_says_so(tmp_path: Path) -> None:
    """It would swallow tomorrow's load of equal records, so the load is refused with an error that says what to do."""
    journal = tmp_path / "journal"
    async with serving() as (simulator, afas):
        await _load(afas, elements(3), journal=journal)
        with pytest.raises(
            JournalError, match=r"was finished at .* delete the file before the next load, or give .* load_id="
        ):
            await _load(afas, elements(3), journal=journal)
        journal.unlink()
        assert (await _load(afas, elements(3), journal=journal)).report.counts["applied"] == 3
        assert len(posts(simulator)) == 2


async def test_a_load_id_begins_a_finished_journal_anew(tmp_path: Path) -> None:
    """The same id repeats a load that sends nothing. Another id is a new load, once the last is finished."""
    journal = tmp_path / "journal"
    async with serving() as (simulator, afas):
        for load_id, sent in (("monday", 1), ("monday", 1), ("tuesday", 2), ("tuesday", 2)):
            load = await _load(afas, elements(3), journal=journal, load_id=load_id)
            assert (load.report.counts["applied"], len(posts(simulator))) == (3, sent)
        await _load(afas, [*elements(3), faulty(3)], journal=journal, load_id="wednesday", validate=False)
        with pytest.raises(JournalError, match="the load 'wednesday' is not finished: run it again before 'thursday'"):
            await _load(afas, elements(3), journal=journal, load_id="thursday")
        with pytest.raises(UsageError, match="load_id needs a journal"):
            await _load(afas, elements(3), load_id="friday")


async def test_a_source_that_is_shorter_than_before(tmp_path: Path) -> None:
    """Elements that only the journal has are counted, and the load is not finished."""
    journal = tmp_path / "journal"
    async with serving() as (_, afas):
        load = await _load(afas, [*elements(5), faulty(5)], journal=journal, validate=False, max_elements=1)
        assert load.report.beyond == 0
        load = await _load(afas, elements(2), journal=journal)
        assert (load.report.counts["applied"], load.report.beyond) == (2, 4)
        assert str(load.report).endswith("; 4 more in the journal")
        assert (await _load(afas, elements(6), journal=journal)).report.counts["applied"] == 6


# --- the file, whatever happens meanwhile ---


class Lazy(Mapping[str, Any]):
    """A record that raises when a field is read."""

    def __getitem__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(["StId"])

    def __len__(self) -> int:
        return 1


class Mute:
    """A value without a text."""

    def __str__(self) -> str:
        raise KeyError


async def test_a_record_that_is_changed_after_it_was_added(path: Path) -> None:
    """The file has the values that were sent, so a source may reuse one dict for all records."""
    row: dict[str, Any] = {}
    async with serving() as (_, afas), afas.load(SUBJECT, failures=path, validate=False, max_elements=1) as load:
        for each in elements(4, 1):
            row.clear()
            row.update(each)
            await load.add(row)
    assert list(failed_records(path)) == [faulty(1)]


async def test_a_reference_is_not_loaded_again(path: Path) -> None:
    """The load wrote the reference, and the next load writes its own."""
    item = {"StId": 1, "St": "?"}
    async with serving() as (_, afas), afas.load(SUBJECT, failures=path, validate=False, reference="Ds") as load:
        await load.add(item)
    assert list(failed_records(path)) == [item]


@pytest.mark.parametrize("item", [Lazy(), Mute(), {"StId": Mute()}], ids=["mapping", "object", "value"])
async def test_a_record_that_raises_what_it_likes(item: Any, path: Path) -> None:
    """A record that raises any exception has its own line in the file, and affects no other record."""
    async with serving() as (simulator, afas):
        load = await _load(afas, [element(0), item, element(2)], failures=path)
        agree(load.report, simulator)
    assert load.report.counts == {"applied": 2, "rejected": 0, "unknown": 0, "not_sent": 1}
    assert [line["index"] for line in _lines(path)] == [1]


async def test_a_second_load_leaves_the_file_of_a_running_one(tmp_path: Path, path: Path) -> None:
    """The journal refuses the second load before it rewrites the file."""
    options: dict[str, Any] = {"journal": tmp_path / "journal", "failures": path}
    async with serving() as (_, afas), afas.load(SUBJECT, **options) as load:
        await load.add(ODD | {"Ds": None})
        assert load._failures is not None
        await load._failures.flush()
        with pytest.raises(JournalError, match="a running load has it open"):
            await _load(afas, [], **options)
        await load.add(ODD | {"Ds": [1]})
    assert [line["index"] for line in _lines(path)] == [0, 1]


async def test_cancelled_while_the_journal_closes(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is written all the same."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    close = Journal.close

    def slow(journal: Journal) -> None:
        loop.call_soon_threadsafe(task.cancel)
        time.sleep(0.1)
        close(journal)

    monkeypatch.setattr(Journal, "close", slow)
    async with serving() as (_, afas):
        with pytest.raises(asyncio.CancelledError):
            await _load(afas, [ODD], journal=tmp_path / "journal", failures=path)
        task.uncancel()
    assert [line["index"] for line in _lines(path)] == [0]


async def test_a_disk_that_is_full_for_a_while(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that could not be written are written later, and no half line stays."""
    file = FailureFile(path)
    await file.open()
    file.begin()
    file.add(Outcome(0, "not_sent", item={"Ds": "a"}), None)
    await file.flush()
    file.add(Outcome(1, "not_sent", item={"Ds": "b"}), None)
    with monkeypatch.context() as patch:
        real = file._file
        assert real is not None

        class Full:
            def __getattr__(self, name: str) -> Any:
                return getattr(real, name)

            def write(self, data: bytes) -> int:
                if len(data) < 20:
                    raise OSError(errno.ENOSPC, "full")
                return real.write(data[: len(data) // 2])

        patch.setattr(file, "_file", Full())
        with pytest.raises(OSError, match="full"):
            await file.flush()
    assert [line["index"] for line in _lines(_part(path))] == [0]
    await file.close()
    assert list(failed_records(path)) == [{"Ds": "a"}, {"Ds": "b"}]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
async def test_a_device_in_place_of_a_file() -> None:
    """A device can take the place of the file if it accepts data."""
    async with serving() as (_, afas):
        load = await _load(afas, [ODD], failures="/dev/null")
        assert load.report.counts["not_sent"] == 1
        with pytest.raises(OSError, match="No space left"):
            await _load(afas, [ODD], failures="/dev/full")


def test_a_line_that_was_not_written_to_its_end(path: Path) -> None:
    """After `kill -9` all earlier lines are read."""
    whole = line_of(Outcome(0, "not_sent", item={"Ds": "a"}))
    path.write_bytes(whole + whole[:-9])
    assert list(failed_records(path)) == [{"Ds": "a"}]
    path.write_bytes(whole[:-9] + b"\n" + whole)
    with pytest.raises(msgspec.DecodeError):
        list(failed_records(path))


async def test_a_finished_load_that_becomes_longer(tmp_path: Path) -> None:
    """With the same id the load continues. It is finished only once its new records are applied."""
    journal = tmp_path / "journal"
    async with serving() as (simulator, afas):
        await _load(afas, elements(3), journal=journal, load_id="monday")
        simulator.faults.add(Fault(method="POST", cut="reset"))
        load = await _load(afas, elements(5), journal=journal, load_id="monday")
        assert load.report.counts["unknown"] == 2
        with pytest.raises(JournalError, match="the load 'monday' is not finished"):
            await _load(afas, elements(3), journal=journal, load_id="tuesday")


async def test_a_load_that_is_left_early_is_not_finished(tmp_path: Path) -> None:
    """The source may have more elements, so the next run continues."""
    journal = tmp_path / "journal"

    async def source() -> AsyncIterator[dict[str, Any]]:
        for each in elements(4):
            yield each
            await asyncio.sleep(1)

    async with serving() as (simulator, afas):
        async with afas.outcomes(SUBJECT, source(), journal=journal) as outcomes:
            async for _ in outcomes:
                break
        assert outcomes.report.counts["applied"] == outcomes.report.total < 4
        load = await _load(afas, elements(4), journal=journal)
        assert load.report.counts["applied"] == 4
        assert set(written(simulator).values()) == {1}


async def test_a_file_may_be_the_source_of_the_load_that_replaces_it(path: Path) -> None:
    """Failed records are loaded again; the file then has those that fail again."""
    async with serving() as (simulator, afas):
        await _load(afas, [*elements(3, 0, 1, 2)], failures=path, validate=False, max_elements=1)
        async with afas.load(SUBJECT, failures=path, validate=False, max_elements=1) as load:
            for number, record in enumerate(failed_records(path)):
                await load.add(record | ({"St": "A"} if number else {}))
        assert load.report.counts == {"applied": 2, "rejected": 1, "unknown": 0, "not_sent": 0}
        assert list(failed_records(path)) == [faulty(0)]
        assert written(simulator) == {1: 1, 2: 1}
        assert not _is_there(_part(path))
