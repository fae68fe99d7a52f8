"""Loads with a journal: the notes before and after each call, and how the next run uses them."""

from __future__ import annotations

import asyncio
import itertools
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from afas_async import AfasClient, JournalError, OutcomeUnknownError
from afas_async.simulator import Fault, Simulator
from afas_async.vocabulary.outcomes import LoadReport, Outcome, Status
from afas_async.write.journal import Journal
from afas_async.write.journal_file import JournalFile
from afas_async.write.loader import Load
from tests.support import canary
from tests.support.kill_loader import Plan
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.thoroughness import by_default

ROOT = Path(__file__).parents[2]
ANSWER = b'{"results":{"KnSubject":{"SbId":"201"}}}'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def subject(number: int, **fields: Any) -> dict[str, Any]:
    return {"StId": 1, "Ds": f"Subject {number}"} | fields


def load_of(afas: AfasClient, path: Path, **options: Any) -> Load:
    return afas.load("KnSubject", **{"journal": path, "load_id": "one", "max_elements": 1, "validate": False} | options)


async def run(afas: AfasClient, path: Path, *elements: dict[str, Any], **options: Any) -> LoadReport:
    async with load_of(afas, path, **options) as load:
        for element in elements:
            await load.add(element)
    return load.report


def posts(simulator: Simulator) -> int:
    return sum(request.method == "POST" for request in simulator.requests)


def states(path: Path) -> dict[int, str]:
    """Return the states in a journal's files. A copy is read: the journal is locked, and must not change."""
    copy = path.parent / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for name in ("journal", "journal-wal"):
        if path.with_name(name).exists():
            shutil.copy(path.with_name(name), copy)
    with closing(sqlite3.connect(copy / "journal")) as database:
        return dict(database.execute("SELECT number, state FROM elements ORDER BY number"))


Answer = Callable[[Received], object]


@pytest.fixture
async def scripted() -> AsyncIterator[tuple[list[Answer], RawServer, AfasClient]]:
    """Run a service that does what the test's list has for each request, and then returns a key."""
    script: list[Answer] = []

    async def answer(connection: Connection, received: Received) -> None:
        for act in script:
            act(received)
        await connection.answer(ANSWER, status=201)

    async with RawServer(answer) as server, AfasClient(base_url=server.base_url, auth=canary.TOKEN) as afas:
        yield script, server, afas


# --- before and after a call ---


async def test_the_note_is_there_before_the_service_is(
    path: Path, scripted: tuple[list[Answer], RawServer, AfasClient]
) -> None:
    """When a request arrives, the file has its element in flight, and earlier ones as applied."""
    script, _, afas = scripted
    seen: list[dict[int, str]] = []
    script.append(lambda _: seen.append(states(path)))
    report = await run(afas, path, *map(subject, range(3)), in_flight=1)
    assert report.counts["applied"] == 3
    assert seen == [
        {0: "in flight"},
        {0: "applied", 1: "in flight"},
        {0: "applied", 1: "applied", 2: "in flight"},
    ]
    assert states(path) == {0: "applied", 1: "applied", 2: "applied"}


def _traces() -> bool:
    strace = shutil.which("strace")
    return strace is not None and subprocess.run([strace, "-o", "/dev/null", "true"], check=False).returncode == 0


@pytest.mark.skipif(not _traces(), reason="strace cannot be used here")
def test_the_note_is_synced_before_the_first_byte_leaves(tmp_path: Path) -> None:
    """System calls: each write to the log is followed by a sync, and only then the body is sent."""

    async def load() -> None:
        async with Simulator(rows=50, token=canary.TOKEN) as simulator:
            plan = Plan(simulator.base_url, "traced", elements=5, check=False, faulty=False, in_flight=1)
            (tmp_path / "plan").write_bytes(msgspec.json.encode(plan))
            traced = ("strace", "-f", "-y", "-s", "200", "-o", str(tmp_path / "trace"))
            calls = "trace=fsync,fdatasync,pwrite64,write,sendto,sendmsg,writev"
            command = (*traced, "-e", calls, sys.executable, "-m", "tests.support.kill_loader", str(tmp_path))
            process = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
            assert await process.wait() == 0

    asyncio.run(load())
    sent, unsynced = 0, False
    for line in (tmp_path / "trace").read_text(encoding="latin-1").splitlines():
        if "journal-wal>" in line:
            unsynced = "sync(" not in line
        elif "POST /" in line or "KnSubject" in line:
            sent += "KnSubject" in line
            assert not unsynced, line
    assert sent >= 5


