"""What the tests of the journal share: a load, its elements and outcomes, and a look into the file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from afas_async import BusinessError, OutcomeUnknownError
from afas_async.policy.lanes import Piece
from afas_async.vocabulary.outcomes import Outcome, Status
from afas_async.write.journal import Journal

LOAD = {"service": "https://12345.rest.afas.online/profitrestservices", "connector": "KnSubject", "action": "insert"}
SECRET = b"Geheim"


def pieces(*numbers: int) -> list[Piece]:
    return [Piece(number, b'{"Fields":{"Ds":"%b %d"}}' % (SECRET, number)) for number in numbers]


def outcomes(status: Status, *numbers: int, **facts: Any) -> list[Outcome]:
    return [Outcome(number, status, **facts) for number in numbers]


def lost() -> OutcomeUnknownError:
    sent_at = datetime(2026, 11, 20, 12, tzinfo=UTC)
    quiet_until = sent_at + timedelta(seconds=960)
    return OutcomeUnknownError(
        connector="KnSubject",
        sent_at=sent_at,
        quiet_until=quiet_until,
        stage="answered",
        reason="a proxy answered",
        trace_id="T1",
    )


def refused() -> BusinessError:
    return BusinessError(
        "Verplicht", status=500, connector="KnSubject", error_number=7, log_reference="abc", trace_id="T2"
    )


def states(path: Path) -> dict[int, str]:
    """Return the states of all elements in the file of a closed journal."""
    with closing(sqlite3.connect(path)) as database:
        return dict(database.execute("SELECT number, state FROM elements ORDER BY number"))


def content(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


async def begun(path: Path, *numbers: int) -> Journal:
    journal = Journal(path, LOAD)
    journal.begin(0, pieces(*numbers))
    return journal
