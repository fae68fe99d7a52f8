"""The command that shows a journal, and settles by hand what nobody knows."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from afas_async import BusinessError, OutcomeUnknownError
from afas_async.policy.lanes import Piece
from afas_async.vocabulary.outcomes import Outcome
from afas_async.write import journal as journals
from afas_async.write.journal import Journal
from tests.support.command_line import Ended, refused, run
from tests.support.journals import LOAD
from tests.support.quick_folder import quick_folder

MOMENT = "%Y-%m-%d %H:%M:%S UTC"
SECRET = "Geheim"  # a value that may be personal data


@pytest.fixture
def path() -> Iterator[Path]:
    with quick_folder() as folder:
        yield folder / "a journal"


def make(path: Path, *, age: float = 0, reason: str = "no answer came") -> datetime:
    """Make a journal with elements of all states; return when they were sent.

    Args:
        path: Where.
        age: Seconds ago that they were sent.
        reason: Why nothing is known of the second.
    """
    sent_at = datetime.now(UTC) - timedelta(seconds=age)
    quiet_until = sent_at + timedelta(seconds=960)
    lost = OutcomeUnknownError(
        connector="KnSubject", sent_at=sent_at, quiet_until=quiet_until, stage="sent", reason=reason
    )
    no = BusinessError("Verplicht", status=500, connector="KnSubject")

    async def load() -> None:
        journal = Journal(path, LOAD)
        with pytest.MonkeyPatch.context() as clock:
            clock.setattr(journals, "loop_time", lambda: asyncio.get_running_loop().time() - age)
            journal.begin(0, [Piece(number, b'{"Fields":{"Ds":"%b"}}' % SECRET.encode()) for number in range(1_500)])
        journal.end(0, [Outcome(number, "applied") for number in range(2, 1_500)])
        journal.end(0, [Outcome(0, "rejected", error=no)])
        journal.end(0, [Outcome(1, "unknown", error=lost)])
        journal.begin(1, [Piece(1_500, b"{}"), Piece(1_501, b"{}")])
        journal.postpone(1)
        journal.close()

    asyncio.run(load())
    return sent_at


def counts(ended: Ended) -> dict[str, str]:
    return dict(re.findall(r"^  (applied|rejected|unknown|planned) +([\d,]+)", ended.out, re.MULTILINE))


def test_a_load_with_an_unknown_outcome(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It shows the load and a count for each state; for each unknown element when it was sent, why, and what to do."""
    sent_at = make(path)
    ended = run(capsys, "journal", str(path))
    assert (ended.status, ended.err) == (1, "")
    assert ended.out.startswith(f"Inserts into KnSubject at {LOAD['service']}\n")
    assert counts(ended) == {"applied": "1,498", "rejected": "1", "unknown": "1", "planned": "2"}
    assert f"  1 element, sent {sent_at:{MOMENT}}: 1\n    why     no answer came\n" in ended.out
    assert (
        f"    to do   wait until {sent_at + timedelta(seconds=960):{MOMENT}}: the service may still be at work"
        in ended.out
    )
    assert f"python -m afas_async journal '{path}' --applied 1 " in ended.out
    assert "lookup=Lookup(...)" in ended.out
    assert "  1 element: 0\n    why     KnSubject: HTTP 500: Verplicht\n" in ended.out