@contextmanager
def failing(load: Load, how: str) -> Iterator[None]:
    """Make the disk fail under the journal of a load."""
    thread = load._ledger.thread
    assert thread is not None
    if how == "read-only":
        thread.post(lambda: thread.journal._file.database.execute("PRAGMA query_only = 1"))
        yield
    else:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))  # no write to a file succeeds
        yield
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


FAILURES = {"read-only": "readonly database", "broken": "disk I/O error"}


@pytest.mark.parametrize("how", FAILURES)
async def test_a_disk_that_fails_before_a_call(path: Path, how: str, afas: AfasClient, simulator: Simulator) -> None:
    """An element that cannot be noted is not sent, nor is any after it; the next run sends them."""
    await run(afas, path, subject(0))
    async with load_of(afas, path) as load:
        with failing(load, how):
            for number in range(4):
                await load.add(subject(number))
            await load._finish()
    assert posts(simulator) == 1
    assert load.report.counts == {"applied": 1, "rejected": 0, "unknown": 0, "not_sent": 3}
    for outcome in load.report.not_sent:
        assert isinstance(outcome.error, JournalError)
        assert "the journal cannot be written, so nothing is sent" in str(outcome.error)
        assert FAILURES[how] in str(outcome.error)
    report = await run(afas, path, *map(subject, range(4)))
    assert (report.counts["applied"], posts(simulator)) == (4, 4)


@pytest.mark.parametrize("how", FAILURES)
async def test_a_disk_that_fails_after_a_call(
    path: Path, how: str, scripted: tuple[list[Answer], RawServer, AfasClient]
) -> None:
    """An outcome that cannot be noted is in the report, and unknown in the next run; nothing more is sent."""
    script, server, afas = scripted
    with ExitStack() as stack:
        async with load_of(afas, path, in_flight=1) as load:
            script.append(lambda _: stack.enter_context(failing(load, how)))
            for number in range(3):
                await load.add(subject(number))
            await load._finish()
            stack.close()
    assert load.report.counts == {"applied": 1, "rejected": 0, "unknown": 0, "not_sent": 2}
    assert isinstance(load.report.not_sent[0].error, JournalError)
    assert states(path) == {0: "in flight"}
    script.clear()
    report = await run(afas, path, *map(subject, range(3)))
    assert report.counts == {"applied": 2, "rejected": 0, "unknown": 1, "not_sent": 0}
    assert len(server.requests) == 3


async def test_a_call_that_waits_for_another_attempt(path: Path, afas: AfasClient, simulator: Simulator) -> None:
    """Between the attempts of a call that had no effect its elements are not in flight."""
    simulator.faults.add(Fault(method="POST", status=429, retry_after=30))
    async with load_of(afas, path) as load:
        await load.add(subject(0))
        await asyncio.sleep(10)
        assert states(path) == {0: "planned"}
    assert (posts(simulator), states(path)) == (2, {0: "applied"})


@pytest.mark.parametrize(
    ("fault", "statuses"),
    [
        (Fault(method="POST", cut="stall"), ("unknown", "unknown")),
        (Fault(method="POST", status=429, retry_after=30), ("not_sent", "applied")),
    ],
    ids=["on its way", "between two attempts"],
)
async def test_a_load_that_is_cancelled(
    fault: Fault, statuses: tuple[Status, Status], path: Path, afas: AfasClient, simulator: Simulator
) -> None:
    """A sent element is unknown, in this report and the next. One that waits for a retry is sent by the next run."""
    simulator.faults.add(fault)
    load = load_of(afas, path)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(10), load:
            await load.add(subject(0))
    assert load.report.counts[statuses[0]] == 1
    report = await run(afas, path, subject(0))
    assert report.counts[statuses[1]] == 1
    assert posts(simulator) == (1 if statuses[1] == "unknown" else 2)


