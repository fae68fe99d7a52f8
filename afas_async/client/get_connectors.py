"""What a client can ask of GetConnectors: rows as streams, whole pages, one page; plans, changes and deletions."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict, Unpack, overload

import msgspec

from afas_async.errors import UsageError
from afas_async.http.channel import Caller, operation
from afas_async.policy.sizing import EVERYTHING
from afas_async.policy.spans import Key, Span
from afas_async.read.changes import Changes
from afas_async.read.known_keys import KnownKeys
from afas_async.read.options import ReadOptions
from afas_async.read.query import query_of
from afas_async.read.ranges import plan
from afas_async.read.scan import scan_of
from afas_async.read.stream import Page, Pages, Rows
from afas_async.read.window import read_page
from afas_async.vocabulary.arguments import check_type
from afas_async.vocabulary.connectors import GetConnector, RowT
from afas_async.vocabulary.filters import Condition
from afas_async.vocabulary.names import field_id


class ReadArguments(TypedDict, total=False):
    """The options of `rows` and `pages`; `rows` describes them."""

    where: Condition | None
    order_by: str | Sequence[str]
    take: int | None
    window: int | None
    after: str | None
    part: Mapping[str, Any] | None
    verify: bool


class GetConnectors(Caller):
    """The part of a client that reads GetConnectors."""

    @overload
    def rows(
        self,
        connector: GetConnector[RowT],
        *,
        known_keys: Iterable[Key] | None = ...,
        **options: Unpack[ReadArguments],
    ) -> Rows[RowT]: ...

    @overload
    def rows(
        self,
        connector: str,
        *,
        key: str | tuple[str, ...] = ...,
        known_keys: Iterable[Key] | None = ...,
        **options: Unpack[ReadArguments],
    ) -> Rows[dict[str, Any]]: ...

    def rows(
        self,
        connector: GetConnector[Any] | str,
        *,
        key: str | tuple[str, ...] = (),
        known_keys: Iterable[Key] | None = None,
        **options: Unpack[ReadArguments],
    ) -> Rows[Any]:
        """Return the rows of a GetConnector as a stream: each once, in key order, in bounded memory.

        Nothing is sent before you ask for the first row. At most `window` pages are on their way, and only while you
        read. You can leave the loop in any way, and continue a cancelled read. `async with` around the stream stops
        its requests at once. The guide, `python -m pydoc afas_async.read`, states what holds and where it ends.

        Args:
            connector: The connector, or its name for rows as dicts.
            key: The key of a connector that you give by name.
            known_keys: Keys of rows that you have, to learn in the same read which of them are gone: see
                `rows.deleted_keys`. They are held in memory.
            where: The condition that rows must meet, made with `F`. One that is too long for a request is split, if the
                order can be kept.
            order_by: Another order than the key's: field ids, a leading `-` for descending. The key is added. The
                fields must be members of the row type, `str` or `int`, never empty and never changed during the read.
            take: Rows per page. By default pages grow from 100 rows to what AFAS advises, to 4 MB, and to what the
                service answers within 10 seconds. -1 asks for everything in one answer, which AFAS discourages.
            window: Pages on their way at a time; by default, and at most, the client's `max_concurrency`.
            after: A cursor of the same query, from `rows.cursor`: begin after the row where that read stood.
            part: A part of a plan: only the rows in its key range that meet its condition. Leave `where=` out.
            verify: False gives the guarantee up: pages are requested by number, so that rows which appear or vanish
                meanwhile make others missing or duplicate. Without a key it is the only way, up to row 100,000.

        Returns:
            A stream of the connector's row type.

        Raises:
            UsageError: If an argument makes no sense. Nothing was sent. From the stream, if the condition has to be
                split, and the order cannot be kept.
            QueryTooLongError: From the stream, if a condition does not fit into a request and cannot be split. Nothing
                was sent.
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
        scan = scan_of(self._begin("rows").bulk, connector, ReadOptions(**options), key=key)
        known = None
        if known_keys is not None:
            if {"after", "part", "order_by"} & options.keys() or not scan.verify or scan.take == EVERYTHING:
                raise UsageError(
                    f"{scan.query.connector.name}: known_keys= needs a whole read of pages in the order of the key:"
                    " leave after=, part=, order_by=, verify=False and take=-1 out"
                )
            known = KnownKeys(scan.query, known_keys)
        if scan.take == EVERYTHING:
            name = scan.query.connector.name
            warnings.warn(
                f"{name}: take=-1 makes the service build one answer of all rows, which AFAS strongly discourages",
                stacklevel=2,
            )
        return Rows(scan, known)

    @overload
    def pages(self, connector: GetConnector[RowT], **options: Unpack[ReadArguments]) -> Pages[RowT]: ...

    @overload
    def pages(
        self, connector: str, *, key: str | tuple[str, ...] = ..., **options: Unpack[ReadArguments]
    ) -> Pages[dict[str, Any]]: ...

    def pages(
        self,
        connector: GetConnector[Any] | str,
        *,
        key: str | tuple[str, ...] = (),
        **options: Unpack[ReadArguments],
    ) -> Pages[Any]:
        """Return the rows of a GetConnector as whole server pages: the form for loading a database.

        As `rows`, with the same guarantee, but you get each `Page` when its answer is complete: its rows are in memory
        together. `pages.cursor` is the point to continue from after the last page.

        Args:
            connector: As for `rows`.
            key: As for `rows`.
            options: As for `rows`; `take` cannot be -1. A condition that has to be split must ask for values of the
                first field of the order: then each page holds the rows of one answer, in order.

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
        channel = self._begin("pages").bulk
        scan = scan_of(channel, connector, ReadOptions(**options), key=key, whole_pages=True)
        if scan.take == EVERYTHING:
            name = scan.query.connector.name
            raise UsageError(f"{name}: pages cannot return everything in one page: take=-1 is for rows()")
        return Pages(scan)

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

    @operation
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
        query = query_of(self._channel, connector, order_by=order_by, where=where)
        name = query.connector.name
        check_type("skip", skip, int, "a whole number such as 100", connector=name)
        check_type("take", take, int, "a whole number such as 100", connector=name)
        if skip < 0 or take < 1:
            raise UsageError(
                f"{name}: skip must be 0 or more and take 1 or more, not skip={skip} and take={take};"
                " use rows() for all rows"
            )
        return Page(await read_page(query, Span(skip, take)) if query.where else [], 0, skip)

    @operation
    async def plan(
        self,
        connector: GetConnector[Any] | str,
        *,
        parts: int,
        key: str | tuple[str, ...] = (),
        where: Condition | None = None,
    ) -> list[dict[str, Any]]:
        """Return the parts of a read as plain data, for `rows(..., part=...)` here or on other machines.

        The parts are ranges of the key: together they hold every row exactly once, wherever they are cut and whatever
        is written meanwhile, because the last has no end and the first no beginning. A key of whole numbers is cut
        evenly between the lowest and the highest, with two requests. Every other key is cut at rows that there are,
        with a few requests for each part and each million rows, and by as many of its fields as it takes, so that no
        part holds more than about twice its share.

        Args:
            connector: The connector, with its key, or its name.
            key: The key of a connector that you give by name.
            parts: About how many parts there should be. There are fewer if there are not enough rows, or if a long
                condition leaves no room for keys in a request; a few more if single values have to be cut.
            where: The condition that the rows of the read meet. The parts carry it.

        Returns:
            Dicts in key order, which survive JSON. Each has all that it takes to read it (`connector`, `key`, `where`
            and `range`), and `rows`: about how many rows it holds at most, None if nothing was looked at. They hold
            values of keys and of the condition, no credential.

        Raises:
            UsageError: If `parts` is not positive. Nothing was sent.
            SortKeyRequiredError: If the connector has no key.
            AfasError: If the rows to cut at cannot be had. A cancelled call leaves nothing behind.

        Source:
            AFAS, GET connector: partition by a filter instead of skipping over more than 100,000 rows.

        Example:
            >>> async def main():
            ...     articles = GetConnector("Profit_Article", key="ItemCode")
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         parts = await afas.plan(articles, parts=4)
            ...         counts = [len(await afas.rows(articles, part=part).to_list()) for part in parts]
            ...         return sum(counts), min(counts) > 100
            >>> asyncio.run(main())
            (500, True)
        """
        planned = await plan(query_of(self._channel, connector, key=key, where=where, keyed=True), parts)
        return [part.data() for part in planned]

    @overload
    def changes(
        self,
        connector: GetConnector[RowT],
        *,
        modified: str,
        since: str | datetime | None = ...,
        after: str | None = ...,
        where: Condition | None = ...,
    ) -> Changes[RowT]: ...

    @overload
    def changes(
        self,
        connector: str,
        *,
        key: str | tuple[str, ...],
        modified: str,
        since: str | datetime | None = ...,
        after: str | None = ...,
        where: Condition | None = ...,
    ) -> Changes[dict[str, Any]]: ...

    def changes(
        self,
        connector: GetConnector[Any] | str,
        *,
        key: str | tuple[str, ...] = (),
        modified: str,
        since: str | datetime | None = None,
        after: str | None = None,
        where: Condition | None = None,
    ) -> Changes[Any]:
        """Return the rows that were modified since the last run, as a stream: to be applied as inserts or updates.

        The rows come in key order, each key once in a run, with the guarantee of `rows`. A run starts with one request
        for the latest moment of all rows, which becomes its `watermark`, and reads the rows modified from 76 minutes
        before `since` on. So it gives some rows again that the last run gave.

        The guide, `python -m pydoc afas_async.read`, states which changes a run can miss.

        Args:
            connector: The connector, with its key.
            key: The key of a connector that is given by name.
            modified: The field with the moment of the last change of a row.
            since: The `watermark` of the last run, or a datetime (without a time zone: wall time in Amsterdam), or None
                for all rows; a moment out of a row does as well.
            after: A `changes.cursor`: go on with a run that was broken off. It has that run's `since` and watermark.
            where: A further condition.

        Returns:
            A stream of rows. Its `watermark` is there after the end; store it once the rows are safe.

        Raises:
            UsageError: If an argument makes no sense, or the watermark belongs to other changes. Nothing was sent.
            SortKeyRequiredError: From the stream, if there is no key.
            AfasError: From the stream, if rows cannot be had. Repeat the run from the same `since`.

        Source:
            AFAS, REST API for developers: synchronise by modified date.

        Example:
            >>> async def main():
            ...     articles = GetConnector("Profit_Article", key="ItemCode")
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         async with afas.changes(articles, modified="ModifiedOn") as changes:
            ...             copy = {row["ItemCode"]: row async for row in changes}
            ...         return len(copy), changes.watermark[:12]
            >>> asyncio.run(main())
            (500, '{"version":1')
        """
        scan = scan_of(self._begin("changes").bulk, connector, ReadOptions(where=where), key=key)
        check_type("modified", modified, str, "a field id", connector=scan.query.connector.name)
        field_id(modified)
        return Changes(scan, modified=modified, since=since, after=after)

    @operation
    async def deleted_keys(
        self,
        connector: GetConnector[Any] | str,
        known_keys: Iterable[Key],
        *,
        key: str | tuple[str, ...] = (),
        where: Condition | None = None,
    ) -> list[Key]:
        """Return those of the known keys that no row has any more: deletions leave no other trace in the service.

        It reads the whole connector, undecoded but for the keys, with the guarantee of `rows`: a key that is there from
        the first request to the last answer is never returned. Texts are compared exactly. Give it a connector that
        has the fields of the key only, if there is one: its answers are short. If you want the rows as well, use
        `rows(known_keys=...)`.

        Args:
            connector: The connector, with its key, or its name.
            key: The key of a connector that you give by name.
            known_keys: Keys of rows that were there: text or whole numbers, tuples of them if the key has several
                fields. They are held in memory.
            where: The condition that the known rows met, if they were read with one. A row that no longer meets it
                counts as deleted.

        Returns:
            The missing keys, in the order in which they were given. All of them if the connector has no rows: decide
            what that means before deleting everything.

        Raises:
            UsageError: If the known keys are of another type than those of the rows.
            SortKeyRequiredError: If the connector has no key.
            AfasError: If rows cannot be had. A cancelled call leaves nothing behind.

        Source:
            AFAS, deleted data: a full comparison where no log of deletions is set up.

        Example:
            >>> async def main():
            ...     articles = GetConnector("Profit_Article", key="ItemCode")
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         return await afas.deleted_keys(articles, ["000499", "000500", "000501"])
            >>> asyncio.run(main())
            ['000501']
        """
        named = query_of(self._channel, connector, key=key).connector
        undecoded = GetConnector(named.name, msgspec.Raw, key=named.key)
        async with self.rows(undecoded, where=where, known_keys=known_keys) as rows:
            async for _ in rows.batches():
                pass
        return rows.deleted_keys
