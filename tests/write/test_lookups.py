"""Looking up elements whose response was lost: a found row counts at once, a missing one only after some proof."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest

from afas_async import AfasClient, F, GetConnector, JournalError, PermissionDeniedError, UsageError, failed_records
from afas_async.simulator import Fault, Latency, Simulator
from afas_async.vocabulary.elements import Element
from afas_async.vocabulary.filters import Condition
from afas_async.write import lookups
from afas_async.write.journal import Journal
from afas_async.write.loader import Load
from afas_async.write.lookups import Lookup

SUBJECTS = GetConnector("Profit_Subjects", key="SubjectId")
DAY = timedelta(days=1)
QUIET = 961.0
DONE = Fault(method="POST", after=1, cut="reset")  # for the second element: applied, and its response lost
NOT_DONE = Fault(method="POST", after=1, status=502)


def by_subject(element: Element) -> Condition:
    return F.Subject == element.fields["Ds"]


def by_number(element: Element) -> Condition:
    return F.SubjectId == int(element.key["SbId"])


BY_SUBJECT: Lookup[dict[str, Any]] = Lookup(SUBJECTS, by_subject)
BY_NUMBER: Lookup[dict[str, Any]] = Lookup(SUBJECTS, by_number)


class Wall:
    """The wall clock of the process that looks something up, which somebody may set."""

    def __init__(self) -> None:
        self.set_by = timedelta(0)
        self._start = datetime.now(UTC), asyncio.get_running_loop().time()

    def now(self, _: tzinfo) -> datetime:
        start, clock = self._start
        return start + timedelta(seconds=asyncio.get_running_loop().time() - clock) + self.set_by


@pytest.fixture(autouse=True)
async def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    wall = Wall()
    monkeypatch.setattr(lookups, "datetime", wall)
    return wall


async def loaded(
    afas: AfasClient, *elements: dict[str, Any], lookup: Lookup[dict[str, Any]] | None = BY_SUBJECT, **options: Any
) -> Load:
    """Load elements one by one, the second with a fault, and leave the load."""
    options = {"max_elements": 1, "in_flight": 1, "validate": False} | options
    options |= {"load_id": "one"} if "journal" in options else {}
    async with afas.load("KnSubject", lookup=lookup, **options) as load:
        for element in elements or ({"StId": 1, "Ds": "control"}, {"StId": 1, "Ds": "lost"}):
            await load.add(element)
    return load


def outcome(load: Load) -> str:
    """Return the outcome of the second element; the first was applied."""
    assert sum(load.report.counts.values()) == load.report.total
    others = {status: count for status, count in load.report.counts.items() if count}
    others["applied"] -= 1
    (status,) = [status for status, count in others.items() if count]
    return status


def gets(simulator: Simulator) -> int:
    return sum(request.method == "GET" for request in simulator.requests)


# --- inserts ---


async def test_what_is_found_is_applied(afas: AfasClient, simulator: Simulator) -> None:
    """One row is proof, at once: the outcome is applied when the block ends."""
    simulator.faults.add(DONE)
    load = await loaded(afas)
    assert (outcome(load), gets(simulator)) == ("applied", 1)
    assert load.report.unknown == []


async def test_without_a_check_nothing_is_looked_up(afas: AfasClient, simulator: Simulator) -> None:
    """The outcome stays unknown, and `resolve` has nothing to do."""
    simulator.faults.add(DONE)
    load = await loaded(afas, lookup=None)
    assert (outcome(load), gets(simulator)) == ("unknown", 0)
    with pytest.raises(UsageError, match="give load"):
        await load.resolve()


async def test_what_is_not_found_is_absent_only_after_the_quiet_period(afas: AfasClient, simulator: Simulator) -> None:
    """Until then the service may still work on it. Then two lookups and a control decide."""
    simulator.faults.add(NOT_DONE)
    load = await loaded(afas)
    assert (outcome(load), gets(simulator)) == ("unknown", 1)
    await asyncio.sleep(900)
    await load.resolve()
    assert (outcome(load), gets(simulator)) == ("unknown", 2)
    await asyncio.sleep(QUIET - 900)
    assert (await load.resolve()) is load.report
    assert (outcome(load), gets(simulator)) == ("not_sent", 5)
    assert "you can send it again" in str(load.report.not_sent[0].error)


async def test_what_comes_late_is_found(afas: AfasClient, simulator: Simulator) -> None:
    """The service applies it ten minutes after the connection broke: the outcome is applied, once."""
    simulator.faults.add(NOT_DONE)
    load = await loaded(afas)
    await asyncio.sleep(600)
    assert outcome(load) == "unknown"
    await afas.insert("KnSubject", {"StId": 1, "Ds": "lost"})
    await asyncio.sleep(400)
    await load.resolve()
    assert outcome(load) == "applied"


async def test_nothing_is_absent_without_a_control(afas: AfasClient, simulator: Simulator) -> None:
    """A lookup that has never found an existing row cannot prove that a row is absent."""
    simulator.faults.add(Fault(method="POST", status=502))
    load = await loaded(afas, {"StId": 1, "Ds": "lost"})
    await asyncio.sleep(QUIET)
    await load.resolve()
    assert load.report.counts["unknown"] == 1


@pytest.mark.parametrize(
    "blind",
    [
        Lookup(GetConnector("Profit_Empty", key="Id"), lambda _: F.Id == 1),
        Lookup(SUBJECTS, lambda element: F.Subject == f"{element.fields['Ds']}?"),
        Lookup(SUBJECTS, lambda _: F.SubjectId.in_([])),
    ],
    ids=["a token that sees no rows", "a wrong condition", "a condition that nothing meets"],
)
async def test_a_lookup_that_finds_nothing(blind: Lookup[Any], afas: AfasClient, simulator: Simulator) -> None:
    """The lookup does not find the control either, so the outcome stays unknown."""
    simulator.faults.add(NOT_DONE)
    load = await loaded(afas, lookup=blind)
    await asyncio.sleep(QUIET)
    await load.resolve()
    assert outcome(load) == "unknown"


async def test_a_lookup_without_a_condition(afas: AfasClient, simulator: Simulator) -> None:
    """A function that returns None asks for any row, and proves nothing, even if there is only one."""
    simulator.store.execute("DELETE FROM Profit_Subjects")
    simulator.faults.add(NOT_DONE)
    nothing: Lookup[dict[str, Any]] = Lookup(SUBJECTS, lambda _: None)  # type: ignore[arg-type, return-value]
    load = await loaded(afas, lookup=nothing)
    assert outcome(load) == "unknown"
    with pytest.raises(UsageError, match="where: expected a function that returns a condition"):
        await load.resolve()


async def test_two_rows(afas: AfasClient, simulator: Simulator) -> None:
    """With two rows, the lookup cannot decide which one it is, or whether both are: a person has to look."""
    await afas.insert("KnSubject", {"StId": 1, "Ds": "lost"})
    simulator.faults.add(DONE)
    load = await loaded(afas)
    await asyncio.sleep(QUIET)
    await load.resolve()
    assert outcome(load) == "unknown"


@pytest.mark.parametrize(("type_id", "expected"), [(1, "applied"), (2, "unknown")])
async def test_a_row_that_differs(type_id: int, expected: str, afas: AfasClient, simulator: Simulator) -> None:
    """A row with other values proves nothing, before and after the quiet period."""
    simulator.faults.add(NOT_DONE)
    lookup = Lookup(SUBJECTS, by_subject, matches=lambda element, row: row["TypeId"] == element.fields["StId"])
    load = await loaded(afas, lookup=lookup)
    await afas.insert("KnSubject", {"StId": type_id, "Ds": "lost"})
    await asyncio.sleep(QUIET)
    await load.resolve()
    assert outcome(load) == expected


async def test_two_looks_that_disagree(afas: AfasClient, simulator: Simulator) -> None:
    """A row that appears between two lookups is not absent."""
    looks: list[str] = []

    def where(element: Element) -> Condition:
        looks.append(element.fields["Ds"])
        if looks == ["lost", "lost", "control", "lost"]:
            rows = simulator.store.execute("SELECT max(SubjectId) + 1 FROM Profit_Subjects")
            simulator.store.insert("Profit_Subjects", {"SubjectId": rows[0][0], "TypeId": 1, "Subject": "lost"})
        return by_subject(element)

    simulator.faults.add(NOT_DONE)
    load = await loaded(afas, lookup=Lookup(SUBJECTS, where))
    await asyncio.sleep(QUIET)
    await load.resolve()
    assert outcome(load) == "unknown"
    await load.resolve()
    assert outcome(load) == "applied"


# --- clocks ---


@pytest.mark.parametrize("days", [1, -1])
async def test_a_clock_that_is_set_meanwhile(days: int, wall: Wall, afas: AfasClient, simulator: Simulator) -> None:
    """A clock set forward ends no quiet period; one set back only makes it longer."""
    simulator.faults.add(NOT_DONE)
    load = await loaded(afas)
    wall.set_by = days * DAY
    await asyncio.sleep(900)
    await load.resolve()
    assert outcome(load) == "unknown"
    await asyncio.sleep(QUIET - 900)
    await load.resolve()
    assert outcome(load) == ("not_sent" if days > 0 else "unknown")


def earlier_start(path: Path) -> None:
    """Make the journal look as if it was written before the machine started."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE elements SET sent = sent + 1e9")
        database.commit()


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_clock_that_is_set_between_two_runs(
    restarted: bool,  # noqa: FBT001
    wall: Wall,
    tmp_path: Path,
    afas: AfasClient,
    simulator: Simulator,
) -> None:
    """The next run knows how long ago an element was sent, unless the machine restarted in between."""
    simulator.faults.add(NOT_DONE)
    path = tmp_path / "journal"
    await loaded(afas, journal=path, lookup=None)
    if restarted:
        earlier_start(path)
    wall.set_by = DAY
    load = await loaded(afas, journal=path)
    assert outcome(load) == ("not_sent" if restarted else "unknown")
    wall.set_by = -DAY
    await asyncio.sleep(QUIET)
    load = await loaded(afas, journal=path)
    assert outcome(load) == ("applied" if restarted else "unknown")