# --- the next run ---


async def test_what_has_an_outcome_keeps_it(path: Path, afas: AfasClient, simulator: Simulator) -> None:
    """The next run reports the same, with keys and errors. It resends only refused elements: they may pass now."""
    elements = [subject(0), subject(1, StId="none"), subject(2)]
    simulator.faults.add(Fault(method="POST", cut="reset", after=2))

    async def outcomes() -> list[Outcome]:
        async with afas.outcomes(
            "KnSubject", elements, journal=path, load_id="one", max_elements=1, in_flight=1, validate=False
        ) as stream:
            return [outcome async for outcome in stream]

    first, second = await outcomes(), await outcomes()
    assert posts(simulator) == 4
    assert [outcome.status for outcome in first] == ["applied", "rejected", "unknown"]
    for before, after in zip(first, second, strict=True):
        assert (after.index, after.status, after.key) == (before.index, before.status, before.key)
        assert after.status == "rejected" or str(after.error) == str(before.error)
    assert first[0].key == {"SbId": "201"}
    assert isinstance(second[2].error, OutcomeUnknownError)
    assert second[2].batch is None


async def test_more_elements_than_before(path: Path, afas: AfasClient, simulator: Simulator) -> None:
    """New elements are sent."""
    await run(afas, path, *map(subject, range(3)))
    report = await run(afas, path, *map(subject, range(5)))
    assert report.counts == {"applied": 5, "rejected": 0, "unknown": 0, "not_sent": 0}
    assert posts(simulator) == 5


async def test_fewer_elements_than_before(path: Path, afas: AfasClient, simulator: Simulator) -> None:
    """The report covers the given elements, and the journal keeps the others."""
    await run(afas, path, *map(subject, range(5)))
    report = await run(afas, path, *map(subject, range(2)))
    assert (report.total, report.counts["applied"]) == (2, 2)
    report = await run(afas, path, *map(subject, range(5)))
    assert (report.total, report.counts["applied"]) == (5, 5)
    assert posts(simulator) == 5


async def test_what_was_refused_is_sent_again(path: Path, afas: AfasClient, simulator: Simulator) -> None:
    """Unchanged, as the fault may be fixed in Profit, or corrected. Once applied, it is not sent again."""
    await run(afas, path, subject(0, StId="none"), subject(1))
    report = await run(afas, path, subject(0, StId="none"), subject(1))
    assert (report.counts["rejected"], posts(simulator)) == (1, 3)
    report = await run(afas, path, subject(0), subject(1))
    assert (report.counts["applied"], posts(simulator)) == (2, 4)
    report = await run(afas, path, subject(0), subject(1))
    assert (report.counts["applied"], posts(simulator)) == (2, 4)


async def test_the_innocents_of_a_refused_call_are_sent_again(
    path: Path, afas: AfasClient, simulator: Simulator
) -> None:
    """When a call is refused as a whole, nobody knows which element was at fault."""
    report = await run(afas, path, subject(0), subject(1, StId="none"), subject(2), max_elements=3)
    assert report.counts["rejected"] == 3
    assert states(path) == {0: "planned", 1: "planned", 2: "planned"}
    report = await run(afas, path, *map(subject, range(3)), max_elements=3)
    assert report.counts["applied"] == 3
    assert len(simulator.store.execute("SELECT 1 FROM Profit_Subjects WHERE Subject LIKE 'Subject %'")) == 3