def test_after_the_quiet_period(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After the quiet period there is nothing to wait for."""
    make(path, age=1_000)
    ended = run(capsys, "journal", str(path))
    assert ended.status == 1
    assert "    to do   look it up: the service is done\n" in ended.out
    assert "wait until" not in ended.out


@pytest.mark.parametrize("show", [False, True])
def test_elements_are_shown_only_if_asked_for(show: bool, path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: FBT001
    """They may be personal data."""
    make(path)
    ended = run(capsys, "journal", str(path), *(["--show"] if show else []))
    assert ended.out.count(f'element 1: {{"Fields":{{"Ds":"{SECRET}"}}}}') == show
    assert ended.out.count(SECRET) == show
    assert ("add --show" in ended.out) is not show


def test_texts_of_the_service_do_not_steer_the_terminal(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A reason holds what the service said."""
    make(path, reason="\x1b[2Jgone\n")
    out = run(capsys, "journal", str(path)).out
    assert "\x1b" not in out
    assert "    why      [2Jgone" in out


def test_what_was_in_flight_is_unknown(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A load that has stopped leaves elements in flight, and they count as unknown."""

    async def load() -> None:
        journal = Journal(path, LOAD)
        journal.begin(0, [Piece(0, b"{}"), Piece(1, b"{}")])
        journal.close()

    asyncio.run(load())
    ended = run(capsys, "journal", str(path))
    assert (ended.status, counts(ended)["unknown"]) == (1, "2")
    assert "  2 elements, sent " in ended.out
    assert ended.out.count("why     the load ended while it was being sent") == 1
    assert "--again all     they are not" in ended.out


def test_many_rejections_are_one_thing_to_look_at(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Elements that failed for one reason stand together, by ranges of their numbers."""

    async def load() -> None:
        journal = Journal(path, LOAD)
        journal.begin(0, [Piece(number, b"{}") for number in range(300)])
        no = BusinessError("Verplicht", status=500, connector="KnSubject")
        other = BusinessError("Bestaat al", status=500, connector="KnSubject")
        for error, number in [*((no, each) for each in range(200)), *((other, each) for each in range(200, 300, 2))]:
            journal.end(0, [Outcome(number, "rejected", error=error)])  # alone, or nobody knows which one was at fault
        journal.end(0, [Outcome(number, "applied") for number in range(201, 300, 2)])
        journal.close()

    asyncio.run(load())
    ended = run(capsys, "journal", str(path))
    assert ended.status == 1
    assert "  200 elements: 0-199\n    why     KnSubject: HTTP 500: Verplicht\n" in ended.out
    assert "  50 elements: 200, 202, " in ended.out
    assert "222 and 38 more ranges\n" in ended.out
    assert ended.out.count("\n") < 20


@pytest.mark.parametrize(("option", "status"), [("--applied", 0), ("--again", 1)])
def test_all_that_is_unknown_is_settled_at_once(
    option: str, status: int, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`all`, or a range, stands for each of them."""

    async def load() -> None:
        journal = Journal(path, LOAD)
        with pytest.MonkeyPatch.context() as clock:
            clock.setattr(journals, "loop_time", lambda: asyncio.get_running_loop().time() - 2_000)
            journal.begin(0, [Piece(number, b"{}") for number in range(6)])
        long_ago = datetime.now(UTC) - timedelta(seconds=2_000)
        lost = OutcomeUnknownError(
            connector="KnSubject", sent_at=long_ago, quiet_until=long_ago, stage="sent", reason="no answer came"
        )
        journal.end(0, [Outcome(number, "unknown", error=lost) for number in range(6)])
        journal.close()

    asyncio.run(load())
    assert counts(run(capsys, "journal", str(path), option, "0-1,3"))["unknown"] == "3"
    ended = run(capsys, "journal", str(path), option, "all")
    assert (ended.status if option == "--again" else status, counts(ended)["unknown"]) == (status, "0")


def test_settled_as_applied(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An element that somebody found in Profit is settled as applied, at any time. No element is unknown then."""
    make(path)
    ended = run(capsys, "journal", str(path), "--applied", "1")
    assert (ended.status, counts(ended)["applied"], counts(ended)["unknown"]) == (1, "1,499", "0")
    assert "Unknown:" not in ended.out
    assert run(capsys, "journal", str(path)) == ended


def test_settled_to_be_sent_again(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An element that is absent in Profit is planned again, once the service has finished with it."""
    make(path, age=1_000)
    ended = run(capsys, "journal", str(path), "--again", "1")
    assert (ended.status, counts(ended)["planned"], counts(ended)["unknown"]) == (1, "3", "0")
    assert "3  sent by the next run" in ended.out
    journal = Journal(path, LOAD)
    entry = journal.read(1, 1).get(1)
    assert entry is not None
    assert entry.state == "planned"
    journal.close()


def test_not_sent_again_too_early(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An absent element may still come while the service may be working on it."""
    sent_at = make(path, age=900)
    line = refused(run(capsys, "journal", str(path), "--again", "1"))
    assert f"element 1: wait until {sent_at + timedelta(seconds=960):{MOMENT}}, or it may be there twice" in line
    assert counts(run(capsys, "journal", str(path)))["unknown"] == "1"


@pytest.mark.sampled(2)
@pytest.mark.parametrize("option", ["--applied", "--again"])
@pytest.mark.parametrize("number", ["0", "2", "1500", "9999"])
def test_only_what_is_unknown_is_settled(
    option: str, number: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An element that is known, or was never given, stays as it is."""
    make(path, age=1_000)
    line = refused(run(capsys, "journal", str(path), option, number))
    assert f"the outcome of element {number} is not unknown" in line
    ended = run(capsys, "journal", str(path))
    assert counts(ended) == {"applied": "1,498", "rejected": "1", "unknown": "1", "planned": "2"}


def test_a_running_load(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A journal that a load has open is not touched."""
    make(path)
    journal = Journal(path, LOAD)
    assert "a running load has it open, here or in another process" in refused(run(capsys, "journal", str(path)))
    journal.close()
    assert run(capsys, "journal", str(path)).status == 1


def test_what_is_no_journal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not a journal stays as it is, and no journal is made."""
    assert "No such file" in refused(run(capsys, "journal", str(tmp_path / "none")))
    (tmp_path / "text").write_text("text")
    assert "file is not a database" in refused(run(capsys, "journal", str(tmp_path / "text")))
    assert [file.name for file in tmp_path.iterdir()] == ["text"]