# --- updates and deletes ---


def shows(element: Element, row: dict[str, Any]) -> bool:
    return bool(row["Subject"] == element.fields["Ds"])


async def test_an_update_must_be_compared(afas: AfasClient) -> None:
    """The row of an update exists in any case."""
    with pytest.raises(UsageError, match=r"give Lookup\(\.\.\., matches=\)"):
        afas.load("KnSubject", action="update", lookup=BY_NUMBER)


@pytest.mark.parametrize(("fault", "expected"), [(DONE, "applied"), (NOT_DONE, "unknown")])
async def test_updates(fault: Fault, expected: str, afas: AfasClient, simulator: Simulator) -> None:
    """An update whose fields show is applied. Otherwise it may have been applied, and changed since."""
    simulator.faults.add(Fault(method="PUT", after=1, cut=fault.cut, status=fault.status))
    elements = ({"@SbId": 5, "Ds": "five"}, {"@SbId": 6, "Ds": "six"})
    load = await loaded(afas, *elements, lookup=Lookup(SUBJECTS, by_number, shows), action="update")
    assert outcome(load) == expected
    await asyncio.sleep(QUIET)
    await load.resolve()
    assert outcome(load) == expected


@pytest.mark.parametrize(("fault", "expected"), [(DONE, ["applied"] * 2), (NOT_DONE, ["unknown", "not_sent"])])
async def test_deletes(fault: Fault, expected: list[str], afas: AfasClient, simulator: Simulator) -> None:
    """A missing row is deleted. An existing one may still be deleted until the quiet period is over."""
    simulator.faults.add(Fault(method="DELETE", after=1, cut=fault.cut, status=fault.status))
    load = await loaded(afas, {"@SbId": 5}, {"@SbId": 6}, lookup=BY_NUMBER, action="delete")
    found = [outcome(load)]
    await asyncio.sleep(QUIET)
    await load.resolve()
    assert [*found, outcome(load)] == expected


