"""A read, put together: from what a user asks for to where its rows come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic

from afas_async.calls.fetch import MEMORY
from afas_async.calls.metainfo import get_metainfo
from afas_async.errors import QueryTooLongError, UsageError
from afas_async.policy.anchor import Anchor
from afas_async.policy.paging import Paging
from afas_async.policy.sizing import EVERYTHING, Sizing
from afas_async.policy.spans import Key, Span
from afas_async.policy.splitting import Parts, split
from afas_async.read.fetch import paced
from afas_async.read.position import Position, fingerprint, from_cursor, to_cursor
from afas_async.read.reader import Feed, Reader
from afas_async.read.source import SKIP_LIMIT, Source, query_length, refuse_without_key
from afas_async.read.union import Turn, Union
from afas_async.read.window import Window, read_page
from afas_async.vocabulary.connectors import RowT, key_types
from afas_async.vocabulary.filters import Group
from afas_async.wire.requests import QUERY_LIMIT

START = Position()


@dataclass(frozen=True)
class Reading(Generic[RowT]):
    """A read of several pages, or of everything in one: what `rows` and `pages` were asked for.

    Args:
        source: What is read.
        take: Rows per page; EVERYTHING for all in one answer; None to grow.
        window: Pages in flight at a time.
        verify: Whether to refuse to read without a key.
        whole_pages: Whether each page is handed out only when it is complete.
        position: Where to begin.
    """

    source: Source[RowT]
    take: int | None
    window: int
    verify: bool
    whole_pages: bool
    position: Position = START

    def cursor(self, position: Position) -> str:
        """Return a position in this read as text.

        Raises:
            UsageError: If there is no key to go on by.
        """
        if not self.source.keyed:
            raise UsageError(f"{self.source.connector.name}: a read without a key has no point to go on from")
        return to_cursor(position, self._query)

    def at(self, cursor: str) -> Reading[RowT]:
        """Return this read, beginning at a cursor."""
        name = self.source.connector.name
        if not self.source.keyed:
            raise UsageError(f"{name}: after= needs a key, and verify=True")
        return replace(self, position=from_cursor(cursor, self._query, name))

    @cached_property
    def _query(self) -> str:
        source = self.source
        return fingerprint(source.connector.name, source.connector.key, source.order.fields, source.where)

    async def first(self) -> RowT | None:
        """Return the first row, or None, with one request for one row."""
        parts = await self._parts()
        if len(parts.groups) == 1 and self.position == START:
            rows = await read_page(replace(self.source, where=parts.groups[0]), Span(0, 1))
            return rows[0] if rows else None
        reader = Reader(self.source, replace(self, take=1).open)
        try:
            rows = await reader.next_rows()
            return rows[0] if rows else None
        finally:
            await reader.aclose()

    # --- opening ---

    async def open(self) -> Feed[RowT]:
        """Return where the rows come from; requests are sent only to find out how to read.

        Raises:
            SortKeyRequiredError: If there is no key.
            QueryTooLongError: If the condition cannot be split into requests.
            AfasError: If what has to be known cannot be had.
        """
        if not (self.source.connector.key or self.take == EVERYTHING) and self.verify:
            await refuse_without_key(self.source)
        parts = await self._parts()
        if len(parts.groups) != 1:
            return await self._parts_in_turn(parts)
        begin = self._begin(START)
        return self._window(self.source, begin.after, window=self.window)

    def _begin(self, start: Position) -> Position:
        """Return where to begin in a read that has its start there."""
        if self.position == START:
            return start
        if not self.position.belongs_to(start, len(self.source.order.fields)):
            raise UsageError(
                f"{self.source.connector.name}: the cursor in after= stands in another read of this query: read it as"
                " rows or as pages, and with the same row type, as that one was"
            )
        return self.position

    async def _parts(self) -> Parts:
        return await paced(
            split(
                self.source.where,
                connector=self.source.connector.name,
                length=lambda groups: query_length(self.source, groups),
                limit=QUERY_LIMIT,
            )
        )

    def _window(
        self,
        source: Source[RowT],
        after: Key | None = None,
        *,
        window: int,
        at_once: int = 1,
        at_most: int | None = None,
    ) -> Window[RowT]:
        in_order = bool(source.connector.key) or self.take == EVERYTHING
        sizing = Sizing(window=window, take=self.take, byte_budget=MEMORY // at_once, overlap=int(source.keyed))
        anchor = Anchor(source.order if source.keyed else None, after).exact()
        paging = Paging(
            sizing,
            window=window,
            anchor=anchor,
            eager=self.window > 1,
            at_most=at_most,
            skip_limit=None if source.connector.key else SKIP_LIMIT,
            connector=source.connector.name,
        )
        return Window(source, paging, early=in_order and not self.whole_pages)

    async def _parts_in_turn(self, parts: Parts) -> Union[RowT]:
        source, first = self.source, self.source.order.fields[:1]
        if not (parts.disjoint or source.keyed):
            raise QueryTooLongError(
                f"{source.connector.name}: the condition is too long for one request, and without a key it cannot be"
                " told whether a row meets two of its parts",
                length=query_length(source, source.where),
                limit=QUERY_LIMIT,
            )
        groups, turn = parts.groups, Turn.FIRST
        if first == (parts.field,):
            pass  # the parts follow each other in the order of the read
        elif first == (f"-{parts.field}",):
            groups = groups[::-1]
        elif groups and not self.whole_pages and await _whole_numbers(source):
            turn = Turn.LEAST
        sizes = fingerprint(*map(len, groups))
        begin = self._begin(Position(parts=sizes, over=0 if turn is Turn.FIRST else None))
        return Union(
            self._windows(parts, groups, begin),
            turn=turn,
            at_once=self.window,
            start=begin,
            rank=source.order.rank,
            disjoint=parts.disjoint,
        )

    def _windows(self, parts: Parts, groups: Sequence[tuple[Group, ...]], begin: Position) -> Iterator[Window[RowT]]:
        """Make the windows of the parts as they are wanted: there may be thousands."""
        # Of rows with one of so many keys there are no more than that.
        by_key = self.source.keyed and (parts.field,) == self.source.connector.key
        after = begin.after
        # Of each of the parts that are read together a page waits, and the one that follows it.
        at_once = 2 * len(groups) if begin.over is None else self.window
        for group in groups[begin.over :]:
            yield self._window(
                replace(self.source, where=group),
                after,
                window=1,
                at_once=at_once,
                at_most=len(group) if by_key and after is None else None,
            )
            after = after if begin.over is None else None


async def _whole_numbers(source: Source[Any]) -> bool:
    """Whether all fields that a read is sorted by hold whole numbers, so that their order is known here."""
    if not source.keyed:
        return False
    types = key_types(source.connector.row_type)
    fields = {field.removeprefix("-") for field in source.order.fields}
    if types is not None:
        return all(types[field] is int for field in fields)
    described = await get_metainfo(source.channel, source.connector.name)
    return fields <= {field.id for field in described.fields if field.data_type == "int"}
