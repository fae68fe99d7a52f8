"""The journal's file: who may open it, what it holds, and which files are refused."""

from __future__ import annotations

import gc
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from afas_async import JournalError
from afas_async.write import journal_file
from afas_async.write import lock as locks
from afas_async.write.journal import Journal
from tests.support import canary, forking
from tests.support.journals import LOAD, SECRET, begun, content, lost, outcomes, pieces, states, write
from tests.support.thoroughness import by_default


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


async def test_the_file_is_private(path: Path) -> None:
    """Only its owner reads the journal, its log and its lock, whatever the umask is."""
    before = os.umask(0)
    try:
        journal = await begun(path, 0)
        for file in path.parent.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert {file.name for file in path.parent.iterdir()} == {"journal", "journal-wal", "journal-lock"}
        journal.close()
    finally:
        os.umask(before)
    assert [file.name for file in path.parent.iterdir()] == ["journal"]


@pytest.mark.parametrize("status", ["applied", "rejected", "not_sent", "settled", "postponed"])
async def test_bodies_are_gone_once_they_are_not_needed(path: Path, status: Any) -> None:
    """The file keeps nothing of an element with a known outcome, not even in parts that SQLite no longer uses."""
    journal = Journal(path, LOAD)
    calls = by_default(6, 20)
    for call in range(calls):
        numbers = range(call * 50, call * 50 + 50)
        journal.begin(call, pieces(*numbers))
        if status == "postponed":
            journal.postpone(call)
        else:
            journal.end(call, outcomes("unknown" if status == "settled" else status, *numbers, error=lost()))
    if status == "settled":
        for number in range(50 * calls):
            journal.correct(number, "applied")
    journal.close()
    assert content(path).count(SECRET) == 0


async def test_bodies_are_kept_while_somebody_may_need_them(path: Path) -> None:
    """Elements in flight or unknown keep their bodies."""
    journal = await begun(path, 0, 1)
    journal.end(0, outcomes("unknown", 0, error=lost()) + outcomes("applied", 1))
    journal.close()
    assert content(path).count(SECRET) == 1


def in_another_process(path: Path) -> str:
    """Open the journal in another process, and return its message."""
    said = path.with_name("said")
    process = forking.start(said, Journal, path)
    process.join()
    text = said.read_text()
    said.unlink()
    return text.strip().split("\n")[-1]


async def test_one_process_at_a_time(path: Path) -> None:
    """Another process is refused as long as the journal is open, also after a second attempt of this one."""
    journal = await begun(path, 0)
    for _ in range(2):
        assert (
            "the journal cannot be opened: a running load has it open, here or in another process"
            in in_another_process(path)
        )
        with pytest.raises(JournalError, match="a running load has it open"):
            Journal(path, LOAD)
    journal.end(0, outcomes("applied", 0))
    journal.close()
    assert in_another_process(path) == ""
    assert states(path) == {0: "applied"}


@pytest.mark.parametrize("read", ["journal", "journal-wal", "journal-lock"])
async def test_reading_the_file_does_not_free_it(read: str, path: Path) -> None:
    """A backup or a hash of the journal in the process of its load lets no other process in."""
    journal = await begun(path, 0)
    assert path.with_name(read).read_bytes()
    assert "a running load has it open" in in_another_process(path)
    journal.end(0, outcomes("applied", 0))
    journal.close()
    assert states(path) == {0: "applied"}


async def test_what_a_dead_process_has_left(path: Path) -> None:
    """The lock file that stays after `kill -9` refuses nobody, and the next load removes it."""
    write(path.with_name("journal-lock"), b"0" * 32)
    (await begun(path, 0)).close()
    assert [file.name for file in path.parent.iterdir()] == ["journal"]


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable all locks, ours and SQLite's, as on some network drives."""
    connect = sqlite3.connect

    def connect_without(database: str, **options: Any) -> Any:
        return connect(f"{database}&vfs=unix-none" if options.get("uri") else database, **options)

    monkeypatch.setattr(sqlite3, "connect", connect_without)
    monkeypatch.setattr(locks, "_take", lambda _: None)


def _write_in_vain(journal: Journal) -> None:
    for use in (
        lambda: journal.begin(1, pieces(1)),
        lambda: journal.postpone(0),
        lambda: journal.end(0, outcomes("applied", 0)),
        lambda: journal.correct(0, "applied"),
    ):
        with pytest.raises(JournalError, match="another load has opened the journal"):
            use()


@pytest.mark.usefixtures("no_locks")
async def test_where_locks_do_not_hold(path: Path) -> None:
    """The last one to open the journal continues. The earlier one sends nothing more, and leaves the files alone."""
    first = await begun(path, 0)
    second = Journal(path, LOAD)
    assert [entry.number for entry in second.unknown()] == [0]
    second.begin(1, pieces(1))
    log = content(path.with_name("journal-wal"))
    _write_in_vain(first)
    first.close()
    del first._file.database
    gc.collect()  # as the end of the program does
    assert content(path.with_name("journal-wal")) == log
    second.end(1, outcomes("applied", 1))
    second.correct(0, "planned")
    second.close()
    assert [file.name for file in path.parent.iterdir()] == ["journal"]
    assert states(path) == {0: "planned", 1: "applied"}


@pytest.mark.usefixtures("no_locks")
async def test_opened_by_another_load_while_a_call_is_noted(path: Path) -> None:
    """The other load has not read the note, and sends the element, so this load must not."""
    first, second = Journal(path, LOAD), list[Journal]()

    def overtaken(statement: str) -> None:
        if statement == "COMMIT":
            second.append(Journal(path, LOAD))

    first._file.database.set_trace_callback(overtaken)
    with pytest.raises(JournalError, match="another load has opened the journal"):
        first.begin(0, pieces(0))
    assert second[0].read(0, 1) == {}
    second[0].close()
    first.close()