async def test_a_delete_looked_up_by_who_sees_no_rows(afas: AfasClient, simulator: Simulator) -> None:
    """A token that may not see the rows cannot prove a delete."""
    simulator.faults.add(Fault(method="DELETE", after=1, status=502))
    blind: Lookup[dict[str, Any]] = Lookup(GetConnector("Profit_Empty", key="Id"), lambda _: F.Id == 1)
    load = await loaded(afas, {"@SbId": 5}, {"@SbId": 6}, lookup=blind, action="delete")
    await asyncio.sleep(QUIET)
    await load.resolve()
    assert outcome(load) == "unknown"


@pytest.mark.parametrize(("action", "expected"), [("update", "unknown"), ("delete", "not_sent")])
async def test_an_element_with_an_action_of_its_own(
    action: str, expected: str, afas: AfasClient, simulator: Simulator
) -> None:
    """The lookup uses the element's own action: an existing row proves no update and no delete."""
    lookup = Lookup(SUBJECTS, lambda element: by_number(element) if element.key else by_subject(element))
    simulator.faults.add(NOT_DONE)
    other = {"@SbId": 6, "@Action": action, "Done": True}
    load = await loaded(afas, {"StId": 1, "Ds": "control"}, other, lookup=lookup)
    assert outcome(load) == "unknown"
    await asyncio.sleep(QUIET)
    await load.resolve()
    assert outcome(load) == expected


