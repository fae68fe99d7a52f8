"""Accepts the elements of a load in order, and compares each one with its position in the journal."""

from __future__ import annotations

import asyncio

from afas_async.errors import InvalidElementError
from afas_async.http.host import to_its_end
from afas_async.vocabulary.outcomes import Outcome
from afas_async.write.dispatch import Dispatch
from afas_async.write.intake import Intake
from afas_async.write.ledger import Ledger


class Entrance:
    """Accepts elements into one load.

    Args:
        intake: Encodes and checks the elements.
        ledger: Knows the journal, and records outcomes that need no call.
        calls: Sends the elements.
        stops: Whether an element that cannot be sent stops the load.
    """

    def __init__(self, intake: Intake, ledger: Ledger, calls: Dispatch, *, stops: bool) -> None:
        self._intake = intake
        self._ledger = ledger
        self._calls = calls
        self._stops = stops
        self._turn = asyncio.Lock()
        self._accepting = 0  # elements that wait for the journal

    async def take(self, item: object) -> None:
        """Accept an element into the load, even if the caller is cancelled.

        Raises:
            JournalError: If the journal has another element at this position.
        """
        if self._accepting or not self._accept(item):
            await self._accept_in_turn(item)

    async def _accept_in_turn(self, item: object) -> None:
        """Accept an element after reading the journal: in the order of the load, even if the caller is cancelled."""

        async def accept() -> None:
            async with self._turn:
                while not self._accept(item):
                    await self._ledger.ask()

        self._accepting += 1
        try:
            await to_its_end(asyncio.ensure_future(accept()))
        finally:
            self._accepting -= 1

    def _accept(self, item: object) -> bool:
        """Accept an element; False if the journal has to be read first."""
        report, schedule = self._ledger.report, self._calls.schedule
        index = report.total
        if not self._ledger.has_read(index):
            return False
        try:
            piece = self._intake.piece(index, item)
        except InvalidElementError as error:
            self._ledger.check_not_sent(index)
            report.total += 1
            # Later elements with this key must not overtake the corrected one, which comes in another load.
            schedule.close(self._intake.lane_of(item))
            error.__traceback__ = error.__context__ = None  # their frames would keep the element in memory
            self._ledger.record(Outcome(index, "not_sent", error=error, item=item))
            if self._stops:
                self._calls.stop(error)
            return True
        if not self._ledger.knows(piece):
            return False
        earlier = self._ledger.earlier(piece)
        report.total += 1
        if self._intake.is_blind:
            schedule.one_at_a_time()
        if earlier is not None:
            if earlier.status != "applied":
                schedule.close(piece.lane)
            self._ledger.record(earlier, piece)
        elif self._calls.stopped is not None:
            self._ledger.not_sent([piece], self._calls.stopped)
        elif schedule.add(piece):
            self._calls.pump_soon()
        else:
            self._ledger.hold_back([piece])
        return True
