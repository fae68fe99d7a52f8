"""Incremental scan: what was modified since the last time.

The service stamps a row when it is written, but others see it when it is committed, which may be up to 15 minutes
later; and the stamp is wall time in Amsterdam, which repeats an hour each October. So a run begins some time before the
moment up to which the last one was complete, and gives some rows again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, cast

import msgspec

from afas_async.errors import AnswerError, UsageError
from afas_async.policy.order import Order, combine
from afas_async.policy.spans import Span
from afas_async.read.position import fingerprint
from afas_async.read.query import Query
from afas_async.read.reader import Feed
from afas_async.read.scan import Scan
from afas_async.read.stream import RowStream
from afas_async.read.window import read_page
from afas_async.vocabulary.arguments import type_name
from afas_async.vocabulary.connectors import GetConnector, RowT
from afas_async.vocabulary.filters import Operator, Test
from afas_async.vocabulary.values import amsterdam, is_moment, value_text

# The longest transaction, a minute for clocks and rounding, and the hour that October repeats.
SLACK = timedelta(seconds=900 + 60 + 3_600)
_VERSION = 1


class _Watermark(msgspec.Struct, frozen=True):
    version: int
    query: str
    until: datetime | None


class _Cursor(msgspec.Struct, frozen=True):
    version: int
    changes: str
    since: datetime | None
    until: datetime | None
    rows: str


class Changes(RowStream[RowT], Generic[RowT]):
    """The rows of a connector that were modified, as an asynchronous iterator. Made by `AfasClient.changes`.

    Example:
        >>> async def main():
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         articles = GetConnector("Profit_Article", key="ItemCode")
        ...         first = afas.changes(articles, modified="ModifiedOn")
        ...         count = len(await first.to_list())
        ...         again = afas.changes(articles, modified="ModifiedOn", since=first.watermark)
        ...         return count, len(await again.to_list()) < count
        >>> asyncio.run(main())
        (500, True)
    """

    def __init__(
        self, scan: Scan[RowT], *, modified: str, since: str | datetime | None, after: str | None = None
    ) -> None:
        query = scan.query
        self._modified = modified
        self._everything = query  # whose newest row is asked for
        self._fingerprint = fingerprint(query.connector.name, query.where, modified)
        self._since = self._moment(since)
        self._until: datetime | None = None
        self._begun = False
        self._complete = False
        resumed = None if after is None else self._resumed(after, since)
        if self._since is not None:
            # In the first days of the calendar there is nothing before.
            begin = max(self._since, datetime.min + SLACK) - SLACK  # noqa: DTZ901 - wall time
            test = Test(modified, Operator.AT_LEAST, value_text(begin, modified))
            scan = replace(scan, query=replace(query, where=combine(query.where, ((test,),))))
        super().__init__(scan if resumed is None else scan.at(resumed.rows))

    @property
    def cursor(self) -> str:
        """The point to go on from, after the last row returned: text to store, for `changes(..., after=)`.

        A run that goes on has the watermark of the run that was broken off, whose beginning is what it is complete up
        to. Store the cursor once the rows up to here are safe.

        Raises:
            UsageError: If no row has been asked for, or there is no key.
        """
        if not self._begun:
            name = self._everything.connector.name
            raise UsageError(f"{name}: there is a cursor once the first row has come")
        cursor = _Cursor(_VERSION, self._fingerprint, self._since, self._until, self._cursor())
        return msgspec.json.encode(cursor).decode()

    @property
    def watermark(self) -> str:
        """The moment up to which this run is complete: text to store, for `since`.

        Store it when all rows of the run are safe: a run that ends before its end is repeated.

        Raises:
            UsageError: If the end has not been reached.
        """
        if not self._complete:
            raise UsageError(
                f"{self._everything.connector.name}: the watermark is there when all changes have been read, as only"
                " then the run is complete"
            )
        return msgspec.json.encode(_Watermark(_VERSION, self._fingerprint, self._until)).decode()

    async def _open(self) -> Feed[RowT]:
        if self._begun:  # by the run that this one goes on with
            return await super()._open()
        # Before any row is read: what is written from now on belongs to the next run.
        newest = await _newest(self._everything, self._modified)
        known = [moment for moment in (self._since, newest) if moment is not None]
        self._until = max(known, default=None)
        self._begun = True
        return await super()._open()

    def _resumed(self, after: object, since: object) -> _Cursor:
        """Read a cursor, and take over the run that it stands in."""
        name = self._everything.connector.name
        try:
            found = msgspec.json.decode(cast("str", after), type=_Cursor)
        except (msgspec.DecodeError, TypeError, UnicodeError):
            given = "another text" if isinstance(after, str) else type_name(after)
            raise UsageError(f"{name}: after: expected the text of `changes.cursor`, got {given}") from None
        if (found.version, found.changes) != (_VERSION, self._fingerprint):
            raise UsageError(
                f"{name}: the cursor in after= is of other changes: connector, condition and modified field must be the"
                " same"
            )
        if since is not None and found.since != self._since:
            raise UsageError(f"{name}: after= goes on with a run since {found.since}: leave since= out")
        self._since, self._until, self._begun = found.since, found.until, True
        return found

    def _moment(self, since: str | datetime | None) -> datetime | None:
        name = self._everything.connector.name
        if since is None:
            return None
        if isinstance(since, datetime):
            return amsterdam(since, self._modified).replace(microsecond=0)
        if isinstance(since, str) and is_moment(since):  # pyright: ignore[reportUnnecessaryIsInstance]
            return _wall_time(since)
        try:
            found = msgspec.json.decode(since, type=_Watermark)
        except (msgspec.DecodeError, TypeError, UnicodeError):
            raise UsageError(
                f"{name}: since: expected the text of `changes.watermark`, a datetime or a moment out of a row, got"
                f" {'another text' if isinstance(since, str) else type_name(since)}"  # pyright: ignore[reportUnnecessaryIsInstance]
            ) from None
        if (found.version, found.query) != (_VERSION, self._fingerprint):
            raise UsageError(
                f"{name}: the watermark in since= is of other changes: connector, condition and modified field must be"
                " the same"
            )
        return found.until

    async def _next_rows(self) -> list[RowT]:
        rows = await super()._next_rows()
        self._complete = not rows
        return rows


async def _newest(query: Query[Any], modified: str) -> datetime | None:
    """Return the latest moment at which a row was modified, by the service's clock; but no moment that is to come."""
    name = query.connector.name
    everything = Query(query.channel, GetConnector(name), Order((f"-{modified}",)), keyed=False)
    rows = await read_page(everything, Span(0, 1))
    value = rows[0].get(modified) if rows else None
    if value is None:
        return None
    try:
        newest = amsterdam(_wall_time(value), modified).replace(microsecond=0)
    except (AttributeError, ValueError):
        raise AnswerError(f"{name}: {modified} is {value!r}, which is no moment of a change", connector=name) from None
    # A row with a moment that is to come would hide all changes until then.
    return min(newest, amsterdam(datetime.now(UTC), modified).replace(microsecond=0))


def _wall_time(text: str) -> datetime:
    """Read a moment of the service, whose `Z` is false: it is wall time in Amsterdam (AFAS, GET connector)."""
    return datetime.fromisoformat(text.removesuffix("Z"))
