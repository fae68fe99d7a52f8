"""What a client can ask of GetConnectors: rows as streams, whole pages, one page."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack, overload

from afas_async.errors import UsageError
from afas_async.http.options import Options
from afas_async.http.session import Session
from afas_async.policy.sizing import EVERYTHING
from afas_async.policy.spans import Span
from afas_async.read.plans import restrict
from afas_async.read.reading import Reading
from afas_async.read.source import source_of
from afas_async.read.stream import Page, Pages, Rows
from afas_async.read.window import read_page
from afas_async.vocabulary.arguments import check_type
from afas_async.vocabulary.connectors import GetConnector, RowT
from afas_async.vocabulary.filters import Condition


class ReadOptions(TypedDict, total=False):
    """The options of `rows` and `pages`, which describes them."""

    where: Condition | None
    order_by: str | Sequence[str]
    take: int | None
    window: int | None
    after: str | None
    part: Mapping[str, Any] | None
    verify: bool


class GetConnectors:
    """The part of a client that reads GetConnectors."""

    _session: Session
    _options: Options

    @overload
    def rows(self, connector: GetConnector[RowT], **options: Unpack[ReadOptions]) -> Rows[RowT]: ...

    @overload
    def rows(
        self, connector: str, *, key: str | tuple[str, ...] = ..., **options: Unpack[ReadOptions]
    ) -> Rows[dict[str, Any]]: ...

    def rows(
        self,
        connector: GetConnector[Any] | str,
        *,
        key: str | tuple[str, ...] = (),
        where: Condition | None = None,
        order_by: str | Sequence[str] = (),
        take: int | None = None,
        window: int | None = None,
        after: str | None = None,
        part: Mapping[str, Any] | None = None,
        verify: bool = True,
    ) -> Rows[Any]:
        """Return the rows of a GetConnector as a stream: in key order, pages fetched concurrently, in bounded memory.

        Nothing is sent before the first row is asked for. Rows are handed out as the bytes of their page arrive. At
        most `window` pages are on their way, and only while rows are being asked for. Answers that wait for the reader
        are kept to about 16 MiB together, by the size of the rows so far, and to 16 MiB each in any case.

        *Guarantee.* A row that exists, meets the condition and keeps its key from the first request to the last answer
        is handed out exactly once, in key order, however many other rows appear, vanish or change meanwhile; no key is
        handed out twice. A row that appears, vanishes or changes during the read is handed out at most once, as it was
        when its page was asked for. To this end every page is asked for by key (from the last row handed out on), has
        one row in common with the page before it, and is repaired where that row is not found; and the read ends only
        on proof, an answer without a new row, never because an answer was short. The cost per row does not depend on
        how many rows lie before it: a page skips at most those in flight. Where keys are whole numbers that lie about
        evenly it skips nothing, but begins at the key at which the page before it should end, with a few more rows in
        common; a forecast that was wrong costs requests, and no row.

        *Limits.* It rests on the key: unique, never empty, never changed, texts or whole numbers, and filtered by the
        service in the order in which it sorts. Equal or empty keys are noticed (NonUniqueKeyError), of `msgspec.Raw`
        rows only at the first and last of each piece. Where an answer shows that filter and order disagree, it is a
        KeyOrderError; not each of them does: be wary of numbers in text fields and of formatted fields. A key that
        changes during the read cannot be noticed. AFAS documents no isolation of its answers: if an answer of its own
        misses rows that have long been there, no client can tell. The rows are not those of one moment: a row read
        early may have changed when the last one is read. `changes` is the way to catch up.

        A condition too long for the service's 2,048 characters, such as `in_` with thousands of values, is split over
        several requests. Each row is handed out once, provided that it meets the same of the alternatives throughout:
        one that moves on to the next value can be missing or come twice. The order is kept if the key holds whole
        numbers. If it holds texts, the rows come in the order of the values that the condition asks for in the first
        field of the key, sorted here, and otherwise part after part. Parts that are merged by whole numbers may have
        more requests waiting than `window`, but no more under way than the client's `max_concurrency`.

        Leaving the loop in any way is safe, cancellation included, and a cancelled read can be taken up again.
        `async with` around the stream stops the requests on their way at once; without it that is done when the stream
        is collected.

        Args:
            connector: The connector, or its name for rows as dicts.
            key: The key of a connector that is given by name.
            where: The condition that rows must meet, made with `F`.
            order_by: Another order than the key's: field ids, a leading `-` for descending. The key is added. The
                fields must be members of the row type, `str` or `int`, never empty and never changed during the read.
            take: Rows per page, besides the one in common with the page before. By default pages grow from 100 rows to
                AFAS's advice (columns x rows < 150,000), to 4 MB, and to what the service answers within 10 seconds. -1
                asks for everything in one answer, which AFAS discourages, and warns. While the reader of such an answer
                pauses, it holds one of the client's slots, and the server may cut it after 15 minutes.
            window: Pages on their way at a time, at most the client's `max_concurrency`, which is the default; a repair
                comes on top.
            after: A cursor of the same query, from `rows.cursor`: begin after the row where that read stood.
            part: A part of a plan: only the rows in its key range.
            verify: False gives the guarantee up: pages are asked for by their number only, without rows in common, so
                that rows which appear or vanish meanwhile can lose or double others. Without a key it is the only way:
                best effort, ordered by `order_by` alone, whole pages only, with an error at row 100,000.

        Returns:
            A stream of the connector's row type.

        Raises:
            UsageError: If an argument makes no sense. Nothing was sent.
            QueryTooLongError: If a condition does not fit into a request and cannot be split; from the stream, before
                anything is sent.
            SortKeyRequiredError: From the stream, if there is no key; no rows were asked for.
            AfasError: From the stream, if rows cannot be had.

        Source:
            AFAS, GET connector: skip and take, sorting, filters; REST API for developers.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         async with afas.rows("Profit_Article", key="ItemCode", where=F.ItemCode > "000010") as rows:
            ...             codes = [row["ItemCode"] async for row in rows]
            ...         return len(codes), codes[-1]
            >>> asyncio.run(main())
            (490, '000500')
        """
        reading = self._reading(
            connector,
            whole_pages=False,
            key=key,
            where=where,
            order_by=order_by,
            take=take,
            window=window,
            after=after,
            part=part,
            verify=verify,
        )
        if take == EVERYTHING:
            name = reading.source.connector.name
            warnings.warn(
                f"{name}: take=-1 makes the service build one answer of all rows, which AFAS strongly discourages",
                stacklevel=2,
            )
        return Rows(reading)

    @overload
    def pages(self, connector: GetConnector[RowT], **options: Unpack[ReadOptions]) -> Pages[RowT]: ...

    @overload
    def pages(
        self, connector: str, *, key: str | tuple[str, ...] = ..., **options: Unpack[ReadOptions]
    ) -> Pages[dict[str, Any]]: ...

    def pages(
        self,
        connector: GetConnector[Any] | str,
        *,
        key: str | tuple[str, ...] = (),
        **options: Unpack[ReadOptions],
    ) -> Pages[Any]:
        """Return the rows of a GetConnector as whole server pages: the form for loading a database.

        As `rows`, with the same guarantee, but each `Page` is handed out only when its answer was complete: its rows
        are in memory together. `pages.cursor` is the point to go on from after the last page.

        Args:
            connector: As for `rows`.
            key: As for `rows`.
            options: As for `rows`; `take` cannot be -1. If the condition has to be split, the pages come part after
                part.

        Returns:
            A stream of `Page`, in order.

        Raises:
            UsageError: If an argument makes no sense. Nothing was sent.
            SortKeyRequiredError: From the stream, if there is no key.
            AfasError: From the stream, if rows cannot be had.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         pages = afas.pages("Profit_Article", key="ItemCode", take=200)
            ...         return [(page.number, page.skip, len(page.rows)) async for page in pages]
            >>> asyncio.run(main())
            [(0, 0, 200), (1, 200, 200), (2, 400, 100)]
        """
        reading = self._reading(connector, whole_pages=True, key=key, **options)
        if reading.take == EVERYTHING:
            name = reading.source.connector.name
            raise UsageError(f"{name}: pages cannot return everything in one page: take=-1 is for rows()")
        return Pages(reading)

    def _reading(
        self,
        connector: GetConnector[Any] | str,
        *,
        whole_pages: bool,
        key: str | tuple[str, ...],
        where: Condition | None = None,
        order_by: str | Sequence[str] = (),
        take: int | None = None,
        window: int | None = None,
        after: str | None = None,
        part: Mapping[str, Any] | None = None,
        verify: bool = True,
    ) -> Reading[Any]:
        source = source_of(
            self._session, self._options, connector, key=key, order_by=order_by, where=where, keyed=verify
        )
        name, most = source.connector.name, self._session.max_concurrency
        check_type("verify", verify, bool, "True or False", connector=name)
        check_type("window", window, int | None, f"a whole number from 1 to {most}", connector=name)
        if window is not None and not 1 <= window <= most:
            raise UsageError(f"{name}: window must be 1 to {most}, the client's max_concurrency, not {window}")
        check_type("take", take, int | None, "a whole number such as 100", connector=name)
        if take is not None and take < 1 and take != EVERYTHING:
            raise UsageError(f"{name}: take must be 1 or more, not {take}")
        if part is not None:
            source = restrict(source, part)
        reading = Reading(source, take, window or most, verify, whole_pages)
        return reading if after is None else reading.at(after)

    @overload
    async def page(
        self,
        connector: GetConnector[RowT],
        *,
        skip: int = ...,
        take: int = ...,
        where: Condition | None = ...,
        order_by: str | Sequence[str] = ...,
    ) -> Page[RowT]: ...

    @overload
    async def page(
        self,
        connector: str,
        *,
        skip: int = ...,
        take: int = ...,
        where: Condition | None = ...,
        order_by: str | Sequence[str] = ...,
    ) -> Page[dict[str, Any]]: ...

    async def page(
        self,
        connector: GetConnector[Any] | str,
        *,
        skip: int = 0,
        take: int = 100,
        where: Condition | None = None,
        order_by: str | Sequence[str] = (),
    ) -> Page[Any]:
        """Return one page, with exactly one request (sent again only if it fails).

        Args:
            connector: The connector, or its name for rows as dicts.
            skip: Rows to leave out, 0 or more. AFAS: slow above 100,000 (GET connector).
            take: Rows to return at most, 1 or more.
            where: The condition that rows must meet. A condition that no row can meet takes no request.
            order_by: Field ids, a leading `-` for descending; by default the connector's key, or no order.

        Raises:
            UsageError: If an argument makes no sense. Nothing was sent.
            QueryTooLongError: If the condition does not fit into one request: use `rows`.
            AfasError: If the page cannot be had. A cancelled call leaves nothing behind.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         page = await afas.page("Profit_Article", skip=10, take=2, order_by="ItemCode")
            ...         return [row["ItemCode"] for row in page.rows]
            >>> asyncio.run(main())
            ['000011', '000012']
        """
        source = source_of(self._session, self._options, connector, order_by=order_by, where=where)
        name = source.connector.name
        check_type("skip", skip, int, "a whole number such as 100", connector=name)
        check_type("take", take, int, "a whole number such as 100", connector=name)
        if skip < 0 or take < 1:
            raise UsageError(
                f"{name}: skip must be 0 or more and take 1 or more, not skip={skip} and take={take};"
                " use rows() for all rows"
            )
        return Page(await read_page(source, Span(skip, take)) if source.where else [], 0, skip)