@pytest.mark.parametrize("name", ["journal", "journal-wal", "journal-lock"])
@pytest.mark.parametrize("anew", [False, True])
async def test_deleted_while_it_is_open(name: str, anew: bool, path: Path) -> None:  # noqa: FBT001
    """The next run would not find later notes, so nothing is sent."""
    journal = await begun(path, 0)
    file = path.with_name(name)
    before = content(file)
    file.unlink()
    if anew:
        write(file, before if name != "journal-lock" else b"0" * 32)
    with pytest.raises(JournalError, match="moved or deleted it"):
        journal.begin(1, pieces(1))
    journal.close()


def test_two_processes_that_make_it_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The faster process keeps its file, and refuses the other as long as it is open."""
    link, faster = os.link, list[Journal]()

    def overtaken(source: str, target: Path) -> None:
        monkeypatch.setattr(os, "link", link)
        faster.append(Journal(target, LOAD))
        link(source, target)

    monkeypatch.setattr(os, "link", overtaken)
    with pytest.raises(JournalError, match="a running load has it open"):
        Journal(path, LOAD)
    faster[0].close()
    assert [file.name for file in path.parent.iterdir()] == ["journal"]


async def test_not_after_a_fork(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child has its parent's connection. It must not use it, nor take the file from its parent."""
    journal = await begun(path, 0)
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: 0)
        for use in (
            lambda: journal.begin(1, pieces(1)),
            lambda: journal.postpone(0),
            lambda: journal.end(0, outcomes("applied", 0)),
            lambda: journal.correct(0, "applied"),
            lambda: journal.read(0, 1).get(0),
            journal.unknown,
            journal.counts,
        ):
            with pytest.raises(JournalError, match="opened before this process was forked"):
                use()
        journal.close()
    journal.end(0, outcomes("applied", 0))
    journal.close()
    assert states(path) == {0: "applied"}


@pytest.mark.parametrize("fact", ["service", "connector", "action"])
async def test_another_loads_journal(path: Path, fact: str) -> None:
    """A journal belongs to one load. Without a load's name, it opens whichever load it belongs to."""
    (await begun(path, 0)).close()
    with pytest.raises(JournalError, match=r"this is the journal of another load: .*'KnSubject'.*, not .*'other'"):
        Journal(path, LOAD | {fact: "other"})
    assert states(path) == {0: "in flight"}
    journal = Journal(path)
    assert journal.identity == LOAD
    journal.close()


async def test_another_version(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal of an older or newer library is refused, not misread."""
    with monkeypatch.context() as other:
        other.setattr(journal_file, "VERSION", 2)
        (await begun(path, 0)).close()
    with pytest.raises(JournalError, match="a journal of version 2: this library reads version 1"):
        Journal(path, LOAD)


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _spoil_a_page(content: bytes) -> bytes:
    return content[:-8192] + bytes(4096) + content[-4096:]


def _spoil_a_state(content: bytes) -> bytes:
    schema, rest = content[:4096], content[4096:]
    return schema + rest.replace(b"unknown", b"unknows")


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: b"not a database, but a text that somebody has put here",
        lambda content: bytes(100) + content[100:],
        lambda content: content[:4096],
        _cut,
        _spoil_a_page,
        _spoil_a_state,
    ],
    ids=["empty", "a text", "no header", "one page left", "cut", "a page of zeros", "a state that is none"],
)
async def test_a_damaged_file(path: Path, damage: Any) -> None:
    """A file that lost data is refused, as the lost elements may be at the service."""
    journal = await begun(path, *range(2_000))
    journal.end(0, outcomes("unknown", *range(2_000), error=lost()))
    journal.close()
    before = damage(content(path))
    write(path, before)
    with pytest.raises(JournalError, match=r"journal: (the journal|this is not the journal)"):
        Journal(path, LOAD)
    assert content(path) == before


async def test_another_programs_database(path: Path) -> None:
    """A database that is not a journal stays unchanged."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE elements (number)")
    before = content(path)
    with pytest.raises(JournalError, match="not the journal of a load"):
        Journal(path, LOAD)
    assert content(path) == before


async def test_a_log_without_its_journal(path: Path) -> None:
    """Half of a journal is refused, as the new journal would take over the log."""
    log = path.with_name("journal-wal")
    write(log, b"x")
    with pytest.raises(JournalError, match="which is missing: restore it, or delete this file"):
        Journal(path, LOAD)
    assert [file.name for file in path.parent.iterdir()] == ["journal-wal"]


def test_places_where_no_journal_can_be(tmp_path: Path) -> None:
    """An error about opening or creating a journal names its path."""
    for path, identity in ((tmp_path / "no" / "journal", LOAD), (tmp_path, LOAD), (tmp_path / "none", None)):
        with pytest.raises(JournalError, match=f"{path}: the journal cannot be opened: "):
            Journal(path, identity)
    assert list(tmp_path.iterdir()) == []


async def test_the_log_is_synced(path: Path) -> None:
    """A commit is on the disk even if the power fails, and deleted data is overwritten."""
    journal = await begun(path, 0)
    for pragma, value in (("synchronous", 2), ("journal_mode", "wal"), ("secure_delete", 1), ("fullfsync", 1)):
        assert journal._file.database.execute(f"PRAGMA {pragma}").fetchone() == (value,)
    journal.close()


def test_the_token_is_in_no_spelling_there(path: Path) -> None:
    """A journal holds the identity of its load, and no credential."""
    Journal(path, LOAD).close()
    assert not canary.leaks(path.read_bytes().decode("latin-1"))