async def test_stop_holds_when_a_load_goes_on(path: Path, afas: AfasClient, simulator: Simulator) -> None:
    """With `on_reject="stop"`, a record that is refused again stops the next run as it did the first."""
    for sent in (1, 2):
        report = await run(afas, path, subject(0, StId="none"), subject(1), on_reject="stop", in_flight=1)
        assert (report.counts["rejected"], report.counts["not_sent"], posts(simulator)) == (1, 1, sent)


@pytest.mark.parametrize("first", ["rejected", "planned", "nothing"])
async def test_an_element_that_is_taken_out_of_the_source(
    path: Path, first: str, afas: AfasClient, simulator: Simulator
) -> None:
    """The others would move up and be sent again under another position. The load says so, and sends nothing."""
    refused = subject(0, StId="none")
    if first == "planned":
        simulator.faults.add(Fault(method="POST", status=429, times=9))
        await run(afas, path, refused, in_flight=1)
        simulator.faults.clear()
    if first == "nothing":
        async with load_of(afas, path, validate=True) as load:
            await load.add({"StId": "x" * 50})
            await load.add(subject(1))
    else:
        await run(afas, path, refused, subject(1), in_flight=1, on_reject="continue")
    before = posts(simulator)
    load = load_of(afas, path)
    with pytest.raises(JournalError, match=r"element 0: the journal has another element .*including refused ones"):
        async with load:
            await load.add(subject(1))
    assert posts(simulator) == before


async def test_equal_elements_are_no_mistake(path: Path, afas: AfasClient, simulator: Simulator) -> None:
    """Two records may be equal: each has its position, and each is sent once."""
    same = [subject(0)] * 3
    assert (await run(afas, path, *same)).counts["applied"] == 3
    assert (await run(afas, path, *same, subject(0))).counts["applied"] == 4
    assert posts(simulator) == 4


@pytest.mark.parametrize("state", ["applied", "unknown"])
@pytest.mark.parametrize("change", [{"Ds": "another"}, {"StId": None}], ids=["another", "none at all"])
async def test_another_element_in_the_place_of_one_that_was_sent(
    path: Path, state: str, change: dict[str, Any], afas: AfasClient, simulator: Simulator
) -> None:
    """It would be taken for another element. The load says so, and sends nothing more."""
    if state == "unknown":
        simulator.faults.add(Fault(method="POST", cut="reset"))
    await run(afas, path, subject(0), in_flight=1)
    load = load_of(afas, path)
    with pytest.raises(JournalError, match=r"element 0\b.*: give the same elements in the same order"):
        async with load:
            await load.add(subject(0, **change))
    assert posts(simulator) == 1
    assert states(path) == {0: state}


async def test_a_damaged_journal(path: Path, afas: AfasClient, simulator: Simulator) -> None:
    """The load does not begin."""
    await run(afas, path, subject(0))
    await asyncio.to_thread(path.write_bytes, b"")
    with pytest.raises(JournalError, match="has lost its content"):
        await run(afas, path, subject(0))
    assert posts(simulator) == 1


async def test_two_loads_with_one_journal(path: Path, afas: AfasClient) -> None:
    """The second load does not begin."""
    async with load_of(afas, path) as load:
        await load.add(subject(0))
        with pytest.raises(JournalError, match="a running load has it open"):
            await run(afas, path, subject(0))
    assert load.report.counts["applied"] == 1


async def test_several_tasks_add_to_a_load_that_goes_on(path: Path, afas: AfasClient, simulator: Simulator) -> None:
    """Each element has its position, whichever task adds it and whatever is read of the journal meanwhile."""
    count = by_default(1_200, 5_000)
    report = await run(afas, path, *map(subject, range(count)), max_elements=500)
    assert report.counts["applied"] == count
    before = posts(simulator)
    async with load_of(afas, path) as load:
        ahead = iter(range(count))

        async def add() -> None:
            for number in ahead:
                await load.add(subject(number))

        await asyncio.gather(*(add() for _ in range(5)))
    assert load.report.counts["applied"] == load.report.total == count
    assert posts(simulator) == before


# --- who gives the elements ---


