"""A load killed at any moment continues later: in the end nothing is lost, nothing doubled, nothing guessed.

The same checks catch the five designs whose mistakes show only when something fails.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import shutil
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from threading import Event

import aiohttp
import msgspec
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from afas_async import AfasClient, F, GetConnector
from afas_async.simulator import Fault, Latency, spawn
from afas_async.simulator.remote import SimulatorProcess
from afas_async.write.journal import Journal
from tests.support import canary, forking, kill_loader
from tests.support.kill_loader import FAULTY, Plan, Report
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.thoroughness import by_default

KILLS = int(os.environ.get("AFAS_JOURNAL_KILLS", by_default("2", "6")))
SUBJECTS = GetConnector("Profit_Subjects", key="SubjectId")
VARIANTS: dict[str, dict[str, object]] = {
    "looked up": {"check": True, "elements": by_default(60, 150)},
    "not looked up": {"check": False, "elements": by_default(60, 150)},
    "several in a call": {"check": True, "per_call": 4, "elements": by_default(160, 400)},
}


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="module")
def service(portal: BlockingPortal) -> Iterator[SimulatorProcess]:
    """Run a service in a process of its own."""
    simulated = spawn(rows=50, token=canary.TOKEN, latency=Latency(base=0.01))
    with portal.wrap_async_context_manager(simulated) as simulator:
        yield simulator


def _start(folder: Path) -> ForkServerProcess:
    return forking.start(folder / "said", kill_loader.run, folder)


def _run(folder: Path) -> int:
    """Run a load until it ends or dies; return the exit status."""
    process = _start(folder)
    process.join(60)
    process.kill()
    return _ended(process, folder)


def _ended(process: ForkServerProcess, folder: Path) -> int:
    """Wait for the end of a process, which must not print anything; return its exit status."""
    process.join()
    assert (folder / "said").read_text() == ""
    status = process.exitcode
    assert status is not None
    process.close()
    return status


def _make(folder: Path, plan: Plan) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "plan").write_bytes(msgspec.json.encode(plan))


def _in_flight(folder: Path) -> int:
    """Count the elements that a dead process left in flight. A copy is opened, as opening changes the file."""
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for name in ("journal", "journal-wal"):
        if (folder / name).exists():
            shutil.copy(folder / name, copy)
    if not (copy / "journal").exists():
        return 0
    with closing(sqlite3.connect(copy / "journal")) as database:
        return int(database.execute("SELECT count(*) FROM elements WHERE state = 'in flight'").fetchone()[0])


def _judge(folder: Path, plan: Plan) -> Counter[str]:
    """Compare the outcomes of the load with the rows of the service."""

    async def subjects(url: str) -> list[str]:
        async with AfasClient(base_url=url, auth=canary.TOKEN) as afas:
            rows = afas.rows(SUBJECTS, where=F.Subject.startswith(f"{plan.reference}/"))
            return [row["Subject"] async for row in rows]

    there = Counter(asyncio.run(subjects(plan.url)))
    statuses = msgspec.json.decode((folder / "report").read_bytes(), type=Report).statuses
    assert list(statuses) == list(range(plan.elements))
    for number, status in statuses.items():
        count = there.pop(plan.subject(number), 0)
        assert count <= 1, f"element {number} is doubled"
        match status:
            case "applied":
                assert count == 1, f"element {number} is lost"
            case "rejected" | "not_sent":
                assert count == 0, f"element {number} is {status}, and there"
            case _:
                assert status == "unknown"
                # An existing row is found, as the service has finished its work.
                assert count == 0 or not plan.check, f"element {number} was not found"
    assert not there
    noted = Journal(folder / "journal")
    found = Counter(statuses.values())
    assert noted.counts() == {status: found[status] for status in ("applied", "rejected", "unknown")} | {
        "planned": found["not_sent"]
    }
    noted.close()
    assert not any(canary.leaks(path.read_bytes().decode("latin-1")) for path in folder.glob("journal*"))
    return found


@pytest.mark.sampled(3)
@pytest.mark.timeout(900)
@pytest.mark.parametrize("variant", VARIANTS)
def test_killed_at_any_moment(variant: str, service: SimulatorProcess, tmp_path: Path) -> None:
    """Every element has one outcome in the end. The service's table confirms it, and has no duplicate."""
    chance = random.Random(variant)  # noqa: S311
    kills = hits = loads = 0
    while kills < max(1, KILLS // len(VARIANTS)):
        plan = msgspec.convert({"url": service.base_url, "reference": f"{variant} {loads}"} | VARIANTS[variant], Plan)
        folder = tmp_path / str(loads)
        _make(folder, plan)
        loads += 1
        for _ in range(chance.randint(1, 5)):
            process = _start(folder)
            _wait(folder, chance, process)
            process.kill()
            killed = _ended(process, folder) == -signal.SIGKILL
            kills += killed
            hits += killed and _in_flight(folder) > 0
        assert _run(folder) == 0
        found = _judge(folder, plan)
        if plan.faulty:
            assert found["rejected"] >= plan.elements // FAULTY - found["unknown"]
    assert hits > kills // 4  # or the kills prove little


def _wait(folder: Path, chance: random.Random, process: ForkServerProcess) -> None:
    """Wait until the load has its journal open, and a little more; one time in ten for less."""
    log = folder / "journal-wal"
    before = _written(log)
    deadline = time.monotonic() + (chance.random() if chance.random() < 0.1 else 10)
    while _written(log) in {before, 0} and time.monotonic() < deadline and process.is_alive():
        time.sleep(0.002)
    time.sleep(chance.random() * by_default(0.1, 0.25))


def _written(log: Path) -> float:
    try:
        return log.stat().st_mtime
    except FileNotFoundError:
        return 0


@pytest.mark.timeout(900)
def test_killed_at_each_statement_of_the_journal(service: SimulatorProcess, tmp_path: Path) -> None:
    """At whichever statement the process dies, the next run finds a journal and continues with it."""
    for last in itertools.count(1, 1 if KILLS > 100 else by_default(48, 8)):
        plan = Plan(service.base_url, f"statement {last}", elements=4, faulty=False, last_statement=last)
        _make(tmp_path / str(last), plan)
        status = _run(tmp_path / str(last))
        _make(tmp_path / str(last), msgspec.structs.replace(plan, last_statement=None))
        assert _run(tmp_path / str(last)) == 0
        _judge(tmp_path / str(last), plan)
        if status == 0:
            break
        assert status == -signal.SIGKILL
    assert last > 30


# --- what the wrong designs meet, and the right one passes ---


@pytest.fixture
def held(portal: BlockingPortal, service: SimulatorProcess) -> Iterator[tuple[str, Event, Event]]:
    """Run a proxy that holds back one write, even when its client is gone. Yield its URL, held, and when to let go."""
    is_held, release = Event(), Event()

    @asynccontextmanager
    async def proxy() -> AsyncIterator[str]:
        async def forward(connection: Connection, received: Received) -> None:
            if received.body.endswith(b'/5"}}}}') and not is_held.is_set():
                is_held.set()
                await asyncio.to_thread(release.wait)
            url = service.base_url.removesuffix("/profitrestservices") + received.target
            headers = {"Authorization": received.headers["authorization"]}
            async with session.request(received.method, url, data=received.body or None, headers=headers) as response:
                await connection.answer(await response.read(), status=response.status, headers=("Connection: close",))
            connection.fin()

        async with aiohttp.ClientSession() as session, RawServer(forward) as server:
            yield server.base_url.replace("/rest", "/profitrestservices")

    with portal.wrap_async_context_manager(proxy()) as url:
        yield url, is_held, release
        release.set()


def _caught(folder: Path, plan: Plan) -> None:
    """Judge a load: the checks must catch a wrong design, and pass the right one."""
    if plan.design is None:
        _judge(folder, plan)
    else:
        with pytest.raises(AssertionError, match="element"):
            _judge(folder, plan)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("design", [None, "send what is in flight", "mark after sending"])
def test_killed_between_the_answer_and_its_note(design: str | None, service: SimulatorProcess, tmp_path: Path) -> None:
    """An element with a response but no note yet is in flight to the next run, which does not resend it."""
    plan = Plan(service.base_url, f"answered {design}", elements=20, design=design, die=9)
    _make(tmp_path, plan)
    assert _run(tmp_path) == -signal.SIGKILL
    _make(tmp_path, msgspec.structs.replace(plan, die=None))
    assert _run(tmp_path) == 0
    _caught(tmp_path, plan)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("design", [None, "believe absent at once"])
def test_killed_before_the_service_does_its_work(
    design: str | None, held: tuple[str, Event, Event], tmp_path: Path
) -> None:
    """A write that the service applies after its client died is not absent: it may still come."""
    url, is_held, release = held
    plan = Plan(url, f"late {design}", elements=20, design=design)
    _make(tmp_path, plan)
    process = _start(tmp_path)
    assert is_held.wait(30)
    while not _is_answered(tmp_path):
        time.sleep(0.01)
    process.kill()
    assert _ended(process, tmp_path) == -signal.SIGKILL
    assert _run(tmp_path) == 0  # looks for it: it is not there yet
    assert _run(tmp_path) == 0  # and a next run would send what has been found absent
    release.set()
    time.sleep(0.2)
    if design is None:
        assert _run(tmp_path) == 0  # now it is found
    _caught(tmp_path, plan)


def _is_answered(folder: Path) -> bool:
    """Whether an element is noted as applied, so that lookups have a control record."""
    return b"SbId" in (folder / "journal-wal").read_bytes()


@pytest.mark.sampled(2)
@pytest.mark.parametrize("design", [None, "time-out is failure"])
def test_no_answer_in_time(
    design: str | None, portal: BlockingPortal, service: SimulatorProcess, tmp_path: Path
) -> None:
    """An element without a response in time may have been applied."""
    portal.call(service.faults.add, Fault(method="POST", cut="stall", after=5, times=2))
    plan = Plan(service.base_url, f"stalled {design}", elements=20, design=design, patience=0.3)
    _make(tmp_path, plan)
    assert _run(tmp_path) == 0
    _caught(tmp_path, plan)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("design", [None, "cut answer is failure"])
def test_an_answer_that_is_cut(
    design: str | None, portal: BlockingPortal, service: SimulatorProcess, tmp_path: Path
) -> None:
    """A success whose body breaks off is a success."""
    portal.call(service.faults.add, Fault(method="POST", cut="close", at=5, after=5, times=2))
    plan = Plan(service.base_url, f"cut {design}", elements=20, design=design)
    _make(tmp_path, plan)
    assert _run(tmp_path) == 0
    _caught(tmp_path, plan)
