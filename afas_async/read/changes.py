"""Incremental reads: the rows that were modified since the last run.

The service stamps a row when it is written. Others see the row when it is committed, up to 15 minutes later. And the
stamp is wall time in Amsterdam, which repeats an hour each October. So a run begins some time before the moment up to
which the last run was complete, and returns some rows again.
"""

from __future__ import annotations

__docformat__ = "google"

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
    """The modified rows of a connector, as an asynchronous iterator: what `AfasClient.changes` returns.

    `async for`, `anext`, `batches()` and `to_list()` each continue where the last one stopped. One task at a time may
    read. Apply each row as an insert or update: some rows come again in the next run. When you have read and stored
    them all, store `watermark` and give it to the next run as `since`.

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
        self._everything = query  # its newest row is requested
        self._fingerprint = fingerprint(query.connector.name, query.where, modified)
        self._since = self._moment(since)
        self._until: datetime | None = None
        self._begun = False
        resumed = None if after is None else self._resumed(after, since)
        if self._since is not None:
            # The calendar has no days before its first ones.
            begin = max(self._since, datetime.min + SLACK) - SLACK  # noqa: DTZ901 - wall time
            test = Test(modified, Operator.AT_LEAST, value_text(begin, modified))
            scan = replace(scan, query=replace(query, where=combine(query.where, ((test,),))))
        super().__init__(scan if resumed is None else scan.at(resumed.rows))

    @property
    def cursor(self) -> str:
        """The point to continue from, after the last row returned: text to store, for `changes(..., after=)`.

        A run that continues has the watermark of the run that was interrupted: it is complete up to the beginning of
        that run. Store the cursor when the rows up to here are safe.

        Raises:
            UsageError: If you have not asked for a row yet, or the connector has no key.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         articles = GetConnector("Profit_Article", key="ItemCode")
            ...         changes = afas.changes(articles, modified="ModifiedOn")
            ...         before = [await anext(changes) for _ in range(100)]
            ...         rest = await afas.changes(articles, modified="ModifiedOn", after=changes.cursor).to_list()
            ...         return len(before), len(rest)
            >>> asyncio.run(main())
            (100, 400)
        """
        if not self._begun:
            name = self._everything.connector.name
            raise UsageError(f"{name}: there is no cursor yet: ask for a row first")
        cursor = _Cursor(_VERSION, self._fingerprint, self._since, self._until, self._cursor())
        return msgspec.json.encode(cursor).decode()

    @property
    def watermark(self) -> str:
        """The moment up to which this run is complete: text that you store and give to the next run as `since`.

        Store it when all rows of the run are safe. A run that stops before its end has no watermark: repeat it, or
        continue it from `cursor`.

        Raises:
            UsageError: If you have not read all changes yet.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         changes = afas.changes("Profit_Article", key="ItemCode", modified="ModifiedOn")
            ...         count = len(await changes.to_list())
            ...         return count, type(changes.watermark)
            >>> asyncio.run(main())
            (500, <class 'str'>)
        """
        if not self._complete:
            raise UsageError(f"{self._everything.connector.name}: there is no watermark yet: read all changes first")
        return msgspec.json.encode(_Watermark(_VERSION, self._fingerprint, self._until)).decode()

    async def _open(self) -> Feed[RowT]:
        if self._begun:  # by the run that this one continues
            return await super()._open()
        # Before any row is read: rows that are written from now on belong to the next run.
        newest = await _newest(self._everything, self._modified)
        known = [moment for moment in (self._since, newest) if moment is not None]
        self._until = max(known, default=None)
        self._begun = True
        return await super()._open()

    def _resumed(self, after: object, since: object) -> _Cursor:
        """Decode a cursor, and take over the state of its run."""
        name = self._everything.connector.name
        try:
            found = msgspec.json.decode(cast("str", after), type=_Cursor)
        except (msgspec.DecodeError, TypeError, UnicodeError):
            given = "another text" if isinstance(after, str) else type_name(after)
            raise UsageError(f"{name}: after: expected the text of `changes.cursor`, got {given}") from None
        if (found.version, found.changes) != (_VERSION, self._fingerprint):
            raise UsageError(
                f"{name}: the cursor in after= belongs to other changes: connector, condition and modified field must"
                " be the same"
            )
        if since is not None and found.since != self._since:
            raise UsageError(f"{name}: after= continues a run since {found.since}: leave since= out")
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
                f"{name}: since: expected the text of `changes.watermark`, a datetime, or a moment from a row, got"
                f" {'another text' if isinstance(since, str) else type_name(since)}"  # pyright: ignore[reportUnnecessaryIsInstance]
            ) from None
        if (found.version, found.query) != (_VERSION, self._fingerprint):
            raise UsageError(
                f"{name}: the watermark in since= belongs to other changes: connector, condition and modified field"
                " must be the same"
            )
        return found.until


async def _newest(query: Query[Any], modified: str) -> datetime | None:
    """Return the latest moment at which a row was modified, by the service's clock, but never a future one."""
    name = query.connector.name
    everything = Query(query.channel, GetConnector(name), Order((f"-{modified}",)), keyed=False)
    rows = await read_page(everything, Span(0, 1))
    value = rows[0].get(modified) if rows else None
    if value is None:
        return None
    try:
        newest = amsterdam(_wall_time(value), modified).replace(microsecond=0)
    except (AttributeError, ValueError):
        raise AnswerError(
            f"{name}: {modified} is {value!r}, which is not a moment: give a field that is stamped at each change",
            connector=name,
        ) from None
    # A row with a future moment would hide all changes until then.
    return min(newest, amsterdam(datetime.now(UTC), modified).replace(microsecond=0))


def _wall_time(text: str) -> datetime:
    """Parse a moment of the service, whose `Z` is false: it is wall time in Amsterdam (AFAS, GET connector)."""
    return datetime.fromisoformat(text.removesuffix("Z"))