# --- what goes wrong ---


async def test_lookups_that_fail(afas: AfasClient, simulator: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    """The block ends with its report. `resolve` raises the error, and works once the fault is fixed."""
    simulator.faults.add(DONE, Fault(method="GET", status=403, times=2))
    with caplog.at_level(logging.WARNING, "afas_async"):
        load = await loaded(afas)
    assert outcome(load) == "unknown"
    assert "KnSubject: unknown outcomes could not be looked up: Profit_Subjects: HTTP 403" in caplog.text
    with pytest.raises(PermissionDeniedError):
        await load.resolve()
    assert outcome(load) == "unknown"
    await load.resolve()
    assert outcome(load) == "applied"


async def test_what_was_found_before_a_failure_stays(simulator: Simulator) -> None:
    """Of several lookups, those before the failing one count."""
    async with AfasClient(base_url=simulator.base_url, auth=simulator.token, max_concurrency=1) as afas:
        simulator.faults.add(Fault(method="POST", cut="reset", times=3), Fault(method="GET", after=1, status=403))
        load = await loaded(afas, *({"StId": 1, "Ds": f"lost {number}"} for number in range(3)))
        assert load.report.counts == {"applied": 1, "rejected": 0, "unknown": 2, "not_sent": 0}
        await load.resolve()
        assert load.report.counts["applied"] == 3


async def test_lookups_go_side_by_side(afas: AfasClient, simulator: Simulator) -> None:
    """As many lookups run at once as the client may send, and progress counts them."""
    simulator.latency = Latency(base=1.0)
    simulator.faults.add(Fault(method="POST", cut="reset", times=9))
    load = afas.load("KnSubject", lookup=BY_SUBJECT, max_elements=4, in_flight=1, validate=False)
    async with load:
        for number in range(9 * 4):
            await load.add({"StId": 1, "Ds": f"lost {number}"})
        started = asyncio.get_running_loop().time()
    assert load.report.counts["applied"] == load.progress.looked_up == 36
    assert simulator.counters.peak_in_flight == 5
    assert asyncio.get_running_loop().time() - started < 9 + 36 / 5 + 2


@pytest.mark.parametrize("journal", [True, False])
async def test_a_reference_that_the_load_writes(
    tmp_path: Path, afas: AfasClient, simulator: Simulator, *, journal: bool
) -> None:
    """A reference distinguishes records with equal values, also in the next run."""
    simulator.faults.add(DONE, Fault(method="POST", after=1, status=502))
    options: dict[str, Any] = {"reference": "Ds", "max_elements": 1, "in_flight": 1, "validate": False}
    options |= {"journal": tmp_path / "journal", "load_id": "one"} if journal else {}
    lookup: Lookup[dict[str, Any]] = Lookup(SUBJECTS, lambda element: F.Subject == element.fields["Ds"])
    load = await loaded(afas, *[{"StId": 1}] * 3, lookup=lookup, **options)
    assert load.report.counts == {"applied": 2, "rejected": 0, "unknown": 1, "not_sent": 0}
    if journal:
        await asyncio.sleep(QUIET)
        await load.resolve()
        load = await loaded(afas, *[{"StId": 1}] * 3, lookup=lookup, **options)
        assert load.report.counts["applied"] == 3
    texts = [
        text for (text,) in simulator.store.execute("SELECT Subject FROM Profit_Subjects WHERE Subject LIKE '%-%'")
    ]
    numbers = sorted(text.partition("-")[2] for text in texts if len(text.partition("-")[0]) == 16)
    assert numbers == (["0", "1", "2"] if journal else ["0", "1"])


async def test_what_a_reference_is_for(afas: AfasClient) -> None:
    with pytest.raises(UsageError, match="reference= works for inserts only"):
        afas.load("KnSubject", action="update", reference="Ds")
    with pytest.raises(UsageError, match="the lookup cannot find an element"):
        afas.load("KnSubject", lookup=Lookup(SUBJECTS))
    load = await loaded(afas, {"StId": 1, "Ds": "mine"}, lookup=Lookup(GetConnector("X")), reference="Ds")
    assert "Ds: the load writes its reference there" in str(load.report.not_sent[0].error)


async def test_resolve_comes_after_the_load(afas: AfasClient) -> None:
    """Nothing is looked up while elements are being sent."""
    async with afas.load("KnSubject", lookup=BY_SUBJECT) as load:
        with pytest.raises(UsageError, match="end the block of the load before"):
            await load.resolve()


# --- with a journal ---


async def test_findings_are_noted(tmp_path: Path, afas: AfasClient, simulator: Simulator) -> None:
    """A found element is applied for the next run too. The next run sends an absent one, once."""
    path = tmp_path / "journal"
    simulator.faults.add(DONE, Fault(method="POST", after=1, status=502))
    elements = [{"StId": 1, "Ds": text} for text in ("control", "done", "not done")]
    load = await loaded(afas, *elements, journal=path)
    assert load.report.counts == {"applied": 2, "rejected": 0, "unknown": 1, "not_sent": 0}
    await asyncio.sleep(QUIET)
    await load.resolve()
    assert load.report.counts == {"applied": 2, "rejected": 0, "unknown": 0, "not_sent": 1}
    load = await loaded(afas, *elements, journal=path)
    assert load.report.counts == {"applied": 3, "rejected": 0, "unknown": 0, "not_sent": 0}
    rows = simulator.store.execute(
        "SELECT Subject FROM Profit_Subjects WHERE Subject IN ('control', 'done', 'not done')"
    )
    assert sorted(rows) == [("control",), ("done",), ("not done",)]


async def test_the_next_run_looks_up_what_an_earlier_one_left(
    tmp_path: Path, afas: AfasClient, simulator: Simulator
) -> None:
    """The next run finds an element that an earlier run left unknown."""
    simulator.faults.add(DONE)
    assert outcome(await loaded(afas, journal=tmp_path / "journal", lookup=None)) == "unknown"
    assert outcome(await loaded(afas, journal=tmp_path / "journal")) == "applied"
    assert outcome(await loaded(afas, journal=tmp_path / "journal", lookup=None)) == "applied"


async def test_a_record_that_is_taken_out_of_a_source_with_references(
    tmp_path: Path, afas: AfasClient, simulator: Simulator
) -> None:
    """A reference marks a position. The next record is recognized without it, and does not move into the gap."""
    options: dict[str, Any] = {"reference": "Ds", "journal": tmp_path / "journal", "lookup": None}
    elements = [{"StId": 1, "St": "?"}, {"StId": 1}, {"StId": 2}]
    await loaded(afas, *elements, **options)
    sent = simulator.counters.writes
    with pytest.raises(JournalError, match="element 0: the journal has another element at this position"):
        await loaded(afas, *elements[1:], **options)
    assert simulator.counters.writes == sent


async def test_findings_are_in_the_file_of_failures(tmp_path: Path, afas: AfasClient, simulator: Simulator) -> None:
    """The file lists an element that `resolve` finds absent as one to load again."""
    simulator.faults.add(NOT_DONE)
    load = await loaded(afas, failures=tmp_path / "failed")
    assert list(failed_records(tmp_path / "failed")) == []
    await asyncio.sleep(QUIET)
    await load.resolve()
    assert outcome(load) == "not_sent"
    assert list(failed_records(tmp_path / "failed")) == [{"StId": 1, "Ds": "lost"}]


async def test_cancelled_while_a_finding_is_noted(
    tmp_path: Path, afas: AfasClient, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report follows the journal, so that the next `resolve` does not ask again."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    correct = Journal.correct

    def slow(journal: Journal, number: int, state: Any) -> None:
        loop.call_soon_threadsafe(task.cancel)
        time.sleep(0.1)
        correct(journal, number, state)

    simulator.faults.add(Fault(method="POST", cut="reset"), Fault(method="GET", path="Subjects", status=400))
    load = await loaded(afas, {"StId": 1, "Ds": "lost"}, journal=tmp_path / "journal")
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "correct", slow)
        with pytest.raises(asyncio.CancelledError):
            await load.resolve()
        task.uncancel()
    assert (await load.resolve()).counts["applied"] == 1


async def test_a_load_that_was_left_early_is_not_finished_by_what_is_found(
    tmp_path: Path, afas: AfasClient, simulator: Simulator
) -> None:
    """All given elements are applied, but the source was not read to its end."""
    simulator.faults.add(DONE)
    elements = [{"StId": 1, "Ds": text} for text in ("control", "lost", "later")]
    load = afas.load("KnSubject", lookup=BY_SUBJECT, journal=tmp_path / "journal", max_elements=1, in_flight=1)
    with suppress(ZeroDivisionError):
        async with load:
            for element in elements[:2]:
                await load.add(element)
                await asyncio.sleep(1)
            raise ZeroDivisionError
    assert (await load.resolve()).counts["applied"] == 2
    async with afas.load("KnSubject", journal=tmp_path / "journal") as load:
        for element in elements:
            await load.add(element)
    assert load.report.counts["applied"] == 3
