"""One page in flight: its request, its bytes as they arrive, and its rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic

from afas_async.calls.fetch import Fetch
from afas_async.errors import AnswerError, AnswerLostError, BusinessError, TransportError
from afas_async.http.host import Job
from afas_async.policy.sizing import EVERYTHING
from afas_async.policy.spans import Key, Span
from afas_async.read.drift import report_drift
from afas_async.read.query import Query
from afas_async.vocabulary.connectors import RowT
from afas_async.wire.requests import Request
from afas_async.wire.row_answers import PageParser


class PageFetch(Fetch, Generic[RowT]):
    """One page: a span of rows, requested once, or several times if the first responses break.

    A page whose first rows have been returned is not requested again as a whole: `renew` says what to request instead.

    Args:
        query: The read that the page belongs to.
        span: The rows of the page.
        early: Return rows as they arrive; otherwise all at once, when the page is complete.
        renew: Returns the span to request, when the request is made.
        halve: Makes the span of this page smaller; returns whether it could.
        arrived: Called when the response has arrived completely, or failed.
        expected: The probable size of the response in bytes.

    Attributes:
        number: The page's number, for errors.
        rows: How many rows of the span's response have been returned.
        columns: Fields of a row, 0 before the first; set it if they are known.
        last: The key of the last row returned, which the reader sets; None in a new response.
        lenient: Whether an odd response is accepted, because an earlier retry of one did not help. The reader sets it.
        complete: Whether all rows have been returned and the response was complete.
    """

    def __init__(
        self,
        query: Query[RowT],
        span: Span,
        *,
        early: bool,
        renew: Callable[[], Span] | None = None,
        halve: Callable[[], bool] | None = None,
        arrived: Callable[[], None] | None = None,
        expected: int = 0,
    ) -> None:
        super().__init__(query.channel, query.connector.name)
        self.span: Span = span
        self.number: int = 0
        self.rows: int = 0
        self.columns: int = 0
        self.last: Key | None = None
        self.lenient: bool = False
        self.complete: bool = False
        self._query = query
        self._early = early
        self._renew = renew
        self._halve = halve
        self._arrived = arrived
        self._expected = expected
        # State of the current response: bytes read ahead, rows not returned yet, and rows that were taken back.
        self._ahead = b""
        self._held: list[RowT] = []
        self._returned: list[RowT] | None = None
        self._parser: PageParser[RowT] | None = None

    # --- the engine's side ---

    @property
    def repeatable(self) -> bool:
        """Whether the rest of the span can be requested: a rest of everything needs a key."""
        resumable = self._query.keyed if self.span.take == EVERYTHING else self.rows < self.span.take
        return super().repeatable and (self.rows == 0 or resumable)

    def _forget(self) -> None:
        super()._forget()
        self._ahead = b""
        self._held = []
        self._returned = None
        self._parser = None

    def _next_request(self) -> Request:
        if self._renew is not None:
            self.span = self._renew()
        self.rows = 0
        self.last = None
        return self._query.request(self.span)

    def _job_ended(self, job: Job) -> None:
        super()._job_ended(job)
        if self._arrived is not None:
            self._arrived()

    @property
    def claimed(self) -> int:
        """The bytes that its response holds now, or its expected size while it is in flight."""
        if self.complete or self._unwanted:
            return 0
        held = self._pending()
        return held if self._job is None else max(held, self._expected - self.size + held)

    def halve(self) -> bool:
        """From now on, request half of the rest."""
        return self._halve is not None and self._halve()

    # --- the reader's side ---

    def take(self) -> list[RowT] | None:
        """Return the next rows, possibly an empty list, or None if there is nothing to do until `news` is set.

        It decodes 64 KiB of the response at most. When `complete` is set, these are the last rows.

        Raises:
            AfasError: If the page cannot be read, or a row does not fit the row type. Faults of the response that a
                retry may fix are retried first, by the rules for all retries.
        """
        if self._returned is not None:
            rows, self._returned = self._returned, None
            return rows
        if self._failure:
            return self._fail(self._failure)
        try:
            if data := self._ahead or self._read():
                self._ahead = b""
                parser = self._parser or self._make_parser()
                self._held += parser.feed(data)
                if self._all_read():
                    return self._finish()
                return self._return_rows(parser) if self._early and self._held else []
            return self._finish() if self._job is None else None
        except (AnswerError, AnswerLostError) as fault:
            if isinstance(fault, AnswerError) and self.rows:
                raise  # a response that turns out damaged casts doubt on the rows already returned
            self.start(fault.with_traceback(None))
            return []
        except BusinessError as refusal:
            refusal.trace_id = self.trace_id
            raise

    def take_back(self, rows: list[RowT]) -> None:
        """Take rows back, to return them again first; they are dropped if the response breaks meanwhile."""
        self._returned = rows

    async def wait(self) -> None:
        """Wait until `take` has something to do."""
        await self._wait()

    def _fail(self, failure: BaseException) -> list[RowT]:
        if self.rows != self.span.take or not isinstance(failure, TransportError):
            raise failure
        self.complete = True  # every row arrived; only the end of the envelope was lost
        return []

    def _make_parser(self) -> PageParser[RowT]:
        """Return a parser for the response, made when its first bytes are read: only then is its number known."""
        self._parser = PageParser(
            self._query.connector.row_type,
            connector=self.connector,
            page=self.number,
            skip=self.span.skip,
            take=self.span.take,
            columns=self.columns,
            lenient=self.lenient or any(isinstance(failure, AnswerError) for failure in self.failures),
        )
        return self._parser

    @property
    def was_odd(self) -> bool:
        """Whether it was requested again because of an odd response, and is complete."""
        return self.complete and any(isinstance(failure, AnswerError) for failure in self.failures)

    def _all_read(self) -> bool:
        """Whether the whole response has been read, so that its end is checked before its last rows are returned."""
        if self._job is not None and self._job.done():
            self._job_ended(self._job)  # the event loop would report it only after the rows have been returned
        if self._job is None and not self._failure:
            self._ahead = self._read()
            return not self._ahead
        return False

    def _return_rows(self, parser: PageParser[RowT]) -> list[RowT]:
        rows, self._held = self._held, []
        if parser.drift is not None and not self.rows:
            report_drift(self._query.channel, self.connector, self._query.connector.row_type.__name__, parser.drift)
        self.columns = parser.columns
        self.rows += len(rows)
        return rows

    def _finish(self) -> list[RowT]:
        if self._body is not None:
            self._body.finish()
        parser = self._parser or self._make_parser()
        self._held += parser.finish()
        self.complete = True
        return self._return_rows(parser)