def _cancelling(step: Callable[..., Any], calls: int) -> Callable[..., Any]:
    """Return a step of the journal that cancels this task while it is carried out for the n-th time."""
    loop, task, count = asyncio.get_running_loop(), asyncio.current_task(), itertools.count(1)
    assert task is not None

    def slow(*arguments: Any) -> Any:
        if next(count) == calls:
            loop.call_soon_threadsafe(task.cancel)
            time.sleep(0.1)
        return step(*arguments)

    return slow


@pytest.mark.parametrize("name", ["read", "read_places"])
async def test_cancelled_while_the_journal_is_read(
    path: Path, name: str, afas: AfasClient, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The element is still part of the load, and later ones keep their outcomes."""
    monkeypatch.setattr("afas_async.write.ledger._AHEAD", 3)
    elements = [subject(number) for number in range(6)]
    assert (await run(afas, path, *elements[:2], subject(2, StId="none"), *elements[3:])).counts["applied"] == 5
    task, cancelled = asyncio.current_task(), 0
    assert task is not None
    monkeypatch.setattr(Journal, name, _cancelling(getattr(Journal, name), 2 if name == "read" else 1))
    async with load_of(afas, path) as load:
        for element in elements:
            try:
                await load.add(element)
            except asyncio.CancelledError:
                cancelled += 1
                task.uncancel()
    assert cancelled == 1
    assert load.report.counts == {"applied": 6, "rejected": 0, "unknown": 0, "not_sent": 0}
    assert posts(simulator) == 7


async def test_several_tasks_give_elements(
    path: Path, afas: AfasClient, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elements have the order in which they are given, also while the journal is read."""
    monkeypatch.setattr("afas_async.write.ledger._AHEAD", 3)
    for count in (10, 12):
        async with load_of(afas, path, load_id="two") as load, asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(load.add(subject(number)))
        assert load.report.counts["applied"] == count
    assert posts(simulator) == 12


async def test_an_element_that_the_journal_refuses_takes_no_place(
    path: Path, afas: AfasClient, simulator: Simulator
) -> None:
    """If you continue after it, the next element is known."""
    await run(afas, path, subject(0), subject(1))
    async with load_of(afas, path) as load:
        for number in (7, 0, 1):
            with suppress(JournalError):
                await load.add(subject(number))
    assert load.report.counts["applied"] == load.report.total == posts(simulator) == 2


@pytest.mark.parametrize(("kind", "name"), [(JournalFile, "begin"), (Journal, "read")])
async def test_cancelled_while_the_journal_opens(
    path: Path, kind: Any, name: str, afas: AfasClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal is free for the next load."""
    task = asyncio.current_task()
    assert task is not None
    await run(afas, path, subject(0))
    with monkeypatch.context() as patch:
        patch.setattr(kind, name, _cancelling(getattr(kind, name), 1))
        with pytest.raises(asyncio.CancelledError) as caught:
            await run(afas, path, subject(0))
        task.uncancel()
    assert caught.value.__traceback__ is not None, "as long as it is there, so are its frames, and what they opened"
    assert (await run(afas, path, subject(0))).counts["applied"] == 1


async def test_cancelled_while_the_disk_is_slow(
    path: Path, afas: AfasClient, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call is noted as not sent even if its note takes longer than the load waits for the call."""
    monkeypatch.setattr("afas_async.http.host.CLOSE_SECONDS", 0.01)
    task, begin = asyncio.current_task(), Journal.begin
    assert task is not None
    loop = asyncio.get_running_loop()

    def slow(*arguments: Any) -> None:
        loop.call_soon_threadsafe(task.cancel)
        time.sleep(0.2)
        begin(*arguments)

    monkeypatch.setattr(Journal, "begin", slow)
    load = load_of(afas, path)
    with suppress(asyncio.CancelledError):
        async with load:
            await load.add(subject(0))
            await asyncio.sleep(60)
    task.uncancel()
    assert load.report.counts["not_sent"] == 1
    assert states(path) == {0: "planned"}
    assert posts(simulator) == 0
