"""Load elements with a journal: `python -m tests.support.kill_loader FOLDER`, with `plan` in the folder.

You may kill it at any moment; started again, it continues. At its end it writes each element's outcome to `report`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec

from afas_async import AfasClient, AfasError, AnswerLostError, F, GetConnector, RequestTimeoutError
from afas_async.calls import write as sending
from afas_async.calls.write import Write
from afas_async.policy.lanes import Piece
from afas_async.policy.schedule import LoadCall
from afas_async.policy.verdicts import Attempt, Verdict
from afas_async.vocabulary.elements import Element
from afas_async.vocabulary.outcomes import Outcome, Status
from afas_async.wire.write_answers import Ending
from afas_async.write import lookups
from afas_async.write.journal import Journal
from afas_async.write.journal_file import JournalFile
from afas_async.write.ledger import Ledger
from afas_async.write.lookups import Lookup
from tests.support import canary

BY_REFERENCE: Lookup[dict[str, Any]] = Lookup(
    GetConnector("Profit_Subjects", key="SubjectId"), lambda element: F.Subject == element.fields["Ds"]
)
FAULTY = 11  # one of this many elements is refused


class Plan(msgspec.Struct):
    """The elements to load, and the way to load them.

    Args:
        url: The service.
        reference: Distinguishes the elements from those of other loads.
        elements: How many there are.
        per_call: The most in a call.
        check: Whether unknown outcomes are looked up.
        faulty: Whether some are refused.
        design: Which wrong design takes the place of the right one.
        die: After how many responses the process kills itself, before it notes the next.
        last_statement: The number of the SQL statement that it does not live to carry out.
        patience: Seconds to wait for a response.
        in_flight: Calls at a time.
    """

    url: str
    reference: str
    elements: int = 150
    per_call: int = 1
    check: bool = True
    faulty: bool = True
    design: str | None = None
    die: int | None = None
    last_statement: int | None = None
    patience: float | None = None
    in_flight: int = 4

    def element(self, number: int) -> Element:
        faulty = self.faulty and number % FAULTY == FAULTY - 1
        return Element({"StId": "none" if faulty else 1, "Ds": self.subject(number)})

    def subject(self, number: int) -> str:
        return f"{self.reference}/{number}"


class Report(msgspec.Struct):
    """What became of the elements, by their numbers."""

    statuses: dict[int, str] = {}


def run(folder: Path) -> None:
    asyncio.run(main(folder))


async def main(folder: Path) -> None:
    plan = msgspec.json.decode((folder / "plan").read_bytes(), type=Plan)
    with ExitStack() as stack:
        if plan.design is not None:
            stack.enter_context(WRONG[plan.design]())
        if plan.die is not None:
            stack.enter_context(_death(plan.die))
        if plan.last_statement is not None:
            stack.enter_context(_death_in_sql(plan.last_statement))
        patience = {} if plan.patience is None else {"write_timeout": plan.patience}
        async with AfasClient(base_url=plan.url, auth=canary.TOKEN, **patience) as afas:
            load = afas.load(
                "KnSubject",
                journal=folder / "journal",
                load_id="killed",
                max_elements=plan.per_call,
                in_flight=plan.in_flight,
                on_reject="split" if plan.per_call > 1 else "continue",
                validate=False,
                lookup=BY_REFERENCE if plan.check else None,
            )
            async with load:
                for number in range(plan.elements):
                    await load.add(plan.element(number))
    report = Report(dict.fromkeys(range(plan.elements), "applied"))
    for outcome in (*load.report.rejected, *load.report.unknown, *load.report.not_sent):
        assert report.statuses[outcome.index] == "applied", "an element has two outcomes"
        report.statuses[outcome.index] = outcome.status
    assert sum(load.report.counts.values()) == load.report.total == plan.elements
    assert list(report.statuses.values()).count("applied") == load.report.counts["applied"]
    (folder / "new").write_bytes(msgspec.json.encode(report))
    os.replace(folder / "new", folder / "report")  # noqa: PTH105


def _death(answers: int) -> AbstractContextManager[object]:
    """Die when a response has arrived that is not noted yet."""
    book, left = Ledger.book, iter(range(answers))

    def book_or_die(self: Ledger, call: LoadCall, verdict: Verdict) -> None:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        book(self, call, verdict)

    return patch.object(Ledger, "book", book_or_die)


def _death_in_sql(last: int) -> AbstractContextManager[object]:
    """Die when the journal is about to carry out this statement, counted from 1."""
    connect, left = sqlite3.connect, iter(range(last - 1))

    def carry_out_or_die(_: str) -> None:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    def connect_and_watch(*arguments: Any, **options: Any) -> sqlite3.Connection:
        database = connect(*arguments, **options)
        database.set_trace_callback(carry_out_or_die)
        return database

    return patch.object(sqlite3, "connect", connect_and_watch)


# --- wrong designs ---


def _send_what_is_in_flight() -> AbstractContextManager[object]:
    begin = JournalFile.begin

    def forget(self: JournalFile) -> None:
        begin(self)
        self.database.execute("UPDATE elements SET state = 'planned' WHERE state = 'unknown'")

    return patch.object(JournalFile, "begin", forget)


def _believe_absent_at_once() -> AbstractContextManager[object]:
    return patch.object(lookups, "is_quiet", lambda *_: True)


def _mark_after_sending() -> AbstractContextManager[object]:
    begin, end = Journal.begin, Journal.end
    later: dict[int, Sequence[Piece]] = {}

    def begin_later(_: Journal, call: int, pieces: Sequence[Piece], __: float) -> None:
        later[call] = pieces

    def begin_and_end(self: Journal, call: int, outcomes: Sequence[Outcome]) -> None:
        begin(self, call, later.pop(call), 0.0)
        end(self, call, outcomes)

    return patch.multiple(Journal, begin=begin_later, end=begin_and_end)


def _time_out_is_failure() -> AbstractContextManager[object]:
    known = sending.failed

    def failed(attempt: Attempt, failure: AfasError) -> Status:
        return "rejected" if isinstance(failure, RequestTimeoutError) else known(attempt, failure)

    return patch.object(sending, "failed", failed)


def _cut_answer_is_failure() -> AbstractContextManager[object]:
    after = Write._after_success

    def failed(self: Write, seconds: float, ending: Ending) -> Verdict:
        if ending is Ending.BROKEN:
            return Verdict("rejected", seconds, error=AnswerLostError("cut", connector=self.connector))
        return after(self, seconds, ending)

    return patch.object(Write, "_after_success", failed)


WRONG: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "send what is in flight": _send_what_is_in_flight,
    "believe absent at once": _believe_absent_at_once,
    "mark after sending": _mark_after_sending,
    "time-out is failure": _time_out_is_failure,
    "cut answer is failure": _cut_answer_is_failure,
}

if __name__ == "__main__":
    run(Path(sys.argv[1]))
