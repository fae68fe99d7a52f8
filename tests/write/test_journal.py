"""The journal by itself: the states of its elements, and the requests that it refuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from afas_async import JournalError, OutcomeUnknownError
from afas_async.vocabulary.outcomes import Outcome, Status
from afas_async.write.journal import Journal
from tests.support.journals import LOAD, begun, lost, outcomes, pieces, refused, states


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


async def test_what_was_not_begun_is_not_known(path: Path) -> None:
    """Only elements of a begun call can be at the service."""
    journal = await begun(path, 1)
    journal.close()
    journal = Journal(path, LOAD)
    assert journal.read(0, 1).get(0) is None
    assert journal.read(2, 1).get(2) is None
    assert journal.calls == 1
    journal.close()


async def test_what_is_in_flight_is_unknown_to_the_next_run(path: Path) -> None:
    """The sender has died. The outcome has the time it was sent, and until when to wait."""
    before, clock = datetime.now(UTC), anyio.current_time()
    (await begun(path, 0, 1)).close()
    assert states(path) == {0: "in flight", 1: "in flight"}
    journal = Journal(path, LOAD)
    found = journal.read(0, 1).get(0)
    assert found is not None
    assert (found.state, found.digest, found.key) == ("unknown", pieces(0)[0].digest, None)
    assert clock <= found.sent <= anyio.current_time()
    assert isinstance(found.error, OutcomeUnknownError)
    assert before <= found.error.sent_at <= datetime.now(UTC)
    # Whoever is killed while it sends may be sending still, on the slowest line that is waited for.
    assert timedelta(seconds=960 + 60) <= found.error.quiet_until - found.error.sent_at < timedelta(seconds=960 + 61)
    assert (found.error.connector, found.error.stage) == ("KnSubject", "sent")
    assert "the load ended while it was being sent" in str(found.error)
    journal.close()


@pytest.mark.parametrize(
    ("status", "facts", "state"),
    [
        ("applied", {"key": {"SbId": "201"}}, "applied"),
        ("applied", {}, "applied"),
        ("rejected", {"error": refused()}, "planned"),
        ("unknown", {"error": lost()}, "unknown"),
        ("not_sent", {"error": refused()}, "planned"),
    ],
)
async def test_outcomes_come_back(path: Path, status: Status, facts: dict[str, Any], state: str) -> None:
    """The next run gets the outcome of an element with all its facts."""
    journal = await begun(path, 0, 1)
    journal.end(0, outcomes(status, 0, 1, **facts))
    journal.close()
    journal = Journal(path, LOAD)
    for number in (0, 1):
        found = journal.read(number, 1).get(number)
        assert found is not None
        assert (found.state, found.key) == (state, facts.get("key"))
        if state == "unknown":
            assert type(found.error) is type(facts["error"])
            assert str(found.error) == str(facts["error"])
            assert vars(found.error) == vars(facts["error"])
        else:
            assert found.error is None
    journal.close()


async def test_a_refusal_comes_back(path: Path) -> None:
    """A refusal of a single element comes back. In a call of several, nobody knows which element it was."""
    journal = await begun(path, 0)
    error = refused()
    journal.end(0, outcomes("rejected", 0, error=error))
    journal.close()
    journal = Journal(path, LOAD)
    found = journal.read(0, 1).get(0)
    assert found is not None
    assert (found.state, vars(found.error)) == ("rejected", vars(error))
    journal.close()


async def test_a_long_journal_is_read_in_order(path: Path) -> None:
    """Elements are found however many there are, and whichever are left out."""
    journal = Journal(path, LOAD)
    journal.begin(0, pieces(*range(2_500)))
    journal.end(0, outcomes("applied", *range(2_500)))
    journal.close()
    journal = Journal(path, LOAD)
    assert [number for number in range(0, 2_600, 7) if journal.read(number, 1).get(number)] == list(range(0, 2_500, 7))
    journal.close()


async def test_what_may_be_there_is_not_begun_again(path: Path) -> None:
    """No element of a call in flight, applied or unknown is noted as sent again."""
    journal = await begun(path, 0, 1, 2, 3)
    with pytest.raises(JournalError, match="may be at the service already"):
        journal.begin(1, pieces(0, 9))
    journal.end(0, [Outcome(0, "applied"), Outcome(1, "unknown", error=lost()), *outcomes("not_sent", 2, 3)])
    for number in (0, 1):
        with pytest.raises(JournalError, match="may be at the service already"):
            journal.begin(1, pieces(2, number, 9))
    journal.begin(1, pieces(2))
    journal.close()
    assert states(path) == {0: "applied", 1: "unknown", 2: "in flight", 3: "planned"}


@pytest.mark.parametrize("status", ["applied", "unknown"])
async def test_only_what_is_in_flight_ends(path: Path, status: Status) -> None:
    """An outcome for an element not begun, ended, or in another call is an error, and not noted."""
    journal = await begun(path, 0, 1)
    for call, numbers in ((0, (0, 5)), (1, (0, 1)), (0, (0, 1, 2))):
        with pytest.raises(JournalError, match="was not in flight"):
            journal.end(call, outcomes(status, *numbers, error=lost()))
    journal.end(0, outcomes("applied", 0, 1))
    with pytest.raises(JournalError, match="was not in flight"):
        journal.end(0, outcomes(status, 0, 1, error=lost()))
    journal.close()
    assert states(path) == {0: "applied", 1: "applied"}


async def test_a_call_that_was_not_begun_has_nothing_to_end(path: Path) -> None:
    """A call that is stopped before its first step leaves no trace."""
    journal = Journal(path, LOAD)
    journal.end(0, outcomes("not_sent", 0))
    assert journal.counts() == {"applied": 0, "rejected": 0, "unknown": 0, "planned": 0}
    journal.close()


async def test_a_call_without_effect_is_begun_again(path: Path) -> None:
    """After a refusal to process it, a call is planned until it begins anew."""
    journal = await begun(path, 0, 1)
    journal.postpone(0)
    assert journal.counts()["planned"] == 2
    await anyio.sleep(30)
    journal.begin(0, pieces(0, 1))
    journal.end(0, outcomes("applied", 0) + outcomes("unknown", 1, error=lost()))
    journal.close()
    assert states(path) == {0: "applied", 1: "unknown"}
    journal = Journal(path, LOAD)
    assert journal.unknown()[0].sent == pytest.approx(anyio.current_time(), abs=5)
    journal.close()


async def test_unknown_elements_are_settled(path: Path) -> None:
    """A finding by lookup counts, and only for elements whose outcome is unknown."""
    journal = await begun(path, 0, 1, 2)
    with pytest.raises(JournalError, match="the outcome of element 0 is not unknown"):
        journal.correct(0, "applied")
    journal.end(0, outcomes("unknown", 0, 1, error=lost()) + outcomes("applied", 2))
    assert [found.number for found in journal.unknown()] == [0, 1]
    assert journal.body(0) == pieces(0)[0].body
    journal.correct(0, "applied")
    journal.correct(1, "planned")
    for number in (0, 1, 2, 3):
        with pytest.raises(JournalError, match=f"the outcome of element {number} is not unknown"):
            journal.correct(number, "planned")
    assert journal.unknown() == []
    journal.close()
    assert states(path) == {0: "applied", 1: "planned", 2: "applied"}
