"""Opens a read: from the arguments of a user to the source of the rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic

from msgspec.structs import replace as replace_position

from afas_async.errors import QueryTooLongError, UsageError
from afas_async.http.channel import Channel
from afas_async.policy.anchor import Anchor
from afas_async.policy.paging import Paging
from afas_async.policy.sizing import EVERYTHING, FIRST_TAKE, Sizing
from afas_async.policy.spans import Span, values_of
from afas_async.policy.splitting import Groups, pack, values_apart, values_in_order
from afas_async.read.in_turn import InTurn
from afas_async.read.keys import KeyReader
from afas_async.read.merged import Merged
from afas_async.read.options import ReadOptions
from afas_async.read.pace import paced
from afas_async.read.parts import part_of
from afas_async.read.position import START, Position, fingerprint, from_cursor, to_cursor
from afas_async.read.query import SKIP_LIMIT, Query, query_of, refuse_without_key
from afas_async.read.reader import Feed, Reader
from afas_async.read.window import Window, read_page
from afas_async.vocabulary.connectors import GetConnector, RowT, key_types
from afas_async.wire.requests import QUERY_LIMIT
from afas_async.wire.row_requests import EVERY_ROW


@dataclass(frozen=True)
class Scan(Generic[RowT]):
    """A read of several pages, or of everything in one response, as `rows` and `pages` describe it.

    Args:
        query: The query.
        take: Rows per page; EVERYTHING for all in one response; None to grow.
        window: Pages in flight at a time.
        verify: Whether to refuse to read without a key.
        whole_pages: Whether each page is returned only when it is complete.
        position: Where to begin.
    """

    query: Query[RowT]
    take: int | None
    window: int
    verify: bool
    whole_pages: bool
    position: Position = START

    def cursor(self, position: Position) -> str:
        """Return a position in this read as text.

        Raises:
            UsageError: If the read has no key to continue from.
        """
        if not self.query.keyed:
            raise UsageError(
                f"{self.query.connector.name}: a read without a key has no point to continue from: declare a key"
            )
        return to_cursor(position, self._fingerprint)

    def at(self, cursor: str) -> Scan[RowT]:
        """Return this read, beginning at a cursor."""
        name = self.query.connector.name
        if not self.query.keyed:
            raise UsageError(f"{name}: after= needs a key and verify=True")
        return replace(self, position=from_cursor(cursor, self._fingerprint, name))

    @cached_property
    def _fingerprint(self) -> str:
        query = self.query
        return fingerprint(query.connector.name, query.connector.key, query.order.fields, query.where)

    async def first(self) -> RowT | None:
        """Return the first row, or None, with one request for one row."""
        whole = self.query.in_one_request()
        if whole is not None and self.position == START:
            rows = await read_page(whole, Span(0, 1))
            return rows[0] if rows else None
        reader = Reader(self.query, replace(self, take=1).open)
        try:
            first = await reader.next_rows()
            return first[0] if first else None
        finally:
            await reader.aclose()

    # --- opening ---

    async def open(self) -> Feed[RowT]:
        """Return the source of the rows; requests are sent only to find out how to read.

        Raises:
            SortKeyRequiredError: If the connector has no key.
            QueryTooLongError: If the condition cannot be split into requests.
            UsageError: If the rows of several requests cannot be brought into the order of the read.
            AfasError: If a request that it needs for this fails.
        """
        if not (self.query.connector.key or self.take == EVERYTHING) and self.verify:
            await refuse_without_key(self.query)
        query = self.query
        if not query.where:
            return InTurn((), at_once=1)
        whole = query.in_one_request()
        if whole is not None and (query.by_key or not query.keyed or whole.key_space):
            return self._window(whole, self._begin(START), window=self.window)
        return await self._in_parts(whole)

    def _begin(self, start: Position) -> Position:
        """Return where to begin in a read that starts at `start`."""
        if self.position == START:
            return start
        if not self.position.belongs_to(start, len(self.query.order.fields)):
            raise UsageError(
                f"{self.query.connector.name}: the cursor in after= comes from another read of this query: use rows()"
                " or pages(), and the row type, as that read did"
            )
        return self.position

    def _window(
        self, query: Query[RowT], begin: Position = START, *, window: int = 1, at_once: int = 1
    ) -> Window[RowT]:
        in_order = bool(query.connector.key) or self.take == EVERYTHING
        at_most = len(query.where) if query.by_key and begin.after is None and not begin.since else None
        sizing = Sizing(
            window=window,
            take=self.take,
            byte_budget=query.channel.session.memory.limit // at_once,
            overlap=int(query.keyed),
            first=max(FIRST_TAKE, at_most or 0),
        )
        anchor = Anchor(
            query.order if query.keyed else None,
            begin.after,
            origin=begin.after,
            since=begin.since,
            fits=query.fits,
        )
        counted = not query.connector.key or not query.key_space
        paging = Paging(
            sizing,
            window=window,
            anchor=anchor.exact(),
            eager=self.window > 1,
            at_most=at_most,
            skip_limit=SKIP_LIMIT if counted else None,
            connector=query.connector.name,
        )
        return Window(query, paging, early=in_order and not self.whole_pages, place=begin)

    async def _in_parts(self, whole: Query[RowT] | None) -> Feed[RowT]:
        """Return the source of rows for a condition that is too long for one request, or leaves no space for a key."""
        query = self.query
        if not query.keyed:
            apart = await paced(values_apart(query.where))
            if apart is None:
                raise QueryTooLongError(
                    f"{query.connector.name}: the condition is too long for one request. Without a key, rows that"
                    " meet two of its parts would come twice: declare the connector's key",
                    length=query.length(query.where),
                    limit=QUERY_LIMIT,
                )
            return self._in_turn(await self._packed(query, apart), query)
        parts = await self._packed(query, [(group,) for group in query.where])
        kinds = await self._kinds()
        if not kinds:
            return InTurn((), at_once=1)
        first = query.order.fields[0]
        numbers = kinds[0] is int
        ordered = await paced(values_in_order(query.where, first.removeprefix("-"), numbers=numbers))
        if ordered is not None:
            written = replace(query, listed=query.by_key)
            units = ordered[::-1] if first.startswith("-") else ordered
            return self._in_turn(await self._packed(written, units), written)
        if set(kinds) == {int} and not self.whole_pages:
            return self._merged(parts)
        if whole is not None:
            return self._window(whole, self._begin(START), window=self.window)
        raise UsageError(
            f"{query.connector.name}: the condition is too long for one request, and the rows of several cannot be"
            f" brought into the order of {', '.join(query.order.fields)}. That works for rows() in the order of whole"
            " numbers, and in the order of the field whose values the condition lists, if they have only letters and"
            " digits. Use such an order_by, or verify=False and sort the rows, or fewer alternatives at a time"
        )

    async def _packed(self, query: Query[RowT], units: Sequence[Groups]) -> Sequence[Groups]:
        name = query.connector.name
        return await paced(pack(units, connector=name, length=query.length_with_key, limit=QUERY_LIMIT))

    def _in_turn(self, parts: Sequence[Groups], query: Query[RowT]) -> InTurn[RowT]:
        start = Position(parts=fingerprint(*map(len, parts)), over=0)
        begin = self._begin(start)

        def windows() -> Iterator[Window[RowT]]:
            for number in range(begin.over or 0, len(parts)):
                place = begin if number == begin.over else replace_position(start, over=number)
                yield self._window(replace(query, where=parts[number]), place, at_once=self.window)

        return InTurn(windows(), at_once=self.window)

    def _merged(self, parts: Sequence[Groups]) -> Merged[RowT]:
        begin = self._begin(Position(parts=fingerprint(*map(len, parts))))
        # Each part keeps one page waiting, and the page after it.
        queries = [replace(self.query, where=part) for part in parts]
        windows = [self._window(query, begin, at_once=2 * len(parts)) for query in queries]
        return Merged(self.query, windows, at_once=self.window, start=begin)

    async def _kinds(self) -> Sequence[type[object] | None]:
        """Return the types of the values that the read is sorted by, from the row type or a row; empty without rows."""
        query = self.query
        fields = [field.removeprefix("-") for field in query.order.fields]
        types = key_types(query.connector.row_type)
        if types is not None:
            return [types[field] for field in fields]
        rows = await read_page(replace(query, where=EVERY_ROW), Span(0, 1))
        if not rows:
            return []
        return [type(value) for value in values_of(KeyReader(query.connector, query.order).read(rows, None, 0)[0])]


def scan_of(
    channel: Channel,
    connector: GetConnector[Any] | str,
    options: ReadOptions,
    *,
    key: str | tuple[str, ...] = (),
    whole_pages: bool = False,
) -> Scan[Any]:
    """Return the read that a user asks for.

    Raises:
        UsageError: If an argument is invalid.
    """
    part = None
    if options.part is not None:
        name = connector.name if isinstance(connector, GetConnector) else f"{connector}"
        part = part_of(name, options.part)
        if options.where is not None:
            raise UsageError(
                f"{name}: part: leave where= out, as a part has its own condition: give it to plan(where=...)"
            )
        key = key or (part.key if isinstance(connector, str) else ())
    query = query_of(channel, connector, key=key, order_by=options.order_by, where=options.where, keyed=options.verify)
    options.check(query.connector.name, channel.session.max_concurrency)
    if part is not None:
        query = part.of(query)
    window = options.window or channel.session.max_concurrency
    scan = Scan(query, options.take, window, options.verify, whole_pages)
    return scan if options.after is None else scan.at(options.after)
