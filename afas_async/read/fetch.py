"""One page on its way: its request, its bytes as they arrive, and its rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Generic

from anyio.lowlevel import checkpoint

from afas_async.connectors import GetConnector, RowT
from afas_async.errors import AnswerError, AnswerLostError, TransportError
from afas_async.http.engine import Options
from afas_async.http.fetch import Fetch
from afas_async.http.host import Job
from afas_async.http.session import Session
from afas_async.policy.paging import Span
from afas_async.wire.rows import PageParser
from afas_async.wire.urls import Request, rows_request

HOLD_SECONDS = 0.0005


@dataclass(frozen=True)
class Source(Generic[RowT]):
    """What is read, and how its requests are sent.

    Args:
        session: Sends the requests.
        options: Time-out, retries, language, events.
        connector: The connector, with the type of its rows.
        order_by: The sort order, fields with a leading `-` for descending.
    """

    session: Session
    options: Options
    connector: GetConnector[RowT]
    order_by: tuple[str, ...]


class Pace:
    """Lets the event loop run after half a millisecond of decoding: not after each row, and not after each page."""

    def __init__(self) -> None:
        self._since = perf_counter()
        self._resting = False

    @property
    def due(self) -> bool:
        """Whether it is time for a rest."""
        # A rest that was cancelled is not repeated: a reader that cancels each wait at once must come on too.
        due = perf_counter() - self._since > HOLD_SECONDS and not self._resting
        self._resting = False
        return due

    async def rest(self) -> None:
        """Yield to the event loop."""
        self._resting = True
        await checkpoint()
        self._since = perf_counter()
        self._resting = False


class PageFetch(Fetch, Generic[RowT]):
    """One page: a span of rows, asked for with one request, or with several if the first ones break.

    A page whose first rows have been handed out is not replayed: the next attempt asks for the rows behind them.

    Args:
        source: What is read.
        span: Which rows of it.
        early: Hand out rows as they arrive; otherwise all at once, when the page is complete.
        pace: Yields to the event loop between slices.
        halve: Makes the span of this page smaller; returns False if it cannot.
        arrived: Called when the answer has come in whole, or failed.

    Attributes:
        number: The page's number, for errors.
        rows: How many of the span's rows have been handed out.
        columns: Fields of a row, 0 before the first; set it if they are known.
        complete: Whether all rows have been handed out and the answer was whole.
    """

    def __init__(
        self,
        source: Source[RowT],
        span: Span,
        *,
        early: bool,
        pace: Pace,
        halve: Callable[[PageFetch[RowT]], bool] | None = None,
        arrived: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(source.session, source.options, source.connector.name)
        self.span: Span = span
        self.number: int = 0
        self.rows: int = 0
        self.columns: int = 0
        self.complete: bool = False
        self._source = source
        self._early = early
        self._pace = pace
        self._halve = halve
        self._arrived = arrived
        # Of the answer on its way: bytes read ahead, rows not handed out, and whether any were.
        self._ahead = b""
        self._held: list[RowT] = []
        self._handed_out = False
        self._parser: PageParser[RowT] | None = None

    # --- the engine's side ---

    @property
    def repeatable(self) -> bool:
        """Whether the rest of the span can be asked for; the rest of everything cannot."""
        return super().repeatable and (self.rows == 0 or self.rows < self.span.take)

    def _forget(self) -> None:
        super()._forget()
        self._ahead = b""
        self._held = []
        self._handed_out = False
        self._parser = None

    def _next_request(self) -> Request:
        rest = self._rest()
        return rows_request(self.connector, skip=rest.skip, take=rest.take, order_by=self._source.order_by)

    def _job_ended(self, job: Job) -> None:
        super()._job_ended(job)
        if self._arrived is not None:
            self._arrived()

    def halve(self) -> bool:
        """Ask for half of the rest from now on."""
        return self._halve is not None and self._halve(self)

    def _rest(self) -> Span:
        return self.span.after(self.rows) if self.rows else self.span

    # --- the reader's side ---

    async def next_rows(self) -> list[RowT]:
        """Return the next rows of the page; once `complete` is set they are the last, and possibly none.

        Raises:
            AfasError: If the page cannot be had, or a row does not fit the row type. Faults of the answer that another
                attempt may mend are sent again first, by the rules for all retries.
        """
        while not self._failure:
            if self._pace.due:
                await self._pace.rest()
            try:
                if piece := self._ahead or self._read():
                    self._ahead = b""
                    parser = self._parser or self._make_parser()
                    self._held += parser.feed(piece)
                    if self._all_read():
                        return self._finish()
                    if self._early and self._held:
                        return self._hand_out(parser)
                elif self._job is not None:
                    await self._wait()
                elif not self._failure:  # which may have come during the rest
                    return self._finish()
            except (AnswerError, AnswerLostError) as fault:
                if isinstance(fault, AnswerError) and self._handed_out:
                    raise  # an answer that proves to be damaged casts doubt on its rows that were handed out
                self.start(fault.with_traceback(None))
        if self.rows != self.span.take or not isinstance(self._failure, TransportError):
            raise self._failure
        self.complete = True  # every row is there; only the end of the envelope was lost
        return []

    def _make_parser(self) -> PageParser[RowT]:
        """Return a parser for the answer, made when its first bytes are read: only then is its number known."""
        rest = self._rest()
        self._parser = PageParser(
            self._source.connector.row_type,
            connector=self.connector,
            page=self.number,
            skip=rest.skip,
            take=rest.take,
            before=self.rows,
            columns=self.columns,
        )
        return self._parser

    def _all_read(self) -> bool:
        """Whether the answer is read to its end, which can then be checked before its last rows are handed out."""
        if self._job is None and not self._failure:
            self._ahead = self._read()
            return not self._ahead
        return False

    def _hand_out(self, parser: PageParser[RowT]) -> list[RowT]:
        rows, self._held = self._held, []
        self._handed_out = True
        self.columns = parser.columns
        self.rows += len(rows)
        return rows

    def _finish(self) -> list[RowT]:
        if self._body is not None:
            self._body.finish()
        parser = self._parser or self._make_parser()
        rows, self._held = self._held + parser.finish(), []
        self.complete = True
        self.columns = parser.columns
        self.rows += len(rows)
        return rows
